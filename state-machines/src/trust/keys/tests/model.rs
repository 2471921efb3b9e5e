//! Random worlds: messages lost and late, disks that are full, crashes between any two steps, members that come and
//! go, concurrent commits. What must hold is checked after every step.

use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::world::{Without, World};
use super::*;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Lose(usize),
    Write(usize),
    Refuse(usize),
    Crash(usize),
    Propose(usize),
    Ask(usize),
    Decide(usize),
    Learn(usize),
    Member(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any::<usize>().prop_map(Step::Deliver),
        1 => any::<usize>().prop_map(Step::Lose),
        12 => any::<usize>().prop_map(Step::Write),
        1 => any::<usize>().prop_map(Step::Refuse),
        2 => any::<usize>().prop_map(Step::Crash),
        5 => any::<usize>().prop_map(Step::Propose),
        3 => any::<usize>().prop_map(Step::Ask),
        4 => any::<usize>().prop_map(Step::Decide),
        8 => any::<usize>().prop_map(Step::Learn),
        1 => any::<usize>().prop_map(Step::Member),
        1 => (0..6_000_u64).prop_map(Step::Advance),
    ]
}

fn take(world: &mut World, step: &Step) {
    let n = world.devices.len();
    let on_wire = |world: &World, i: usize| (!world.wire.is_empty()).then(|| i % world.wire.len());
    match *step {
        Step::Deliver(i) => {
            if let Some(i) = on_wire(world, i) {
                world.deliver(i);
            }
        }
        Step::Lose(i) => {
            if let Some(i) = on_wire(world, i) {
                world.wire.remove(i);
            }
        }
        Step::Write(i) => world.write(i % n),
        Step::Refuse(i) => world.refuse(i % n),
        Step::Crash(i) => world.crash(i % n),
        Step::Propose(i) => drop(world.propose(i % n)),
        Step::Ask(i) => drop(world.ask(i % n)),
        Step::Decide(i) => world.decide(i % n),
        Step::Learn(i) => world.learn(i % n),
        Step::Member(i) => {
            // The first device stays, so that the group does.
            let (who, mut members) = (node(1 + i % (n - 1)), world.roll.members.clone());
            if !members.remove(&who) {
                members.insert(who);
            }
            world.set_members(members);
        }
        Step::Advance(seconds) => world.time += seconds,
    }
}

fn plan() -> impl Strategy<Value = (bool, Vec<Step>)> {
    (any::<bool>(), prop::collection::vec(step(), 1..60))
}

/// Plays the plan, and looks after every step at what must hold.
fn play((settled, steps): &(bool, Vec<Step>)) -> Result<World, String> {
    let begin = if *settled { World::settled } else { World::new };
    let mut world = begin(3, Without::Nothing);
    for step in steps {
        take(&mut world, step);
        world.check()?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    //= docs/spec/zone-keys.md#what-holds
    #[test]
    fn one_key_an_epoch_and_none_for_those_outside(plan in plan()) {
        let mut world = play(&plan).map_err(TestCaseError::fail)?;
        // Once faults end, all members come to one key, and it seals.
        world.settle();
        world.settle();
        world.check().map_err(TestCaseError::fail)?;
        let newest: BTreeSet<_> = (0..world.devices.len())
            .filter(|i| world.roll.members.contains(&node(*i)))
            .map(|i| world.newest(i))
            .collect();
        prop_assert_eq!(newest.len(), 1);
        prop_assert!(!newest.contains(&None));
    }
}

/// What `check` looks for is found where a guard is missing.
#[test]
fn a_world_without_a_guard_breaks() {
    let mut world = World::settled(3, Without::Persistence);
    world.propose(0).unwrap();
    world.decide(0);
    world.check().unwrap();
    world.learn(0);
    assert!(world.check().is_err(), "it seals under a key that no disk has");
    let mut world = World::settled(3, Without::Nothing);
    world.without = Without::Choice;
    (0..2).for_each(|i| world.propose(i).unwrap());
    (0..2).for_each(|i| world.write(i));
    while !world.wire.is_empty() {
        world.deliver(0);
    }
    (0..3).for_each(|i| world.write(i));
    assert!(world.check().is_err(), "an epoch has two keys");
    let mut world = World::settled(3, Without::Removal);
    world.check().unwrap();
    world.set_members([node(0), node(1)].into());
    assert!(world.check().is_err(), "it seals for whom the owner removed");
}
