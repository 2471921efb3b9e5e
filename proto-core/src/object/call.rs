//! A call's life on disk: the request, the intent before the effect, the receipt after it, and the refusal.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Body, Schema, SignedBody, TraceContext};
use crate::encoding::cbor::ByteString;
use crate::error::Code;
use crate::ids::{
    CallId, ConnectorId, CredentialId, Digest, NodeId, ObjectId, OperationId, PrincipalId, TokenId,
};
use crate::time::UnixTime;
use crate::zone::Label;
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// What was asked for, with all its arguments, in the header's zone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CallRecord {
        /// The call.
        pub call_id: CallId,
        /// Who asked.
        pub principal: PrincipalId,
        /// The connector.
        pub connector: ConnectorId,
        /// The operation.
        pub operation: OperationId,
        /// The input as canonical JSON.
        pub input: String,
        /// The resources it touches.
        pub resources: BTreeSet<String>,
        /// The credentials it uses.
        pub credentials: BTreeSet<CredentialId>,
        /// The caller's key.
        pub idempotency_key: Option<String>,
        /// The digest of all this.
        pub call_digest: Digest,
        /// The caller's trace.
        pub trace: Option<TraceContext>,
    }
}

cbor_map! {
    /// A call that is about to be dispatched; signed by the node, durable before the effect.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OperationIntent {
        /// The call.
        pub call_id: CallId,
        /// Its record.
        pub request: ObjectId,
        /// Its digest.
        pub call_digest: Digest,
        /// Who asked.
        pub principal: PrincipalId,
        /// The connector.
        pub connector: ConnectorId,
        /// The operation.
        pub operation: OperationId,
        /// The capability token.
        pub token_id: TokenId,
        /// The grants that permit it.
        pub grants: BTreeSet<ObjectId>,
        /// The approvals it spends.
        pub approvals: BTreeSet<ObjectId>,
        /// The grant by whose standing approval a person had agreed beforehand, if that spared it one.
        pub standing_approval: Option<ObjectId>,
        /// The caller's key.
        pub idempotency_key: Option<String>,
        /// Until when the key is remembered.
        pub idempotency_expires_at: Option<UnixTime>,
        /// What it took from pools and budgets, each as canonical CBOR (docs/spec/rates.md#stored-demands).
        pub reservations: Vec<ByteString>,
        /// The merged label of its inputs.
        pub input_label: Label,
        /// The head of the revocation chain it was checked against.
        pub revocation_seq: u64,
        /// The connector's interface.
        pub interface_hash: Digest,
        /// The connector's code.
        pub code_digest: Digest,
        /// The fencing token, where a lease is needed.
        pub lease_seq: Option<u64>,
        /// When.
        pub planned_at: UnixTime,
        /// The node.
        pub planned_by: NodeId,
    }
}

cbor_enum! {
    /// What a call did outside.
    pub enum Effect {
        /// Nothing left this machine, or the service says that nothing changed.
        None = "none",
        /// The service did what was asked.
        Made = "made",
        /// It was sent and nobody knows.
        Unknown = "unknown",
    }
}

cbor_enum! {
    /// How a dispatched call ended.
    pub enum CallOutcome {
        /// With an output.
        Succeeded = "succeeded",
        /// With an error and no effect in doubt.
        Failed = "failed",
        /// Without an answer, or with one that leaves the effect in doubt.
        Unknown = "unknown",
    }
}

cbor_map! {
    /// What a call used.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Usage {
        /// HTTP requests that left the machine.
        pub requests: u64,
        /// Bytes of their bodies.
        pub bytes_sent: u64,
        /// Bytes of the answers' bodies.
        pub bytes_received: u64,
        /// Milliseconds from dispatch to end.
        pub duration_ms: u64,
    }
}

cbor_map! {
    /// A call's end; signed by the node, durable before the reply.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OperationReceipt {
        /// The call.
        pub call_id: CallId,
        /// Its intent.
        pub intent: ObjectId,
        /// How it ended.
        pub outcome: CallOutcome,
        /// Whether the connector may have got it; what it had taken was given back if not.
        pub delivered: bool,
        /// What it did outside.
        pub effect: Effect,
        /// Why it failed.
        pub error: Option<Code>,
        /// What the connector says about the failure.
        pub message: Option<String>,
        /// BLAKE3 of the output's canonical JSON.
        pub output_digest: Option<Digest>,
        /// Where the output is kept, if it is.
        pub result: Option<ObjectId>,
        /// The output's label.
        pub output_label: Label,
        /// What it used.
        pub usage: Usage,
        /// When it ended.
        pub executed_at: UnixTime,
        /// The node.
        pub executed_by: NodeId,
    }
}

cbor_enum! {
    /// The gate's checks, in their order.
    pub enum GateCheck {
        /// 1: the request is well-formed and within limits.
        Decode = "decode",
        /// 2: the token's signature verifies.
        TokenSignature = "token_signature",
        /// 3: audience, zone, issuer and times.
        TokenBinding = "token_binding",
        /// 4: nothing involved is revoked, as far as is known freshly enough.
        Revocation = "revocation",
        /// 5: the caller holds the token.
        Holder = "holder",
        /// 6: the token stands on live grants that contain it.
        Grants = "grants",
        /// 7: the zone permits it.
        ZonePolicy = "zone_policy",
        /// 8: connector, operation and zone belong together.
        Binding = "binding",
        /// 9: the key is new, or names this very call.
        Idempotency = "idempotency",
        /// 10: the input fits the operation's schema.
        Schema = "schema",
        /// 11: resources, arguments, numbers and credentials are allowed.
        Constraints = "constraints",
        /// 12: nothing drives it that may not, nothing leaves that may not.
        Flow = "flow",
        /// 13: a person agreed where one must.
        Approval = "approval",
        /// 14: this node may do it.
        Lease = "lease",
        /// 15: pools and budgets have room.
        Rates = "rates",
    }
}

cbor_enum! {
    /// The gate's verdict.
    pub enum Verdict {
        /// The call may be dispatched.
        Allow = "allow",
        /// It may not.
        Deny = "deny",
    }
}

cbor_map! {
    /// The gate's decision; signed by the node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DecisionReceipt {
        /// The call.
        pub call_id: CallId,
        /// Its record.
        pub request: Option<ObjectId>,
        /// The decision.
        pub verdict: Verdict,
        /// The check that refused.
        pub check: Option<GateCheck>,
        /// Why.
        pub code: Option<Code>,
        /// What exactly was violated, and by what.
        pub rule: Option<String>,
        /// The objects the decision rests on.
        pub evidence: Vec<ObjectId>,
        /// Who asked.
        pub principal: PrincipalId,
        /// The connector.
        pub connector: ConnectorId,
        /// The operation.
        pub operation: OperationId,
        /// When.
        pub decided_at: UnixTime,
        /// The node.
        pub decided_by: NodeId,
    }
}

cbor_map! {
    /// Leave for one call of the read that an operation declares to show what it did, for a call of unknown outcome in the
    /// header's zone, by the operator who signs it. Signed by an operator with `approve`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OutcomeProbe {
        /// The operator, in whose name the read is made.
        pub operator: PrincipalId,
        /// The intent of the call in doubt.
        pub intent: ObjectId,
    }
}

cbor_enum! {
    /// What settled an unknown outcome.
    pub enum SettledBy {
        /// The operation's declared read probe.
        Probe = "probe",
        /// A person.
        Operator = "operator",
    }
}

cbor_map! {
    /// The end of an unknown outcome; signed by the node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Settlement {
        /// The intent.
        pub intent: ObjectId,
        /// What it turned out to have done.
        pub effect: Effect,
        /// How that is known.
        pub settled_by: SettledBy,
        /// What the person says, or the probe's answer.
        pub note: Option<String>,
        /// When.
        pub settled_at: UnixTime,
    }
}

impl Body for CallRecord {
    const SCHEMA: Schema = Schema { namespace: "fcp.invoke", name: "Request", version: "1.0.0" };
}

impl SignedBody for OperationIntent {
    const SCHEMA: Schema = Schema { namespace: "fcp.invoke", name: "OperationIntent", version: "1.0.0" };
}

impl SignedBody for OutcomeProbe {
    const SCHEMA: Schema = Schema { namespace: "fcp.invoke", name: "OutcomeProbe", version: "1.0.0" };
}

impl SignedBody for OperationReceipt {
    const SCHEMA: Schema = Schema { namespace: "fcp.receipt", name: "OperationReceipt", version: "1.0.0" };
}

impl SignedBody for DecisionReceipt {
    const SCHEMA: Schema = Schema { namespace: "fcp.receipt", name: "DecisionReceipt", version: "1.0.0" };
}

impl SignedBody for Settlement {
    const SCHEMA: Schema = Schema { namespace: "fcp.receipt", name: "Settlement", version: "1.0.0" };
}
