//! The world that the machines are run in, and what must hold in it after every step.

use alloc::string::String;

use super::*;

/// Which guard the world takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// None.
    Nothing,
    /// The disk says durable before it is.
    Persistence,
    /// Each member takes the first commit that it hears of for the one that was chosen.
    Choice,
    /// Members believe that whoever was a member is one still.
    Removal,
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Commit(Commit),
    Package(Vec<u8>),
}

pub(super) struct Device {
    pub(super) machine: GroupKeys,
    pub(super) disk: Option<SecretBytes>,
    write: Option<(BatchToken, SecretBytes)>,
}

pub(super) struct World {
    pub(super) roll: Roll,
    pub(super) devices: Vec<Device>,
    /// On their way: from, to, what.
    pub(super) wire: Vec<(usize, usize, Message)>,
    /// The commits that were chosen, by the epochs that they ended, with the times of the choice.
    pub(super) ledger: Vec<(Commit, UnixTime)>,
    pub(super) time: u64,
    pub(super) without: Without,
    draws: u64,
    /// Who was in the group when each key began.
    began: BTreeMap<KeyId, (u64, BTreeSet<NodeId>)>,
    /// What was sealed: under which key, in which epoch.
    sealed: Vec<(KeyId, u64)>,
}

impl World {
    /// The first device is the group; `members` devices are members, and two more are not.
    pub(super) fn new(members: usize, without: Without) -> Self {
        Self::under(POLICY, members, without)
    }

    pub(super) fn under(policy: Continuous, members: usize, without: Without) -> Self {
        let device = |_| Device { machine: GroupKeys::outside(zone(), policy), disk: None, write: None };
        let mut world = Self {
            roll: roll(1, 0..members),
            devices: (0..members + 2).map(device).collect(),
            wire: Vec::new(),
            ledger: Vec::new(),
            time: START,
            without,
            draws: 0,
            began: BTreeMap::new(),
            sealed: Vec::new(),
        };
        world.act(0, |it, seat, entropy, out| it.found(&first_keys(), seat, entropy, out)).unwrap();
        world.write(0);
        world
    }

    /// All members are in the group.
    pub(super) fn settled(members: usize, without: Without) -> Self {
        let mut world = Self::new(members, without);
        world.settle();
        world
    }

    pub(super) fn act<T>(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut GroupKeys, &Seat<'_>, &mut Entropy, &mut Vec<Output>) -> T,
    ) -> T {
        self.draws += 1;
        let (me, key, now) = (node(i), key(i), at(self.time));
        let everybody = roll(self.roll.epoch, 0..self.devices.len());
        let roll = if self.without == Without::Removal { &everybody } else { &self.roll };
        let seat = Seat { me: &me, key: &key, roll, now };
        let mut out = Vec::new();
        let result = act(&mut self.devices[i].machine, &seat, &mut entropy(self.draws), &mut out);
        self.take(i, out);
        result
    }

    fn take(&mut self, i: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist { batch, record } => {
                    self.devices[i].write = Some((batch, record));
                    if self.without == Without::Persistence {
                        self.complete(i, batch, Completion::Durable);
                    }
                }
                Output::Offer(commit) => self.broadcast(i, &Message::Commit(commit)),
                Output::Package(package) => self.broadcast(i, &Message::Package(package)),
                Output::Rotated { .. } | Output::Left => {}
            }
        }
    }

    fn broadcast(&mut self, from: usize, message: &Message) {
        let others = (0..self.devices.len()).filter(|to| *to != from);
        self.wire.extend(others.map(|to| (from, to, message.clone())));
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let (from, to, message) = self.wire.remove(at);
        // Why one is refused, other tests look at.
        let _ = match message {
            Message::Commit(commit) if self.without == Without::Choice => {
                let now = UnixTime::from_secs(self.time);
                self.act(to, |it, seat, entropy, out| it.handle_decided(&commit, now, seat, entropy, out))
            }
            Message::Commit(commit) => {
                self.act(to, |it, seat, entropy, out| it.handle_commit(&commit, seat, entropy, out))
            }
            Message::Package(package) => {
                let from = node(from);
                self.act(to, |it, seat, entropy, _| it.handle_package(&from, package, seat, entropy))
            }
        };
    }

    fn complete(&mut self, i: usize, batch: BatchToken, completion: Completion) {
        let mut out = Vec::new();
        self.devices[i].machine.handle_stored(batch, completion, &mut out);
        self.take(i, out);
    }

    /// The device's write becomes durable.
    pub(super) fn write(&mut self, i: usize) {
        if let Some((batch, record)) = self.devices[i].write.take() {
            self.devices[i].disk = Some(record);
            self.complete(i, batch, Completion::Durable);
        }
    }

    /// The device's disk has no room.
    pub(super) fn refuse(&mut self, i: usize) {
        if let Some((batch, _)) = self.devices[i].write.take() {
            self.complete(i, batch, Completion::Refused(crate::persist::Refusal::Full));
        }
    }

    /// The device stops and starts: what was not written is gone, and what it may not have offered it offers again.
    pub(super) fn crash(&mut self, i: usize) {
        let device = &mut self.devices[i];
        let policy = device.machine.policy;
        device.write = None;
        device.machine = match &device.disk {
            Some(record) => GroupKeys::restore(record, policy).unwrap(),
            None => GroupKeys::outside(zone(), policy),
        };
        let offers: Vec<_> = device.machine.offers().cloned().collect();
        offers.into_iter().for_each(|commit| self.broadcast(i, &Message::Commit(commit)));
    }

    pub(super) fn propose(&mut self, i: usize) -> Result<(), Refusal> {
        self.act(i, GroupKeys::propose)
    }

    pub(super) fn ask(&mut self, i: usize) -> Result<(), Refusal> {
        self.act(i, GroupKeys::ask)
    }

    /// What the device would choose is certified, if nothing was for its epoch.
    pub(super) fn decide(&mut self, i: usize) {
        let machine = &self.devices[i].machine;
        let here = machine.group().is_some_and(|(epoch, _)| epoch == self.ledger.len() as u64);
        if let Some(commit) = machine.choice(&self.roll).filter(|_| here) {
            self.ledger.push((commit.clone(), at(self.time)));
        }
    }

    /// The device learns what was chosen next.
    pub(super) fn learn(&mut self, i: usize) {
        let epoch = self.devices[i].machine.group().map(|(epoch, _)| usize::try_from(epoch).unwrap());
        let known: Vec<_> = match epoch {
            Some(epoch) => self.ledger.get(epoch).cloned().into_iter().collect(),
            None => self.ledger.iter().rev().cloned().collect(),
        };
        for (commit, time) in known {
            let took =
                self.act(i, |it, seat, entropy, out| it.handle_decided(&commit, time, seat, entropy, out));
            if took.is_ok() {
                break;
            }
        }
    }

    pub(super) fn set_members(&mut self, members: BTreeSet<NodeId>) {
        self.roll = Roll { epoch: self.roll.epoch + 1, members, keys: self.roll.keys.clone() };
    }

    fn is_member(&self, i: usize) -> bool {
        self.roll.members.contains(&node(i))
    }

    /// Everything arrives and is written, whoever is outside asks, and commits are made until none is due.
    pub(super) fn settle(&mut self) {
        for _ in 0..8 {
            let all = 0..self.devices.len();
            for i in all.clone() {
                self.write(i);
                if self.is_member(i) && self.devices[i].machine.group().is_none() {
                    self.ask(i).unwrap();
                    self.write(i);
                }
            }
            self.flow();
            self.catch_up();
            let due = |world: &Self, i: usize| {
                let (me, key) = (node(i), key(i));
                let seat = Seat { me: &me, key: &key, roll: &world.roll, now: at(world.time) };
                world.is_member(i) && world.devices[i].machine.due(&seat).is_some()
            };
            let Some(i) = all.clone().find(|i| due(self, *i)) else { break };
            let _ = self.propose(i);
            self.flow();
            self.decide(i);
            self.catch_up();
        }
    }

    /// Everybody takes what was chosen.
    fn catch_up(&mut self) {
        for i in 0..self.devices.len() {
            while self.devices[i].machine.group().is_none_or(|(epoch, _)| epoch < self.ledger.len() as u64) {
                let before = self.devices[i].machine.group().map(|(epoch, _)| epoch);
                self.learn(i);
                self.write(i);
                if self.devices[i].machine.group().map(|(epoch, _)| epoch) == before {
                    break;
                }
            }
        }
    }

    fn flow(&mut self) {
        (0..self.devices.len()).for_each(|i| self.write(i));
        while !self.wire.is_empty() {
            let to = self.wire[0].1;
            self.deliver(0);
            self.write(to);
        }
    }

    pub(super) fn newest(&self, i: usize) -> Option<KeyId> {
        self.devices[i].machine.ring().ok().and_then(|ring| ring.newest().ok()).map(|(id, _)| id)
    }

    /// Whoever may seal seals. What is broken, if something is.
    //= docs/spec/zone-keys.md#what-holds
    pub(super) fn check(&mut self) -> Result<(), String> {
        let mut of_epoch: BTreeMap<u64, KeyId> = BTreeMap::new();
        for i in 0..self.devices.len() {
            let Some((epoch, roster)) = self.devices[i].machine.group() else { continue };
            let (roster, newest) = (roster.clone(), self.newest(i).unwrap());
            if *of_epoch.entry(epoch).or_insert(newest) != newest {
                return Err(format!("epoch {epoch} has two keys"));
            }
            let (_, had) = self.began.entry(newest).or_insert_with(|| (epoch, roster.clone()));
            if !had.contains(&node(i)) || *had != roster {
                return Err(format!("node {i} has a key of a group that it is not in"));
            }
            self.seal(i, epoch)?;
        }
        self.readable()
    }

    fn seal(&mut self, i: usize, epoch: u64) -> Result<(), String> {
        let (me, key) = (node(i), key(i));
        let everybody = roll(self.roll.epoch, 0..self.devices.len());
        let roll = if self.without == Without::Removal { &everybody } else { &self.roll };
        let seat = Seat { me: &me, key: &key, roll, now: at(self.time) };
        let Ok(id) = self.devices[i].machine.sealing_key(&seat).map(|key| key.id) else { return Ok(()) };
        if let Some(other) = self.began[&id].1.difference(&self.roll.members).next() {
            return Err(format!("node {i} seals under a key that {other} has"));
        }
        let ring = self.devices[i].machine.ring().unwrap();
        if ring.newest().unwrap().1.valid_until.is_none_or(|until| until <= at(self.time)) {
            return Err(format!("node {i} seals under a key that has ended"));
        }
        self.sealed.push((id, epoch));
        Ok(())
    }

    /// What was sealed can be opened by all who were in then and are still, from what they have on disk.
    fn readable(&self) -> Result<(), String> {
        for (i, device) in self.devices.iter().enumerate() {
            let Some((epoch, _)) = device.machine.group() else { continue };
            let stored = GroupKeys::restore(device.disk.as_ref().ok_or("no disk")?, POLICY).unwrap();
            for (id, sealed_in) in &self.sealed {
                let had = self.began[id].1.contains(&node(i)) && *sealed_in <= epoch;
                if had
                    && stored.ring().is_ok_and(|ring| ring.reading_key(*id).is_err())
                    && !self.rejoined(i, *id)
                {
                    return Err(format!("node {i} cannot read what was sealed in epoch {sealed_in}"));
                }
                if had && stored.ring().is_err() {
                    return Err(format!("node {i} has nothing on its disk"));
                }
            }
        }
        Ok(())
    }

    /// Whether the device left after the key began, and so lost it with everything else.
    fn rejoined(&self, i: usize, id: KeyId) -> bool {
        let began = self.began[&id].0;
        self.began.values().any(|(epoch, roster)| *epoch > began && !roster.contains(&node(i)))
    }
}
