//! The states of one key, each with exactly its data.

use fcp_proto_core::ids::{Digest, ObjectId};
use fcp_proto_core::time::UnixTime;

/// What stands under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The call is under way.
    InProgress(InProgress),
    /// The call has a receipt.
    Completed(Completed),
    /// The call was sent and its outcome is not known.
    Unknown(Unknown),
}

/// The call is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProgress {
    /// The durable intent.
    pub intent: ObjectId,
    /// The call that the key is bound to.
    pub call_digest: Digest,
}

/// The call has a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The receipt that answers the same call.
    pub receipt: ObjectId,
    /// The call that the key is bound to.
    pub call_digest: Digest,
    /// From then on the key is free.
    pub expires: UnixTime,
}

/// The call was sent and its outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The durable intent.
    pub intent: ObjectId,
    /// The call that the key is bound to.
    pub call_digest: Digest,
}

impl Entry {
    /// The call that the key is bound to.
    pub const fn call_digest(&self) -> Digest {
        match self {
            Self::InProgress(InProgress { call_digest, .. })
            | Self::Completed(Completed { call_digest, .. })
            | Self::Unknown(Unknown { call_digest, .. }) => *call_digest,
        }
    }

    /// The intent of a call that has no receipt.
    pub const fn intent(&self) -> Option<ObjectId> {
        match self {
            Self::InProgress(InProgress { intent, .. }) | Self::Unknown(Unknown { intent, .. }) => {
                Some(*intent)
            }
            Self::Completed(_) => None,
        }
    }

    /// From when the key is free by itself.
    pub const fn expires(&self) -> Option<UnixTime> {
        match self {
            Self::InProgress(_) | Self::Unknown(_) => None,
            Self::Completed(completed) => Some(completed.expires),
        }
    }

    /// Whether the key is free at `at`. Only what is completed expires.
    //= docs/spec/idempotency.md#expiry
    pub(super) fn has_expired(&self, at: UnixTime) -> bool {
        match self {
            Self::InProgress(_) | Self::Unknown(_) => false,
            Self::Completed(completed) => completed.expires <= at,
        }
    }
}
