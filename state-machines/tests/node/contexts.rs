//! What a principal has read is part of its context before it sees it, durable or not, and nobody reads what is not its own.

use crate::home::{self, Home, agent, succeeded, usage, work};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, PrincipalId};
use fcp_proto_core::object::{AnyObject, Effect, StoredObject};
use fcp_state_machines::node::{Answer, CallAnswer, Failure, Outcome, Request, RequestId};
use fcp_state_machines::persist::Completion;

const READ: &str = r#"{"note":"a"}"#;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

/// A call of what strangers wrote that is at its connector, on a disk that answers when it is told to.
fn reading() -> (Home, RequestId, CallId) {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let request = home.send(Request::Invoke(home.call("notes.comments", READ, None)));
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    let call_id = home.dispatched.pop_front().expect("a call").call_id;
    (home, request, call_id)
}

/// A delivered call that failed, and whose error says what a stranger wrote.
fn failed() -> Outcome {
    let (code, effect) = (Code::ConnectorFailed, Effect::Made);
    Outcome::Failed {
        code,
        message: "what a stranger wrote".into(),
        effect,
        usage: usage(),
        retry_after_ms: None,
    }
}

/// The kinds that the oldest batch which waits for the disk writes.
fn kinds(home: &Home) -> Vec<&'static str> {
    let (_, batch) = home.waiting.front().expect("a batch");
    let kind = |bytes: &[u8]| match AnyObject::open(&StoredObject::from_bytes(bytes).expect("an object")) {
        Ok(AnyObject::ContextEntry(_)) => "entry",
        Ok(AnyObject::OperationReceipt(_)) => "receipt",
        Ok(AnyObject::AuditEvent(_)) => "event",
        _ => "other",
    };
    batch.records.iter().map(|record| kind(&record.bytes)).collect()
}

/// The entry and the receipt are durable together, before the caller sees anything.
//= docs/spec/labels.md#contexts
#[test]
fn what_is_read_joins_in_the_batch_of_its_receipt_and_before_it_is_shown() {
    for outcome in [succeeded("{}"), failed()] {
        let (mut home, request, call_id) = reading();
        home.node.handle_outcome(call_id, outcome, home.now);
        home.run();
        let kinds = kinds(&home);
        assert!(kinds.contains(&"entry") && kinds.contains(&"receipt"), "{kinds:?}");
        assert!(!home.answers.contains_key(&request), "nothing is shown yet");
        home.disk(Completion::Durable);
        assert!(home.answers.contains_key(&request));
    }
}

//= docs/spec/labels.md#contexts
#[test]
fn a_call_is_judged_by_what_is_being_read_before_that_is_durable() {
    let (mut home, _, call_id) = reading();
    home.node.handle_outcome(call_id, succeeded("{}"), home.now);
    home.run();
    assert!(kinds(&home).contains(&"entry"), "it is not durable");
    let simulated = home.simulate(home.call("notes.touch", READ, None));
    assert_eq!(simulated.expect_err("a refusal").code, Code::TaintViolation);
}

/// An error is no output: it is shown, and so it joins.
//= docs/spec/labels.md#contexts
#[test]
fn a_failed_call_keeps_nothing_and_its_error_taints() {
    let (mut home, _) = Home::with_grant();
    let mut read = home.call("notes.comments", READ, None);
    read.keep = true;
    let Ok(Answer::Called(CallAnswer { kept, .. })) = home.invoke_with(read, failed()) else {
        panic!("a receipt")
    };
    assert_eq!(kept, None);
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::TaintViolation);
}

/// To anybody else, and in any other zone, it is as if there were none.
//= docs/spec/labels.md#contexts
#[test]
fn a_kept_result_is_its_callers_alone() {
    let (mut home, _) = Home::with_grant();
    let mut read = home.call("notes.get", READ, None);
    read.keep = true;
    let kept = home.invoke(read, "{}").expect("a read");
    let ask = |home: &Home, zone, principal| Request::ReadKept {
        session: home.session,
        binding: home::BINDING,
        result: kept.kept.expect("a handle"),
        zone,
        principal,
        label: kept.label.clone(),
    };
    let other = PrincipalId::new("somebody-else").expect("an id");
    for (zone, principal) in [(work(), other), (home::zone("z:private"), agent())] {
        let refused = home.ask(ask(&home, zone, principal)).expect_err("not theirs");
        assert_eq!((refused.code, refused.message.as_str()), (Code::NotFound, "there is no such result"));
    }
    assert_eq!(home.ask(ask(&home, work(), agent())), Ok(Answer::Readable));
}

//= docs/spec/labels.md#contexts
#[test]
fn contexts_are_opened_one_at_a_time() {
    let (mut home, _) = Home::with_grant();
    let open = || Request::OpenContext { principal: agent(), actor: "op".into() };
    home.disk_answers = false;
    let first = home.send(open());
    let second = home.send(open());
    home.run();
    assert_eq!(code(home.take(second)), Code::Conflict);
    home.disk(Completion::Durable);
    assert!(matches!(home.take(first), Ok(Answer::Admitted(_))));
    home.disk_answers = true;
    home.ask(open()).expect("another, now");
}
