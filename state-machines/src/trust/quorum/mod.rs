//! Whose word counts in a mesh, and how many words each decision needs.
//!
//! Spec: docs/spec/quorum.md. The owner signs who the members are and how they are assumed to fail; everything else
//! follows from those two. Values only: nothing here knows who can be reached, unless it is told.

mod certificate;
mod standing;
#[cfg(test)]
mod tests;

pub use certificate::{ByQuorum, OfEpoch, QuorumError};
pub use standing::{DegradedPolicy, Standing};

use alloc::collections::BTreeMap;
use core::fmt;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{FaultModel, Membership};

/// What members, or others, decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Who alone may act on a subject for a time.
    Lease,
    /// Where the audit chain of a node ends.
    AuditHead,
    /// Where the revocation chain of a zone ends.
    RevocationHead,
    /// Where all chains of a zone stand.
    Checkpoint,
    /// Which key of a zone is in use.
    ZoneKey,
    /// That a member did what it must not.
    Accusation,
    /// That something no longer holds.
    Revocation,
    /// Who the members are: enrolment, removal, takeover.
    Membership,
}

/// Whose word a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// That of so many distinct members; never none.
    Members(usize),
    /// That of the owner or of an operator with the duty; no member's word adds to it or holds it up.
    Authority,
}

/// The members whose word counts during one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate {
    epoch: u64,
    fault_model: FaultModel,
    /// How many members the owner named, barred ones included.
    size: usize,
    keys: BTreeMap<NodeId, VerifyingKey<Node>>,
}

/// Why a membership makes no electorate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectorateError {
    /// It has no members.
    Empty,
    /// The signing key of a member is not known.
    KeyMissing(NodeId),
    /// Fewer than four members cannot decide anything while one of them may lie.
    TooFewForByzantine(usize),
}

impl fmt::Display for ElectorateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a mesh has at least one member"),
            Self::KeyMissing(node) => write!(f, "the signing key of the member {node} is not known"),
            Self::TooFewForByzantine(n) => {
                write!(f, "a mesh of {n} cannot bear a member that lies; that takes four")
            }
        }
    }
}

impl core::error::Error for ElectorateError {}

impl Electorate {
    /// The members of `membership`, whose signing keys are among `keys`. Keys of others are left out.
    ///
    /// # Errors
    /// What keeps this membership from deciding anything.
    //= docs/spec/quorum.md#eligibility
    pub fn new(
        membership: &Membership,
        keys: &BTreeMap<NodeId, VerifyingKey<Node>>,
    ) -> Result<Self, ElectorateError> {
        let n = membership.nodes.len();
        if n == 0 {
            return Err(ElectorateError::Empty);
        }
        if membership.fault_model == FaultModel::Byzantine && n < 4 {
            return Err(ElectorateError::TooFewForByzantine(n));
        }
        let key_of = |node: &NodeId| {
            let key = keys.get(node).ok_or_else(|| ElectorateError::KeyMissing(node.clone()))?;
            Ok((node.clone(), *key))
        };
        let keys = membership.nodes.iter().map(key_of).collect::<Result<_, _>>()?;
        Ok(Self { epoch: membership.epoch, fault_model: membership.fault_model, size: n, keys })
    }

    /// Makes the word of `node` count for nothing from now on; thresholds stay those of all members.
    //= docs/spec/quorum.md#eligibility
    pub fn bar(&mut self, node: &NodeId) {
        self.keys.remove(node);
    }

    /// The epoch of the membership.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many members the owner named.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The members whose word counts, and their signing keys.
    pub const fn keys(&self) -> &BTreeMap<NodeId, VerifyingKey<Node>> {
        &self.keys
    }

    /// Whether `node` is a member whose word counts.
    pub fn has(&self, node: &NodeId) -> bool {
        self.keys.contains_key(node)
    }

    /// The members whose word counts, in order.
    pub fn members(&self) -> impl Iterator<Item = &NodeId> {
        self.keys.keys()
    }

    /// How many members may fail, in the way that is assumed of them, while decisions stay possible and unique.
    //= docs/spec/quorum.md#fault-models
    pub fn faults(&self) -> usize {
        match self.fault_model {
            FaultModel::Crash => (self.size - 1) / 2,
            FaultModel::Byzantine => self.liars(),
        }
    }

    /// How many members may lie.
    pub fn liars(&self) -> usize {
        liars(self.size, self.fault_model)
    }

    /// The fewest members of whom any two sets share one that does not lie.
    //= docs/spec/quorum.md#fault-models
    pub fn quorum(&self) -> usize {
        quorum(self.size, self.fault_model)
    }

    /// Whose word `decision` needs.
    //= docs/spec/quorum.md#decisions
    pub fn need(&self, decision: Decision) -> Need {
        match decision {
            Decision::Lease
            | Decision::AuditHead
            | Decision::RevocationHead
            | Decision::Checkpoint
            | Decision::ZoneKey => Need::Members(self.quorum()),
            Decision::Accusation => Need::Members(self.liars() + 1),
            Decision::Revocation | Decision::Membership => Need::Authority,
        }
    }
}

/// Whether every quorum of `before` shares a member that does not lie with every quorum of `after`: then what the ones
/// promised, the others know.
//= docs/spec/quorum.md#consecutive-epochs
pub fn overlap(before: &Membership, after: &Membership) -> bool {
    let shared = before.nodes.intersection(&after.nodes).count();
    // The fewest shared members that a quorum has, when it has all of the others.
    let fewest = |membership: &Membership| {
        let n = membership.nodes.len();
        quorum(n, membership.fault_model).saturating_sub(n - shared)
    };
    let lying = |membership: &Membership| liars(membership.nodes.len(), membership.fault_model);
    fewest(before) + fewest(after) > shared + lying(before).max(lying(after))
}

fn liars(n: usize, fault_model: FaultModel) -> usize {
    match fault_model {
        FaultModel::Crash => 0,
        FaultModel::Byzantine => n.saturating_sub(1) / 3,
    }
}

fn quorum(n: usize, fault_model: FaultModel) -> usize {
    (n + liars(n, fault_model)) / 2 + 1
}
