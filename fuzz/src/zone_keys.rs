//! A zone's keys among three members, played by a schedule: who commits, who comes and goes, what is lost, who dies.

use std::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hpke::OpeningKey;
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{KeyId, NodeId};
use fcp_proto_core::object::{
    Header, Object, ObjectIdKey, OpenedZoneKeys, SignedBody, ZoneKey, ZoneKeyAlgorithm, ZoneKeyManifest,
    ZoneKeyTerms,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;
use fcp_state_machines::persist::{BatchToken, Completion};
use fcp_state_machines::trust::keys::{Bounds, Commit, Continuous, GroupKeys, Output, Refusal, Roll, Seat};
use zeroize::Zeroizing;

use crate::mesh::{MEMBERS, Mesh, START, Wire, disturb};

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 24;

const ALGORITHM: ZoneKeyAlgorithm = ZoneKeyAlgorithm::ChaCha20Poly1305;
const POLICY: Continuous = Continuous {
    algorithm: ALGORITHM,
    bounds: Bounds { max_key_secs: 86_400, overlap_secs: 60 },
    update_secs: 3_600,
    handed_over: 0,
};

/// Whatever happens, an epoch has one key, nobody outside has it, and what is sealed reads from disk.
pub(crate) fn schedule(input: &[u8]) {
    let mut play = Play::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*what, usize::from(*how));
        play.check();
    }
}

#[derive(Clone)]
enum Message {
    Commit(Commit),
    Package(Vec<u8>),
}

struct Member {
    machine: GroupKeys,
    disk: Option<SecretBytes>,
    write: Option<(BatchToken, SecretBytes)>,
}

struct Play {
    mesh: Mesh,
    roll: Roll,
    members: Vec<Member>,
    wire: Wire<Message>,
    /// The commits that were chosen, by the epochs that they ended.
    chosen: Vec<Commit>,
    seconds: u64,
    draws: u8,
    keys: BTreeMap<u64, (KeyId, BTreeSet<NodeId>)>,
}

impl Play {
    fn new() -> Self {
        let mesh = Mesh::new();
        let outside = || GroupKeys::outside(mesh.zone.clone(), POLICY);
        let member = |_| Member { machine: outside(), disk: None, write: None };
        let keys = mesh.names.iter().cloned().zip(mesh.keys.iter().map(SigningKey::verifying_key)).collect();
        let roll = Roll { epoch: 1, members: mesh.names.iter().cloned().collect(), keys };
        let (members, wire, chosen) = ((0..MEMBERS).map(member).collect(), Wire::new(), Vec::new());
        let first = first_keys(&mesh);
        let mut play =
            Self { mesh, roll, members, wire, chosen, seconds: START, draws: 0, keys: BTreeMap::new() };
        let begun = play.act(0, |it, seat, entropy, out| it.found(&first, seat, entropy, out));
        assert_eq!(begun, Ok(()), "nothing is in the way of a group");
        play.write(0);
        play
    }

    fn step(&mut self, what: u8, how: usize) {
        let who = how % MEMBERS;
        match what % 8 {
            0 | 1 => (0..=how % 8).for_each(|_| self.deliver()),
            2 => disturb(&mut self.wire, how),
            3 => self.crash(who),
            4 => drop(self.act(who, GroupKeys::propose)),
            5 => drop(self.act(who, GroupKeys::ask)),
            6 => self.choose(who),
            _ => self.enrol(how),
        }
    }

    /// All writes succeed, the next message arrives, and everybody learns what was chosen next.
    fn deliver(&mut self) {
        for i in 0..MEMBERS {
            self.write(i);
            self.learn(i);
            self.write(i);
        }
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        let from = self.mesh.names[from].clone();
        // Why a member refuses one, its own tests look at.
        let _ = self.act(to, |it, seat, entropy, out| match message {
            Message::Commit(commit) => it.handle_commit(&commit, seat, entropy, out),
            Message::Package(package) => it.handle_package(&from, package, seat, entropy),
        });
    }

    fn write(&mut self, i: usize) {
        let Some((batch, record)) = self.members[i].write.take() else { return };
        self.members[i].disk = Some(record);
        let mut out = Vec::new();
        self.members[i].machine.handle_stored(batch, Completion::Durable, &mut out);
        self.take(i, out);
    }

    /// What a member has not written is gone.
    fn crash(&mut self, i: usize) {
        let zone = self.mesh.zone.clone();
        let member = &mut self.members[i];
        member.write = None;
        member.machine = match &member.disk {
            Some(record) => GroupKeys::restore(record, POLICY).expect("it wrote the record"),
            None => GroupKeys::outside(zone, POLICY),
        };
    }

    fn choose(&mut self, i: usize) {
        let machine = &self.members[i].machine;
        let here = machine.group().is_some_and(|(epoch, _)| epoch == self.chosen.len() as u64);
        self.chosen.extend(machine.choice(&self.roll).filter(|_| here).cloned());
    }

    fn learn(&mut self, i: usize) {
        let epoch = self.members[i].machine.group().map(|(epoch, _)| epoch as usize);
        let next = epoch.map_or(self.chosen.last(), |epoch| self.chosen.get(epoch)).cloned();
        let Some(commit) = next else { return };
        let at = UnixTime::from_secs(self.seconds);
        let _ = self.act(i, |it, seat, entropy, out| it.handle_decided(&commit, at, seat, entropy, out));
    }

    /// One of the members but the first comes or goes.
    fn enrol(&mut self, how: usize) {
        let name = self.mesh.names[1 + how % (MEMBERS - 1)].clone();
        if !self.roll.members.remove(&name) {
            self.roll.members.insert(name);
        }
        self.roll.epoch += 1;
        self.seconds += how as u64;
    }

    fn check(&mut self) {
        for (i, member) in self.members.iter().enumerate() {
            let Some((epoch, roster)) = member.machine.group() else { continue };
            let newest = member.machine.ring().and_then(|ring| Ok(ring.newest()?.0)).expect("a key");
            let first = self.keys.entry(epoch).or_insert_with(|| (newest, roster.clone()));
            assert_eq!(*first, (newest, roster.clone()), "an epoch has two keys");
            assert!(roster.contains(&self.mesh.names[i]), "who is outside has the key");
            let seat = seat(&self.mesh, &self.roll, i, self.seconds);
            let Ok(key) = member.machine.sealing_key(&seat) else { continue };
            assert!(roster.is_subset(&self.roll.members), "it seals for whom the owner removed");
            let disk = GroupKeys::restore(member.disk.as_ref().expect("a record"), POLICY);
            let disk = disk.expect("it wrote the record");
            assert!(disk.ring().expect("keys").reading_key(key.id).is_ok(), "it cannot read what it seals");
        }
    }

    fn act(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut GroupKeys, &Seat<'_>, &mut Entropy, &mut Vec<Output>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.draws = self.draws.wrapping_add(1);
        let mut entropy = Entropy::from_seed(&Zeroizing::new([self.draws; 32]));
        let mut out = Vec::new();
        let seat = seat(&self.mesh, &self.roll, i, self.seconds);
        let result = act(&mut self.members[i].machine, &seat, &mut entropy, &mut out);
        self.take(i, out);
        result
    }

    fn take(&mut self, i: usize, out: Vec<Output>) {
        for output in out {
            let message = match output {
                Output::Persist { batch, record } => {
                    self.members[i].write = Some((batch, record));
                    continue;
                }
                Output::Offer(commit) => Message::Commit(commit),
                Output::Package(package) => Message::Package(package),
                Output::Rotated { .. } | Output::Left => continue,
            };
            let others = (0..MEMBERS).filter(|to| *to != i);
            self.wire.extend(others.map(|to| (i, to, message.clone())));
        }
    }
}

fn seat<'a>(mesh: &'a Mesh, roll: &'a Roll, i: usize, seconds: u64) -> Seat<'a> {
    Seat { me: &mesh.names[i], key: &mesh.keys[i], roll, now: UnixTime::from_secs(seconds) }
}

/// What the owner sealed to the first member.
fn first_keys(mesh: &Mesh) -> OpenedZoneKeys {
    let mut entropy = Entropy::from_seed(&Zeroizing::new([0; 32]));
    let owner = SigningKey::<Owner>::generate(&mut entropy);
    let device = EncryptionKey::generate(&mut entropy);
    let now = UnixTime::from_secs(START);
    let terms = ZoneKeyTerms {
        algorithm: ALGORITHM,
        valid_from: now,
        valid_until: None,
        prev_zone_key_id: None,
        overlap_secs: 0,
    };
    let (zone_key, names) = (ZoneKey::generate(&mut entropy), ObjectIdKey::generate(&mut entropy));
    let to = [(mesh.names[0].clone(), device.recipient())].into();
    let sealed = ZoneKeyManifest::seal(&mesh.zone, terms, (&zone_key, &names), &to, now, &mut entropy);
    let header = Header::new(&ZoneKeyManifest::SCHEMA, &mesh.zone, now, Label::default(), None);
    let manifest = Object::sign(header, sealed.expect("small"), &owner).expect("small");
    manifest.open_keys(&owner.verifying_key(), &mesh.names[0], &device).expect("it is sealed to it")
}
