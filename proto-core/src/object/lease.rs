//! Leases: one node's right to act on one subject for a time, and its passing on.

use alloc::collections::BTreeMap;
use core::fmt;

use super::{CertificateError, Certified, Header, Object, QuorumBody, Schema, SignedBody};
use crate::crypto::role::Node;
use crate::crypto::sign::VerifyingKey;
use crate::encoding::cbor::ShapeError;
use crate::ids::{NodeId, ObjectId, ZoneId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

cbor_enum! {
    /// What a lease is for.
    pub enum LeasePurpose {
        /// To dispatch an operation.
        OperationExecution = "operation_execution",
        /// To write a connector's state.
        ConnectorStateWrite = "connector_state_write",
        /// To take over a computation.
        ComputationMigration = "computation_migration",
        /// To coordinate.
        CoordinatorElection = "coordinator_election",
        /// To move a connector.
        Migration = "migration",
        /// To use a resource alone.
        ResourceAccess = "resource_access",
    }
}

cbor_map! {
    /// A node's right to act on a subject of the header's zone; certified by the members.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Lease {
        /// Who may act.
        pub holder: NodeId,
        /// The fencing token: rises with every lease over the subject, and the higher one wins whatever clocks say.
        pub lease_seq: u64,
        /// Until when, exclusive.
        pub exp: UnixTime,
        /// What it is over.
        pub subject_object_id: ObjectId,
        /// What for.
        pub purpose: LeasePurpose,
    }
}

impl QuorumBody for Lease {
    const SCHEMA: Schema = Schema { namespace: "fcp.lease", name: "lease", version: "1.0.0" };

    //= docs/spec/objects.md#leases
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if header.refs != [self.subject_object_id] {
            return Err(ShapeError::Invalid("a lease refers to its subject and nothing else"));
        }
        if self.exp <= header.created_at
            || header.ttl_secs != Some(self.exp.saturating_since(header.created_at))
        {
            return Err(ShapeError::Invalid(
                "a lease may be forgotten when it ends, and ends after it was made",
            ));
        }
        Ok(())
    }
}

/// The newest lease over a subject that a verifier knows of, expired or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFrontier {
    /// Its fencing token.
    pub lease_seq: u64,
    /// Its holder.
    pub holder: NodeId,
}

/// What a lease must be to be relied on.
#[derive(Clone, Copy, Debug)]
pub struct LeaseDemand<'a> {
    /// The subject's zone.
    pub zone: &'a ZoneId,
    /// The subject.
    pub subject: ObjectId,
    /// What it must be for.
    pub purpose: LeasePurpose,
    /// The newest one known; absent if none is.
    pub newest: Option<&'a LeaseFrontier>,
    /// The nodes whose signatures count.
    pub voters: &'a BTreeMap<NodeId, VerifyingKey<Node>>,
    /// How many of them must have signed.
    pub required: usize,
}

/// Why a lease is not to be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseError {
    /// It is over.
    Expired,
    /// It is over another subject.
    SubjectMismatch,
    /// It is of another zone.
    ZoneMismatch,
    /// It is for something else.
    PurposeMismatch,
    /// A newer one is known.
    Superseded,
    /// Another node holds one with the same fencing token.
    Conflict,
    /// The members do not stand behind it.
    Certificate(CertificateError),
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the lease is over"),
            Self::SubjectMismatch => f.write_str("the lease is over another subject"),
            Self::ZoneMismatch => f.write_str("the lease is of another zone"),
            Self::PurposeMismatch => f.write_str("the lease is for something else"),
            Self::Superseded => f.write_str("a newer lease is known"),
            Self::Conflict => f.write_str("another node holds a lease with the same fencing token"),
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LeaseError {}

impl Object<Certified<Lease>> {
    /// Whether the lease can be relied on `now`.
    ///
    /// # Errors
    /// The first demand that it does not meet.
    //= docs/spec/objects.md#leases
    pub fn validate(&self, demand: &LeaseDemand<'_>, now: UnixTime) -> Result<(), LeaseError> {
        let lease = &self.body.fields;
        if now >= lease.exp {
            return Err(LeaseError::Expired);
        }
        if lease.subject_object_id != demand.subject {
            return Err(LeaseError::SubjectMismatch);
        }
        if self.header.zone_id != *demand.zone {
            return Err(LeaseError::ZoneMismatch);
        }
        if lease.purpose != demand.purpose {
            return Err(LeaseError::PurposeMismatch);
        }
        if let Some(newest) = demand.newest {
            if lease.lease_seq < newest.lease_seq {
                return Err(LeaseError::Superseded);
            }
            if lease.lease_seq == newest.lease_seq && lease.holder != newest.holder {
                return Err(LeaseError::Conflict);
            }
        }
        self.verify(demand.voters, demand.required).map_err(LeaseError::Certificate)
    }
}

cbor_map! {
    /// The passing of a lease from one node to another; signed by the node that coordinates it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LeaseHandoff {
        /// The lease that ends.
        pub previous_lease_id: ObjectId,
        /// The lease that begins.
        pub next_lease_id: ObjectId,
        /// Who gives.
        pub from_holder: NodeId,
        /// Who takes.
        pub to_holder: NodeId,
        /// What both are over.
        pub subject_object_id: ObjectId,
        /// What both are for.
        pub purpose: LeasePurpose,
        /// The fencing token that ends.
        pub previous_token: u64,
        /// The fencing token that begins; higher.
        pub next_token: u64,
        /// When.
        pub transferred_at: UnixTime,
        /// What the taker must rebuild before it acts.
        pub checkpoint_object_id: Option<ObjectId>,
    }
    => LeaseHandoff::check
}

impl LeaseHandoff {
    //= docs/spec/objects.md#leases
    fn check(&self) -> Result<(), ShapeError> {
        if self.previous_lease_id == self.next_lease_id || self.from_holder == self.to_holder {
            return Err(ShapeError::Invalid("a handoff leads from one lease and holder to others"));
        }
        if self.next_token <= self.previous_token {
            return Err(ShapeError::Invalid("a handoff raises the fencing token"));
        }
        Ok(())
    }
}

impl SignedBody for LeaseHandoff {
    const SCHEMA: Schema = Schema { namespace: "fcp.lease", name: "handoff", version: "1.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        let named = [Some(self.previous_lease_id), Some(self.next_lease_id), self.checkpoint_object_id];
        if named.into_iter().flatten().all(|id| header.refs.contains(&id)) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a handoff refers to its leases and its checkpoint"))
        }
    }
}

/// A lease by its identity.
pub type NamedLease<'a> = (ObjectId, &'a Object<Certified<Lease>>);

impl Object<super::Signed<LeaseHandoff>> {
    /// Whether the handoff leads from one lease to the other, while the first one holds.
    ///
    /// # Errors
    /// [`LeaseError::Expired`] if the first one is over when it is passed on; else what does not agree.
    //= docs/spec/objects.md#leases
    pub fn leads(&self, from: NamedLease<'_>, to: NamedLease<'_>) -> Result<(), LeaseError> {
        let handoff = &self.body.fields;
        let ((from_id, from), (to_id, to)) = (from, to);
        let ends = (handoff.previous_lease_id, &handoff.from_holder, handoff.previous_token);
        let begins = (handoff.next_lease_id, &handoff.to_holder, handoff.next_token);
        if handoff.transferred_at >= from.body.fields.exp {
            return Err(LeaseError::Expired);
        }
        for ((id, holder, token), named, lease) in [(ends, from_id, from), (begins, to_id, to)] {
            let fields = &lease.body.fields;
            if lease.header.zone_id != self.header.zone_id {
                return Err(LeaseError::ZoneMismatch);
            }
            if fields.subject_object_id != handoff.subject_object_id {
                return Err(LeaseError::SubjectMismatch);
            }
            if fields.purpose != handoff.purpose {
                return Err(LeaseError::PurposeMismatch);
            }
            if (id, holder, token) != (named, &fields.holder, fields.lease_seq) {
                return Err(LeaseError::Conflict);
            }
        }
        Ok(())
    }
}
