//! One path at a time: beginning, rotation under traffic, concurrent commits, refusals, crashes at every write.

use super::world::{Message, Without, World};
use super::*;

fn seat_of<T>(world: &World, i: usize, act: impl FnOnce(&GroupKeys, &Seat<'_>) -> T) -> T {
    let (me, key) = (node(i), key(i));
    let seat = Seat { me: &me, key: &key, roll: &world.roll, now: at(world.time) };
    act(&world.devices[i].machine, &seat)
}

fn sealing(world: &World, i: usize) -> Result<KeyId, Refusal> {
    seat_of(world, i, |it, seat| it.sealing_key(seat).map(|key| key.id))
}

fn offer(world: &mut World, i: usize) -> Commit {
    world.propose(i).unwrap();
    world.write(i);
    let offers = world.devices[i].machine.offers();
    let commit = offers.last().unwrap().clone();
    world.wire.clear();
    commit
}

fn hear(world: &mut World, i: usize, commit: &Commit) -> Result<(), Refusal> {
    let result = world.act(i, |it, seat, entropy, out| it.handle_commit(commit, seat, entropy, out));
    world.write(i);
    result
}

fn decided(world: &mut World, i: usize, commit: &Commit) -> Result<(), Refusal> {
    let now = at(world.time);
    let result = world.act(i, |it, seat, entropy, out| it.handle_decided(commit, now, seat, entropy, out));
    world.write(i);
    result
}

#[test]
fn members_come_to_one_key_and_a_newcomer_has_no_earlier_one() {
    let mut world = World::new(3, Without::Nothing);
    let first = world.newest(0).unwrap();
    world.settle();
    world.check().unwrap();
    let newest = world.newest(0).unwrap();
    assert!((0..3).all(|i| sealing(&world, i) == Ok(newest)));
    assert!(world.devices[0].machine.ring().unwrap().reading_key(first).is_ok());
    assert!(world.devices[1].machine.ring().unwrap().reading_key(first).is_err());
    assert_eq!(sealing(&world, 3), Err(Refusal::Outside));
}

#[test]
fn a_newcomer_is_handed_as_much_history_as_policy_gives() {
    let policy = Continuous { handed_over: 1, ..POLICY };
    let mut world = World::under(policy, 1, Without::Nothing);
    let first = world.newest(0).unwrap();
    let commit = offer(&mut world, 0);
    decided(&mut world, 0, &commit).unwrap();
    world.ledger.push((commit, at(START)));
    let second = world.newest(0).unwrap();
    world.set_members([node(0), node(1)].into());
    world.settle();
    let ring = world.devices[1].machine.ring().unwrap();
    assert!(ring.reading_key(second).is_ok());
    assert!(ring.reading_key(first).is_err());
}

//= docs/spec/zone-keys.md#rotation
#[test]
fn a_key_rotates_under_traffic_and_nothing_becomes_unreadable() {
    let mut world = World::settled(3, Without::Nothing);
    let old = sealing(&world, 0).unwrap();
    let commit = offer(&mut world, 1);
    assert_eq!(sealing(&world, 1), Ok(old), "what is not chosen changes nothing");
    for i in [0, 1] {
        decided(&mut world, i, &commit).unwrap();
    }
    let new = sealing(&world, 0).unwrap();
    assert_ne!(new, old);
    assert_eq!(sealing(&world, 2), Ok(old), "who has not heard of it seals as before");
    let ring = world.devices[0].machine.ring().unwrap();
    let overlap_end = START + BOUNDS.overlap_secs;
    assert!(ring.receiving_key(old, at(overlap_end - 1)).is_ok());
    assert!(ring.receiving_key(old, at(overlap_end)).is_err());
    assert!(ring.reading_key(old).is_ok());
    world.time = START + BOUNDS.max_key_secs;
    let ended = Err(Refusal::Ring(KeyRingError::NotValid(new)));
    assert_eq!(sealing(&world, 0), ended, "no key outlives its bound");
}

//= docs/spec/zone-keys.md#one-commit-an-epoch
#[test]
fn of_two_concurrent_commits_one_is_chosen_by_everybody() {
    let mut world = World::settled(3, Without::Nothing);
    let (a, b) = (offer(&mut world, 0), offer(&mut world, 1));
    for (i, commit) in [(1, &a), (2, &b), (2, &a), (0, &b)] {
        hear(&mut world, i, commit).unwrap();
    }
    let choice = |i: usize| world.devices[i].machine.choice(&world.roll).cloned().unwrap();
    let chosen = choice(0);
    assert!((1..3).all(|i| choice(i) == chosen));
    let lost = if chosen == a { b } else { a };
    for i in 0..3 {
        decided(&mut world, i, &chosen).unwrap();
        assert_eq!(decided(&mut world, i, &lost), Ok(()), "an ended epoch is over");
    }
    world.check().unwrap();
    let newest = world.newest(0);
    assert!((1..3).all(|i| world.newest(i) == newest));
    assert!((0..3).all(|i| world.devices[i].machine.offers().next().is_none()));
}

#[test]
fn who_missed_commits_takes_them_in_order() {
    let mut world = World::settled(3, Without::Nothing);
    let first = offer(&mut world, 0);
    decided(&mut world, 0, &first).unwrap();
    let second = offer(&mut world, 0);
    let epoch = world.devices[2].machine.group().unwrap().0;
    assert_eq!(decided(&mut world, 2, &second), Err(Refusal::Epoch(epoch)));
    decided(&mut world, 2, &first).unwrap();
    decided(&mut world, 2, &second).unwrap();
    decided(&mut world, 0, &second).unwrap();
    assert_eq!(world.newest(2), world.newest(0));
}

//= docs/spec/zone-keys.md#removal
#[test]
fn nothing_is_sealed_for_whom_the_owner_removed() {
    let mut world = World::settled(3, Without::Nothing);
    let old = sealing(&world, 0).unwrap();
    let stale = offer(&mut world, 1);
    world.set_members([node(0), node(1)].into());
    assert_eq!(sealing(&world, 0), Err(Refusal::RemovalDue));
    assert_eq!(seat_of(&world, 0, |it, seat| it.due(seat)), Some(Due::Removal));
    let epoch = world.roll.epoch;
    assert_eq!(hear(&mut world, 0, &stale), Err(Refusal::Membership(epoch)), "it keeps the removed one");
    let commit = offer(&mut world, 0);
    hear(&mut world, 1, &commit).unwrap();
    for i in 0..3 {
        decided(&mut world, i, &commit).unwrap();
    }
    world.check().unwrap();
    assert!(sealing(&world, 0).is_ok());
    assert_eq!(sealing(&world, 2), Err(Refusal::Outside));
    assert!(world.devices[2].machine.ring().is_err(), "it wiped its keys");
    let ring = world.devices[0].machine.ring().unwrap();
    assert!(ring.receiving_key(old, at(START)).is_err(), "it has the old key, so nothing is taken under it");
}

//= docs/spec/zone-keys.md#candidates
#[test]
fn a_commit_that_was_overtaken_by_a_membership_can_still_be_taken_if_it_was_chosen() {
    let mut world = World::settled(3, Without::Nothing);
    let update = offer(&mut world, 0);
    world.set_members([node(0), node(1)].into());
    let removal = offer(&mut world, 0);
    assert_ne!(update, removal);
    for i in [0, 1] {
        decided(&mut world, i, &update).unwrap();
    }
    assert_eq!(sealing(&world, 0), Err(Refusal::RemovalDue));
    assert_eq!(world.newest(0), world.newest(1));
}

//= docs/spec/zone-keys.md#members
//= docs/spec/zone-keys.md#candidates
#[test]
fn what_no_commit_may_do_is_refused() {
    let mut world = World::settled(3, Without::Nothing);
    let commit = offer(&mut world, 0);
    assert_eq!(world.propose(0), Err(Refusal::Twice));
    assert_eq!(world.propose(3), Err(Refusal::Outside));
    let mut bent = commit.clone();
    let middle = bent.message.0.len() / 2;
    bent.message.0[middle] ^= 1;
    assert_eq!(hear(&mut world, 1, &bent), Err(Refusal::Mls));
    let large = Commit { message: ByteString([0; MAX_COMMIT_BYTES + 1].into()), welcome: None };
    assert_eq!(hear(&mut world, 1, &large), Err(Refusal::TooLarge));
    assert_eq!(decided(&mut world, 1, &large), Err(Refusal::TooLarge));
    // Another node of the same name, with a key that the owner did not attest.
    world.roll.keys.insert(node(0), key(5).verifying_key());
    assert_eq!(hear(&mut world, 1, &commit), Err(Refusal::Mls));
}

/// Members whose modes or memberships differ do not take each other's commits.
//= docs/spec/zone-keys.md#candidates
#[test]
fn a_commit_keeps_to_the_mode_and_the_membership() {
    let mut world = World::settled(3, Without::Nothing);
    world.devices[0].machine.policy.bounds.max_key_secs += 1;
    let longer = offer(&mut world, 0);
    assert_eq!(hear(&mut world, 1, &longer), Err(Refusal::Bounds));
    let members = world.roll.members.clone();
    world.roll.members.remove(&node(2));
    let evicts = offer(&mut world, 1);
    world.roll.members = members;
    assert_eq!(hear(&mut world, 2, &evicts), Err(Refusal::Roster));
    assert_eq!(hear(&mut world, 0, &evicts), Err(Refusal::Roster));
}

//= docs/spec/zone-keys.md#newcomers
//= docs/spec/zone-keys.md#members
#[test]
fn a_package_adds_only_the_member_that_made_it() {
    let mut world = World::settled(2, Without::Nothing);
    world.ask(2).unwrap();
    world.write(2);
    let Some((_, _, Message::Package(package))) = world.wire.pop() else { panic!("a package") };
    let hand = |world: &mut World, from: usize, package: &[u8]| {
        let (from, package) = (node(from), package.to_vec());
        world.act(0, |it, seat, entropy, _| it.handle_package(&from, package, seat, entropy))
    };
    assert_eq!(hand(&mut world, 2, &package), Err(Refusal::Roster), "it is no member");
    world.set_members([node(0), node(1), node(2)].into());
    assert_eq!(hand(&mut world, 1, &package), Err(Refusal::Roster), "it is another's");
    assert_eq!(hand(&mut world, 2, &[0; MAX_PACKAGE_BYTES + 1]), Err(Refusal::TooLarge));
    let mut bent = package.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert_eq!(hand(&mut world, 2, &bent), Err(Refusal::Mls));
    assert_eq!(hand(&mut world, 2, &package), Ok(()));
    assert_eq!(seat_of(&world, 0, |it, seat| it.due(seat)), Some(Due::Newcomer));
}

//= docs/spec/zone-keys.md#newcomers
#[test]
fn a_newcomer_gives_its_package_once_durable_and_joins_by_a_chosen_commit_alone() {
    let mut world = World::settled(2, Without::Nothing);
    world.set_members([node(0), node(1), node(2)].into());
    world.ask(2).unwrap();
    assert!(world.wire.is_empty(), "the secrets of its package are not durable");
    world.refuse(2);
    assert!(world.wire.is_empty(), "nor are they now");
    world.ask(2).unwrap();
    world.write(2);
    let Some((_, _, Message::Package(package))) = world.wire.pop() else { panic!("a package") };
    world.act(0, |it, seat, entropy, _| it.handle_package(&node(2), package, seat, entropy)).unwrap();
    let commit = offer(&mut world, 0);
    assert!(commit.welcome.is_some());
    assert_eq!(hear(&mut world, 2, &commit), Err(Refusal::Outside), "it is offered and not chosen");
    assert_eq!(world.devices[2].machine.group(), None);
    assert_eq!(decided(&mut world, 2, &commit), Ok(()));
    assert_eq!(decided(&mut world, 0, &commit), Ok(()));
    assert_eq!(world.newest(2), world.newest(0));
    assert_eq!(world.act(2, GroupKeys::ask), Err(Refusal::Inside), "whoever is in asks for nothing");
}

#[test]
fn a_member_that_lost_its_place_is_taken_in_again() {
    let mut world = World::settled(3, Without::Nothing);
    world.devices[2].disk = None;
    world.crash(2);
    world.settle();
    world.check().unwrap();
    assert_eq!(world.newest(2), world.newest(0));
}

//= docs/spec/zone-keys.md#the-record
#[test]
fn nothing_follows_a_write_that_failed() {
    let mut world = World::settled(2, Without::Nothing);
    let before = sealing(&world, 0).unwrap();
    world.propose(0).unwrap();
    assert_eq!(world.propose(0), Err(Refusal::Writing));
    world.refuse(0);
    assert!(world.wire.is_empty(), "nothing is offered");
    let commit = offer(&mut world, 0);
    world.act(0, |it, seat, entropy, out| it.handle_decided(&commit, at(START), seat, entropy, out)).unwrap();
    assert_eq!(sealing(&world, 0), Ok(before), "the new key is not durable");
    let batch = BatchToken(world.devices[0].machine.next_batch - 1);
    world.devices[0].machine.handle_stored(batch, Completion::Failed, &mut Vec::new());
    assert_eq!(sealing(&world, 0), Err(Refusal::Failed));
    assert_eq!(world.propose(0), Err(Refusal::Failed));
}

/// At each of its writes the device dies before, or after it.
#[test]
fn a_crash_at_any_write_is_resumed() {
    for (dies_at, written) in (0..4).flat_map(|at| [(at, false), (at, true)]) {
        let mut world = World::settled(2, Without::Nothing);
        let mut writes = 0;
        let mut maybe_die = |world: &mut World| {
            if writes == dies_at {
                if written {
                    world.write(0);
                }
                world.crash(0);
            } else {
                world.write(0);
            }
            writes += 1;
        };
        world.propose(0).unwrap();
        maybe_die(&mut world);
        world.propose(1).unwrap();
        world.write(1);
        let other = world.devices[1].machine.offers().next().unwrap().clone();
        let _ = world.act(0, |it, seat, entropy, out| it.handle_commit(&other, seat, entropy, out));
        maybe_die(&mut world);
        world.ledger.push((other, at(START)));
        (0..2).for_each(|i| world.learn(i));
        world.write(1);
        maybe_die(&mut world);
        world.settle();
        world.check().unwrap();
        assert_eq!(world.newest(0), world.newest(1), "died at {dies_at}");
        assert!(sealing(&world, 0).is_ok());
    }
}

//= docs/spec/zone-keys.md#keys-that-are-kept
#[test]
fn keys_are_retired_once_they_only_read() {
    let mut world = World::settled(2, Without::Nothing);
    let names: Vec<_> =
        world.devices[0].machine.record.generations.iter().map(|it| key_id(&it.key)).collect();
    let retire = |world: &mut World, time: u64| {
        let result = world.act(0, |it, _, _, out| it.retire_before(names[1], at(time), out));
        world.write(0);
        result
    };
    assert_eq!(retire(&mut world, START), Err(Refusal::Ring(KeyRingError::InUse(names[0]))));
    retire(&mut world, START + BOUNDS.overlap_secs).unwrap();
    world.crash(0);
    assert!(world.devices[0].machine.ring().unwrap().reading_key(names[0]).is_err());
    assert_eq!(sealing(&world, 0), Ok(names[1]));
}

#[test]
fn a_commit_is_due_for_each_reason() {
    let mut world = World::settled(2, Without::Nothing);
    let due = |world: &World| seat_of(world, 1, |it, seat| it.due(seat));
    assert_eq!(due(&world), None);
    world.time = START + POLICY.update_secs;
    assert_eq!(due(&world), Some(Due::Update));
    world.time = START + BOUNDS.max_key_secs * 3 / 4;
    assert_eq!(due(&world), Some(Due::Ending));
}

#[test]
fn secrets_are_not_printed() {
    let world = World::settled(2, Without::Nothing);
    let printed = format!("{:?}", world.devices[0].machine);
    assert!(printed.contains("Key(..)") && printed.contains("Secret(..)"));
    let bytes = format!("{:?}", world.devices[0].machine.record.generations[0].key.0);
    assert!(!printed.contains(&bytes));
}
