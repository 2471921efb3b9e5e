//! Why a call may not be made.

use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

/// Why a call may not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The check that refused.
    pub check: GateCheck,
    /// The reason.
    pub code: Code,
    /// What exactly was violated, and by what; for people.
    pub rule: String,
    /// Milliseconds after which the same call may pass, where that is known.
    pub retry_after_ms: Option<u64>,
}

impl Denial {
    pub(super) fn new(check: GateCheck, code: Code, rule: impl Into<String>) -> Self {
        Self { check, code, rule: rule.into(), retry_after_ms: None }
    }

    /// Whether the refusal is signed and audited by itself. Before the holder is known it is only counted, so that nobody
    /// without a key can make this node write.
    pub fn is_receipted(&self) -> bool {
        self.check >= GateCheck::Holder
    }
}
