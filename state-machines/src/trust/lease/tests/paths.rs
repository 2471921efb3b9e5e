//! Whole paths through a mesh, and what breaks without each guard.

use super::world::{Without, World};
use super::*;

const LEASE: u64 = DEFAULT_TTL_SECS * 1_000;
const BOUND: u64 = CLOCK_BOUND_SECS * 1_000;

#[test]
fn one_of_three_gets_a_lease_and_the_others_do_not() {
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    assert_eq!(world.token(0), Some(FLOOR + 1));
    world.want(1);
    world.settle(&[]);
    assert_eq!(world.holders(), [0]);
    world.check().unwrap();
}

#[test]
fn a_mesh_of_one_and_of_two_give_leases_and_two_need_both() {
    for n in [1, 2] {
        let mut world = World::new(n, Without::Nothing);
        world.want(0);
        world.settle(&[]);
        assert_eq!(world.holders(), [0], "{n} members");
    }
    let mut world = World::new(2, Without::Nothing);
    for _ in 0..2 {
        world.want(0);
        world.settle(&[1]);
    }
    assert!(world.holders().is_empty(), "one of two is no quorum");
}

#[test]
fn a_successor_waits_for_the_end_and_the_bound_of_the_clocks() {
    //= docs/spec/leases.md#clocks
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    world.advance(LEASE - BOUND);
    assert!(world.holders().is_empty(), "the holder stops early");
    for _ in 0..3 {
        world.advance(BOUND / 2);
        world.want(1);
        world.settle(&[0]);
        assert!(world.holders().is_empty(), "voters let go late");
    }
    world.advance(2 * BOUND);
    for _ in 0..3 {
        world.want(1);
        world.settle(&[0]);
        world.advance(6_000);
    }
    assert_eq!(world.holders(), [1]);
    assert_eq!(world.token(1), Some(FLOOR + 2));
    world.check().unwrap();
}

#[test]
fn a_renewed_lease_keeps_its_token_and_lasts_longer() {
    //= docs/spec/leases.md#renewal
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    for _ in 0..5 {
        world.advance(LEASE - 60_000);
        world.check().unwrap();
        world.want(0);
        world.settle(&[]);
        assert_eq!(world.token(0), Some(FLOOR + 1));
    }
    world.want(1);
    world.settle(&[]);
    assert_eq!(world.holders(), [0]);
}

#[test]
fn a_handoff_gives_the_subject_at_once_and_to_nobody_else() {
    //= docs/spec/leases.md#release-and-handoff
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    world.check().unwrap();
    world.release(0, Some(2));
    world.settle(&[]);
    world.want(1);
    world.settle(&[]);
    assert!(world.holders().is_empty(), "it was given to another");
    world.advance(6_000);
    world.want(2);
    world.settle(&[]);
    assert_eq!(world.token(2), Some(FLOOR + 2));
    world.check().unwrap();
    world.release(2, None);
    world.settle(&[]);
    world.want(1);
    world.settle(&[]);
    assert_eq!(world.token(1), Some(FLOOR + 3));
    world.check().unwrap();
}

#[test]
fn tokens_rise_though_every_coordinator_forgets_and_every_member_restarts() {
    //= docs/spec/leases.md#coordinator
    let mut world = World::new(3, Without::Nothing);
    let mut last = FLOOR;
    for round in 0..6 {
        let i = round % 3;
        world.want(i);
        world.settle(&[]);
        let token = world.token(i).unwrap();
        assert!(token > last);
        last = token;
        world.check().unwrap();
        (0..3).for_each(|k| world.crash(k));
        assert!(world.holders().is_empty(), "what an earlier run held is not held");
        world.advance(LEASE + 2 * BOUND);
    }
}

#[test]
fn the_majority_goes_on_without_the_holder_and_the_holder_stops() {
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    world.check().unwrap();
    world.advance(LEASE + 2 * BOUND);
    for _ in 0..3 {
        world.want(0);
        world.want(1);
        world.settle(&[0]);
        world.advance(6_000);
        world.check().unwrap();
    }
    assert_eq!(world.holders(), [1]);
}

/// A vote that was lost lets the same token go to two.
fn votes_are_lost(without: Without) -> Result<(), alloc::string::String> {
    let mut world = World::new(3, without);
    world.want(0);
    world.settle(&[2]);
    world.want(0);
    world.settle(&[2]);
    world.want(0);
    world.settle(&[2]);
    assert_eq!(world.holders(), [0]);
    world.check()?;
    world.crash(1);
    world.advance(6_000);
    for _ in 0..3 {
        world.want(2);
        world.settle(&[0]);
    }
    world.check()
}

#[test]
fn votes_that_do_not_survive_a_crash_let_two_hold() {
    //= docs/spec/leases.md#voting
    votes_are_lost(Without::Nothing).unwrap();
    assert!(votes_are_lost(Without::Persistence).unwrap_err().starts_with("two hold"));
    assert!(votes_are_lost(Without::Memory).unwrap_err().starts_with("two hold"));
}

/// One of five votes for everybody; 0 reaches all but some, then 2 does.
fn one_of_five_lies(model: FaultModel, cut: [&[usize]; 2]) -> Result<(), alloc::string::String> {
    let mut world = World::under(model, 5, Without::MemoryOf(4));
    for (i, cut) in [(0, cut[0]), (2, cut[1])] {
        for _ in 0..5 {
            world.want(i);
            world.settle(cut);
            world.advance(6_000);
        }
        world.check()?;
        assert!(world.holders().contains(&0), "the first holds");
    }
    Ok(())
}

#[test]
fn a_member_that_votes_twice_makes_two_holders_only_where_none_was_said_to_lie() {
    //= docs/spec/quorum.md#fault-models
    let crash = one_of_five_lies(FaultModel::Crash, [&[2, 3], &[0, 1]]);
    assert!(crash.unwrap_err().starts_with("two hold"));
    one_of_five_lies(FaultModel::Byzantine, [&[3], &[0]]).unwrap();
}

fn everyone_asks_in_turn(without: Without) -> Result<(), alloc::string::String> {
    let mut world = World::new(3, without);
    for i in 0..3 {
        world.want(i);
        world.settle(&[]);
        world.check()?;
    }
    Ok(())
}

#[test]
fn members_that_count_themselves_alone_hold_together() {
    //= docs/spec/quorum.md#fault-models
    everyone_asks_in_turn(Without::Nothing).unwrap();
    assert!(everyone_asks_in_turn(Without::Quorum).unwrap_err().starts_with("two hold"));
}

/// The holder's clock is behind, and the voters' ahead, by so many milliseconds.
fn clocks_differ(by: i64) -> Result<(), alloc::string::String> {
    let mut world = World::new(3, Without::Nothing);
    world.set_clock(0, -by);
    world.set_clock(1, by);
    world.set_clock(2, by);
    for _ in 0..3 {
        world.want(0);
        world.settle(&[]);
        world.advance(6_000);
    }
    assert_eq!(world.holders(), [0]);
    for _ in 0..LEASE / 1_000 + 60 {
        world.advance(1_000);
        world.want(1);
        world.settle(&[0]);
        world.check()?;
    }
    assert_eq!(world.holders(), [1]);
    Ok(())
}

#[test]
fn clocks_within_the_bound_never_let_two_hold() {
    //= docs/spec/leases.md#clocks
    clocks_differ(i64::try_from(BOUND).unwrap()).unwrap();
    let beyond = i64::try_from(BOUND).unwrap() + 2_000;
    assert!(clocks_differ(beyond).unwrap_err().starts_with("two hold"));
}

#[test]
fn a_holder_whose_clock_is_set_back_stops_in_time() {
    //= docs/spec/leases.md#clocks
    let mut world = World::new(3, Without::Nothing);
    world.want(0);
    world.settle(&[]);
    assert_eq!(world.holders(), [0]);
    world.set_clock(0, -3_600_000);
    world.advance(LEASE - BOUND);
    assert!(world.holders().is_empty());
    world.set_clock(0, 3_600_000);
    assert!(world.holders().is_empty());
    world.set_clock(0, 0);
    assert!(world.holders().is_empty(), "what is over does not revive");
}

fn given_back(without: Without) -> Result<(), alloc::string::String> {
    let mut world = World::new(3, without);
    world.want(0);
    world.settle(&[]);
    world.release(0, None);
    world.settle(&[]);
    world.want(1);
    world.settle(&[]);
    world.check()
}

#[test]
fn a_holder_that_goes_on_after_giving_back_is_found_out() {
    //= docs/spec/leases.md#release-and-handoff
    given_back(Without::Nothing).unwrap();
    assert!(given_back(Without::Release).unwrap_err().starts_with("two hold"));
}

/// A certificate from before the holder gave back arrives after it asked again.
fn an_old_grant_comes_late(without: Without) -> Result<(), alloc::string::String> {
    let mut world = World::new(3, without);
    world.want(0);
    world.settle(&[]);
    world.check()?;
    world.advance(6_000);
    world.want(0);
    let mut late = None;
    while late.is_none() {
        (0..3).for_each(|i| world.write(i));
        late = world.wire.iter().position(|(_, to, it)| *to == 0 && matches!(it, Message::Grant(_)));
        if late.is_none() {
            world.deliver(0);
        }
    }
    let grant = world.wire.remove(late.unwrap());
    world.settle(&[]);
    world.release(0, None);
    world.settle(&[]);
    world.advance(6_000);
    world.want(1);
    world.settle(&[]);
    assert_eq!(world.holders(), [1]);
    world.check()?;
    world.want(0);
    world.wire.clear();
    world.wire.push(grant);
    world.settle(&[]);
    world.check()
}

#[test]
fn a_lease_that_was_given_back_is_not_taken_again() {
    //= docs/spec/leases.md#holding
    an_old_grant_comes_late(Without::Nothing).unwrap();
    assert!(an_old_grant_comes_late(Without::Floor).unwrap_err().starts_with("two hold"));
}
