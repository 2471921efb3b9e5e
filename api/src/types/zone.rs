//! Zones and what may happen in them.

use fcp_proto_core::ids::{ConnectorId, KeyId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::zone::{Risk, SafetyTier};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;
use crate::secret::Secret;

/// A ceiling over a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    /// Its name.
    pub name: String,
    /// `calls`, `requests` or `bytes`.
    pub unit: String,
    /// How many a period.
    pub amount: u64,
    /// The period in seconds.
    pub period_secs: u64,
    /// How many are used in the present period.
    pub used: u64,
}

/// A zone, its policy, and what is bound to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZoneView {
    /// The zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The id of its key, by which it is revoked; absent if this node does not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::KeyId>)]
    pub key_id: Option<KeyId>,
    /// Which of its keys, one after another, that is; its first is 0.
    #[serde(default)]
    pub key_generation: u64,
    /// Whether its key is revoked: no call is made in it then.
    #[serde(default)]
    pub key_revoked: bool,
    /// What it is for.
    pub description: String,
    /// How far what the zone itself says is trusted, 0 to 100.
    pub integrity: u8,
    /// How secret what the zone holds may be, 0 to 100.
    pub confidentiality: u8,
    /// The policy's version.
    pub policy_version: u64,
    /// The policy's record.
    #[schema(value_type = schema::ObjectId)]
    pub policy_id: ObjectId,
    /// Connectors that may be called, `*` for any; empty means none.
    pub allowed_connectors: Vec<String>,
    /// Operations that may not, exact or ending in `*`.
    pub denied_operations: Vec<String>,
    /// The highest risk that may be called.
    #[schema(value_type = schema::Risk)]
    pub max_risk: Risk,
    /// The highest tier that may be called.
    #[schema(value_type = schema::SafetyTier)]
    pub max_tier: SafetyTier,
    /// From this tier on, an operation needs approval, whatever its author declares.
    #[schema(value_type = schema::SafetyTier)]
    pub approval_from: SafetyTier,
    /// The longest life of a capability token.
    pub max_token_secs: u64,
    /// The longest life of a grant.
    pub max_grant_secs: u64,
    /// Ceilings over all calls in the zone.
    pub budgets: Vec<BudgetView>,
    /// The connectors bound to it.
    #[schema(value_type = Vec<schema::ConnectorId>)]
    pub connectors: Vec<ConnectorId>,
    /// The agents in it.
    #[schema(value_type = Vec<schema::PrincipalId>)]
    pub agents: Vec<PrincipalId>,
}

/// A ceiling over a period, as it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSetting {
    /// Its name.
    pub name: String,
    /// `requests`, `tokens`, `bytes` or `cost`.
    pub unit: String,
    /// How many a period.
    pub amount: u64,
    /// The period in seconds.
    pub period_secs: u64,
}

/// Changes a zone's policy; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Connectors that may be called, `*` for any; empty means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_connectors: Option<Vec<String>>,
    /// Operations that may not, exact or ending in `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_operations: Option<Vec<String>>,
    /// The highest risk that may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Risk>)]
    pub max_risk: Option<Risk>,
    /// The highest tier that may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::SafetyTier>)]
    pub max_tier: Option<SafetyTier>,
    /// From this tier on, an operation needs approval, whatever its author declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::SafetyTier>)]
    pub approval_from: Option<SafetyTier>,
    /// The longest life of a capability token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_token_secs: Option<u64>,
    /// The longest life of a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_grant_secs: Option<u64>,
    /// Ceilings over all calls in the zone, in place of all those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Vec<BudgetSetting>>,
}

/// Has the owner give a zone another key in the place of one that is revoked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RekeyZone {
    /// The owner's 24 words.
    pub phrase: Secret,
}

/// The zone has another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZoneRekeyed {
    /// The zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The definition that names the key.
    #[schema(value_type = schema::ObjectId)]
    pub definition_id: ObjectId,
    /// Which of its keys, one after another, it is; its first is 0.
    pub key_generation: u64,
    /// The key's id.
    #[schema(value_type = schema::KeyId)]
    pub key_id: KeyId,
}

/// Defines a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddZone {
    /// The zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// What it is for.
    #[schema(max_length = 4096)]
    pub description: String,
    /// How far what the zone itself says is trusted, 0 to 99; it never changes.
    #[schema(maximum = 99)]
    pub integrity: u8,
    /// How secret what the zone holds may be, 0 to 99; it never changes.
    #[schema(maximum = 99)]
    pub confidentiality: u8,
    /// Its policy. What is absent is as strict as it can be: no connectors, low risk, safe operations, approval from risky
    /// on, tokens of 900 s, grants of 90 days, no budgets.
    #[serde(default)]
    pub policy: PolicyChange,
}

/// The zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZoneList {
    /// Most trusted first.
    pub zones: Vec<ZoneView>,
}
