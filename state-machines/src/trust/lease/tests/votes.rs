//! What a voter, a coordinator and a holder say to every kind of input.

use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::object::{Certified, LeasePurpose, NodeSignature, Object};
use fcp_proto_core::time::{Instant, Now};

use super::*;
use crate::persist::{BatchToken, Completion, Refusal};

pub(super) const NOW: u64 = 1_000_000;
pub(super) const PURPOSE: LeasePurpose = LeasePurpose::ConnectorStateWrite;

pub(super) fn at(secs: u64) -> Now {
    Now { mono: Instant::from_nanos(secs * 1_000_000_000), unix: UnixTime::from_secs(secs) }
}

/// A lease of member 0 with the counter `n`, made now.
pub(super) fn proposal(n: u64) -> Proposal {
    Proposal {
        subject: subject(),
        holder: node(0),
        token: FLOOR + n,
        purpose: PURPOSE,
        created_at: UnixTime::from_secs(NOW),
        ttl_secs: 300,
    }
}

/// What the voter of member 1 makes of `proposal` from member 2.
fn propose(voter: &mut Voter, proposal: &Proposal, term: &Term, now: Now) -> Result<(), VoteRefusal> {
    let mut out = Vec::new();
    let message = Message::Propose { round: 4, proposal: proposal.clone() };
    voter.handle(&node(2), &message, (term, &key(1)), now, &mut out);
    match out.as_slice() {
        [Output::Persist { .. }] => Ok(()),
        [Output::Send { to, message: Message::Refuse { subject: about, round: 4, why } }] => {
            assert_eq!((to, about), (&node(2), &subject()));
            Err(why.clone())
        }
        other => panic!("neither a vote nor a refusal: {other:?}"),
    }
}

fn voter() -> Voter {
    Voter::restore(node(1), [])
}

/// A voter that voted for counter 5 of member 0, ending at `NOW + 300`.
fn promised() -> Voter {
    let mut voter = voter();
    propose(&mut voter, &proposal(5), &term(3), at(NOW)).unwrap();
    voter
}

fn released(successor: Option<usize>) -> Voter {
    let mut voter = promised();
    let release = Message::Release { subject: subject(), token: FLOOR + 5, successor: successor.map(node) };
    voter.handle(&node(0), &release, (&term(3), &key(1)), at(NOW), &mut Vec::new());
    voter
}

/// A state of a voter by its name.
type State = (&'static str, fn() -> Voter);

#[test]
fn every_state_of_a_promise_answers_every_proposal_as_the_table_says() {
    //= docs/spec/leases.md#voting
    let held = || VoteRefusal::Held { holder: node(0), exp: UnixTime::from_secs(NOW + 300) };
    let stale = || VoteRefusal::Stale { promised: FLOOR + 5 };
    let of = |n, holder| Proposal { holder: node(holder), ..proposal(n) };
    let longer = Proposal { ttl_secs: 301, ..proposal(5) };
    let shorter = Proposal { ttl_secs: 299, ..proposal(5) };
    let purpose = Proposal { purpose: LeasePurpose::Migration, ..proposal(5) };
    let no = || Err(VoteRefusal::NotRenewable);
    let states: [State; 4] = [
        ("held", promised),
        ("freed", || released(None)),
        ("freed to 2", || released(Some(2))),
        ("freed to 1", || released(Some(1))),
    ];
    let table = [
        ("lower, same holder", of(4, 0), [Err(stale()), Err(stale()), Err(stale()), Err(stale())]),
        ("equal, other holder", of(5, 2), [Err(stale()), Err(stale()), Err(stale()), Err(stale())]),
        ("equal", of(5, 0), [Ok(()), no(), no(), no()]),
        ("renewal", longer, [Ok(()), no(), no(), no()]),
        ("shorter", shorter, [no(), no(), no(), no()]),
        ("other purpose", purpose, [no(), no(), no(), no()]),
        ("higher, same holder", of(6, 0), [Ok(()), Ok(()), Err(held()), Err(held())]),
        ("higher, other holder", of(6, 2), [Err(held()), Ok(()), Ok(()), Err(held())]),
    ];
    for (what, proposal, expected) in &table {
        for ((state, make), expected) in states.iter().zip(expected) {
            let found = propose(&mut make(), proposal, &term(3), at(NOW));
            assert_eq!(found, *expected, "{state}: {what}");
        }
    }
}

#[test]
fn what_is_over_is_given_to_others_and_never_prolonged() {
    //= docs/spec/leases.md#clocks
    let later = |n, holder, now| Proposal {
        holder: node(holder),
        created_at: UnixTime::from_secs(now),
        ..proposal(n)
    };
    let end = NOW + 300 + CLOCK_BOUND_SECS;
    let held = VoteRefusal::Held { holder: node(0), exp: UnixTime::from_secs(NOW + 300) };
    assert_eq!(propose(&mut promised(), &later(6, 2, end - 1), &term(3), at(end - 1)), Err(held));
    assert_eq!(propose(&mut promised(), &later(6, 2, end), &term(3), at(end)), Ok(()));
    assert_eq!(propose(&mut promised(), &later(5, 0, end - 1), &term(3), at(end - 1)), Ok(()));
    let over = propose(&mut promised(), &later(5, 0, end), &term(3), at(end));
    assert_eq!(over, Err(VoteRefusal::NotRenewable));
    let mut back = promised();
    propose(&mut back, &later(9, 9, end), &term(3), at(end)).unwrap_err();
    assert_eq!(propose(&mut back, &later(6, 2, end), &term(3), at(NOW)), Ok(()), "time does not go back");
}

#[test]
fn members_epoch_times_and_tokens_of_a_proposal_must_be_right() {
    //= docs/spec/leases.md#voting
    let fresh = |proposal: Proposal| propose(&mut voter(), &proposal, &term(3), at(NOW));
    let dated = |secs| Proposal { created_at: UnixTime::from_secs(secs), ..proposal(1) };
    let ttl = |ttl_secs| Proposal { ttl_secs, ..proposal(1) };
    let past = 2 * CLOCK_BOUND_SECS + PATIENCE.as_secs();
    assert_eq!(fresh(proposal(1)), Ok(()));
    assert_eq!(fresh(Proposal { holder: node(7), ..proposal(1) }), Err(VoteRefusal::NotAMember));
    for token in [0, FLOOR - 1, FLOOR, FLOOR + (1 << 32) + 1, u64::MAX] {
        assert_eq!(fresh(Proposal { token, ..proposal(1) }), Err(VoteRefusal::Epoch(EPOCH)), "{token:#x}");
    }
    assert_eq!(fresh(proposal(MAX_TOKEN_JUMP)), Ok(()));
    assert_eq!(fresh(proposal(MAX_TOKEN_JUMP + 1)), Err(VoteRefusal::TokenJump));
    for good in [ttl(MIN_TTL_SECS), ttl(MAX_TTL_SECS), dated(NOW - past), dated(NOW + 10)] {
        assert_eq!(fresh(good.clone()), Ok(()), "{good:?}");
    }
    for bad in [ttl(MIN_TTL_SECS - 1), ttl(MAX_TTL_SECS + 1), dated(NOW - past - 1), dated(NOW + 11)] {
        assert_eq!(fresh(bad.clone()), Err(VoteRefusal::Times), "{bad:?}");
    }
    let closed = Term { opens_at: UnixTime::from_secs(NOW + 1), ..term(3) };
    let early = propose(&mut voter(), &proposal(1), &closed, at(NOW));
    assert_eq!(early, Err(VoteRefusal::Epoch(EPOCH)), "the epoch has not opened");
    let two = propose(&mut voter(), &proposal(1), &term(2), at(NOW));
    assert_eq!(two, Err(VoteRefusal::NotAMember), "a stranger's proposal");
}

#[test]
fn an_epoch_without_tokens_gives_no_lease() {
    //= docs/spec/leases.md#tokens
    assert_eq!(token::next(3, FLOOR + 7), Some(FLOOR + 8));
    assert_eq!(token::next(3, 5), Some(FLOOR + 1), "an older epoch's tokens are below");
    assert_eq!(token::next(3, FLOOR + u64::from(u32::MAX)), None);
    assert_eq!(token::next(u64::from(u32::MAX), u64::MAX), None);
    assert_eq!(token::next(1 << 32, 0), None);
    assert_eq!(epoch_of(FLOOR + 1), EPOCH);
}

#[test]
fn a_vote_leaves_when_it_is_durable_and_not_before() {
    //= docs/spec/leases.md#voting
    for (completion, sent) in
        [(Completion::Durable, 1), (Completion::Refused(Refusal::Full), 0), (Completion::Failed, 0)]
    {
        let (mut voter, mut out) = (promised(), Vec::new());
        voter.handle_stored(BatchToken(1), Completion::Durable, &mut out);
        assert!(out.is_empty(), "no write of its own");
        voter.handle_stored(BatchToken(0), completion, &mut out);
        assert_eq!(out.len(), sent, "{completion:?}");
    }
    let mut twice = promised();
    assert_eq!(propose(&mut twice, &proposal(5), &term(3), at(NOW)), Ok(()), "repeated: written again");
}

pub(super) fn lease(n: u64, by: &[usize]) -> Object<Certified<Lease>> {
    signed(&proposal(n), by)
}

pub(super) fn signed(proposal: &Proposal, by: &[usize]) -> Object<Certified<Lease>> {
    let mut lease = proposal.object();
    for i in by {
        let vote = lease.vote(&node(*i), UnixTime::from_secs(NOW), &key(*i)).unwrap();
        lease.body.quorum_signatures.insert(vote).unwrap();
    }
    lease
}

#[test]
fn a_voter_remembers_the_newest_lease_that_it_signed() {
    //= docs/spec/leases.md#restart
    let stored = [lease(4, &[1]), lease(6, &[0, 1]), lease(5, &[1]), lease(9, &[0, 2])];
    let voter = Voter::restore(node(1), &stored);
    assert_eq!(voter.promise(&subject()).map(|promise| promise.token), Some(FLOOR + 6));
}

#[test]
fn only_the_holder_gives_back() {
    //= docs/spec/leases.md#release-and-handoff
    for (from, token) in [(2, FLOOR + 5), (0, FLOOR + 4)] {
        let mut voter = promised();
        let release = Message::Release { subject: subject(), token, successor: None };
        voter.handle(&node(from), &release, (&term(3), &key(1)), at(NOW), &mut Vec::new());
        assert_eq!(voter.promise(&subject()).unwrap().freed, Freed::No);
    }
}

/// A holder that began to want the subject when its own voter had promised counter 3.
pub(super) fn holder() -> Holder {
    let mut holder = Holder::new(node(0));
    assert!(holder.want(&subject(), PURPOSE, Some(FLOOR + 3), &term(3), at(NOW), &mut Vec::new()));
    holder
}

#[test]
fn a_holder_takes_only_what_it_asked_for_and_voted_for() {
    //= docs/spec/leases.md#holding
    let grant = |mut holder: Holder, lease| holder.handle_grant(lease, &term(3), at(NOW), &mut Vec::new());
    assert_eq!(grant(holder(), lease(4, &[0, 1])), Ok(()));
    assert_eq!(grant(holder(), lease(3, &[0, 1])), Err(GrantError::Stale));
    assert_eq!(grant(holder(), lease(4, &[1, 2])), Err(GrantError::NotOwnVote));
    assert_eq!(grant(Holder::new(node(0)), lease(4, &[0, 1])), Err(GrantError::NotWanted));
    assert!(matches!(grant(holder(), lease(4, &[0])), Err(GrantError::Quorum(_))));
    let mut other = Holder::new(node(2));
    other.want(&subject(), PURPOSE, None, &term(3), at(NOW), &mut Vec::new());
    assert_eq!(grant(other, lease(4, &[0, 1, 2])), Err(GrantError::NotWanted), "another's");
    let mut migrating = Holder::new(node(0));
    migrating.want(&subject(), LeasePurpose::Migration, None, &term(3), at(NOW), &mut Vec::new());
    assert_eq!(grant(migrating, lease(4, &[0, 1])), Err(GrantError::NotWanted), "another purpose");
}

#[test]
fn a_lease_is_used_when_it_is_durable_and_to_its_end_less_the_bound() {
    //= docs/spec/leases.md#holding
    let (mut holder, mut out) = (holder(), Vec::new());
    holder.handle_grant(lease(4, &[0, 1]), &term(3), at(NOW), &mut out).unwrap();
    assert_eq!(holder.tenure(&subject(), at(NOW)), None, "not durable yet");
    let mut failed = holder.clone();
    failed.handle_stored(BatchToken(0), Completion::Refused(Refusal::Full), &mut out);
    assert_eq!(failed.tenure(&subject(), at(NOW)), None);
    holder.handle_stored(BatchToken(0), Completion::Durable, &mut out);
    assert_eq!(out.last(), Some(&Output::Held(subject())));
    let last = NOW + 300 - CLOCK_BOUND_SECS - 2;
    assert!(!holder.clone().should_renew(&subject(), at(NOW)));
    assert!(holder.clone().should_renew(&subject(), at(last)));
    assert_eq!(holder.tenure(&subject(), at(last)).map(|held| held.token), Some(FLOOR + 4));
    assert_eq!(holder.tenure(&subject(), at(last + 2)), None);
    assert_eq!(holder.tenure(&subject(), at(last)), None, "what is over does not revive");
}

#[test]
fn a_holder_wants_no_more_than_its_bound() {
    let mut holder = Holder::new(node(0));
    let mut want = |i: usize| {
        let object = ObjectId::from_bytes([u8::try_from(i).unwrap(); 32]);
        let subject = Subject { object, ..subject() };
        holder.want(&subject, PURPOSE, None, &term(3), at(NOW), &mut Vec::new())
    };
    assert!((0..MAX_LEASES).all(&mut want));
    assert!(!want(MAX_LEASES));
    assert!(want(0));
}

/// A coordinator in whose first round four members promised `tokens`; what it proposes.
fn proposed(tokens: &[u64], fault_model: FaultModel) -> Option<u64> {
    let term = term_of(4, EPOCH, fault_model);
    let (mut coordinator, mut out) = (Coordinator::default(), Vec::new());
    let request = Request { subject: subject(), purpose: PURPOSE, ttl_secs: 300, renews: None };
    coordinator.handle(&node(0), &Message::Request(request), &term, at(NOW), &mut out);
    for (i, n) in tokens.iter().enumerate() {
        let promise = Promise {
            token: FLOOR + n,
            holder: node(0),
            purpose: PURPOSE,
            exp: UnixTime::from_secs(NOW),
            freed: Freed::No,
        };
        let answer = Message::Answer { subject: subject(), round: 0, promise: Some(promise) };
        for _ in 0..3 {
            coordinator.handle(&node(i), &answer, &term, at(NOW), &mut out);
        }
    }
    out.iter().find_map(|output| match output {
        Output::Send { message: Message::Propose { proposal, .. }, .. } => Some(proposal.token - FLOOR),
        Output::Send { .. } | Output::Persist { .. } | Output::Held(_) => None,
    })
}

#[test]
fn a_coordinator_continues_above_what_a_quorum_promised_and_no_liar_can_raise_it() {
    //= docs/spec/leases.md#coordinator
    assert_eq!(proposed(&[7, 9], FaultModel::Crash), None, "an answer counts once");
    assert_eq!(proposed(&[7, 9, 8], FaultModel::Crash), Some(10));
    assert_eq!(proposed(&[7, 900_000, 8], FaultModel::Byzantine), Some(9));
}

#[test]
fn a_vote_counts_once_from_its_signer_and_only_if_it_verifies() {
    //= docs/spec/leases.md#the-certificate
    let (term, subject) = (term(3), subject());
    let (mut coordinator, mut out) = (Coordinator::default(), Vec::new());
    let request =
        Request { subject: subject.clone(), purpose: PURPOSE, ttl_secs: 300, renews: Some(FLOOR + 5) };
    coordinator.handle(&node(0), &Message::Request(request), &term, at(NOW), &mut out);
    let signature = |i: usize| lease(5, &[i]).body.quorum_signatures.as_slice()[0].clone();
    let forged = NodeSignature { node_id: node(0), ..signature(2) };
    let other = lease(6, &[0]).body.quorum_signatures.as_slice()[0].clone();
    out.clear();
    let mut vote = |from: usize, signature: NodeSignature| {
        let message = Message::Vote { subject: subject.clone(), round: 0, signature };
        coordinator.handle(&node(from), &message, &term, at(NOW), &mut out);
        core::mem::take(&mut out)
    };
    for (from, bad) in [(0, forged), (0, other), (1, signature(0)), (9, signature(0))] {
        assert_eq!(vote(from, bad), vec![]);
    }
    assert_eq!(vote(1, signature(1)), vec![]);
    assert_eq!(vote(1, signature(1)), vec![], "twice is once");
    assert_eq!(vote(2, signature(2)), vec![], "a quorum without the holder");
    let granted = vote(0, signature(0));
    assert!(matches!(granted.as_slice(), [Output::Send { message: Message::Grant(_), .. }]));
}

#[test]
fn the_ranking_is_the_same_in_any_order_and_differs_by_subject() {
    //= docs/spec/leases.md#coordinator
    let members: Vec<_> = (0..5).map(node).collect();
    let forward = ranking(&subject(), &members);
    assert_eq!(forward, ranking(&subject(), members.iter().rev().chain(&members)));
    let first = |byte| {
        let subject = Subject { object: ObjectId::from_bytes([byte; 32]), ..subject() };
        ranking(&subject, &members)[0].clone()
    };
    let firsts: alloc::collections::BTreeSet<_> = (0..50).map(first).collect();
    assert_eq!(firsts.len(), 5, "each member is chosen for some subject");
    let fewer = ranking(&subject(), members.iter().filter(|node| *node != forward[4]));
    assert_eq!(fewer, forward[..4], "others keep their order when one leaves");
}
