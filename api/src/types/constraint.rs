//! What bounds a grant.

use std::collections::BTreeMap;

use fcp_proto_core::ids::CredentialId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;

/// What bounds each call of a grant. Empty means none: at least one resource must be allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// Resources that may be touched, exact or ending in `*`; `*` alone means any.
    #[serde(default)]
    pub resources_allow: Vec<String>,
    /// Resources that may not, exact or ending in `*`; stronger than what is allowed.
    #[serde(default)]
    pub resources_deny: Vec<String>,
    /// Rules on arguments, by their place in the input (RFC 6901).
    #[serde(default)]
    pub arguments: BTreeMap<String, ArgumentRule>,
    /// The credentials that may be used.
    #[serde(default)]
    #[schema(value_type = Vec<schema::CredentialId>)]
    pub credentials: Vec<CredentialId>,
    /// How many calls in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u64>,
    /// How many bytes of inputs and outputs in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// What an argument must fulfil; every part that is present counts, and an absent argument fulfils none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgumentRule {
    /// It is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    /// It is a text that begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// It is a whole number of at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// It is a whole number of at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// It is a text of at most so many bytes, or a list of at most so many items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
}
