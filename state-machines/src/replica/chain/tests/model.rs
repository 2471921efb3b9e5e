//! Random worlds: messages lost, repeated and reordered, writes that crashes lose, writers that overlap. What must hold
//! is checked after every step.

use alloc::string::String;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{Without, World};

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Store(usize),
    Crash(usize),
    Open(usize),
    Write(usize),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<usize>().prop_map(Step::Repeat),
        2 => any::<usize>().prop_map(Step::Lose),
        15 => any::<usize>().prop_map(Step::Store),
        2 => any::<usize>().prop_map(Step::Crash),
        3 => any::<usize>().prop_map(Step::Open),
        6 => any::<usize>().prop_map(Step::Write),
        3 => Just(Step::Settle),
    ]
}

fn take(world: &mut World, n: usize, step: &Step) {
    let on_wire = |world: &World, i: usize| (!world.wire.is_empty()).then(|| i % world.wire.len());
    match *step {
        Step::Deliver(i) => {
            if let Some(i) = on_wire(world, i) {
                world.deliver(i);
            }
        }
        Step::Repeat(i) => {
            if let Some(i) = on_wire(world, i) {
                let again = world.wire[i].clone();
                world.wire.push(again);
            }
        }
        Step::Lose(i) => {
            if let Some(i) = on_wire(world, i) {
                world.wire.remove(i);
            }
        }
        Step::Store(i) => world.store(i % n),
        Step::Crash(i) => world.crash(i % n),
        Step::Open(i) => world.open(i % n),
        Step::Write(i) => world.write(i % n),
        Step::Settle => world.settle(),
    }
}

type Plan = (usize, alloc::vec::Vec<Step>);

fn plan() -> impl Strategy<Value = Plan> {
    (1..=5_usize, prop::collection::vec(step(), 1..150))
}

fn play((n, steps): &Plan, without: Without) -> Result<World, String> {
    let mut world = World::new(*n, without);
    for step in steps {
        take(&mut world, *n, step);
        world.check()?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    //= docs/spec/replica.md#one-writer
    #[test]
    fn nothing_committed_is_lost_and_nobody_honest_forks(plan in plan()) {
        let mut world = play(&plan, Without::Nothing).map_err(TestCaseError::fail)?;
        world.wire.clear();
        world.settle();
        world.open(0);
        world.settle();
        prop_assert!(world.ready(0), "nobody can write any more");
        let before = world.committed();
        world.write(0);
        world.settle();
        world.check().map_err(TestCaseError::fail)?;
        prop_assert!(world.committed() != before, "nothing is committed any more");
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
    for without in [Without::Persistence, Without::Quorum] {
        assert!(search(without, 400), "nothing breaks without {without:?}");
    }
}

/// A state of an earlier writer arrives late, at a sink that promised it to the next one and crashed since.
fn late_state(without: Without) -> World {
    let mut world = World::new(3, without);
    world.open(0);
    world.settle();
    world.write(0);
    let late = core::mem::take(&mut world.wire);
    world.open(1);
    world.settle_among(&[1, 2]);
    world.write(1);
    let next = core::mem::take(&mut world.wire);
    world.crash(2);
    world.wire.extend(late);
    world.settle_among(&[0, 2]);
    world.wire.extend(next);
    world.settle_among(&[1, 2]);
    world
}

//= docs/spec/replica.md#fencing
#[test]
fn a_late_state_of_an_earlier_writer_is_fenced_even_after_a_crash() {
    assert_eq!(late_state(Without::Nothing).check(), Ok(()));
    assert!(late_state(Without::Fences).check().is_err(), "both say that their first state is committed");
}
