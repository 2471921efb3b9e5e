//! What a node refuses in its own name, and where: credentials, keys, bounds, changes before dispatch, the clock.

use crate::home::{self, Home, agent, everything, usage, work};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{
    AnyObject, CredentialRecord, Effect, GateCheck, RevocationScope, StoredObject, ZonePolicy,
};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::{Risk, SafetyTier};
use fcp_state_machines::node::{
    Answer, CallLimits, CallRequest, ClockState, Failure, Outcome, Request, RequestId,
};
use fcp_state_machines::persist::Completion;

const READ: &str = r#"{"note":"a"}"#;

fn refusal(result: Result<impl std::fmt::Debug, Failure>) -> Failure {
    result.expect_err("a refusal")
}

/// A credential for the notes, stored or removed.
pub(crate) fn credential(name: &str, removed: bool) -> CredentialRecord {
    CredentialRecord {
        credential: name.parse().expect("a credential"),
        connector: "notes".parse().expect("a connector"),
        slot: "token".into(),
        kind: "bearer".into(),
        hosts: vec!["api.notes.example".into()],
        version: 2,
        removed,
    }
}

/// A refusal by this check with this code, which stands in the journal.
fn receipted(home: &mut Home, call: CallRequest, check: GateCheck, code: Code) {
    let failure = refusal(home.invoke(call, "{}"));
    assert_eq!((failure.check, failure.code), (Some(check), code));
    let receipt = failure.receipt.expect("a signed refusal");
    assert!(home.journal.iter().any(|record| record.id == receipt), "it is durable");
}

//= docs/spec/gate.md#11-constraints
#[test]
fn a_credential_that_is_not_there_is_refused_in_its_place_with_a_receipt() {
    let (mut home, _) = Home::with_grant();
    home.operate(&work(), credential("second", false));
    let call = home.call("notes.get", READ, None);
    let mut named = call.clone();
    named.credential = Some("second".parse().expect("a credential"));
    receipted(&mut home, named.clone(), GateCheck::Constraints, Code::CredentialNotAllowed);
    named.credential = Some("no-such".parse().expect("a credential"));
    // The same answer as for one that exists and is not allowed.
    receipted(&mut home, named, GateCheck::Constraints, Code::CredentialNotAllowed);
    for name in ["main", "second"] {
        home.operate(&work(), credential(name, true));
    }
    receipted(&mut home, call, GateCheck::Constraints, Code::CredentialMissing);

    let mut several = Home::new();
    several.operate(&work(), credential("second", false));
    let both = ["main", "second"].map(|name| name.parse().expect("a credential")).into();
    several.grant(Constraints { credential_allow: both, ..everything() });
    let call = several.call("notes.get", READ, None);
    receipted(&mut several, call, GateCheck::Constraints, Code::Ambiguous);

    let mut stranger = Home::new();
    stranger.operate(&work(), credential("main", true));
    let call = stranger.call("notes.get", READ, None);
    receipted(&mut stranger, call, GateCheck::Grants, Code::OperationNotGranted);
}

//= docs/spec/gate.md#1-decode
//= docs/spec/gate.md#the-gate
#[test]
fn a_text_that_is_no_key_is_refused_by_check_1_and_not_written() {
    let (mut home, _) = Home::with_grant();
    let written = home.journal.len();
    for text in ["", "a b", "\u{e9}", &"k".repeat(256)] {
        let call = home.call("notes.touch", READ, Some(text));
        let failure = refusal(home.invoke(call, "{}"));
        assert_eq!((failure.check, failure.code), (Some(GateCheck::Decode), Code::OutOfRange), "{text:?}");
        assert_eq!(failure.receipt, None);
    }
    assert_eq!(home.journal.len(), written);
}

fn unknown() -> Outcome {
    Outcome::Unknown { code: Code::ConnectorTimeout, message: "no".into(), usage: usage() }
}

//= docs/spec/calls.md#bounds
#[test]
fn calls_under_way_are_bounded_exactly() {
    let (mut home, _) = Home::with_grant();
    home.node.set_limits(CallLimits { calls: 3, call_secs: 2 });
    let burst: Vec<RequestId> =
        (0..4).map(|_| home.send(Request::Invoke(home.call("notes.get", READ, None)))).collect();
    home.run();
    // One principal has half of them, rounded up.
    assert_eq!(home.dispatched.len(), 2);
    assert!(home.dispatched.iter().all(|dispatch| dispatch.timeout_ms == 2_000), "{:?}", home.dispatched);
    let failure = refusal(home.take(burst[2]));
    assert_eq!((failure.check, failure.code), (Some(GateCheck::Rates), Code::Exhausted));
    assert!(failure.receipt.is_some() && failure.retry_after_ms.is_none());
    home.node.set_limits(CallLimits { calls: 2, call_secs: 2 });
    receipted_bound(&mut home, "2 calls are under way");
    let ended = home.dispatched.pop_front().expect("a call");
    home.node.handle_outcome(ended.call_id, home::succeeded("{}"), home.now);
    home.run();
    home.node.set_limits(CallLimits { calls: 4, call_secs: 2 });
    home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    assert_eq!(home.dispatched.len(), 2, "an end makes room");
}

fn receipted_bound(home: &mut Home, rule: &str) {
    let id = home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    let failure = refusal(home.take(id));
    assert_eq!((failure.check, failure.code), (Some(GateCheck::Rates), Code::Exhausted));
    assert!(failure.message.contains(rule), "{}", failure.message);
}

//= docs/spec/calls.md#bounds
#[test]
fn unknown_outcomes_are_bounded_and_none_is_forgotten() {
    let (mut home, _) = Home::with_grant();
    for _ in 0..1_000 {
        home.invoke_with(home.call("notes.get", READ, None), unknown()).expect("a receipt");
    }
    receipted_bound(&mut home, "an operator must settle");
    assert_eq!(home.node.unsettled().count(), 1_000);
    let intent = *home.node.unsettled().next().expect("an intent");
    let settle = Request::Settle { intent, effect: Effect::None, note: None, actor: "op".into() };
    home.ask(settle).expect("a settlement");
    home.invoke(home.call("notes.get", READ, None), "{}").expect("a settlement makes room");
}

/// The zone's next policy.
fn next_policy(home: &Home, change: fn(&mut ZonePolicy)) -> ZonePolicy {
    let version = home.node.authority().zone(&work()).expect("a zone").1.version + 1;
    let mut policy = home::policy(version);
    change(&mut policy);
    policy
}

/// Has the operator sign `fields` and the node take it; it takes force once the disk answers.
fn admit<T: fcp_proto_core::object::SignedBody>(home: &mut Home, fields: T)
where
    fcp_proto_core::object::AnyObject:
        From<fcp_proto_core::object::Object<fcp_proto_core::object::Signed<T>>>,
{
    let object = home::sign(&work(), home.now, fields, &home.keys.operator);
    home.send(Request::Admit { object: Box::new(object.into()), actor: "op".into() });
    home.run();
}

/// Makes a call that is decided before `change` takes force and durable after it; why it was not delivered.
fn overtaken(home: &mut Home, name: &str, change: impl FnOnce(&mut Home)) -> Code {
    home.disk_answers = false;
    change(home);
    let id = home.send(Request::Invoke(home.call(name, READ, Some("k"))));
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty(), "it does not leave");
    home.disk_answers = true;
    let Ok(Answer::Called(answer)) = home.take(id) else { panic!("a receipt") };
    assert_eq!(answer.effect, Effect::None);
    answer.error.expect("a reason").0
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_policy_tightened_before_dispatch_stops_the_call_and_gives_everything_back() {
    type Tighten = fn(&mut ZonePolicy);
    let cases: [(Tighten, Code); 6] = [
        (|it| it.denied_operations = vec!["notes.t*".into()], Code::ZonePolicyDenied),
        (|it| it.connectors.clear(), Code::ZonePolicyDenied),
        (|it| it.max_tier = SafetyTier::Safe, Code::RiskAboveCeiling),
        (|it| (it.max_risk, it.max_tier) = (Risk::Low, SafetyTier::Safe), Code::RiskAboveCeiling),
        (|it| it.max_token_secs = 899, Code::ZonePolicyDenied),
        (|it| it.max_grant_secs = 3_599, Code::ZonePolicyDenied),
    ];
    for (tighten, expected) in cases {
        let mut home = Home::new();
        home.grant(Constraints { max_calls: Some(1), ..everything() });
        let policy = next_policy(&home, tighten);
        assert_eq!(overtaken(&mut home, "notes.touch", |home| admit(home, policy)), expected);
        let policy = next_policy(&home, |_| {});
        home.operate(&work(), policy);
        home.invoke(home.call("notes.touch", READ, Some("k")), "{}").expect("key and call were given back");
    }
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_grant_that_ended_and_a_credential_that_went_stop_a_call_that_waits() {
    let mut home = Home::new();
    home.grant(everything());
    home.disk_answers = false;
    let id = home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    home.pass(3_600);
    home.disk(Completion::Durable);
    home.disk(Completion::Durable);
    let Ok(Answer::Called(answer)) = home.take(id) else { panic!("a receipt") };
    assert_eq!(answer.error.map(|(code, _)| code), Some(Code::GrantExpired));

    let (mut home, _) = Home::with_grant();
    let code = overtaken(&mut home, "notes.get", |home| admit(home, credential("main", true)));
    assert_eq!(code, Code::CredentialMissing);
}

/// What becomes of a call outside a session that waits `secs` for the disk.
fn waited(constraints: Constraints, secs: u64) -> Option<Code> {
    let mut home = Home::new();
    home.grant(constraints);
    let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
    let call = home.outside(home.call("notes.get", READ, None), token.expose(), &home.keys.agent, |_| {});
    home.disk_answers = false;
    let id = home.send(Request::Invoke(call));
    home.run();
    home.pass(secs);
    home.disk(Completion::Durable);
    if home.dispatched.pop_front().is_some() {
        return None;
    }
    home.disk(Completion::Durable);
    let Ok(Answer::Called(answer)) = home.take(id) else { panic!("a receipt") };
    assert_eq!(answer.effect, Effect::None);
    answer.error.map(|(code, _)| code)
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_call_that_waits_does_not_outlive_its_token_or_the_time_of_its_constraints() {
    let now = Home::new().now.unix;
    let short = |secs| Constraints { expires: Some(now.saturating_add(secs)), ..everything() };
    assert_eq!(waited(everything(), 899), None);
    assert_eq!(waited(everything(), 900), Some(Code::TokenExpired));
    assert_eq!(waited(short(60), 59), None);
    assert_eq!(waited(short(60), 60), Some(Code::GrantExpired));
}

//= docs/spec/calls.md#time
#[test]
fn a_clock_that_jumps_ahead_decides_nothing_and_ends_nothing() {
    let (mut home, grant) = Home::with_grant();
    let right = home.now;
    home.now.unix = right.unix.saturating_add(3_000 * 86_400);
    assert_eq!(refusal(home.invoke(home.call("notes.get", READ, None), "{}")).code, Code::ClockSuspect);
    assert!(matches!(home.node.clock(), ClockState::Suspect { .. }));
    assert_eq!(
        refusal(home.ask(Request::OpenContext { principal: agent(), actor: "op".into() })).code,
        Code::ClockSuspect
    );
    home.node.handle_timeout(home.now);
    home.run();
    home.now = right;
    home.pass(1);
    home.invoke(home.call("notes.get", READ, None), "{}").expect("neither session nor grant has ended");
    assert_eq!(home.node.clock(), ClockState::Right);

    home.now.unix = home.now.unix.saturating_add(3_000 * 86_400);
    let mut before = home.now;
    before.unix = right.unix;
    let wrong = std::mem::replace(&mut home.now, before);
    let fields = fcp_proto_core::object::RevocationObject {
        scope: RevocationScope::Capability,
        targets: vec![fcp_proto_core::encoding::cbor::ByteString(grant.as_bytes().to_vec())],
        reason: "test".into(),
        effective_at: before.unix,
        expires_at: None,
    };
    let object = home::sign(&home::zone("z:owner"), home.now, fields, &home.keys.operator);
    home.now = wrong;
    let request = Request::Admit { object: Box::new(object.into()), actor: "op".into() };
    home.ask(request).expect("what takes away goes on");
}

//= docs/spec/calls.md#time
#[test]
fn the_audit_tells_no_earlier_time_when_the_clock_is_set_back() {
    let (mut home, _) = Home::with_grant();
    let right = home.now;
    for set_back in [0, 300, 30_000] {
        home.pass(60);
        home.invoke(home.call("notes.get", READ, None), "{}").expect("a call");
        home.now.unix = right.unix.saturating_sub(set_back);
        home.invoke(home.call("notes.get", READ, None), "{}").expect("by the time that was seen");
    }
    let objects = home
        .journal
        .iter()
        .map(|record| AnyObject::open(&StoredObject::from_bytes(&record.bytes).expect("stored")));
    let events = objects.filter_map(|object| {
        let AnyObject::AuditEvent(event) = object.expect("an object") else { return None };
        (event.header.zone_id == home::zone("z:work")).then_some(event.body.occurred_at)
    });
    let times: Vec<_> = events.collect();
    assert!(times.len() > 12 && times.is_sorted(), "{times:?}");
}

//= docs/spec/calls.md#time
#[test]
fn a_wrong_clock_at_a_start_is_doubted_and_one_behind_is_told() {
    let (mut home, _) = Home::with_grant();
    let right = home.now;
    home.now.unix = right.unix.saturating_sub(86_400);
    home.restart();
    assert_eq!(home.node.clock(), ClockState::Behind { wall: home.now.unix, used: right.unix });
    home.invoke(home.call("notes.get", READ, None), "{}").expect("by the time that was seen");
}
