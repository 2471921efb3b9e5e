//! How a caller proves who it is: challenges, operators, agents' sessions.

use fcp_proto_core::crypto::sign::Signature;
use fcp_proto_core::ids::{NodeId, PrincipalId, ZoneId};
use fcp_proto_core::object::OperatorRight;
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::hex::Hex;
use crate::schema;
use crate::secret::Secret;

/// Bytes to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengeIssued {
    /// The node that issued them, which the signed message names too.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// Names this connection; a session can be opened only on the connection whose binding its proof signs.
    #[schema(value_type = schema::Challenge)]
    pub channel_binding: Hex<32>,
    /// Random, for one use.
    #[schema(value_type = schema::Challenge)]
    pub challenge: Hex<32>,
    /// Until when it can be used.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}

/// A signature that proves a key, over the statement of [`fcp_proto_core::crypto::proof`] that the route asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyProof {
    /// The challenge it answers.
    #[schema(value_type = schema::Challenge)]
    pub challenge: Hex<32>,
    /// The signature.
    #[schema(value_type = schema::Signature)]
    pub signature: Signature,
}

/// What opens or keeps a stored key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeySourceRequest {
    /// A passphrase, stretched by Argon2id.
    Passphrase {
        /// The passphrase.
        passphrase: Secret,
    },
}

/// Opens an operator's key for this connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockOperator {
    /// Which operator; may be absent while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub operator: Option<PrincipalId>,
    /// What opens the key.
    pub key_source: KeySourceRequest,
}

/// An operator's session: it ends with its time, with `operator/lock`, or with the connection that opened it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OperatorUnlocked {
    /// For the header `authorization: Bearer ...`.
    #[schema(value_type = schema::BearerText)]
    pub bearer: Secret,
    /// Whose key it is.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// What it may do.
    #[schema(value_type = Vec<schema::OperatorRight>)]
    pub rights: Vec<OperatorRight>,
    /// Until when.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}

/// Opens an agent's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The agent.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// Proves the agent's key (`SessionProof`).
    pub proof: KeyProof,
    /// How long it should last at most, in seconds; the zone's policy may shorten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_secs: Option<u64>,
}

/// An agent's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionOpened {
    /// Names it, in audit and for ending it.
    #[schema(value_type = schema::SessionId)]
    pub session_id: Hex<16>,
    /// For the header `x-fcp-session`.
    #[schema(value_type = schema::BearerText)]
    pub session: Secret,
    /// The agent.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// Its zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Until when.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}
