//! When a holder asks whom for what, and which lease it holds then.

use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::object::LeasePurpose;
use fcp_proto_core::time::{Instant, Now};

use super::votes::{NOW, PURPOSE, at, holder, lease, proposal, signed};
use super::*;
use crate::persist::{BatchToken, Completion};

/// Whom the holder asks, and for more of which lease.
fn asked(holder: &mut Holder, promised: u64, now: Now) -> (NodeId, Option<u64>) {
    let mut out = Vec::new();
    assert!(holder.want(&subject(), PURPOSE, Some(promised), &term(3), now, &mut out));
    match out.as_slice() {
        [Output::Send { to, message: Message::Request(request) }] => (to.clone(), request.renews),
        other => panic!("no request: {other:?}"),
    }
}

fn grant(holder: &mut Holder, n: u64, now: Now) {
    holder.handle_grant(lease(n, &[0, 1]), &term(3), now, &mut Vec::new()).unwrap();
}

/// What the holder says when its write `batch` is durable.
fn stored(holder: &mut Holder, batch: u64) -> Vec<Output> {
    let mut out = Vec::new();
    holder.handle_stored(BatchToken(batch), Completion::Durable, &mut out);
    out
}

/// A holder with the lease of counter 4, granted now.
fn held() -> Holder {
    let mut holder = holder();
    grant(&mut holder, 4, at(NOW));
    assert_eq!(stored(&mut holder, 0), [Output::Held(subject())]);
    holder
}

fn token(holder: &mut Holder, now: Now) -> Option<u64> {
    holder.tenure(&subject(), now).map(|held| held.token - FLOOR)
}

//= docs/spec/leases.md#renewal
#[test]
fn what_is_over_by_the_wall_clock_is_not_asked_to_be_prolonged() {
    assert_eq!(asked(&mut held(), FLOOR + 4, at(NOW)).1, Some(FLOOR + 4));
    let end = UnixTime::from_secs(NOW + 300 - CLOCK_BOUND_SECS);
    assert_eq!(asked(&mut held(), FLOOR + 4, Now { unix: end, ..at(NOW) }).1, None);
}

//= docs/spec/leases.md#holding
#[test]
fn a_subject_is_wanted_for_one_purpose() {
    let (mut holder, mut out) = (holder(), Vec::new());
    assert!(!holder.want(&subject(), LeasePurpose::Migration, None, &term(3), at(NOW), &mut out));
    assert_eq!(out, []);
}

//= docs/spec/leases.md#clocks
#[test]
fn a_wall_clock_that_is_set_back_prolongs_nothing_by_the_clock_that_only_runs() {
    let mut holder = holder();
    grant(&mut holder, 4, at(NOW + 100));
    stored(&mut holder, 0);
    // A second less than what was left at the grant, since readings are cut to whole seconds.
    let end = (NOW + 300 - CLOCK_BOUND_SECS - 1) * 1_000_000_000;
    let back = |nanos| Now { mono: Instant::from_nanos(nanos), unix: UnixTime::from_secs(NOW) };
    assert_eq!(token(&mut holder, back(end - 1)), Some(4));
    assert_eq!(token(&mut holder, back(end)), None);
}

#[test]
fn a_lease_that_is_granted_again_or_late_changes_nothing() {
    let mut again = held();
    grant(&mut again, 4, at(NOW));
    assert_eq!(stored(&mut again, 1), [], "it is held already");
    let mut late = holder();
    grant(&mut late, 4, at(NOW));
    grant(&mut late, 5, at(NOW));
    assert_eq!(stored(&mut late, 1), [Output::Held(subject())]);
    assert_eq!(stored(&mut late, 0), [], "an older one");
    assert_eq!(token(&mut late, at(NOW)), Some(5));
}

//= docs/spec/leases.md#coordinator
#[test]
fn each_time_the_next_is_asked_and_after_a_lease_the_first_again() {
    let term = term(3);
    let order = ranking(&subject(), term.electorate.members());
    let mut holder = holder();
    let next = |holder: &mut Holder| asked(holder, FLOOR + 3, at(NOW)).0;
    assert_eq!(
        [next(&mut holder), next(&mut holder), next(&mut holder)],
        [1, 2, 0].map(|i: usize| order[i].clone())
    );
    grant(&mut holder, 4, at(NOW));
    stored(&mut holder, 0);
    assert_eq!(next(&mut holder), *order[0]);
}

//= docs/spec/leases.md#renewal
#[test]
fn a_lease_is_prolonged_when_a_fifth_is_left() {
    let due = NOW + 300 - CLOCK_BOUND_SECS - DEFAULT_TTL_SECS / 5;
    assert!(!held().should_renew(&subject(), at(due - 1)));
    assert!(held().should_renew(&subject(), at(due)));
}

//= docs/spec/leases.md#release-and-handoff
#[test]
fn what_is_being_written_of_a_lease_that_is_given_back_is_never_held() {
    let other = Subject { object: ObjectId::from_bytes([8; 32]), ..subject() };
    let (term, mut holder, mut out) = (term(3), holder(), Vec::new());
    holder.want(&other, PURPOSE, None, &term, at(NOW), &mut out);
    grant(&mut holder, 4, at(NOW));
    let of_other = signed(&Proposal { subject: other.clone(), ..proposal(4) }, &[0, 1]);
    holder.handle_grant(of_other, &term, at(NOW), &mut out).unwrap();
    out.clear();
    holder.release(&subject(), Some(FLOOR + 4), None, &term, &mut out);
    assert_eq!(out.len(), 3, "every voter is told");
    asked(&mut holder, FLOOR + 4, at(NOW));
    assert_eq!(stored(&mut holder, 0), []);
    assert_eq!(token(&mut holder, at(NOW)), None);
    assert_eq!(stored(&mut holder, 1), vec![Output::Held(other)]);
}
