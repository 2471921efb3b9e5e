//! Devices with disks and a network between them, an owner who signs, and leases that are voted for in each epoch.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use fcp_proto_core::time::{Instant, Now};

use super::*;

/// Which guard the world takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// None.
    Nothing,
    /// The disk says durable before it is.
    Persistence,
    /// Nobody looks at what is revoked.
    Revocation,
    /// A change is signed although the last one is known to few.
    Spread,
    /// Members do not say until when leases of before go on.
    Quiet,
}

pub(super) const DEVICES: usize = 7;
const LEASE_SECS: u64 = 300;

#[derive(Clone, Debug)]
pub(super) enum Wire {
    Roster(Message),
    /// A device and its keys are revoked.
    Revoked(usize),
}

struct Node {
    chair: Chair,
    roster: Roster,
    upkeep: Upkeep,
    disk: Vec<Directory>,
    writes: VecDeque<(BatchToken, Directory)>,
    revoked: BTreeSet<usize>,
    /// The newest lease that it voted for: whose, and until when.
    promise: Option<(usize, u64)>,
    /// The newest epoch that it was in.
    seen: u64,
    lost: bool,
}

pub(super) struct World {
    without: Without,
    nodes: Vec<Node>,
    pub(super) wire: VecDeque<(usize, usize, Wire)>,
    pub(super) secs: u64,
    /// The newest epoch that the owner signed.
    signed: u64,
    /// Who may use the lease until when.
    lease: Option<(usize, u64)>,
    pub(super) custody: Custody,
    pub(super) broken: Option<String>,
}

impl World {
    pub(super) fn new(n: usize, without: Without) -> Self {
        let directory = first(n, FaultModel::Crash);
        let node = |i| Node {
            chair: Chair::new(i),
            roster: Roster::restore(
                &owner(),
                if i < n { alloc::vec![directory.clone()] } else { Vec::new() },
                &ids(),
            ),
            upkeep: Upkeep::default(),
            disk: if i < n { alloc::vec![directory.clone()] } else { Vec::new() },
            writes: VecDeque::new(),
            revoked: BTreeSet::new(),
            promise: None,
            seen: 0,
            lost: false,
        };
        let work = zone("z:work");
        let custody = Custody {
            zone_keys: [(work.clone(), names(0..n))].into(),
            secrets: BTreeMap::new(),
            owner_shares: names(0..n),
            checkpoints: [(work, (1, true))].into(),
        };
        let mut world = Self {
            without,
            nodes: (0..DEVICES).map(node).collect(),
            wire: VecDeque::new(),
            secs: 10,
            signed: 1,
            lease: None,
            custody,
            broken: None,
        };
        (0..n).for_each(|i| world.greet(i));
        world.settle();
        world
    }

    fn act<T>(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut Roster, &Seat<'_>, UnixTime, &mut Vec<Output>) -> T,
    ) -> T {
        let (now, mut out) = (at(self.secs), Vec::new());
        let node = &mut self.nodes[i];
        let result = act(&mut node.roster, &node.chair.seat(), now, &mut out);
        for output in out {
            self.take(i, output);
        }
        result
    }

    fn take(&mut self, i: usize, output: Output) {
        match output {
            Output::Persist { batch, directory } => {
                self.nodes[i].writes.push_back((batch, *directory));
                if self.without == Without::Persistence {
                    let (batch, _) = self.nodes[i].writes.pop_back().unwrap();
                    self.act(i, |it, seat, _, out| it.handle_stored(batch, Completion::Durable, seat, out));
                }
            }
            Output::Send { to, message } => {
                let to = (0..DEVICES).find(|k| name(*k) == to).unwrap();
                self.wire.push_back((i, to, Wire::Roster(message)));
            }
            Output::Adopted(_) | Output::Left(_) => {}
            Output::Contradiction(epoch) => self.broken = Some(format!("two of epoch {epoch}")),
        }
    }

    pub(super) fn deliver(&mut self) {
        let Some((from, to, what)) = self.wire.pop_front() else { return };
        if self.nodes[to].lost {
            return;
        }
        match what {
            Wire::Roster(message) => {
                self.act(to, |it, seat, now, out| it.handle(&name(from), message, seat, now, out));
            }
            Wire::Revoked(device) => self.learn(to, device),
        }
    }

    /// The oldest write becomes durable.
    pub(super) fn store(&mut self, i: usize) {
        if let Some((batch, directory)) = self.nodes[i].writes.pop_front() {
            self.nodes[i].disk.push(directory);
            self.act(i, |it, seat, _, out| it.handle_stored(batch, Completion::Durable, seat, out));
        }
    }

    /// The node stops and starts: what was not written is gone.
    pub(super) fn crash(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        node.writes.clear();
        node.roster = Roster::restore(&owner(), node.disk.clone(), &ids());
        node.upkeep = Upkeep::default();
    }

    pub(super) fn greet(&mut self, i: usize) {
        if self.nodes[i].roster.epoch() > 0 && !self.nodes[i].lost {
            self.act(i, |it, seat, _, out| it.greet(None, seat, out));
            let epoch = self.nodes[i].roster.epoch();
            let quiet_at = self.nodes[i].chair.voter.quiet_at(epoch);
            // A node counts itself as it counts the others.
            self.wire.push_back((i, i, Wire::Roster(Message::Have { epoch, quiet_at })));
        }
    }

    fn learn(&mut self, i: usize, device: usize) {
        if self.nodes[i].revoked.insert(device) && self.without != Without::Revocation {
            let revocations = removal(&attestation(device), "lost", at(0));
            revoke(&mut self.nodes[i].chair.revoked, &revocations);
        }
    }

    /// A person removes a device at another, and all are told.
    pub(super) fn remove(&mut self, i: usize, device: usize) {
        if i == device || self.nodes[i].roster.epoch() == 0 || self.nodes[i].lost {
            return;
        }
        self.learn(i, device);
        self.wire.extend((0..DEVICES).filter(|to| *to != i).map(|to| (i, to, Wire::Revoked(device))));
    }

    /// A person lets a device in at another.
    pub(super) fn enrol(&mut self, i: usize, device: usize) {
        if self.nodes[device].roster.epoch() > 0 || self.nodes[i].revoked.contains(&device) {
            return;
        }
        self.change(i, alloc::vec![member(device)], Some(device));
    }

    /// The owner signs what node `i` drafts, if it is the next that the owner signs.
    fn change(&mut self, i: usize, newcomers: Vec<Member>, device: Option<usize>) {
        let (signed_up_to, without) = (self.signed, self.without);
        let directory = self.act(i, |it, seat, now, _| {
            if it.epoch() != signed_up_to {
                return None;
            }
            if without == Without::Spread && it.settles_at().is_none() {
                for k in 0..DEVICES {
                    it.reports.insert(name(k), (signed_up_to, UnixTime::default()));
                }
            }
            let draft = it.draft(newcomers, &BTreeSet::new(), seat, now).ok()?;
            Some(signed(draft, &owner_key(0)))
        });
        if let Some(directory) = directory {
            self.publish(i, directory, device);
        }
    }

    fn publish(&mut self, i: usize, directory: Directory, device: Option<usize>) {
        self.signed = directory.epoch();
        let told = Message::Directory(Box::new(directory.clone()));
        self.wire.extend(device.map(|to| (i, to, Wire::Roster(told.clone()))));
        // The owner keeps what it signed until a device has it: it is taken again after a crash.
        self.wire.push_back((i, i, Wire::Roster(told)));
    }

    /// A message between devices is lost; what the owner signed it keeps until a device has it.
    pub(super) fn lose(&mut self) {
        let between = self.wire.front().is_some_and(|(from, to, _)| from != to);
        drop(between.then(|| self.wire.pop_front()));
    }

    /// The owner goes on with one device, and vouches that the others decide nothing any more.
    pub(super) fn take_over(&mut self, i: usize) {
        let (signed_up_to, me) = (self.signed, name(i));
        let directory = self.act(i, |it, seat, now, _| {
            if it.epoch() != signed_up_to || it.device(&me, seat.revoked, now).is_none() {
                return None;
            }
            let without: BTreeSet<_> = (0..DEVICES).map(name).filter(|it| *it != me).collect();
            let draft = it.take_over(None, Vec::new(), &without, seat, now).ok()?;
            Some(signed(draft, &owner_key(0)))
        });
        let Some(directory) = directory else { return };
        for k in (0..DEVICES).filter(|k| *k != i) {
            self.nodes[k].lost |= self.nodes[k].roster.epoch() > 0;
        }
        self.publish(i, directory, None);
    }

    /// A device that the owner uses does what it finds missing; of its steps, `done` are done before it is cut off.
    pub(super) fn tend(&mut self, i: usize, done: usize) {
        let node = &mut self.nodes[i];
        if node.lost {
            return;
        }
        let mono = Instant::from_nanos(self.secs * 1_000_000_000);
        let now = Now { mono, unix: at(self.secs) };
        let steps = node.upkeep.poll(&node.roster, &self.custody, &node.chair.seat(), now);
        for step in steps.into_iter().take(done) {
            self.perform(i, step);
        }
    }

    fn perform(&mut self, i: usize, step: Step) {
        let epoch = self.nodes[i].roster.epoch();
        match step {
            Step::Leave(_) => self.change(i, Vec::new(), None),
            Step::Rotate { zone, without } => {
                self.custody.zone_keys.get_mut(&zone).unwrap().retain(|it| !without.contains(it));
                self.custody.checkpoints.get_mut(&zone).unwrap().1 = false;
            }
            Step::Seal { zone, to } => {
                if self.nodes[i].revoked.iter().any(|device| name(*device) == to) {
                    self.broken = Some(format!("the removed {to} gets keys"));
                }
                self.custody.zone_keys.get_mut(&zone).unwrap().insert(to);
                self.custody.checkpoints.get_mut(&zone).unwrap().1 = false;
            }
            Step::Reshare { .. } => {}
            Step::ReshareOwner { among } => self.custody.owner_shares = among,
            Step::Checkpoint(zone) => {
                self.custody.checkpoints.insert(zone, (epoch, true));
            }
        }
    }

    /// Node `i` asks those of `mask` for a lease.
    pub(super) fn want(&mut self, i: usize, mask: usize) {
        let now = at(self.secs);
        let Some(term) = self.nodes[i].roster.term(&self.nodes[i].chair.seat(), now) else { return };
        let epoch = term.electorate.epoch();
        let votes = |k: &usize| {
            let node = &self.nodes[*k];
            let theirs = node.roster.term(&node.chair.seat(), now);
            let free = node.promise.is_none_or(|(holder, until)| holder == i || self.secs >= until);
            let opened =
                theirs.as_ref().is_some_and(|it| it.electorate.epoch() == epoch && it.opens_at <= now);
            let known = theirs.is_some_and(|it| it.electorate.has(&name(i)));
            (*k == i || mask >> k & 1 == 1)
                && !node.lost
                && free
                && opened
                && known
                && term.electorate.has(&name(*k))
        };
        let voters: Vec<_> = (0..DEVICES).filter(votes).collect();
        let until = self.secs + LEASE_SECS;
        // A vote is a promise, whatever becomes of it.
        for k in &voters {
            self.nodes[*k].promise = Some((i, until + CLOCK_BOUND_SECS));
            if self.without != Without::Quiet {
                self.nodes[*k].chair.vote(*k, epoch, at(until + CLOCK_BOUND_SECS));
            }
        }
        if voters.len() < term.electorate.quorum() || !voters.contains(&i) {
            return;
        }
        if let Some((holder, _)) = self.lease.filter(|(holder, until)| *holder != i && self.secs < *until) {
            self.broken = Some(format!("{holder} and {i} hold at one time"));
        }
        self.lease = Some((i, until));
    }

    /// What must hold after every step.
    //= docs/spec/membership.md#what-holds
    pub(super) fn check(&mut self) -> Result<(), String> {
        let now = at(self.secs);
        for (i, node) in self.nodes.iter_mut().enumerate() {
            let epoch = node.roster.epoch();
            if epoch < node.seen {
                return Err(format!("node {i} went back from epoch {} to {epoch}", node.seen));
            }
            node.seen = epoch;
            let term = node.roster.term(&node.chair.seat(), now);
            for device in &node.revoked {
                let (it, of) = (name(*device), &node.chair.revoked);
                let signs = term.as_ref().is_some_and(|term| term.electorate.has(&it));
                let holds = node.roster.may_hold(&it, &zone("z:work"), of, now);
                let gives = node.roster.may_store(&it, &zone("z:work"), of, now);
                if signs || holds || gives {
                    return Err(format!("at node {i} the removed {device} is half a member"));
                }
            }
        }
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Everything arrives and is stored.
    pub(super) fn settle(&mut self) {
        while !self.wire.is_empty() || self.nodes.iter().any(|it| !it.writes.is_empty()) {
            (0..DEVICES).for_each(|i| self.store(i));
            self.deliver();
        }
    }

    /// The faults are over: everything that is missing gets done. Which devices are members in the end.
    pub(super) fn recover(&mut self) -> BTreeSet<NodeId> {
        // Revocations reach everybody in the end, by a gossip of their own.
        let removed: BTreeSet<_> = self.nodes.iter().flat_map(|it| it.revoked.iter().copied()).collect();
        removed.iter().for_each(|device| (0..DEVICES).for_each(|i| self.learn(i, *device)));
        for round in 0..8 {
            (0..DEVICES).for_each(|i| self.greet(i));
            self.settle();
            self.secs += if round == 0 { 4_000 } else { 400 };
            (0..DEVICES).for_each(|i| self.tend(i, MAX_STEPS));
            self.settle();
        }
        let newest = self.nodes.iter().filter(|it| !it.lost).max_by_key(|it| it.roster.epoch()).unwrap();
        newest.roster.directory().unwrap().membership.body.fields.nodes.clone()
    }

    pub(super) fn lost(&self) -> BTreeSet<NodeId> {
        names((0..DEVICES).filter(|i| self.nodes[*i].lost))
    }

    pub(super) fn removed(&self) -> BTreeSet<NodeId> {
        names(self.nodes.iter().flat_map(|it| it.revoked.iter().copied()))
    }

    pub(super) fn epoch(&self, i: usize) -> u64 {
        self.nodes[i].roster.epoch()
    }
}
