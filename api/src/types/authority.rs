//! Agents, grants and revocations.

use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CapabilityId, ConnectorId, Digest, KeyId, ObjectId, OperationId, PrincipalId, RoleId, ZoneId,
};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::constraints::Constraints;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeyProof;
use crate::schema;

/// Enrols an agent with a key that it made itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAgent {
    /// Its name.
    #[schema(value_type = schema::PrincipalId)]
    pub name: PrincipalId,
    /// Its zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Its Ed25519 key.
    #[schema(value_type = schema::PublicKey)]
    pub public_key: VerifyingKey<Agent>,
    /// Where it keeps its key, as it says.
    pub key_source: String,
    /// Proves that it has the key (`EnrolmentProof`).
    pub proof: KeyProof,
    /// The roles it gets.
    #[serde(default)]
    #[schema(value_type = Vec<schema::RoleId>)]
    pub roles: Vec<RoleId>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Its name.
    #[schema(value_type = schema::PrincipalId)]
    pub name: PrincipalId,
    /// Its zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Its key.
    #[schema(value_type = schema::KeyId)]
    pub key_id: KeyId,
    /// Where it keeps its key, as it says.
    pub key_source: String,
    /// The record of its enrolment.
    #[schema(value_type = schema::ObjectId)]
    pub enrolment_id: ObjectId,
    /// Since when.
    #[schema(value_type = schema::UnixTime)]
    pub enrolled_at: UnixTime,
    /// Whether its key was revoked.
    pub revoked: bool,
    /// Whether its zone's key is revoked: it can make no call then.
    #[serde(default)]
    pub zone_key_revoked: bool,
    /// Its roles.
    #[schema(value_type = Vec<schema::RoleId>)]
    pub roles: Vec<RoleId>,
    /// How many live grants it has, those of its roles included.
    pub live_grants: u64,
    /// How many sessions it has open.
    pub open_sessions: u64,
}

/// The agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    /// Sorted by name.
    pub agents: Vec<AgentView>,
}

/// Gives an agent or role leave to call operations. Exactly one of `agent` and `role` is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddGrant {
    /// To this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// To everyone with this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::RoleId>)]
    pub role: Option<RoleId>,
    /// In this zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Of this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// These operations; empty is refused. Their capabilities follow from the manifest.
    #[schema(value_type = Vec<schema::OperationId>)]
    pub operations: Vec<OperationId>,
    /// What bounds each call.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// From when; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub not_before: Option<UnixTime>,
    /// How long it lasts; the zone's policy bounds it.
    #[schema(minimum = 1)]
    pub lifetime_secs: u64,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    /// The grant.
    #[schema(value_type = schema::ObjectId)]
    pub grant_id: ObjectId,
    /// To this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// To everyone with this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::RoleId>)]
    pub role: Option<RoleId>,
    /// In this zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Of this connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// These capabilities.
    #[schema(value_type = Vec<schema::CapabilityId>)]
    pub capabilities: Vec<CapabilityId>,
    /// These operations.
    #[schema(value_type = Vec<schema::OperationId>)]
    pub operations: Vec<OperationId>,
    /// What bounds each call.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// How many calls it served.
    pub calls_used: u64,
    /// From when.
    #[schema(value_type = schema::UnixTime)]
    pub not_before: UnixTime,
    /// Until when, exclusive.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
    /// The key that signed it.
    #[schema(value_type = schema::KeyId)]
    pub signed_by: KeyId,
    /// Whether it is within its time and not revoked.
    pub live: bool,
    /// Why no call can be made on it now although it lives, if none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// What a person agreed to beforehand; without it each call that needs a person asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing_approval: Option<StandingApprovalView>,
    /// The request it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub request_id: Option<ObjectId>,
}

/// Why something is of no use now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Obstacle {
    /// The code that every call is refused with.
    #[schema(value_type = schema::ErrorCode)]
    pub code: Code,
    /// What exactly stands in the way.
    pub why: String,
    /// What to do about it.
    pub next: String,
}

/// What a standing approval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandingScope {
    /// The very input that was approved.
    Input,
    /// Every input that the grant's bounds permit.
    Bounds,
}

/// A person's word, given beforehand, that spares the calls of a grant an approval of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingApprovalView {
    /// What it is for.
    pub scope: StandingScope,
    /// BLAKE3 of the canonical JSON of the only input that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Digest>)]
    pub input_digest: Option<Digest>,
    /// The connector's interface that it is for.
    #[schema(value_type = schema::Digest)]
    pub interface_hash: Digest,
    /// The connector's code that it is for.
    #[schema(value_type = schema::Digest)]
    pub code_digest: Digest,
    /// BLAKE3 of the canonical JSON of the connector's configuration that it is for; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Digest>)]
    pub config_digest: Option<Digest>,
    /// Why it spares no call anything now, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}

/// Which grants are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantQuery {
    /// Those of this agent, through its roles too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// Those of this connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// Only those that live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
}

/// Grants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantList {
    /// Newest first.
    pub grants: Vec<GrantView>,
}

/// Revokes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The kind of the target.
    #[schema(value_type = schema::RevocationScope)]
    pub scope: RevocationScope,
    /// What: a token, grant, approval, key or digest in hexadecimal; a node, agent, operator, zone or connector by name.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Revokes it also if nothing here is known by that name, as another device of the owner may know it.
    #[serde(default)]
    pub unknown: bool,
    /// Revokes it also if only the owner's phrase brings back what it takes, or if several connectors fall with it.
    #[serde(default)]
    pub confirmed: bool,
}

/// Something is revoked: the very next call sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub revocation_id: ObjectId,
    /// Its place in the chain.
    pub seq: u64,
    /// How many open calls it ended.
    pub calls_ended: u64,
    /// How many sessions it ended.
    pub sessions_ended: u64,
    /// Whether anything here is what it names.
    #[serde(default)]
    pub known: bool,
    /// What it takes, as its scope names it: what was asked for, and what goes with it.
    #[serde(default)]
    pub targets: Vec<String>,
    /// How many grants in their time were signed by a key that it takes: they serve nobody now.
    #[serde(default)]
    pub grants_ended: u64,
    /// The roles that some of these grants were for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::RoleId>)]
    pub roles: Vec<RoleId>,
    /// What it took of the installed connectors: the code, package or interface of which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binaries: Vec<String>,
    /// Since when all of what it takes was revoked already; absent if any of it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub revoked_since: Option<UnixTime>,
}

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationView {
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub revocation_id: ObjectId,
    /// Its place in the chain.
    pub seq: u64,
    /// The kind of the targets.
    #[schema(value_type = schema::RevocationScope)]
    pub scope: RevocationScope,
    /// What is revoked: nodes by name, all else in hexadecimal.
    pub targets: Vec<String>,
    /// Why.
    pub reason: String,
    /// From when.
    #[schema(value_type = schema::UnixTime)]
    pub effective_at: UnixTime,
    /// Until when; absent means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub expires_at: Option<UnixTime>,
    /// The key that signed it.
    #[schema(value_type = schema::KeyId)]
    pub signed_by: KeyId,
}

/// Revocations, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocations {
    /// The revocations.
    pub revocations: Vec<RevocationView>,
    /// How many there are in all.
    pub head_seq: u64,
    /// When the head was last certified.
    #[schema(value_type = schema::UnixTime)]
    pub as_of: UnixTime,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
