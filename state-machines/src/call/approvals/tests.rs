//! Each part of what a decision must answer, alone; the bounds of time; what is given back and forgotten.

use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::object::GrantRequest;
use fcp_proto_core::token::constraints::Constraints;

use super::*;

const REQUEST: ObjectId = ObjectId::from_bytes([1; 32]);
const DECISION: ObjectId = ObjectId::from_bytes([2; 32]);
const OTHER: ObjectId = ObjectId::from_bytes([3; 32]);
const SIGNER: KeyId = KeyId::from_bytes([4; 8]);
const KEY: KeyId = KeyId::from_bytes([5; 8]);

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn ada() -> PrincipalId {
    PrincipalId::new("ada").unwrap()
}

fn work() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn asked() -> ApprovalRequest {
    ApprovalRequest {
        request: OTHER,
        call_digest: Digest::from_bytes([5; 32]),
        interface_hash: Digest::from_bytes([6; 32]),
        code_digest: Digest::from_bytes([7; 32]),
        label_digest: Digest::from_bytes([8; 32]),
        kinds: [ApprovalKind::Execution].into(),
        missing: Code::ApprovalRequired,
        note: None,
        requested_at: at(10),
        expires_at: at(100),
    }
}

fn given() -> ApprovalToken {
    let asked = asked();
    ApprovalToken {
        approval_request: REQUEST,
        call_digest: asked.call_digest,
        interface_hash: asked.interface_hash,
        code_digest: asked.code_digest,
        label_digest: asked.label_digest,
        kinds: asked.kinds,
        decision: ApprovalDecision::Approve,
        decided_at: at(20),
        expires_at: at(60),
        note: None,
    }
}

fn filed() -> Approvals {
    let mut approvals = Approvals::default();
    approvals.apply_request(REQUEST, work(), (ada(), Some(KEY)), asked());
    approvals
}

#[test]
fn a_decision_binds_every_part_of_what_its_request_names() {
    let approvals = filed();
    let refusal = |token: &ApprovalToken, now| approvals.check_decision(token, at(now)).err();
    assert_eq!(refusal(&given(), 99), None);
    assert_eq!(refusal(&given(), 100), Some(Undecidable::Expired));
    let other = Digest::from_bytes([9; 32]);
    let changes: [fn(&mut ApprovalToken, Digest); 5] = [
        |it, other| it.call_digest = other,
        |it, other| it.interface_hash = other,
        |it, other| it.code_digest = other,
        |it, other| it.label_digest = other,
        |it, _| it.kinds.extend([ApprovalKind::Elevation]),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut token = given();
        change(&mut token, other);
        assert_eq!(refusal(&token, 20), Some(Undecidable::Mismatch), "change {number}");
    }
    let unknown = ApprovalToken { approval_request: OTHER, ..given() };
    assert_eq!(refusal(&unknown, 20), Some(Undecidable::Unknown));
}

#[test]
fn a_request_is_decided_once_and_waits_again_only_if_its_own_decision_was_not_stored() {
    let mut approvals = filed();
    assert_eq!(
        (
            approvals.waiting_of(&ada(), Some(KEY)),
            approvals.waiting_of(&PrincipalId::new("eve").unwrap(), Some(KEY))
        ),
        (1, 0)
    );
    approvals.hold(&REQUEST, DECISION);
    assert_eq!(approvals.waiting_of(&ada(), Some(KEY)), 0);
    approvals.release(&REQUEST, &OTHER);
    assert_eq!(
        approvals.check_decision(&given(), at(20)),
        Err(Undecidable::Decided),
        "another was not stored"
    );
    approvals.release(&REQUEST, &DECISION);
    assert!(approvals.check_decision(&given(), at(20)).is_ok());
    approvals.apply_decision(DECISION, SIGNER, given());
    assert_eq!(approvals.check_decision(&given(), at(20)), Err(Undecidable::Decided));
    assert_eq!(approvals.request(&REQUEST).map(|it| it.decision), Some(Some(DECISION)));
}

#[test]
fn what_an_undelivered_call_spent_is_given_back_and_nothing_else() {
    let mut approvals = filed();
    approvals.apply_decision(DECISION, SIGNER, given());
    let spent = |approvals: &Approvals| approvals.decision(&DECISION).and_then(|it| it.spent_by);
    approvals.spend(&DECISION, OTHER);
    assert_eq!(spent(&approvals), Some(OTHER));
    approvals.refund(&REQUEST);
    assert_eq!(spent(&approvals), Some(OTHER), "another call's");
    approvals.refund(&OTHER);
    assert_eq!(spent(&approvals), None);
    assert_eq!(approvals.over(&given().call_digest).count(), 1);
    assert_eq!(approvals.over(&given().code_digest).count(), 0);
}

#[test]
fn what_can_no_longer_be_used_is_forgotten_to_the_second() {
    let mut approvals = filed();
    approvals.apply_decision(DECISION, SIGNER, ApprovalToken { expires_at: at(200), ..given() });
    let left = |approvals: &Approvals| (approvals.requests().count(), approvals.decisions().count());
    approvals.expire(at(199));
    assert_eq!(left(&approvals), (1, 1), "a request stays as long as its decision");
    approvals.expire(at(200));
    assert_eq!(left(&approvals), (0, 0));
    let mut waiting = filed();
    waiting.expire(at(99));
    assert_eq!(left(&waiting), (1, 0));
    waiting.expire(at(100));
    assert_eq!(left(&waiting), (0, 0));
}

/// A change of a grant.
type Change = fn(&mut Grant);

fn wish() -> GrantRequest {
    GrantRequest {
        principal: ada(),
        connector: ConnectorId::new("notes").unwrap(),
        operations: [OperationId::new("notes.get").unwrap()].into(),
        constraints: bounds(&["notes:a"]),
        lifetime_secs: 50,
        note: None,
        requested_at: at(10),
        expires_at: at(100),
        interface_hash: None,
        code_digest: None,
    }
}

fn bounds(resources: &[&str]) -> Constraints {
    let patterns = resources.iter().map(|it| it.parse().unwrap());
    Constraints { resource_allow: patterns.collect(), ..Constraints::default() }
}

fn answer() -> Grant {
    let wish = wish();
    Grant {
        grantee: Grantee::Principal(wish.principal),
        connector: wish.connector,
        capabilities: [].into(),
        operations: wish.operations,
        constraints: wish.constraints,
        not_before: at(20),
        expires_at: at(70),
        standing_approval: None,
        request: Some(REQUEST),
    }
}

fn wished() -> GrantRequests {
    let mut requests = GrantRequests::default();
    requests.apply_request(REQUEST, work(), Some(KEY), wish());
    requests
}

#[test]
fn a_grant_answers_for_whoever_asked_and_no_more_than_was_asked() {
    let requests = wished();
    let refusal =
        |zone: &ZoneId, grant: &Grant, now| requests.check_grant(&REQUEST, zone, grant, at(now)).err();
    assert_eq!(refusal(&work(), &answer(), 99), None);
    assert_eq!(refusal(&work(), &answer(), 100), Some(Undecidable::Expired));
    let private = ZoneId::new("z:private").unwrap();
    assert_eq!(refusal(&private, &answer(), 20), Some(Undecidable::Mismatch), "another zone");
    let changes: [(&str, Change); 5] = [
        ("another principal", |it| it.grantee = Grantee::Principal(PrincipalId::new("eve").unwrap())),
        ("another connector", |it| it.connector = ConnectorId::new("mail").unwrap()),
        ("an operation more", |it| it.operations.extend([OperationId::new("notes.put").unwrap()])),
        ("wider bounds", |it| it.constraints = bounds(&["notes:a", "notes:b"])),
        ("a second longer", |it| it.expires_at = at(71)),
    ];
    for (what, change) in changes {
        let mut grant = answer();
        change(&mut grant);
        assert_eq!(refusal(&work(), &grant, 20), Some(Undecidable::Mismatch), "{what}");
    }
    assert_eq!(requests.check_grant(&OTHER, &work(), &answer(), at(20)), Err(Undecidable::Unknown));
}

#[test]
fn a_request_for_a_grant_is_decided_once_and_forgotten_in_time() {
    let mut requests = wished();
    assert!(requests.knows(&REQUEST) && !requests.knows(&OTHER));
    let waiting = |requests: &GrantRequests, name: &str| {
        requests.waiting_of(&PrincipalId::new(name).unwrap(), Some(KEY))
    };
    assert_eq!((waiting(&requests, "ada"), waiting(&requests, "eve")), (1, 0));
    requests.decide(&REQUEST, DECISION);
    assert_eq!(waiting(&requests, "ada"), 0);
    requests.release(&REQUEST, &OTHER);
    assert_eq!(requests.waiting(&REQUEST, at(20)), Err(Undecidable::Decided), "another was not stored");
    requests.release(&REQUEST, &DECISION);
    assert!(requests.waiting(&REQUEST, at(20)).is_ok());
    requests.expire(at(99));
    assert!(requests.knows(&REQUEST));
    requests.expire(at(100));
    assert!(!requests.knows(&REQUEST));
}

//= docs/spec/gate.md#denials
#[test]
fn a_denial_is_of_what_its_principal_asked_for_or_of_anything_if_nobody_knows() {
    let call = CallRecord {
        call_id: CallId::default(),
        principal: ada(),
        connector: ConnectorId::new("notes").unwrap(),
        operation: OperationId::new("notes.put").unwrap(),
        input: "{}".into(),
        resources: Default::default(),
        credentials: Default::default(),
        idempotency_key: None,
        call_digest: asked().call_digest,
        trace: None,
    };
    let no = ApprovalToken { decision: ApprovalDecision::Deny, ..given() };
    let (eve, home) = (PrincipalId::new("eve").unwrap(), ZoneId::new("z:private").unwrap());
    let (other, touch) = (ConnectorId::new("files").unwrap(), OperationId::new("notes.touch").unwrap());
    for (record, known) in [(OTHER, Some(hash::digest(b"{}"))), (REQUEST, None)] {
        let mut approvals = Approvals::default();
        approvals.apply_record(record, &call);
        approvals.apply_request(REQUEST, work(), (ada(), Some(KEY)), asked());
        approvals.apply_decision(DECISION, SIGNER, given());
        let of =
            |approvals: &Approvals, who: &PrincipalId, zone: &ZoneId, connector: &ConnectorId, operation| {
                let denials = approvals.denials(who, zone, connector, operation);
                denials.map(|(id, _, input)| (*id, input)).collect::<Vec<_>>()
            };
        let found = of(&approvals, &ada(), &work(), &call.connector, &call.operation);
        assert_eq!(found, [], "an approval is none");
        approvals.apply_decision(DECISION, SIGNER, no.clone());
        let found = of(&approvals, &ada(), &work(), &call.connector, &call.operation);
        assert_eq!(found, [(DECISION, known)]);
        assert_eq!(of(&approvals, &eve, &work(), &call.connector, &call.operation), [], "another's");
        assert_eq!(of(&approvals, &ada(), &home, &call.connector, &call.operation), [], "elsewhere");
        let unknown = usize::from(known.is_none());
        assert_eq!(of(&approvals, &ada(), &work(), &other, &call.operation).len(), unknown);
        assert_eq!(of(&approvals, &ada(), &work(), &call.connector, &touch).len(), unknown);
    }
}
