//! Calls to which a person agreed beforehand.

use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, Digest, ObjectId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalToken, AuditEventKind, ConnectorInstall, Grant, Grantee, Object,
    OperationIntent, OperatorDelegation, OperatorRight, RevocationScope, Role, Signed, SignedBody,
    StandingApproval, StoredObject,
};
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{Answer, CallRequest, Failure, FiledApproval, Request};
use fcp_state_machines::persist::Completion;

use crate::authority::delegation;
use crate::home::{Home, approval, everything, grant_fields, operation, sign, work, zone};

fn connector() -> ConnectorId {
    "notes".parse().expect("a name")
}

const NOTE: &str = r#"{"note":"a"}"#;
const WRITE: &str = r#"{"note":"a","text":"hello"}"#;
const OTHER: &str = r#"{"note":"a","text":"other"}"#;

fn put(home: &Home, input: &str, key: &str) -> CallRequest {
    home.call("notes.put", input, Some(key))
}

fn file(home: &mut Home, call: CallRequest) -> FiledApproval {
    match home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }) {
        Ok(Answer::Filed(filed)) => filed,
        other => panic!("{other:?}"),
    }
}

fn file_write(home: &mut Home, key: &str) -> FiledApproval {
    let call = put(home, WRITE, key);
    file(home, call)
}

/// What a person signs who agrees to this very write for ten minutes.
fn given(home: &Home, filed: &FiledApproval) -> Grant {
    let bounds =
        Constraints { resource_allow: vec!["notes:note/a".parse().expect("a pattern")], ..everything() };
    Grant {
        operations: [operation("notes.put")].into(),
        expires_at: home.now.unix.saturating_add(600),
        request: Some(filed.id),
        standing_approval: Some(StandingApproval {
            interface_hash: filed.request.interface_hash,
            code_digest: filed.request.code_digest,
            input_digest: Some(hash::digest(WRITE.as_bytes())),
            config_digest: home.node.catalog().get(&connector()).map(|it| it.config_digest),
        }),
        ..grant_fields(bounds, home.now)
    }
}

/// A home whose agent may call everything for an hour; to one of its writes a person agreed beforehand.
fn agreed() -> (Home, ObjectId) {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    let fields = given(&home, &filed);
    let grant = home.operate(&work(), fields);
    (home, grant)
}

/// Has the owner leave the operator these rights alone.
fn leave(home: &mut Home, rights: &[OperatorRight]) {
    let since = home.now.unix;
    home.pass(1);
    // What was signed before keeps its force: nothing but the rights is another.
    let fields = OperatorDelegation { not_before: since, ..delegation(home, rights) };
    own(home, &zone("z:owner"), fields);
}

/// Has the owner say this, as an operator would.
fn own<T: SignedBody>(home: &mut Home, zone: &ZoneId, fields: T)
where
    AnyObject: From<Object<Signed<T>>>,
{
    let object = sign(zone, home.now, fields, &home.keys.owner);
    home.ask(Request::Admit { object: Box::new(object.into()), actor: "owner".into() })
        .expect("the owner may");
}

/// Has the operator deny what was filed, for five minutes; the denial.
fn deny(home: &mut Home, filed: &FiledApproval) -> ObjectId {
    let expires_at = home.now.unix.saturating_add(300);
    let no = ApprovalToken { decision: ApprovalDecision::Deny, expires_at, ..approval(filed, home.now) };
    home.operate(&work(), no)
}

/// A home whose operator denied this write, and whose owner agreed to it beforehand.
fn denied() -> (Home, ObjectId) {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    let denial = deny(&mut home, &filed);
    let other = file_write(&mut home, "k9");
    let fields = given(&home, &other);
    own(&mut home, &work(), fields);
    (home, denial)
}

fn code<T: core::fmt::Debug>(result: Result<T, Failure>) -> Code {
    result.expect_err("a refusal").code
}

/// The stored objects, newest first.
fn stored(home: &Home) -> impl Iterator<Item = AnyObject> {
    home.journal
        .iter()
        .rev()
        .filter_map(|record| StoredObject::from_bytes(&record.bytes).and_then(|it| AnyObject::open(&it)).ok())
}

fn newest_intent(home: &Home) -> OperationIntent {
    let mut intents = stored(home).filter_map(|object| {
        let AnyObject::OperationIntent(intent) = object else { return None };
        Some(intent.body.fields)
    });
    intents.next().expect("an intent")
}

/// What the audit chain says of the newest call that left.
fn newest_detail(home: &Home) -> Option<String> {
    let mut events = stored(home).filter_map(|object| {
        let AnyObject::AuditEvent(event) = object else { return None };
        (event.body.kind == AuditEventKind::CallDispatched).then_some(event.body.detail)
    });
    events.next().expect("an event")
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn like_calls_are_spared_and_their_intents_and_events_name_the_grant() {
    let (mut home, grant) = agreed();
    for key in ["k1", "k2", "k3"] {
        home.invoke(put(&home, WRITE, key), "{}").expect("a person agreed");
        let intent = newest_intent(&home);
        assert_eq!((intent.standing_approval, intent.approvals.len()), (Some(grant), 0));
        assert_eq!(intent.grants, [grant].into(), "it stands on that grant, which is charged");
        assert!(newest_detail(&home).expect("a detail").contains(&grant.to_string()));
    }
    home.restart();
    home.session = home.open_session();
    home.invoke(put(&home, WRITE, "k4"), "{}").expect("it is known after a restart");
    home.invoke(home.call("notes.get", NOTE, None), "{}").expect("a read");
    assert_eq!((newest_intent(&home).standing_approval, newest_detail(&home)), (None, None));
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn everything_else_is_asked_for() {
    type Meanwhile = fn(&mut Home, ObjectId);
    let cases: [(&str, Meanwhile); 5] = [
        ("the connector is configured otherwise", |home, _| {
            let installed = home.node.catalog().get(&connector()).expect("it is installed").install.clone();
            let config = r#"{"base_url":"https://other.example"}"#.into();
            home.operate(&work(), ConnectorInstall { config, ..installed });
        }),
        ("the time is over", |home, _| home.pass(600)),
        ("the grant is revoked", |home, id| home.revoke(RevocationScope::Capability, id.as_bytes())),
        ("the code is another", |home, _| home.install_code([9; 32])),
        ("its signer may not approve any more", |home, _| leave(home, &[OperatorRight::Grant])),
    ];
    for (what, meanwhile) in cases {
        let (mut home, grant) = agreed();
        home.invoke(put(&home, WRITE, "k1"), "{}").expect("a person agreed");
        assert_eq!(code(home.invoke(put(&home, OTHER, "k2"), "{}")), Code::ApprovalRequired, "another input");
        meanwhile(&mut home, grant);
        assert_eq!(code(home.invoke(put(&home, WRITE, "k2"), "{}")), Code::ApprovalRequired, "{what}");
    }
}

//= docs/spec/gate.md#denials
#[test]
fn a_denial_counts_however_the_key_under_it_ends() {
    type Meanwhile = fn(&mut Home);
    let cases: [(&str, Meanwhile); 4] = [
        ("it is replaced", |home| {
            let lasting = delegation(home, OperatorRight::ALL);
            home.pass(1);
            let ended = OperatorDelegation { expires_at: Some(home.now.unix), ..lasting };
            own(home, &zone("z:owner"), ended);
        }),
        ("it loses the right", |home| leave(home, &[OperatorRight::Grant])),
        ("it is revoked", |home| {
            let key = home.keys.operator.key_id();
            home.revoke(RevocationScope::IssuerKey, key.as_bytes());
        }),
        ("nothing happens", |_| {}),
    ];
    for (what, meanwhile) in cases {
        let (mut home, _) = denied();
        meanwhile(&mut home);
        for round in ["now", "after a restart"] {
            let refused = code(home.invoke(put(&home, WRITE, "k1"), "{}"));
            assert_eq!(refused, Code::ApprovalDenied, "{what}, {round}");
            home.restart();
            home.session = home.open_session();
        }
    }
}

//= docs/spec/gate.md#denials
#[test]
fn a_denied_input_is_asked_about_under_any_idempotency_key() {
    let (mut home, _) = denied();
    for round in ["now", "after a restart"] {
        for key in ["k2", "k9", "k10"] {
            let refused = code(home.invoke(put(&home, WRITE, key), "{}"));
            assert_eq!(refused, Code::ApprovalRequired, "{key} {round}");
        }
        home.restart();
        home.session = home.open_session();
    }
    let asked_again = file_write(&mut home, "k10");
    home.approve(&asked_again);
    home.invoke(put(&home, WRITE, "k10"), "{}").expect("a person agreed to this very call");
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_denial_that_comes_while_its_call_waits_for_the_disk_stops_it() {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    let other = file_write(&mut home, "k2");
    let fields = given(&home, &other);
    home.operate(&work(), fields);
    let no = ApprovalToken { decision: ApprovalDecision::Deny, ..approval(&filed, home.now) };
    let no = sign(&work(), home.now, no, &home.keys.operator);
    home.disk_answers = false;
    home.send(Request::Admit { object: Box::new(no.into()), actor: "op".into() });
    let call = home.send(Request::Invoke(put(&home, WRITE, "k3")));
    home.run();
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
    assert!(home.dispatched.is_empty(), "it does not leave");
    let Ok(Answer::Called(answer)) = home.take(call) else { panic!("a receipt") };
    assert_eq!(answer.error.expect("a reason").0, Code::ApprovalDenied);
}

//= docs/spec/gate.md#denials
#[test]
fn a_denial_is_lifted_by_revoking_it_and_ends_with_its_time() {
    let (mut home, denial) = denied();
    home.revoke(RevocationScope::Capability, denial.as_bytes());
    home.invoke(put(&home, WRITE, "k1"), "{}").expect("it was lifted, and a person agreed beforehand");
    let (mut home, _) = denied();
    home.pass(299);
    assert_eq!(code(home.invoke(put(&home, WRITE, "k1"), "{}")), Code::ApprovalDenied);
    home.pass(1);
    home.invoke(put(&home, WRITE, "k1"), "{}").expect("its time is over");
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn the_refusal_names_the_agreement_whose_calls_are_used_up() {
    let (mut home, _) = Home::with_grant();
    let filed = ["k7", "k8", "k9"].map(|key| file_write(&mut home, key));
    for (input, filed) in [OTHER, WRITE, OTHER].into_iter().zip(filed) {
        let mut fields = given(&home, &filed);
        fields.constraints.max_calls = Some(1);
        fields.standing_approval.as_mut().expect("one").input_digest = Some(hash::digest(input.as_bytes()));
        own(&mut home, &work(), fields);
    }
    home.invoke(put(&home, WRITE, "k1"), "{}").expect("a person agreed to one");
    let spent = newest_intent(&home).standing_approval.expect("a grant");
    let refused = home.invoke(put(&home, WRITE, "k2"), "{}").expect_err("a refusal");
    assert_eq!(refused.code, Code::ApprovalRequired);
    assert!(refused.message.contains(&spent.to_string()), "{}", refused.message);
    let known = home.node.authority().grant_by_id(&spent).expect("a grant").clone();
    let obstacle = home.node.grant_obstacle(&spent, &known, home.now.unix).expect("it serves no more");
    assert_eq!(obstacle.code, Code::CallLimitReached);
}

#[test]
fn after_strangers_words_were_read_a_person_is_asked_each_time() {
    let (mut home, _) = agreed();
    home.invoke(home.call("notes.comments", NOTE, None), "{}").expect("a read");
    assert_eq!(code(home.invoke(put(&home, WRITE, "k1"), "{}")), Code::TaintViolation);
}

#[test]
fn a_standing_approval_without_an_input_spares_all_that_its_bounds_permit() {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    let mut fields = given(&home, &filed);
    fields.standing_approval.as_mut().expect("one").input_digest = None;
    home.operate(&work(), fields);
    home.invoke(put(&home, OTHER, "k1"), "{}").expect("it is within the bounds");
    let elsewhere = put(&home, r#"{"note":"b","text":"hello"}"#, "k2");
    assert_eq!(code(home.invoke(elsewhere, "{}")), Code::ApprovalRequired);
}

//= docs/spec/authority.md#standing-approvals
#[test]
fn a_standing_approval_is_given_over_its_request_and_for_no_more() {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    let role_id = "readers".parse().expect("a name");
    let readers = Grantee::Role("readers".parse().expect("a name"));
    home.operate(&zone("z:owner"), Role { role_id, description: String::new() });
    let fits = given(&home, &filed);
    let standing = fits.standing_approval.clone().expect("one");
    let other = Digest::from_bytes([7; 32]);
    let with = |it: StandingApproval| Grant { standing_approval: Some(it), ..fits.clone() };
    let two = ["notes.put", "notes.touch"].map(operation).into();
    let wrong_zone = Grant { grantee: readers.clone(), ..fits.clone() };
    assert_eq!(code(home.try_operate(&zone("z:private"), wrong_zone)), Code::ApprovalMismatch);
    for (expected, wider) in [
        (Code::NotFound, Grant { request: None, ..fits.clone() }),
        (Code::ApprovalMismatch, Grant { grantee: readers, ..fits.clone() }),
        (Code::ApprovalMismatch, Grant { operations: two, ..fits.clone() }),
        (Code::ApprovalMismatch, with(StandingApproval { interface_hash: other, ..standing.clone() })),
        (Code::ApprovalMismatch, with(StandingApproval { code_digest: other, ..standing.clone() })),
        (Code::ConnectorChanged, with(StandingApproval { config_digest: Some(other), ..standing })),
    ] {
        assert_eq!(code(home.try_operate(&work(), wider)), expected);
    }
    home.install_code([9; 32]);
    assert_eq!(code(home.try_operate(&work(), fits.clone())), Code::ConnectorChanged);
    home.pass(1);
    home.install();
    home.operate(&work(), fits);
}

//= docs/spec/authority.md#standing-approvals
#[test]
fn a_standing_approval_is_given_while_its_request_waits() {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    home.approve(&filed);
    let late = given(&home, &filed);
    assert_eq!(code(home.try_operate(&work(), late)), Code::Conflict, "it was decided");
    let filed = file_write(&mut home, "k2");
    home.pass(600);
    let late = given(&home, &filed);
    assert_eq!(code(home.try_operate(&work(), late)), Code::ApprovalExpired);
}

//= docs/spec/authority.md#standing-approvals
#[test]
fn only_who_may_approve_approves_beforehand() {
    let (mut home, _) = Home::with_grant();
    let filed = file_write(&mut home, "k1");
    leave(&mut home, &[OperatorRight::Grant]);
    let fields = given(&home, &filed);
    assert_eq!(code(home.try_operate(&work(), fields.clone())), Code::NotPermitted);
    home.operate(&work(), Grant { standing_approval: None, ..fields });
    assert_eq!(code(home.invoke(put(&home, WRITE, "k1"), "{}")), Code::ApprovalRequired, "a grant alone");
}

//= docs/spec/authority.md#standing-approvals
#[test]
fn where_a_call_itself_was_not_asked_about_nothing_is_approved_beforehand() {
    let (mut home, _) = Home::with_grant();
    home.invoke(home.call("notes.comments", NOTE, None), "{}").expect("a read");
    let touch = home.call("notes.touch", NOTE, None);
    let filed = file(&mut home, touch);
    assert_eq!(filed.request.kinds.len(), 1, "its elevation alone");
    let fields = Grant { operations: [operation("notes.touch")].into(), ..given(&home, &filed) };
    assert_eq!(code(home.try_operate(&work(), fields)), Code::ApprovalMismatch);
}
