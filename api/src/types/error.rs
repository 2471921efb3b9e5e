//! The body of every answer that is not a success.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CapabilityId, ConnectorId, ObjectId, OperationId, ZoneId};
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;

/// What failed, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The registered code.
    #[schema(value_type = schema::ErrorCode)]
    pub code: Code,
    /// The code's name.
    pub name: String,
    /// What failed, in one sentence.
    pub message: String,
    /// Why exactly, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub why: Option<Box<str>>,
    /// Whether the same request may succeed later unchanged.
    pub retryable: bool,
    /// When to retry at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What to do next.
    pub next: String,
    /// More, by kind of failure; a denial's is a `Denial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub detail: Option<Box<Value>>,
}

impl ErrorBody {
    /// The failure `code` with what the registry says of it.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            name: code.name().into(),
            message: code.meaning().into(),
            why: None,
            retryable: code.retryable(),
            retry_after_ms: None,
            next: code.next_step().into(),
            detail: None,
        }
    }

    /// The same failure, with the reason; one that says nothing more than the code is none.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        let why = why.into();
        self.why = (!why.is_empty() && why != self.message).then(|| why.into_boxed_str());
        self
    }

    /// The same failure, with another next step than the registry's.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// The gate's denial that this carries, if it carries one.
    pub fn denial(&self) -> Option<Denial> {
        serde_json::from_value(*self.detail.clone()?).ok()
    }
}

impl core::fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.code, self.message)?;
        self.why.as_deref().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

impl core::error::Error for ErrorBody {}

/// Which check refused a call, by which rule, and what would permit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denial {
    /// The signed decision; absent where the caller was not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ObjectId>)]
    pub decision_id: Option<ObjectId>,
    /// The check that refused.
    #[schema(value_type = schema::GateCheck)]
    pub check: GateCheck,
    /// What exactly was violated, and by what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What is missing.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// The command that asks for it, or shows what stands against the call; ready to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Something whose presence would permit a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum Need {
    /// A grant.
    Grant {
        /// Of this connector.
        #[schema(value_type = schema::ConnectorId)]
        connector: ConnectorId,
        /// For this operation.
        #[schema(value_type = schema::OperationId)]
        operation: OperationId,
        /// With this capability.
        #[schema(value_type = schema::CapabilityId)]
        capability: CapabilityId,
        /// In this zone.
        #[schema(value_type = schema::ZoneId)]
        zone: ZoneId,
    },
    /// A person's approval of this very call.
    Approval {
        /// Of these kinds.
        #[schema(value_type = Vec<schema::ApprovalKind>)]
        kinds: Vec<ApprovalKind>,
    },
    /// A credential for a slot of the connector.
    Credential {
        /// Of this connector.
        #[schema(value_type = schema::ConnectorId)]
        connector: ConnectorId,
        /// In this slot.
        slot: String,
    },
    /// A context that has not read what this one has.
    FreshContext {
        /// The integrity that the operation needs.
        integrity: u8,
        /// The integrity of the present context.
        present: u8,
    },
    /// A value within bounds.
    Argument {
        /// Where in the input (RFC 6901).
        pointer: String,
        /// What it must fulfil.
        rule: String,
    },
    /// Time, until a rate pool or budget has room.
    Wait {
        /// The pool or budget.
        pool: String,
        /// At least so long, in milliseconds.
        ms: u64,
    },
}
