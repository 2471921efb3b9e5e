//! Who may change what, and when a right ends.

use std::collections::BTreeSet;

use crate::home::{self, Home, agent, everything, grant_fields, policy, sign, work, zone};
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalToken, AuditEventKind, Budget, ConnectorState, CredentialTest,
    Enrolment, Grant, GrantDenial, Grantee, NodeAttestation, OperatorDelegation, OperatorRight,
    RevocationObject, RevocationScope, Role, RoleAssignment, RoleWithdrawal, StoredObject, ZoneDefinition,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::Level;
use fcp_state_machines::node::{
    Answer, CallAnswer, CallRequest, CalledBy, Failure, GrantWish, Outcome, Request, RequestId,
};
use fcp_state_machines::persist::{Completion, Refusal};

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

pub(crate) fn delegation(home: &Home, rights: &[OperatorRight]) -> OperatorDelegation {
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

//= docs/spec/sessions.md#opening
#[test]
fn a_session_is_opened_by_the_enrolled_key_and_until_it_is_revoked() {
    let (mut home, _) = Home::with_grant();
    let other = SigningKey::generate(&mut Entropy::from_seed(&[9; 32].into()));
    let stranger = home::session_request("eve".parse().expect("a principal"), &other);
    assert_eq!(code(home.ask(stranger)), Code::Unauthenticated);
    let forged = home::session_request(agent(), &other);
    assert_eq!(code(home.ask(forged)), Code::HolderProofInvalid);
    let own = home::session_request(agent(), &home.keys.agent);
    assert!(matches!(home.ask(own), Ok(Answer::Session { .. })));
    let key = home.keys.agent.key_id();
    home.revoke(RevocationScope::IssuerKey, key.as_bytes());
    let late = home::session_request(agent(), &home.keys.agent);
    assert_eq!(code(home.ask(late)), Code::IssuerKeyRevoked);
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

fn together(objects: Vec<fcp_proto_core::object::AnyObject>) -> Request {
    Request::AdmitTogether { objects, actor: "op".into() }
}

fn reads() -> Constraints {
    Constraints { resource_allow: vec!["notes:note/a".parse().expect("a pattern")], ..everything() }
}

fn wish(home: &Home, constraints: Constraints) -> GrantWish {
    GrantWish {
        session: home.session,
        binding: home::BINDING,
        connector: "notes".parse().expect("a connector"),
        operations: [home::operation("notes.get"), home::operation("notes.comments")].into(),
        constraints,
        lifetime_secs: 3_600,
        note: Some("to summarize".into()),
        valid_secs: 600,
    }
}

fn filed(home: &mut Home) -> ObjectId {
    let request = Request::FileGrantRequest(Box::new(wish(home, reads())));
    match home.ask(request) {
        Ok(Answer::Admitted(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// A grant of what [`wish`] asks for.
fn granted(home: &Home, request: ObjectId) -> Grant {
    Grant {
        operations: [home::operation("notes.get")].into(),
        request: Some(request),
        standing_approval: None,
        ..grant_fields(reads(), home.now)
    }
}

//= docs/spec/authority.md#asking-for-a-grant
#[test]
fn a_grant_that_is_asked_for_is_given_once_and_never_wider() {
    let mut home = Home::new();
    let read = home.call("notes.get", READ, None);
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::OperationNotGranted);
    let request = filed(&mut home);
    let fits = granted(&home, request);
    for wider in [
        Grant { operations: [home::operation("notes.put")].into(), ..fits.clone() },
        Grant { constraints: everything(), ..fits.clone() },
        Grant { expires_at: home.now.unix.saturating_add(3_601), ..fits.clone() },
        Grant { grantee: Grantee::Principal("eve".parse().expect("a name")), ..fits.clone() },
    ] {
        let refused = code(home.try_operate(&work(), wider));
        assert!(matches!(refused, Code::ApprovalMismatch | Code::NotFound), "{refused}");
    }
    home.operate(&work(), fits.clone());
    home.invoke(read, "{}").expect("it was granted");
    home.pass(1);
    assert_eq!(
        code(home.try_operate(&work(), granted(&home, request))),
        Code::Conflict,
        "one request, one grant"
    );
    home.restart();
    assert_eq!(code(home.try_operate(&work(), granted(&home, request))), Code::Conflict);
}

/// The person saw what the connector was when it was asked; what it has become since nobody has asked for.
//= docs/spec/authority.md#asking-for-a-grant
#[test]
fn a_request_is_not_granted_of_a_connector_that_has_changed_since() {
    let mut home = Home::new();
    let request = filed(&mut home);
    home.pass(1);
    let wider = include_str!("home/notes.toml").replacen("/notes/{note}\"", "/all/{note}\"", 1);
    home.install_from(wider.as_bytes());
    assert_eq!(code(home.try_operate(&work(), granted(&home, request))), Code::ConnectorChanged);
    home.restart();
    assert_eq!(code(home.try_operate(&work(), granted(&home, request))), Code::ConnectorChanged);
    let again = filed(&mut home);
    home.operate(&work(), granted(&home, again));

    let mut home = Home::new();
    let request = filed(&mut home);
    home.pass(1);
    home.install_code([3; 32]);
    assert_eq!(
        code(home.try_operate(&work(), granted(&home, request))),
        Code::ConnectorChanged,
        "other code"
    );
    home.pass(1);
    home.install();
    home.operate(&work(), granted(&home, request));
}

#[test]
fn a_grant_that_was_denied_or_not_decided_in_time_is_not_given() {
    let mut home = Home::new();
    let (denied, late) = (filed(&mut home), filed_later(&mut home));
    home.operate(&work(), GrantDenial { request: denied, note: Some("no".into()) });
    home.restart();
    assert_eq!(code(home.try_operate(&work(), granted(&home, denied))), Code::Conflict);
    home.pass(600);
    assert_eq!(code(home.try_operate(&work(), granted(&home, late))), Code::ApprovalExpired);
    let unknown = granted(&home, ObjectId::from_bytes([9; 32]));
    assert_eq!(code(home.try_operate(&work(), unknown)), Code::NotFound);
}

/// Another request, which differs by its time.
fn filed_later(home: &mut Home) -> ObjectId {
    home.pass(1);
    filed(home)
}

#[test]
fn nobody_asks_for_nothing_or_for_what_does_not_exist() {
    let mut home = Home::new();
    let good = wish(&home, reads());
    for (bad, why) in [
        (wish(&home, Constraints::default()), Code::ConstraintsEmpty),
        (GrantWish { operations: BTreeSet::new(), ..good.clone() }, Code::ConstraintsEmpty),
        (
            GrantWish { operations: [home::operation("notes.burn")].into(), ..good.clone() },
            Code::OperationUnknown,
        ),
        (GrantWish { connector: "other".parse().expect("an id"), ..good.clone() }, Code::ConnectorUnknown),
        (GrantWish { lifetime_secs: 0, ..good.clone() }, Code::OutOfRange),
        (GrantWish { lifetime_secs: 91 * 86_400, ..good.clone() }, Code::OutOfRange),
        (GrantWish { binding: [8; 32], ..good }, Code::Unauthenticated),
    ] {
        assert_eq!(code(home.ask(Request::FileGrantRequest(Box::new(bad)))), why);
    }
    let refused = (0..200).find_map(|_| {
        home.pass(1);
        let request = Request::FileGrantRequest(Box::new(wish(&home, reads())));
        home.ask(request).err()
    });
    assert_eq!(refused.map(|it| it.code), Some(Code::Exhausted));
}

//= docs/spec/calls.md#bounds
#[test]
fn requests_for_approvals_and_for_grants_that_wait_have_one_bound() {
    let (mut home, _) = Home::with_grant();
    let write = |home: &Home, place: u32| {
        let call = home.call("notes.put", r#"{"note":"a","text":"hello"}"#, Some(&format!("k{place}")));
        Request::FileApproval { call, note: None, valid_secs: 600 }
    };
    for place in 0..50 {
        let request = write(&home, place);
        home.ask(request).expect("there is room");
        home.pass(1);
        filed(&mut home);
    }
    let wish = Request::FileGrantRequest(Box::new(wish(&home, reads())));
    for request in [wish, write(&home, 50)] {
        let refused = home.ask(request).expect_err("as many wait as may");
        assert_eq!(refused.code, Code::Exhausted);
        assert!(refused.message.starts_with("100 requests of ada"), "{}", refused.message);
    }
    home.pass(600);
    home.node.handle_timeout(home.now);
    filed(&mut home);
}

/// Requests that end at once make room for others, so what is written in a day is bounded too.
//= docs/spec/calls.md#bounds
#[test]
fn requests_that_end_at_once_cannot_fill_the_disk() {
    let longest = "x".repeat(200_000);
    for (text, most) in [("hello", 1_000), (longest.as_str(), 64 * 1024 * 1024 / 200_000)] {
        let (mut home, _) = Home::with_grant();
        let mut place = 0;
        let mut file = |home: &mut Home| {
            place += 1;
            let input = format!(r#"{{"note":"a","text":"{text}"}}"#);
            let call = home.call("notes.put", &input, Some(&format!("k{place}")));
            let filed = home.ask(Request::FileApproval { call, note: None, valid_secs: 1 });
            home.pass(1);
            home.node.handle_timeout(home.now);
            filed.map(|_| ()).map_err(|refused| refused.code)
        };
        let filed = (0..=most).take_while(|_| file(&mut home) == Ok(())).count();
        assert!(filed <= most && filed > most * 9 / 10, "{filed} of {most}");
        assert_eq!(file(&mut home), Err(Code::Exhausted));
        home.pass(86_400);
        home.grant(everything());
        home.session = home.open_session();
        assert_eq!(file(&mut home), Ok(()), "the next day");
    }
}

//= docs/spec/calls.md#void-requests
#[test]
fn what_was_asked_with_a_key_that_is_revoked_or_replaced_is_void() {
    let (mut home, _) = Home::with_grant();
    let call = home.call("notes.put", r#"{"note":"a","text":"hello"}"#, Some("k"));
    let Ok(Answer::Filed(asked)) = home.ask(Request::FileApproval { call, note: None, valid_secs: 600 })
    else {
        panic!("a request")
    };
    let wished = filed(&mut home);
    assert_eq!(home.node.void_requests(home.now.unix), BTreeSet::new());
    let key = home.keys.agent.verifying_key().key_id();
    home.revoke(RevocationScope::IssuerKey, key.as_bytes());
    let void = |home: &mut Home, why: &str| {
        assert_eq!(home.node.void_requests(home.now.unix), [asked.id, wished].into());
        let (token, grant) = (home::approval(&asked, home.now), granted(home, wished));
        for refused in [home.try_operate(&work(), token), home.try_operate(&work(), grant)] {
            let refused = refused.expect_err("nobody approves it");
            assert_eq!(refused.code, Code::Conflict);
            assert!(refused.message.contains(why), "{}", refused.message);
        }
    };
    void(&mut home, "revoked in the scope IssuerKey since");

    // Another key of the same name has asked for nothing, also to a node that starts again.
    let other = SigningKey::generate(&mut Entropy::from_seed(&[77; 32].into()));
    let fields =
        Enrolment { principal: agent(), public_key: other.verifying_key(), key_source: "file".into() };
    home.operate(&work(), fields);
    void(&mut home, "with another key");
    home.keys.agent = other;
    home.restart();
    void(&mut home, "with another key");
    let denied = home::approval(&asked, home.now);
    home.operate(&work(), ApprovalToken { decision: ApprovalDecision::Deny, ..denied });
    home.operate(&work(), GrantDenial { request: wished, note: None });
    assert_eq!(home.node.void_requests(home.now.unix), BTreeSet::new());
}

fn role(name: &str) -> Role {
    Role { role_id: name.parse().expect("a role"), description: String::new() }
}

fn assigned() -> RoleAssignment {
    RoleAssignment { role_id: "readers".parse().expect("a role"), principal: agent() }
}

fn withdrawn(principal: Option<fcp_proto_core::ids::PrincipalId>) -> RoleWithdrawal {
    RoleWithdrawal { role_id: "readers".parse().expect("a role"), principal, reason: None }
}

//= docs/spec/authority.md#roles
#[test]
fn a_role_that_is_taken_away_serves_no_further_call() {
    let owner = zone("z:owner");
    let mut home = Home::new();
    assert_eq!(code(home.try_operate(&owner, assigned())), Code::NotFound, "there is no such role");
    home.operate(&owner, role("readers"));
    home.operate(&owner, assigned());
    let to_role = Grant {
        grantee: Grantee::Role("readers".parse().expect("a role")),
        ..grant_fields(everything(), home.now)
    };
    home.operate(&work(), to_role.clone());
    let read = home.call("notes.get", READ, None);
    home.invoke(read.clone(), "{}").expect("by its role");
    home.operate(&owner, withdrawn(Some(agent())));
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::OperationNotGranted);
    assert_eq!(code(home.try_operate(&owner, withdrawn(Some(agent())))), Code::NotFound);

    home.pass(1);
    home.operate(&owner, assigned());
    home.invoke(read.clone(), "{}").expect("it has the role again");
    home.operate(&owner, withdrawn(None));
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::OperationNotGranted);
    home.pass(1);
    home.operate(&owner, role("readers"));
    home.operate(&owner, assigned());
    assert_eq!(code(home.invoke(read, "{}")), Code::OperationNotGranted, "its grants ended with the role");
    home.restart();
    let read = home.call("notes.get", READ, None);
    assert_eq!(code(home.invoke(read, "{}")), Code::OperationNotGranted);
}

//= docs/spec/authority.md#taking-objects
#[test]
fn what_is_sent_together_is_taken_whole_or_not_at_all() {
    let mut home = Home::new();
    let owner = zone("z:owner");
    let bot = || Enrolment {
        principal: "bot".parse().expect("a name"),
        public_key: SigningKey::generate(&mut Entropy::from_seed(&[43; 32].into())).verifying_key(),
        key_source: "file".into(),
    };
    let assignment = RoleAssignment { principal: bot().principal, ..assigned() };
    let set = |home: &Home| {
        vec![
            sign(&work(), home.now, bot(), &home.keys.operator).into(),
            sign(&owner, home.now, assignment.clone(), &home.keys.operator).into(),
        ]
    };
    let both = set(&home);
    assert_eq!(code(home.ask(together(both))), Code::NotFound, "there is no such role");
    assert!(home.node.authority().principal(&bot().principal).is_none(), "so there is no agent either");
    home.operate(&owner, role("readers"));

    home.disk_answers = false;
    let both = set(&home);
    let lost = home.send(together(both.clone()));
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(lost)), Code::StoreFull);
    assert!(home.node.authority().principal(&bot().principal).is_none());
    home.disk_answers = true;
    assert!(matches!(home.ask(together(both.clone())), Ok(Answer::AdmittedTogether(ids)) if ids.len() == 2));
    assert_eq!(code(home.ask(together(both))), Code::Conflict, "taken once");
    let twice: Vec<_> =
        (0..2).map(|_| sign(&owner, home.now, role("other"), &home.keys.operator).into()).collect();
    assert_eq!(code(home.ask(together(twice))), Code::Conflict);
    assert_eq!(code(home.ask(together(Vec::new()))), Code::MissingField);
    let fields = revocation(&home, RevocationScope::Capability, &[1; 32]);
    let revoked = sign(&owner, home.now, fields, &home.keys.operator).into();
    assert_eq!(code(home.ask(together(vec![revoked]))), Code::NotPermitted);
    home.restart();
    assert!(home.node.authority().principal(&bot().principal).is_some());
}

//= docs/spec/authority.md#zones
#[test]
fn a_zone_is_defined_with_its_policy_and_keeps_its_levels() {
    let mut home = Home::new();
    let (apollo, level) = (zone("z:project:apollo"), |height| Level::new(height).expect("a level"));
    let definition = |integrity, confidentiality| ZoneDefinition {
        integrity: level(integrity),
        confidentiality: level(confidentiality),
        description: String::new(),
        key: None,
    };
    assert_eq!(code(home.try_operate(&apollo, definition(60, 60))), Code::ZoneUnknown, "the node has no key");
    let key = SymmetricKey::generate(&mut Entropy::from_seed(&[44; 32].into()));
    assert_eq!(home.ask(Request::HoldZoneKey { zone: apollo.clone(), key }), Ok(Answer::Done));
    assert_eq!(code(home.try_operate(&apollo, policy(1))), Code::ZoneUnknown, "a policy needs its zone");
    assert_eq!(code(home.try_operate(&apollo, definition(100, 60))), Code::OutOfRange);
    let set = vec![
        sign(&apollo, home.now, definition(60, 40), &home.keys.operator).into(),
        sign(&apollo, home.now, policy(1), &home.keys.operator).into(),
    ];
    home.ask(together(set)).expect("the operator may");
    assert!(home.node.authority().zone(&apollo).is_some());
    assert_eq!(code(home.try_operate(&apollo, definition(60, 41))), Code::Conflict);
    assert_eq!(code(home.try_operate(&zone("z:public"), definition(80, 20))), Code::Conflict);
    home.operate(&apollo, ZoneDefinition { description: "of Apollo".into(), ..definition(60, 40) });

    let rights: BTreeSet<_> =
        OperatorRight::ALL.iter().copied().filter(|it| *it != OperatorRight::Zones).collect();
    let fields = OperatorDelegation { rights, ..delegation(&home, &[]) };
    let narrowed = sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
    home.ask(admission(narrowed)).expect("the owner may");
    assert_eq!(code(home.try_operate(&apollo, policy(2))), Code::NotPermitted);
}

fn attestation(home: &Home) -> NodeAttestation {
    home.node.authority().issuer(home.node.issuance_key()).expect("an attestation").clone()
}

//= docs/spec/authority.md#renewal
#[test]
fn a_node_whose_attestation_has_ended_makes_no_call_until_the_owner_renews_it() {
    let (mut home, _) = Home::with_grant();
    let made = home.invoke(home.call("notes.get", READ, None), "{}").expect("a call");
    let before = attestation(&home);
    home.pass(365 * 86_400);
    home.grant(everything());
    home.restart();
    let read = home.call("notes.get", READ, None);
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::TokenIssuerUnknown);

    let until = |secs| home.now.unix.saturating_add(secs);
    let renewed = NodeAttestation { expires_at: until(86_400), nonce: [4; 32], ..before.clone() };
    let tries = [
        (NodeAttestation { expires_at: before.expires_at, ..renewed.clone() }, Code::OutOfRange),
        (NodeAttestation { expires_at: until(367 * 86_400), ..renewed.clone() }, Code::OutOfRange),
        (NodeAttestation { encryption_key: [1; 32], ..renewed.clone() }, Code::Conflict),
        (NodeAttestation { issued_at: home.now.unix, ..renewed.clone() }, Code::Conflict),
        (
            NodeAttestation {
                signing_key: SigningKey::generate(&mut Entropy::from_seed(&[45; 32].into())).verifying_key(),
                ..renewed.clone()
            },
            Code::NotFound,
        ),
    ];
    let owner = zone("z:owner");
    for (bad, why) in tries {
        let signed = sign(&owner, home.now, bad, &home.keys.owner);
        assert_eq!(code(home.ask(admission(signed))), why);
    }
    assert_eq!(code(home.try_operate(&owner, renewed.clone())), Code::NotPermitted, "only the owner");
    let signed = sign(&owner, home.now, renewed, &home.keys.owner);
    home.ask(admission(signed)).expect("the owner may");
    home.invoke(read, "{}").expect("it goes on");

    let receipt = home.journal.iter().find(|record| record.id == made.receipt).expect("it is stored");
    let opened = StoredObject::from_bytes(&receipt.bytes).and_then(|stored| AnyObject::open(&stored));
    let Ok(AnyObject::OperationReceipt(receipt)) = opened else { panic!("a receipt") };
    assert_eq!(home.node.authority().check(&receipt, home.node.revocations()), Ok(()), "old receipts verify");
    home.restart();
    home.invoke(home.call("notes.get", READ, None), "{}").expect("after a restart too");
}

#[test]
fn a_disabled_connector_stays_disabled_when_it_is_installed_again() {
    let (mut home, _) = Home::with_grant();
    let disabled = ConnectorState {
        connector: "notes".parse().expect("an id"),
        enabled: false,
        removed: false,
        reason: None,
    };
    home.operate(&work(), disabled.clone());
    home.pass(1);
    home.install();
    let read = home.call("notes.get", READ, None);
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::ConnectorDisabled);
    home.restart();
    let read = home.call("notes.get", READ, None);
    assert_eq!(code(home.invoke(read.clone(), "{}")), Code::ConnectorDisabled);
    home.operate(&work(), ConnectorState { enabled: true, ..disabled.clone() });
    home.invoke(read.clone(), "{}").expect("it was enabled");
    home.operate(&work(), ConnectorState { removed: true, ..disabled });
    home.pass(1);
    home.install();
    home.invoke(read, "{}").expect("once removed, it begins afresh");
}

//= docs/spec/authority.md#taking-objects
#[test]
fn what_is_revoked_is_neither_installed_nor_enabled_and_is_disabled_and_removed_as_ever() {
    let (mut home, _) = Home::with_grant();
    let state = |enabled, removed| ConnectorState {
        connector: "notes".parse().expect("an id"),
        enabled,
        removed,
        reason: None,
    };
    let manifest = include_bytes!("home/notes.toml");
    for (part, digest) in [("code", [2; 32]), ("package", [1; 32])] {
        let mut home = Home::new();
        home.revoke(RevocationScope::ConnectorBinary, &digest);
        home.pass(1);
        let refused = home.try_install(manifest, [2; 32]).expect_err("it is revoked");
        assert_eq!(refused.code, Code::ConnectorRevoked);
        assert!(refused.message.starts_with(&format!("the {part} ")), "{}", refused.message);
    }
    home.revoke(RevocationScope::ConnectorBinary, &[2; 32]);
    home.pass(1);
    assert_eq!(code(home.try_install(manifest, [2; 32])), Code::ConnectorRevoked);
    assert_eq!(code(home.try_operate(&work(), state(true, false))), Code::ConnectorRevoked);
    home.operate(&work(), state(false, false));
    home.try_install(manifest, [3; 32]).expect("another release");
    home.operate(&work(), state(true, false));
    home.revoke(RevocationScope::ConnectorBinary, &[3; 32]);
    home.operate(&work(), state(false, true));
}

#[test]
fn an_operators_name_is_no_agents() {
    let mut home = Home::new();
    let fields = Enrolment {
        principal: "op".parse().expect("a name"),
        public_key: home.keys.agent.verifying_key(),
        key_source: "file".into(),
    };
    assert_eq!(code(home.try_operate(&work(), fields)), Code::Conflict);
    let fields = OperatorDelegation { operator: agent(), ..delegation(&home, OperatorRight::ALL) };
    let by_owner = sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
    assert_eq!(code(home.ask(admission(by_owner))), Code::Conflict);
}

fn test_of(home: &Home, operator: &str, credential: &str) -> Request {
    let fields = CredentialTest {
        operator: operator.parse().expect("a name"),
        credential: credential.parse().expect("a name"),
    };
    let test = Box::new(sign(&work(), home.now, fields, &home.keys.operator));
    Request::TestCredential { test, actor: "op".into() }
}

/// Has the operator test a credential; the service answers with `outcome` if it is asked.
fn tested(home: &mut Home, request: Request, outcome: &Outcome) -> Result<CallAnswer, Failure> {
    let id = home.send(request);
    home.run();
    while let Some(dispatch) = home.dispatched.pop_front() {
        assert_eq!(dispatch.authorized.operation().as_str(), "notes.ping");
        assert_eq!(dispatch.authorized.input(), "{}");
        assert_eq!(dispatch.credentials.len(), 1);
        home.node.handle_outcome(dispatch.call_id, outcome.clone(), home.now);
        home.run();
    }
    let answer = home.take(id)?;
    let Answer::Called(answer) = answer else { panic!("{answer:?}") };
    Ok(answer)
}

//= docs/spec/authority.md#testing-a-credential
#[test]
fn an_operator_tests_a_credential_by_one_call_of_the_health_operation() {
    let mut home = Home::new();
    home.install_with_health();
    let good = home::succeeded("{}");
    let request = test_of(&home, "op", "main");
    let answer = tested(&mut home, request, &good).expect("a call");
    assert_eq!(answer.outcome, fcp_proto_core::object::CallOutcome::Succeeded);
    let told = |home: &Home, wanted: AuditEventKind, actor: &str| {
        home.journal.iter().any(|record| {
            let object = StoredObject::from_bytes(&record.bytes).and_then(|it| AnyObject::open(&it));
            matches!(object, Ok(AnyObject::AuditEvent(it)) if it.body.kind == wanted && it.body.actor == actor)
        })
    };
    assert!(
        told(&home, AuditEventKind::CallDispatched, "op") && told(&home, AuditEventKind::SecretAccess, "op")
    );

    let again = test_of(&home, "op", "main");
    assert_eq!(code(tested(&mut home, again, &good)), Code::Conflict, "a word serves once");
    home.pass(1);
    let request = test_of(&home, "op", "other");
    assert_eq!(code(tested(&mut home, request, &good)), Code::NotFound);
    let request = test_of(&home, "ada", "main");
    assert_eq!(code(tested(&mut home, request, &good)), Code::NotPermitted, "it names another");
    let narrow = delegation(&home, &[OperatorRight::Grant]);
    let narrow = sign(&zone("z:owner"), home.now, narrow, &home.keys.owner);
    home.ask(admission(narrow)).expect("the owner may");
    home.pass(1);
    let request = test_of(&home, "op", "main");
    assert_eq!(code(tested(&mut home, request, &good)), Code::NotPermitted, "it needs the right");
    home.restart();
}

#[test]
fn a_connector_without_a_health_operation_has_no_test() {
    let mut home = Home::new();
    let request = test_of(&home, "op", "main");
    assert_eq!(code(tested(&mut home, request, &home::succeeded("{}"))), Code::OperationUnknown);
}

/// Nothing of it was stored, so the same word of the same second is still a new one.
//= docs/spec/authority.md#testing-a-credential
#[test]
fn a_test_that_the_disk_refused_can_be_asked_for_again() {
    let mut home = Home::new();
    home.install_with_health();
    home.disk_answers = false;
    let request = test_of(&home, "op", "main");
    let id = home.send(request);
    home.run();
    home.disk(Completion::Refused(Refusal::Full));
    assert_eq!(code(home.take(id)), Code::StoreFull);
    home.disk_answers = true;
    let again = test_of(&home, "op", "main");
    tested(&mut home, again, &home::succeeded("{}")).expect("there is room");
    let again = test_of(&home, "op", "main");
    assert_eq!(code(tested(&mut home, again, &home::succeeded("{}"))), Code::Conflict, "a word serves once");
}

#[test]
fn a_test_does_not_outlive_its_operators_key() {
    let mut home = Home::new();
    home.install_with_health();
    home.disk_answers = false;
    let busy = home.send(Request::OpenContext { principal: agent(), actor: "op".into() });
    let request = test_of(&home, "op", "main");
    let test = home.send(request);
    let fields = revocation(&home, RevocationScope::IssuerKey, home.keys.operator.key_id().as_bytes());
    let by_owner = sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
    let revoked = home.send(admission(by_owner));
    home.run();
    settle_disk(&mut home);
    assert!(home.dispatched.is_empty(), "nothing goes out");
    assert!(home.take(busy).is_ok() && home.take(revoked).is_ok());
    let answer = home.take(test);
    assert!(
        matches!(&answer, Ok(Answer::Called(call)) if call.error.is_some()) || answer.is_err(),
        "{answer:?}"
    );
}

//= docs/spec/authority.md#testing-a-credential
#[test]
fn nobody_calls_by_a_word_that_it_names() {
    let mut home = Home::new();
    home.install_with_health();
    let request = test_of(&home, "op", "main");
    let Request::TestCredential { test, .. } = &request else { panic!("a test") };
    let word = AnyObject::from((**test).clone())
        .store()
        .and_then(|it| it.id(home.node.zone_key(&work()).expect("a key")));
    tested(&mut home, request, &home::succeeded("{}")).expect("the node takes it");
    let call = home.call("notes.ping", "{}", None);
    let call = CallRequest { by: CalledBy::Word(word.expect("a name")), ..call };
    assert_eq!(code(home.invoke(call, "{}")), Code::Unauthenticated);
}
