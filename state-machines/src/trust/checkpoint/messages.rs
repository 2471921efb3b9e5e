//! What the members tell each other, and what they want done.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{
    Certified, CheckpointFork, CheckpointProposal, CheckpointTrigger, Lease, NodeSignature, Object, Signed,
};

use super::chain::{Checkpoint, Fork};
use super::proof::{Breach, HeadProof, SignedHead};
use crate::persist::BatchToken;

/// A message between two members; who sent it, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To all: the sender's chain ends here.
    Head(Box<SignedHead>),
    /// To the node of a head: the sender remembers it, and knows of none later.
    Seen {
        /// The head's number.
        seq: u64,
    },
    /// To a node whose head is an old one: this newer one of yours was seen.
    Behind(Box<SignedHead>),
    /// To all: this node told two stories.
    Accuse(Box<HeadProof>),
    /// To a voter: where does your chain of checkpoints end, and what did you vote for after it?
    Ask {
        /// The coordinator's round, repeated in the answer.
        round: u64,
        /// The coordinator's lease, whose token fences those before.
        lease: Box<Object<Certified<Lease>>>,
    },
    /// To a coordinator: this.
    Answer(Box<Answer>),
    /// To a voter: vote for this.
    Propose(Box<Proposal>),
    /// To a coordinator: the sender's signature over the proposed checkpoint.
    Vote {
        /// The round of the proposal.
        round: u64,
        /// The signature.
        signature: NodeSignature,
    },
    /// To a coordinator: the sender does not vote for it.
    Refuse {
        /// The round of the proposal.
        round: u64,
        /// Why.
        why: VoteRefusal,
    },
    /// To all: this is certified.
    Certified(Box<Checkpoint>),
    /// To all: two were certified in one place.
    Fork(Box<Fork>),
}

/// What a voter tells a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The round of the question.
    pub round: u64,
    /// The newest certified checkpoint; none if there is none.
    pub tip: Option<Box<Checkpoint>>,
    /// The newest vote; none if there never was one.
    pub vote: Option<Box<CastVote>>,
}

/// A vote, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastVote {
    /// The checkpoint, with the voter's signature alone.
    pub checkpoint: Box<Checkpoint>,
    /// The heads by which its audit chains reach further than in the checkpoint before.
    pub heads: Vec<SignedHead>,
}

/// What a coordinator puts to the vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The round, repeated in the vote.
    pub round: u64,
    /// The coordinator's lease, whose token fences those before.
    pub lease: Box<Object<Certified<Lease>>>,
    /// The certified checkpoint that it follows; none before the first.
    pub base: Option<Box<Checkpoint>>,
    /// The checkpoint, as its coordinator signed it.
    pub signed: Box<Object<Signed<CheckpointProposal>>>,
    /// The heads by which its audit chains reach further than in `base`.
    pub heads: Vec<SignedHead>,
}

/// Why a member does not vote for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoteRefusal {
    /// The proposal is not signed by the member that sent it.
    NotTheProposer,
    /// It does not hold the lease to coordinate.
    NoLease,
    /// The chain is halted by a fork.
    Halted,
    /// It is of another zone or epoch.
    Epoch(u64),
    /// A later coordinator is known, by its fencing token.
    Fenced(u64),
    /// It is dated too far from the voter's time.
    Times,
    /// It does not follow the newest checkpoint that the voter knows.
    NotNext,
    /// The voter voted for another one in this place.
    Voted,
    /// It names what the voter does not know to have been so since the last checkpoint.
    UnknownFacts,
    /// The end of this node's audit chain has no head signed by the node, or contradicts one that has.
    Audit(NodeId),
}

/// What is to become durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The head of another member's chain.
    Head(Box<SignedHead>),
    /// Proof against a member.
    Proof(Box<HeadProof>),
    /// A vote of this member.
    Vote(Box<CastVote>),
    /// A certified checkpoint.
    Checkpoint(Box<Checkpoint>),
    /// Evidence of a fork, and the certificates that prove it.
    Fork(Box<Fork>, Box<Object<Signed<CheckpointFork>>>),
}

/// What this member's own audit chain is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A member told two stories; nothing more is taken from its chain.
    Halted {
        /// Who.
        liar: NodeId,
        /// What it did.
        breach: Breach,
    },
    /// This member's own chain was seen to reach this number, and does not.
    RolledBack {
        /// The number.
        seq: u64,
    },
    /// A checkpoint is certified.
    Certified {
        /// Its number.
        seq: u64,
    },
    /// Two checkpoints are certified in one place; the chain is halted.
    Forked {
        /// The place.
        seq: u64,
    },
    /// The halt of the checkpoints ended with the owner's new epoch.
    Resumed {
        /// The epoch.
        epoch: u64,
    },
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
    /// Tell this in this member's own audit chain, in `z:owner`.
    Tell(Finding),
}

/// Why a checkpoint is proposed although nothing is due.
pub(super) fn manual(reason: &str) -> CheckpointTrigger {
    CheckpointTrigger::Manual { reason: Some(String::from(reason)) }
}
