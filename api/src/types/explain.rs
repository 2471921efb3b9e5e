//! Why something is as it is, and what would permit it.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{AuditEventView, Denial, Need};
use crate::schema;

/// What an identifier turned out to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainedKind {
    /// A call.
    Call,
    /// A decision of the gate.
    Decision,
    /// A call's receipt.
    Receipt,
    /// A request for approval, or a decision over one.
    Approval,
    /// A grant.
    Grant,
    /// A capability token.
    Token,
    /// A revocation.
    Revocation,
    /// An audit event.
    AuditEvent,
    /// Another stored object.
    Object,
}

/// Why something is as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The identifier.
    pub id: String,
    /// What it names.
    pub kind: ExplainedKind,
    /// What happened, in sentences, in order.
    pub story: Vec<String>,
    /// The failure, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// The denial, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// What would permit it now.
    pub needs: Vec<Need>,
    /// The command to run next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The objects this rests on.
    #[schema(value_type = Vec<schema::ObjectId>)]
    pub evidence: Vec<ObjectId>,
    /// The audit events that concern it, oldest first, at most 100.
    pub events: Vec<AuditEventView>,
    /// The object itself.
    pub object: Value,
}
