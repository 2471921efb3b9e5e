//! Requests that wait for a person, and what the person decides.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, Digest, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::ApprovalKind;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::{Label, Risk, SafetyTier};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{CallRequest, GrantRequestView, HolderProof, StandingScope};
use crate::schema;

/// Files a request for a call that was or would be refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// The call, with all its arguments.
    pub call: CallRequest,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub note: Option<String>,
    /// Who asks, outside a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_proof: Option<HolderProof>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It waits.
    Pending,
    /// It was approved and the approval can be used.
    Approved,
    /// It was denied.
    Denied,
    /// Nobody decided in time, or the approval was not used in time.
    Expired,
    /// The approval was used.
    Used,
    /// It waits in vain: whoever asked has another key, or that is revoked.
    Void,
}

/// A request with all its arguments in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// The request.
    #[schema(value_type = schema::ObjectId)]
    pub request_id: ObjectId,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who asks.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// In which zone.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// The operation.
    #[schema(value_type = schema::OperationId)]
    pub operation: OperationId,
    /// What the operation does.
    pub description: String,
    /// How bad the worst outcome is.
    #[schema(value_type = schema::Risk)]
    pub risk: Risk,
    /// How carefully it is treated.
    #[schema(value_type = schema::SafetyTier)]
    pub tier: SafetyTier,
    /// The input in full.
    pub input: Value,
    /// The resources it touches.
    pub resources: Vec<String>,
    /// The credentials it uses.
    #[schema(value_type = Vec<schema::CredentialId>)]
    pub credentials: Vec<CredentialId>,
    /// The caller's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The call's digest.
    #[schema(value_type = schema::Digest)]
    pub call_digest: Digest,
    /// The connector's interface at that time.
    #[schema(value_type = schema::Digest)]
    pub interface_hash: Digest,
    /// The connector's code at that time.
    #[schema(value_type = schema::Digest)]
    pub code_digest: Digest,
    /// The digest of the inputs' labels at that time.
    #[schema(value_type = schema::Digest)]
    pub label_digest: Digest,
    /// The merged label of the inputs.
    #[schema(value_type = schema::Label)]
    pub input_label: Label,
    /// What is asked for.
    #[schema(value_type = Vec<schema::ApprovalKind>)]
    pub kinds: Vec<ApprovalKind>,
    /// Why the call is refused without.
    #[schema(value_type = schema::ErrorCode)]
    pub missing: Code,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was filed.
    #[schema(value_type = schema::UnixTime)]
    pub requested_at: UnixTime,
    /// Until when it can be decided, or used once approved.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub decided_by: Option<PrincipalId>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub decided_at: Option<UnixTime>,
    /// What the person says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_note: Option<String>,
    /// The approval, for `approval_ids` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub approval_id: Option<ObjectId>,
    /// The grant made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub grant_id: Option<ObjectId>,
}

/// Which requests are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuery {
    /// Those of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// Those that stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// Where the last page ended, as its `next` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Requests: what waits first, the agents by turn, then the rest, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalList {
    /// The calls that ask to be approved.
    pub approvals: Vec<ApprovalView>,
    /// The grants that are asked for.
    #[serde(default)]
    pub grant_requests: Vec<GrantRequestView>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Waits for requests that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalWatchQuery {
    /// The last answer's cursor; absent to begin with what waits now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How long to wait for a change at most, 0 to 60000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 60000)]
    pub wait_ms: Option<u64>,
}

/// The requests that changed since the cursor, oldest change first; none when the time was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalWatch {
    /// The calls that ask to be approved, as they stand now.
    pub approvals: Vec<ApprovalView>,
    /// The grants that are asked for, as they stand now.
    #[serde(default)]
    pub grant_requests: Vec<GrantRequestView>,
    /// For the next wait.
    pub cursor: String,
}

/// A narrow grant that expires, with a standing approval: until it ends, a call that fits it is not asked again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StandingGrant {
    /// What bounds it. Resources and credentials are those of the request where these name none; and unless these name
    /// resources or arguments, it is for the very input of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Constraints>)]
    pub constraints: Option<Constraints>,
    /// How long it lasts.
    #[schema(minimum = 1)]
    pub lifetime_secs: u64,
    /// The digest of the connector's configuration that the person was shown; another one is refused. That of the moment
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Digest>)]
    pub config_digest: Option<Digest>,
}

/// A standing grant as it would be signed now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantPreview {
    /// For whom.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// Where.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// What it permits.
    #[schema(value_type = schema::OperationId)]
    pub operation: OperationId,
    /// What bounds it, with the resources and credentials that were not named.
    #[schema(value_type = schema::Constraints)]
    pub constraints: Constraints,
    /// Which calls it spares an approval.
    pub scope: StandingScope,
    /// The arguments that nothing holds, as JSON pointers, in which `*` is any other name: each call may give them any
    /// value that the schema takes.
    pub unbound: Vec<String>,
    /// The connector's configuration, which it is for.
    pub config: Value,
    /// BLAKE3 of that as canonical JSON.
    #[schema(value_type = schema::Digest)]
    pub config_digest: Digest,
}

/// Approves a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The digest of the call that the person looked at; another one is refused.
    #[schema(value_type = schema::Digest)]
    pub call_digest: Digest,
    /// The kinds permitted; all that are asked for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::ApprovalKind>>)]
    pub kinds: Option<Vec<ApprovalKind>>,
    /// How long the approval can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_secs: Option<u64>,
    /// Makes a standing grant as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<StandingGrant>,
    /// For the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A request was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approved {
    /// The request.
    #[schema(value_type = schema::ObjectId)]
    pub request_id: ObjectId,
    /// The approval, for one call.
    #[schema(value_type = schema::ObjectId)]
    pub approval_id: ObjectId,
    /// The standing grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub grant_id: Option<ObjectId>,
    /// Until when it lasts, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub grant_expires_at: Option<UnixTime>,
    /// Until when the approval can be used.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}

/// Denies a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// For the record, and for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A request was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denied {
    /// The request.
    #[schema(value_type = schema::ObjectId)]
    pub request_id: ObjectId,
    /// The record.
    #[schema(value_type = schema::ObjectId)]
    pub decision_id: ObjectId,
}
