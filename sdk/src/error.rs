//! How a call fails: a registered code, whether to repeat it, and what is known of its effect.

use std::fmt;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::Effect;
use serde_json::Value;

/// A failed call.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The registered code.
    pub code: Code,
    /// What happened, in one sentence for people; never a secret.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// How long to wait before that, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Whether the service may have acted.
    pub effect: Effect,
    /// What the service said, for programs.
    pub detail: Option<Value>,
}

impl Error {
    /// A failure before anything left the connector.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: code.retryable(),
            retry_after_ms: None,
            effect: Effect::None,
            detail: None,
        }
    }

    /// The same failure, with the service having possibly acted.
    #[must_use]
    pub fn with_unknown_effect(mut self) -> Self {
        self.effect = Effect::Unknown;
        self.retryable = false;
        self
    }

    /// The same failure of something that only reads, which therefore had no effect.
    #[must_use]
    pub fn of_a_read(mut self) -> Self {
        self.effect = Effect::None;
        self.retryable = self.retryable || self.code.retryable();
        self
    }

    /// The same failure with what the service said.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
