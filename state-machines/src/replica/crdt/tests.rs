//! The laws of merging, on arbitrary states; and each type against what it is to mean.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use fcp_proto_core::encoding::cbor::{self, Bounded, ByteString, ToCbor};
use fcp_proto_core::ids::{ConnectorId, NodeId};
use fcp_proto_core::object::{CrdtType, StateDelta, StateOwner};
use fcp_proto_core::time::UnixTime;
use proptest::prelude::*;

use super::generation::Collect;
use super::lww_map::Written;
use super::*;

fn node(i: u8) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn stamp(at: u64, count: u32, writer: u8) -> Stamp {
    Stamp { at: UnixTime::from_secs(at), count, writer: node(writer) }
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (0..4_u64, 0..2_u32, 0..3_u8).prop_map(|(at, count, writer)| stamp(at, count, writer))
}

fn names() -> impl Strategy<Value = String> {
    (0..4_u8).prop_map(|i| format!("key-{i}"))
}

fn maps() -> impl Strategy<Value = LwwMap> {
    let value = prop::option::of((0..3_u8).prop_map(|byte| ByteString(vec![byte])));
    let written = (stamps(), value).prop_map(|(stamp, value)| Written { stamp, value });
    prop::collection::btree_map(names(), written, 0..5).prop_map(|written| LwwMap { written })
}

/// A set is whatever was added and removed, so that it is one that can come to be.
fn sets() -> impl Strategy<Value = OrSet> {
    let added = prop::collection::btree_map(names(), prop::collection::btree_set(stamps(), 1..4), 0..4);
    (added, prop::collection::btree_set(stamps(), 0..4)).prop_map(|(added, removed)| {
        let mut set = OrSet::default();
        set.merge(&OrSet { added, removed });
        set
    })
}

fn counters() -> impl Strategy<Value = GCounter> {
    let counted = prop::collection::btree_map((0..4_u8).prop_map(node), 0..9_u64, 0..4);
    counted.prop_map(|counted| GCounter { counted })
}

fn balances() -> impl Strategy<Value = PnCounter> {
    (counters(), counters()).prop_map(|(added, taken)| PnCounter { added, taken })
}

fn joined<S: Merge>(one: &S, other: &S) -> S {
    let mut one = one.clone();
    one.merge(other);
    one
}

fn laws<S: Merge + ToCbor + PartialEq + Debug>(a: &S, b: &S, c: &S) -> Result<(), TestCaseError> {
    prop_assert_eq!(joined(a, b), joined(b, a), "commutative");
    prop_assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)), "associative");
    prop_assert_eq!(&joined(a, a), a, "idempotent");
    prop_assert_eq!(joined(&joined(a, b), b), joined(a, b), "a repeated change changes nothing");
    let bytes = cbor::encode(a).expect("small");
    prop_assert_eq!(&S::from_cbor(cbor::decode(&bytes).expect("canonical")).expect("of the type"), a);
    Ok(())
}

proptest! {
    //= docs/spec/replica.md#merging
    #[test]
    fn merging_is_associative_commutative_and_idempotent(
        maps in (maps(), maps(), maps()),
        sets in (sets(), sets(), sets()),
        counters in (counters(), counters(), counters()),
        balances in (balances(), balances(), balances()),
        generations in (0..3_u64, 0..3_u64, 0..3_u64),
    ) {
        laws(&maps.0, &maps.1, &maps.2)?;
        laws(&sets.0, &sets.1, &sets.2)?;
        laws(&counters.0, &counters.1, &counters.2)?;
        laws(&balances.0, &balances.1, &balances.2)?;
        let [a, b, c] = [(generations.0, maps.0), (generations.1, maps.1), (generations.2, maps.2)]
            .map(|(number, state)| Generations::new(number, state));
        let joined = |one: &Generations<LwwMap>, other: &Generations<LwwMap>| {
            let mut one = one.clone();
            one.merge(other);
            one
        };
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(&joined(&a, &a), &a);
    }
}

/// What three members do to their replicas, and which change reaches whom: lost, repeated, in any order.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8, Option<u8>),
    Count(usize, bool, u64),
    Deliver(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_usize, 0..4_u8, prop::option::of(any::<u8>())).prop_map(|(who, key, value)| Step::Write(who, key, value)),
        2 => (0..3_usize, any::<bool>(), 0..100_u64).prop_map(|(who, add, by)| Step::Count(who, add, by)),
        6 => any::<(usize, usize)>().prop_map(|(what, to)| Step::Deliver(what, to)),
    ];
    prop::collection::vec(step, 0..60)
}

#[derive(Clone)]
struct Replica {
    clock: HybridClock,
    map: LwwMap,
    set: OrSet,
    balance: PnCounter,
}

impl Replica {
    fn take(&mut self, change: &(LwwMap, OrSet, PnCounter)) {
        change.0.stamps().chain(change.1.stamps()).for_each(|stamp| self.clock.observe(stamp));
        apply(&mut self.map, &change.0).unwrap();
        apply(&mut self.set, &change.1).unwrap();
        apply(&mut self.balance, &change.2).unwrap();
    }
}

proptest! {
    //= docs/spec/replica.md#merging
    #[test]
    fn replicas_that_know_the_same_changes_are_equal_and_right(steps in steps()) {
        let fresh = |i| Replica {
            clock: HybridClock::new(node(i)),
            map: LwwMap::default(),
            set: OrSet::default(),
            balance: PnCounter::default(),
        };
        let mut replicas: Vec<Replica> = (0..3).map(fresh).collect();
        let mut changes = Vec::new();
        // The reference: the last write of each key in the order of stamps, and the sum of what was counted.
        let mut writes: BTreeMap<String, BTreeMap<Stamp, Option<Vec<u8>>>> = BTreeMap::new();
        let mut sum = 0_i128;
        for (second, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(who, key, value) => {
                    let replica = &mut replicas[who];
                    let at = replica.clock.stamp(UnixTime::from_secs(u64::try_from(second / 8).unwrap()));
                    let key = format!("key-{key}");
                    let bytes = value.map(|byte| ByteString(vec![byte]));
                    let map = replica.map.write(&key, bytes.clone(), at.clone()).unwrap();
                    let set = match value {
                        Some(_) => replica.set.add(&key, at.clone()).unwrap(),
                        None => replica.set.remove(&key).unwrap(),
                    };
                    let written = writes.entry(key).or_default().insert(at, bytes.map(|it| it.0));
                    prop_assert_eq!(written, None, "no two writes have one stamp");
                    changes.push((map, set, PnCounter::default()));
                }
                Step::Count(who, add, by) => {
                    let (member, balance) = (node(u8::try_from(who).unwrap()), &mut replicas[who].balance);
                    let change = if add { balance.add(&member, by) } else { balance.take(&member, by) };
                    sum += if add { i128::from(by) } else { -i128::from(by) };
                    changes.push((LwwMap::default(), OrSet::default(), change.unwrap()));
                }
                Step::Deliver(what, to) => {
                    if !changes.is_empty() {
                        let change = changes[what % changes.len()].clone();
                        replicas[to % 3].take(&change);
                    }
                }
            }
        }
        for (i, replica) in replicas.iter_mut().enumerate() {
            let order: Vec<_> = if i == 0 { changes.iter().collect() } else { changes.iter().rev().collect() };
            order.into_iter().for_each(|change| replica.take(change));
        }
        for replica in &replicas {
            for (key, writes) in &writes {
                let last = writes.last_key_value().and_then(|(_, value)| value.as_deref());
                prop_assert_eq!(replica.map.get(key), last);
            }
            prop_assert_eq!(replica.balance.sum(), sum);
            prop_assert_eq!(&replica.map, &replicas[0].map);
            prop_assert_eq!(&replica.set, &replicas[0].set);
        }
    }
}

//= docs/spec/replica.md#merging
#[test]
fn an_element_that_is_added_while_it_is_removed_stays() {
    let (mut here, mut there) = (OrSet::default(), OrSet::default());
    let first = here.add("a", stamp(1, 0, 0)).unwrap();
    there.merge(&first);
    let removed = here.remove("a").unwrap();
    let again = there.add("a", stamp(2, 0, 1)).unwrap();
    assert!(!here.contains("a"));
    here.merge(&again);
    there.merge(&removed);
    assert!(here.contains("a") && here == there);
    assert_eq!(here.elements().collect::<Vec<_>>(), ["a"]);
    here.merge(&first);
    assert_eq!(here, there, "what was removed does not come back");
}

//= docs/spec/replica.md#stamps
#[test]
fn stamps_rise_past_what_was_seen_and_stopped_clocks() {
    let mut clock = HybridClock::new(node(1));
    let first = clock.stamp(UnixTime::from_secs(9));
    let stopped = clock.stamp(UnixTime::from_secs(9));
    let back = clock.stamp(UnixTime::from_secs(3));
    assert!(first < stopped && stopped < back);
    clock.observe(&stamp(20, 7, 0));
    assert!(clock.stamp(UnixTime::from_secs(10)) > stamp(20, 7, 0));
    clock.observe(&stamp(30, u32::MAX, 9));
    assert!(clock.stamp(UnixTime::from_secs(10)) > stamp(30, u32::MAX, 9));
    assert!(stamp(1, 0, 0) < stamp(1, 0, 1), "the writer decides between equals");
}

fn delta<S: Merge + ToCbor>(change: &S, crdt_type: CrdtType, by: u8) -> StateDelta {
    let bytes = cbor::encode(change).unwrap();
    StateDelta {
        owner: StateOwner { connector_id: ConnectorId::new("fcp.notes").unwrap(), instance_id: None },
        crdt_type,
        delta_cbor: Bounded::new(ByteString(bytes)).unwrap(),
        applied_at: UnixTime::from_secs(100),
        applied_by: node(by),
    }
}

//= docs/spec/replica.md#changes
#[test]
fn a_change_is_its_makers_own_and_not_from_the_future() {
    let now = UnixTime::from_secs(100);
    let mut map = LwwMap::default();
    let change = map.write("a", None, stamp(130, 0, 1)).unwrap();
    assert_eq!(admit::<LwwMap>(&delta(&change, CrdtType::LwwMap, 1), now), Ok(change.clone()));
    let foreign = admit::<LwwMap>(&delta(&change, CrdtType::LwwMap, 2), now);
    assert_eq!(foreign, Err(ChangeError::Foreign(node(1))), "a write in another's name");
    let other = admit::<LwwMap>(&delta(&change, CrdtType::OrSet, 1), now);
    assert_eq!(other, Err(ChangeError::Type(CrdtType::OrSet)));
    let shape = admit::<OrSet>(&delta(&change, CrdtType::OrSet, 1), now);
    assert!(matches!(shape, Err(ChangeError::Shape(_))), "{shape:?}");
    let fast = map.write("a", None, stamp(131, 0, 1)).unwrap();
    let ahead = admit::<LwwMap>(&delta(&fast, CrdtType::LwwMap, 1), now);
    assert_eq!(ahead, Err(ChangeError::Ahead(stamp(131, 0, 1))), "a fast clock does not win for ever");
    let counted = PnCounter::default().take(&node(1), 5).unwrap();
    let foreign = admit::<PnCounter>(&delta(&counted, CrdtType::PnCounter, 2), now);
    assert_eq!(foreign, Err(ChangeError::Foreign(node(1))), "counted in another's name");
    let mut set = OrSet::default();
    set.add("a", stamp(1, 0, 1)).unwrap();
    let removed = set.remove("a").unwrap();
    assert_eq!(
        admit::<OrSet>(&delta(&removed, CrdtType::OrSet, 2), now),
        Ok(removed),
        "who saw it may remove it"
    );
}

//= docs/spec/replica.md#bounds
#[test]
fn a_full_state_refuses_and_stays_as_it_is() {
    let mut map = LwwMap::default();
    for i in 0..MAX_ENTRIES {
        map.written.insert(format!("{i}"), Written { stamp: stamp(1, 0, 0), value: None });
    }
    let before = map.clone();
    let more = map.write("one more", None, stamp(2, 0, 0));
    assert_eq!(more, Err(ChangeError::Full), "what was removed counts");
    assert_eq!(map, before);
    assert!(map.write("7", Some(ByteString(vec![1])), stamp(2, 0, 0)).is_ok(), "a known key has its room");
    let mut counter = GCounter { counted: [(node(1), u64::MAX)].into() };
    assert_eq!(counter.count(&node(1), 1), Err(ChangeError::Overflow));
}

//= docs/spec/replica.md#generations
#[test]
fn what_was_removed_is_forgotten_once_all_have_it_and_does_not_come_back() {
    let mut set = OrSet::default();
    let added = set.add("a", stamp(1, 0, 0)).unwrap();
    let behind = Generations::new(0, set.clone());
    set.remove("a").unwrap();
    let mut here = Generations::new(0, set);
    assert!(!here.collect([&behind]), "one member has not seen it");
    let same = here.clone();
    assert!(here.collect([&same]));
    assert_eq!((here.number(), here.state()), (1, &OrSet::default()));
    here.merge(&behind);
    here.merge(&Generations::new(0, added.clone()));
    assert_eq!(here.apply(0, &added), Err(ChangeError::Generation(0)));
    assert_eq!(here.apply(2, &added), Err(ChangeError::Generation(2)));
    assert!(!here.state().contains("a"));
    let mut there = behind;
    there.merge(&here);
    assert_eq!(there, here, "who is behind takes the later generation whole");
    let mut map = LwwMap::default();
    map.write("a", None, stamp(1, 0, 0)).unwrap();
    map.write("b", Some(ByteString(vec![1])), stamp(1, 1, 0)).unwrap();
    map.collect();
    assert_eq!((map.keys().collect::<Vec<_>>(), map.entries()), (vec!["b"], 1));
    let seen: BTreeSet<_> = map.parts().collect();
    assert_eq!(seen, [&node(0)].into());
}
