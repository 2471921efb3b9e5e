//! What a node answers and asks for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, Digest, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{
    ApprovalKind, CallOutcome, CredentialRecord, Effect, GateCheck, RevocationObject, TraceContext, Usage,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;

use super::request::{FiledApproval, RequestId};
use super::sessions::{MintedToken, SessionId};
use crate::call::gate::{Authorized, Denial};
use crate::persist::{Batch, BatchToken};

/// What a node wants done, in the order in which it must be done.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, and say what came of it.
    Persist {
        /// Its name.
        token: BatchToken,
        /// What.
        batch: Batch,
    },
    /// Hand this call to its connector, and say what came of it. Its intent is durable.
    Dispatch(Box<Dispatch>),
    /// Stop this call: tell the connector, and end it if it does not listen.
    Cancel(CallId),
    /// Close what rests on what was just revoked: open calls' egress, processes, sessions. Not yet durable, so that it
    /// bites at once.
    Revoked(Box<RevocationObject>),
    /// What is installed has changed; a process of this connector must not go on as it is.
    Reconfigured(ConnectorId),
    /// The answer to a request.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Result<Box<Answer>, Box<Failure>>,
    },
}

/// A call to hand to its connector.
#[derive(Debug)]
pub struct Dispatch {
    /// The call.
    pub call_id: CallId,
    /// Its intent.
    pub intent: ObjectId,
    /// The proof that it may be made.
    pub authorized: Authorized,
    /// The credentials it may use.
    pub credentials: Vec<CredentialRecord>,
    /// The longest it may take, in milliseconds.
    pub timeout_ms: u64,
    /// The caller's trace.
    pub trace: Option<TraceContext>,
}

/// What came of a dispatched call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It provably never reached the connector.
    NotDelivered {
        /// Why.
        code: Code,
        /// In words.
        message: String,
    },
    /// It succeeded.
    Succeeded {
        /// The output as canonical JSON.
        output: String,
        /// What it did outside.
        effect: Effect,
        /// What it used.
        usage: Usage,
    },
    /// It failed, and what it did outside is known.
    Failed {
        /// Why.
        code: Code,
        /// In words.
        message: String,
        /// What it did outside all the same.
        effect: Effect,
        /// What it used.
        usage: Usage,
        /// How long whoever failed asks to be left alone, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// It was delivered and nobody knows what it did.
    Unknown {
        /// Why nobody knows.
        code: Code,
        /// In words.
        message: String,
        /// What it used, as far as is known.
        usage: Usage,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The object was taken.
    Admitted(ObjectId),
    /// The objects were taken, in their order.
    AdmittedTogether(Vec<ObjectId>),
    /// The session is open.
    Session {
        /// Its secret name.
        id: SessionId,
        /// Whose.
        principal: PrincipalId,
        /// The principal's zone.
        zone: ZoneId,
        /// Until when.
        expires_at: UnixTime,
    },
    /// The tokens that were asked for, at least one for each operation.
    Tokens(Vec<MintedToken>),
    /// The call ended.
    Called(CallAnswer),
    /// The probe of a call of unknown outcome ended.
    Probed {
        /// What became of the probe.
        call: CallAnswer,
        /// What its answer says of the call.
        verdict: Verdict,
    },
    /// The call was made before; its receipt and kept output are to be loaded.
    Replayed {
        /// The receipt.
        receipt: ObjectId,
    },
    /// What would be decided over the call.
    Simulated {
        /// The refusal, if it would be refused.
        refused: Option<Refusal>,
        /// Whether it would be answered by a stored receipt.
        replay: Option<ObjectId>,
        /// What a person would have to approve.
        approvals: Vec<ApprovalKind>,
        /// The grant by whose standing approval the call would be spared that.
        standing_approval: Option<ObjectId>,
        /// The call as its approval would bind it, if all that its digest covers could be told to its proven caller.
        bound: Option<BoundCall>,
    },
    /// The request for approval is filed.
    Filed(FiledApproval),
    /// The kept result may be shown.
    Readable,
    /// It is done.
    Done,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallAnswer {
    /// The call.
    pub call_id: CallId,
    /// Its receipt.
    pub receipt: ObjectId,
    /// How it ended.
    pub outcome: CallOutcome,
    /// What it did outside.
    pub effect: Effect,
    /// Why it failed.
    pub error: Option<(Code, String)>,
    /// The output as canonical JSON, unless it is kept behind a handle.
    pub output: Option<String>,
    /// Where the output is kept.
    pub kept: Option<ObjectId>,
    /// The output's label.
    pub label: Label,
    /// What it used.
    pub usage: Usage,
    /// When to try again, in milliseconds, if it failed and whoever failed said so.
    pub retry_after_ms: Option<u64>,
}

/// What a probe says of a call of unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is settled.
    Settled {
        /// The settlement.
        settlement: ObjectId,
        /// What the call did.
        effect: Effect,
    },
    /// It is as unknown as it was, for this reason.
    Unclear(String),
}

/// Why the gate refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The check.
    pub check: GateCheck,
    /// The reason.
    pub code: Code,
    /// What exactly was violated.
    pub rule: String,
    /// When to try again, in milliseconds, if that is known.
    pub retry_after_ms: Option<u64>,
}

impl From<Denial> for Refusal {
    fn from(Denial { check, code, rule, retry_after_ms, standing: _ }: Denial) -> Self {
        Self { check, code, rule, retry_after_ms }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub code: Code,
    /// What exactly is wrong.
    pub message: String,
    /// The gate's check, if the gate refused.
    pub check: Option<GateCheck>,
    /// The call, if it came that far.
    pub call_id: Option<CallId>,
    /// The signed decision, if one was written.
    pub receipt: Option<ObjectId>,
    /// When to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure that is none of the gate's.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            check: None,
            call_id: None,
            receipt: None,
            retry_after_ms: None,
        }
    }
}

/// What identifies a call, and what flows into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundCall {
    /// Its digest.
    pub call_digest: Digest,
    /// The merged label of its inputs.
    pub input_label: Label,
}
