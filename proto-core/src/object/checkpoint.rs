//! Checkpoints: where all chains of a zone stand, certified by its members.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Certified, Header, Object, QuorumBody, Schema, Signed, SignedBody};
use crate::encoding::cbor::ShapeError;
use crate::ids::{NodeId, ObjectId};
use crate::time::UnixTime;
use crate::{cbor_map, cbor_tagged};

/// A checkpoint is due when the last one is older than this, in seconds.
pub const CHECKPOINT_INTERVAL_SECS: u64 = 60;
/// A checkpoint is due when the audit chains grew by more events than this.
pub const CHECKPOINT_AUDIT_EVENTS: u64 = 100;

cbor_map! {
    /// The end of a chain.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChainEnd {
        /// Its last link.
        pub head: ObjectId,
        /// The last link's number.
        pub seq: u64,
    }
}

cbor_map! {
    /// Where the header's zone stands: the root of what is kept; certified by the members.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneCheckpoint {
        /// 0, then one more each.
        pub checkpoint_seq: u64,
        /// The checkpoint before; absent at the first.
        pub prev_checkpoint: Option<ObjectId>,
        /// The end of the revocation chain; absent while nothing is revoked.
        pub revocation: Option<ChainEnd>,
        /// The end of each node's audit chain.
        pub audit: BTreeMap<NodeId, ChainEnd>,
        /// The zone's definition.
        pub zone_definition_head: ObjectId,
        /// The zone's policy.
        pub zone_policy_head: ObjectId,
        /// The manifest of the zone's key; absent while the zone has no shared key.
        pub active_zone_key_manifest: Option<ObjectId>,
        /// The epoch of the membership whose members certify it.
        pub as_of_epoch: u64,
        /// How old what is known of revocations may be, in seconds.
        pub revocation_freshness_sla_secs: u64,
    }
    => ZoneCheckpoint::check
}

impl ZoneCheckpoint {
    /// Everything it names in its own zone.
    pub fn named(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let heads = [Some(self.zone_definition_head), Some(self.zone_policy_head)];
        let optional = [
            self.prev_checkpoint,
            self.revocation.as_ref().map(|end| end.head),
            self.active_zone_key_manifest,
        ];
        heads.into_iter().chain(optional).flatten().chain(self.audit.values().map(|end| end.head))
    }

    //= docs/spec/objects.md#checkpoints
    fn check(&self) -> Result<(), ShapeError> {
        if (self.checkpoint_seq == 0) != self.prev_checkpoint.is_none() {
            return Err(ShapeError::Invalid("every checkpoint but number 0 names the one before"));
        }
        if self.audit.is_empty() {
            return Err(ShapeError::Invalid("a checkpoint certifies at least one audit chain"));
        }
        Ok(())
    }
}

impl QuorumBody for ZoneCheckpoint {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "ZoneCheckpoint", version: "1.0.0" };

    /// What a checkpoint does not refer to would not be kept.
    //= docs/spec/objects.md#checkpoints
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        let refs: BTreeSet<_> = header.refs.iter().copied().collect();
        if self.named().collect::<BTreeSet<_>>() == refs && header.refs.len() == refs.len() {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a checkpoint refers to exactly what it names, once each"))
        }
    }
}

/// Why one checkpoint does not follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is of another zone.
    ZoneMismatch,
    /// Its number is not the next one.
    OutOfSequence,
    /// It does not name the checkpoint before it.
    WrongPredecessor,
    /// A chain, the epoch or the time went back.
    WentBack,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZoneMismatch => "the checkpoint is of another zone",
            Self::OutOfSequence => "the checkpoint's number is not the next one",
            Self::WrongPredecessor => "the checkpoint does not name the one before it",
            Self::WentBack => "a chain, the epoch or the time goes back",
        })
    }
}

impl core::error::Error for CheckpointError {}

fn signers(checkpoint: &Object<Certified<ZoneCheckpoint>>) -> BTreeSet<NodeId> {
    checkpoint.body.quorum_signatures.as_slice().iter().map(|it| it.node_id.clone()).collect()
}

/// Whether `next` is no earlier point of a chain than `last`: a number has one link.
fn reaches(last: &ChainEnd, next: Option<&ChainEnd>) -> bool {
    next.is_some_and(|next| next.seq > last.seq || next == last)
}

impl Object<Certified<ZoneCheckpoint>> {
    /// Whether this checkpoint follows `last`, whose identity is `last_id`. Signatures are another question.
    ///
    /// # Errors
    /// The first rule that does not hold.
    //= docs/spec/objects.md#checkpoints
    pub fn follows(&self, last_id: ObjectId, last: &Self) -> Result<(), CheckpointError> {
        let (this, before) = (&self.body.fields, &last.body.fields);
        if self.header.zone_id != last.header.zone_id {
            return Err(CheckpointError::ZoneMismatch);
        }
        if before.checkpoint_seq.checked_add(1) != Some(this.checkpoint_seq) {
            return Err(CheckpointError::OutOfSequence);
        }
        if this.prev_checkpoint != Some(last_id) {
            return Err(CheckpointError::WrongPredecessor);
        }
        if self.goes_back_from(last) { Err(CheckpointError::WentBack) } else { Ok(()) }
    }

    /// Whether a chain, the epoch or the time is earlier here than in `last`, however many checkpoints are between.
    //= docs/spec/objects.md#checkpoints
    pub fn goes_back_from(&self, last: &Self) -> bool {
        let (this, before) = (&self.body.fields, &last.body.fields);
        let revocations = before.revocation.as_ref().is_none_or(|end| reaches(end, this.revocation.as_ref()));
        let audits = before.audit.iter().all(|(node, end)| reaches(end, this.audit.get(node)));
        let later =
            this.as_of_epoch >= before.as_of_epoch && self.header.created_at >= last.header.created_at;
        !(revocations && audits && later)
    }

    /// The nodes that signed both this checkpoint and `other`, if the two contradict each other.
    //= docs/spec/objects.md#checkpoints
    pub fn forks_from(&self, other: &Self) -> Option<BTreeSet<NodeId>> {
        let place = |it: &Self| (it.header.zone_id.clone(), it.body.fields.checkpoint_seq);
        let same = self.header == other.header && self.body.fields == other.body.fields;
        if same || place(self) != place(other) {
            return None;
        }
        Some(signers(self).intersection(&signers(other)).cloned().collect())
    }
}

cbor_tagged! {
    /// Why a checkpoint is proposed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum CheckpointTrigger {
        /// The last one is old.
        TimeElapsed = "time_elapsed" {
            /// How old, in seconds.
            elapsed_secs: u64,
            /// How old it may be.
            threshold_secs: u64,
        },
        /// The audit chains grew.
        AuditChainGrowth = "audit_chain_growth" {
            /// By how many events.
            new_events: u64,
            /// How many they may grow by.
            threshold: u64,
        },
        /// The revocation chain grew.
        RevocationChainGrowth = "revocation_chain_growth" {
            /// By how many links.
            new_events: u64,
        },
        /// The zone's policy changed.
        PolicyChange = "policy_change" {
            /// The policy before.
            old_policy_head: ObjectId,
            /// The policy now.
            new_policy_head: ObjectId,
        },
        /// A person asked for it.
        Manual = "manual" {
            /// Why.
            reason: Option<String>,
        },
    }
}

impl CheckpointTrigger {
    /// Whether it is a reason at all.
    //= docs/spec/objects.md#checkpoints
    pub fn is_due(&self) -> bool {
        match self {
            Self::TimeElapsed { elapsed_secs, threshold_secs } => elapsed_secs > threshold_secs,
            Self::AuditChainGrowth { new_events, threshold } => new_events > threshold,
            Self::RevocationChainGrowth { new_events } => *new_events > 0,
            Self::PolicyChange { old_policy_head, new_policy_head } => old_policy_head != new_policy_head,
            Self::Manual { .. } => true,
        }
    }
}

cbor_map! {
    /// A checkpoint put to the members' vote; signed by the node that coordinates it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CheckpointProposal {
        /// The header of the checkpoint that is voted on.
        pub checkpoint_header: Box<Header>,
        /// The checkpoint that is voted on.
        pub checkpoint: ZoneCheckpoint,
        /// Who proposes it.
        pub coordinator: NodeId,
        /// When.
        pub proposed_at: UnixTime,
        /// Why; at least one reason.
        pub triggers: Vec<CheckpointTrigger>,
    }
    => CheckpointProposal::check
}

impl CheckpointProposal {
    //= docs/spec/objects.md#checkpoints
    fn check(&self) -> Result<(), ShapeError> {
        if self.triggers.is_empty() || !self.triggers.iter().all(CheckpointTrigger::is_due) {
            return Err(ShapeError::Invalid("a proposal has reasons, and each of them is one"));
        }
        self.checkpoint.check_header(&self.checkpoint_header)
    }

    /// The checkpoint to vote on.
    pub fn to_vote_on(&self) -> Object<Certified<ZoneCheckpoint>> {
        Object::uncertified((*self.checkpoint_header).clone(), self.checkpoint.clone())
    }
}

impl SignedBody for CheckpointProposal {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "CheckpointProposal", version: "1.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        let own = self.checkpoint_header.zone_id == header.zone_id;
        let schema = self.checkpoint_header.schema == <ZoneCheckpoint as QuorumBody>::SCHEMA.id();
        if own && schema {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a proposal is for a checkpoint of its own zone"))
        }
    }
}

cbor_map! {
    /// Two checkpoints that claim one place; signed by the node that found them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CheckpointFork {
        /// The place.
        pub conflicting_seq: u64,
        /// The one, by the lower identity.
        pub checkpoint_a: ObjectId,
        /// The other.
        pub checkpoint_b: ObjectId,
        /// Who signed the one.
        pub signers_a: BTreeSet<NodeId>,
        /// Who signed the other.
        pub signers_b: BTreeSet<NodeId>,
        /// When it was found.
        pub detected_at: UnixTime,
        /// Who found it.
        pub detected_by: NodeId,
    }
    => CheckpointFork::check
}

impl CheckpointFork {
    fn check(&self) -> Result<(), ShapeError> {
        if self.checkpoint_a < self.checkpoint_b {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a fork names two checkpoints in the order of their identities"))
        }
    }

    /// Who signed both.
    pub fn double_signers(&self) -> BTreeSet<NodeId> {
        self.signers_a.intersection(&self.signers_b).cloned().collect()
    }
}

/// A checkpoint by its identity.
pub type NamedCheckpoint<'a> = (ObjectId, &'a Object<Certified<ZoneCheckpoint>>);

impl Object<Signed<CheckpointFork>> {
    /// Whether the two checkpoints are those that this evidence speaks of, contradict each other, and were signed as it
    /// says. Whether the signatures verify is another question.
    //= docs/spec/objects.md#checkpoints
    pub fn is_proven_by(&self, a: NamedCheckpoint<'_>, b: NamedCheckpoint<'_>) -> bool {
        let told = &self.body.fields;
        let is = |(id, it): NamedCheckpoint<'_>, named: ObjectId, by: &BTreeSet<NodeId>| {
            let place = (&it.header.zone_id, it.body.fields.checkpoint_seq);
            id == named && signers(it) == *by && place == (&self.header.zone_id, told.conflicting_seq)
        };
        is(a, told.checkpoint_a, &told.signers_a)
            && is(b, told.checkpoint_b, &told.signers_b)
            && a.1.forks_from(b.1).is_some()
    }
}

impl SignedBody for CheckpointFork {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "CheckpointFork", version: "1.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if [self.checkpoint_a, self.checkpoint_b].iter().all(|id| header.refs.contains(id)) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("evidence of a fork refers to both checkpoints"))
        }
    }
}
