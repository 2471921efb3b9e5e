//! Leases: one node's right to act alone on a subject for a time, given by a quorum of the members.
//!
//! Spec: docs/spec/leases.md. Every member runs three machines: the [`Holder`] asks for leases and says whether one may
//! be used, the [`Coordinator`] collects the votes, the [`Voter`] gives them. Safety rests on the voters and on the
//! holder alone; a coordinator may forget everything at any time.
//!
//! ```text
//!  holder             coordinator                     voters
//!    │ Request            │                              │
//!    ├───────────────────►│ Ask                          │
//!    │                    ├─────────────────────────────►│
//!    │                    │◄──────────── Answer(promise) ┤
//!    │                    │ Propose(token above all)     │
//!    │                    ├─────────────────────────────►│ persist the vote
//!    │                    │◄──────────────── Vote, Refuse┤ once it is durable
//!    │ Grant(certificate) │                              │
//!    │◄───────────────────┤                              │
//!    │ persist the lease, then use it                    │
//!    │ Release                                           │
//!    ├──────────────────────────────────────────────────►│
//! ```
//!
//! The driver delivers messages in any order, any number of times or never, each with the member that its session is
//! with; it answers [`Output::Persist`] through `handle_stored`. Time is an argument of every call that depends on it.

mod coordinator;
mod holder;
mod hrw;
mod messages;
#[cfg(test)]
mod tests;
mod token;
mod voter;

pub use coordinator::{Coordinator, PATIENCE};
pub use holder::{GrantError, Holder, MAX_LEASES, Tenure};
pub use hrw::ranking;
pub use messages::{Denial, Freed, Message, Output, Promise, Proposal, Request, VoteRefusal};
pub use token::{MAX_TOKEN_JUMP, epoch_of};
pub use voter::{MAX_SUBJECTS, Voter};

use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::Lease;
use fcp_proto_core::time::UnixTime;

use super::quorum::{Electorate, OfEpoch};

/// How far the wall clock of a member may be from true time, in seconds (chosen: within reach of any synchronised
/// clock; leases are shorter by as much at their holder and longer by as much at their voters).
pub const CLOCK_BOUND_SECS: u64 = 5;
/// The shortest lease, in seconds: longer than what its holder gives up for its clock.
pub const MIN_TTL_SECS: u64 = 10;
/// The longest lease, in seconds.
pub const MAX_TTL_SECS: u64 = 3_600;
/// The usual lease, in seconds.
pub const DEFAULT_TTL_SECS: u64 = 300;

/// What a lease is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Its zone.
    pub zone: ZoneId,
    /// The object.
    pub object: ObjectId,
}

/// An epoch, as far as leases depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The members.
    pub electorate: Electorate,
    /// When the first lease of this epoch may be voted for: when those of earlier epochs are over, whoever voted for
    /// them.
    pub opens_at: UnixTime,
}

impl OfEpoch for Lease {
    fn epoch(&self) -> u64 {
        epoch_of(self.lease_seq)
    }
}
