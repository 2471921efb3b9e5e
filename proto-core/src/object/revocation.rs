//! Revocations, and the chain that makes them known.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Header, QuorumBody, Schema, SignedBody};
use crate::encoding::cbor::{ByteString, ShapeError};
use crate::ids::ObjectId;
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

cbor_enum! {
    /// What kind of thing is revoked, and so how its targets are named.
    pub enum RevocationScope {
        /// A token (its 16-byte id) or a grant (its 32-byte object id).
        Capability = "Capability",
        /// A node's issuance key (its 8-byte key id) or a principal's or operator's key.
        IssuerKey = "IssuerKey",
        /// A node (the UTF-8 bytes of its id).
        NodeAttestation = "NodeAttestation",
        /// A zone's key (its 8-byte key id).
        ZoneKey = "ZoneKey",
        /// A connector's code, package or interface (a 32-byte digest).
        ConnectorBinary = "ConnectorBinary",
    }
}

cbor_map! {
    /// What must no longer be honoured; signed by the owner, an operator with `revoke`, or a node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RevocationObject {
        /// The kind of the targets.
        pub scope: RevocationScope,
        /// What is revoked.
        pub targets: Vec<ByteString>,
        /// Why.
        pub reason: String,
        /// From when.
        pub effective_at: UnixTime,
        /// Until when, exclusive; absent means for ever.
        pub expires_at: Option<UnixTime>,
    }
}

cbor_map! {
    /// A link of a zone's revocation chain; signed by the node that took it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RevocationEvent {
        /// The revocation.
        pub revocation: ObjectId,
        /// The link before; absent at the first.
        pub prev: Option<ObjectId>,
        /// 0, then one more each.
        pub seq: u64,
        /// When the node took it.
        pub occurred_at: UnixTime,
    }
}

cbor_map! {
    /// The chain's head as certified by the members; a mesh of one certifies itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RevocationHead {
        /// The last link; absent while nothing is revoked.
        pub head_event: Option<ObjectId>,
        /// How many links there are.
        pub head_seq: u64,
        /// When it was certified.
        pub as_of: UnixTime,
    }
}

cbor_map! {
    /// The chain's end as certified by a quorum of the members of a mesh.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneRevocationHead {
        /// The last link; absent while nothing is revoked.
        pub head_event: Option<ObjectId>,
        /// How many links there are.
        pub head_seq: u64,
        /// The epoch of the membership whose members certify it.
        pub epoch: u64,
        /// When it was certified.
        pub as_of: UnixTime,
    }
    => ZoneRevocationHead::check
}

impl ZoneRevocationHead {
    //= docs/spec/objects.md#certified-heads
    fn check(&self) -> Result<(), ShapeError> {
        if (self.head_seq == 0) == self.head_event.is_none() {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a chain has a last link exactly if it has links"))
        }
    }

    /// Whether a node that knows `links` links knows all that this head certifies.
    //= docs/spec/objects.md#certified-heads
    pub fn is_covered_by(&self, links: u64) -> bool {
        links >= self.head_seq
    }
}

impl QuorumBody for ZoneRevocationHead {
    const SCHEMA: Schema = Schema { namespace: "fcp.revoke", name: "RevocationHead", version: "2.0.0" };

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if self.head_event.is_none_or(|id| header.refs.contains(&id)) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a head refers to the last link"))
        }
    }
}

impl SignedBody for RevocationObject {
    const SCHEMA: Schema = Schema { namespace: "fcp.revoke", name: "Revocation", version: "1.0.0" };
}

impl SignedBody for RevocationEvent {
    const SCHEMA: Schema = Schema { namespace: "fcp.revoke", name: "RevocationEvent", version: "1.0.0" };
}

impl SignedBody for RevocationHead {
    const SCHEMA: Schema = Schema { namespace: "fcp.revoke", name: "RevocationHead", version: "1.0.0" };
}
