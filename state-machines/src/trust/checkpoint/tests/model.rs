//! Random worlds: messages lost, repeated and reordered, writes that crashes lose, several coordinators at once, chains
//! that are cut and forked. What must hold is checked after every step.

use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{Without, World};
use super::*;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Write(usize),
    Crash(usize),
    Append(usize),
    RollBack(usize, usize),
    Fork(usize),
    Coordinate(usize),
    Advance(u64),
    RaiseEpoch,
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<usize>().prop_map(Step::Repeat),
        2 => any::<usize>().prop_map(Step::Lose),
        15 => any::<usize>().prop_map(Step::Write),
        2 => any::<usize>().prop_map(Step::Crash),
        3 => any::<usize>().prop_map(Step::Append),
        1 => any::<(usize, usize)>().prop_map(|(who, by)| Step::RollBack(who, by)),
        1 => any::<usize>().prop_map(Step::Fork),
        6 => any::<usize>().prop_map(Step::Coordinate),
        4 => (0..70_u64).prop_map(Step::Advance),
        1 => Just(Step::RaiseEpoch),
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
        Step::Write(i) => world.write(i % n),
        Step::Crash(i) => world.crash(i % n),
        Step::Append(i) => world.append(i % n),
        Step::RollBack(i, by) => world.roll_back(i % n, by),
        Step::Fork(i) => world.fork(i % n),
        Step::Coordinate(i) => world.coordinate(i % n),
        Step::Advance(seconds) => world.advance(seconds),
        Step::RaiseEpoch => world.raise_epoch(),
        Step::Settle => world.settle(),
    }
}

fn plan() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (1..=4_usize, prop::collection::vec(step(), 1..120))
}

/// Plays the plan, and looks after every step at what must hold.
fn play((n, steps): &(usize, Vec<Step>), without: Without) -> Result<World, String> {
    let mut world = World::new(*n, without);
    for step in steps {
        take(&mut world, *n, step);
        world.check()?;
    }
    Ok(world)
}

/// One member coordinates, undisturbed. Whether all have a later checkpoint than any had.
fn progresses(world: &mut World) -> bool {
    let before = world.tips().into_iter().max().flatten();
    world.advance(70);
    world.coordinate(0);
    world.settle();
    world.tips().into_iter().all(|tip| tip > before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    //= docs/spec/checkpoints.md#what-holds
    #[test]
    fn no_place_has_two_and_no_chain_goes_back(plan in plan()) {
        let mut world = play(&plan, Without::Nothing).map_err(TestCaseError::fail)?;
        world.wire.clear();
        world.settle();
        // A round brings stragglers along, the next one all; votes that are split lapse with the epoch.
        let goes_on = (0..3).any(|_| progresses(&mut world)) || {
            world.raise_epoch();
            (0..3).any(|_| progresses(&mut world))
        };
        prop_assert!(goes_on, "no checkpoint is certified any more: {:?}", world.tips());
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
    for without in [Without::Persistence, Without::Quorum, Without::Heads] {
        assert!(search(without, 300), "nothing breaks without {without:?}");
    }
}

/// Two certify, only one knows, the other crashes and meets a third that has more to tell.
fn lost_certificate(without: Without) -> Result<World, String> {
    let mut world = World::new(3, without);
    world.settle();
    world.coordinate(0);
    world.settle_silently_among(&[0, 1]);
    world.crash(1);
    world.append(2);
    world.advance(10);
    world.settle_silently_among(&[1, 2]);
    world.coordinate(2);
    world.settle_silently_among(&[1, 2]);
    world.check()?;
    Ok(world)
}

//= docs/spec/checkpoints.md#what-holds
#[test]
fn a_crash_between_vote_and_certificate_makes_no_second_one() {
    let mut world = lost_certificate(Without::Nothing).expect("the vote is remembered");
    assert_eq!(world.tips(), [Some(0), None, Some(0)], "what was begun was finished");
    world.settle();
    assert!((0..3).any(|_| progresses(&mut world)));
    assert!(lost_certificate(Without::Votes).is_err(), "a forgotten vote certifies a rival");
}
