//! Who has the whole state of a device, its signing key and all traffic, and wants a key that is not for them.

use super::world::{Without, World};
use super::*;

/// What somebody has who took everything from a device at one moment.
struct Thief {
    who: usize,
    record: SecretBytes,
    /// The members as they were then: the thief believes in no removal.
    roll: Roll,
}

impl Thief {
    fn of(world: &World, who: usize) -> Self {
        Self { who, record: copy(world.devices[who].disk.as_ref().unwrap()), roll: world.roll.clone() }
    }

    /// The keys that follow from the state and the traffic: by taking commits for chosen ones, in every order, under
    /// the name of any node, and by looking for keys in the bytes themselves.
    fn learns(&self, traffic: &[Commit], wanted: KeyId) -> bool {
        let mut known = [copy(&self.record)].into_iter().collect::<Vec<_>>();
        let mut tried = 0;
        while tried < known.len() {
            for (commit, i) in traffic.iter().flat_map(|it| (0..4).map(move |i| (it, i))) {
                known.extend(self.follow(&known[tried], commit, i));
            }
            tried += 1;
        }
        let in_rings = known.iter().any(|record| {
            let keys = GroupKeys::restore(record, POLICY).unwrap();
            keys.ring().is_ok_and(|ring| ring.reading_key(wanted).is_ok())
        });
        let sent = traffic.iter().flat_map(|it| it.message.0.windows(32));
        let bytes = known.iter().flat_map(|it| it.expose().windows(32)).chain(sent);
        let in_bytes = bytes
            .map(|it| it.try_into().unwrap())
            .any(|it: [u8; 32]| ZoneKey::from_bytes(Zeroizing::new(it)).key_id() == wanted);
        in_rings || in_bytes
    }

    fn follow(&self, record: &SecretBytes, commit: &Commit, name: usize) -> Option<SecretBytes> {
        let mut keys = GroupKeys::restore(record, POLICY).unwrap();
        let (me, key, mut out) = (node(name), key(self.who), Vec::new());
        let seat = Seat { me: &me, key: &key, roll: &self.roll, now: at(START) };
        keys.handle_decided(commit, at(START), &seat, &mut entropy(77), &mut out).ok()?;
        match out.pop()? {
            Output::Persist { record, .. } => Some(record),
            Output::Offer(_) | Output::Package(_) | Output::Rotated { .. } | Output::Left => None,
        }
    }
}

/// The device commits, and all others take it.
fn rotate(world: &mut World, i: usize) -> (Commit, KeyId) {
    world.propose(i).unwrap();
    world.write(i);
    world.wire.clear();
    world.decide(i);
    for i in 0..3 {
        world.learn(i);
        world.write(i);
    }
    (world.ledger.last().unwrap().0.clone(), world.newest(i).unwrap())
}

//= docs/spec/zone-keys.md#removal
#[test]
fn a_removed_member_cannot_derive_the_next_key() {
    let mut world = World::settled(3, Without::Nothing);
    let thief = Thief::of(&world, 2);
    let (commit, key) = rotate(&mut world, 0);
    assert!(thief.learns(core::slice::from_ref(&commit), key), "as long as it is a member it can");
    let mut traffic: Vec<_> = world.ledger.iter().map(|(commit, _)| commit.clone()).collect();
    world.set_members([node(0), node(1)].into());
    for i in [1, 0, 1] {
        let (commit, key) = rotate(&mut world, i);
        traffic.push(commit);
        assert!(!thief.learns(&traffic, key));
    }
}

//= docs/spec/zone-keys.md#healing
#[test]
fn a_device_that_was_copied_heals_when_it_commits() {
    let mut world = World::settled(3, Without::Nothing);
    let thief = Thief::of(&world, 1);
    let mut traffic: Vec<_> = world.ledger.iter().map(|(commit, _)| commit.clone()).collect();
    let (commit, key) = rotate(&mut world, 0);
    traffic.push(commit);
    assert!(thief.learns(&traffic, key), "commits of others do not heal it");
    for i in [1, 0, 2] {
        let (commit, key) = rotate(&mut world, i);
        traffic.push(commit);
        assert!(!thief.learns(&traffic, key), "after the commit of its victim it learns nothing");
    }
}

//= docs/spec/zone-keys.md#the-key-of-an-epoch
#[test]
fn what_is_stored_gives_no_earlier_key_once_it_was_retired() {
    let mut world = World::settled(3, Without::Nothing);
    let traffic: Vec<_> = world.ledger.iter().map(|(commit, _)| commit.clone()).collect();
    let old = world.newest(1).unwrap();
    let (_, new) = rotate(&mut world, 0);
    world.time += BOUNDS.overlap_secs;
    world.act(1, |it, seat, _, out| it.retire_before(new, seat.now, out)).unwrap();
    world.write(1);
    assert!(!Thief::of(&world, 1).learns(&traffic, old));
}
