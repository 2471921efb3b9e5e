//! Grants that agents ask for, and what the person decides.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::SafetyTier;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApprovalStatus;
use crate::schema;

/// Asks for a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileGrantRequest {
    /// Of this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// These operations; empty is refused.
    #[schema(value_type = Vec<schema::OperationId>)]
    pub operations: Vec<OperationId>,
    /// What shall bound each call.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// How long it shall last.
    #[schema(minimum = 1)]
    pub lifetime_secs: u64,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub note: Option<String>,
}

/// An operation that is asked for, as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WishedOperation {
    /// The operation.
    #[schema(value_type = schema::OperationId)]
    pub operation: OperationId,
    /// What it does; absent once the connector no longer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How carefully it is treated; absent once the connector no longer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::SafetyTier>)]
    pub tier: Option<SafetyTier>,
}

/// A request for a grant, in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantRequestView {
    /// The request.
    #[schema(value_type = schema::ObjectId)]
    pub request_id: ObjectId,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who asks.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// In which zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Of this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// These operations.
    pub operations: Vec<WishedOperation>,
    /// The bounds that are wished for.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// For how long.
    pub lifetime_secs: u64,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was filed.
    #[schema(value_type = schema::UnixTime)]
    pub requested_at: UnixTime,
    /// Until when it can be decided, exclusive.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
    /// Why it can be granted by nobody any more, if it waits still: the code that an approval would be refused with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub obstacle: Option<Code>,
    /// The grant that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub grant_id: Option<ObjectId>,
    /// What the person says about a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_note: Option<String>,
}

/// Grants what was asked for, or less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveGrant {
    /// Only these of the operations; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::OperationId>>)]
    pub operations: Option<Vec<OperationId>>,
    /// Narrower bounds; those that were wished for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Constraints>)]
    pub constraints: Option<Constraints>,
    /// A shorter time; the one that was wished for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub lifetime_secs: Option<u64>,
}
