//! Who may do what: keys and their delegations, roles and grants.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Schema, SignedBody};
use crate::crypto::role;
use crate::crypto::sign::VerifyingKey;
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::ids::{CapabilityId, ConnectorId, Digest, NodeId, ObjectId, OperationId, PrincipalId, RoleId};
use crate::time::UnixTime;
use crate::token::constraints::Constraints;
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// The root of all authority of a home; signed by itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OwnerRoot {
        /// Random bytes that name the home.
        pub home_id: [u8; 32],
        /// The owner's Ed25519 key.
        pub public_key: VerifyingKey<role::Owner>,
    }
}

cbor_map! {
    /// The owner's next key; signed by the one before. It has force together with a membership of its epoch that the
    /// next key signed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OwnerSuccession {
        /// The home.
        pub home_id: [u8; 32],
        /// The next key; the same again if only what it signed is to end.
        pub public_key: VerifyingKey<role::Owner>,
        /// The first epoch of the next key.
        pub epoch: u64,
    }
}

cbor_enum! {
    /// What an operator key may do.
    pub enum OperatorRight {
        /// Decide over requests.
        Approve = "approve",
        /// Make and narrow grants, enrol principals.
        Grant = "grant",
        /// Install, enable and remove connectors, and lower walls for them.
        Install = "install",
        /// Store credentials.
        Auth = "auth",
        /// Define zones and their policies.
        Zones = "zones",
        /// Revoke.
        Revoke = "revoke",
    }
}

cbor_map! {
    /// A key that acts for the owner; signed by the owner.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OperatorDelegation {
        /// The operator's name.
        pub operator: PrincipalId,
        /// Its Ed25519 key.
        pub public_key: VerifyingKey<role::Operator>,
        /// What it may do; empty means nothing.
        pub rights: BTreeSet<OperatorRight>,
        /// From when.
        pub not_before: UnixTime,
        /// Until when, exclusive; absent means until revoked.
        pub expires_at: Option<UnixTime>,
    }
}

cbor_map! {
    /// A device of the owner and its keys; signed by the owner.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NodeAttestation {
        /// The node's name.
        pub node_id: NodeId,
        /// Ed25519, for what the node asserts.
        pub signing_key: VerifyingKey<role::Node>,
        /// X25519, for what is sealed to it.
        pub encryption_key: [u8; 32],
        /// Ed25519, for the tokens it mints.
        pub issuance_key: VerifyingKey<role::Issuance>,
        /// Free tags that placement and policy may use.
        pub tags: Vec<String>,
        /// From when.
        pub issued_at: UnixTime,
        /// Until when, exclusive.
        pub expires_at: UnixTime,
        /// Makes each attestation unique.
        pub nonce: [u8; 32],
    }
}

cbor_enum! {
    /// What the members of a mesh are assumed to do when they fail.
    pub enum FaultModel {
        /// They stop.
        Crash = "crash",
        /// They may lie.
        Byzantine = "byzantine",
    }
}

cbor_map! {
    /// The owner's devices; signed by the owner.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Membership {
        /// Rises by one with every change.
        pub epoch: u64,
        /// The members.
        pub nodes: BTreeSet<NodeId>,
        /// What is assumed of them.
        pub fault_model: FaultModel,
    }
}

cbor_map! {
    /// A set of grants that principals can share; signed by the owner or an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Role {
        /// The role's name.
        pub role_id: RoleId,
        /// What it is for.
        pub description: String,
    }
}

cbor_map! {
    /// A principal's membership of a role; signed by the owner or an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RoleAssignment {
        /// The role.
        pub role_id: RoleId,
        /// Who has it.
        pub principal: PrincipalId,
    }
}

cbor_map! {
    /// The end of a principal's membership of a role, or of the role itself and every grant to it; signed by the owner or
    /// an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RoleWithdrawal {
        /// The role.
        pub role_id: RoleId,
        /// Who loses it; absent means that the role is no more.
        pub principal: Option<PrincipalId>,
        /// Why.
        pub reason: Option<String>,
    }
}

cbor_map! {
    /// An agent and its key, in the zone of the header; signed by the owner or an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Enrolment {
        /// The agent's name.
        pub principal: PrincipalId,
        /// Its Ed25519 key.
        pub public_key: VerifyingKey<role::Agent>,
        /// Where the agent keeps its key, as it says.
        pub key_source: String,
    }
}

/// Who a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// One principal.
    Principal(PrincipalId),
    /// Everyone who has a role.
    Role(RoleId),
}

impl ToCbor for Grantee {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        match self {
            Self::Principal(principal) => map.field("principal", principal),
            Self::Role(role) => map.field("role", role),
        }
        map.finish()
    }
}

impl FromCbor for Grantee {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let grantee = match (fields.field("principal")?, fields.field("role")?) {
            (Some(principal), None) => Self::Principal(principal),
            (None, Some(role)) => Self::Role(role),
            (Some(_), Some(_)) | (None, None) => {
                return Err(ShapeError::Invalid("a grantee is either a principal or a role"));
            }
        };
        fields.finish()?;
        Ok(grantee)
    }
}

cbor_map! {
    /// Leave to call operations of one connector in the header's zone; signed by the owner or an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Grant {
        /// Who may.
        pub grantee: Grantee,
        /// The connector.
        pub connector: ConnectorId,
        /// The capabilities it gives.
        pub capabilities: BTreeSet<CapabilityId>,
        /// The operations it gives; empty means none.
        pub operations: BTreeSet<OperationId>,
        /// What bounds each call; empty means none.
        pub constraints: Constraints,
        /// From when.
        pub not_before: UnixTime,
        /// Until when, exclusive.
        pub expires_at: UnixTime,
        /// The request it answers, if any: a [`GrantRequest`], or the `ApprovalRequest` that was decided together with it.
        pub request: Option<ObjectId>,
        /// What a person agreed to beforehand; absent means nothing, and every call that needs a person asks for one.
        pub standing_approval: Option<StandingApproval>,
    }
}

cbor_map! {
    /// A person's word, given beforehand, for calls that a [`Grant`] permits: it spares them the approval of kind
    /// `execution`, and no other. It counts if the grant's signer may approve, too.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StandingApproval {
        /// The interface of the connector that the person saw; nothing is spared of another.
        pub interface_hash: Digest,
        /// The code of that connector, as above.
        pub code_digest: Digest,
        /// BLAKE3 of the canonical JSON of the one input that it is for; absent means every input that the grant permits.
        pub input_digest: Option<Digest>,
        /// BLAKE3 of the canonical JSON of the configuration, with its defaults, that the connector had; absent means any.
        pub config_digest: Option<Digest>,
    }
}

impl StandingApproval {
    /// Whether it is for a connector with this configuration.
    pub fn is_for_config(&self, digest: &Digest) -> bool {
        self.config_digest.as_ref().is_none_or(|given| given == digest)
    }

    /// Whether it is for this input.
    pub fn is_for_input(&self, digest: &Digest) -> bool {
        self.input_digest.as_ref().is_none_or(|given| given == digest)
    }
}

cbor_map! {
    /// Leave that an agent asks for, in the header's zone; signed by the node that filed it. A [`Grant`] that names it
    /// answers it, or a [`GrantDenial`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GrantRequest {
        /// Who asks.
        pub principal: PrincipalId,
        /// The connector.
        pub connector: ConnectorId,
        /// The operations it wishes to call.
        pub operations: BTreeSet<OperationId>,
        /// The bounds within which it wishes to call them.
        pub constraints: Constraints,
        /// For how long, in seconds.
        pub lifetime_secs: u64,
        /// What the agent says about it.
        pub note: Option<String>,
        /// When.
        pub requested_at: UnixTime,
        /// Until when it can be decided, exclusive.
        pub expires_at: UnixTime,
        /// The connector's interface when it was filed. No grant answers a request that does not say it.
        pub interface_hash: Option<Digest>,
        /// The connector's code when it was filed, as above.
        pub code_digest: Option<Digest>,
    }
}

cbor_map! {
    /// A person's no to a [`GrantRequest`]; signed by the owner or an operator.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GrantDenial {
        /// The request.
        pub request: ObjectId,
        /// What the person says about it.
        pub note: Option<String>,
    }
}

impl SignedBody for OwnerRoot {
    const SCHEMA: Schema = Schema { namespace: "fcp.owner", name: "Root", version: "1.0.0" };
}

impl SignedBody for OwnerSuccession {
    const SCHEMA: Schema = Schema { namespace: "fcp.owner", name: "Succession", version: "1.0.0" };
}

impl SignedBody for OperatorDelegation {
    const SCHEMA: Schema = Schema { namespace: "fcp.owner", name: "OperatorDelegation", version: "1.0.0" };
}

impl SignedBody for NodeAttestation {
    const SCHEMA: Schema = Schema { namespace: "fcp.membership", name: "NodeAttestation", version: "1.0.0" };
}

impl SignedBody for Membership {
    const SCHEMA: Schema = Schema { namespace: "fcp.membership", name: "Membership", version: "1.0.0" };
}

impl SignedBody for Role {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "Role", version: "1.0.0" };
}

impl SignedBody for RoleAssignment {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "RoleAssignment", version: "1.0.0" };
}

impl SignedBody for RoleWithdrawal {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "RoleWithdrawal", version: "1.0.0" };
}

impl SignedBody for GrantRequest {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "GrantRequest", version: "1.0.0" };
}

impl SignedBody for GrantDenial {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "GrantDenial", version: "1.0.0" };
}

impl SignedBody for Enrolment {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "Enrolment", version: "1.0.0" };
}

impl SignedBody for Grant {
    const SCHEMA: Schema = Schema { namespace: "fcp.grant", name: "Grant", version: "1.0.0" };
}
