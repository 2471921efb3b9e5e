//! The audit chain.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, KeyId, NodeId, ObjectId, OperationId, TokenId, ZoneId};
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// Which events of one zone's chain are wanted, in the order of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// The zone whose chain it is; `z:owner` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// From this number on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_seq: Option<u64>,
    /// The newest so many instead of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub last: Option<u32>,
    /// Those of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::AuditEventKind>)]
    pub kind: Option<AuditEventKind>,
    /// Those caused by this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Those of this connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// Those of this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CallId>)]
    pub call_id: Option<CallId>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// How long to wait for one event at most, 0 to 60000; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 60000)]
    pub wait_ms: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEventView {
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub event_id: ObjectId,
    /// Its place in the chain.
    pub seq: u64,
    /// The event before; absent at the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub prev: Option<ObjectId>,
    /// The zone whose chain it is.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The node whose chain it is.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// What happened.
    #[schema(value_type = schema::AuditEventKind)]
    pub kind: AuditEventKind,
    /// Who caused it.
    pub actor: String,
    /// The connector concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// The operation concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::OperationId>)]
    pub operation: Option<OperationId>,
    /// The call concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CallId>)]
    pub call_id: Option<CallId>,
    /// The token concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TokenId>)]
    pub token_id: Option<TokenId>,
    /// The object that it made or concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub subject: Option<ObjectId>,
    /// The failure, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// What else is to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The W3C trace it belongs to, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When.
    #[schema(value_type = schema::UnixTime)]
    pub at: UnixTime,
}

/// Events in the order of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvents {
    /// The events that fit the query.
    pub events: Vec<AuditEventView>,
    /// The `from_seq` that continues after what was looked at.
    pub next_seq: u64,
}

/// The end of one chain, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHeadView {
    /// The zone whose chain it is.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The node whose chain it is.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The last event; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub head_event: Option<ObjectId>,
    /// How many events there are.
    pub events: u64,
    /// The key that signed the head; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::KeyId>)]
    pub signed_by: Option<KeyId>,
}

/// The chains' ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditHeads {
    /// One for each zone.
    pub chains: Vec<AuditHeadView>,
}

/// Which chains are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditHeadQuery {
    /// This zone's; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
}

/// Which chains are meant, and what was known of them before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyAudit {
    /// This zone's; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// Heads that were saved earlier, which the chains must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub heads: Vec<SavedHead>,
}

/// The end of a chain as somebody saw and kept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedHead {
    /// The chain's zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The node whose chain it was.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The last event then.
    #[schema(value_type = schema::ObjectId)]
    pub head_event: ObjectId,
    /// How many events there were; at least one.
    #[schema(minimum = 1)]
    pub events: u64,
}

/// The first place where a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditProblem {
    /// The chain's zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The first bad place.
    pub seq: u64,
    /// What is wrong there.
    pub problem: String,
}

/// What a verification of every link, identifier and signed head found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Whether everything holds.
    pub valid: bool,
    /// How many events were verified.
    pub events: u64,
    /// How many signed heads were verified.
    pub heads: u64,
    /// The chains' ends.
    pub chains: Vec<AuditHeadView>,
    /// What does not hold, the first of each chain.
    pub problems: Vec<AuditProblem>,
}
