//! Approvals: a call that needs a person's word, and the word.

use alloc::collections::BTreeSet;
use alloc::string::String;

use super::{Schema, SignedBody};
use crate::encoding::cbor::{self, CborError};
use crate::error::Code;
use crate::ids::{ConnectorId, CredentialId, Digest, ObjectId, OperationId, PrincipalId, ZoneId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

/// The domain of a call's digest.
const CALL_DOMAIN: &[u8] = b"FCP2-CALL-V1";

cbor_map! {
    /// Everything that makes a call this call and no other.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CallDigestInput {
        /// The version of this list: 1.
        pub format: u64,
        /// The zone it is made in.
        pub zone: ZoneId,
        /// Who makes it.
        pub principal: PrincipalId,
        /// The connector.
        pub connector: ConnectorId,
        /// The operation.
        pub operation: OperationId,
        /// The input as canonical JSON.
        pub input: String,
        /// The resources it touches.
        pub resources: BTreeSet<String>,
        /// The credentials it uses.
        pub credentials: BTreeSet<CredentialId>,
        /// The caller's key.
        pub idempotency_key: Option<String>,
    }
}

impl CallDigestInput {
    /// The call's digest: BLAKE3 over the domain and the canonical CBOR of this list.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    //= docs/spec/calls.md#the-call-digest
    pub fn digest(&self) -> Result<Digest, CborError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(CALL_DOMAIN);
        hasher.update(&cbor::encode(self)?);
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

cbor_enum! {
    /// What an approval permits.
    pub enum ApprovalKind {
        /// The call itself.
        Execution = "execution",
        /// The call although what drives it is less trusted than it needs.
        Elevation = "elevation",
        /// The call although what it sends is more secret than its audience.
        Declassification = "declassification",
    }
}

cbor_enum! {
    /// What a person decided.
    pub enum ApprovalDecision {
        /// The call may be made, once.
        Approve = "approve",
        /// It may not.
        Deny = "deny",
    }
}

cbor_map! {
    /// A call that waits for a person; signed by the node that filed it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApprovalRequest {
        /// The call with all its arguments.
        pub request: ObjectId,
        /// The call's digest.
        pub call_digest: Digest,
        /// The connector's interface at that time.
        pub interface_hash: Digest,
        /// The connector's code at that time.
        pub code_digest: Digest,
        /// The labels of its inputs at that time.
        pub label_digest: Digest,
        /// What is asked for.
        pub kinds: BTreeSet<ApprovalKind>,
        /// Why it was refused without.
        pub missing: Code,
        /// What the caller says about it.
        pub note: Option<String>,
        /// When.
        pub requested_at: UnixTime,
        /// Until when it can be decided.
        pub expires_at: UnixTime,
    }
}

cbor_map! {
    /// A person's decision over a request; signed by an operator with `approve`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApprovalToken {
        /// The request.
        pub approval_request: ObjectId,
        /// The call's digest.
        pub call_digest: Digest,
        /// The interface it saw.
        pub interface_hash: Digest,
        /// The code it saw.
        pub code_digest: Digest,
        /// The labels it saw.
        pub label_digest: Digest,
        /// What it permits.
        pub kinds: BTreeSet<ApprovalKind>,
        /// The decision.
        pub decision: ApprovalDecision,
        /// When.
        pub decided_at: UnixTime,
        /// Until when it can be used, exclusive.
        pub expires_at: UnixTime,
        /// What the person says about it.
        pub note: Option<String>,
    }
}

impl SignedBody for ApprovalRequest {
    const SCHEMA: Schema = Schema { namespace: "fcp.approval", name: "ApprovalRequest", version: "1.0.0" };
}

impl SignedBody for ApprovalToken {
    const SCHEMA: Schema = Schema { namespace: "fcp.approval", name: "ApprovalToken", version: "1.0.0" };
}
