//! The node's attestation, made longer by the owner.

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeySourceRequest;
use crate::schema;

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
