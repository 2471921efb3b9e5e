//! Approvals that a call names: exactly these are spent.

use crate::home::{self, Home, agent};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalKind, Effect, GateCheck, RevocationScope, Usage};
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{Answer, CallRequest, Failure, FiledApproval, Outcome, Request};

const WRITE: &str = r#"{"note":"a","text":"hello"}"#;
const OTHER: &str = r#"{"note":"b","text":"hello"}"#;

fn file(home: &mut Home, input: &str) -> FiledApproval {
    let call = home.call("notes.put", input, Some("k"));
    match home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }) {
        Ok(Answer::Filed(filed)) => filed,
        other => panic!("{other:?}"),
    }
}

/// Nobody is asked for what could not happen anyway.
//= docs/spec/calls.md#approvals
#[test]
fn what_no_approval_could_permit_is_refused_as_it_is_and_not_filed() {
    let mut home = Home::new();
    let refused = |home: &mut Home| {
        let call = home.call("notes.put", WRITE, Some("k"));
        home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }).expect_err("a refusal").code
    };
    assert_eq!(refused(&mut home), Code::OperationNotGranted);
    let elsewhere = "notes:note/b".parse().expect("a pattern");
    home.grant(Constraints { resource_allow: vec![elsewhere], ..home::everything() });
    assert_eq!(refused(&mut home), Code::ResourceNotAllowed);
    home.grant(home::everything());
    file(&mut home, WRITE);
}

/// A home, and two approvals of one call.
fn approved_twice() -> (Home, [ObjectId; 2]) {
    let (mut home, _) = Home::with_grant();
    let filed = [file(&mut home, WRITE), file(&mut home, WRITE)];
    let both = filed.map(|filed| home.approve(&filed));
    (home, both)
}

fn naming(home: &Home, named: &[ObjectId]) -> CallRequest {
    CallRequest { approvals: named.iter().copied().collect(), ..home.call("notes.put", WRITE, Some("k")) }
}

fn refused(home: &mut Home, named: &[ObjectId]) -> Failure {
    home.invoke(naming(home, named), "{}").expect_err("a refusal")
}

#[test]
fn the_named_approval_is_spent_and_no_other() {
    for chosen in [0, 1] {
        let (mut home, both) = approved_twice();
        home.invoke(naming(&home, &[both[chosen]]), "{}").expect("it is of this call");
        let known = |id| home.node.approvals().decision(id).expect("a decision");
        assert!(known(&both[chosen]).spent_by.is_some());
        assert!(known(&both[1 - chosen]).spent_by.is_none());
    }
}

#[test]
fn a_foreign_approval_is_told_as_one_that_nobody_knows() {
    let (mut home, _) = approved_twice();
    let other = file(&mut home, OTHER);
    let other = home.approve(&other);
    let unknown = ObjectId::from_bytes([9; 32]);
    let told = |home: &mut Home, id: ObjectId| {
        let failure = refused(home, &[id]);
        (failure.code, failure.check, failure.message.replace(&id.to_string(), "ID"))
    };
    let foreign = told(&mut home, other);
    assert_eq!(foreign, told(&mut home, unknown), "nobody learns which approvals there are");
    assert_eq!((foreign.0, foreign.1), (Code::ApprovalMismatch, Some(GateCheck::Approval)));
    assert!(home.dispatched.is_empty());
}

#[test]
fn an_approval_that_cannot_serve_is_refused_though_another_could() {
    let (mut home, [first, second]) = approved_twice();
    assert_eq!(refused(&mut home, &[first, second]).code, Code::Conflict, "one of them is not needed");
    home.revoke(RevocationScope::Capability, first.as_bytes());
    assert_eq!(refused(&mut home, &[first]).code, Code::ApprovalInvalid);
    home.pass(601);
    let late = file(&mut home, WRITE);
    let late = home.approve(&late);
    assert_ne!(refused(&mut home, &[second]).code, Code::ApprovalRequired, "it is over, and not replaced");
    home.invoke(naming(&home, &[late]), "{}").expect("the later one serves");
}

#[test]
fn a_spent_approval_serves_no_second_call() {
    let (mut home, [first, _]) = approved_twice();
    let failed = Outcome::Failed {
        code: Code::UpstreamFailed,
        message: "no".into(),
        effect: Effect::None,
        usage: Usage { requests: 0, ..home::usage() },
        retry_after_ms: None,
    };
    home.invoke_with(naming(&home, &[first]), failed).expect("a receipt");
    // What the failure told would otherwise change the labels that the approval binds.
    home.ask(Request::OpenContext { principal: agent(), actor: "op".into() }).expect("a fresh context");
    assert_eq!(refused(&mut home, &[first]).code, Code::ApprovalUsed, "though the other would serve");
    home.invoke(naming(&home, &[]), "{}").expect("the other serves where none is named");
    let again = home.invoke_with(naming(&home, &[first]), home::succeeded("{}"));
    assert!(matches!(again, Ok(Answer::Replayed { .. })), "a repeated call spends nothing: {again:?}");
}

#[test]
fn an_approval_is_not_wasted_on_a_call_that_needs_none() {
    let (mut home, [first, _]) = approved_twice();
    let call = CallRequest { approvals: [first].into(), ..home.call("notes.get", r#"{"note":"a"}"#, None) };
    let failure = home.invoke(call, "{}").expect_err("it is of another call");
    assert_eq!(failure.code, Code::ApprovalMismatch);
}

#[test]
fn a_simulation_names_the_call_that_an_approval_binds() {
    let (mut home, _) = Home::with_grant();
    let filed = file(&mut home, WRITE);
    let call = home.call("notes.put", WRITE, Some("k"));
    let Ok(Answer::Simulated { refused, approvals, bound: Some(bound), .. }) =
        home.ask(Request::Simulate(call))
    else {
        panic!("what its approval would bind is told")
    };
    assert_eq!(refused.map(|it| it.code), Some(Code::ApprovalRequired));
    assert_eq!(approvals, [ApprovalKind::Execution]);
    assert_eq!(bound.call_digest, filed.request.call_digest);
    assert_eq!(bound.input_label, home.node.context(&agent()).expect("an agent").label);
    let call = home.call("notes.put", r#"{"text":"hello"}"#, Some("k"));
    let Ok(Answer::Simulated { bound, .. }) = home.ask(Request::Simulate(call)) else { panic!("an answer") };
    assert_eq!(bound, None, "what it touches cannot be told");
}
