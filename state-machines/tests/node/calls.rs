//! A call through the whole node: what is permitted happens once, and what is not does not.

use crate::home::{self, Home, agent, approval, everything, succeeded, usage, work};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{CallOutcome, Effect, RevocationScope, Usage};
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{Answer, CalledBy, Canceller, Failure, FiledApproval, Outcome, Request};
use fcp_state_machines::persist::{Completion, Refusal};

const READ: &str = r#"{"note":"a"}"#;
const WRITE: &str = r#"{"note":"a","text":"hello"}"#;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

fn file(home: &mut Home, name: &str, input: &str, key: Option<&str>) -> FiledApproval {
    let call = home.call(name, input, key);
    match home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }) {
        Ok(Answer::Filed(filed)) => filed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_granted_read_is_dispatched_and_answered() {
    let (mut home, _) = Home::with_grant();
    let answer =
        home.invoke(home.call("notes.get", READ, None), r#"{"text":"hi"}"#).expect("a permitted call");
    assert_eq!(answer.outcome, CallOutcome::Succeeded);
    assert_eq!(answer.output.as_deref(), Some(r#"{"text":"hi"}"#));
}

//= docs/spec/sessions.md#use
#[test]
fn without_a_grant_or_a_session_nothing_goes_out() {
    let mut home = Home::new();
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::OperationNotGranted);
    let mut call = home.call("notes.get", READ, None);
    call.by = CalledBy::Session { id: home.session, binding: [8; 32] };
    assert_eq!(code(home.invoke(call, "{}")), Code::Unauthenticated, "a session is bound to its connection");
}

#[test]
fn constraints_bound_each_call() {
    let mut home = Home::new();
    home.grant(Constraints {
        resource_allow: vec!["notes:note/a".parse().expect("a pattern")],
        max_calls: Some(2),
        ..everything()
    });
    let other = home.call("notes.get", r#"{"note":"b"}"#, None);
    assert_eq!(code(home.invoke(other, "{}")), Code::ResourceNotAllowed);
    for _ in 0..2 {
        home.invoke(home.call("notes.get", READ, None), "{}").expect("two calls are allowed");
    }
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::CallLimitReached);
}

#[test]
fn a_write_waits_for_a_person_and_is_spent_once() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.put", WRITE, Some("k1"));
    assert_eq!(code(home.invoke(call.clone(), "{}")), Code::ApprovalRequired);
    let filed = file(&mut home, "notes.put", WRITE, Some("k1"));
    home.approve(&filed);
    let other = home.call("notes.put", r#"{"note":"a","text":"other"}"#, Some("k1"));
    assert_eq!(code(home.invoke(other, "{}")), Code::ApprovalRequired, "an approval is for one call");
    let made = home.invoke(call.clone(), r#"{"ok":true}"#).expect("the approved call");
    assert_eq!(made.effect, Effect::Made);
    let again = home.invoke_with(call, succeeded("{}"));
    assert_eq!(again, Ok(Answer::Replayed { receipt: made.receipt }), "the same key gives the same receipt");
    let conflict = home.call("notes.put", r#"{"note":"a","text":"other"}"#, Some("k1"));
    assert_eq!(code(home.invoke(conflict, "{}")), Code::IdempotencyConflict);
    let second = home.call("notes.put", WRITE, Some("k2"));
    assert_eq!(code(home.invoke(second, "{}")), Code::ApprovalRequired, "an approval serves one key");
}

#[test]
fn two_concurrent_calls_cannot_spend_one_approval() {
    let (mut home, _) = Home::with_grant();
    let filed = file(&mut home, "notes.put", WRITE, Some("k1"));
    home.approve(&filed);
    home.disk_answers = false;
    let call = home.call("notes.put", WRITE, Some("k1"));
    let first = home.send(Request::Invoke(call.clone()));
    let second = home.send(Request::Invoke(call));
    home.run();
    assert!(home.dispatched.is_empty(), "nothing goes out before its intent is durable");
    home.disk(Completion::Durable);
    assert_eq!(home.dispatched.len(), 1);
    home.disk(Completion::Durable);
    assert_eq!(code(home.take(second)), Code::CallInProgress);
    assert!(!home.answers.contains_key(&first), "the answer waits for the receipt");
}

#[test]
fn what_was_read_stands_against_a_write_until_a_fresh_context() {
    let (mut home, _) = Home::with_grant();
    let touch = home.call("notes.touch", READ, None);
    home.invoke(touch.clone(), "{}").expect("nothing was read yet");
    home.invoke(home.call("notes.comments", READ, None), "{}").expect("a read");
    assert_eq!(code(home.invoke(touch.clone(), "{}")), Code::TaintViolation);
    home.invoke(home.call("notes.get", READ, None), "{}").expect("reads go on");
    home.ask(Request::OpenContext { principal: agent(), actor: "op".into() })
        .expect("the owner opens another");
    home.invoke(touch, "{}").expect("a fresh context");
}

//= docs/spec/labels.md#contexts
#[test]
fn a_kept_result_does_not_taint_until_it_is_read() {
    let (mut home, _) = Home::with_grant();
    let mut read = home.call("notes.comments", READ, None);
    read.keep = true;
    let kept = home.invoke(read, r#"{"text":"do evil"}"#).expect("a read");
    assert_eq!(kept.output, None);
    let result = kept.kept.expect("a handle");
    let touch = home.call("notes.touch", READ, None);
    home.invoke(touch.clone(), "{}").expect("nothing was seen");
    let request = Request::ReadKept {
        session: home.session,
        binding: home::BINDING,
        result,
        zone: work(),
        principal: agent(),
        label: kept.label,
    };
    assert_eq!(home.ask(request), Ok(Answer::Readable));
    assert_eq!(code(home.invoke(touch, "{}")), Code::TaintViolation);
}

#[test]
fn an_elevation_permits_one_tainted_write() {
    let (mut home, _) = Home::with_grant();
    home.invoke(home.call("notes.comments", READ, None), "{}").expect("a read");
    let filed = file(&mut home, "notes.put", WRITE, Some("k1"));
    assert_eq!(filed.request.kinds.len(), 2, "the call itself and its elevation");
    home.approve(&filed);
    home.invoke(home.call("notes.put", WRITE, Some("k1")), "{}").expect("both were approved");
}

#[test]
fn a_revocation_bites_on_the_next_call_and_on_one_that_waits() {
    let (mut home, grant) = Home::with_grant();
    home.disk_answers = false;
    let waiting = home.call("notes.get", READ, None);
    let waiting = home.send(Request::Invoke(waiting));
    home.run();
    let fields = fcp_proto_core::object::RevocationObject {
        scope: RevocationScope::Capability,
        targets: vec![fcp_proto_core::encoding::cbor::ByteString(grant.as_bytes().to_vec())],
        reason: "test".into(),
        effective_at: home.now.unix,
        expires_at: None,
    };
    let object = home::sign(&home::zone("z:owner"), home.now, fields, &home.keys.operator);
    home.send(Request::Admit { object: Box::new(object.into()), actor: "op".into() });
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty(), "it was admitted before the revocation, and not dispatched after it");
    assert_eq!(home.take(waiting).map(|it| format!("{it:?}").contains("GrantRevoked")), Ok(true));
    home.disk_answers = true;
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::GrantRevoked);
}

#[test]
fn a_revoked_operator_key_stops_a_call_that_waits() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let waiting = home.call("notes.get", READ, None);
    let waiting = home.send(Request::Invoke(waiting));
    home.run();
    let fields = fcp_proto_core::object::RevocationObject {
        scope: RevocationScope::IssuerKey,
        targets: vec![fcp_proto_core::encoding::cbor::ByteString(
            home.keys.operator.key_id().as_bytes().to_vec(),
        )],
        reason: "test".into(),
        effective_at: home.now.unix,
        expires_at: None,
    };
    let object = home::sign(&home::zone("z:owner"), home.now, fields, &home.keys.operator);
    home.send(Request::Admit { object: Box::new(object.into()), actor: "op".into() });
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty(), "the key that signed its grant is revoked");
    assert_eq!(home.take(waiting).map(|it| format!("{it:?}").contains("GrantIssuerInvalid")), Ok(true));
}

#[test]
fn every_scope_of_revocation_refuses() {
    type Target = fn(&Home) -> (RevocationScope, Vec<u8>);
    let cases: [(Target, Code); 4] = [
        (
            |home| (RevocationScope::IssuerKey, home.keys.agent.key_id().as_bytes().to_vec()),
            Code::Unauthenticated,
        ),
        (|_| (RevocationScope::NodeAttestation, b"node-1".to_vec()), Code::NodeRevoked),
        (|_| (RevocationScope::ConnectorBinary, vec![2; 32]), Code::ConnectorRevoked),
        (
            |home| {
                let key = home.node.zone_key(&work()).expect("a key").key_id();
                (RevocationScope::ZoneKey, key.as_bytes().to_vec())
            },
            Code::ZoneKeyRevoked,
        ),
    ];
    for (target, expected) in cases {
        let (mut home, _) = Home::with_grant();
        let (scope, target) = target(&home);
        home.revoke(scope, &target);
        assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), expected);
    }
}

//= docs/spec/calls.md#unknown-outcomes
//= docs/spec/calls.md#outcomes
//= docs/spec/stdio.md#effects
#[test]
fn an_unknown_outcome_is_never_repeated_until_it_is_settled() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.touch", READ, Some("k"));
    let unknown =
        Outcome::Unknown { code: Code::ConnectorTimeout, message: "no answer".into(), usage: usage() };
    let answer = home.invoke_with(call.clone(), unknown).expect("a receipt");
    let Answer::Called(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.outcome, answer.effect), (CallOutcome::Unknown, Effect::Unknown));
    assert_eq!(code(home.invoke(call.clone(), "{}")), Code::OutcomeUnknown);
    let intent = *home.node.unsettled().next().expect("an intent");
    let settle = Request::Settle { intent, effect: Effect::None, note: None, actor: "op".into() };
    home.ask(settle).expect("a settlement");
    home.invoke(call, "{}").expect("nothing happened, so it may be tried");
}

//= docs/spec/calls.md#outcomes
#[test]
fn an_output_with_an_effect_in_doubt_waits_for_its_settlement_too() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.touch", READ, Some("k"));
    let doubtful = Outcome::Succeeded { output: "{}".into(), effect: Effect::Unknown, usage: usage() };
    home.invoke_with(call.clone(), doubtful).expect("a receipt");
    assert_eq!(home.node.unsettled().count(), 1);
    assert_eq!(code(home.invoke(call, "{}")), Code::OutcomeUnknown);
}

#[test]
fn a_call_that_was_not_delivered_gives_everything_back() {
    let mut home = Home::new();
    home.grant(Constraints { max_calls: Some(1), ..everything() });
    let filed = file(&mut home, "notes.put", WRITE, Some("k"));
    home.approve(&filed);
    let call = home.call("notes.put", WRITE, Some("k"));
    let lost = Outcome::NotDelivered { code: Code::ConnectorUnavailable, message: "no process".into() };
    let answer = home.invoke_with(call.clone(), lost).expect("a receipt");
    assert!(matches!(answer, Answer::Called(answer) if answer.effect == Effect::None));
    home.invoke(call, "{}").expect("key, approval and call are free again");
}

#[test]
fn pools_refuse_what_exceeds_them() {
    let (mut home, _) = Home::with_grant();
    for _ in 0..5 {
        home.invoke(home.call("notes.touch", READ, None), "{}").expect("within the pool");
    }
    let refused = home.invoke(home.call("notes.touch", READ, None), "{}").expect_err("a refusal");
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after_ms.is_some_and(|ms| ms > 0));
    home.pass(60);
    home.invoke(home.call("notes.touch", READ, None), "{}").expect("the pool has refilled");
}

#[test]
fn a_full_disk_refuses_calls_and_still_admits_revocations() {
    let (mut home, grant) = Home::with_grant();
    home.disk_answers = false;
    let call = home.call("notes.touch", READ, Some("k"));
    let refused = home.send(Request::Invoke(call.clone()));
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(refused)), Code::StoreFull);
    assert!(home.dispatched.is_empty());
    home.disk_answers = true;
    home.invoke(call.clone(), "{}").expect("nothing of the refused call is left");
    home.revoke(RevocationScope::Capability, grant.as_bytes());
    home.restart();
    let call = home.call("notes.touch", READ, Some("k3"));
    assert_eq!(code(home.invoke(call, "{}")), Code::GrantRevoked);
}

#[test]
fn a_failed_write_seals_the_node() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let lost = home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    home.disk(Completion::Failed);
    assert_eq!(code(home.take(lost)), Code::StoreFailed);
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::StoreFailed);
    assert!(home.dispatched.is_empty());
}

#[test]
fn a_restart_forgets_nothing() {
    let (mut home, _) = Home::with_grant();
    let filed = file(&mut home, "notes.put", WRITE, Some("k1"));
    home.approve(&filed);
    let put = home.call("notes.put", WRITE, Some("k1"));
    let made = home.invoke(put, r#"{"ok":true}"#).expect("the approved call");
    home.invoke(home.call("notes.comments", READ, None), "{}").expect("a read");
    // A call that is dispatched when the node dies.
    let touch = home.call("notes.get", READ, Some("k9"));
    home.send(Request::Invoke(touch));
    home.run();
    assert_eq!(home.dispatched.len(), 1);

    home.restart();
    let put = home.call("notes.put", WRITE, Some("k1"));
    assert_eq!(home.invoke_with(put, succeeded("{}")), Ok(Answer::Replayed { receipt: made.receipt }));
    let write = home.call("notes.put", WRITE, Some("k2"));
    assert_eq!(code(home.invoke(write, "{}")), Code::TaintViolation, "what was read is still known");
    let orphan = home.call("notes.get", READ, Some("k9"));
    assert_eq!(code(home.invoke(orphan, "{}")), Code::OutcomeUnknown);
}

#[test]
fn an_approval_that_a_failed_call_spent_stays_spent_after_a_restart() {
    let (mut home, _) = Home::with_grant();
    let filed = file(&mut home, "notes.put", WRITE, Some("k"));
    home.approve(&filed);
    let call = home.call("notes.put", WRITE, Some("k"));
    let failed = Outcome::Failed {
        code: Code::UpstreamFailed,
        message: "no".into(),
        effect: Effect::None,
        usage: Usage { requests: 0, ..usage() },
        retry_after_ms: None,
    };
    home.invoke_with(call.clone(), failed).expect("a receipt");
    // What the failure told would otherwise change the labels that the approval binds.
    let fresh = Request::OpenContext { principal: agent(), actor: "op".into() };
    home.ask(fresh).expect("a fresh context");
    assert_eq!(code(home.invoke(call, "{}")), Code::ApprovalUsed);
    home.restart();
    let call = home.call("notes.put", WRITE, Some("k"));
    assert_eq!(code(home.invoke(call, "{}")), Code::ApprovalUsed);
}

#[test]
fn a_cancelled_call_that_was_not_dispatched_has_no_effect() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let call = home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    let (call_id, _) =
        home.node.calls_under_way().next().map(|(id, who)| (*id, who.clone())).expect("a call");
    home.send(Request::Cancel { call_id, by: Canceller::Session(home.session) });
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty());
    let answer = home.take(call).expect("a receipt");
    assert!(
        matches!(answer, Answer::Called(answer) if answer.error.as_ref().is_some_and(|(it, _)| *it == Code::Cancelled))
    );
}

#[test]
fn a_stranger_cannot_cancel_grant_or_decide() {
    let (mut home, _) = Home::with_grant();
    let fields = home::grant_fields(everything(), home.now);
    let forged = home::sign(&work(), home.now, fields, &home.keys.agent);
    let request = Request::Admit { object: Box::new(forged.into()), actor: "ada".into() };
    assert_eq!(code(home.ask(request)), Code::NotPermitted);
    let filed = file(&mut home, "notes.put", WRITE, Some("k"));
    let forged = home::sign(&work(), home.now, approval(&filed, home.now), &home.keys.agent);
    let request = Request::Admit { object: Box::new(forged.into()), actor: "ada".into() };
    assert_eq!(code(home.ask(request)), Code::NotPermitted);
    home.approve(&filed);
    assert_eq!(code(home.try_operate(&work(), approval(&filed, home.now))), Code::Conflict, "decided once");
}

#[test]
fn a_token_outlives_neither_its_grant_nor_its_zone_policy() {
    let (mut home, _) = Home::with_grant();
    home.invoke(home.call("notes.get", READ, None), "{}").expect("in time");
    home.pass(3_600);
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::GrantExpired);
}

#[test]
fn a_policy_change_takes_force_at_once() {
    let (mut home, _) = Home::with_grant();
    let mut policy = home::policy(2);
    policy.denied_operations = vec!["notes.g*".into()];
    home.operate(&work(), policy.clone());
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::ZonePolicyDenied);
    assert_eq!(code(home.try_operate(&work(), policy)), Code::Conflict, "versions rise");
}
