//! What a coordinator takes, how many rounds it has, and when it gives a request up.

use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::time::Now;

use super::votes::{NOW, PURPOSE, at, proposal};
use super::*;

fn request(subject: Subject, renews: Option<u64>) -> Message {
    Message::Request(Request { subject, purpose: PURPOSE, ttl_secs: 300, renews })
}

fn numbered(n: u16) -> Subject {
    let mut object = [0; 32];
    object[..2].copy_from_slice(&n.to_le_bytes());
    Subject { object: ObjectId::from_bytes(object), ..subject() }
}

/// What the coordinator makes of a message in a mesh of `members`.
fn take(
    coordinator: &mut Coordinator,
    members: usize,
    from: usize,
    message: &Message,
    now: Now,
) -> Vec<Output> {
    let mut out = Vec::new();
    coordinator.handle(&node(from), message, &term(members), now, &mut out);
    out
}

fn denied(to: usize, subject: Subject, why: Denial) -> Vec<Output> {
    vec![Output::Send { to: node(to), message: Message::Deny { subject, why } }]
}

fn answer(promise: Option<Promise>) -> Message {
    Message::Answer { subject: subject(), round: 0, promise }
}

//= docs/spec/leases.md#coordinator
#[test]
fn a_stranger_is_no_party_to_a_round() {
    let mut coordinator = Coordinator::default();
    assert_eq!(take(&mut coordinator, 3, 9, &request(subject(), None), at(NOW)), []);
    assert_eq!(
        take(&mut coordinator, 3, 0, &request(subject(), None), at(NOW)).len(),
        3,
        "no round was begun"
    );
    assert_eq!(take(&mut coordinator, 3, 9, &answer(None), at(NOW)), []);
    assert_eq!(take(&mut coordinator, 3, 1, &answer(None), at(NOW)), [], "one of three is no quorum");
    assert_eq!(take(&mut coordinator, 3, 2, &answer(None), at(NOW)).len(), 3);
}

//= docs/spec/leases.md#coordinator
#[test]
fn a_subject_has_one_round_for_as_long_as_patience_lasts() {
    let mut coordinator = Coordinator::default();
    let mut ask = |from, subject, now| take(&mut coordinator, 3, from, &request(subject, None), at(now));
    assert_eq!(ask(0, subject(), NOW).len(), 3);
    assert_eq!(ask(1, subject(), NOW), denied(1, subject(), Denial::Busy));
    assert_eq!(ask(1, numbered(1), NOW).len(), 3, "another subject");
    let over = NOW + PATIENCE.as_secs();
    assert_eq!(ask(2, subject(), over - 1), denied(2, subject(), Denial::Busy));
    assert_eq!(ask(2, subject(), over).len(), 3);
}

#[test]
fn a_coordinator_has_a_thousand_rounds_at_once() {
    let mut coordinator = Coordinator::default();
    let mut ask = |n, now| take(&mut coordinator, 3, 0, &request(numbered(n), None), at(now));
    assert!((0..1_000).all(|n| ask(n, NOW).len() == 3));
    assert_eq!(ask(1_000, NOW), denied(0, numbered(1_000), Denial::Busy));
    assert_eq!(ask(1_000, NOW + PATIENCE.as_secs()).len(), 3);
}

//= docs/spec/leases.md#coordinator
#[test]
fn who_is_blocked_is_no_part_of_a_quorum_and_its_token_counts() {
    let mut coordinator = Coordinator::default();
    take(&mut coordinator, 3, 0, &request(subject(), None), at(NOW));
    let held = Promise {
        token: FLOOR + 7,
        holder: node(1),
        purpose: PURPOSE,
        exp: UnixTime::from_secs(NOW + 300),
        freed: Freed::No,
    };
    assert_eq!(take(&mut coordinator, 3, 1, &answer(Some(held)), at(NOW)), []);
    assert_eq!(take(&mut coordinator, 3, 0, &answer(None), at(NOW)), [], "one that is not blocked");
    let proposed = take(&mut coordinator, 3, 2, &answer(None), at(NOW));
    assert_eq!(proposed.len(), 3);
    for output in proposed {
        let Output::Send { message: Message::Propose { proposal, .. }, .. } = output else {
            panic!("{output:?}")
        };
        assert_eq!(proposal.token, FLOOR + 8);
    }
}

/// What a coordinator of five says to refusals of the members `from`, in turn, of a request of member 0.
fn refused(from: &[usize]) -> Vec<Vec<Output>> {
    let mut coordinator = Coordinator::default();
    take(&mut coordinator, 5, 0, &request(subject(), Some(FLOOR + 5)), at(NOW));
    let refusal = Message::Refuse { subject: subject(), round: 0, why: VoteRefusal::Times };
    from.iter().map(|from| take(&mut coordinator, 5, *from, &refusal, at(NOW))).collect()
}

//= docs/spec/leases.md#the-certificate
#[test]
fn a_request_is_given_up_when_no_quorum_is_left_or_its_holder_refuses() {
    let given_up = || denied(0, subject(), Denial::Refused(VoteRefusal::Times));
    assert_eq!(refused(&[1, 1, 2, 1, 3, 4]), [vec![], vec![], vec![], vec![], given_up(), vec![]]);
    assert_eq!(refused(&[1, 0, 2]), [vec![], given_up(), vec![]]);
}

//= docs/spec/leases.md#voting
#[test]
fn a_lease_lasts_as_long_in_its_header_as_in_its_fields() {
    let lease = proposal(5).object();
    assert_eq!(lease.header.ttl_secs, Some(300));
    assert_eq!(
        (lease.header.created_at, lease.body.fields.exp),
        (UnixTime::from_secs(NOW), UnixTime::from_secs(NOW + 300))
    );
}
