//! Calls of unknown outcome that the declared read settles, or leaves as they are.

use crate::authority::delegation;
use crate::home::{self, Home, usage, work, zone};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{
    AnyObject, CredentialRecord, Effect, OperatorRight, OutcomeProbe, RevocationScope, SettledBy, Settlement,
    StoredObject,
};
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::node::{Answer, CallRequest, DoubtfulCall, Failure, Outcome, Request, Verdict};
use fcp_state_machines::persist::{Completion, Refusal};

const TOUCH: &str = r#"{"note":"a"}"#;
/// What the service says once the note was touched, and before.
const DONE: &str = r#"{"touched":["b","a"]}"#;
const NOT_DONE: &str = r#"{"touched":["b"]}"#;
/// How long `none` proves nothing, in seconds.
const DELAY: u64 = 10;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

/// The notes connector whose marks are settled by a read.
fn manifest() -> String {
    let pools = "rate_pools = [\"touches\"]\n";
    let settling = r#"probe = "notes.get"
[operations."notes.touch".settling]
input = { note = "{note}" }
made = [{ at = "/touched/*", has = "{note}" }]
none = [{ at = "/touched/*", lacks = "{note}" }]
none_after_ms = 10000
"#;
    include_str!("home/notes.toml").replacen(pools, &format!("{pools}{settling}"), 1)
}

fn touch(home: &Home) -> CallRequest {
    home.call("notes.touch", TOUCH, Some("k"))
}

/// A home with a call of unknown outcome.
fn in_doubt() -> (Home, ObjectId) {
    let (mut home, _) = Home::with_grant();
    home.pass(1);
    home.install_from(manifest().as_bytes());
    lose(&mut home);
    let intent = *home.node.unsettled().next().expect("an intent");
    (home, intent)
}

fn lose(home: &mut Home) {
    let lost = Outcome::Unknown { code: Code::ConnectorTimeout, message: "no answer".into(), usage: usage() };
    home.invoke_with(touch(home), lost).expect("a receipt");
}

fn stored(home: &Home, id: ObjectId) -> AnyObject {
    let record = home.journal.iter().find(|record| record.id == id).expect("a record");
    AnyObject::open(&StoredObject::from_bytes(&record.bytes).expect("an object")).expect("a kind")
}

fn doubtful(home: &Home, intent: ObjectId) -> DoubtfulCall {
    let AnyObject::OperationIntent(intent) = stored(home, intent) else { panic!("an intent") };
    let AnyObject::CallRecord(record) = stored(home, intent.body.fields.request) else { panic!("a record") };
    DoubtfulCall { intent, record }
}

fn order(home: &Home, operator: &str, intent: ObjectId) -> Request {
    let fields = OutcomeProbe { operator: operator.parse().expect("a name"), intent };
    let probe = Box::new(home::sign(&work(), home.now, fields, &home.keys.operator));
    Request::ProbeOutcome { probe, doubtful: Box::new(doubtful(home, intent)), actor: "op".into() }
}

/// Has the operator ask; the service answers the read with `outcome`.
fn probe_with(home: &mut Home, request: Request, outcome: &Outcome) -> Result<Verdict, Failure> {
    let id = home.send(request);
    home.run();
    while let Some(dispatch) = home.dispatched.pop_front() {
        assert_eq!(
            (dispatch.authorized.operation().as_str(), dispatch.authorized.input()),
            ("notes.get", TOUCH)
        );
        assert_eq!(dispatch.authorized.principal().as_str(), "op");
        assert_eq!(dispatch.credentials.len(), 1);
        home.node.handle_outcome(dispatch.call_id, outcome.clone(), home.now);
        home.run();
    }
    let answer = home.take(id)?;
    let Answer::Probed { verdict, .. } = answer else { panic!("{answer:?}") };
    Ok(verdict)
}

fn probe(home: &mut Home, intent: ObjectId, answer: &str) -> Result<Verdict, Failure> {
    let request = order(home, "op", intent);
    let output = Outcome::Succeeded { output: answer.into(), effect: Effect::None, usage: usage() };
    let said = probe_with(home, request, &output);
    home.pass(1);
    said
}

fn settlement(home: &Home, verdict: Verdict) -> Settlement {
    let Verdict::Settled { settlement, effect } = verdict else { panic!("{verdict:?}") };
    let AnyObject::Settlement(it) = stored(home, settlement) else { panic!("a settlement") };
    assert_eq!(it.body.fields.effect, effect);
    it.body.fields
}

fn unclear(verdict: Result<Verdict, Failure>) -> String {
    match verdict {
        Ok(Verdict::Unclear(why)) => why,
        other => panic!("{other:?}"),
    }
}

//= docs/spec/calls.md#probing
#[test]
fn an_effect_that_the_read_finds_settles_the_call_as_made() {
    let (mut home, intent) = in_doubt();
    let verdict = probe(&mut home, intent, DONE).expect("an answer");
    let settled = settlement(&home, verdict);
    assert_eq!(
        (settled.intent, settled.effect, settled.settled_by),
        (intent, Effect::Made, SettledBy::Probe)
    );
    assert_eq!(home.node.unsettled().count(), 0);
    let again = home.invoke_with(touch(&home), home::succeeded("{}")).expect("known");
    assert!(matches!(again, Answer::Replayed { .. }), "{again:?}");
    home.restart();
    assert_eq!(home.node.unsettled().count(), 0);
}

//= docs/spec/calls.md#probing
#[test]
fn an_effect_that_is_not_there_settles_the_call_as_none_once_nothing_can_land_any_more() {
    let (mut home, intent) = in_doubt();
    home.pass(DELAY - 2);
    let why = unclear(probe(&mut home, intent, NOT_DONE));
    assert!(why.contains("ask again in 2 s"), "{why}");
    assert_eq!(code(home.invoke(touch(&home), "{}")), Code::OutcomeUnknown);
    home.pass(1);
    let verdict = probe(&mut home, intent, NOT_DONE).expect("an answer");
    assert_eq!(settlement(&home, verdict).effect, Effect::None);
    home.invoke(touch(&home), "{}").expect("nothing happened, so it may be tried");
}

/// A killed daemon tells nothing of when its call ended: what was sent may land for a while after the next start.
//= docs/spec/calls.md#probing
#[test]
fn the_delay_begins_again_at_a_restart() {
    let (mut home, intent) = in_doubt();
    home.pass(DELAY);
    home.restart();
    unclear(probe(&mut home, intent, NOT_DONE));
    home.pass(DELAY);
    let verdict = probe(&mut home, intent, NOT_DONE).expect("an answer");
    assert_eq!(settlement(&home, verdict).effect, Effect::None);
}

#[test]
fn a_read_that_fails_or_says_nothing_leaves_the_call_unknown() {
    let (mut home, intent) = in_doubt();
    home.pass(DELAY);
    for answer in ["{}", r#"{"touched":"a"}"#, r#"{"touched":[1]}"#] {
        unclear(probe(&mut home, intent, answer));
    }
    let failed = Outcome::Failed {
        code: Code::UpstreamUnauthorized,
        message: "who are you".into(),
        effect: Effect::None,
        usage: usage(),
        retry_after_ms: None,
    };
    let request = order(&home, "op", intent);
    let why = unclear(probe_with(&mut home, request, &failed));
    assert!(why.contains("who are you"), "{why}");
    assert_eq!(*home.node.unsettled().next().expect("it waits"), intent);
    assert_eq!(code(home.invoke(touch(&home), "{}")), Code::OutcomeUnknown);
}

//= docs/spec/calls.md#probing
#[test]
fn the_read_passes_the_whole_gate() {
    let (mut home, intent) = in_doubt();
    let policy = fcp_proto_core::object::ZonePolicy {
        denied_operations: vec!["notes.get".parse().expect("a pattern")],
        ..home::policy(2)
    };
    home.operate(&work(), policy);
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::ZonePolicyDenied);
    home.operate(&work(), home::policy(3));
    let gone = CredentialRecord { removed: true, version: 2, ..home::credential("main") };
    home.operate(&work(), gone);
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::CredentialMissing);
    home.operate(&work(), CredentialRecord { version: 3, ..home::credential("main") });
    home.revoke(RevocationScope::ConnectorBinary, &[2; 32]);
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::ConnectorRevoked);
    assert_eq!(home.node.unsettled().count(), 1);
}

#[test]
fn it_needs_the_right_to_approve_and_serves_once() {
    let (mut home, intent) = in_doubt();
    let output = Outcome::Succeeded { output: DONE.into(), effect: Effect::None, usage: usage() };
    let foreign = order(&home, "ada", intent);
    assert_eq!(code(probe_with(&mut home, foreign, &output)), Code::NotPermitted, "it names another");
    home.pass(1);
    let narrow = delegation(&home, &[OperatorRight::Grant]);
    let narrow = home::sign(&zone("z:owner"), home.now, narrow, &home.keys.owner);
    home.ask(Request::Admit { object: Box::new(narrow.into()), actor: "owner".into() })
        .expect("the owner may");
    home.pass(1);
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::NotPermitted, "it needs the right");
    let whole = delegation(&home, OperatorRight::ALL);
    let whole = home::sign(&zone("z:owner"), home.now, whole, &home.keys.owner);
    home.ask(Request::Admit { object: Box::new(whole.into()), actor: "owner".into() })
        .expect("the owner may");
    home.pass(1);
    let words = [order(&home, "op", intent), order(&home, "op", intent)];
    let said = words.map(|word| {
        probe_with(
            &mut home,
            word,
            &Outcome::NotDelivered { code: Code::ConnectorUnavailable, message: "no process".into() },
        )
    });
    let [first, second] = said;
    unclear(first);
    assert_eq!(code(second), Code::Conflict, "a word serves once");
}

#[test]
fn what_is_known_or_declares_no_read_is_not_probed() {
    let (mut home, intent) = in_doubt();
    home.install_from(include_bytes!("home/notes.toml"));
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::ConnectorChanged);
    home.install_from(manifest().as_bytes());
    probe(&mut home, intent, DONE).expect("an answer");
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::NotFound);

    let (mut home, _) = Home::with_grant();
    lose(&mut home);
    let intent = *home.node.unsettled().next().expect("an intent");
    assert_eq!(code(probe(&mut home, intent, DONE)), Code::OperationUnknown);
}

#[test]
fn a_call_is_settled_once_whoever_is_first() {
    let (mut home, intent) = in_doubt();
    let asked = order(&home, "op", intent);
    let asked = home.send(asked);
    home.run();
    let by_hand = Request::Settle { intent, effect: Effect::None, note: None, actor: "op".into() };
    home.ask(by_hand).expect("a settlement");
    let dispatch = home.dispatched.pop_front().expect("the read");
    let output = Outcome::Succeeded { output: DONE.into(), effect: Effect::None, usage: usage() };
    home.node.handle_outcome(dispatch.call_id, output, home.now);
    home.run();
    let answer = home.take(asked);
    assert!(matches!(answer, Ok(Answer::Probed { verdict: Verdict::Unclear(_), .. })), "{answer:?}");
}

//= docs/spec/calls.md#the-room-for-a-receipt
#[test]
fn a_disk_that_is_full_still_takes_what_the_read_settles() {
    let (mut home, intent) = in_doubt();
    let asked = order(&home, "op", intent);
    let asked = home.send(asked);
    home.run();
    home.disk_answers = false;
    let dispatch = home.dispatched.pop_front().expect("the read");
    let output = Outcome::Succeeded { output: DONE.into(), effect: Effect::None, usage: usage() };
    home.node.handle_outcome(dispatch.call_id, output, home.now);
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    home.disk(Completion::Durable);
    let answer = home.take(asked);
    assert!(matches!(answer, Ok(Answer::Probed { verdict: Verdict::Settled { .. }, .. })), "{answer:?}");
    assert_eq!(home.node.unsettled().count(), 0);
}

/// What the call was made from may be more secret than its connector's readers: it does not leave by the question.
//= docs/spec/calls.md#probing
#[test]
fn the_question_is_as_secret_as_the_call_in_doubt() {
    let (mut home, _) = Home::with_grant();
    home.pass(1);
    home.install_from(manifest().as_bytes());
    home.invoke(home.call("notes.get", TOUCH, None), "{}").expect("a read");
    lose(&mut home);
    let intent = *home.node.unsettled().next().expect("an intent");
    let label = doubtful(&home, intent).intent.body.fields.input_label;
    assert_ne!(label.confidentiality, Level::NONE, "the agent has read a note");
    let word = order(&home, "op", intent);
    home.send(word);
    home.run();
    let dispatch = home.dispatched.pop_front().expect("the read");
    assert_eq!(*dispatch.authorized.input_label(), label);
}

#[test]
fn a_call_that_is_not_as_it_was_stored_is_not_asked_about() {
    let (mut home, intent) = in_doubt();
    let mut forged = doubtful(&home, intent);
    forged.intent.body.fields.input_label = Label::default();
    let mut other = doubtful(&home, intent);
    other.record.body.input = r#"{"note":"b"}"#.into();
    for doubtful in [forged, other] {
        home.pass(1);
        let Request::ProbeOutcome { probe, actor, .. } = order(&home, "op", intent) else {
            panic!("a probe")
        };
        let word = Request::ProbeOutcome { probe, actor, doubtful: Box::new(doubtful) };
        let output = Outcome::Succeeded { output: DONE.into(), effect: Effect::None, usage: usage() };
        assert_eq!(code(probe_with(&mut home, word, &output)), Code::Internal);
    }
}
