//! Outcomes that lie, contexts that race, disks that refuse, and what a restart makes of them.

use std::collections::BTreeMap;

use crate::home::{self, Home, agent, everything, succeeded, usage, work};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::object::{
    AnyObject, AuditEventKind, CallOutcome, ConnectorState, DecisionReceipt, Effect, StoredObject, Usage,
};
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{
    Answer, CallRequest, Canceller, Failure, FiledApproval, Outcome, ReplayError, Request, RequestId,
};
use fcp_state_machines::persist::{Batch, Class, Completion, Record, Refusal};
use fcp_state_machines::trust::audit::Entry;

const READ: &str = r#"{"note":"a"}"#;
const WRITE: &str = r#"{"note":"a","text":"hello"}"#;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

fn file(home: &mut Home, key: Option<&str>) -> FiledApproval {
    let call = home.call("notes.put", WRITE, key);
    match home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }) {
        Ok(Answer::Filed(filed)) => filed,
        other => panic!("{other:?}"),
    }
}

fn settle_disk(home: &mut Home) {
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
}

fn open_context() -> Request {
    Request::OpenContext { principal: agent(), actor: "op".into() }
}

fn none() -> Usage {
    Usage { requests: 0, bytes_sent: 0, bytes_received: 0, duration_ms: 0 }
}

#[test]
fn a_connector_that_lies_about_its_usage_breaks_nothing() {
    let mut home = Home::new();
    home.grant(Constraints { max_bytes: Some(1 << 40), ..everything() });
    let most = Usage { requests: u64::MAX, bytes_sent: u64::MAX, bytes_received: u64::MAX, duration_ms: 0 };
    let outcome = Outcome::Succeeded { output: "{}".into(), effect: Effect::Made, usage: most };
    home.invoke_with(home.call("notes.get", READ, None), outcome).expect("a receipt");
    let refused = code(home.invoke(home.call("notes.get", READ, None), "{}"));
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), refused);
}

#[test]
fn a_delivered_failure_gives_no_approval_back_at_a_restart() {
    let mut home = Home::new();
    home.grant(Constraints { max_calls: Some(1), ..everything() });
    let filed = file(&mut home, Some("k"));
    home.approve(&filed);
    let failed = Outcome::Failed {
        code: Code::InputInvalid,
        message: "no".into(),
        effect: Effect::None,
        usage: none(),
        retry_after_ms: None,
    };
    home.invoke_with(home.call("notes.put", WRITE, Some("k")), failed).expect("a receipt");
    let live = code(home.invoke(home.call("notes.put", WRITE, Some("k")), "{}"));
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.put", WRITE, Some("k")), "{}")), live);
}

#[test]
fn an_undelivered_call_is_given_back_after_a_restart_whatever_its_code() {
    let mut home = Home::new();
    home.grant(Constraints { max_calls: Some(1), ..everything() });
    let lost = Outcome::NotDelivered { code: Code::ConnectorFailed, message: "no process".into() };
    home.invoke_with(home.call("notes.get", READ, None), lost).expect("a receipt");
    home.restart();
    home.invoke(home.call("notes.get", READ, None), "{}").expect("the one call was not made");
}

#[test]
fn bytes_of_an_unknown_outcome_count_after_a_restart() {
    let mut home = Home::new();
    home.grant(Constraints { max_bytes: Some(100), ..everything() });
    let unknown = Outcome::Unknown { code: Code::ConnectorTimeout, message: "no".into(), usage: usage() };
    home.invoke_with(home.call("notes.get", READ, None), unknown).expect("a receipt");
    let live = code(home.invoke(home.call("notes.get", READ, None), "{}"));
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), live);
}

#[test]
fn a_success_in_doubt_can_be_settled() {
    let (mut home, _) = Home::with_grant();
    let doubt = Outcome::Succeeded { output: "{}".into(), effect: Effect::Unknown, usage: usage() };
    home.invoke_with(home.call("notes.touch", READ, Some("k")), doubt).expect("a receipt");
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, Some("k")), "{}")), Code::OutcomeUnknown);
    assert_eq!(home.node.unsettled().count(), 1);
}

#[test]
fn a_settlement_that_is_not_stored_settles_nothing() {
    let (mut home, _) = Home::with_grant();
    let unknown = Outcome::Unknown { code: Code::ConnectorTimeout, message: "no".into(), usage: usage() };
    home.invoke_with(home.call("notes.touch", READ, Some("k")), unknown).expect("a receipt");
    let intent = *home.node.unsettled().next().expect("an intent");
    let settle = |effect| Request::Settle { intent, effect, note: None, actor: "op".into() };
    home.disk_answers = false;
    let lost = home.send(settle(Effect::None));
    let second = home.send(settle(Effect::Made));
    home.run();
    assert!(home.take(second).is_err(), "it is being settled");
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(lost)), Code::StoreFull);
    home.disk_answers = true;
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, Some("k")), "{}")), Code::OutcomeUnknown);
    home.ask(settle(Effect::None)).expect("it can be settled again");
    home.invoke(home.call("notes.touch", READ, Some("k")), "{}").expect("the key is free");
}

#[test]
fn usage_in_pools_is_the_same_after_a_restart() {
    let (mut home, _) = Home::with_grant();
    let greedy = Usage { requests: 5, ..usage() };
    let outcome = Outcome::Succeeded { output: "{}".into(), effect: Effect::Made, usage: greedy };
    home.invoke_with(home.call("notes.touch", READ, None), outcome).expect("a receipt");
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::RateLimited);
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::RateLimited);

    let (mut home, _) = Home::with_grant();
    let lost = Outcome::NotDelivered { code: Code::ConnectorUnavailable, message: "no process".into() };
    for _ in 0..6 {
        home.invoke_with(home.call("notes.touch", READ, None), lost.clone()).expect("a receipt");
    }
    home.restart();
    home.invoke(home.call("notes.touch", READ, None), "{}").expect("nothing was drawn");
}

#[test]
fn a_large_output_does_not_make_a_later_taint_forgotten() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let comments = home.call("notes.comments", READ, Some("large"));
    home.send(Request::Invoke(comments));
    home.send(Request::Invoke(home.call("notes.get", READ, Some("small"))));
    home.run();
    settle_disk(&mut home);
    let (tainted, clean) =
        (home.dispatched.pop_front().expect("a call"), home.dispatched.pop_front().expect("a call"));
    // Keeps the disk busy while both end.
    home.send(open_context());
    home.run();
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(5 << 20));
    home.node.handle_outcome(clean.call_id, succeeded(&large), home.now);
    home.node.handle_outcome(tainted.call_id, succeeded(&large), home.now);
    let third = home.call("notes.get", READ, Some("third"));
    home.send(Request::Invoke(third));
    home.run();
    settle_disk(&mut home);
    home.disk_answers = true;
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::TaintViolation);
}

/// How far a chain reaches is signed with what moved it.
//= docs/spec/audit.md#heads
#[test]
fn a_batch_has_the_head_of_each_chain_that_it_moves() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    let (_, batch) = home.waiting.front().expect("the intent waits for the disk");
    let (mut ends, mut heads) = (BTreeMap::new(), BTreeMap::new());
    for record in &batch.records {
        let stored = StoredObject::from_bytes(&record.bytes).expect("a stored object");
        let object = AnyObject::open(&stored).expect("a known kind");
        if let AnyObject::AuditEvent(event) = &object {
            ends.insert(event.header.zone_id.clone(), (record.id, event.body.seq));
        } else if let AnyObject::AuditHead(head) = &object {
            assert!(home.node.authority().node(head.body.signer).is_some(), "this node signs it");
            let said = &head.body.fields;
            heads.insert(head.header.zone_id.clone(), (said.head_event, said.head_seq));
        }
    }
    assert!(!ends.is_empty(), "the call is told");
    assert_eq!(heads, ends);
}

//= docs/spec/labels.md#contexts
#[test]
fn what_arrives_while_a_context_is_opened_taints_the_new_one() {
    for early in [true, false] {
        let (mut home, _) = Home::with_grant();
        home.disk_answers = false;
        home.send(Request::Invoke(home.call("notes.comments", READ, None)));
        home.run();
        settle_disk(&mut home);
        let dispatch = home.dispatched.pop_front().expect("a call");
        if early {
            home.node.handle_outcome(dispatch.call_id, succeeded("{}"), home.now);
            home.send(open_context());
        } else {
            home.send(open_context());
            home.node.handle_outcome(dispatch.call_id, succeeded("{}"), home.now);
        }
        home.run();
        settle_disk(&mut home);
        home.disk_answers = true;
        let touch = home.call("notes.touch", READ, None);
        assert_eq!(code(home.invoke(touch, "{}")), Code::TaintViolation, "early: {early}");
        home.restart();
        let touch = home.call("notes.touch", READ, None);
        assert_eq!(code(home.invoke(touch, "{}")), Code::TaintViolation, "early: {early}, restarted");
        home.ask(open_context()).expect("another");
        home.invoke(home.call("notes.touch", READ, None), "{}").expect("fresh");
    }
}

//= docs/spec/labels.md#contexts
#[test]
fn two_openings_at_once_forget_nothing_that_was_read_between() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    home.send(open_context());
    home.send(open_context());
    home.run();
    home.disk(Completion::Durable);
    home.send(Request::Invoke(home.call("notes.comments", READ, None)));
    home.run();
    settle_disk(&mut home);
    let dispatch = home.dispatched.pop_front().expect("a call");
    home.node.handle_outcome(dispatch.call_id, succeeded("{}"), home.now);
    home.run();
    settle_disk(&mut home);
    home.disk_answers = true;
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::TaintViolation);
}

#[test]
fn an_output_is_as_little_trusted_as_declared_though_its_connector_is_gone() {
    let (mut home, _) = Home::with_grant();
    let id = home.send(Request::Invoke(home.call("notes.comments", READ, None)));
    home.run();
    let dispatch = home.dispatched.pop_front().expect("a call");
    let connector = "notes".parse().expect("an id");
    home.operate(&work(), ConnectorState { connector, enabled: false, removed: true, reason: None });
    home.node.handle_outcome(dispatch.call_id, succeeded("{}"), home.now);
    home.run();
    let Ok(Answer::Called(answer)) = home.take(id) else { panic!("a receipt") };
    assert!(!answer.label.taints.is_empty(), "{:?}", answer.label);
}

/// A call that is dispatched, on a disk that answers when it is told to.
fn dispatched(home: &mut Home, call: CallRequest) -> (RequestId, CallId) {
    home.disk_answers = false;
    let request = home.send(Request::Invoke(call));
    home.run();
    let claims: u64 = home.waiting.iter().map(|(_, batch)| batch.space.claims).sum();
    assert!(claims > 0, "an intent claims the space of its receipt");
    settle_disk(home);
    (request, home.dispatched.pop_front().expect("a call").call_id)
}

//= docs/spec/calls.md#the-room-for-a-receipt
#[test]
fn a_disk_that_fills_in_the_middle_of_a_call_still_takes_its_receipt() {
    let (mut home, grant) = Home::with_grant();
    let mut call = home.call("notes.touch", READ, Some("k"));
    call.keep = true;
    let (request, call_id) = dispatched(&mut home, call.clone());
    home.node.handle_outcome(call_id, succeeded(r#"{"large":"output"}"#), home.now);
    home.run();
    let whole = home.waiting.front().map(|(_, batch)| (batch.class, batch.space)).expect("a receipt");
    home.disk(Completion::Refused(Refusal::Full));
    let bare = home.waiting.front().map(|(_, batch)| (batch.class, batch.space)).expect("a receipt again");
    assert_eq!((whole.0, bare.0), (Class::Normal, Class::Reserved));
    assert!(bare.1.releases > 0 && bare.1 == whole.1, "it uses what its intent claimed");
    let bytes: usize = home.waiting.front().map_or(0, |(_, batch)| size(batch));
    assert!(bytes as u64 <= bare.1.releases, "{bytes} bytes fit what was claimed");
    home.disk(Completion::Durable);
    let Ok(Answer::Called(answer)) = home.take(request) else { panic!("the call ended") };
    assert_eq!((answer.outcome, answer.effect), (CallOutcome::Succeeded, Effect::Made));
    assert_eq!((answer.kept, answer.output), (None, None), "there was no room to keep the output");
    assert!(!home.node.has_failed());

    let refused = home.send(Request::Invoke(home.call("notes.touch", READ, None)));
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(refused)), Code::StoreFull, "nothing new begins");
    home.disk_answers = true;
    home.revoke(fcp_proto_core::object::RevocationScope::Capability, grant.as_bytes());
    home.restart();
    home.pass(1);
    home.grant(everything());
    let call = home.call("notes.touch", READ, Some("k"));
    let again = home.invoke_with(call, succeeded("{}"));
    assert_eq!(again, Ok(Answer::Replayed { receipt: answer.receipt }), "the receipt that is stored");
}

fn size(batch: &Batch) -> usize {
    batch.records.iter().map(|record| record.bytes.len() + 52).sum::<usize>() + 64
}

#[test]
fn the_longest_message_fits_the_room_of_a_receipt() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.touch", READ, Some("k"));
    let (request, call_id) = dispatched(&mut home, call);
    let message = "é".repeat(1 << 20);
    let failed = Outcome::Failed {
        code: Code::ConnectorFailed,
        message,
        effect: Effect::Made,
        usage: usage(),
        retry_after_ms: None,
    };
    home.node.handle_outcome(call_id, failed, home.now);
    home.run();
    let (_, batch) = home.waiting.front().expect("a receipt");
    assert!(size(batch) as u64 <= batch.space.releases);
    settle_disk(&mut home);
    let Ok(Answer::Called(answer)) = home.take(request) else { panic!("the call ended") };
    assert_eq!(answer.error.map(|(_, message)| message.len()), Some(4_096));
}

#[test]
fn a_repeated_call_waits_for_the_receipt_that_is_stored() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.touch", READ, Some("k"));
    let (_, call_id) = dispatched(&mut home, call.clone());
    home.node.handle_outcome(call_id, succeeded("{}"), home.now);
    let early = home.send(Request::Invoke(call));
    home.run();
    settle_disk(&mut home);
    assert_eq!(code(home.take(early)), Code::CallInProgress, "nothing is replayed that may not be stored");
}

#[test]
fn a_receipt_that_is_not_stored_does_not_look_like_a_refusal() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.touch", READ, None);
    let (call, call_id) = dispatched(&mut home, call);
    home.node.handle_outcome(call_id, succeeded("{}"), home.now);
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    home.disk(Completion::Refused(Refusal::Full));
    let failure = home.take(call).expect_err("nothing is known durably");
    assert_eq!((failure.code, failure.call_id), (Code::OutcomeUnknown, Some(call_id)));
    assert!(home.node.has_failed());
}

#[test]
fn a_node_whose_write_failed_writes_no_more_and_answers_everything() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let call = home.send(Request::Invoke(home.call("notes.touch", READ, None)));
    home.run();
    settle_disk(&mut home);
    let dispatch = home.dispatched.pop_front().expect("a call");
    home.send(open_context());
    home.run();
    home.disk(Completion::Failed);
    home.node.handle_outcome(dispatch.call_id, succeeded("{}"), home.now);
    home.node.handle_timeout(home.now);
    home.run();
    assert!(home.waiting.is_empty(), "nothing may follow a write that failed");
    assert_eq!(code(home.take(call)), Code::OutcomeUnknown);
}

#[test]
fn cancelling_twice_writes_once() {
    let (mut home, _) = Home::with_grant();
    home.send(Request::Invoke(home.call("notes.touch", READ, None)));
    home.run();
    let call_id = home.dispatched.front().expect("a call").call_id;
    let cancel = |home: &mut Home| {
        let by = Canceller::Session(home.session);
        home.ask(Request::Cancel { call_id, by })
    };
    assert_eq!(cancel(&mut home), Ok(Answer::Done));
    let written = home.journal.len();
    assert_eq!(cancel(&mut home), Ok(Answer::Done));
    assert_eq!(home.journal.len(), written, "the space kept for revocations is not the agent's to fill");
}

//= docs/spec/objects.md#identity
#[test]
fn an_entry_for_a_zone_without_a_key_harms_nobody() {
    let (mut home, _) = Home::with_grant();
    let entry = Box::new(Entry::new(AuditEventKind::SecretAccess, "host"));
    let zone = home::zone("z:project:none");
    assert_eq!(code(home.ask(Request::Record { zone, entry })), Code::ZoneUnknown);
    assert!(!home.node.has_failed());
}

#[test]
fn a_record_under_another_name_is_not_taken() {
    let (mut home, grant) = Home::with_grant();
    home.revoke(fcp_proto_core::object::RevocationScope::Capability, grant.as_bytes());
    let mut journal = home.journal.clone();
    let record = journal.iter_mut().find(|record| record.id == grant).expect("the grant");
    record.id = fcp_proto_core::ids::ObjectId::from_bytes([9; 32]);
    assert!(home.replays(&journal).is_err(), "a revoked grant under another name");
    let without: Vec<_> = home
        .journal
        .iter()
        .filter(|record| {
            !record.bytes.windows(10).any(|it| it == b"Revocation")
                || record.bytes.windows(15).any(|it| it == b"RevocationEvent" || it == b"RevocationHead\x00")
        })
        .cloned()
        .collect();
    assert!(without.len() < home.journal.len());
    assert!(home.replays(&without).is_err(), "a chain whose revocation is missing");
}

//= docs/spec/rates.md#replay
#[test]
fn a_reservation_that_cannot_be_read_is_not_forgotten() {
    let (mut home, _) = Home::with_grant();
    home.invoke(home.call("notes.get", READ, None), "{}").expect("a permitted call");
    assert_eq!(home.replays(&home.journal), Ok(()));
    let mut journal = home.journal.clone();
    let intent = |it: &&mut Record| it.bytes.windows(15).any(|part| part == b"OperationIntent");
    let record = journal.iter_mut().find(intent).expect("an intent");
    *record = home.altered(record, |object| {
        let AnyObject::OperationIntent(mut intent) = object else { panic!("no intent") };
        intent.body.fields.reservations = vec![ByteString(vec![0xf6])];
        intent.store().expect("it encodes")
    });
    assert!(matches!(home.replays(&journal), Err(ReplayError::Unreadable { .. })));
}

//= docs/spec/calls.md#refusals
#[test]
fn of_a_long_refused_input_the_digest_is_kept() {
    let mut home = Home::new();
    let (long, before) = (format!(r#"{{"note":"{}"}}"#, "x".repeat(900 << 10)), written(&home));
    let failure = home.invoke(home.call("notes.get", &long, None), "{}").expect_err("a refusal");
    assert!(written(&home) - before < 8 << 10, "{} bytes", written(&home) - before);
    let digest = hash::digest(long.as_bytes()).to_string();
    assert!(!failure.message.contains(&digest), "whoever asked knows the input");
    let id = failure.receipt.expect("a signed refusal");
    let record = home.journal.iter().find(|record| record.id == id).expect("it is stored");
    let object = StoredObject::from_bytes(&record.bytes).and_then(|it| AnyObject::open(&it));
    let Ok(AnyObject::DecisionReceipt(receipt)) = object else { panic!("a decision") };
    let DecisionReceipt { request, rule, .. } = receipt.body.fields;
    assert_eq!(request, None);
    assert!(rule.is_some_and(|rule| rule.contains(&digest)));
}

/// The bytes of all that is durable.
fn written(home: &Home) -> usize {
    home.journal.iter().map(|record| record.bytes.len()).sum()
}

/// The worst that one agent can do: inputs that are just kept, as fast as they are written, all day.
//= docs/spec/calls.md#refusals
#[test]
fn refusals_cannot_fill_the_disk() {
    let mut home = Home::new();
    let input = format!(r#"{{"note":"{}"}}"#, "x".repeat(3_500));
    let refused = |home: &mut Home| home.invoke(home.call("notes.get", &input, None), "{}");
    let (before, mut signed) = (written(&home), 0);
    for _ in 0..21 {
        for _ in 0..101 {
            let failure = refused(&mut home).expect_err("a refusal");
            assert_eq!(failure.code, Code::OperationNotGranted);
            signed += u32::from(failure.receipt.is_some());
        }
        home.pass(10);
    }
    assert_eq!(signed, 2_000, "the rest is counted");
    let bytes = written(&home) - before;
    assert!((8 << 20..16 << 20).contains(&bytes), "{bytes} bytes for refused calls");
    home.pass(86_400);
    home.session = home.open_session();
    assert!(refused(&mut home).expect_err("a refusal").receipt.is_some(), "another day begins");
}

/// A failed read of what strangers wrote, of which egress counted nothing.
fn silent_failure() -> Outcome {
    let message = "the connector says so".into();
    let (code, effect) = (Code::ConnectorFailed, Effect::None);
    Outcome::Failed { code, message, effect, usage: none(), retry_after_ms: Some(7_000) }
}

#[test]
fn a_failure_before_anything_came_in_taints_nothing_and_says_when_to_try_again() {
    let (mut home, _) = Home::with_grant();
    let read = home.call("notes.comments", READ, None);
    let Ok(Answer::Called(failed)) = home.invoke_with(read.clone(), silent_failure()) else { panic!() };
    assert_eq!(failed.retry_after_ms, Some(7_000));
    home.invoke(home.call("notes.touch", READ, None), "{}").expect("nothing was heard");
    let Outcome::Failed { code: error, message, effect, retry_after_ms, .. } = silent_failure() else {
        panic!()
    };
    let usage = Usage { requests: 1, ..none() };
    let heard = Outcome::Failed { code: error, message, effect, usage, retry_after_ms };
    home.invoke_with(read, heard).expect("a receipt");
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::TaintViolation);
}

//= docs/spec/labels.md#who-assigns-labels
#[test]
fn the_error_of_a_packages_own_code_taints_though_its_call_asked_nobody() {
    let (mut home, _) = Home::with_grant();
    home.install_from(&own_code());
    let read = home.call("notes.comments", READ, None);
    home.invoke_with(read, silent_failure()).expect("a receipt");
    assert_eq!(code(home.invoke(home.call("notes.touch", READ, None), "{}")), Code::TaintViolation);
}

/// The notes connector as a package with a program of its own, which needs no network.
fn own_code() -> Vec<u8> {
    let mut manifest = String::new();
    let mut needed = true;
    for line in include_str!("home/notes.toml").lines() {
        if line.starts_with('[') {
            needed = !["[http]", "[network]", "[auth.token]"].contains(&line) && !line.ends_with(".http]");
        }
        if needed && !line.starts_with("auth = ") {
            manifest += &format!("{line}\n");
        }
    }
    manifest.replace("runtime = \"declarative\"", "runtime = \"native\"").into_bytes()
}
