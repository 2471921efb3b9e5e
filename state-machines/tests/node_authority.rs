//! Who may change what, and when a right ends.

mod home;

use std::collections::BTreeSet;

use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{
    Budget, ConnectorState, Enrolment, OperatorDelegation, OperatorRight, RevocationObject, RevocationScope,
};
use fcp_proto_core::random::Entropy;
use fcp_state_machines::node::{Answer, Failure, Request, RequestId};
use fcp_state_machines::persist::{Completion, Refusal};
use home::{Home, agent, everything, grant_fields, policy, sign, work, zone};

const READ: &str = r#"{"note":"a"}"#;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

fn admission(object: impl Into<fcp_proto_core::object::AnyObject>) -> Request {
    Request::Admit { object: Box::new(object.into()), actor: "op".into() }
}

fn revocation(home: &Home, scope: RevocationScope, target: &[u8]) -> RevocationObject {
    RevocationObject {
        scope,
        targets: vec![ByteString(target.to_vec())],
        reason: "test".into(),
        effective_at: home.now.unix,
        expires_at: None,
    }
}

fn delegation(home: &Home, rights: &[OperatorRight]) -> OperatorDelegation {
    OperatorDelegation {
        operator: "op".parse().expect("a name"),
        public_key: home.keys.operator.verifying_key(),
        rights: rights.iter().copied().collect::<BTreeSet<_>>(),
        not_before: home.now.unix,
        expires_at: None,
    }
}

/// Lets the disk take everything that waits.
fn settle_disk(home: &mut Home) {
    while !home.waiting.is_empty() {
        home.disk(Completion::Durable);
    }
}

#[test]
fn a_revoked_operator_cannot_date_an_object_back() {
    let mut home = Home::new();
    let before = home.now;
    home.pass(100);
    let key = home.keys.operator.key_id();
    let fields = revocation(&home, RevocationScope::IssuerKey, key.as_bytes());
    let by_owner = sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
    home.ask(admission(by_owner)).expect("the owner may");
    let dated_back = sign(&work(), before, policy(2), &home.keys.operator);
    assert_eq!(code(home.ask(admission(dated_back))), Code::IssuerKeyRevoked);
}

#[test]
fn an_object_is_taken_once() {
    let mut home = Home::new();
    let full = delegation(&home, OperatorRight::ALL);
    let full = sign(&zone("z:owner"), home.now, full, &home.keys.owner);
    home.ask(admission(full.clone())).expect("the owner may");
    let narrow = delegation(&home, &[OperatorRight::Approve]);
    let narrow = sign(&zone("z:owner"), home.now, narrow, &home.keys.owner);
    home.ask(admission(narrow)).expect("the owner may");
    assert_eq!(code(home.ask(admission(full.clone()))), Code::Conflict, "it cannot be sent again");
    home.restart();
    assert_eq!(code(home.ask(admission(full))), Code::Conflict, "nor after a restart");
    assert_eq!(code(home.try_operate(&work(), policy(2))), Code::NotPermitted);
}

#[test]
fn nothing_is_taken_under_a_right_that_is_about_to_go() {
    let mut home = Home::new();
    home.disk_answers = false;
    let busy = home.send(Request::OpenContext { principal: agent(), actor: "op".into() });
    let narrow = delegation(&home, &[OperatorRight::Approve]);
    let narrow = sign(&zone("z:owner"), home.now, narrow, &home.keys.owner);
    let narrowed = home.send(admission(narrow));
    let grant = sign(&work(), home.now, grant_fields(everything(), home.now), &home.keys.operator);
    let granted = home.send(admission(grant));
    home.run();
    settle_disk(&mut home);
    assert!(home.take(busy).is_ok() && home.take(narrowed).is_ok());
    assert!(home.take(granted).is_err(), "the right was going");
    home.disk_answers = true;
    home.restart();
}

#[test]
fn what_waits_for_the_disk_does_not_outlive_its_signer() {
    let mut home = Home::new();
    home.disk_answers = false;
    let busy = home.send(Request::OpenContext { principal: agent(), actor: "op".into() });
    let waiting = sign(&work(), home.now, policy(2), &home.keys.operator);
    let waiting = home.send(admission(waiting));
    let fields = revocation(&home, RevocationScope::IssuerKey, home.keys.operator.key_id().as_bytes());
    let by_owner = sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
    let revoked = home.send(admission(by_owner));
    home.run();
    settle_disk(&mut home);
    assert!(home.take(busy).is_ok() && home.take(revoked).is_ok());
    assert_eq!(code(home.take(waiting)), Code::IssuerKeyRevoked);
    home.disk_answers = true;
    home.restart();
}

#[test]
fn a_revocation_that_cannot_be_stored_ends_the_node_and_breaks_no_chain() {
    let (mut home, grant) = Home::with_grant();
    home.disk_answers = false;
    let fields = revocation(&home, RevocationScope::Capability, grant.as_bytes());
    let object = sign(&zone("z:owner"), home.now, fields, &home.keys.operator);
    let lost = home.send(admission(object));
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(lost)), Code::StoreFull);
    home.disk_answers = true;
    assert!(home.invoke(home.call("notes.get", READ, None), "{}").is_err(), "what was revoked stays refused");
    let again = revocation(&home, RevocationScope::Capability, &[1; 32]);
    let _sealed = home.try_operate(&zone("z:owner"), again);
    home.restart();
    home.revoke(RevocationScope::Capability, grant.as_bytes());
    home.restart();
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::GrantRevoked);
}

#[test]
fn a_revocation_names_what_its_scope_names() {
    let mut home = Home::new();
    let cases: [(RevocationScope, &[u8]); 5] = [
        (RevocationScope::Capability, &[1; 31]),
        (RevocationScope::IssuerKey, &[1; 32]),
        (RevocationScope::ZoneKey, b"z:work"),
        (RevocationScope::ConnectorBinary, b"notes"),
        (RevocationScope::NodeAttestation, b""),
    ];
    for (scope, target) in cases {
        let fields = revocation(&home, scope, target);
        assert_eq!(code(home.try_operate(&zone("z:owner"), fields)), Code::OutOfRange, "{scope}");
    }
    let mut wordy = revocation(&home, RevocationScope::Capability, &[1; 32]);
    wordy.reason = "x".repeat(1 << 20);
    assert_eq!(code(home.try_operate(&zone("z:owner"), wordy)), Code::OutOfRange);
}

#[test]
fn only_the_owner_revokes_the_owner() {
    let mut home = Home::new();
    let fields = revocation(&home, RevocationScope::IssuerKey, home.keys.owner.key_id().as_bytes());
    assert_eq!(code(home.try_operate(&zone("z:owner"), fields)), Code::NotPermitted);
}

#[test]
fn a_home_is_founded_once_even_before_its_founding_is_durable() {
    let (mut first, second) = (Home::unfounded(1), Home::unfounded(2));
    first.disk_answers = false;
    first.node.found(RequestId(1), first.founding(), first.now).expect("a ceremony");
    let again = first.node.found(RequestId(2), second.founding(), first.now);
    assert_eq!(again.expect_err("one ceremony").code, Code::CeremonyDone);
    first.run();
    first.disk(Completion::Refused(Refusal::Full));
    first.node.found(RequestId(3), first.founding(), first.now).expect("nothing of the first is left");
}

#[test]
fn one_request_has_one_decision_even_before_it_is_durable() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.put", r#"{"note":"a","text":"x"}"#, Some("k"));
    let filed = match home.ask(Request::FileApproval { call, note: None, valid_secs: 600 }) {
        Ok(Answer::Filed(filed)) => filed,
        other => panic!("{other:?}"),
    };
    home.disk_answers = false;
    let yes = home::approval(&filed, home.now);
    let mut no = yes.clone();
    no.decision = fcp_proto_core::object::ApprovalDecision::Deny;
    let no = sign(&work(), home.now, no, &home.keys.operator);
    let yes = sign(&work(), home.now, yes, &home.keys.operator);
    let (denied, approved) = (home.send(admission(no)), home.send(admission(yes)));
    home.run();
    settle_disk(&mut home);
    assert!(home.take(denied).is_ok());
    assert_eq!(code(home.take(approved)), Code::Conflict);
}

#[test]
fn another_key_ends_the_sessions_of_the_old_one() {
    let (mut home, _) = Home::with_grant();
    let fresh = SigningKey::generate(&mut Entropy::from_seed(&[42; 32].into()));
    let enrolment =
        Enrolment { principal: agent(), public_key: fresh.verifying_key(), key_source: "file".into() };
    home.operate(&work(), enrolment);
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::Unauthenticated);
}

#[test]
fn a_session_reads_nothing_once_its_key_is_revoked() {
    let (mut home, _) = Home::with_grant();
    let mut read = home.call("notes.get", READ, None);
    read.keep = true;
    let kept = home.invoke(read, "{}").expect("a read");
    let mut later = revocation(&home, RevocationScope::IssuerKey, home.keys.agent.key_id().as_bytes());
    later.effective_at = home.now.unix.saturating_add(10);
    home.operate(&zone("z:owner"), later);
    home.pass(10);
    let request = Request::ReadKept {
        session: home.session,
        binding: home::BINDING,
        result: kept.kept.expect("a handle"),
        zone: work(),
        principal: agent(),
        label: kept.label,
    };
    assert_eq!(code(home.ask(request)), Code::IssuerKeyRevoked);
}

#[test]
fn a_policy_that_cannot_be_enforced_is_refused() {
    let budget =
        |unit: &str, amount, period_secs| Budget { name: "b".into(), unit: unit.into(), amount, period_secs };
    let bad = [
        vec![budget("apples", 5, 60)],
        vec![budget("requests", 0, 60)],
        vec![budget("requests", 5, 0)],
        vec![budget("requests", 5, 400 * 86_400)],
        vec![budget("requests", 5, 60), budget("requests", 50, 60)],
    ];
    let mut home = Home::new();
    for budgets in bad {
        let fields = fcp_proto_core::object::ZonePolicy { budgets, ..policy(2) };
        assert_eq!(code(home.try_operate(&work(), fields)), Code::OutOfRange);
    }
    assert_eq!(code(home.try_operate(&work(), policy(u64::MAX))), Code::Conflict, "versions rise by one");
    home.restart();
}

#[test]
fn a_policy_change_gives_back_no_budget() {
    let (mut home, _) = Home::with_grant();
    let budgets = vec![Budget { name: "b".into(), unit: "requests".into(), amount: 1, period_secs: 3_600 }];
    let fields = |version| fcp_proto_core::object::ZonePolicy { budgets: budgets.clone(), ..policy(version) };
    home.operate(&work(), fields(2));
    home.invoke(home.call("notes.get", READ, None), "{}").expect("within the budget");
    home.operate(&work(), fields(3));
    assert_eq!(code(home.invoke(home.call("notes.get", READ, None), "{}")), Code::BudgetExceeded);
}

#[test]
fn a_shorter_life_of_tokens_locks_nobody_out() {
    let (mut home, _) = Home::with_grant();
    home.invoke(home.call("notes.get", READ, None), "{}").expect("it mints a token");
    home.operate(&work(), fcp_proto_core::object::ZonePolicy { max_token_secs: 60, ..policy(2) });
    home.invoke(home.call("notes.get", READ, None), "{}").expect("a new token is minted");
}

#[test]
fn a_call_does_not_reach_a_connector_that_was_disabled_meanwhile() {
    let (mut home, _) = Home::with_grant();
    home.disk_answers = false;
    let state = ConnectorState {
        connector: "notes".parse().expect("an id"),
        enabled: false,
        removed: false,
        reason: None,
    };
    let state = sign(&work(), home.now, state, &home.keys.operator);
    home.send(Request::OpenContext { principal: agent(), actor: "op".into() });
    home.send(admission(state));
    let call = home.send(Request::Invoke(home.call("notes.get", READ, None)));
    home.run();
    settle_disk(&mut home);
    assert!(home.dispatched.is_empty());
    let Ok(Answer::Called(answer)) = home.take(call) else { panic!("a receipt") };
    assert_eq!(answer.error.map(|(code, _)| code), Some(Code::ConnectorDisabled));
}

#[test]
fn sessions_and_requests_of_one_principal_are_bounded() {
    let (mut home, _) = Home::with_grant();
    for _ in 0..300 {
        home.open_session();
    }
    assert!(home.node.sessions().len() <= 64, "{}", home.node.sessions().len());
    let ask = |home: &mut Home, at: usize| {
        let call = home.call("notes.put", r#"{"note":"a","text":"x"}"#, Some(&format!("k{at}")));
        home.ask(Request::FileApproval { call, note: None, valid_secs: 600 })
    };
    home.session = home.open_session();
    let refused = (0..1_100).find_map(|at| ask(&mut home, at).err());
    assert_eq!(refused.map(|it| it.code), Some(Code::Exhausted));
}
