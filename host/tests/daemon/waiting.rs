//! What waits for a person: in which order, and what no longer does.

use fcp_api::client::Client;
use fcp_api::routes::{
    AddGrant, ApproveGrantRequest, ApproveRequest, DenyGrantRequest, DenyRequest, FileGrantRequest,
    FileRequest, GetApproval, GetGrantRequest, GetStatus, InvokeOperation, ListApprovals, ListGrants, Revoke,
};
use fcp_api::types::{self, ApprovalQuery, ApprovalStatus, ErrorBody, Nothing};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId, PrincipalId};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::token::constraints::Constraints;
use serde_json::json;

use crate::world::{Bot, World, call};

/// Asks for a grant on a note.
async fn ask_for(agent: &mut Client, note: &str) -> ObjectId {
    let request = types::FileGrantRequest {
        connector: ConnectorId::new("notes").unwrap(),
        operations: vec![OperationId::new("notes.get").unwrap()],
        constraints: Constraints {
            resource_allow: vec![format!("notes:note/{note}").parse().unwrap()],
            ..Constraints::default()
        },
        lifetime_secs: 3600,
        note: None,
    };
    agent.send::<FileGrantRequest>(&[], &request).await.unwrap().body.request_id
}

async fn list(client: &mut Client, query: ApprovalQuery) -> (Vec<ObjectId>, Option<String>) {
    let list = client.get::<ListApprovals>(&[], &query).await.unwrap().body;
    (list.grant_requests.into_iter().map(|it| it.request_id).collect(), list.next)
}

//= docs/spec/api.md#lists
#[tokio::test]
async fn no_agents_requests_hide_anothers() {
    let mut world = World::new().await;
    let (quiet, mut other) = (Bot::new("quiet"), world.daemon.client());
    quiet.enrol(&mut world.operator).await.unwrap();
    quiet.open(&mut other).await.unwrap();
    let only = ask_for(&mut other, "mine").await;
    let mut noise = Vec::new();
    for note in ["a", "b", "c", "d"] {
        noise.push(ask_for(&mut world.agent, note).await);
    }
    let deny = types::Deny::default();
    let denied = noise.remove(2).to_string();
    world.operator.send::<DenyGrantRequest>(&[&denied], &deny).await.unwrap();
    let denied: ObjectId = denied.parse().unwrap();

    // First those of the first turn, the newer before the older; what is decided comes last.
    let all = [noise[0], only, noise[1], noise[2], denied];
    let (found, next) = list(&mut world.operator, ApprovalQuery::default()).await;
    assert_eq!((found.as_slice(), next), (all.as_slice(), None));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = ApprovalQuery { limit: Some(2), after, ..ApprovalQuery::default() };
        let (page, next) = list(&mut world.operator, query).await;
        found.extend(page);
        let Some(next) = next else { break };
        // What comes meanwhile moves nothing of what follows.
        ask_for(&mut world.agent, &next).await;
        after = Some(next);
    }
    let seen: Vec<_> = found.into_iter().filter(|id| all.contains(id)).collect();
    assert_eq!(seen, all);

    let of = |name: &str| ApprovalQuery {
        agent: Some(PrincipalId::new(name).unwrap()),
        status: Some(ApprovalStatus::Pending),
        ..ApprovalQuery::default()
    };
    assert_eq!(list(&mut world.operator, of("quiet")).await.0, [only]);
    assert_eq!(list(&mut world.agent, of("quiet")).await.0, [], "not for others");
    let unknown = world.operator.get::<ListApprovals>(&[], &of("nobody")).await.unwrap_err();
    assert!(unknown.code == Code::NotFound && unknown.next.contains("fwc agent list"), "{unknown:?}");
}

async fn revoke(operator: &mut Client, scope: RevocationScope, target: &str) {
    let revoke = types::Revoke {
        scope,
        target: target.into(),
        reason: "it floods us".into(),
        unknown: false,
        confirmed: false,
    };
    operator.send::<Revoke>(&[], &revoke).await.unwrap();
}

/// What is told to a revoked agent: what, in which scope and when; not the operator's words.
fn told_to_the_agent(refused: &ErrorBody) {
    let why = refused.why.as_deref().unwrap_or_default();
    assert!(why.contains("the key of bot is revoked in the scope IssuerKey since 2"), "{refused:?}");
    assert!(!why.contains("floods") && refused.next.contains("fwc revocations"), "{refused:?}");
}

//= docs/spec/calls.md#void-requests
//= docs/spec/revocation.md#what-is-told
#[tokio::test]
async fn what_a_revoked_agent_asked_for_waits_no_more_and_whoever_would_approve_it_is_told_why() {
    let mut world = World::new().await;
    let write = call("notes.put", json!({ "note": "mine", "text": "x" }), Some("k"));
    let file = types::FileRequest { call: write.call, note: None, holder_proof: None };
    let asked = world.agent.send::<FileRequest>(&[], &file).await.unwrap().body;
    let wished = ask_for(&mut world.agent, "yours").await.to_string();
    let id = asked.request_id.to_string();
    let waiting = |status: types::Status| status.pending_approvals;
    assert_eq!(waiting(world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body), 2);

    revoke(&mut world.operator, RevocationScope::IssuerKey, "bot").await;
    assert_eq!(waiting(world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body), 0);
    let pending = ApprovalQuery { status: Some(ApprovalStatus::Pending), ..ApprovalQuery::default() };
    let list = world.operator.get::<ListApprovals>(&[], &pending).await.unwrap().body;
    assert!(list.approvals.is_empty() && list.grant_requests.is_empty());
    let shown = world.operator.get::<GetApproval>(&[&id], &Nothing {}).await.unwrap().body.status;
    let wish = world.operator.get::<GetGrantRequest>(&[&wished], &Nothing {}).await.unwrap().body.status;
    assert_eq!((shown, wish), (ApprovalStatus::Void, ApprovalStatus::Void));
    let approve = types::Approve {
        call_digest: asked.call_digest,
        kinds: None,
        lifetime_secs: None,
        grant: None,
        note: None,
    };
    let refused = world.operator.send::<ApproveRequest>(&[&id], &approve).await.unwrap_err();
    let grant = types::ApproveGrant::default();
    let also = world.operator.send::<ApproveGrantRequest>(&[&wished], &grant).await.unwrap_err();
    for (refused, id) in [(refused, &id), (also, &wished)] {
        assert_eq!(refused.code, Code::Conflict);
        let why = refused.why.unwrap();
        assert!(why.contains("scope IssuerKey since") && why.contains("it floods us"), "{why}");
        assert!(refused.next.contains(&format!("fwc approvals deny {id}")), "{}", refused.next);
    }
    world.operator.send::<DenyRequest>(&[&id], &types::Deny::default()).await.unwrap();
    world.operator.send::<DenyGrantRequest>(&[&wished], &types::Deny::default()).await.unwrap();

    // Its calls, its sessions and its grants say what stands in the way.
    let read = call("notes.get", json!({ "note": "mine" }), None);
    told_to_the_agent(&world.agent.send::<InvokeOperation>(&[], &read).await.unwrap_err());
    let closed = world.bot.open(&mut world.daemon.client()).await.unwrap_err();
    assert_eq!(closed.code, Code::IssuerKeyRevoked);
    told_to_the_agent(&closed);
    let add = types::AddGrant {
        agent: Some(world.bot.name.clone()),
        role: None,
        zone: world.bot.zone.clone(),
        connector: world.grant.connector.clone(),
        operations: world.grant.operations.clone(),
        constraints: world.grant.constraints.clone(),
        not_before: None,
        lifetime_secs: 600,
    };
    let made = world.operator.send::<AddGrant>(&[], &add).await.unwrap().body;
    let obstacle = made.obstacle.unwrap();
    assert!(made.live && obstacle.code == Code::IssuerKeyRevoked, "{obstacle:?}");
    assert!(obstacle.why.contains("the key of bot is revoked"), "{obstacle:?}");
    let grants = world.operator.get::<ListGrants>(&[], &types::GrantQuery::default()).await.unwrap().body;
    assert_eq!(grants.grants.iter().filter(|it| it.obstacle.is_some()).count(), 2);
}
