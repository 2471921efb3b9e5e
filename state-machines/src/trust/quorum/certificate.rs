//! Certificates of one epoch: what so many distinct members signed that nothing else can be signed as well.

use alloc::collections::BTreeSet;
use core::fmt;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{
    CertificateError, Certified, Object, QuorumBody, ZoneAuditHead, ZoneCheckpoint, ZoneRevocationHead,
};

use super::Electorate;

/// A body that says in which epoch it was decided, so that its signatures count in no other.
pub trait OfEpoch: QuorumBody {
    /// The epoch of the membership whose members signed.
    fn epoch(&self) -> u64;
}

impl OfEpoch for ZoneRevocationHead {
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl OfEpoch for ZoneAuditHead {
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl OfEpoch for ZoneCheckpoint {
    fn epoch(&self) -> u64 {
        self.as_of_epoch
    }
}

/// Proof that a quorum of an epoch's members signed this very object. Only [`Electorate::certify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByQuorum<T>(Object<Certified<T>>);

impl<T> ByQuorum<T> {
    /// The object.
    pub const fn object(&self) -> &Object<Certified<T>> {
        &self.0
    }

    /// What is certified.
    pub const fn fields(&self) -> &T {
        &self.0.body.fields
    }

    /// The object, without the proof.
    pub fn into_object(self) -> Object<Certified<T>> {
        self.0
    }
}

/// Why an object is not what the members decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumError {
    /// It was decided in another epoch.
    Epoch {
        /// Which one.
        found: u64,
        /// Which one it must be.
        expected: u64,
    },
    /// The signatures do not suffice.
    Certificate(CertificateError),
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch { found, expected } => {
                write!(f, "it was decided in epoch {found}, and this is epoch {expected}")
            }
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for QuorumError {}

impl Electorate {
    /// Whether a quorum of this epoch's members signed `object`, and nobody else did.
    ///
    /// # Errors
    /// The epoch, or what is wrong with the signatures.
    //= docs/spec/quorum.md#certificates-of-an-epoch
    pub fn certify<T: OfEpoch>(&self, object: Object<Certified<T>>) -> Result<ByQuorum<T>, QuorumError> {
        let found = object.body.fields.epoch();
        if found != self.epoch() {
            return Err(QuorumError::Epoch { found, expected: self.epoch() });
        }
        object.verify(self.keys(), self.quorum()).map_err(QuorumError::Certificate)?;
        Ok(ByQuorum(object))
    }

    /// Whether enough of `accusers` are members other than `accused` for one of them not to lie. Each counts once, and
    /// the caller has verified that each of them said so.
    //= docs/spec/quorum.md#decisions
    pub fn believes(&self, accused: &NodeId, accusers: &BTreeSet<NodeId>) -> bool {
        accusers.iter().filter(|node| *node != accused && self.has(node)).count() > self.liars()
    }
}
