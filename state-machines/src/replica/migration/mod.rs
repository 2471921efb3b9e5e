//! Who alone makes a connector's strict calls, and how that passes from one member to another.
//!
//! Spec: docs/spec/replica.md#migration. One machine a connector's state on every member, which is a sink of intents, and
//! the holder while it has the lease. Before a strict call leaves, a quorum knows that it will; so whoever holds next
//! finds what was begun and has no end, and settles it before it makes calls of its own.
//!
//! ```text
//!  holder (has the lease)                  sinks, itself among them
//!    │ Ask(lease)                             │
//!    ├───────────────────────────────────────►│ persist the fence
//!    │◄─────────────── Answer(what has no end) ┤
//!    │ a quorum: Settle each, then Serving     │
//!    │ Intent                                  │
//!    ├───────────────────────────────────────►│ persist
//!    │◄───────────────────────────────── Kept ┤ once it is durable
//!    │ a quorum: Dispatch                      │
//!    │ End(receipt or settlement)              │
//!    ├───────────────────────────────────────►│ persist
//!    │ drain: no new calls; all have ended: Checkpoint, then Release to the next
//! ```

mod holder;
mod messages;
mod sink;
#[cfg(test)]
mod tests;

pub use holder::{CallError, MAX_OPEN};
pub use messages::{End, Ended, Kept, Message, Open, Output, Refusal};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, ObjectIdKey, OperationIntent, Signed};

use self::holder::Holder;
use self::sink::Sink;
use super::chain::Seat;
use crate::persist::{BatchToken, Completion};

/// What was durable at a restart, each in any order.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Leases of holders.
    pub fences: Vec<Object<Certified<Lease>>>,
    /// Intents.
    pub intents: Vec<Open>,
    /// Ends.
    pub ends: Vec<Ended>,
}

/// One member's part in the strict calls of one connector's state.
#[derive(Clone, Debug)]
pub struct Migration {
    sink: Sink,
    holder: Holder,
    /// What each write lets out once it is durable.
    unsent: BTreeMap<BatchToken, Vec<Output>>,
    next_batch: u64,
}

impl Migration {
    /// The machine of a member that remembers what was durable, and makes no call before it holds again.
    //= docs/spec/replica.md#migration
    pub fn restore(stored: Stored, ids: &ObjectIdKey) -> Self {
        let sink = Sink::restore(stored, ids);
        Self { sink, holder: Holder::default(), unsent: BTreeMap::new(), next_batch: 0 }
    }

    /// The token under which this member may make strict calls now, as far as it knows; the lease is asked besides.
    pub fn serving(&self) -> Option<u64> {
        self.holder.serving()
    }

    /// The intents that this member knows of, and no end of them.
    pub fn open_intents(&self) -> impl Iterator<Item = (&ObjectId, &Open)> {
        self.sink.open()
    }

    /// Begins to hold under `lease`, which this member may use now; again, if no answer comes. Whether it is this member's
    /// lease over this state.
    //= docs/spec/replica.md#failover
    pub fn hold(&mut self, lease: Object<Certified<Lease>>, seat: &Seat<'_>, out: &mut Vec<Output>) -> bool {
        let own = lease.body.fields.holder == *seat.me && seat.grant(&lease).is_some();
        let round = if own { self.holder.hold(lease.clone()) } else { None };
        if let Some(round) = round {
            send_all(seat, &Message::Ask { round, lease: Box::new(lease) }, out);
        }
        own
    }

    /// The chain of the connector's state stands behind this holder, and the connector has the state.
    //= docs/spec/replica.md#failover
    pub fn handle_ready(&mut self, out: &mut Vec<Output>) {
        self.holder.state_ready(out);
    }

    /// The lease is over, was lost or was given back: nothing more is begun.
    //= docs/spec/replica.md#failover
    pub fn stop(&mut self) {
        self.holder = Holder::default();
    }

    /// Makes a strict call known. It is to be made once [`Output::Dispatch`] comes, and only while the lease may be used.
    ///
    /// # Errors
    /// Why it is not made.
    //= docs/spec/replica.md#strict-calls
    pub fn begin(
        &mut self,
        intent: Object<Signed<OperationIntent>>,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Result<ObjectId, CallError> {
        let (id, open) = self.holder.begin(intent, seat)?;
        send_all(seat, &Message::Intent(Box::new(open)), out);
        Ok(id)
    }

    /// Sends again what no quorum has answered. Call it now and then.
    //= docs/spec/replica.md#strict-calls
    pub fn remind(&self, seat: &Seat<'_>, out: &mut Vec<Output>) {
        self.holder.unanswered().iter().for_each(|message| send_all(seat, message, out));
    }

    /// Makes the end of a call known, its own or one that it found. It counts once [`Output::Ended`] comes. Whether the
    /// call is one of the holder's that may have been made, and has no end yet.
    //= docs/spec/replica.md#strict-calls
    pub fn end(&mut self, end: End, seat: &Seat<'_>, out: &mut Vec<Output>) -> bool {
        let Some(ended) = self.holder.end(end) else { return false };
        send_all(seat, &Message::End(Box::new(ended)), out);
        true
    }

    /// Begins to pass the connector on to `to`: no further call is begun. Whether this member may.
    //= docs/spec/replica.md#planned-handoff
    pub fn drain(&mut self, to: NodeId, seat: &Seat<'_>, out: &mut Vec<Output>) -> bool {
        seat.electorate.has(&to) && to != *seat.me && self.holder.drain(to, out)
    }

    /// Passes the connector on although calls have no end yet; the next holder settles them.
    //= docs/spec/replica.md#planned-handoff
    pub fn hurry(&mut self, out: &mut Vec<Output>) {
        self.holder.hurry(out);
    }

    /// The state that was asked for by [`Output::Checkpoint`] is committed in the chain.
    //= docs/spec/replica.md#planned-handoff
    pub fn handle_checkpointed(&mut self, out: &mut Vec<Output>) {
        if let Some(to) = self.holder.checkpointed() {
            out.push(Output::Release { to });
        }
    }

    /// Takes a message of a member. What others send has no effect.
    pub fn handle(&mut self, from: &NodeId, message: Message, seat: &Seat<'_>, out: &mut Vec<Output>) {
        if !seat.electorate.has(from) {
            return;
        }
        match message {
            Message::Ask { round, lease } => self.on_ask(from, round, *lease, seat, out),
            Message::Answer { round, open, ended } => {
                self.holder.on_answer(from, round, (open, ended), seat, out);
            }
            Message::Intent(open) => self.on_intent(from, *open, seat, out),
            Message::End(ended) => self.on_end(from, *ended, seat, out),
            Message::Kept(id) => self.holder.on_kept(from, id, seat, out),
            Message::Closed(id) => self.holder.on_closed(from, id, seat, out),
            Message::Refuse(why) => self.holder.on_refuse(&why, out),
        }
    }

    /// Takes what became of the write `batch`. What depends on it leaves only once it is durable.
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion, out: &mut Vec<Output>) {
        let Some(outputs) = self.unsent.remove(&batch) else { return };
        match completion {
            Completion::Durable => out.extend(outputs),
            Completion::Refused(_) | Completion::Failed => {}
        }
    }

    //= docs/spec/replica.md#failover
    fn on_ask(
        &mut self,
        from: &NodeId,
        round: u64,
        lease: Object<Certified<Lease>>,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        match self.sink.fence(from, &lease, seat) {
            Err(why) => out.push(Output::Send { to: from.clone(), message: Message::Refuse(why) }),
            Ok(()) => {
                let (open, ended) = self.sink.answer();
                let answer = Message::Answer { round, open, ended };
                self.persist(Kept::Fence(Box::new(lease)), from, answer, out);
            }
        }
    }

    //= docs/spec/replica.md#strict-calls
    fn on_intent(&mut self, from: &NodeId, open: Open, seat: &Seat<'_>, out: &mut Vec<Output>) {
        match self.sink.intent(from, &open, seat) {
            Ok(id) => self.persist(Kept::Intent(Box::new(open)), from, Message::Kept(id), out),
            Err(why) => out.push(Output::Send { to: from.clone(), message: Message::Refuse(why) }),
        }
    }

    //= docs/spec/replica.md#strict-calls
    fn on_end(&mut self, from: &NodeId, ended: Ended, seat: &Seat<'_>, out: &mut Vec<Output>) {
        match self.sink.end(from, &ended, seat) {
            Ok(id) => self.persist(Kept::End(Box::new(ended)), from, Message::Closed(id), out),
            Err(why) => out.push(Output::Send { to: from.clone(), message: Message::Refuse(why) }),
        }
    }

    fn persist(&mut self, kept: Kept, to: &NodeId, then: Message, out: &mut Vec<Output>) {
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.unsent.insert(batch, Vec::from([Output::Send { to: to.clone(), message: then }]));
        out.push(Output::Persist { batch, kept });
    }
}

/// Sends `message` to every member, this one included.
fn send_all(seat: &Seat<'_>, message: &Message, out: &mut Vec<Output>) {
    let to_each = |to: &NodeId| Output::Send { to: to.clone(), message: message.clone() };
    out.extend(seat.electorate.members().map(to_each));
}
