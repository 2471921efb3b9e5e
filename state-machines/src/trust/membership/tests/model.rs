//! Random worlds: devices come, are removed and lost while messages are lost, repeated and late, and nodes crash at
//! every write. What must hold is checked after every step.

use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{DEVICES, Without, World};
use super::*;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Deliver(usize),
    Repeat,
    Lose,
    Delay,
    Store(usize),
    Crash(usize),
    Greet(usize),
    Enrol(usize, usize),
    Remove(usize, usize),
    TakeOver(usize),
    Tend(usize, usize),
    Want(usize, usize),
    Advance(u64),
    Settle,
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0..DEVICES;
    prop_oneof![
        10 => (1..6_usize).prop_map(Act::Deliver),
        1 => Just(Act::Repeat),
        1 => Just(Act::Lose),
        2 => Just(Act::Delay),
        8 => who().prop_map(Act::Store),
        2 => who().prop_map(Act::Crash),
        3 => who().prop_map(Act::Greet),
        6 => (who(), who()).prop_map(|(at, it)| Act::Enrol(at, it)),
        2 => (who(), who()).prop_map(|(at, it)| Act::Remove(at, it)),
        1 => who().prop_map(Act::TakeOver),
        4 => (who(), 0..4_usize).prop_map(|(at, done)| Act::Tend(at, done)),
        8 => (who(), any::<usize>()).prop_map(|(at, of)| Act::Want(at, of)),
        3 => prop_oneof![0..100_u64, 0..5_000_u64].prop_map(Act::Advance),
        3 => Just(Act::Settle),
    ]
}

fn take(world: &mut World, act: &Act) {
    match *act {
        Act::Deliver(n) => (0..n).for_each(|_| world.deliver()),
        Act::Repeat => world.wire.extend(world.wire.front().cloned()),
        Act::Lose => world.lose(),
        Act::Delay => world.wire.rotate_left(usize::from(!world.wire.is_empty())),
        Act::Store(i) => world.store(i),
        Act::Crash(i) => world.crash(i),
        Act::Greet(i) => world.greet(i),
        Act::Enrol(i, device) => world.enrol(i, device),
        Act::Remove(i, device) => world.remove(i, device),
        Act::TakeOver(i) => world.take_over(i),
        Act::Tend(i, done) => world.tend(i, done),
        Act::Want(i, mask) => world.want(i, mask),
        Act::Advance(secs) => world.secs += secs,
        Act::Settle => world.settle(),
    }
}

type Plan = (usize, Vec<Act>);

fn plan() -> impl Strategy<Value = Plan> {
    (1..=4_usize, prop::collection::vec(act(), 1..60))
}

fn play((n, acts): &Plan, without: Without) -> Result<World, String> {
    let mut world = World::new(*n, without);
    for act in acts {
        take(&mut world, act);
        world.check()?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    //= docs/spec/membership.md#what-holds
    #[test]
    fn nobody_is_half_removed_and_no_two_epochs_give_leases(plan in plan()) {
        let mut world = play(&plan, Without::Nothing).map_err(TestCaseError::fail)?;
        let members = world.recover();
        world.check().map_err(TestCaseError::fail)?;
        let (removed, lost) = (world.removed(), world.lost());
        let gone: BTreeSet<_> = removed.union(&lost).cloned().collect();
        for holders in world.custody.zone_keys.values().chain([&world.custody.owner_shares]) {
            prop_assert!(holders.is_disjoint(&removed) || members.is_subset(&gone), "a removed one has keys");
        }
    }
}

/// Whether one of the first plans of a fixed sequence breaks what must hold.
fn search(without: Without, plans: usize) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..plans).any(|_| {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        play(&plan, without).is_err()
    })
}

#[test]
fn random_worlds_find_each_guard_that_is_taken_away() {
    for without in [Without::Persistence, Without::Revocation] {
        assert!(search(without, 60), "nothing breaks without {without:?}");
    }
}

/// Two changes, of which those who decide in the first epoch hear nothing.
fn two_changes_unheard(without: Without) -> World {
    let mut world = World::new(3, without);
    let deaf = |world: &mut World| {
        world.wire.retain(|(_, to, _)| *to > 1);
        for _ in 0..20 {
            (0..DEVICES).for_each(|i| world.store(i));
            world.deliver();
            world.wire.retain(|(_, to, _)| *to > 1);
        }
    };
    world.enrol(2, 3);
    deaf(&mut world);
    world.enrol(2, 4);
    deaf(&mut world);
    world.want(0, 0b11);
    world.want(3, 0b11100);
    world
}

//= docs/spec/membership.md#one-after-the-other
#[test]
fn a_change_waits_until_a_quorum_has_the_last_one() {
    let mut world = two_changes_unheard(Without::Nothing);
    assert_eq!((world.check(), world.epoch(2)), (Ok(()), 2));
    let mut world = two_changes_unheard(Without::Spread);
    assert!(world.check().is_err(), "two and three hold leases of two epochs");
}

/// A device alone holds a lease, and two others come.
fn two_come(without: Without) -> World {
    let mut world = World::new(1, without);
    world.want(0, 1);
    for device in 1..3 {
        world.greet(0);
        world.settle();
        world.enrol(0, device);
        world.settle();
    }
    world.want(1, 0b110);
    world
}

//= docs/spec/membership.md#one-after-the-other
#[test]
fn a_change_waits_for_the_leases_of_before_the_last_one() {
    let mut world = two_come(Without::Nothing);
    assert_eq!((world.check(), world.epoch(0)), (Ok(()), 2));
    let mut world = two_come(Without::Quiet);
    assert!(world.check().is_err(), "the lease of the first epoch goes on");
}
