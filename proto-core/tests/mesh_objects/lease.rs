//! A lease is relied on only while nothing newer is known.

use fcp_proto_core::object::{
    CertificateError, Certified, Lease, LeaseDemand, LeaseError, LeaseFrontier, LeaseHandoff, LeasePurpose,
    Object, Signed,
};

use super::{at, certified, id, key, members, node, refuses, sample};

type Leased = Object<Certified<Lease>>;

/// Validates the sample after `change`, certified anew, against what the sample meets.
fn validate(
    change: impl FnOnce(&mut Leased),
    newest: Option<&LeaseFrontier>,
    now: u64,
) -> Result<(), LeaseError> {
    let mut lease = sample::<Certified<Lease>>();
    change(&mut lease);
    let lease = certified(&lease, &[("laptop", 3), ("desktop", 11)]);
    let zone = "z:work".parse().expect("a zone");
    let voters = members();
    let demand = LeaseDemand {
        zone: &zone,
        subject: id(40),
        purpose: LeasePurpose::ConnectorStateWrite,
        newest,
        voters: &voters,
        required: 2,
    };
    lease.validate(&demand, at(now))
}

fn frontier(lease_seq: u64, holder: &str) -> LeaseFrontier {
    LeaseFrontier { lease_seq, holder: node(holder) }
}

//= docs/spec/objects.md#leases
#[test]
fn a_lease_is_refused_for_the_first_demand_that_it_does_not_meet() {
    assert_eq!(validate(|_| {}, None, 0), Ok(()));
    assert_eq!(validate(|_| {}, None, 299), Ok(()));
    assert_eq!(validate(|_| {}, None, 300), Err(LeaseError::Expired));
    let said = validate(|it| it.body.fields.subject_object_id = id(1), None, 0);
    assert_eq!(said, Err(LeaseError::SubjectMismatch));
    let said = validate(|it| it.header.zone_id = "z:private".parse().expect("a zone"), None, 0);
    assert_eq!(said, Err(LeaseError::ZoneMismatch));
    let said = validate(|it| it.body.fields.purpose = LeasePurpose::ResourceAccess, None, 0);
    assert_eq!(said, Err(LeaseError::PurposeMismatch));
}

//= docs/spec/objects.md#leases
#[test]
fn the_higher_token_wins_and_one_token_has_one_holder() {
    assert_eq!(validate(|_| {}, Some(&frontier(7, "laptop")), 0), Ok(()), "it is the newest");
    assert_eq!(validate(|_| {}, Some(&frontier(6, "desktop")), 0), Ok(()), "it is newer");
    assert_eq!(validate(|_| {}, Some(&frontier(8, "laptop")), 0), Err(LeaseError::Superseded));
    assert_eq!(validate(|_| {}, Some(&frontier(7, "desktop")), 0), Err(LeaseError::Conflict));
}

#[test]
fn a_lease_needs_its_members() {
    let lease = certified(&sample::<Certified<Lease>>(), &[("laptop", 3)]);
    let zone = "z:work".parse().expect("a zone");
    let voters = members();
    let demand = LeaseDemand {
        zone: &zone,
        subject: id(40),
        purpose: LeasePurpose::ConnectorStateWrite,
        newest: None,
        voters: &voters,
        required: 2,
    };
    let missing = CertificateError::TooFew { have: 1, need: 2 };
    assert_eq!(lease.validate(&demand, at(0)), Err(LeaseError::Certificate(missing)));
}

#[test]
fn a_lease_refers_to_its_subject_and_ends_with_its_header() {
    refuses::<Certified<Lease>>(|it| it.header.refs.clear());
    refuses::<Certified<Lease>>(|it| it.header.refs.push(id(1)));
    refuses::<Certified<Lease>>(|it| it.header.ttl_secs = None);
    refuses::<Certified<Lease>>(|it| it.header.ttl_secs = Some(299));
    refuses::<Certified<Lease>>(|it| {
        it.body.fields.exp = at(0);
        it.header.ttl_secs = Some(0);
    });
}

#[test]
fn a_handoff_leads_somewhere_else_and_raises_the_token() {
    refuses::<Signed<LeaseHandoff>>(|it| it.body.fields.next_lease_id = it.body.fields.previous_lease_id);
    refuses::<Signed<LeaseHandoff>>(|it| it.body.fields.to_holder = it.body.fields.from_holder.clone());
    refuses::<Signed<LeaseHandoff>>(|it| it.body.fields.next_token = it.body.fields.previous_token);
    for place in 0..3 {
        refuses::<Signed<LeaseHandoff>>(|it| {
            it.header.refs.remove(place);
        });
    }
}

/// A lease and the one it is handed on to.
fn pair() -> (Leased, Leased) {
    let from = sample::<Certified<Lease>>();
    let mut to = from.clone();
    (to.body.fields.holder, to.body.fields.lease_seq) = (node("desktop"), 8);
    (from, to)
}

//= docs/spec/objects.md#leases
#[test]
fn a_handoff_agrees_with_both_leases() {
    let handoff = sample::<Signed<LeaseHandoff>>();
    let leads = |change: &dyn Fn(&mut Leased, &mut Leased)| {
        let (mut from, mut to) = pair();
        change(&mut from, &mut to);
        handoff.leads((id(41), &from), (id(42), &to))
    };
    assert_eq!(leads(&|_, _| {}), Ok(()));
    assert_eq!(leads(&|from, _| from.body.fields.exp = at(0)), Err(LeaseError::Expired));
    let zone = || "z:private".parse().expect("a zone");
    assert_eq!(leads(&|_, to| to.header.zone_id = zone()), Err(LeaseError::ZoneMismatch));
    assert_eq!(
        leads(&|from, _| from.body.fields.subject_object_id = id(1)),
        Err(LeaseError::SubjectMismatch)
    );
    let other = LeasePurpose::Migration;
    assert_eq!(leads(&|_, to| to.body.fields.purpose = other), Err(LeaseError::PurposeMismatch));
    assert_eq!(leads(&|from, _| from.body.fields.lease_seq = 6), Err(LeaseError::Conflict));
    assert_eq!(leads(&|_, to| to.body.fields.holder = node("phone")), Err(LeaseError::Conflict));
    let (from, to) = pair();
    assert_eq!(handoff.leads((id(1), &from), (id(42), &to)), Err(LeaseError::Conflict));
    assert_eq!(key(3).key_id(), handoff.body.signer);
}
