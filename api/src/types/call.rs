//! Calls: making one, trying one out, looking at those made.

use std::collections::BTreeMap;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CallId, ConnectorId, CredentialId, Digest, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId,
};
use fcp_proto_core::object::{CallOutcome, Effect, GateCheck};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Denial, KeyProof, Need};
use crate::hex::Hex;
use crate::schema;
use crate::secret::Secret;

/// A kept result, or a part of it, that becomes a field of an input without being seen by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandleInput {
    /// The kept result.
    #[schema(value_type = schema::ObjectId)]
    pub handle: ObjectId,
    /// Which part of it (RFC 6901); the whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// What is called, with all its arguments: the part of a call that its digest covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// The operation.
    #[schema(value_type = schema::OperationId)]
    pub operation: OperationId,
    /// The input.
    pub input: Value,
    /// Fields of the input that kept results fill, by their place in it (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub handles: BTreeMap<String, HandleInput>,
    /// The zone; the agent's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// The stored credential to use, where there are several for the operation; the only one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CredentialId>)]
    pub credential: Option<CredentialId>,
    /// Makes a repetition of this call harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
}

/// A capability token (COSE_Sign1) in base64 with padding.
pub type TokenText = Secret;

/// Proves the holder of a token for a call outside a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HolderProof {
    /// The token.
    #[schema(value_type = String)]
    pub token: TokenText,
    /// Proves its holder's key for this call (`CallProof`).
    pub proof: KeyProof,
}

/// How a call is to be made: the part that its digest does not cover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallOptions {
    /// Approvals to spend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::ObjectId>)]
    pub approval_ids: Vec<ObjectId>,
    /// Longest time for the whole call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Keeps the output behind a handle instead of returning it, so that it does not join the caller's context.
    #[serde(default)]
    pub keep_result: bool,
}

/// Makes a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invoke {
    /// What is called.
    pub call: CallRequest,
    /// How.
    #[serde(default)]
    pub options: CallOptions,
    /// Who calls, outside a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_proof: Option<HolderProof>,
}

/// Asks what the holder of a token signs to make a call outside a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrepareCall {
    /// The token.
    #[schema(value_type = String)]
    pub token: TokenText,
    /// The call; `handles` are for sessions only.
    pub call: CallRequest,
}

/// What the holder of a token signs to make a call (`CallProof`), and the parts of the call that it cannot know by
/// itself. With its own parts it makes the digest anew, and signs none that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallPrepared {
    /// The call's digest.
    #[schema(value_type = schema::Digest)]
    pub call_digest: Digest,
    /// The token.
    #[schema(value_type = schema::TokenId)]
    pub token_id: TokenId,
    /// The node.
    #[schema(value_type = schema::NodeId)]
    pub node: NodeId,
    /// The zone of the call.
    #[schema(value_type = schema::ZoneId)]
    pub zone: ZoneId,
    /// Whose token it is.
    #[schema(value_type = schema::PrincipalId)]
    pub agent: PrincipalId,
    /// The resources that the call touches.
    pub resources: Vec<String>,
    /// The stored credentials that it uses.
    #[schema(value_type = Vec<schema::CredentialId>)]
    pub credentials: Vec<CredentialId>,
    /// Random, for one use.
    #[schema(value_type = schema::Challenge)]
    pub challenge: Hex<32>,
    /// Until when it can be used.
    #[schema(value_type = schema::UnixTime)]
    pub expires_at: UnixTime,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageView {
    /// HTTP requests that left the machine.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes_sent: u64,
    /// Bytes of the answers' bodies.
    pub bytes_received: u64,
    /// Milliseconds from dispatch to end.
    pub duration_ms: u64,
}

/// A call that succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InvokeAnswer {
    /// The call.
    #[schema(value_type = schema::CallId)]
    pub call_id: CallId,
    /// Its signed receipt.
    #[schema(value_type = schema::ObjectId)]
    pub receipt_id: ObjectId,
    /// The signed decision that permitted it.
    #[schema(value_type = schema::ObjectId)]
    pub decision_id: ObjectId,
    /// The output; absent when it is kept behind `handle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The kept output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub handle: Option<ObjectId>,
    /// The output's label.
    #[schema(value_type = schema::Label)]
    pub label: Label,
    /// What the call did outside.
    #[schema(value_type = schema::Effect)]
    pub effect: Effect,
    /// What it used.
    pub usage: UsageView,
    /// Whether a stored receipt answered because the idempotency key had been used for this very call.
    pub replayed: bool,
}

/// Asks whether the caller could call an operation at all, whatever the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// The connector.
    #[schema(value_type = schema::ConnectorId)]
    pub connector: ConnectorId,
    /// The operation.
    #[schema(value_type = schema::OperationId)]
    pub operation: OperationId,
    /// The zone; the agent's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// Who would call, outside a session; the proof is of the call with the input `{}` and no key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_proof: Option<HolderProof>,
}

/// What a check of the gate said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It lets the call pass.
    Passed,
    /// It refuses.
    Refused,
    /// An earlier check refused, so this one was not asked.
    NotReached,
    /// It depends on the input, and there is none.
    NeedsInput,
}

/// One check of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// Which.
    #[schema(value_type = schema::GateCheck)]
    pub check: GateCheck,
    /// What it said.
    pub status: CheckStatus,
    /// Why it refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
}

/// What the gate would say; nothing was spent, sent or recorded as a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SimulateAnswer {
    /// Whether the call would be dispatched.
    pub allowed: bool,
    /// The reason it would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// The check and rule that would refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// Every check, in order.
    pub checks: Vec<CheckResult>,
    /// What the call would need although no check refused, such as an approval decided later.
    pub needs: Vec<Need>,
    /// The grant by whose standing approval the call would be spared an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub standing_approval: Option<ObjectId>,
    /// The digest that an approval would bind; absent without an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Digest>)]
    pub call_digest: Option<Digest>,
    /// The label of its inputs; absent without an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Label>)]
    pub input_label: Option<Label>,
}

/// How far a cancellation got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// The call had not been dispatched and will not be.
    BeforeDispatch,
    /// The connector was told; the receipt will say what it did.
    Connector,
    /// The call had ended.
    TooLate,
}

/// What a cancellation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelAnswer {
    /// The call.
    #[schema(value_type = schema::CallId)]
    pub call_id: CallId,
    /// How far it got.
    pub reached: Reached,
}

/// A call in the history. Its state is `outcome` if it ended, `denied` if `code` and no `outcome`, else running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// The call.
    #[schema(value_type = schema::CallId)]
    pub call_id: CallId,
    /// Who made it.
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
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub decision_id: Option<ObjectId>,
    /// The receipt, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub receipt_id: Option<ObjectId>,
    /// How it ended; absent while it runs or if it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CallOutcome>)]
    pub outcome: Option<CallOutcome>,
    /// What it did outside, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Effect>)]
    pub effect: Option<Effect>,
    /// Why it was denied or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// When it was admitted or denied.
    #[schema(value_type = schema::UnixTime)]
    pub started_at: UnixTime,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub ended_at: Option<UnixTime>,
}

/// Which calls are wanted, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Those of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::PrincipalId>)]
    pub agent: Option<PrincipalId>,
    /// Those of this connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ConnectorId>)]
    pub connector: Option<ConnectorId>,
    /// Those of this operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::OperationId>)]
    pub operation: Option<OperationId>,
    /// Those in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ZoneId>)]
    pub zone: Option<ZoneId>,
    /// Those that ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CallOutcome>)]
    pub outcome: Option<CallOutcome>,
    /// Only those whose outcome is unknown and not settled, or only the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<bool>,
    /// Those denied or failed with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ErrorCode>)]
    pub code: Option<Code>,
    /// Those from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub since: Option<UnixTime>,
    /// Those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UnixTime>)]
    pub until: Option<UnixTime>,
    /// Where the last page ended, as its `next` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Calls, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The calls.
    pub calls: Vec<CallView>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
