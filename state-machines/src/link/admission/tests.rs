use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk};
use fcp_proto_core::symbol::IdentifiedObject;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use proptest::prelude::*;

use super::amplification::FACTOR;
use super::quarantine::{Quarantine, QuarantineError, QuarantineLimits, Referenced};
use super::*;

const HOLD: Duration = Duration::from_secs(30);

fn peer(number: u8) -> NodeId {
    NodeId::new(alloc::format!("peer-{number}")).unwrap()
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn seconds(seconds: u64) -> Instant {
    at(seconds * 1_000_000_000)
}

fn few() -> Limits {
    Limits {
        peer: Allowance { bytes: 2_000, symbols: 20, decode_millis: 100, requests: 2 },
        node: Allowance { bytes: 6_000, symbols: 60, decode_millis: 150, requests: 3 },
        failures: 10,
        memory: 1_000,
        peers: 4,
    }
}

fn cost(bytes: u64, symbols: u64) -> Cost {
    Cost { bytes, symbols }
}

proptest! {
    /// In no minute, wherever it begins, passes more than the bound; and whoever waits as long as told is admitted.
    //= docs/spec/admission.md#budgets
    #[test]
    fn no_minute_sees_more_than_its_bound_and_every_wait_is_exact(
        bound in 2_u64..2_000,
        steps in prop::collection::vec((0_u64..400, 0_u64..40_000_000_000), 1..60),
    ) {
        let mut bucket = Bucket::new(bound, at(0));
        let mut passed: Vec<(u64, u64)> = Vec::new();
        let mut now = 0;
        for (amount, pause) in steps {
            now += pause;
            match bucket.check(amount, at(now)) {
                Ok(()) => (),
                Err(Wait::Never) => {
                    prop_assert!(amount > bound / 2);
                    continue;
                }
                Err(Wait::For(wait)) => {
                    let wait = wait.as_nanos() as u64;
                    prop_assert!(bucket.check(amount, at(now + wait - 1)).is_err(), "too long a wait");
                    now += wait;
                    prop_assert_eq!(bucket.check(amount, at(now)), Ok(()), "too short a wait");
                }
            }
            bucket.take(amount, at(now));
            passed.push((now, amount));
            let minute = passed.iter().filter(|(when, _)| when + 60_000_000_000 > now);
            prop_assert!(minute.map(|(_, amount)| amount).sum::<u64>() <= bound);
        }
    }

    /// The machine beside plain sums: requests that stand, and memory.
    //= docs/spec/admission.md#requests
    //= docs/spec/admission.md#memory
    #[test]
    fn requests_and_memory_are_those_of_plain_sets(
        steps in prop::collection::vec((0_u8..3, 0_u8..5, 0_usize..400, 0_u64..12), 1..80),
    ) {
        let limits = Limits { peer: Allowance { requests: 2, ..Limits::default().peer }, ..few() };
        let limits = Limits { node: Allowance { requests: 3, ..Limits::default().node }, ..limits };
        let mut admission = Admission::new(limits, at(0));
        let (mut standing, mut memory): (Vec<(Ticket, u8)>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut now = 0;
        for (what, who, amount, pause) in steps {
            now += pause;
            match what {
                0 => {
                    let mine = standing.iter().filter(|(_, of)| *of == who).count();
                    let admitted = admission.request(&peer(who), cost(1, 1), HOLD, seconds(now));
                    let known = admitted.err().is_none_or(|refused| refused.bound != Bound::Peers);
                    prop_assert_eq!(admitted.is_ok(), known && mine < 2 && standing.len() < 3);
                    standing.extend(admitted.ok().map(|ticket| (ticket, who)));
                }
                1 if !standing.is_empty() => {
                    let (ticket, _) = standing.remove(amount % standing.len());
                    admission.end(ticket, cost(1, 1), seconds(now));
                    // To end it twice changes nothing.
                    admission.end(ticket, cost(1, 1), seconds(now));
                }
                1 => (),
                _ => {
                    let fits = memory.iter().sum::<usize>() + amount <= 1_000;
                    prop_assert_eq!(admission.reserve(amount).is_ok(), fits);
                    if fits {
                        memory.push(amount);
                    } else if let Some(held) = memory.pop() {
                        admission.release(held);
                    }
                }
            }
            prop_assert_eq!(admission.reserved(), memory.iter().sum::<usize>());
            prop_assert_eq!(admission.size().1, standing.len());
            prop_assert!(admission.size().0 <= 4);
        }
    }

    /// Whatever others do, nobody loses what is within a fair share, but to time; and the bounds hold.
    //= docs/spec/admission.md#quarantine
    #[test]
    fn a_flood_pushes_nobody_out_of_a_fair_share(
        steps in prop::collection::vec((0_u8..4, 1_u64..60, 0_u64..20), 1..120),
    ) {
        let limits = QuarantineLimits { bytes: 300, objects: 16, time: Duration::from_secs(100) };
        let mut quarantine = Quarantine::new(limits);
        let mut model: BTreeMap<ObjectId, (u8, u64, u64)> = BTreeMap::new();
        let (mut now, mut number) = (0, 0_u64);
        for (who, bytes, pause) in steps {
            now += pause;
            number += 1;
            model.retain(|_, (_, _, arrived)| now - *arrived <= 100);
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            let id = ObjectId::from_bytes(id);
            let held = |model: &BTreeMap<ObjectId, (u8, u64, u64)>, who: u8| {
                let mine = model.values().filter(|(of, _, _)| *of == who);
                mine.fold((0, 0), |(sum, count), (_, bytes, _)| (sum + bytes, count + 1))
            };
            let mut peers: alloc::collections::BTreeSet<_> = model.values().map(|(of, _, _)| *of).collect();
            peers.insert(who);
            let fair = (300 / peers.len() as u64, 16 / peers.len() as u64);
            let before: Vec<_> = (0..4).map(|of| held(&model, of)).collect();
            let (own, count) = before[usize::from(who)];
            let taken = quarantine.take(&zone(), id, &peer(who), bytes, seconds(now));
            if own + bytes <= fair.0 && count < fair.1 {
                prop_assert!(taken.is_ok(), "refused within a fair share: {taken:?}");
            }
            match taken {
                Ok(gone) => {
                    for object in gone {
                        if let Some((of, _, _)) = model.remove(&object)
                            && of != who
                        {
                            let (sum, count) = before[usize::from(of)];
                            prop_assert!(sum > fair.0 || count > fair.1, "{of} lost what was within its share");
                        }
                    }
                    model.insert(id, (who, bytes, now));
                }
                Err(error) => prop_assert_eq!(error, QuarantineError::ShareUsed),
            }
            prop_assert!(model.values().map(|(_, bytes, _)| bytes).sum::<u64>() <= 300 && model.len() <= 16);
            for of in 0..4 {
                let (sum, count) = held(&model, of);
                prop_assert_eq!(quarantine.share(&zone(), &peer(of)), (sum, count as usize));
            }
        }
    }
}

#[test]
fn a_clock_that_goes_back_pays_nothing_off_and_extremes_do_not_overflow() {
    let mut bucket = Bucket::new(100, seconds(60));
    bucket.take(50, seconds(60));
    assert!(bucket.check(1, seconds(0)).is_err());
    bucket.take(u64::MAX, seconds(61));
    bucket.take(u64::MAX, at(u64::MAX));
    assert!(bucket.check(1, at(u64::MAX)).is_err());
    assert_eq!(Bucket::new(0, at(0)).check(1, at(u64::MAX)), Err(Wait::Never));
    assert_eq!(Bucket::new(u64::MAX, at(0)).check(u64::MAX / 2, at(0)), Ok(()));
}

/// The wait named is the longest of all bounds, and none is left when it is over.
//= docs/spec/admission.md#budgets
#[test]
fn whoever_comes_back_after_the_time_named_is_admitted() {
    let mut admission = Admission::new(few(), at(0));
    let all = cost(1_000, 10);
    admission.received(&peer(1), all, at(0)).unwrap();
    let refused = admission.received(&peer(1), all, at(0)).unwrap_err();
    let wait = refused.retry_after.unwrap();
    assert_eq!(wait, Duration::from_secs(60));
    let early = seconds(60).as_nanos() - 1;
    assert!(admission.received(&peer(1), all, at(early)).is_err());
    assert_eq!(admission.received(&peer(1), all, seconds(60)), Ok(()));
    let never = admission.received(&peer(1), cost(1_001, 1), seconds(600)).unwrap_err();
    assert_eq!((never.bound, never.retry_after), (Bound::Bytes, None));
}

/// Many peers do not get many times what the node has.
//= docs/spec/admission.md#budgets
#[test]
fn all_peers_together_have_a_bound() {
    let mut admission = Admission::new(few(), at(0));
    let admitted = (0..4).filter(|who| admission.received(&peer(*who), cost(1_000, 1), at(0)).is_ok());
    assert_eq!(admitted.count(), 3, "the node takes 3,000 bytes at once");
    assert_eq!(admission.received(&peer(3), cost(1_000, 1), at(0)).unwrap_err().bound, Bound::Bytes);
}

/// A refusal leaves no trace, and what was not sent is given back.
#[test]
fn only_what_is_used_is_paid_for() {
    let mut admission = Admission::new(few(), at(0));
    let ticket = admission.request(&peer(1), cost(1_000, 10), HOLD, at(0)).unwrap();
    let refused = admission.request(&peer(1), cost(1, 1), HOLD, at(0)).unwrap_err();
    assert_eq!(refused.bound, Bound::Symbols, "of two waits, the longer one is named");
    admission.end(ticket, cost(900, 9), at(0));
    let ticket = admission.request(&peer(1), cost(900, 9), HOLD, at(0)).unwrap();
    assert_eq!(admission.size(), (1, 1));
    admission.end(ticket, Cost::default(), at(0));
    assert!(admission.request(&peer(1), cost(1, 1), HOLD, at(0)).is_err());
}

/// A place is free at the time that is named, even if its holder never says so.
//= docs/spec/admission.md#requests
#[test]
fn a_request_in_the_way_is_overdue_when_its_time_is_over() {
    let mut admission = Admission::new(few(), at(0));
    let first = admission.request(&peer(1), cost(1, 1), HOLD, seconds(0)).unwrap();
    admission.request(&peer(1), cost(1, 1), HOLD, seconds(10)).unwrap();
    let refused = admission.request(&peer(1), cost(1, 1), HOLD, seconds(20)).unwrap_err();
    assert_eq!(refused, Refused { bound: Bound::Requests, retry_after: Some(Duration::from_secs(10)) });
    assert_eq!(admission.overdue(seconds(29)).next(), None);
    assert_eq!(admission.overdue(seconds(30)).collect::<Vec<_>>(), [first]);
    assert_eq!(admission.deadline(), Some(seconds(30)));
    admission.end(first, cost(1, 1), seconds(30));
    assert!(admission.request(&peer(1), cost(1, 1), HOLD, seconds(30)).is_ok());
}

/// What the reference counts and never looks at.
//= docs/spec/admission.md#failures
#[test]
fn a_peer_that_gets_too_much_wrong_is_not_heard_until_it_paid() {
    let mut admission = Admission::new(few(), at(0));
    (0..5).for_each(|_| admission.failed(&peer(1), at(0)));
    let refused = admission.received(&peer(1), cost(1, 0), at(0)).unwrap_err();
    assert_eq!(refused.bound, Bound::Failures);
    assert!(admission.request(&peer(1), cost(1, 1), HOLD, at(0)).is_err());
    assert_eq!(admission.received(&peer(2), cost(1, 0), at(0)), Ok(()), "others are heard");
    let later = at(0).saturating_add(refused.retry_after.unwrap());
    assert_eq!(admission.received(&peer(1), cost(1, 0), later), Ok(()));
    admission.wasted(&peer(1), Duration::from_secs(10), later);
    assert_eq!(admission.hears(&peer(1), later).unwrap_err().bound, Bound::DecodeTime);
    assert!(admission.decode(later).is_err(), "the node's own time has a bound");
}

/// Peers that owe nothing make room; those that owe something stay.
//= docs/spec/admission.md#bounds
#[test]
fn names_fill_no_table() {
    let mut admission = Admission::new(few(), at(0));
    for who in 0..4 {
        admission.received(&peer(who), cost(10, 1), at(0)).unwrap();
    }
    let refused = admission.received(&peer(9), cost(10, 1), at(0)).unwrap_err();
    assert_eq!(refused.bound, Bound::Peers);
    let later = at(0).saturating_add(refused.retry_after.unwrap());
    assert_eq!(admission.received(&peer(9), cost(10, 1), later), Ok(()));
    assert!(admission.size().0 <= 4);
}

/// U: ten times is sent, eleven times is not.
//= docs/spec/admission.md#amplification
#[test]
fn no_more_goes_to_a_stranger_than_a_factor_of_what_came() {
    let mut admission = Admission::new(few(), at(0));
    assert!(!admission.amplifies(&peer(1), 1), "nothing came");
    admission.received(&peer(1), cost(100, 0), at(0)).unwrap();
    assert!(admission.amplifies(&peer(1), 100 * FACTOR - 1));
    assert!(!admission.amplifies(&peer(1), 2));
    assert!(admission.amplifies(&peer(1), 1));
    assert_eq!(admission.unproven(&peer(1)), 0);
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn object(byte: u8, refs: &[ObjectId]) -> IdentifiedObject {
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
    let header = header.with_refs(refs.iter().copied());
    let stored = Object { header, body: RawChunk { bytes: ByteString([byte].to_vec()) } }.store().unwrap();
    IdentifiedObject::new(stored, &ObjectIdKey::from_bytes([9; 32].into())).unwrap()
}

/// Q1: one that no zone could hold is refused, and nothing is lost for it.
//= docs/spec/admission.md#quarantine
#[test]
fn an_object_larger_than_the_quarantine_costs_nobody_anything() {
    let limits = QuarantineLimits { bytes: 100, objects: 10, time: Duration::from_secs(100) };
    let mut quarantine = Quarantine::new(limits);
    let id = ObjectId::from_bytes([1; 32]);
    assert_eq!(quarantine.take(&zone(), id, &peer(1), 100, at(0)), Ok(Vec::new()));
    let large = ObjectId::from_bytes([2; 32]);
    assert_eq!(quarantine.take(&zone(), large, &peer(2), 101, at(0)), Err(QuarantineError::TooLarge));
    assert!(quarantine.holds(&zone(), &id, at(0)));
}

/// Q2: the oldest of whoever has too much go first, however old those of others are.
//= docs/spec/admission.md#quarantine
#[test]
fn a_flood_of_one_peer_leaves_the_others_alone() {
    let limits = QuarantineLimits { bytes: 100, objects: 100, time: Duration::from_secs(100) };
    let mut quarantine = Quarantine::new(limits);
    let id = |byte| ObjectId::from_bytes([byte; 32]);
    quarantine.take(&zone(), id(0), &peer(1), 10, at(0)).unwrap();
    for byte in 1..50 {
        let taken = quarantine.take(&zone(), id(byte), &peer(2), 10, at(u64::from(byte)));
        assert!(taken.is_ok_and(|gone| !gone.contains(&id(0))));
    }
    assert!(quarantine.holds(&zone(), &id(0), at(50)));
    assert_eq!(quarantine.share(&zone(), &peer(2)), (90, 9));
    let gone = quarantine.take(&zone(), id(99), &peer(3), 30, at(60)).unwrap();
    assert_eq!(gone, [id(41), id(42), id(43)]);
}

/// At its time it is still there; a time in the object plays no part.
#[test]
fn an_object_is_kept_for_its_time_and_not_longer() {
    let limits = QuarantineLimits { time: Duration::from_secs(100), ..QuarantineLimits::default() };
    let mut quarantine = Quarantine::new(limits);
    let id = ObjectId::from_bytes([1; 32]);
    quarantine.take(&zone(), id, &peer(1), 10, seconds(5)).unwrap();
    assert!(quarantine.holds(&zone(), &id, seconds(105)));
    assert!(!quarantine.holds(&zone(), &id, seconds(106)));
    assert_eq!(quarantine.deadline(), Some(seconds(105)));
    assert_eq!(quarantine.expire(seconds(105)), []);
    assert_eq!(quarantine.expire(seconds(106)), [(zone(), id)]);
    assert_eq!(quarantine.deadline(), None);
}

/// Q3: without a proof that something refers to it, an object stays where it is.
//= docs/spec/admission.md#promotion
#[test]
fn only_what_is_referred_to_is_let_out() {
    let mut quarantine = Quarantine::new(QuarantineLimits::default());
    let child = object(1, &[]);
    quarantine.take(&zone(), child.id(), &peer(1), 10, seconds(0)).unwrap();
    assert_eq!(Referenced::new(&object(2, &[]), child.id()), Err(QuarantineError::NotReferenced));
    let proof = Referenced::new(&object(2, &[child.id()]), child.id()).unwrap();
    assert_eq!(quarantine.promote(&proof, seconds(3_601)), Err(QuarantineError::NotThere));
    assert_eq!(quarantine.promote(&proof, seconds(1)), Ok(()));
    assert!(!quarantine.holds(&zone(), &child.id(), seconds(1)));
    assert_eq!(quarantine.promote(&proof, seconds(1)), Err(QuarantineError::NotThere));
}
