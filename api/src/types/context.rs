//! What a principal has read.

use fcp_proto_core::ids::{ObjectId, PrincipalId};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// Opens a fresh context for an agent: what it read before no longer counts. Not the agent's own to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenContext {
    /// The agent.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// For the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whose context is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextQuery {
    /// This agent's; the caller's own when absent, which an operator may not leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
}

/// A context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextView {
    /// Whose.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// Its number.
    pub context: u64,
    /// Its label: what everything the agent says in a call is taken for.
    #[schema(value_type = schema::Label)]
    pub label: Label,
    /// Since when.
    #[schema(value_type = schema::UnixTime)]
    pub opened_at: UnixTime,
    /// How many things were read in it.
    pub entries: u64,
    /// What was last read that changed the label, oldest first, at most 100.
    #[schema(value_type = Vec<schema::ObjectId>)]
    pub causes: Vec<ObjectId>,
}
