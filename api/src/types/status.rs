//! How the daemon is: its health, and what the owner should know.

use fcp_proto_core::ids::{KeyId, NodeId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CeremonyPhase, ConnectorSummary};
use crate::schema;

/// Whether the daemon does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It reads its home.
    Starting,
    /// The home has no owner yet.
    CeremonyRequired,
    /// It answers calls.
    Ready,
    /// It answers calls, and something does not work.
    Degraded,
    /// A durable write failed: it refuses whatever must be durable until it restarts.
    Sealed,
    /// It stops.
    Draining,
}

/// The daemon's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether it does its work.
    pub status: HealthStatus,
    /// Its release.
    pub version: String,
    /// The API versions that it speaks.
    pub api: Vec<String>,
    /// Its process.
    pub pid: u32,
    /// What does not work.
    #[serde(default)]
    pub problems: Vec<Warning>,
}

/// What the owner should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// A key is kept in a way that others on this machine may get at.
    WeakKeySource,
    /// Agents run under the owner's own user id.
    SharedUser,
    /// A connector was installed with a development key.
    DevConnector,
    /// A wall is lowered by a recorded exception.
    Exception,
    /// A property of the sandbox is met in a weaker way, or cannot be met.
    Sandbox,
    /// A connector does not run.
    Connector,
    /// The egress process does not run.
    Egress,
    /// The disk or the journal's reserved space runs out.
    Storage,
    /// A record was quarantined or a chain does not verify.
    Integrity,
    /// The clock went back or is not trusted.
    Clock,
    /// A call's outcome is not known and waits for a person.
    UnknownOutcome,
    /// The node's attestation ends soon, or has ended.
    Attestation,
    /// A zone's key is revoked.
    Zone,
    /// An operator has no key that can act.
    Operator,
    /// What the home rests on is revoked, or can no longer act, and the owner must put another in its place.
    Revoked,
    /// Settings were read that are wrong, so that those before are in force still; or they are for a connector that is not
    /// installed.
    Settings,
}

/// One thing the owner should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The owner, the node and its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityView {
    /// The node.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The owner's key.
    #[schema(value_type = schema::KeyId)]
    pub owner_key: KeyId,
    /// The node's issuance key.
    #[schema(value_type = schema::KeyId)]
    pub issuance_key: KeyId,
    /// Until when the owner attests the node, exclusive; it makes no call from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub attested_until: Option<UnixTime>,
    /// The operators.
    #[schema(value_type = Vec<schema::PrincipalId>)]
    pub operators: Vec<PrincipalId>,
    /// The zones.
    #[schema(value_type = Vec<schema::ZoneId>)]
    pub zones: Vec<ZoneId>,
}

/// How the daemon and everything behind it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The daemon's health.
    pub health: Health,
    /// The home's folder.
    pub home: String,
    /// Since when it runs.
    #[schema(value_type = schema::UnixTime)]
    pub started_at: UnixTime,
    /// How far the ceremony is.
    pub ceremony: CeremonyPhase,
    /// The owner, the node and its keys; absent before the ceremony.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<AuthorityView>,
    /// The connectors.
    pub connectors: Vec<ConnectorSummary>,
    /// How many requests wait for a person.
    pub pending_approvals: u64,
    /// How many calls run.
    pub running_calls: u64,
    /// How many calls' outcomes are not known.
    pub unknown_outcomes: u64,
    /// The head of the audit chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub audit_head: Option<ObjectId>,
    /// How many revocations there are.
    pub revocations: u64,
    /// What the owner should know.
    pub warnings: Vec<Warning>,
}

/// The daemon stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopping {
    /// How many calls it lets end first.
    pub running_calls: u64,
}
