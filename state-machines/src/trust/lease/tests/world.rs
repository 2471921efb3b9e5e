//! The world that the machines are run in, and what must hold in it after every step.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use fcp_proto_core::object::{Certified, LeasePurpose, Object};
use fcp_proto_core::time::{Instant, Now};

use super::*;
use crate::persist::{BatchToken, Completion};

/// Which guard the world takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// None.
    Nothing,
    /// The disk says durable before it is.
    Persistence,
    /// A holder does not say what its own voter promised.
    Floor,
    /// A holder uses a lease that it has given back.
    Release,
    /// Each member counts itself alone.
    Quorum,
    /// Voters forget what they promised whenever they are asked.
    Memory,
    /// One voter does so.
    MemoryOf(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    Voter,
    Holder,
}

/// Whose write it is, its name, and what is written.
type Write = (Machine, BatchToken, Box<Object<Certified<Lease>>>);

struct Member {
    voter: Voter,
    coordinator: Coordinator,
    holder: Holder,
    /// A holder that was told to give back and goes on.
    stubborn: Option<Holder>,
    disk: Vec<Object<Certified<Lease>>>,
    writes: VecDeque<Write>,
    /// How far its wall clock is ahead of true time, in milliseconds.
    ahead: i64,
    /// How often it started.
    run: u32,
}

pub(super) struct World {
    pub(super) term: Term,
    alone: Vec<Term>,
    without: Without,
    members: Vec<Member>,
    /// On their way: from, to, what.
    pub(super) wire: Vec<(usize, usize, Message)>,
    /// True time in milliseconds.
    time: u64,
    /// The newest effect: its token, and by which run of which member.
    last: Option<(u64, usize, u32)>,
    /// The holder of each certified token.
    certified: BTreeMap<u64, NodeId>,
}

impl World {
    pub(super) fn new(n: usize, without: Without) -> Self {
        Self::under(FaultModel::Crash, n, without)
    }

    pub(super) fn under(model: FaultModel, n: usize, without: Without) -> Self {
        let member = |i| Member {
            voter: Voter::restore(node(i), []),
            coordinator: Coordinator::default(),
            holder: Holder::new(node(i)),
            stubborn: None,
            disk: Vec::new(),
            writes: VecDeque::new(),
            ahead: 0,
            run: 0,
        };
        let alone = (0..n).map(|i| {
            let keys: BTreeMap<_, _> = [(node(i), key(i).verifying_key())].into();
            let nodes = [node(i)].into();
            let membership = Membership { epoch: EPOCH, nodes, fault_model: FaultModel::Crash };
            let electorate = Electorate::new(&membership, &keys).unwrap();
            Term { electorate, opens_at: UnixTime::from_secs(0) }
        });
        Self {
            term: term_of(n, EPOCH, model),
            alone: alone.collect(),
            without,
            members: (0..n).map(member).collect(),
            wire: Vec::new(),
            time: 1_000_000_000,
            last: None,
            certified: BTreeMap::new(),
        }
    }

    /// The clocks of a member, which fall behind or go ahead by `ahead`.
    fn now(&self, i: usize) -> Now {
        let wall = self.time.checked_add_signed(self.members[i].ahead).unwrap();
        Now { mono: Instant::from_nanos(self.time * 1_000_000), unix: UnixTime::from_secs(wall / 1_000) }
    }

    fn term_at(&self, i: usize) -> Term {
        if self.without == Without::Quorum { self.alone[i].clone() } else { self.term.clone() }
    }

    pub(super) fn set_clock(&mut self, i: usize, ahead: i64) {
        self.members[i].ahead = ahead;
    }

    pub(super) fn advance(&mut self, millis: u64) {
        self.time += millis;
    }

    fn promised(&self, i: usize) -> Option<u64> {
        self.members[i].voter.promise(&subject()).map(|promise| promise.token)
    }

    pub(super) fn want(&mut self, i: usize) {
        let (term, now, mut out) = (self.term_at(i), self.now(i), Vec::new());
        let promised = self.promised(i).filter(|_| self.without != Without::Floor);
        let purpose = LeasePurpose::ConnectorStateWrite;
        let asked = self.members[i].holder.want(&subject(), purpose, promised, &term, now, &mut out);
        assert!(asked, "one subject is within the bounds");
        self.take(i, Machine::Holder, out);
    }

    pub(super) fn release(&mut self, i: usize, successor: Option<usize>) {
        let (term, promised, mut out) = (self.term_at(i), self.promised(i), Vec::new());
        if self.without == Without::Release {
            self.members[i].stubborn = Some(self.members[i].holder.clone());
        }
        let successor = successor.map(node);
        self.members[i].holder.release(&subject(), promised, successor.as_ref(), &term, &mut out);
        self.take(i, Machine::Holder, out);
    }

    /// The member stops and starts: what was not written is gone.
    pub(super) fn crash(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.writes.clear();
        member.voter = Voter::restore(node(i), &member.disk);
        member.holder = Holder::new(node(i));
        member.stubborn = None;
        member.run += 1;
        self.forget(i);
    }

    /// The coordinator of the member forgets everything.
    pub(super) fn forget(&mut self, i: usize) {
        self.members[i].coordinator = Coordinator::default();
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let (from, to, message) = self.wire.remove(at);
        self.hand_over(from, to, message);
    }

    fn hand_over(&mut self, from: usize, to: usize, message: Message) {
        let (term, now) = (self.term_at(to), self.now(to));
        let (mut votes, mut rounds, mut leases) = (Vec::new(), Vec::new(), Vec::new());
        let member = &mut self.members[to];
        let forgets = self.without == Without::Memory || self.without == Without::MemoryOf(to);
        if forgets && matches!(message, Message::Ask { .. }) {
            member.voter = Voter::restore(node(to), []);
        }
        member.voter.handle(&node(from), &message, (&term, &key(to)), now, &mut votes);
        member.coordinator.handle(&node(from), &message, &term, now, &mut rounds);
        if let Message::Grant(lease) = message {
            // Why one is not taken, the tests of the holder look at.
            let _ = member.holder.handle_grant(*lease, &term, now, &mut leases);
        }
        self.take(to, Machine::Voter, votes);
        self.take(to, Machine::Voter, rounds);
        self.take(to, Machine::Holder, leases);
    }

    fn take(&mut self, i: usize, machine: Machine, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, message } => {
                    self.note(&message);
                    let to = (0..self.members.len()).find(|k| node(*k) == to).unwrap();
                    self.wire.push((i, to, message));
                }
                Output::Persist { batch, lease } => {
                    self.members[i].writes.push_back((machine, batch, lease));
                    if self.without == Without::Persistence {
                        let (machine, batch, _) = self.members[i].writes.pop_back().unwrap();
                        self.complete(i, machine, batch);
                    }
                }
                Output::Held(_) => {}
            }
        }
    }

    fn note(&mut self, message: &Message) {
        if let Message::Grant(lease) = message {
            let fields = &lease.body.fields;
            self.certified.entry(fields.lease_seq).or_insert_with(|| fields.holder.clone());
        }
    }

    /// The oldest write of the member becomes durable.
    pub(super) fn write(&mut self, i: usize) {
        if let Some((machine, batch, lease)) = self.members[i].writes.pop_front() {
            self.members[i].disk.push(*lease);
            self.complete(i, machine, batch);
        }
    }

    fn complete(&mut self, i: usize, machine: Machine, batch: BatchToken) {
        let mut out = Vec::new();
        let member = &mut self.members[i];
        match machine {
            Machine::Voter => member.voter.handle_stored(batch, Completion::Durable, &mut out),
            Machine::Holder => member.holder.handle_stored(batch, Completion::Durable, &mut out),
        }
        self.take(i, machine, out);
    }

    /// All messages arrive in order and all writes succeed, until nothing is left; what `cut` is sent is lost.
    pub(super) fn settle(&mut self, cut: &[usize]) {
        while !self.wire.is_empty() || self.members.iter().any(|member| !member.writes.is_empty()) {
            for i in 0..self.members.len() {
                self.write(i);
            }
            if !self.wire.is_empty() {
                let lost = cut.contains(&self.wire[0].0) || cut.contains(&self.wire[0].1);
                if lost && self.wire[0].0 != self.wire[0].1 {
                    self.wire.remove(0);
                } else {
                    self.deliver(0);
                }
            }
        }
    }

    /// The token of a member that may use the subject now.
    pub(super) fn token(&mut self, i: usize) -> Option<u64> {
        let now = self.now(i);
        let member = &mut self.members[i];
        let holder = member.stubborn.as_mut().unwrap_or(&mut member.holder);
        holder.tenure(&subject(), now).map(|held| held.token)
    }

    /// Every member that may act acts. What is broken, if something is.
    //= docs/spec/leases.md#what-holds
    pub(super) fn check(&mut self) -> Result<(), String> {
        let tokens: Vec<_> = (0..self.members.len()).filter_map(|i| Some((i, self.token(i)?))).collect();
        if tokens.len() > 1 {
            return Err(format!("two hold at one time: {tokens:?}"));
        }
        for (i, token) in tokens {
            let this = (token, i, self.members[i].run);
            let rises = self.last.is_none_or(|last| token > last.0 || this == last);
            if !rises {
                return Err(format!("the token did not rise: {:?}, then {this:?}", self.last));
            }
            let owner = self.certified.get(&token);
            if owner != Some(&node(i)) {
                return Err(format!("node {i} acts under token {token:#x}, certified for {owner:?}"));
            }
            self.last = Some(this);
        }
        Ok(())
    }

    /// Who may act now.
    pub(super) fn holders(&mut self) -> Vec<usize> {
        let mut found = vec![];
        for i in 0..self.members.len() {
            found.extend(self.token(i).map(|_| i));
        }
        found
    }
}
