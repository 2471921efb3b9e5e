//! The node's attestation, made longer by the owner, or given to other keys.

use fcp_proto_core::ids::{KeyId, NodeId, ObjectId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeySourceRequest;
use crate::schema;
use crate::secret::Secret;

/// Has the owner attest this node longer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewNode {
    /// What opens the owner's key.
    pub owner_key_source: KeySourceRequest,
    /// How long from now, in seconds; a year when absent, which is the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub lifetime_secs: Option<u64>,
}

/// The node is attested longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeRenewed {
    /// The node.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The attestation.
    #[schema(value_type = schema::ObjectId)]
    pub attestation_id: ObjectId,
    /// Until when, exclusive.
    #[schema(value_type = schema::UnixTime)]
    pub attested_until: UnixTime,
}

/// Has the owner attest other keys of this node, whose keys are revoked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceNode {
    /// The owner's 24 words.
    pub phrase: Secret,
    /// How long from now, in seconds; a year when absent, which is the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub lifetime_secs: Option<u64>,
}

/// The node has other keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeReplaced {
    /// The node.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The attestation.
    #[schema(value_type = schema::ObjectId)]
    pub attestation_id: ObjectId,
    /// The key that signs what it says.
    #[schema(value_type = schema::KeyId)]
    pub signing_key: KeyId,
    /// The key that signs the tokens it mints.
    #[schema(value_type = schema::KeyId)]
    pub issuance_key: KeyId,
    /// Until when, exclusive.
    #[schema(value_type = schema::UnixTime)]
    pub attested_until: UnixTime,
}
