//! What is told: revocations of what nobody knows, what took force from a grant, tokens, calls that cannot be.

use fcp_api::routes::{
    AddGrant, AddRole, AssignRole, Explain, FileRequest, InspectToken, InvokeOperation, ListZones,
    MintTokens, Revoke, SimulateCall, WithdrawRole,
};
use fcp_api::types::{self, ErrorBody, Explanation, Invoke, Nothing, Revoked, TokenVerdict};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId};
use fcp_proto_core::object::{GateCheck, RevocationScope};
use fcp_proto_core::token::constraints::Constraints;
use serde_json::json;

use crate::world::{Bot, World, call};

async fn revoke(
    world: &mut World,
    scope: RevocationScope,
    target: impl ToString,
    unknown: bool,
) -> Result<Revoked, ErrorBody> {
    let request = types::Revoke {
        scope,
        target: target.to_string(),
        reason: "it was stolen".into(),
        unknown,
        confirmed: true,
    };
    world.operator.send::<Revoke>(&[], &request).await.map(|reply| reply.body)
}

async fn explain(world: &mut World, id: &str) -> Result<Explanation, ErrorBody> {
    world.agent.get::<Explain>(&[id], &Nothing {}).await.map(|reply| reply.body)
}

fn mine() -> Invoke {
    call("notes.get", json!({ "note": "mine" }), None)
}

#[tokio::test]
async fn what_nobody_here_knows_is_revoked_only_on_purpose() {
    let mut world = World::new().await;
    let (scope, zeros) = (RevocationScope::Capability, "0".repeat(64));
    for (scope, target) in [
        (scope, zeros.clone()),
        (scope, "0".repeat(32)),
        (RevocationScope::IssuerKey, "0".repeat(16)),
        (RevocationScope::NodeAttestation, "elsewhere".into()),
        (RevocationScope::ZoneKey, "0".repeat(16)),
        (RevocationScope::ConnectorBinary, zeros.clone()),
    ] {
        let refused = revoke(&mut world, scope, &target, false).await.unwrap_err();
        assert_eq!(refused.code, Code::NotFound, "{scope}");
        assert!(refused.next.contains("--unknown"), "{refused:?}");
        assert!(!revoke(&mut world, scope, &target, true).await.unwrap().known, "{scope}");
    }
    let operations = [OperationId::new("notes.get").unwrap()].into();
    let minted = world.agent.send::<MintTokens>(&[], &types::MintTokens { operations }).await.unwrap().body;
    assert!(revoke(&mut world, scope, minted.tokens[0].token_id, false).await.unwrap().known);
    let zones = world.agent.get::<ListZones>(&[], &Nothing {}).await.unwrap().body.zones;
    let public = zones.iter().find(|it| it.zone.as_str() == "z:public").unwrap();
    for target in ["z:private".to_owned(), public.key_id.unwrap().to_string()] {
        assert!(revoke(&mut world, RevocationScope::ZoneKey, target, false).await.unwrap().known);
    }
    let revoked = revoke(&mut world, RevocationScope::ConnectorBinary, "notes", false).await.unwrap();
    assert!(revoked.known);
    let other = revoke(&mut world, scope, revoked.revocation_id, true).await.unwrap_err();
    assert_eq!(other.code, Code::InputInvalid, "a revocation gives no leave");
}

#[tokio::test]
async fn a_revoked_grant_names_who_revoked_it_when_and_what_would_permit_its_calls_now() {
    let mut world = World::new().await;
    let id = world.grant.grant_id.to_string();
    assert_eq!(explain(&mut world, &id).await.unwrap().code, None, "it is in force");
    let revoked = revoke(&mut world, RevocationScope::Capability, &id, false).await.unwrap();
    let told = explain(&mut world, &id).await.unwrap();
    assert_eq!(told.code, Some(Code::GrantRevoked));
    assert!(told.evidence.contains(&revoked.revocation_id));
    let story = told.story.join("\n");
    for part in ["alice revoked", "it was stolen", &revoked.revocation_id.to_string()] {
        assert!(story.contains(part), "{part} in {story}");
    }
    assert_eq!(told.next.unwrap(), "fwc request notes.get --grant 1h");
    let refused = world.agent.send::<InvokeOperation>(&[], &mine()).await.unwrap_err();
    let decision = refused.denial().unwrap().decision_id.unwrap().to_string();
    let told = explain(&mut world, &decision).await.unwrap();
    assert!(told.evidence.contains(&revoked.revocation_id), "the refusal leads to the revocation too");
    assert!(told.story.iter().any(|line| line.contains("alice revoked")), "{:?}", told.story);
}

#[tokio::test]
async fn a_grant_of_a_role_is_explained_to_whose_calls_it_decided() {
    let mut world = World::new().await;
    let role = fcp_proto_core::ids::RoleId::new("readers").unwrap();
    let add = types::AddRole { name: role.clone(), description: "They read.".into() };
    world.operator.send::<AddRole>(&[], &add).await.unwrap();
    let add = types::AddGrant {
        agent: None,
        role: Some(role.clone()),
        zone: world.bot.zone.clone(),
        connector: ConnectorId::new("notes").unwrap(),
        operations: vec![OperationId::new("notes.get").unwrap()],
        constraints: Constraints {
            resource_allow: vec!["notes:note/theirs".parse().unwrap()],
            ..Constraints::default()
        },
        not_before: None,
        lifetime_secs: 3600,
    };
    let grant = world.operator.send::<AddGrant>(&[], &add).await.unwrap().body.grant_id;
    let id = grant.to_string();
    assert_eq!(explain(&mut world, &id).await.unwrap_err().code, Code::NotFound, "it is not for this agent");
    let bot = world.bot.name.to_string();
    world.operator.send::<AssignRole>(&[role.as_str(), &bot], &Nothing {}).await.unwrap();
    assert!(explain(&mut world, &id).await.unwrap().story[0].contains("readers"));
    let own = world.grant.grant_id;
    revoke(&mut world, RevocationScope::Capability, own, false).await.unwrap();
    world.agent.send::<InvokeOperation>(&[], &mine()).await.unwrap_err();
    world.operator.send::<WithdrawRole>(&[role.as_str(), &bot], &types::Deny::default()).await.unwrap();
    let told = explain(&mut world, &id).await.unwrap();
    assert!(told.story[0].contains("readers"), "it decided a call of the agent");
}

#[tokio::test]
async fn a_token_is_judged_by_everything_that_the_gate_looks_at() {
    let mut world = World::new().await;
    let operations = [OperationId::new("notes.get").unwrap()].into();
    let minted = world.agent.send::<MintTokens>(&[], &types::MintTokens { operations }).await.unwrap().body;
    let token = types::InspectToken { token: minted.tokens[0].token.clone() };
    let mut anyone = world.daemon.client();
    let report = anyone.send::<InspectToken>(&[], &token).await.unwrap().body;
    assert_eq!(report.status, TokenVerdict::Valid);
    revoke(&mut world, RevocationScope::IssuerKey, "bot", false).await.unwrap();
    let report = anyone.send::<InspectToken>(&[], &token).await.unwrap().body;
    let TokenVerdict::Refused { code, why } = report.status else { panic!("its holder's key is revoked") };
    assert_eq!((code, why.as_str()), (Code::IssuerKeyRevoked, "the key of bot is revoked"));
}

#[tokio::test]
async fn a_simulation_names_the_call_that_an_approval_would_bind() {
    let mut world = World::new().await;
    let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
    let simulated = world.agent.send::<SimulateCall>(&[], &write).await.unwrap().body;
    let request = types::FileRequest { call: write.call, note: None, holder_proof: None };
    let filed = world.agent.send::<FileRequest>(&[], &request).await.unwrap().body;
    assert_eq!(simulated.call_digest, Some(filed.call_digest));
    assert_eq!(simulated.input_label, Some(filed.input_label));
}

#[tokio::test]
async fn named_approvals_deadlines_and_operations_are_what_they_are_called() {
    let mut world = World::new().await;
    let named = |id| {
        let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
        let options = types::CallOptions { approval_ids: vec![id], ..types::CallOptions::default() };
        Invoke { options, ..write }
    };
    let unknown = named(ObjectId::from_bytes([7; 32]));
    let refused = world.agent.send::<InvokeOperation>(&[], &unknown).await.unwrap_err();
    let denial = refused.denial().unwrap();
    assert_eq!((refused.code, denial.check), (Code::ApprovalMismatch, GateCheck::Approval));

    let options = types::CallOptions { deadline_ms: Some(0), ..types::CallOptions::default() };
    let refused = world.agent.send::<InvokeOperation>(&[], &Invoke { options, ..mine() }).await.unwrap_err();
    assert_eq!(refused.code, Code::OutOfRange);

    let nothing = call("notes.eat", json!({}), None);
    let refused = world.agent.send::<InvokeOperation>(&[], &nothing).await.unwrap_err();
    assert_eq!(refused.code, Code::OperationUnknown, "what is installed everybody may read");
    assert_eq!(refused.next, "`fwc ops notes` lists those it has", "the connector that was asked for");
    let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
    let refused = world.agent.send::<InvokeOperation>(&[], &write).await.unwrap_err();
    let (why, rule) = (refused.why.clone().unwrap(), refused.denial().unwrap().rule.unwrap());
    assert_eq!((refused.code, &*why), (Code::ApprovalRequired, rule.as_str()));
    assert!(why.contains("notes.put") && *why != *refused.message, "it says more than its code: {why}");
    let eve = Bot::new("eve");
    eve.enrol(&mut world.operator).await.unwrap();
    let mut stranger = world.daemon.client();
    eve.open(&mut stranger).await.unwrap();
    let refused = stranger.send::<InvokeOperation>(&[], &mine()).await.unwrap_err();
    assert_eq!(refused.code, Code::OperationNotGranted);
}
