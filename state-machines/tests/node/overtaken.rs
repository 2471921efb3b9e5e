//! Calls that were decided, and what they rest on goes before they leave.

use crate::home::{self, Home, agent, everything, grant_fields, work, zone};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{
    Effect, Enrolment, Grant, Grantee, RevocationObject, RevocationScope, Role, RoleAssignment,
    RoleWithdrawal, SignedBody,
};
use fcp_proto_core::random::Entropy;
use fcp_state_machines::node::{Answer, Output, Request, RequestId};
use fcp_state_machines::persist::Completion;

const READ: &str = r#"{"note":"a"}"#;

/// Has the operator sign `fields`, and sends them without waiting for the disk.
fn send<T: SignedBody>(home: &mut Home, zone: &fcp_proto_core::ids::ZoneId, fields: T) -> RequestId
where
    fcp_proto_core::object::AnyObject:
        From<fcp_proto_core::object::Object<fcp_proto_core::object::Signed<T>>>,
{
    let object = home::sign(zone, home.now, fields, &home.keys.operator);
    home.send(Request::Admit { object: Box::new(object.into()), actor: "op".into() })
}

/// A read that is decided and waits for the disk.
fn decided(home: &mut Home) -> RequestId {
    home.disk_answers = false;
    let read = home.call("notes.get", READ, None);
    let id = home.send(Request::Invoke(read));
    home.run();
    id
}

/// Why a call did not leave once the disk has everything.
fn stopped(home: &mut Home, call: RequestId) -> Code {
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty(), "it does not leave");
    let Ok(Answer::Called(answer)) = home.take(call) else { panic!("a receipt") };
    assert_eq!(answer.effect, Effect::None);
    answer.error.expect("a reason").0
}

fn revocation_of(home: &Home, key: &[u8]) -> RevocationObject {
    RevocationObject {
        scope: RevocationScope::IssuerKey,
        targets: vec![ByteString(key.to_vec())],
        reason: "test".into(),
        effective_at: home.now.unix,
        expires_at: None,
    }
}

fn another_key() -> Enrolment {
    let fresh = SigningKey::generate(&mut Entropy::from_seed(&[42; 32].into()));
    Enrolment { principal: agent(), public_key: fresh.verifying_key(), key_source: "file".into() }
}

//= docs/spec/revocation.md#effect
#[test]
fn a_key_that_was_replaced_takes_its_calls_with_it_when_it_is_revoked() {
    let (mut home, _) = Home::with_grant();
    let old = home.keys.agent.key_id();
    home.disk_answers = false;
    send(&mut home, &work(), another_key());
    let call = decided(&mut home);
    home.disk(Completion::Durable);
    let fields = revocation_of(&home, old.as_bytes());
    send(&mut home, &zone("z:owner"), fields);
    home.run();
    assert_eq!(stopped(&mut home, call), Code::IssuerKeyRevoked, "another key is not the one that called");

    let (mut home, _) = Home::with_grant();
    let read = home.call("notes.get", READ, None);
    home.send(Request::Invoke(read));
    home.run();
    let dispatched = home.dispatched.pop_front().expect("it is on its way");
    home.operate(&work(), another_key());
    let fields = revocation_of(&home, old.as_bytes());
    send(&mut home, &zone("z:owner"), fields);
    let outputs: Vec<_> = std::iter::from_fn(|| home.node.poll_output()).collect();
    let cancels = |it: &Output| matches!(it, Output::Cancel(call) if *call == dispatched.call_id);
    assert!(outputs.iter().any(cancels), "one that left is cancelled: {outputs:?}");
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_role_that_is_taken_away_stops_a_call_that_waits() {
    let (mut home, owner) = (Home::new(), zone("z:owner"));
    let readers: fcp_proto_core::ids::RoleId = "readers".parse().expect("a role");
    home.operate(&owner, Role { role_id: readers.clone(), description: String::new() });
    home.operate(&owner, RoleAssignment { role_id: readers.clone(), principal: agent() });
    let to_role = Grant { grantee: Grantee::Role(readers.clone()), ..grant_fields(everything(), home.now) };
    home.operate(&work(), to_role);
    home.disk_answers = false;
    send(&mut home, &owner, RoleWithdrawal { role_id: readers, principal: Some(agent()), reason: None });
    let call = decided(&mut home);
    assert_eq!(stopped(&mut home, call), Code::GrantPrincipalMismatch);
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn an_attestation_that_ends_stops_a_call_that_waits() {
    let decided_before_the_end = || {
        let mut home = Home::new();
        home.pass(365 * 86_400 - 60);
        home.grant(everything());
        home.session = home.open_session();
        let call = decided(&mut home);
        (home, call)
    };
    let (mut home, _) = decided_before_the_end();
    home.pass(59);
    home.disk(Completion::Durable);
    assert_eq!(home.dispatched.len(), 1, "it stands for a second more");
    let (mut home, late) = decided_before_the_end();
    home.pass(60);
    assert_eq!(stopped(&mut home, late), Code::TokenExpired);
}

//= docs/spec/calls.md#time
#[test]
fn an_approval_that_has_ended_does_not_come_back_with_a_clock_that_is_set_back() {
    const WRITE: &str = r#"{"note":"a","text":"x"}"#;
    let (mut home, _) = Home::with_grant();
    let write = home.call("notes.put", WRITE, Some("k1"));
    let file = Request::FileApproval { call: write.clone(), note: None, valid_secs: 3_600 };
    let Ok(Answer::Filed(filed)) = home.ask(file) else { panic!("a request") };
    home.approve(&filed);
    let right = home.now;
    home.pass(600);
    let refused = home.invoke(write.clone(), "{}").expect_err("it has ended");
    assert_eq!(refused.code, Code::ApprovalExpired);
    home.now.unix = right.unix;
    let refused = home.invoke(write, "{}").expect_err("it has ended, whatever the clock says");
    assert_eq!(refused.code, Code::ApprovalExpired);
    home.restart();
    let write = home.call("notes.put", WRITE, Some("k1"));
    let refused = home.invoke(write, "{}").expect_err("after a restart too");
    assert_eq!(refused.code, Code::ApprovalExpired);
}
