//! Operators, and what the owner's phrase does for them.

use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId};
use fcp_proto_core::object::OperatorRight;
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeySourceRequest;
use crate::schema;
use crate::secret::Secret;

/// Has the owner enrol an operator's key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddOperator {
    /// The owner's 24 words.
    pub phrase: Secret,
    /// The operator's name; of one that there is, it gets another key.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// How the new key is kept.
    pub key_source: KeySourceRequest,
    /// What it may do; when absent what the operator's last key might. A new operator has nothing unless it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::OperatorRight>>)]
    pub rights: Option<Vec<OperatorRight>>,
    /// How long it lasts, in seconds; until it is revoked or replaced when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub lifetime_secs: Option<u64>,
    /// Ends the operator's live keys: they are lost, or are to serve no longer.
    #[serde(default)]
    pub replace: bool,
}

/// An operator has another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorAdded {
    /// The operator.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// The new key.
    #[schema(value_type = schema::KeyId)]
    pub key_id: KeyId,
    /// The owner's word for it.
    #[schema(value_type = schema::ObjectId)]
    pub delegation_id: ObjectId,
    /// What it may do.
    #[schema(value_type = Vec<schema::OperatorRight>)]
    pub rights: Vec<OperatorRight>,
    /// Until when, exclusive; absent means until it is revoked or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub expires_at: Option<UnixTime>,
    /// The keys that it ended. Grants they signed stay in force, approvals do not.
    #[schema(value_type = Vec<schema::KeyId>)]
    pub ended: Vec<KeyId>,
}

/// How an operator's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStanding {
    /// It can act.
    Live,
    /// Its time has not come.
    Waiting,
    /// Its time is over.
    Ended,
    /// It is revoked.
    Revoked,
}

/// A key of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorKeyView {
    /// Whose.
    #[schema(value_type = schema::PrincipalId)]
    pub operator: PrincipalId,
    /// The key.
    #[schema(value_type = schema::KeyId)]
    pub key_id: KeyId,
    /// How it stands.
    pub standing: KeyStanding,
    /// Whether it is stored in this home; without it nobody here signs with it.
    pub stored: bool,
    /// What it may do.
    #[schema(value_type = Vec<schema::OperatorRight>)]
    pub rights: Vec<OperatorRight>,
    /// Since when.
    #[schema(value_type = schema::UnixTime)]
    pub not_before: UnixTime,
    /// Until when, exclusive; absent means until it is revoked or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub expires_at: Option<UnixTime>,
    /// What revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub revocation_id: Option<ObjectId>,
}

/// Operators' keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorList {
    /// By operator, each one's newest first.
    pub keys: Vec<OperatorKeyView>,
}

/// Stores the owner's key again, under a new passphrase.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreOwner {
    /// The owner's 24 words.
    pub phrase: Secret,
    /// How the key is kept from now on.
    pub key_source: KeySourceRequest,
}

/// The owner's key is stored again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnerRestored {
    /// The owner's key.
    #[schema(value_type = schema::KeyId)]
    pub owner_key: KeyId,
}
