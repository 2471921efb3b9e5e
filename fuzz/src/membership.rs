//! Devices that come, are removed and go on alone, played by a schedule: what is lost, doubled and late, who dies.

use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{
    DeviceEnrolment, FaultModel, Header, NodeAttestation, Object, ObjectIdKey, Signed, SignedBody,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::persist::{BatchToken, Completion};
use fcp_state_machines::trust::authority::Owner;
use fcp_state_machines::trust::lease::Voter;
use fcp_state_machines::trust::membership::{
    Basis, Directory, Draft, DraftError, Member, Message, Output, Roster, Seat, removal,
};
use fcp_state_machines::trust::revocation::Revocations;
use zeroize::Zeroizing;

use crate::mesh::{START, Wire, disturb};

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 100;
/// All devices; the first three are members at the beginning.
const DEVICES: usize = 5;

/// Whatever happens, no device goes back to an earlier epoch, and whoever is known to be removed is nothing.
pub(crate) fn schedule(input: &[u8]) {
    let mut play = Play::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*what, usize::from(*how));
        play.check();
    }
}

/// What all schedules begin with.
static FIRST: OnceLock<(Directory, Roster)> = OnceLock::new();

struct Device {
    roster: Roster,
    disk: Vec<Directory>,
    writes: VecDeque<(BatchToken, Directory)>,
    revoked: Revocations,
    removed: BTreeSet<usize>,
    voter: Voter,
    epoch: u64,
}

struct Play {
    owner: SigningKey<role::Owner>,
    zone: ZoneId,
    ids: ObjectIdKey,
    names: Vec<NodeId>,
    devices: Vec<Device>,
    wire: Wire<Message>,
    seconds: u64,
    /// The newest epoch that the owner signed.
    signed: u64,
}

impl Play {
    fn new() -> Self {
        let name = |i| NodeId::new(format!("n{i}")).expect("a name");
        let mut play = Self {
            owner: SigningKey::from_seed(&Zeroizing::new([99; 32])),
            zone: ZoneId::new("z:work").expect("a zone"),
            ids: ObjectIdKey::from_bytes([9; 32].into()),
            names: (0..DEVICES).map(name).collect(),
            devices: Vec::new(),
            wire: Wire::new(),
            seconds: START,
            signed: 1,
        };
        let (first, roster) = FIRST.get_or_init(|| play.first());
        for i in 0..DEVICES {
            let member = i < 3;
            play.devices.push(Device {
                roster: if member { roster.clone() } else { play.restored(Vec::new()) },
                disk: if member { vec![first.clone()] } else { Vec::new() },
                writes: VecDeque::new(),
                revoked: Revocations::default(),
                removed: BTreeSet::new(),
                voter: Voter::restore(play.names[i].clone(), []),
                epoch: 0,
            });
        }
        play
    }

    /// The first directory, and a roster that has it.
    fn first(&self) -> (Directory, Roster) {
        let (members, basis) = ((0..3).map(|i| self.member(i)), Basis::Anew { epoch: 1 });
        let (place, now) = ((&self.zone, &self.ids), UnixTime::from_secs(START));
        let draft = Draft::new(basis, Vec::new(), members, FaultModel::Crash, place, now).expect("small");
        let first = self.signed(draft);
        let roster = self.restored(vec![first.clone()]);
        (first, roster)
    }

    fn restored(&self, disk: Vec<Directory>) -> Roster {
        let owner = Owner { home_id: [1; 32], public_key: self.owner.verifying_key() };
        Roster::restore(&owner, disk, &self.ids)
    }

    fn step(&mut self, what: u8, how: usize) {
        let (who, other) = (how % DEVICES, how / DEVICES % DEVICES);
        match what % 8 {
            0 | 1 => (0..=how % 32).for_each(|_| self.deliver()),
            2 => disturb(&mut self.wire, how),
            3 => self.crash(who),
            4 => self.greet(who),
            5 => self.enrol(who, other),
            6 => self.remove(who, other),
            _ => self.seconds += how as u64 * 60,
        }
    }

    /// All writes succeed, and the next message arrives.
    fn deliver(&mut self) {
        for i in 0..DEVICES {
            while let Some((batch, directory)) = self.devices[i].writes.pop_front() {
                self.devices[i].disk.push(directory);
                self.act(i, |it, seat, _, out| it.handle_stored(batch, Completion::Durable, seat, out));
            }
        }
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        let from = self.names[from].clone();
        self.act(to, |it, seat, now, out| it.handle(&from, message, seat, now, out));
    }

    /// What a device has not written is gone.
    fn crash(&mut self, i: usize) {
        self.devices[i].writes.clear();
        self.devices[i].roster = self.restored(self.devices[i].disk.clone());
    }

    fn greet(&mut self, i: usize) {
        self.act(i, |it, seat, _, out| it.greet(None, seat, out));
        // A device counts itself as it counts the others.
        let (epoch, quiet_at) = (self.devices[i].roster.epoch(), UnixTime::default());
        self.wire.push_back((i, i, Message::Have { epoch, quiet_at }));
    }

    fn enrol(&mut self, i: usize, device: usize) {
        let fresh = self.devices[device].roster.epoch() == 0 && !self.devices[i].removed.contains(&device);
        let newcomers = if fresh { vec![self.member(device)] } else { Vec::new() };
        self.change(i, device, |it, seat, now| it.draft(newcomers, &BTreeSet::new(), seat, now));
    }

    /// A device is revoked at another, which then goes on without it: by a draft, or by the owner's word alone.
    fn remove(&mut self, i: usize, device: usize) {
        if i == device || !self.devices[i].removed.insert(device) {
            return;
        }
        let attestation = self.attestation(device);
        for (number, revocation) in
            removal(&attestation, "lost", UnixTime::from_secs(START)).iter().enumerate()
        {
            let id = ObjectId::from_bytes([(2 * device + number) as u8; 32]);
            self.devices[i].revoked.apply(id, revocation);
        }
        self.change(i, i, |it, seat, now| {
            let none = BTreeSet::new();
            it.draft(Vec::new(), &none, seat, now)
                .or_else(|_| it.take_over(None, Vec::new(), &none, seat, now))
        });
    }

    /// The owner signs what a device drafts, if that is the next that the owner signs.
    fn change(
        &mut self,
        i: usize,
        also: usize,
        draft: impl FnOnce(&Roster, &Seat<'_>, UnixTime) -> Result<Draft, DraftError>,
    ) {
        let signed = self.signed;
        let newest = |it: &mut Roster| it.epoch() == signed;
        let Some(Ok(draft)) = self.act(i, |it, seat, now, _| newest(it).then(|| draft(it, seat, now))) else {
            return;
        };
        let directory = self.signed(draft);
        self.signed = directory.epoch();
        for to in BTreeSet::from([i, also]) {
            self.wire.push_back((i, to, Message::Directory(Box::new(directory.clone()))));
        }
    }

    fn check(&mut self) {
        let now = UnixTime::from_secs(self.seconds);
        for i in 0..DEVICES {
            let term = self.act(i, |it, seat, now, _| it.term(seat, now));
            let device = &mut self.devices[i];
            assert!(device.roster.epoch() >= device.epoch, "a device went back");
            device.epoch = device.roster.epoch();
            for removed in device.removed.iter().map(|removed| &self.names[*removed]) {
                assert!(!term.as_ref().is_some_and(|term| term.electorate.has(removed)), "it still signs");
                assert!(!device.roster.may_hold(removed, &self.zone, &device.revoked, now), "it still holds");
            }
        }
    }

    fn act<T>(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut Roster, &Seat<'_>, UnixTime, &mut Vec<Output>) -> T,
    ) -> T {
        let (mut out, now, device) = (Vec::new(), UnixTime::from_secs(self.seconds), &mut self.devices[i]);
        let (me, revoked, voter) = (&self.names[i], &device.revoked, &device.voter);
        let seat = Seat { me, ids: &self.ids, revoked, voter };
        let result = act(&mut device.roster, &seat, now, &mut out);
        for output in out {
            match output {
                Output::Persist { batch, directory } => device.writes.push_back((batch, *directory)),
                Output::Send { to, message } => {
                    let to = self.names.iter().position(|name| *name == to).expect("a device");
                    self.wire.push_back((i, to, message));
                }
                Output::Adopted(_) | Output::Left(_) => (),
                Output::Contradiction(_) => panic!("the owner signs one membership an epoch"),
            }
        }
        result
    }

    fn attestation(&self, i: usize) -> NodeAttestation {
        let seed = |of: u8| Zeroizing::new([i as u8 * 3 + of; 32]);
        NodeAttestation {
            node_id: self.names[i].clone(),
            signing_key: SigningKey::from_seed(&seed(1)).verifying_key(),
            encryption_key: *seed(2),
            issuance_key: SigningKey::from_seed(&seed(3)).verifying_key(),
            tags: Vec::new(),
            issued_at: UnixTime::from_secs(START),
            expires_at: UnixTime::from_secs(START + 1_000_000),
            nonce: [i as u8; 32],
        }
    }

    fn member(&self, i: usize) -> Member {
        let attestation = self.attestation(i);
        let enrolment = DeviceEnrolment {
            node_id: attestation.node_id.clone(),
            signing_key: attestation.signing_key,
            allowed_zones: [self.zone.clone()].into(),
            stores_symbols: BTreeSet::new(),
            stores_secret_shares: true,
            stores_audit_events: true,
            issued_at: attestation.issued_at,
            expires_at: None,
        };
        Member { attestation: self.sign(attestation), enrolment: self.sign(enrolment) }
    }

    fn sign<T: SignedBody>(&self, fields: T) -> Object<Signed<T>> {
        let (at, label) = (UnixTime::from_secs(START), Label::trusted(Level::WORK));
        let header = Header::new(&T::SCHEMA, &self.zone, at, label, None);
        Object::sign(header, fields, &self.owner).expect("small")
    }

    fn signed(&self, draft: Draft) -> Directory {
        let membership = Object::sign(draft.header.clone(), draft.membership.clone(), &self.owner);
        draft.signed(membership.expect("small"))
    }
}
