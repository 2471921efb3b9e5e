//! The world that the machines are run in, and what must hold in it after every step.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;

use fcp_proto_core::encoding::cbor::{self, Value};

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
    /// Sinks forget the fences of writers that have written nothing yet.
    Fences,
}

struct Member {
    chair: Chair,
    machine: StateChain,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
    ready: bool,
}

pub(super) struct World {
    without: Without,
    members: Vec<Member>,
    /// On their way: from, to, what.
    pub(super) wire: Vec<(usize, usize, Message)>,
    token: u64,
    written: u64,
    /// The state before each state that was ever sent.
    before: BTreeMap<ObjectId, Option<ObjectId>>,
    /// The newest state that was ever said to be committed.
    committed: Option<ObjectId>,
    /// Whether a member wrote two states under one lease.
    pub(super) forked: bool,
    pub(super) broken: Option<String>,
}

impl World {
    pub(super) fn new(n: usize, without: Without) -> Self {
        let member = |i| Member {
            chair: Chair::new(i, if without == Without::Quorum { electorate([i]) } else { electorate(0..n) }),
            machine: StateChain::restore(Stored::default(), &ids()),
            disk: Vec::new(),
            writes: VecDeque::new(),
            ready: false,
        };
        Self {
            without,
            members: (0..n).map(member).collect(),
            wire: Vec::new(),
            token: 0,
            written: 0,
            before: BTreeMap::new(),
            committed: None,
            forked: false,
            broken: None,
        }
    }

    fn act<T>(&mut self, i: usize, act: impl FnOnce(&mut StateChain, &Seat<'_>, &mut Vec<Output>) -> T) -> T {
        let (member, mut out) = (&mut self.members[i], Vec::new());
        let result = act(&mut member.machine, &member.chair.seat(), &mut out);
        for output in out {
            self.take(i, output);
        }
        result
    }

    fn take(&mut self, i: usize, output: Output) {
        match output {
            Output::Send { to, message } => {
                if let Message::State(written) = &message {
                    let id = written.id(&ids()).unwrap();
                    self.before.insert(id, written.state.body.fields.prev);
                }
                if let Message::Committed(id) = &message {
                    self.note(*id);
                }
                let to = (0..self.members.len()).find(|k| node(*k) == to).unwrap();
                self.wire.push((i, to, message));
            }
            Output::Persist { batch, kept } => {
                self.members[i].writes.push_back((batch, kept));
                if self.without == Without::Persistence {
                    let (batch, _) = self.members[i].writes.pop_back().unwrap();
                    self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
                }
            }
            Output::Ready => self.members[i].ready = true,
            Output::Forked(_) => {
                self.members[i].ready = false;
                if !self.forked {
                    self.broken = Some(format!("node {i} found a fork that nobody made"));
                }
            }
            Output::Committed(_) | Output::Forget(_) | Output::Resumed(_) => {}
        }
    }

    /// What is committed is never lost: the next that is committed comes from it.
    //= docs/spec/replica.md#one-writer
    fn note(&mut self, id: ObjectId) {
        let Some(last) = self.committed else { return self.committed = Some(id) };
        let mut at = Some(id);
        while let Some(known) = at.filter(|at| *at != last) {
            at = self.before.get(&known).copied().flatten();
        }
        let older = {
            let mut at = Some(last);
            while let Some(known) = at.filter(|at| *at != id) {
                at = self.before.get(&known).copied().flatten();
            }
            at.is_some()
        };
        if at.is_some() {
            self.committed = Some(id);
        } else if !older {
            self.broken = Some(format!("{id:?} is committed, and does not come from {last:?}"));
        }
    }

    /// The member gets the next lease and begins to write.
    pub(super) fn open(&mut self, i: usize) {
        self.token += 1;
        let by = if self.without == Without::Quorum { i..=i } else { 0..=self.members.len() - 1 };
        let lease = lease(i, self.token, by);
        self.members[i].ready = false;
        // A paused chain is opened by nobody.
        let _ = self.act(i, |it, seat, out| it.open(lease, seat, out));
    }

    pub(super) fn write(&mut self, i: usize) {
        self.written += 1;
        let value = cbor::encode(&Value::Unsigned(self.written)).unwrap();
        // Who is not ready writes nothing.
        let _ = self.act(i, |it, seat, out| it.write(value, NOW, seat, out));
    }

    /// The member writes two states under one lease, and sends each to half of the others.
    pub(super) fn fork(&mut self, i: usize) {
        self.write(i);
        let Some(at) =
            self.wire.iter().rposition(|(from, _, it)| *from == i && matches!(it, Message::State(_)))
        else {
            return;
        };
        let Message::State(written) = self.wire[at].2.clone() else { return };
        let mut fields = written.state.body.fields.clone();
        fields.updated_at = UnixTime::from_secs(7);
        let state = Object::sign(written.state.header.clone(), fields, &key(i)).unwrap();
        let other = Written { state, lease: written.lease.clone() };
        self.forked = true;
        self.before.insert(other.id(&ids()).unwrap(), other.state.body.fields.prev);
        for to in 0..self.members.len() {
            self.wire.push((i, to, Message::State(Box::new(other.clone()))));
        }
    }

    /// The owner decides for one of the two, and all are told.
    pub(super) fn decide(&mut self) {
        let fork = self.members.iter().find_map(|member| member.machine.fork().cloned());
        let Some(stands) = fork.and_then(|fork| fork.one.id(&ids())) else { return };
        self.committed = Some(stands);
        for i in 0..self.members.len() {
            self.act(i, |it, _, out| it.resume(stands, &ids(), out));
        }
    }

    /// The member stops and starts: what was not written is gone.
    pub(super) fn crash(&mut self, i: usize) {
        let without = self.without;
        let member = &mut self.members[i];
        member.writes.clear();
        member.ready = false;
        let mut stored = Stored::default();
        for kept in member.disk.clone() {
            match kept {
                Kept::Fence(_) if without == Without::Fences => {}
                Kept::Fence(lease) => stored.fences.push(*lease),
                Kept::State(written) => stored.states.push(*written),
                Kept::Fork(fork) => stored.forks.push(*fork),
                Kept::Decision(stands) => stored.decisions.push(stands),
                Kept::Snapshot(_) => {}
            }
        }
        member.machine = StateChain::restore(stored, &ids());
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let (from, to, message) = self.wire.remove(at);
        self.act(to, |it, seat, out| it.handle(&node(from), message, seat, NOW, out));
    }

    /// The oldest write of the member becomes durable.
    pub(super) fn store(&mut self, i: usize) {
        if let Some((batch, kept)) = self.members[i].writes.pop_front() {
            self.members[i].disk.push(kept);
            self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
        }
    }

    /// Only these members are reached: their messages arrive in order and their writes succeed, until nothing is left.
    pub(super) fn settle_among(&mut self, reached: &[usize]) {
        loop {
            self.wire.retain(|(from, to, _)| reached.contains(from) && reached.contains(to));
            reached.iter().for_each(|i| self.store(*i));
            if !self.wire.is_empty() {
                self.deliver(0);
            } else if reached.iter().all(|i| self.members[*i].writes.is_empty()) {
                return;
            }
        }
    }

    pub(super) fn settle(&mut self) {
        let all: Vec<_> = (0..self.members.len()).collect();
        self.settle_among(&all);
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(super) fn ready(&self, i: usize) -> bool {
        self.members[i].ready
    }

    pub(super) fn machine(&self, i: usize) -> &StateChain {
        &self.members[i].machine
    }

    /// How many snapshots the member has stored.
    pub(super) fn snapshots(&self, i: usize) -> usize {
        self.members[i].disk.iter().filter(|kept| matches!(kept, Kept::Snapshot(_))).count()
    }

    pub(super) fn committed(&self) -> Option<ObjectId> {
        self.committed
    }

    pub(super) fn paused(&self) -> BTreeSet<usize> {
        (0..self.members.len()).filter(|i| self.machine(*i).fork().is_some()).collect()
    }
}
