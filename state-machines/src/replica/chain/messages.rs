//! What the members tell each other about a chain of states, and what they want done.

use alloc::boxed::Box;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, Signed, StateSnapshot};

use super::state::{StateFork, Written};
use crate::persist::BatchToken;

/// A message between two members; who sent it, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To all: the sender is to write now. How far does the chain reach?
    Ask {
        /// The writer's round, repeated in the answer.
        round: u64,
        /// Its lease, whose token fences those before.
        lease: Box<Object<Certified<Lease>>>,
    },
    /// To a writer: as far as this, and no earlier writer is taken from any more.
    Answer {
        /// The round of the question.
        round: u64,
        /// The newest state; none if there is none.
        newest: Option<Box<Written>>,
    },
    /// To all: the next state.
    State(Box<Written>),
    /// To a writer: its state is durable here.
    Stored(ObjectId),
    /// To a writer: its state, or its question, is refused.
    Refuse(Refusal),
    /// To all: this state is durable at a quorum.
    Committed(ObjectId),
    /// To all: what comes before this may be forgotten.
    Snapshot(Box<Object<Signed<StateSnapshot>>>),
    /// To all: these two contradict each other.
    Fork(Box<StateFork>),
}

/// Why a sink does not take a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was not written under a certified lease over this state, by its holder.
    Invalid,
    /// A later writer is known, by its fencing token.
    Fenced(u64),
    /// It is older than what is remembered.
    Old,
    /// It was decided against.
    Discarded,
    /// The chain is paused by a fork.
    Paused,
}

/// Why nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The chain is paused by a fork.
    Paused,
    /// This member has not opened the chain, or is not done with it.
    NotOpen,
    /// The state before is not durable at a quorum yet.
    Busy,
    /// It is no item of canonical CBOR of at most 64 KiB.
    Shape,
}

/// What is to become durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The lease of a writer: none before it is taken from.
    Fence(Box<Object<Certified<Lease>>>),
    /// A state and its lease.
    State(Box<Written>),
    /// What may be forgotten.
    Snapshot(Box<Object<Signed<StateSnapshot>>>),
    /// Two states that pause the chain.
    Fork(Box<StateFork>),
    /// The one of them that stands.
    Decision(ObjectId),
}

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable, then call `handle_stored`.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// What.
        kept: Kept,
    },
    /// Send this to a member, which may be this one.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// This member may write: the chain reaches so far, and stands behind it.
    Ready,
    /// The state that this member wrote is durable at a quorum.
    Committed(ObjectId),
    /// States up to this number may be forgotten, but not the newest.
    Forget(u64),
    /// Tell in the audit chain: the chain is paused by a fork at this number.
    Forked(u64),
    /// Tell in the audit chain: this state stands, and the chain goes on.
    Resumed(ObjectId),
}
