//! Agents, grants, calls that are refused, approvals, revocations.

use fcp_api::routes::{InvokeOperation, SimulateCall};
use fcp_api::types::{CheckStatus, Need};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;
use serde_json::json;

use crate::world::{World, call};

#[tokio::test]
async fn an_agent_with_a_grant_may_call_within_its_bounds() {
    let mut world = World::new().await;
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    let simulated = world.agent.send::<SimulateCall>(&[], &mine).await.unwrap().body;
    assert!(simulated.allowed, "{simulated:?}");
    assert!(simulated.checks.iter().all(|check| check.status == CheckStatus::Passed));

    let other = call("notes.get", json!({ "note": "yours" }), None);
    let simulated = world.agent.send::<SimulateCall>(&[], &other).await.unwrap().body;
    assert_eq!(simulated.code, Some(Code::ResourceNotAllowed));
    let refused = world.agent.send::<InvokeOperation>(&[], &other).await.unwrap_err();
    let denial = refused.denial().unwrap();
    assert_eq!((refused.code, denial.check), (Code::ResourceNotAllowed, GateCheck::Constraints));
    assert!(matches!(denial.needs[0], Need::Grant { .. }));
    assert!(denial.decision_id.is_some(), "the refusal is on record");
    assert!(denial.command.is_some());

    let mut elsewhere = mine;
    elsewhere.call.zone = Some("z:private".parse().unwrap());
    let refused = world.agent.send::<InvokeOperation>(&[], &elsewhere).await.unwrap_err();
    let denial = refused.denial().unwrap();
    assert_eq!((refused.code, denial.check), (Code::GrantZoneMismatch, GateCheck::Grants));
    assert!(denial.rule.unwrap().contains(&world.grant.grant_id.to_string()));
    let command = denial.command.unwrap();
    assert_eq!(command, "fwc context show", "no grant would let it call in another zone than its own");
}
