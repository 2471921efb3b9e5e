//! Random worlds: messages lost, repeated and reordered, writes that crashes lose, clocks within their bound,
//! coordinators that forget. What must hold is checked after every step.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::world::{Without, World};
use super::*;

/// Members, how far the clocks are ahead, what happens.
type Plan = (usize, [i64; 5], Vec<Step>);

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Write(usize),
    Crash(usize),
    Forget(usize),
    Want(usize),
    Release(usize, Option<usize>),
    Advance(u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<usize>().prop_map(Step::Repeat),
        2 => any::<usize>().prop_map(Step::Lose),
        10 => any::<usize>().prop_map(Step::Write),
        1 => any::<usize>().prop_map(Step::Crash),
        1 => any::<usize>().prop_map(Step::Forget),
        5 => any::<usize>().prop_map(Step::Want),
        1 => (any::<usize>(), any::<Option<usize>>()).prop_map(|(who, to)| Step::Release(who, to)),
        3 => prop_oneof![0..3_000_u64, 0..400_000_u64].prop_map(Step::Advance),
        2 => Just(Step::Settle),
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
        Step::Forget(i) => world.forget(i % n),
        Step::Want(i) => world.want(i % n),
        Step::Release(i, to) => world.release(i % n, to.map(|to| to % n)),
        Step::Advance(millis) => world.advance(millis),
        Step::Settle => world.settle(&[]),
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    (1..=5_usize, clocks(), prop::collection::vec(step(), 1..250))
}

/// Plays the plan, and looks after every step at what must hold.
fn play((n, clocks, steps): &Plan, without: Without) -> Result<World, String> {
    let mut world = World::new(*n, without);
    (0..*n).for_each(|i| world.set_clock(i, clocks[i]));
    for step in steps {
        take(&mut world, *n, step);
        world.check()?;
    }
    Ok(world)
}

fn clocks() -> impl Strategy<Value = [i64; 5]> {
    let bound = i64::try_from(CLOCK_BOUND_SECS * 1_000).unwrap();
    prop::array::uniform5(-bound..=bound)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    //= docs/spec/leases.md#what-holds
    #[test]
    fn never_two_hold_and_tokens_rise(plan in plan()) {
        let mut world = play(&plan, Without::Nothing).map_err(TestCaseError::fail)?;
        // Once faults end and old leases are over, whoever asks gets it.
        world.wire.clear();
        world.advance((MAX_TTL_SECS + 2 * CLOCK_BOUND_SECS) * 1_000);
        for _ in 0..2 {
            world.want(0);
            world.settle(&[]);
            world.advance(6_000);
        }
        world.check().map_err(TestCaseError::fail)?;
        prop_assert_eq!(world.holders(), [0]);
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
    for without in [Without::Persistence, Without::Release, Without::Quorum, Without::Memory] {
        assert!(search(without, 500), "nothing breaks without {without:?}");
    }
}
