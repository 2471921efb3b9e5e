//! The world that the machines are run in, and what must hold in it after every step.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;

use super::*;

/// Which guard the world takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// None.
    Nothing,
    /// The disk says durable before it is.
    Persistence,
    /// Each member counts itself alone.
    Quorum,
    /// Voters forget their votes in a crash.
    Votes,
    /// Witnesses do not remember heads.
    Heads,
}

struct Member {
    machine: Checkpoints,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
    /// All heads that its node ever signed on the one story that is true of it.
    log: Vec<SignedHead>,
    /// How many of them its node has, which may have been restored from an old copy.
    has: usize,
    /// How far each chain was seen to reach, when it said so.
    promised: BTreeMap<NodeId, u64>,
}

pub(super) struct World {
    terms: Terms,
    alone: Vec<Terms>,
    facts: ZoneFacts,
    without: Without,
    members: Vec<Member>,
    /// On their way: from, to, what.
    pub(super) wire: Vec<(usize, usize, Message)>,
    seconds: u64,
    token: u64,
    /// What was certified in each place of each epoch.
    certified: BTreeMap<(u64, u64), Checkpoint>,
    /// Who told two stories.
    guilty: BTreeSet<NodeId>,
    broken: Option<String>,
}

impl World {
    pub(super) fn new(n: usize, without: Without) -> Self {
        let member = |_| Member {
            machine: Checkpoints::restore(&zone(), Stored::default(), &ids()),
            disk: Vec::new(),
            writes: VecDeque::new(),
            log: Vec::new(),
            has: 0,
            promised: BTreeMap::new(),
        };
        let alone = |i| {
            let keys: BTreeMap<_, _> = [(node(i), key(i).verifying_key())].into();
            let membership =
                Membership { epoch: EPOCH, nodes: [node(i)].into(), fault_model: FaultModel::Crash };
            Terms { current: Electorate::new(&membership, &keys).unwrap(), past: BTreeMap::new() }
        };
        let mut world = Self {
            terms: terms(n),
            alone: (0..n).map(alone).collect(),
            facts: facts(),
            without,
            members: (0..n).map(member).collect(),
            wire: Vec::new(),
            seconds: START,
            token: 0,
            certified: BTreeMap::new(),
            guilty: BTreeSet::new(),
            broken: None,
        };
        (0..n).for_each(|i| world.append(i));
        world
    }

    fn act<T>(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut Checkpoints, &Seat<'_>, Now, &mut Vec<Output>) -> T,
    ) -> T {
        let (me, key, zone, ids) = (node(i), key(i), zone(), ids());
        let terms = if self.without == Without::Quorum { &self.alone[i] } else { &self.terms };
        let (terms, facts, now) = (terms.clone(), self.facts.clone(), at(self.seconds));
        let seat = Seat {
            me: &me,
            key: &key,
            zone: &zone,
            ids: &ids,
            terms: &terms,
            subject: subject(),
            facts: &facts,
            earlier: &[],
        };
        let mut out = Vec::new();
        let result = act(&mut self.members[i].machine, &seat, now, &mut out);
        self.take(i, out);
        result
    }

    fn take(&mut self, i: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, message } => {
                    self.note(i, &to, &message);
                    let to = (0..self.members.len()).find(|k| node(*k) == to).unwrap();
                    self.wire.push((i, to, message));
                }
                Output::Persist { batch, kept } => {
                    self.members[i].writes.push_back((batch, kept));
                    if self.without == Without::Persistence {
                        let (batch, _) = self.members[i].writes.pop_back().unwrap();
                        self.act(i, |it, _, _, out| it.handle_stored(batch, Completion::Durable, out));
                    }
                }
                Output::Tell(_) => {}
            }
        }
    }

    /// What a member says binds it.
    fn note(&mut self, i: usize, to: &NodeId, message: &Message) {
        match message {
            Message::Certified(checkpoint) => {
                let fields = &checkpoint.body.fields;
                let place = (fields.as_of_epoch, fields.checkpoint_seq);
                let first = self.certified.entry(place).or_insert_with(|| (**checkpoint).clone());
                if first.forks_from(checkpoint).is_some() {
                    self.broken = Some(format!("two checkpoints are certified in {place:?}"));
                }
            }
            Message::Seen { seq } => {
                let promised = self.members[i].promised.entry(to.clone()).or_insert(*seq);
                *promised = (*promised).max(*seq);
            }
            Message::Head(_)
            | Message::Behind(_)
            | Message::Accuse(_)
            | Message::Ask { .. }
            | Message::Answer(_)
            | Message::Propose(_)
            | Message::Vote { .. }
            | Message::Refuse { .. }
            | Message::Fork(_) => {}
        }
    }

    /// The node of the member writes an event, and tells the others.
    pub(super) fn append(&mut self, i: usize) {
        let member = &mut self.members[i];
        if member.has < member.log.len() {
            // It was restored from an old copy and nobody has told it yet: it signs a second story.
            self.guilty.insert(node(i));
            let other = head(i, member_len(member.has), 99, self.seconds);
            return self.announce(i, other);
        }
        let next = head(i, member_len(member.log.len()), 0, self.seconds);
        member.log.push(next.clone());
        member.has += 1;
        self.announce(i, next);
    }

    fn announce(&mut self, i: usize, head: SignedHead) {
        let lost = self.act(i, |it, seat, _, out| it.announce(&head, seat, out));
        if let Err(lost) = lost {
            // It was told: it fetches what it lost, and goes on from there.
            let seq = usize::try_from(lost.body.fields.head_seq).unwrap();
            self.members[i].has = seq + 1;
            let restored = self.act(i, |it, seat, _, out| it.announce(&lost, seat, out));
            assert_eq!(restored, Ok(()), "this is what it was asked for");
        }
    }

    /// The node of the member is restored from an old copy of itself, and says where its chain ends.
    pub(super) fn roll_back(&mut self, i: usize, by: usize) {
        let member = &mut self.members[i];
        if self.guilty.contains(&node(i)) || member.has < 2 {
            return;
        }
        member.has -= 1 + by % (member.has - 1);
        let old = member.log[member.has - 1].clone();
        self.crash(i);
        self.announce(i, old);
    }

    /// The member signs another event in the place of its newest.
    pub(super) fn fork(&mut self, i: usize) {
        self.guilty.insert(node(i));
        let seq = member_len(self.members[i].has - 1);
        let other = head(i, seq, 77, self.seconds);
        for to in 0..self.members.len() {
            self.wire.push((i, to, Message::Head(Box::new(other.clone()))));
        }
    }

    pub(super) fn coordinate(&mut self, i: usize) {
        self.token += 1;
        let epoch = self.terms.current.epoch();
        let signers = if self.without == Without::Quorum { i..=i } else { 0..=self.members.len() - 1 };
        let mut lease = lease(i, 0, epoch, self.token);
        for k in signers {
            let vote = lease.vote(&node(k), UnixTime::from_secs(START), &key(k)).unwrap();
            lease.body.quorum_signatures.insert(vote).unwrap();
        }
        self.act(i, |it, seat, now, out| it.coordinate(lease, None, seat, now, out));
    }

    /// The owner signs the next epoch.
    pub(super) fn raise_epoch(&mut self) {
        let (n, next) = (self.members.len(), self.terms.current.epoch() + 1);
        let before = core::mem::replace(&mut self.terms.current, electorate(n, next, FaultModel::Crash));
        self.terms.past.insert(before.epoch(), before);
    }

    pub(super) fn advance(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    /// The member stops and starts: what was not written is gone.
    pub(super) fn crash(&mut self, i: usize) {
        let without = self.without;
        let member = &mut self.members[i];
        member.writes.clear();
        let mut stored = Stored::default();
        for kept in &member.disk {
            match kept.clone() {
                Kept::Head(_) if without == Without::Heads => {}
                Kept::Vote(_) if without == Without::Votes => {}
                Kept::Head(head) => stored.heads.push(*head),
                Kept::Proof(proof) => stored.proofs.push(*proof),
                Kept::Vote(vote) => stored.votes.push(*vote),
                Kept::Checkpoint(checkpoint) => stored.checkpoints.push(*checkpoint),
                Kept::Fork(fork, _) => {
                    stored.checkpoints.extend([*fork.a.checkpoint, *fork.b.checkpoint]);
                }
            }
        }
        member.machine = Checkpoints::restore(&zone(), stored, &ids());
        if let Some(newest) = member.log.get(member.has.wrapping_sub(1)).cloned() {
            self.announce(i, newest);
        }
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let (from, to, message) = self.wire.remove(at);
        self.act(to, |it, seat, now, out| it.handle(&node(from), message, seat, now, out));
    }

    /// The oldest write of the member becomes durable.
    pub(super) fn write(&mut self, i: usize) {
        if let Some((batch, kept)) = self.members[i].writes.pop_front() {
            self.members[i].disk.push(kept);
            self.act(i, |it, _, _, out| it.handle_stored(batch, Completion::Durable, out));
        }
    }

    /// All messages arrive in order and all writes succeed, until nothing is left.
    pub(super) fn settle(&mut self) {
        while !self.wire.is_empty() || self.members.iter().any(|member| !member.writes.is_empty()) {
            for i in 0..self.members.len() {
                self.write(i);
            }
            if !self.wire.is_empty() {
                self.deliver(0);
            }
        }
    }

    /// As [`settle`](Self::settle), but only these members are reached, and no certificate is.
    pub(super) fn settle_silently_among(&mut self, reached: &[usize]) {
        loop {
            self.wire.retain(|(from, to, message)| {
                let news = matches!(message, Message::Certified(_)) && from != to;
                reached.contains(from) && reached.contains(to) && !news
            });
            reached.iter().for_each(|i| self.write(*i));
            if !self.wire.is_empty() {
                self.deliver(0);
            } else if reached.iter().all(|i| self.members[*i].writes.is_empty()) {
                return;
            }
        }
    }

    /// What is broken, if something is.
    //= docs/spec/checkpoints.md#what-holds
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let mut last: Option<&Checkpoint> = None;
        for checkpoint in self.certified.values() {
            if last.is_some_and(|last| checkpoint.goes_back_from(last)) {
                return Err(format!("a chain went back in {:?}", checkpoint.body.fields.checkpoint_seq));
            }
            last = Some(checkpoint);
        }
        for (i, member) in self.members.iter().enumerate() {
            for (of, promised) in &member.promised {
                let reached = member.machine.heads().newest(of).map(|head| head.body.fields.head_seq);
                if reached.is_none_or(|reached| reached < *promised) {
                    return Err(format!("node {i} forgot that {of} reached {promised}"));
                }
            }
            for of in (0..self.members.len()).map(node) {
                if member.machine.heads().proof(&of).is_some() && !self.guilty.contains(&of) {
                    return Err(format!("node {i} holds {of}, which is honest, for a liar"));
                }
            }
        }
        Ok(())
    }

    /// The numbers of the newest checkpoints, by member.
    pub(super) fn tips(&self) -> Vec<Option<u64>> {
        let seq = |tip: &Tip| tip.checkpoint.body.fields.checkpoint_seq;
        self.members.iter().map(|member| member.machine.chain().tip().map(seq)).collect()
    }

    pub(super) fn machine(&self, i: usize) -> &Checkpoints {
        &self.members[i].machine
    }

    pub(super) fn guilty(&self) -> &BTreeSet<NodeId> {
        &self.guilty
    }

    pub(super) fn place(&mut self, i: usize) -> Place {
        self.act(i, |it, seat, _, _| it.place(seat))
    }
}

fn member_len(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}
