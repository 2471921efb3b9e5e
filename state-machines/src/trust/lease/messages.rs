//! What the three machines tell each other and their driver.

use alloc::boxed::Box;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{Body, Certified, Header, Lease, LeasePurpose, NodeSignature, Object};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, default_level};

use super::{CLOCK_BOUND_SECS, Subject};
use crate::persist::BatchToken;

/// A message between two members; who sent it, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To a coordinator: the sender wants a lease.
    Request(Request),
    /// To a voter: what did you promise?
    Ask {
        /// Over what.
        subject: Subject,
        /// The coordinator's round, repeated in the answer.
        round: u64,
    },
    /// To a coordinator: this.
    Answer {
        /// Over what.
        subject: Subject,
        /// The round of the question.
        round: u64,
        /// The newest promise; none if there never was one.
        promise: Option<Promise>,
    },
    /// To a voter: vote for this.
    Propose {
        /// The round, repeated in the vote.
        round: u64,
        /// The lease.
        proposal: Proposal,
    },
    /// To a coordinator: the sender's signature over the proposed lease.
    Vote {
        /// Over what.
        subject: Subject,
        /// The round of the proposal.
        round: u64,
        /// The signature.
        signature: NodeSignature,
    },
    /// To a coordinator: the sender does not vote for it.
    Refuse {
        /// Over what.
        subject: Subject,
        /// The round of the proposal.
        round: u64,
        /// Why.
        why: VoteRefusal,
    },
    /// To the holder: the certified lease.
    Grant(Box<Object<Certified<Lease>>>),
    /// To who asked: no lease.
    Deny {
        /// Over what.
        subject: Subject,
        /// Why.
        why: Denial,
    },
    /// To a voter: the sender has stopped using this lease, and will never use it or an earlier one again.
    Release {
        /// Over what.
        subject: Subject,
        /// The token of the lease.
        token: u64,
        /// Who alone may have the subject for the rest of the lease; anybody if absent.
        successor: Option<NodeId>,
    },
}

/// What a would-be holder asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Over what.
    pub subject: Subject,
    /// What for.
    pub purpose: LeasePurpose,
    /// For how many seconds.
    pub ttl_secs: u64,
    /// The token of the lease that is to be prolonged; absent if a new one is wanted.
    pub renews: Option<u64>,
}

/// A lease that voters are asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Over what.
    pub subject: Subject,
    /// For whom.
    pub holder: NodeId,
    /// The fencing token.
    pub token: u64,
    /// What for.
    pub purpose: LeasePurpose,
    /// When it was made.
    pub created_at: UnixTime,
    /// How long it lasts from then, in seconds.
    pub ttl_secs: u64,
}

impl Proposal {
    /// When the lease ends.
    pub const fn exp(&self) -> UnixTime {
        self.created_at.saturating_add(self.ttl_secs)
    }

    /// The one object that the proposal stands for, unsigned: every voter composes it anew.
    //= docs/spec/leases.md#voting
    pub fn object(&self) -> Object<Certified<Lease>> {
        let level = default_level(&self.subject.zone);
        let label = Label { confidentiality: level, ..Label::trusted(level) };
        let schema = <Certified<Lease> as Body>::SCHEMA;
        let mut header = Header::new(&schema, &self.subject.zone, self.created_at, label, None)
            .with_refs([self.subject.object]);
        header.ttl_secs = Some(self.ttl_secs);
        let fields = Lease {
            holder: self.holder.clone(),
            lease_seq: self.token,
            exp: self.exp(),
            subject_object_id: self.subject.object,
            purpose: self.purpose,
        };
        Object::uncertified(header, fields)
    }
}

/// The newest lease that a voter voted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Its token; no lower one gets a vote again.
    pub token: u64,
    /// Its holder.
    pub holder: NodeId,
    /// What it is for.
    pub purpose: LeasePurpose,
    /// Its end.
    pub exp: UnixTime,
    /// Whether the holder gave it back.
    pub freed: Freed,
}

/// Whether a holder gave a lease back before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freed {
    /// It did not.
    No,
    /// To anybody.
    ToAnybody,
    /// To this member alone, until the lease would have ended.
    To(NodeId),
}

impl Promise {
    /// Whether the lease is over on every clock within the bound, by a clock that reads `now`.
    //= docs/spec/leases.md#clocks
    pub fn is_over(&self, now: UnixTime) -> bool {
        now >= self.exp.saturating_add(CLOCK_BOUND_SECS)
    }

    /// Whether it keeps `candidate` from having another lease.
    //= docs/spec/leases.md#voting
    pub fn blocks(&self, candidate: &NodeId, now: UnixTime) -> bool {
        let open = match &self.freed {
            Freed::No => self.holder == *candidate,
            Freed::ToAnybody => true,
            Freed::To(successor) => successor == candidate,
        };
        !open && !self.is_over(now)
    }
}

/// Why a voter does not vote for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoteRefusal {
    /// The proposal came from no member, or is for none.
    NotAMember,
    /// Its token is of another epoch than this, or of one that has not opened.
    Epoch(u64),
    /// It lasts too short or too long, or is dated too far from the voter's time.
    Times,
    /// The voter promised this token or a higher one.
    Stale {
        /// The token that it promised.
        promised: u64,
    },
    /// The token lies too far above what the voter knows.
    TokenJump,
    /// Another member has the subject.
    Held {
        /// Which one.
        holder: NodeId,
        /// Until when.
        exp: UnixTime,
    },
    /// What is to be prolonged is over or was given back, is for something else, or would end earlier.
    NotRenewable,
    /// The voter keeps as many promises as it can.
    Full,
}

/// Why a coordinator gets nobody a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It coordinates another request over this subject, or too many.
    Busy,
    /// Another member has the subject.
    Held {
        /// Which one.
        holder: NodeId,
        /// Until when.
        exp: UnixTime,
    },
    /// Too many voters refused; this is one reason of theirs.
    Refused(VoteRefusal),
    /// The epoch has no tokens left: the owner raises it.
    TokensExhausted,
}

/// What a machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this lease durable, with the signatures that it has, then call `handle_stored`.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// A voter's lease has its own signature alone; a holder's is certified.
        lease: Box<Object<Certified<Lease>>>,
    },
    /// Send this to a member, which may be this one.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// The lease is durable: from now on it may be used, as [`Holder::tenure`](super::Holder::tenure) says.
    Held(Subject),
}
