//! Roles: grants that agents share.

use fcp_proto_core::ids::{ObjectId, PrincipalId, RoleId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// Makes a role, or describes one anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRole {
    /// Its name.
    #[schema(value_type = schema::RoleId)]
    pub name: RoleId,
    /// What it is for.
    #[schema(max_length = 4096)]
    pub description: String,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleView {
    /// Its name.
    #[schema(value_type = schema::RoleId)]
    pub name: RoleId,
    /// What it is for.
    pub description: String,
    /// Who has it.
    #[schema(value_type = Vec<schema::PrincipalId>)]
    pub members: Vec<PrincipalId>,
    /// How many live grants it gives.
    pub live_grants: u64,
}

/// The roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleList {
    /// Sorted by name.
    pub roles: Vec<RoleView>,
}

/// Who has a role was changed, or the role is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleChanged {
    /// The role.
    #[schema(value_type = schema::RoleId)]
    pub role: RoleId,
    /// Whom it concerns; absent when the role itself is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub record_id: ObjectId,
}
