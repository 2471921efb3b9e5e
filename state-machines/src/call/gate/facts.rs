//! What the gate reads: plain values, filled by the machines that own the state behind them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::encoding::json::{Json, Pointer};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CapabilityId, ConnectorId, CredentialId, Digest, NodeId, ObjectId, OperationId, PrincipalId, ZoneId,
};
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, Grant, ZonePolicy};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::token::resource::Resource;
use fcp_proto_core::zone::{Approval, Idempotency, Label, Level, Risk, SafetyTier};

/// All that a decision rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The zone the call is made in.
    pub zone_id: ZoneId,
    /// The zone the principal is enrolled in.
    pub principal_zone: ZoneId,
    /// Who asks.
    pub principal: PrincipalId,
    /// The connector asked for.
    pub connector_id: ConnectorId,
    /// The operation asked for.
    pub operation_id: OperationId,
    /// Checks 1 and 9; absent if the call bears no idempotency key.
    pub key: Option<KeyFacts>,
    /// Check 1.
    pub input: Result<InputFacts, Code>,
    /// Checks 2, 3 and 6.
    pub token: TokenFacts,
    /// Check 4.
    pub revocation: RevocationFacts,
    /// Check 5.
    pub holder: HolderFacts,
    /// Check 6: what is known of each grant the token names; a name without an entry is unknown.
    pub grants: BTreeMap<ObjectId, GrantFacts>,
    /// Check 7; absent if there is no such zone.
    pub zone: Option<ZoneFacts>,
    /// Check 8; absent if there is no such connector.
    pub connector: Option<ConnectorFacts>,
    /// Check 10: the first place where the input does not fit the schema.
    pub schema: Result<(), String>,
    /// Check 12.
    pub flow: FlowFacts,
    /// Check 13: the decided approvals that name this call's digest.
    pub approvals: Vec<ApprovalFacts>,
    /// Check 13: the approvals that the call names; if it names any, each of these is spent and no other.
    pub approvals_named: BTreeSet<ObjectId>,
    /// Check 13: the denials of calls of this operation that this principal asked for in this zone.
    pub denials: Vec<DenialFacts>,
    /// Check 14.
    pub lease: LeaseFacts,
    /// Check 15.
    pub rates: RateFacts,
}

/// The call as decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFacts {
    /// The input.
    pub json: Json,
    /// The input as canonical JSON.
    pub canonical: String,
    /// What identifies the call.
    pub call_digest: Digest,
    /// The resources it touches, by the operation's templates, sorted.
    pub resources: Vec<Resource>,
    /// The credentials it uses, by name; one that it names itself stands here whether it is stored or not.
    pub credentials: BTreeSet<CredentialId>,
    /// Check 11: whether the credential that the operation needs is there.
    pub slot: SlotFacts,
}

/// What a decision rests on and can change until its call is dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingFacts {
    /// What is known of each grant it stands on; a name without an entry is unknown.
    pub grants: BTreeMap<ObjectId, GrantFacts>,
    /// The zone the principal is enrolled in; absent if it is no more.
    pub principal_zone: Option<ZoneId>,
    /// The call's zone; absent if there is no such zone.
    pub zone: Option<ZoneFacts>,
    /// The connector; absent if there is no such connector.
    pub connector: Option<ConnectorFacts>,
    /// Whether every credential of the call is still stored for it.
    pub credentials_stored: bool,
    /// The denials of calls of this operation that this principal asked for in this zone.
    pub denials: Vec<DenialFacts>,
}

/// A grant, one whom it is for, and one of its operations.
#[derive(Clone, Copy, Debug)]
pub struct ProspectFacts<'a> {
    /// The grant's id.
    pub grant_id: &'a ObjectId,
    /// The grant.
    pub grant: &'a GrantFacts,
    /// Who would call.
    pub principal: &'a PrincipalId,
    /// The zone that it is enrolled in.
    pub principal_zone: &'a ZoneId,
    /// What it would call.
    pub operation_id: &'a OperationId,
    /// The grant's zone; absent if there is no such zone.
    pub zone: Option<&'a ZoneFacts>,
    /// The grant's connector; absent if there is no such connector.
    pub connector: Option<&'a ConnectorFacts>,
    /// What is revoked, whatever its token.
    pub revocation: &'a RevocationFacts,
    /// Whether a stored credential that the grant allows fills the operation's slot.
    pub slot: &'a SlotFacts,
}

/// Whether the credential that an operation needs is there, and which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotFacts {
    /// The operation needs none, or one stored credential fills its slot.
    Filled,
    /// No stored credential fills this slot, or not the one that the call names.
    Empty(String),
    /// Several that it is allowed fill this slot, and the call names none.
    Several(String),
    /// Some fill this slot and none of them is allowed; the call names none.
    NotAllowed(String),
}

/// What came of the token.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenFacts {
    /// The caller has proved its key and holds no token for this operation.
    Absent,
    /// The bytes are no token, for this reason.
    Malformed(Code),
    /// No known key has the token's key id.
    UnknownKey,
    /// The bytes are a token; the claims are the verifier's if the signature is valid, and not to be read if it is not.
    Decoded {
        /// The signature.
        signature: SignatureFacts,
        /// The claims.
        claims: Box<Claims>,
        /// The attestation that covers the issuing key, if there is one.
        issuer: Option<IssuerFacts>,
    },
}

impl TokenFacts {
    /// Why nothing of the token is believed, beyond what the refusal's code says.
    pub(crate) const fn why_unbelieved(&self) -> &'static str {
        match self {
            Self::UnknownKey => {
                "no device that is known here has the key that the token names as its signer's"
            }
            Self::Malformed(Code::TokenSignatureInvalid)
            | Self::Decoded { signature: SignatureFacts::Invalid, .. } => {
                "the claims or the signature were changed after the issuer signed them"
            }
            Self::Malformed(Code::TokenAudienceMismatch) => "it was issued for another node, zone or mesh",
            Self::Malformed(_) => "the bytes do not read as a token of this release",
            Self::Absent => "the caller has proved no key",
            Self::Decoded { signature: SignatureFacts::Valid, .. } => "the signature holds",
        }
    }
}

/// The verdict over a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFacts {
    /// It verifies under the key it names.
    Valid,
    /// It does not.
    Invalid,
}

/// The attestation behind an issuing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerFacts {
    /// The attested node.
    pub node_id: NodeId,
    /// From when.
    pub issued_at: UnixTime,
    /// Until when, exclusive.
    pub expires_at: UnixTime,
}

/// What is revoked, and how fresh that knowledge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFacts {
    /// The token's id.
    pub token: bool,
    /// The key that issued it.
    pub issuer_key: bool,
    /// The principal's own key.
    pub holder_key: bool,
    /// The node that would run the call, or the one that issued the token.
    pub node: bool,
    /// The connector's code, package or interface.
    pub connector: bool,
    /// The zone's key.
    pub zone_key: bool,
    /// Seconds since the members certified the revocation head.
    pub head_age_secs: u64,
    /// The head's number.
    pub head_seq: u64,
}

/// What the caller proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderFacts {
    /// Nothing.
    Missing,
    /// Its proof does not verify.
    Invalid,
    /// It holds this principal's key.
    Proved(PrincipalId),
}

/// A grant and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantFacts {
    /// The grant.
    pub grant: Grant,
    /// The zone of its header.
    pub zone_id: ZoneId,
    /// Whether the owner or a live operator with the right to grant signed it.
    pub signer_valid: bool,
    /// Check 13: whether whoever signed it may approve, too. Without that its standing approval spares nothing.
    pub approver_valid: bool,
    /// Whether it is revoked.
    pub revoked: bool,
    /// Whether it is for this principal, by name or by role.
    pub names_principal: bool,
    /// Calls made on it so far.
    pub calls_used: u64,
    /// Bytes sent and received on it so far.
    pub bytes_used: u64,
}

/// A zone as defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFacts {
    /// How far what the zone itself says is trusted.
    pub integrity: Level,
    /// How secret what it holds may be.
    pub confidentiality: Level,
    /// Its policy.
    pub policy: ZonePolicy,
}

/// A connector as installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorFacts {
    /// Whether calls may reach it.
    pub enabled: bool,
    /// The zones it is bound to.
    pub zones: BTreeSet<ZoneId>,
    /// Its interface.
    pub interface_hash: Digest,
    /// Its code.
    pub code_digest: Digest,
    /// Its configuration.
    pub config_digest: Digest,
    /// The operation; absent if the connector has no such one.
    pub operation: Option<OperationFacts>,
}

/// An operation as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationFacts {
    /// The capability it needs.
    pub capability: CapabilityId,
    /// Its risk.
    pub risk: Risk,
    /// Its tier.
    pub tier: SafetyTier,
    /// What a repeated call does.
    pub idempotency: Idempotency,
    /// Who must agree.
    pub approval: Approval,
    /// The role of the input's top-level fields; one that is not listed is control.
    pub roles: BTreeMap<String, Role>,
    /// How secret what it sends may be.
    pub audience: Level,
    /// The longest a call may take, in seconds.
    pub timeout_secs: u64,
}

/// The call's idempotency key. Without a key there are no such facts, so nothing can stand under an absent one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The caller's text, which may be no key at all.
    pub text: String,
    /// What stands under it.
    pub standing: KeyStanding,
}

/// What stands under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// Nothing: it is new.
    Fresh,
    /// The same call ended under it, with this receipt.
    Completed(ObjectId),
    /// Another call used it.
    OtherCall,
    /// The same call is under way.
    InProgress,
    /// The same call was dispatched and its outcome is unknown; this is its intent.
    Unknown(ObjectId),
    /// It is new, and no more keys can be remembered.
    NoRoom {
        /// Milliseconds until there is room, if that is known.
        retry_after_ms: Option<u64>,
    },
}

/// Where the input's values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFacts {
    /// The label of the principal's context, and so of whatever it writes itself.
    pub context: Label,
    /// Parts of the input that were taken from kept results.
    pub handles: Vec<HandleFacts>,
    /// The digest of all these labels.
    pub label_digest: Digest,
}

/// A part of the input that was taken from a kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleFacts {
    /// Where it stands in the input.
    pub at: Pointer,
    /// Its label.
    pub label: Label,
}

/// A decided approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalFacts {
    /// Its object id.
    pub id: ObjectId,
    /// Whether a live operator with the right to approve signed it; of a denial, whether one did who was that then.
    pub signer_valid: bool,
    /// Whether it is revoked.
    pub revoked: bool,
    /// The decision.
    pub decision: ApprovalDecision,
    /// What it permits.
    pub kinds: BTreeSet<ApprovalKind>,
    /// The call it is for.
    pub call_digest: Digest,
    /// The interface it saw.
    pub interface_hash: Digest,
    /// The code it saw.
    pub code_digest: Digest,
    /// The labels it saw.
    pub label_digest: Digest,
    /// Until when it can be used, exclusive.
    pub expires_at: UnixTime,
    /// Whether a call spent it.
    pub used: bool,
}

/// A call of the same operation by the same principal in the same zone, which a person denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenialFacts {
    /// The denial's object id.
    pub id: ObjectId,
    /// Whether it is revoked.
    pub revoked: bool,
    /// BLAKE3 of the canonical JSON of the denied input; where that is not known, any input is the denied one.
    pub input_digest: Option<Digest>,
    /// Until when it counts, exclusive.
    pub expires_at: UnixTime,
}

/// What is known of the lease over what the call touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseFacts {
    /// The operation needs none.
    NotNeeded,
    /// This node holds it.
    Held {
        /// Its fencing token.
        seq: u64,
        /// Until when, exclusive.
        expires_at: UnixTime,
    },
    /// This node does not hold it.
    Missing,
    /// Another node holds a newer one.
    Superseded,
}

/// What pools and budgets say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateFacts {
    /// There is room.
    Room,
    /// A pool is used up.
    Limited {
        /// The pool.
        pool: String,
        /// Milliseconds until there is room; absent if waiting makes none, or nobody knows.
        retry_after_ms: Option<u64>,
    },
    /// A budget is used up.
    BudgetExceeded {
        /// The budget.
        budget: String,
    },
    /// This node has no room to make or to count another call.
    Exhausted {
        /// What is used up, and what to do about it.
        rule: String,
    },
}
