//! The sink: takes from the newest holder alone, and forgets no call that has no end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, ObjectIdKey};

use super::messages::{Ended, Open, Refusal};
use super::{MAX_OPEN, Stored};
use crate::replica::chain::Seat;

/// Ends that are remembered for answers. A member that missed one that is forgotten makes the next holder look for its
/// receipt again.
const MAX_ENDED: usize = 2 * MAX_OPEN;

/// What one member holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink {
    /// Nothing of a holder with a lower token is taken.
    fence: u64,
    open: BTreeMap<ObjectId, Open>,
    ended: BTreeMap<ObjectId, Ended>,
    /// In which order they came.
    order: Vec<ObjectId>,
    /// Below which number all calls under the newest token have ended.
    low: u64,
}

impl Sink {
    pub(super) fn restore(stored: Stored, ids: &ObjectIdKey) -> Self {
        let mut sink = Self::default();
        let tokens = stored.fences.iter().map(|lease| lease.body.fields.lease_seq);
        let of_intents = stored.intents.iter().map(Open::token);
        let tokens = tokens.chain(of_intents).chain(stored.ends.iter().map(Ended::token));
        sink.fence = tokens.max().unwrap_or(0);
        let lows = stored.intents.iter().filter(|open| open.token() == sink.fence).map(|open| open.low);
        sink.low = lows.max().unwrap_or(0);
        for ended in stored.ends {
            sink.remember(ended);
        }
        let over: BTreeSet<_> = sink.ended.keys().copied().collect();
        for open in stored.intents {
            let id = open.intent.store().and_then(|stored| stored.id(ids));
            let ended = open.token() == sink.fence && open.number < sink.low;
            if let Some(id) = id.ok().filter(|id| !over.contains(id) && !ended) {
                sink.open.insert(id, open);
            }
        }
        sink
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (&ObjectId, &Open)> {
        self.open.iter()
    }

    pub(super) fn answer(&self) -> (Vec<Open>, Vec<Ended>) {
        (self.open.values().cloned().collect(), self.ended.values().cloned().collect())
    }

    /// From now on nothing of a holder before the holder of `lease` is taken.
    //= docs/spec/replica.md#failover
    pub(super) fn fence(
        &mut self,
        from: &NodeId,
        lease: &Object<Certified<Lease>>,
        seat: &Seat<'_>,
    ) -> Result<(), Refusal> {
        let (token, _) = seat.grant(lease).ok_or(Refusal::Invalid)?;
        if lease.body.fields.holder != *from {
            return Err(Refusal::Invalid);
        }
        self.raise(token)
    }

    fn raise(&mut self, token: u64) -> Result<(), Refusal> {
        if token < self.fence {
            return Err(Refusal::Fenced(self.fence));
        }
        if token > self.fence {
            (self.fence, self.low) = (token, 0);
        }
        Ok(())
    }

    /// Takes an intent.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn intent(
        &mut self,
        from: &NodeId,
        open: &Open,
        seat: &Seat<'_>,
    ) -> Result<ObjectId, Refusal> {
        let (token, key) = seat.grant(&open.lease).ok_or(Refusal::Invalid)?;
        if open.lease.body.fields.holder != *from {
            return Err(Refusal::Invalid);
        }
        let id = open.verify(&key, seat).ok_or(Refusal::Invalid)?;
        self.raise(token)?;
        if open.number < self.low || self.ended.contains_key(&id) {
            return Err(Refusal::Old);
        }
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&id) {
            return Err(Refusal::Full);
        }
        self.low = self.low.max(open.low);
        let low = self.low;
        self.open.retain(|_, known| known.token() != token || known.number >= low);
        self.open.insert(id, open.clone());
        Ok(id)
    }

    /// Takes the end of a call.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn end(&mut self, from: &NodeId, ended: &Ended, seat: &Seat<'_>) -> Result<ObjectId, Refusal> {
        let (token, key) = seat.grant(&ended.lease).ok_or(Refusal::Invalid)?;
        if ended.lease.body.fields.holder != *from || !ended.end.is_by(&key) {
            return Err(Refusal::Invalid);
        }
        self.raise(token)?;
        let id = ended.end.intent();
        self.open.remove(&id);
        self.remember(ended.clone());
        Ok(id)
    }

    fn remember(&mut self, ended: Ended) {
        let id = ended.end.intent();
        if self.ended.insert(id, ended).is_none() {
            self.order.push(id);
        }
        if self.order.len() > MAX_ENDED {
            let oldest = self.order.remove(0);
            self.ended.remove(&oldest);
        }
    }
}
