//! Discovery and introspection of connectors, their installation and their state.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CapabilityId, ConnectorId, CredentialId, Digest, KeyId, ObjectId, OperationId, ZoneId,
};
use fcp_proto_core::manifest::{AuthKind, Runtime};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Approval, Idempotency, Risk, SafetyTier};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Warning;
use crate::schema;

/// Which connectors are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorQuery {
    /// Those bound to this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// Those whose id, name, description or operations hold all of these words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
}

/// Whether a connector's process does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It does not run because nobody called it yet; the next call starts it.
    Idle,
    /// It starts.
    Starting,
    /// A health check that exercised its path passed.
    Ready,
    /// It runs, and no check has exercised its path.
    Unknown,
    /// It answers and reports a problem.
    Degraded,
    /// It died and waits before it is started again.
    BackingOff,
    /// It died too often and stays down until it is enabled again.
    CrashLoop,
    /// It is not started as it is installed: its sandbox, paths, exceptions or engine do not permit it.
    Refused,
    /// It is disabled.
    Disabled,
    /// Its code, package or interface is revoked.
    Revoked,
}

/// The health of a connector in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorHealth {
    /// The zone whose process it is.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Whether it does its work.
    pub status: RunStatus,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was last checked; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub checked_at: Option<UnixTime>,
    /// The last check; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<HealthCheckView>,
    /// How often it was started again.
    pub restarts: u64,
    /// What a call gets as things are; absent if it may be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// What to do about it, if anything is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheckView {
    /// When.
    #[schema(value_type = schema::UnixTime)]
    pub at: UnixTime,
    /// The operation that went its whole path, or that failed on it; absent if only the connector speaks for what was
    /// found: it was asked how it is, or answered well without a service having answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::OperationId>)]
    pub operation: Option<OperationId>,
    /// What was found.
    pub result: CheckFinding,
}

/// What a health check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckFinding {
    /// It works.
    Ready,
    /// It works in part.
    Degraded,
    /// It does not work.
    Failed,
}

/// A connector in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorSummary {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub id: ConnectorId,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Whether calls reach it.
    pub enabled: bool,
    /// Whether it was installed with a development key.
    pub dev: bool,
    /// The zones it is bound to.
    #[schema(value_type = Vec<schema::ZoneId>)]
    pub zones: Vec<ZoneId>,
    /// How many operations it has.
    pub operations: u64,
    /// The highest tier among them; absent if the connector has no operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::SafetyTier>)]
    pub max_tier: Option<SafetyTier>,
    /// Why calls are not answered, such as that it is revoked, was stopped, or has another engine than it was installed
    /// with; absent if they may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub problem: Option<Code>,
    /// Its health in each of its zones; empty where no daemon was asked.
    pub health: Vec<ConnectorHealth>,
}

/// The connectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorList {
    /// Sorted by id.
    pub connectors: Vec<ConnectorSummary>,
}

/// A place where a connector expects a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialSlot {
    /// The slot's name.
    pub slot: String,
    /// How it is injected.
    #[schema(value_type = schema::AuthKind)]
    pub kind: AuthKind,
    /// What the owner has to provide.
    pub description: String,
    /// The credentials stored for it; empty where no daemon was asked.
    #[schema(value_type = Vec<schema::CredentialId>)]
    pub credentials: Vec<CredentialId>,
}

/// A connector in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorDetail {
    /// What the list shows.
    pub connector: ConnectorSummary,
    /// What runs it.
    #[schema(value_type = schema::Runtime)]
    pub runtime: Runtime,
    /// BLAKE3 of the package.
    #[schema(value_type = schema::Digest)]
    pub package_digest: Digest,
    /// BLAKE3 of the code that runs; absent where no daemon was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Digest>)]
    pub code_digest: Option<Digest>,
    /// The interface that approvals bind.
    #[schema(value_type = schema::Digest)]
    pub interface_hash: Digest,
    /// The keys that signed the package.
    #[schema(value_type = Vec<schema::KeyId>)]
    pub publishers: Vec<KeyId>,
    /// When it was installed; absent where no daemon was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub installed_at: Option<UnixTime>,
    /// The hosts its operations may reach.
    pub hosts: Vec<String>,
    /// Where it expects credentials.
    pub credential_slots: Vec<CredentialSlot>,
    /// Its operations.
    pub operations: Vec<OperationSummary>,
    /// What the owner should know of it.
    pub warnings: Vec<Warning>,
}

/// An operation in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationSummary {
    /// The operation.
    #[schema(value_type = schema::OperationId)]
    pub id: OperationId,
    /// What it does, in one sentence.
    pub description: String,
    /// What a grant must give.
    #[schema(value_type = schema::CapabilityId)]
    pub capability: CapabilityId,
    /// How bad the worst outcome is.
    #[schema(value_type = schema::Risk)]
    pub risk: Risk,
    /// How carefully it is treated.
    #[schema(value_type = schema::SafetyTier)]
    pub tier: SafetyTier,
    /// What a repeated call does.
    #[schema(value_type = schema::Idempotency)]
    pub idempotency: Idempotency,
    /// Who must agree.
    #[schema(value_type = schema::Approval)]
    pub approval: Approval,
}

/// The operations of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationList {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// Sorted by id.
    pub operations: Vec<OperationSummary>,
}

/// An operation in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationDetail {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// What the list shows.
    pub operation: OperationSummary,
    /// The interface that this belongs to.
    #[schema(value_type = schema::Digest)]
    pub interface_hash: Digest,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// What it touches, as templates over the input.
    pub resources: Vec<String>,
    /// The credential slot it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_slot: Option<String>,
    /// The hosts it may reach.
    pub hosts: Vec<String>,
    /// The rate pools it draws from.
    pub rate_pools: Vec<String>,
    /// Longest run of one call.
    pub timeout_ms: u64,
    /// The read operation that settles an unknown outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::OperationId>)]
    pub probe: Option<OperationId>,
    /// What helps an agent to use it well; never part of a decision.
    pub hints: Value,
}

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum PackageSource {
    /// A file that the daemon reads.
    Path {
        /// Absolute.
        path: String,
    },
    /// Sent along.
    Upload {
        /// The package in base64.
        bytes: String,
    },
}

/// Installs a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// The package.
    pub package: PackageSource,
    /// BLAKE3 of the package that the operator looked at; another one is refused.
    #[schema(value_type = schema::Digest)]
    pub package_digest: Digest,
    /// The zones to bind it to, and no others; empty is refused. Absent, those that it has, or its manifest's home zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::ZoneId>>)]
    pub zones: Option<Vec<ZoneId>>,
    /// Its whole configuration. Absent or null, the one that it has, or an empty one.
    #[serde(default)]
    pub config: Value,
    /// Accepts a package that only a development publisher of the home signed.
    #[serde(default)]
    pub dev: bool,
}

/// A connector was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Installed {
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub install_id: ObjectId,
    /// What was installed.
    pub connector: ConnectorDetail,
    /// Whether the zones are those of the installation before, since none were named.
    #[serde(default)]
    pub zones_kept: bool,
    /// Whether the configuration is that of the installation before, since none was given.
    #[serde(default)]
    pub config_kept: bool,
}

/// Why a connector's state changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetState {
    /// For the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a connector's state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorStateView {
    /// Calls reach it.
    Enabled,
    /// Calls are refused.
    Disabled,
    /// It is gone; its receipts and audit remain.
    Removed,
}

/// A connector's state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateChanged {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// Its state now.
    pub state: ConnectorStateView,
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub record_id: ObjectId,
    /// How many open calls it ended.
    pub calls_ended: u64,
}
