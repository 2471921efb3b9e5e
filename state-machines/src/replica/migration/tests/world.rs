//! Members with disks, a lease that one at a time has, and a service that remembers what was done to it.

use alloc::collections::VecDeque;
use alloc::format;
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
    /// Calls leave although the lease is over.
    Tenure,
    /// Whether the lease is over is judged by a clock that can be set back.
    Clock,
    /// A holder is not told what has no end, and serves at once.
    Settling,
}

const LEASE: u64 = 100;

struct Member {
    chair: Chair,
    machine: Migration,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
    /// Calls that it made, or may have, without a receipt.
    made: Vec<ObjectId>,
    /// The token of its last lease, and until when.
    leased: Option<(u64, u64)>,
    /// By how much its clock was set back.
    behind: u64,
}

pub(super) struct World {
    without: Without,
    members: Vec<Member>,
    /// On their way: from, to, what.
    pub(super) wire: VecDeque<(usize, usize, Message)>,
    pub(super) time: u64,
    token: u64,
    begun: u64,
    /// Who has the lease, with which token, until when; and who alone may have it before that, if it was given back.
    tenure: Option<(usize, u64, u64)>,
    released: Option<usize>,
    /// What was done, in order: which call, under which token.
    pub(super) effects: Vec<(ObjectId, u64)>,
    /// Calls with an end that somebody said.
    ended: BTreeSet<ObjectId>,
    broken: Option<String>,
}

impl World {
    pub(super) fn new(n: usize, without: Without) -> Self {
        let member = |i| Member {
            chair: Chair::new(i, if without == Without::Quorum { electorate([i]) } else { electorate(0..n) }),
            machine: Migration::restore(Stored::default(), &ids()),
            disk: Vec::new(),
            writes: VecDeque::new(),
            made: Vec::new(),
            leased: None,
            behind: 0,
        };
        Self {
            without,
            members: (0..n).map(member).collect(),
            wire: VecDeque::new(),
            time: 0,
            token: 0,
            begun: 0,
            tenure: None,
            released: None,
            effects: Vec::new(),
            ended: BTreeSet::new(),
            broken: None,
        }
    }

    fn act<T>(&mut self, i: usize, act: impl FnOnce(&mut Migration, &Seat<'_>, &mut Vec<Output>) -> T) -> T {
        let (member, mut out) = (&mut self.members[i], Vec::new());
        let result = act(&mut member.machine, &member.chair.seat(), &mut out);
        for output in out {
            self.take(i, output);
        }
        result
    }

    fn holds(&self, i: usize) -> Option<u64> {
        if self.without == Without::Clock {
            let Member { leased, behind, .. } = self.members[i];
            return leased.filter(|(_, until)| self.time - behind < *until).map(|(token, _)| token);
        }
        self.tenure.filter(|(holder, _, until)| *holder == i && self.time < *until).map(|(_, token, _)| token)
    }

    fn take(&mut self, i: usize, output: Output) {
        match output {
            Output::Persist { batch, kept } => {
                self.members[i].writes.push_back((batch, kept));
                if self.without == Without::Persistence {
                    let (batch, _) = self.members[i].writes.pop_back().unwrap();
                    self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
                }
            }
            Output::Send { to, mut message } => {
                if let (Without::Settling, Message::Answer { open, .. }) = (self.without, &mut message) {
                    open.clear();
                }
                let to = (0..self.members.len()).find(|k| node(*k) == to).unwrap();
                self.wire.push_back((i, to, message));
            }
            Output::Settle(open) => self.settle_one(i, &open),
            Output::Serving => self.serving(i),
            Output::Dispatch(id) => self.dispatch(i, id),
            Output::Withdraw(id) => {
                let end = receipt(i, id);
                self.act(i, |it, seat, out| it.end(end, seat, out));
            }
            Output::Checkpoint => self.act(i, |it, _, out| it.handle_checkpointed(out)),
            Output::Release { to } => {
                self.tenure.take_if(|(holder, ..)| *holder == i);
                self.released = (0..self.members.len()).find(|k| node(*k) == to);
            }
            Output::Ended(_) | Output::Fenced(_) => {}
        }
    }

    /// The call leaves, if the lease may still be used.
    fn dispatch(&mut self, i: usize, id: ObjectId) {
        self.members[i].made.push(id);
        let token = if self.without == Without::Tenure { Some(0) } else { self.holds(i) };
        let Some(token) = token else { return };
        if self.ended.contains(&id) {
            self.broken = Some(format!("{id:?} is made after its end was said"));
        }
        if self.effects.iter().any(|(made, _)| *made == id) {
            self.broken = Some(format!("{id:?} is made twice"));
        }
        if token != 0 && self.effects.last().is_some_and(|(_, last)| *last > token) {
            self.broken = Some(format!("{id:?} is made under {token} after a later holder's"));
        }
        self.effects.push((id, token));
    }

    /// A probe: it sees what was done so far.
    fn settle_one(&mut self, i: usize, open: &Open) {
        let id = open.intent.store().unwrap().id(&ids()).unwrap();
        let made = self.effects.iter().any(|(made, _)| *made == id);
        self.ended.insert(id);
        let end = settlement(i, id, if made { Effect::Made } else { Effect::None });
        self.act(i, |it, seat, out| it.end(end, seat, out));
    }

    /// Whoever serves knows the end of everything that was done before it.
    //= docs/spec/replica.md#failover
    fn serving(&mut self, i: usize) {
        if let Some((id, _)) = self.effects.iter().find(|(id, _)| !self.ended.contains(id)) {
            self.broken = Some(format!("{i} serves, and nobody knows what became of {id:?}"));
        }
    }

    /// A member gets the next lease, if nobody has one.
    pub(super) fn hold(&mut self, i: usize) {
        let free = self.tenure.is_none_or(|(.., until)| self.time >= until);
        if !free || self.released.is_some_and(|to| to != i) {
            return;
        }
        self.token += 1;
        self.released = None;
        self.tenure = Some((i, self.token, self.time + LEASE));
        self.members[i].leased = Some((self.token, self.time + LEASE));
        let by = if self.without == Without::Quorum { i..=i } else { 0..=self.members.len() - 1 };
        let lease = lease(i, self.token, by);
        let began = self.act(i, |it, seat, out| it.hold(lease, seat, out));
        assert!(began, "it is its own lease");
        self.act(i, |it, _, out| it.handle_ready(out));
    }

    pub(super) fn begin(&mut self, i: usize) {
        if let Some(token) = self.holds(i) {
            self.begun += 1;
            let intent = intent(i, token, self.begun);
            // Who does not serve begins nothing.
            let _ = self.act(i, |it, seat, out| it.begin(intent, seat, out));
        }
    }

    /// The oldest call that the member made has a receipt.
    pub(super) fn finish(&mut self, i: usize) {
        if self.members[i].made.is_empty() {
            return;
        }
        let id = self.members[i].made.remove(0);
        let end = receipt(i, id);
        if self.act(i, |it, seat, out| it.end(end, seat, out)) {
            self.ended.insert(id);
        }
    }

    pub(super) fn drain(&mut self, i: usize, to: usize) {
        if self.holds(i).is_some() {
            self.act(i, |it, seat, out| it.drain(node(to), seat, out));
        }
    }

    pub(super) fn hurry(&mut self, i: usize) {
        self.act(i, |it, _, out| it.hurry(out));
    }

    pub(super) fn remind(&mut self, i: usize) {
        self.act(i, |it, seat, out| it.remind(seat, out));
    }

    /// The member stops and starts: what was not written is gone.
    pub(super) fn crash(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.writes.clear();
        member.made.clear();
        let mut stored = Stored::default();
        for kept in member.disk.clone() {
            match kept {
                Kept::Fence(lease) => stored.fences.push(*lease),
                Kept::Intent(open) => stored.intents.push(*open),
                Kept::End(ended) => stored.ends.push(*ended),
            }
        }
        member.machine = Migration::restore(stored, &ids());
    }

    pub(super) fn deliver(&mut self) {
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        self.act(to, |it, seat, out| it.handle(&node(from), message, seat, out));
    }

    pub(super) fn store(&mut self, i: usize) {
        if let Some((batch, kept)) = self.members[i].writes.pop_front() {
            self.members[i].disk.push(kept);
            self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
        }
    }

    /// The next write fails: nobody knows what of it is stored, and the member starts again. Here nothing is.
    pub(super) fn fail(&mut self, i: usize) {
        if let Some((batch, _)) = self.members[i].writes.pop_front() {
            self.act(i, |it, _, out| it.handle_stored(batch, Completion::Failed, out));
            self.crash(i);
        }
    }

    /// The member's clock shows again what it showed before its lease.
    pub(super) fn set_back(&mut self, i: usize) {
        self.members[i].behind = LEASE;
    }

    /// Everything arrives and is stored.
    pub(super) fn settle(&mut self) {
        while !self.wire.is_empty() || self.members.iter().any(|it| !it.writes.is_empty()) {
            (0..self.members.len()).for_each(|i| self.store(i));
            self.deliver();
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(super) fn machine(&self, i: usize) -> &Migration {
        &self.members[i].machine
    }

    /// The lease of whoever has it ends.
    pub(super) fn expire(&mut self) {
        self.time += LEASE;
        self.released = None;
    }
}
