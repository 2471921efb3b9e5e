//! The state of a connector with one writer at a time: a chain that a lease fences at every member.
//!
//! Spec: docs/spec/replica.md#one-writer. One machine a state on every member, which is a sink, and a writer while it
//! holds the lease. A state is the whole state, so that who was away takes the newest and needs none between.
//!
//! ```text
//!  writer (has the lease)                  sinks, itself among them
//!    │ Ask(lease)                             │
//!    ├───────────────────────────────────────►│ persist the fence
//!    │◄───────────────────────── Answer(newest)┤
//!    │ State(the newest again, under its lease)│
//!    ├───────────────────────────────────────►│ follow, replace, refuse, or pause
//!    │◄──────────────────────────────── Stored ┤ once it is durable
//!    │ a quorum: Ready, and then for each state that is written
//!    │ Committed                               │
//!    ├───────────────────────────────────────►│
//! ```

mod messages;
mod sink;
mod state;
#[cfg(test)]
pub(super) mod tests;
mod writer;

pub use messages::{Kept, Message, Output, Refusal, WriteError};
pub use state::{Seat, StateFork, Written};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, ObjectIdKey};
use fcp_proto_core::time::UnixTime;

use self::sink::Sink;
use self::writer::Writer;
use crate::persist::{BatchToken, Completion};

/// Committed states after which a snapshot is due (chosen: some 4 MiB at most to be kept for one state).
pub const SNAPSHOT_STATES: u64 = 64;

/// What was durable at a restart, each in any order.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Leases of writers.
    pub fences: Vec<Object<Certified<Lease>>>,
    /// States.
    pub states: Vec<Written>,
    /// Forks.
    pub forks: Vec<StateFork>,
    /// The states that stand by decision.
    pub decisions: Vec<ObjectId>,
}

/// One member's part in the chain of one state.
#[derive(Clone, Debug)]
pub struct StateChain {
    sink: Sink,
    writer: Writer,
    /// What each write lets out once it is durable.
    unsent: BTreeMap<BatchToken, Vec<Output>>,
    next_batch: u64,
}

impl StateChain {
    /// The machine of a member that remembers what was durable, and writes nothing before it has opened the chain again.
    //= docs/spec/replica.md#restart
    pub fn restore(stored: Stored, ids: &ObjectIdKey) -> Self {
        let sink = Sink::restore(stored, ids);
        Self { sink, writer: Writer::default(), unsent: BTreeMap::new(), next_batch: 0 }
    }

    /// The newest state that this member has, whether or not it is committed.
    pub fn newest(&self) -> Option<&Written> {
        self.sink.newest()
    }

    /// The two that pause the chain.
    pub fn fork(&self) -> Option<&StateFork> {
        self.sink.fork()
    }

    /// Begins to write under `lease`, which this member may use now; again, if no answer comes. It may write once
    /// [`Output::Ready`] comes, and only while the lease may be used.
    ///
    /// # Errors
    /// [`WriteError::Paused`]; [`WriteError::NotOpen`] if it is not this member's lease over this state.
    //= docs/spec/replica.md#opening
    pub fn open(
        &mut self,
        lease: Object<Certified<Lease>>,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), WriteError> {
        if self.sink.fork().is_some() {
            return Err(WriteError::Paused);
        }
        let own = lease.body.fields.holder == *seat.me && seat.grant(&lease).is_some();
        if !own {
            return Err(WriteError::NotOpen);
        }
        let round = self.writer.open(lease.clone());
        send_all(seat, &Message::Ask { round, lease: Box::new(lease) }, out);
        Ok(())
    }

    /// Writes the next state. It counts once [`Output::Committed`] comes.
    ///
    /// # Errors
    /// Why nothing is written.
    //= docs/spec/replica.md#writing
    pub fn write(
        &mut self,
        state_cbor: Vec<u8>,
        now: UnixTime,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), WriteError> {
        if self.sink.fork().is_some() {
            return Err(WriteError::Paused);
        }
        let written = self.writer.write(state_cbor, now, seat)?;
        send_all(seat, &Message::State(Box::new(written)), out);
        Ok(())
    }

    /// Ends the pause: of the two, `stands` does. The caller has verified that the owner or an operator with the duty
    /// decided so. Whether it was one of them.
    //= docs/spec/replica.md#decision
    pub fn resume(&mut self, stands: ObjectId, ids: &ObjectIdKey, out: &mut Vec<Output>) -> bool {
        let resumed = self.sink.resume(stands, ids);
        if resumed {
            self.writer.close();
            self.persist(Kept::Decision(stands), [Output::Resumed(stands)], out);
        }
        resumed
    }

    /// Takes a message of a member. What others send has no effect.
    pub fn handle(
        &mut self,
        from: &NodeId,
        message: Message,
        seat: &Seat<'_>,
        now: UnixTime,
        out: &mut Vec<Output>,
    ) {
        if !seat.electorate.has(from) {
            return;
        }
        match message {
            Message::Ask { round, lease } => self.on_ask(from, round, &lease, seat, out),
            Message::Answer { round, newest } => {
                if let Some(written) = self.writer.on_answer(from, round, newest, now, seat, out) {
                    send_all(seat, &Message::State(Box::new(written)), out);
                }
            }
            Message::State(written) => self.on_state(from, *written, seat, out),
            Message::Stored(id) => self.on_stored(from, id, now, seat, out),
            Message::Refuse(why) => self.writer.on_refuse(&why),
            Message::Committed(id) => self.sink.commit(id),
            Message::Snapshot(snapshot) => {
                if let Some(through) = self.sink.covered(from, &snapshot, seat) {
                    self.persist(Kept::Snapshot(snapshot), [Output::Forget(through)], out);
                }
            }
            Message::Fork(fork) => {
                if self.sink.pause(&fork, seat) {
                    self.on_fork(*fork, seat, out);
                }
            }
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

    //= docs/spec/replica.md#opening
    fn on_ask(
        &mut self,
        from: &NodeId,
        round: u64,
        lease: &Object<Certified<Lease>>,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        let fenced = if lease.body.fields.holder == *from {
            self.sink.fence(lease, seat)
        } else {
            Err(Refusal::Invalid)
        };
        let to = from.clone();
        match fenced {
            Err(why) => out.push(Output::Send { to, message: Message::Refuse(why) }),
            Ok(()) => {
                let newest = self.sink.newest().cloned().map(Box::new);
                let answer = Output::Send { to, message: Message::Answer { round, newest } };
                self.persist(Kept::Fence(Box::new(lease.clone())), [answer], out);
            }
        }
    }

    //= docs/spec/replica.md#sinks
    fn on_state(&mut self, from: &NodeId, written: Written, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let to = from.clone();
        match self.sink.take(&written, seat) {
            Ok(sink::Taken::Kept(id)) => {
                let stored = Output::Send { to, message: Message::Stored(id) };
                self.persist(Kept::State(Box::new(written)), [stored], out);
            }
            Ok(sink::Taken::Forked(fork)) => self.on_fork(*fork, seat, out),
            Err(why) => out.push(Output::Send { to, message: Message::Refuse(why) }),
        }
    }

    fn on_stored(
        &mut self,
        from: &NodeId,
        id: ObjectId,
        now: UnixTime,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some(committed) = self.writer.on_stored(from, id, seat, out) else { return };
        send_all(seat, &Message::Committed(id), out);
        let due = committed.seq() % SNAPSHOT_STATES == SNAPSHOT_STATES - 1;
        if let Some(snapshot) = due.then(|| writer::snapshot(&committed, id, now, seat)).flatten() {
            send_all(seat, &Message::Snapshot(Box::new(snapshot)), out);
        }
    }

    //= docs/spec/replica.md#forks
    fn on_fork(&mut self, fork: StateFork, seat: &Seat<'_>, out: &mut Vec<Output>) {
        self.writer.close();
        out.push(Output::Forked(fork.other.seq()));
        let mut told = Vec::new();
        send_all(seat, &Message::Fork(Box::new(fork.clone())), &mut told);
        self.persist(Kept::Fork(Box::new(fork)), told, out);
    }

    fn persist(&mut self, kept: Kept, then: impl IntoIterator<Item = Output>, out: &mut Vec<Output>) {
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.unsent.insert(batch, then.into_iter().collect());
        out.push(Output::Persist { batch, kept });
    }
}

/// Sends `message` to every member, this one included.
fn send_all(seat: &Seat<'_>, message: &Message, out: &mut Vec<Output>) {
    let to_each = |to: &NodeId| Output::Send { to: to.clone(), message: message.clone() };
    out.extend(seat.electorate.members().map(to_each));
}
