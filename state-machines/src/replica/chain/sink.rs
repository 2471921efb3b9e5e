//! The sink: takes states of the newest writer alone, and pauses at two that contradict each other.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, ObjectIdKey, Signed, StateSnapshot};

use super::Stored;
use super::messages::Refusal;
use super::state::{Seat, StateFork, Written};

/// States that are remembered whole, the newest ones: a contradiction of one of them is seen.
const RECENT_STATES: usize = 4;

/// What one member holds of the chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink {
    recent: BTreeMap<u64, (ObjectId, Written)>,
    /// The highest number that is known to be durable at a quorum.
    committed: Option<u64>,
    /// No state with a lower token is taken.
    fence: u64,
    fork: Option<(Box<StateFork>, [ObjectId; 2])>,
    discarded: BTreeSet<ObjectId>,
}

/// What became of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is kept, under this identity.
    Kept(ObjectId),
    /// It contradicts another; the chain is paused now.
    Forked(Box<StateFork>),
}

impl Sink {
    //= docs/spec/replica.md#restart
    pub(super) fn restore(mut stored: Stored, ids: &ObjectIdKey) -> Self {
        let mut sink = Self::default();
        let tokens = stored.fences.iter().map(|lease| lease.body.fields.lease_seq);
        sink.fence = tokens.max().unwrap_or(0);
        for fork in stored.forks {
            if let (Some(one), Some(other)) = (fork.one.id(ids), fork.other.id(ids)) {
                sink.fork = Some((Box::new(fork), [one, other]));
                stored.decisions.iter().for_each(|stands| _ = sink.resume(*stands, ids));
            }
        }
        stored.states.sort_by_key(|written| (written.token(), written.seq()));
        for written in stored.states {
            if let Some(id) = written.id(ids).filter(|id| !sink.discarded.contains(id)) {
                sink.keep(id, written);
            }
        }
        sink
    }

    pub(super) fn newest(&self) -> Option<&Written> {
        self.recent.last_key_value().map(|(_, (_, written))| written)
    }

    pub(super) fn fork(&self) -> Option<&StateFork> {
        self.fork.as_ref().map(|(fork, _)| &**fork)
    }

    /// From now on no writer before the holder of `lease` is taken from.
    //= docs/spec/replica.md#fencing
    pub(super) fn fence(&mut self, lease: &Object<Certified<Lease>>, seat: &Seat<'_>) -> Result<(), Refusal> {
        if self.fork.is_some() {
            return Err(Refusal::Paused);
        }
        let (token, _) = seat.grant(lease).ok_or(Refusal::Invalid)?;
        if token < self.fence {
            return Err(Refusal::Fenced(self.fence));
        }
        self.fence = token;
        Ok(())
    }

    /// Takes a state.
    //= docs/spec/replica.md#sinks
    //= docs/spec/replica.md#one-writer
    pub(super) fn take(&mut self, written: &Written, seat: &Seat<'_>) -> Result<Taken, Refusal> {
        if self.fork.is_some() {
            return Err(Refusal::Paused);
        }
        seat.grant(&written.lease).ok_or(Refusal::Invalid)?;
        let id = written.verify(seat).ok_or(Refusal::Invalid)?;
        if self.discarded.contains(&id) {
            return Err(Refusal::Discarded);
        }
        if written.token() < self.fence {
            return Err(Refusal::Fenced(self.fence));
        }
        if let Some((known, rival)) = self.contradicted(id, written)? {
            let (one, other) = (Box::new(rival.clone()), Box::new(written.clone()));
            let fork = Box::new(StateFork { one, other });
            self.fork = Some((fork.clone(), [known, id]));
            return Ok(Taken::Forked(fork));
        }
        let known = self.recent.get(&written.seq()).is_some_and(|(known, _)| *known == id);
        if !known {
            self.keep(id, written.clone());
        }
        Ok(Taken::Kept(id))
    }

    /// The state that `written` contradicts, unless that one was given up by all when a later writer came.
    fn contradicted(&self, id: ObjectId, written: &Written) -> Result<Option<(ObjectId, &Written)>, Refusal> {
        let Some((newest, _)) = self.recent.last_key_value() else { return Ok(None) };
        let seq = written.seq();
        if let Some((known, rival)) = self.recent.get(&seq) {
            let given_up = self.gives_way(rival, written);
            return Ok((*known != id && !given_up).then_some((*known, rival)));
        }
        if seq < *newest {
            return Err(Refusal::Old);
        }
        let before = seq.checked_sub(1).and_then(|before| self.recent.get(&before));
        Ok(before.and_then(|(known, rival)| {
            let follows = written.state.body.fields.prev == Some(*known);
            (!follows && !self.gives_way(rival, written)).then_some((*known, rival))
        }))
    }

    /// Whether `rival` is nothing but the unfinished attempt of an earlier writer.
    //= docs/spec/replica.md#sinks
    fn gives_way(&self, rival: &Written, written: &Written) -> bool {
        rival.token() < written.token() && !self.is_finished(rival.seq())
    }

    /// Whether what stands in place `seq` is known to be committed: as such, or because somebody who wrote it or a later
    /// one went on to the next. Another writer's state after it is no sign, being an attempt itself.
    fn is_finished(&self, seq: u64) -> bool {
        let later = || self.recent.range(seq..).map(|(_, (_, written))| written.token());
        self.committed.is_some_and(|committed| seq <= committed)
            || later().zip(later().skip(1)).any(|(one, next)| one == next)
    }

    fn keep(&mut self, id: ObjectId, written: Written) {
        self.fence = self.fence.max(written.token());
        self.recent.retain(|seq, _| *seq <= written.seq());
        self.recent.insert(written.seq(), (id, written));
        if self.recent.len() > RECENT_STATES {
            self.recent.pop_first();
        }
    }

    pub(super) fn commit(&mut self, id: ObjectId) {
        let place = self.recent.iter().find(|(_, (known, _))| *known == id).map(|(seq, _)| *seq);
        self.committed = self.committed.max(place);
    }

    /// The number up to which `snapshot`, by `from`, lets states be forgotten.
    //= docs/spec/replica.md#snapshots
    pub(super) fn covered(
        &self,
        from: &NodeId,
        snapshot: &Object<Signed<StateSnapshot>>,
        seat: &Seat<'_>,
    ) -> Option<u64> {
        let (fields, key) = (&snapshot.body.fields, seat.electorate.keys().get(from)?);
        let signed = snapshot.body.signer == key.key_id()
            && key.verify(&snapshot.signing_bytes().ok()?, &snapshot.body.signature).is_ok();
        let (id, written) = self.recent.get(&fields.covers_seq)?;
        let same = fields.covers_head == *id
            && fields.owner == *seat.owner
            && snapshot.header.zone_id == *seat.zone
            && fields.state_cbor.get().0 == written.state.body.fields.state_cbor.get().0;
        let committed = self.committed.is_some_and(|committed| fields.covers_seq <= committed);
        (signed && same && committed).then_some(fields.covers_seq)
    }

    /// Pauses, if the two are proof and neither was decided against. Whether that is new.
    //= docs/spec/replica.md#forks
    pub(super) fn pause(&mut self, fork: &StateFork, seat: &Seat<'_>) -> bool {
        if self.fork.is_some() {
            return false;
        }
        let Some(both) = fork.verify(seat) else { return false };
        if both.iter().any(|id| self.discarded.contains(id)) {
            return false;
        }
        self.fork = Some((Box::new(fork.clone()), both));
        true
    }

    //= docs/spec/replica.md#decision
    pub(super) fn resume(&mut self, stands: ObjectId, ids: &ObjectIdKey) -> bool {
        let Some((fork, both)) = self.fork.take_if(|(_, both)| both.contains(&stands)) else { return false };
        self.discarded.extend(both.into_iter().filter(|id| *id != stands));
        let last = fork.one.token().max(fork.other.token());
        let chosen = if fork.one.id(ids) == Some(stands) { *fork.one } else { *fork.other };
        self.recent.clear();
        self.committed = Some(chosen.seq());
        self.keep(stands, chosen);
        // Whoever wrote either needs a new lease.
        self.fence = self.fence.max(last.saturating_add(1));
        true
    }
}
