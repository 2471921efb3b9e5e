//! Objects go from node to node whatever breaks and whoever lies, and every guard that is left out is missed.

use std::time::Duration;

use fcp_proto_core::time::Instant;
use fcp_sim::schedule::{Character, Fault, Flaw, Schedule};
use fcp_sim::world::{Outcome, World};

const SPAN: Duration = Duration::from_secs(240);

/// Worlds with one thing changed, each played when it is asked for.
fn play(
    seeds: std::ops::Range<u64>,
    nodes: usize,
    change: impl Fn(&mut Schedule),
) -> impl Iterator<Item = Outcome> {
    seeds.map(move |seed| {
        let mut schedule = Schedule::draw(seed, nodes, SPAN);
        change(&mut schedule);
        World::play(&schedule)
    })
}

/// What breaks a world whose guard is left out; one of a few seeds must show it.
fn missed(flaw: Flaw, change: impl Fn(&mut Schedule)) -> String {
    let mut worlds = play(0..6, 4, |schedule| {
        schedule.hostile = None;
        schedule.flaw = Some(flaw);
        change(schedule);
    });
    worlds.find_map(|outcome| outcome.violation).unwrap_or_else(|| panic!("{flaw:?} is not missed"))
}

/// Somebody dies every two seconds.
fn crashes() -> Vec<(Instant, Fault)> {
    let each = |at: u64| (Instant::from_nanos(at * 1_000_000_000), Fault::Crash(at as usize / 2 % 4));
    (1..SPAN.as_secs()).step_by(2).map(each).collect()
}

fn sound(outcomes: impl Iterator<Item = Outcome>) {
    for outcome in outcomes {
        assert_eq!(outcome.violation, None);
        assert!(outcome.fetched > 0, "nothing was fetched");
    }
}

#[test]
fn without_faults_all_is_fetched() {
    sound(play(0..2, 3, |schedule| {
        schedule.faults.clear();
        schedule.hostile = None;
    }));
}

/// One liar, forger, replayer, and so on, among four.
#[test]
fn whoever_is_not_honest_keeps_nobody_from_fetching() {
    for (seed, character) in (20..).zip(Character::ALL) {
        sound(play(seed..seed + 1, 4, |schedule| schedule.hostile = Some((1, character))));
    }
}

#[test]
fn processes_that_die_and_disks_that_are_lost_end_no_fetch() {
    sound(play(40..42, 4, |schedule| {
        for (at, (_, fault)) in schedule.faults.iter_mut().enumerate() {
            *fault = if at % 4 == 0 { Fault::Lose(at % 3) } else { Fault::Crash(at % 4) };
        }
    }));
}

#[test]
fn an_object_that_is_changed_is_noticed() {
    assert!(missed(Flaw::ChangesObjects, |_| ()).contains("rebuilt as other bytes"));
}

#[test]
fn a_process_that_forgets_what_it_wanted_is_noticed() {
    assert!(missed(Flaw::ForgetsWants, |schedule| schedule.faults = crashes()).contains("did not get"));
}

#[test]
fn a_node_that_asks_for_nothing_is_noticed() {
    assert!(missed(Flaw::NeverAsks, |_| ()).contains("did not get"));
}

#[test]
fn more_to_a_stranger_than_it_paid_for_is_noticed() {
    assert!(missed(Flaw::KnowsStrangers, |_| ()).contains("somebody that nobody knows"));
}

#[test]
fn memory_without_a_bound_is_noticed() {
    let violation = missed(Flaw::NoMemoryBound, |schedule| schedule.hostile = Some((1, Character::Liar)));
    assert!(violation.contains("reserved"), "{violation}");
}
