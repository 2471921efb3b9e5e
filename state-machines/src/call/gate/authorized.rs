//! The proof that a call may be dispatched.

use alloc::collections::BTreeSet;
use alloc::string::String;

use fcp_proto_core::ids::{
    ConnectorId, CredentialId, Digest, ObjectId, OperationId, PrincipalId, TokenId, ZoneId,
};
use fcp_proto_core::object::ApprovalKind;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

/// What the decision was checked against; if it no longer holds at dispatch, the call is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The revocation head's number.
    pub revocation_seq: u64,
    /// When.
    pub checked_at: UnixTime,
    /// The token.
    pub token_id: TokenId,
    /// How long the token lives, from its making to its end.
    pub token_secs: u64,
    /// When the token or the attestation of its issuer ends, whichever is first, exclusive.
    pub token_ends: UnixTime,
    /// When the token's constraints end, exclusive, if they do.
    pub constraints_end: Option<UnixTime>,
    /// When the first of the approvals that it spends ends, exclusive, if it spends any.
    pub approvals_end: Option<UnixTime>,
    /// The zone's integrity and confidentiality.
    pub levels: (Level, Level),
}

/// Proof that the gate passed this very call. It owns the call: what is dispatched is what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized {
    pub(super) zone: ZoneId,
    pub(super) principal: PrincipalId,
    pub(super) connector: ConnectorId,
    pub(super) operation: OperationId,
    pub(super) input: String,
    pub(super) call_digest: Digest,
    pub(super) resources: BTreeSet<String>,
    pub(super) credentials: BTreeSet<CredentialId>,
    pub(super) idempotency_key: Option<String>,
    pub(super) interface_hash: Digest,
    pub(super) code_digest: Digest,
    pub(super) grants: BTreeSet<ObjectId>,
    pub(super) approvals: BTreeSet<ObjectId>,
    pub(super) standing_approval: Option<ObjectId>,
    pub(super) kinds: BTreeSet<ApprovalKind>,
    pub(super) input_label: Label,
    pub(super) lease_seq: Option<u64>,
    pub(super) seal: Seal,
}

/// Read access to what was authorized.
macro_rules! getters {
    ($($(#[$meta:meta])* $field:ident : $type:ty),+ $(,)?) => {
        impl Authorized {
            $($(#[$meta])* pub fn $field(&self) -> &$type { &self.$field })+
        }
    };
}

getters! {
    /// The zone.
    zone: ZoneId,
    /// Who asked.
    principal: PrincipalId,
    /// The connector.
    connector: ConnectorId,
    /// The operation.
    operation: OperationId,
    /// The input as canonical JSON: what the connector gets.
    input: str,
    /// The call's digest.
    call_digest: Digest,
    /// The resources it touches.
    resources: BTreeSet<String>,
    /// The credentials it may use.
    credentials: BTreeSet<CredentialId>,
    /// The caller's key.
    idempotency_key: Option<String>,
    /// The connector's interface as decided upon.
    interface_hash: Digest,
    /// The connector's code as decided upon.
    code_digest: Digest,
    /// The grants it stands on.
    grants: BTreeSet<ObjectId>,
    /// The approvals it spends.
    approvals: BTreeSet<ObjectId>,
    /// The grant by whose standing approval a person had agreed beforehand, if that spared it an approval.
    standing_approval: Option<ObjectId>,
    /// What a person agreed to, by those approvals or beforehand.
    kinds: BTreeSet<ApprovalKind>,
    /// The merged label of its inputs.
    input_label: Label,
    /// The fencing token of its lease.
    lease_seq: Option<u64>,
    /// What it was checked against.
    seal: Seal,
}
