//! What a person agreed to beforehand, and what grants are good for.

use std::time::Duration;

use fcp_api::client::Client;
use fcp_api::routes::{
    AddGrant, AddRole, ApproveRequest, DenyRequest, DisableConnector, Explain, FileRequest, GetGrant,
    GetReceipt, GetRole, InvokeOperation, ListGrants, PreviewGrant, Revoke, SimulateCall,
};
use fcp_api::types::{self, ErrorBody, Nothing, ReceiptView, StandingScope};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, ObjectId, RoleId, ZoneId};
use fcp_proto_core::object::{ApprovalKind, RevocationScope};
use fcp_proto_core::token::constraints::Constraints;
use serde_json::json;

use crate::world::{Bot, World, call, grant, install_changed};

fn write(text: &str, key: &str) -> types::Invoke {
    call("notes.put", json!({ "note": "mine", "text": text }), Some(key))
}

/// Whether the gate would let the call pass, and by which standing approval.
async fn gate(agent: &mut Client, call: &types::Invoke) -> Result<Option<ObjectId>, Code> {
    let told = agent.send::<SimulateCall>(&[], call).await.unwrap().body;
    told.code.map_or(Ok(told.standing_approval), Err)
}

async fn file(world: &mut World, key: &str) -> types::ApprovalView {
    let request = types::FileRequest { call: write("hello", key).call, note: None, holder_proof: None };
    world.agent.send::<FileRequest>(&[], &request).await.unwrap().body
}

/// Has the operator approve a call and those like it.
async fn agree(
    world: &mut World,
    key: &str,
    constraints: Option<Constraints>,
    lifetime_secs: u64,
) -> Result<types::Approved, ErrorBody> {
    let filed = file(world, key).await;
    approve(world, &filed, None, types::StandingGrant { constraints, lifetime_secs, config_digest: None })
        .await
}

async fn approve(
    world: &mut World,
    filed: &types::ApprovalView,
    kinds: Option<Vec<ApprovalKind>>,
    grant: types::StandingGrant,
) -> Result<types::Approved, ErrorBody> {
    let request = types::Approve {
        call_digest: filed.call_digest,
        kinds,
        lifetime_secs: None,
        grant: Some(grant),
        note: None,
    };
    let id = filed.request_id.to_string();
    world.operator.send::<ApproveRequest>(&[&id], &request).await.map(|reply| reply.body)
}

async fn shown(world: &mut World, id: ObjectId) -> types::GrantView {
    world.operator.get::<GetGrant>(&[&id.to_string()], &Nothing {}).await.unwrap().body
}

//= docs/spec/gate.md#standing-approvals
#[tokio::test]
async fn an_equal_call_is_not_asked_again_and_its_receipt_names_the_grant() {
    let mut world = World::new().await;
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Err(Code::ApprovalRequired));
    let approved = agree(&mut world, "a1", None, 3600).await.unwrap();
    let id = approved.grant_id.unwrap();
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Ok(Some(id)));
    // The connector of these tests has no program: the call passes the gate, and ends with a receipt of its failure.
    let ended = world.agent.send::<InvokeOperation>(&[], &write("hello", "k1")).await.unwrap_err();
    let detail = ended.detail.unwrap();
    let receipt = detail["receipt_id"].as_str().unwrap();
    let view = world.agent.get::<GetReceipt>(&[receipt], &Nothing {}).await.unwrap().body;
    let ReceiptView::Operation { standing_approval, .. } = view else { panic!("the gate let it pass") };
    assert_eq!(standing_approval, Some(id));
    let told = world.agent.get::<Explain>(&[receipt], &Nothing {}).await.unwrap().body;
    assert!(told.story[1].contains(&id.to_string()) && told.evidence.contains(&id), "{:?}", told.story);

    let grant = shown(&mut world, id).await;
    assert_eq!((grant.request_id, grant.obstacle), (Some(approved.request_id), None));
    assert_eq!(approved.grant_expires_at, Some(grant.expires_at));
    let standing = grant.standing_approval.unwrap();
    assert_eq!((standing.scope, standing.obstacle), (StandingScope::Input, None));
    assert_eq!(
        gate(&mut world.agent, &write("other", "k2")).await,
        Err(Code::ApprovalRequired),
        "other words"
    );
}

/// Revokes a grant.
async fn take_back(world: &mut World, id: ObjectId) -> types::Revoked {
    let revoke = types::Revoke {
        scope: RevocationScope::Capability,
        target: id.to_string(),
        reason: "enough".into(),
        unknown: false,
        confirmed: false,
    };
    world.operator.send::<Revoke>(&[], &revoke).await.unwrap().body
}

//= docs/spec/revocation.md#what-goes-with-it
#[tokio::test]
async fn the_approval_of_one_call_goes_with_the_grant_beside_it() {
    let mut world = World::new().await;
    let approved = agree(&mut world, "k1", None, 3600).await.unwrap();
    let id = approved.grant_id.unwrap();
    let revoked = take_back(&mut world, id).await;
    assert_eq!(revoked.targets, [id, approved.approval_id].map(|it| it.to_string()));
    let asked = gate(&mut world.agent, &write("hello", "k1")).await;
    assert_eq!(asked, Err(Code::ApprovalInvalid), "the very call that was asked about, too");
}

//= docs/spec/gate.md#denials
#[tokio::test]
async fn a_denied_call_names_the_denial_and_what_explains_it() {
    let mut world = World::new().await;
    agree(&mut world, "k1", None, 3600).await.unwrap();
    let filed = types::FileRequest { call: write("hello", "k2").call, note: None, holder_proof: None };
    // The agreement has to end before the call can be asked about again; other words are asked about at once.
    assert_eq!(world.agent.send::<FileRequest>(&[], &filed).await.unwrap_err().code, Code::Conflict);
    let other = types::FileRequest { call: write("other", "k2").call, note: None, holder_proof: None };
    let filed = world.agent.send::<FileRequest>(&[], &other).await.unwrap().body.request_id.to_string();
    let no = world.operator.send::<DenyRequest>(&[&filed], &types::Deny::default()).await.unwrap().body;
    let refused = world.agent.send::<InvokeOperation>(&[], &write("other", "k2")).await.unwrap_err();
    assert_eq!(refused.code, Code::ApprovalDenied);
    assert_eq!(refused.next, format!("`fwc explain {}`", no.decision_id));
    let told = world.agent.get::<Explain>(&[&no.decision_id.to_string()], &Nothing {}).await.unwrap().body;
    assert!(!told.story.is_empty());
}

//= docs/spec/gate.md#standing-approvals
#[tokio::test]
async fn another_agent_is_asked() {
    let mut world = World::new().await;
    agree(&mut world, "a2", None, 3600).await.unwrap();
    let eve = Bot::new("eve");
    eve.enrol(&mut world.operator).await.unwrap();
    grant(&mut world.operator, &eve).await.unwrap();
    let mut hers = world.daemon.client();
    eve.open(&mut hers).await.unwrap();
    assert_eq!(gate(&mut hers, &write("hello", "k1")).await, Err(Code::ApprovalRequired));
}

//= docs/spec/gate.md#standing-approvals
#[tokio::test]
async fn after_its_time_its_revocation_or_another_connector_a_person_is_asked_again() {
    let mut world = World::new().await;
    agree(&mut world, "a3", None, 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Err(Code::ApprovalRequired), "its time");

    let id = agree(&mut world, "a4", None, 3600).await.unwrap().grant_id.unwrap();
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Ok(Some(id)));
    take_back(&mut world, id).await;
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Err(Code::ApprovalRequired), "revoked");

    let id = agree(&mut world, "a5", None, 3600).await.unwrap().grant_id.unwrap();
    assert_eq!(gate(&mut world.agent, &write("hello", "k1")).await, Ok(Some(id)));
    let home = world.daemon.socket().ancestors().nth(2).unwrap().to_owned();
    install_changed(&mut world.operator, &home).await.unwrap();
    assert_eq!(
        gate(&mut world.agent, &write("hello", "k1")).await,
        Err(Code::ApprovalRequired),
        "other code"
    );
    let obstacle = shown(&mut world, id).await.standing_approval.unwrap().obstacle.unwrap();
    assert_eq!(obstacle.code, Code::ConnectorChanged);
}

//= docs/spec/authority.md#standing-approvals
#[tokio::test]
async fn bounds_that_name_resources_stand_in_the_place_of_the_input_and_others_do_not() {
    let mut world = World::new().await;
    let few = Constraints { max_calls: Some(5), ..Constraints::default() };
    let id = agree(&mut world, "a6", Some(few), 3600).await.unwrap().grant_id.unwrap();
    let narrow = shown(&mut world, id).await;
    assert_eq!(narrow.standing_approval.unwrap().scope, StandingScope::Input, "a number widens nothing");
    assert_eq!(narrow.constraints.resource_allow, ["notes:note/mine".parse().unwrap()], "as the call");
    assert_eq!(gate(&mut world.agent, &write("other", "k1")).await, Err(Code::ApprovalRequired));

    let mut world = World::new().await;
    let mine =
        Constraints { resource_allow: vec!["notes:note/mine".parse().unwrap()], ..Constraints::default() };
    let id = agree(&mut world, "a7", Some(mine), 3600).await.unwrap().grant_id.unwrap();
    assert_eq!(gate(&mut world.agent, &write("other", "k1")).await, Ok(Some(id)));
    let elsewhere = call("notes.put", json!({ "note": "yours", "text": "hello" }), Some("k2"));
    assert!(gate(&mut world.agent, &elsewhere).await.is_err());
}

//= docs/spec/authority.md#standing-approvals
#[tokio::test]
async fn what_is_agreed_to_beforehand_is_shown_as_it_is_signed() {
    let mut world = World::new().await;
    let filed = file(&mut world, "k0").await;
    let id = filed.request_id.to_string();
    let bounds = json!([{ "pointer": "/text", "presence": "required", "one_of": ["hello", "again"] }]);
    let bounds = Constraints { arguments: serde_json::from_value(bounds).unwrap(), ..Constraints::default() };
    let grant =
        |constraints, config_digest| types::StandingGrant { constraints, lifetime_secs: 60, config_digest };
    let asked = grant(Some(bounds.clone()), None);
    let shown = world.operator.send::<PreviewGrant>(&[&id], &asked).await.unwrap().body;
    assert_eq!(shown.constraints.resource_allow, ["notes:note/mine".parse().unwrap()], "the call's");
    assert_eq!(shown.scope, StandingScope::Bounds);
    assert!(shown.unbound.contains(&"/note".to_owned()), "{:?}", shown.unbound);
    assert!(!shown.unbound.contains(&"/text".to_owned()), "{:?}", shown.unbound);
    let same = world.operator.send::<PreviewGrant>(&[&id], &grant(None, None)).await.unwrap().body;
    assert_eq!((same.scope, same.unbound), (StandingScope::Input, vec![]));

    let nobodys = Constraints { credential_allow: ["nope".parse().unwrap()].into(), ..bounds.clone() };
    let refused = world.operator.send::<PreviewGrant>(&[&id], &grant(Some(nobodys.clone()), None)).await;
    assert_eq!(refused.unwrap_err().code, Code::CredentialMissing);
    let refused = approve(&mut world, &filed, None, grant(Some(nobodys), None)).await.unwrap_err();
    assert_eq!(refused.code, Code::CredentialMissing, "nor is it signed");
    let other = grant(Some(bounds.clone()), Some(Digest::default()));
    let refused = approve(&mut world, &filed, None, other).await.unwrap_err();
    assert_eq!(refused.code, Code::ConnectorChanged, "another configuration than was shown");

    let agreed = grant(Some(bounds), Some(shown.config_digest));
    let made = approve(&mut world, &filed, None, agreed).await.unwrap();
    let made = self::shown(&mut world, made.grant_id.unwrap()).await;
    assert_eq!(made.constraints, shown.constraints);
    assert_eq!(made.standing_approval.unwrap().config_digest, Some(shown.config_digest));
}

//= docs/spec/authority.md#standing-approvals
#[tokio::test]
async fn an_approval_without_the_call_itself_makes_no_standing_one() {
    let mut world = World::new().await;
    let filed = file(&mut world, "k0").await;
    let grant = types::StandingGrant { constraints: None, lifetime_secs: 3600, config_digest: None };
    let refused = approve(&mut world, &filed, Some(vec![ApprovalKind::Elevation]), grant).await.unwrap_err();
    assert_eq!(refused.code, Code::InputInvalid);
    assert!(refused.why.unwrap().contains("execution"));
}

//= docs/spec/authority.md#grants
#[tokio::test]
async fn a_grant_that_cannot_serve_is_refused_or_says_what_stands_in_the_way() {
    let mut world = World::new().await;
    let add = |role: Option<RoleId>, zone: &str, bot: &Bot| types::AddGrant {
        agent: role.is_none().then(|| bot.name.clone()),
        role,
        zone: ZoneId::new(zone).unwrap(),
        connector: world.grant.connector.clone(),
        operations: world.grant.operations.clone(),
        constraints: world.grant.constraints.clone(),
        not_before: None,
        lifetime_secs: 600,
    };
    let role: RoleId = "readers".parse().unwrap();
    let (elsewhere, shared) =
        (add(None, "z:private", &world.bot), add(Some(role.clone()), "z:work", &world.bot));
    let refused = world.operator.send::<AddGrant>(&[], &elsewhere).await.unwrap_err();
    assert_eq!(refused.code, Code::ZoneMismatch, "the agent calls in z:work alone");

    let described = types::AddRole { name: role.clone(), description: "They read.".into() };
    world.operator.send::<AddRole>(&[], &described).await.unwrap();
    let known = world.operator.get::<GetRole>(&[role.as_str()], &Nothing {}).await.unwrap().body;
    assert_eq!((known.description.as_str(), known.members.len()), ("They read.", 0));
    let unknown = world.operator.get::<GetRole>(&["writers"], &Nothing {}).await.unwrap_err();
    assert_eq!(unknown.code, Code::NotFound);
    let made = world.operator.send::<AddGrant>(&[], &shared).await.unwrap().body;
    let obstacle = made.obstacle.unwrap();
    assert!(made.live && obstacle.why.contains("readers"), "{obstacle:?}");
    assert!(obstacle.next.contains("fwc role give readers"), "{obstacle:?}");

    let own = world.grant.grant_id;
    assert_eq!(shown(&mut world, own).await.obstacle, None);
    let off = types::SetState { reason: None };
    world.operator.send::<DisableConnector>(&["notes"], &off).await.unwrap();
    let listed = world.agent.get::<ListGrants>(&[], &types::GrantQuery::default()).await.unwrap().body.grants;
    assert_eq!(listed.len(), 1, "an agent sees its own");
    assert_eq!(listed[0].obstacle.as_ref().unwrap().code, Code::ConnectorDisabled);
    let foreign = world.agent.get::<GetGrant>(&[&made.grant_id.to_string()], &Nothing {}).await.unwrap_err();
    assert_eq!(foreign.code, Code::NotFound);
}
