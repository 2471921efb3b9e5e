//! Random worlds: messages lost, repeated and late, crashes at every write, handovers and failovers in between. What
//! must hold is checked after every step.

use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{Without, World};
use super::*;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Deliver(usize),
    Repeat,
    Lose,
    Delay(usize),
    Store(usize),
    Crash(usize),
    Fail(usize),
    Hold(usize),
    Begin(usize),
    Finish(usize),
    Drain(usize, usize),
    Hurry(usize),
    Remind(usize),
    Expire,
    Settle,
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0..5_usize;
    prop_oneof![
        20 => (1..8_usize).prop_map(Act::Deliver),
        1 => Just(Act::Repeat),
        1 => Just(Act::Lose),
        3 => (1..9_usize).prop_map(Act::Delay),
        15 => who().prop_map(Act::Store),
        1 => who().prop_map(Act::Crash),
        1 => who().prop_map(Act::Fail),
        4 => who().prop_map(Act::Hold),
        12 => who().prop_map(Act::Begin),
        4 => who().prop_map(Act::Finish),
        1 => (who(), who()).prop_map(|(from, to)| Act::Drain(from, to)),
        1 => who().prop_map(Act::Hurry),
        2 => who().prop_map(Act::Remind),
        2 => Just(Act::Expire),
        3 => Just(Act::Settle),
    ]
}

fn take(world: &mut World, n: usize, act: &Act) {
    match *act {
        Act::Deliver(many) => (0..many).for_each(|_| world.deliver()),
        Act::Repeat => world.wire.extend(world.wire.front().cloned()),
        Act::Lose => drop(world.wire.pop_front()),
        Act::Delay(by) if !world.wire.is_empty() => world.wire.rotate_left(by % world.wire.len()),
        Act::Delay(_) => {}
        Act::Store(i) => world.store(i % n),
        Act::Crash(i) => world.crash(i % n),
        Act::Fail(i) => world.fail(i % n),
        Act::Hold(i) => world.hold(i % n),
        Act::Begin(i) => world.begin(i % n),
        Act::Finish(i) => world.finish(i % n),
        Act::Drain(i, to) => world.drain(i % n, to % n),
        Act::Hurry(i) => world.hurry(i % n),
        Act::Remind(i) => world.remind(i % n),
        Act::Expire => world.expire(),
        Act::Settle => world.settle(),
    }
}

type Plan = (usize, Vec<Act>);

fn plan() -> impl Strategy<Value = Plan> {
    (1..=4_usize, prop::collection::vec(act(), 1..100))
}

fn play((n, acts): &Plan, without: Without) -> Result<World, String> {
    let mut world = World::new(*n, without);
    for act in acts {
        take(&mut world, *n, act);
        world.check()?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    //= docs/spec/replica.md#migration
    #[test]
    fn no_call_is_made_twice_or_after_its_end_and_who_serves_knows_all_ends(plan in plan()) {
        let mut world = play(&plan, Without::Nothing).map_err(TestCaseError::fail)?;
        world.wire.clear();
        world.settle();
        world.expire();
        world.hold(0);
        world.settle();
        world.check().map_err(TestCaseError::fail)?;
        prop_assert!(world.machine(0).serving().is_some(), "nobody can make calls any more");
        let before = world.effects.len();
        world.begin(0);
        world.settle();
        prop_assert_eq!(world.effects.len(), before + 1);
        world.check().map_err(TestCaseError::fail)?;
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
    let guards = [Without::Persistence, Without::Quorum, Without::Settling];
    for without in guards {
        assert!(search(without, 400), "nothing breaks without {without:?}");
    }
}

/// The word of a quorum reaches a holder when the next one has settled its call.
fn late_word(without: Without) -> World {
    let mut world = World::new(3, without);
    world.hold(0);
    world.settle();
    world.begin(0);
    (0..3).for_each(|_| world.deliver());
    (0..3).for_each(|i| world.store(i));
    let late = core::mem::take(&mut world.wire);
    world.expire();
    world.set_back(0);
    world.hold(1);
    world.settle();
    assert!(world.machine(1).serving().is_some());
    world.wire.extend(late);
    world.settle();
    world
}

//= docs/spec/replica.md#strict-calls
#[test]
fn a_call_leaves_only_while_the_lease_may_be_used() {
    assert_eq!(late_word(Without::Nothing).check(), Ok(()));
    assert!(late_word(Without::Tenure).check().is_err(), "it is made after its end was said");
    assert!(late_word(Without::Clock).check().is_err(), "a clock that was set back brings no lease back");
}
