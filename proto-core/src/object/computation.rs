//! Long work that another node can take over where it stands.

use core::fmt;

use super::{Certified, Header, Lease, LeasePurpose, Object, Schema, Signed, SignedBody};
use crate::encoding::cbor::{Bounded, ByteString, ShapeError};
use crate::ids::{ConnectorId, Digest, NodeId, ObjectId, TokenId};
use crate::time::UnixTime;
use crate::{cbor_map, cbor_tagged};

/// The largest state that stands in the checkpoint itself, in bytes; a larger one is chunked.
pub const MAX_INLINE_STATE_BYTES: usize = 256 * 1024;

cbor_tagged! {
    /// Where a computation stands.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ComputationState {
        /// Here.
        Inline = "inline" {
            /// The state.
            bytes: Bounded<ByteString, MAX_INLINE_STATE_BYTES>,
        },
        /// In chunks.
        Chunked = "chunked" {
            /// The manifest of the chunks.
            manifest: ObjectId,
            /// How many bytes they are together.
            total_bytes: u64,
            /// BLAKE3 of all of them.
            digest: Digest,
        },
    }
}

cbor_map! {
    /// Where a computation stands; signed by the node that holds its lease.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ComputationCheckpoint {
        /// The call that it works on.
        pub request_object_id: ObjectId,
        /// The connector that does.
        pub connector_id: ConnectorId,
        /// The node that did.
        pub holder: NodeId,
        /// 0, then one more each.
        pub seq: u64,
        /// The lease under which it was written.
        pub lease_object_id: ObjectId,
        /// That lease's fencing token.
        pub lease_seq: u64,
        /// The capability token that the work stands on.
        pub capability_token_id: TokenId,
        /// The newest receipt of an effect that is already made and is not to be made again.
        pub receipt_head: Option<ObjectId>,
        /// The state.
        pub state: ComputationState,
        /// When it was written.
        pub checkpointed_at: UnixTime,
    }
    => ComputationCheckpoint::check
}

impl ComputationCheckpoint {
    //= docs/spec/objects.md#computations
    fn check(&self) -> Result<(), ShapeError> {
        match &self.state {
            ComputationState::Chunked { total_bytes, .. }
                if usize::try_from(*total_bytes).is_ok_and(|total| total <= MAX_INLINE_STATE_BYTES) =>
            {
                Err(ShapeError::Invalid("a state of at most 256 KiB is not chunked"))
            }
            ComputationState::Inline { .. } | ComputationState::Chunked { .. } => Ok(()),
        }
    }
}

impl SignedBody for ComputationCheckpoint {
    const SCHEMA: Schema = Schema { namespace: "fcp.core", name: "ComputationCheckpoint", version: "1.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        let manifest = match self.state {
            ComputationState::Inline { .. } => None,
            ComputationState::Chunked { manifest, .. } => Some(manifest),
        };
        let named = [Some(self.request_object_id), Some(self.lease_object_id), self.receipt_head, manifest];
        if named.into_iter().flatten().all(|id| header.refs.contains(&id)) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a checkpoint refers to its call, its lease, its receipt and its chunks"))
        }
    }
}

/// Why a computation cannot be resumed from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// The lease is of another zone, is not over the call, or is not for this.
    LeaseMismatch,
    /// The lease is not newer than the one under which the checkpoint was written, nor that one itself.
    Fenced,
    /// Another receipt than the one that the checkpoint knows of was stored: an effect could be made twice.
    ReceiptMismatch,
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseMismatch => "the lease is not over this computation",
            Self::Fenced => "the checkpoint was written under a newer lease",
            Self::ReceiptMismatch => "an effect was made that the checkpoint does not know of",
        })
    }
}

impl core::error::Error for ResumeError {}

impl Object<Signed<ComputationCheckpoint>> {
    /// Whether the holder of `lease` may resume here, where `receipt_head` is the newest receipt that is stored for the call.
    ///
    /// # Errors
    /// The first rule that does not hold.
    //= docs/spec/objects.md#computations
    pub fn resumable_under(
        &self,
        lease_id: ObjectId,
        lease: &Object<Certified<Lease>>,
        receipt_head: Option<ObjectId>,
    ) -> Result<(), ResumeError> {
        let (this, fields) = (&self.body.fields, &lease.body.fields);
        let own = lease.header.zone_id == self.header.zone_id
            && fields.subject_object_id == this.request_object_id
            && fields.purpose == LeasePurpose::ComputationMigration;
        if !own {
            return Err(ResumeError::LeaseMismatch);
        }
        let same = lease_id == this.lease_object_id && fields.lease_seq == this.lease_seq;
        if !same && fields.lease_seq <= this.lease_seq {
            return Err(ResumeError::Fenced);
        }
        if receipt_head != this.receipt_head {
            return Err(ResumeError::ReceiptMismatch);
        }
        Ok(())
    }
}
