//! Receipts and kept results.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CallId, ConnectorId, Digest, KeyId, NodeId, ObjectId, OperationId, PrincipalId, ZoneId,
};
use fcp_proto_core::object::{CallOutcome, Effect, GateCheck, Verdict};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::UsageView;
use crate::schema;

/// Which receipts are wanted, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptQuery {
    /// Those of this agent's calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// Those of this connector's calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// Where the last page ended, as its `next` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// A signed record of a decision or of a call's end.
#[allow(clippy::large_enum_variant, reason = "few are held at a time, and each is shown and gone")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReceiptView {
    /// A call ended.
    Operation {
        /// The record.
        #[schema(value_type = schema::ObjectId)]
        receipt_id: ObjectId,
        /// The call.
        #[schema(value_type = schema::CallId)]
        call_id: CallId,
        /// Its intent.
        #[schema(value_type = schema::ObjectId)]
        intent_id: ObjectId,
        /// The call's digest.
        #[schema(value_type = schema::Digest)]
        call_digest: Digest,
        /// Who made it.
        #[schema(value_type = schema::PrincipalId)]
        agent: PrincipalId,
        /// In which zone.
        #[schema(value_type = schema::ZoneId)]
        zone: ZoneId,
        /// The connector.
        #[schema(value_type = schema::ConnectorId)]
        connector: ConnectorId,
        /// The operation.
        #[schema(value_type = schema::OperationId)]
        operation: OperationId,
        /// The grant by whose standing approval a person had agreed beforehand, if that spared it an approval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::ObjectId>)]
        standing_approval: Option<ObjectId>,
        /// How it ended.
        #[schema(value_type = schema::CallOutcome)]
        outcome: CallOutcome,
        /// What it did outside.
        #[schema(value_type = schema::Effect)]
        effect: Effect,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::ErrorCode>)]
        code: Option<Code>,
        /// What the connector says about the failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// BLAKE3 of the output's canonical JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::Digest>)]
        output_digest: Option<Digest>,
        /// The output's label.
        #[schema(value_type = schema::Label)]
        label: Label,
        /// What it used.
        usage: UsageView,
        /// The code that ran.
        #[schema(value_type = schema::Digest)]
        code_digest: Digest,
        /// When it ended.
        #[schema(value_type = schema::UnixTime)]
        executed_at: UnixTime,
        /// The node that signed this.
        #[schema(value_type = schema::NodeId)]
        node: NodeId,
        /// The key that signed this.
        #[schema(value_type = schema::KeyId)]
        signed_by: KeyId,
    },
    /// The gate decided.
    Decision {
        /// The record.
        #[schema(value_type = schema::ObjectId)]
        receipt_id: ObjectId,
        /// The call.
        #[schema(value_type = schema::CallId)]
        call_id: CallId,
        /// Who made it.
        #[schema(value_type = schema::PrincipalId)]
        agent: PrincipalId,
        /// In which zone.
        #[schema(value_type = schema::ZoneId)]
        zone: ZoneId,
        /// The connector.
        #[schema(value_type = schema::ConnectorId)]
        connector: ConnectorId,
        /// The operation.
        #[schema(value_type = schema::OperationId)]
        operation: OperationId,
        /// The verdict.
        #[schema(value_type = schema::Verdict)]
        verdict: Verdict,
        /// The check that refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::GateCheck>)]
        check: Option<GateCheck>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<schema::ErrorCode>)]
        code: Option<Code>,
        /// What exactly was violated, and by what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// The objects the decision rests on.
        #[schema(value_type = Vec<schema::ObjectId>)]
        evidence: Vec<ObjectId>,
        /// When.
        #[schema(value_type = schema::UnixTime)]
        decided_at: UnixTime,
        /// The node that signed this.
        #[schema(value_type = schema::NodeId)]
        node: NodeId,
        /// The key that signed this.
        #[schema(value_type = schema::KeyId)]
        signed_by: KeyId,
    },
}

/// Receipts, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptList {
    /// The receipts.
    pub receipts: Vec<ReceiptView>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A kept result. Reading it joined the reader's context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultView {
    /// The kept result.
    #[schema(value_type = schema::ObjectId)]
    pub handle: ObjectId,
    /// The call that made it.
    #[schema(value_type = schema::CallId)]
    pub call_id: CallId,
    /// The output.
    pub output: Value,
    /// Its label.
    #[schema(value_type = schema::Label)]
    pub label: Label,
}
