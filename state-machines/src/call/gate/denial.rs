//! Why a call may not be made.

use alloc::string::String;
use core::fmt;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
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
    /// Why a standing approval that there is spared the call nothing, if that is what the rule says.
    pub standing: Option<StandingFault>,
}

/// Why a standing approval spares a call nothing; the later ones came nearer to it, and are told before the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandingFault {
    /// It is for another input.
    Input,
    /// It is for another interface or other code of the connector.
    Connector,
    /// It is for another configuration of the connector.
    Configuration,
    /// Whoever signed it may not approve.
    Signer,
    /// No standing approval serves this call: it names its approvals.
    Named,
    /// As above: where its values come from or go needs a person each time.
    Flow,
    /// As above: a person denied this input.
    Denied(ObjectId),
}

impl fmt::Display for StandingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("it is for another input"),
            Self::Connector => f.write_str("the connector is no longer the one that it was given for"),
            Self::Configuration => {
                f.write_str("the connector is configured otherwise than when it was given")
            }
            Self::Signer => f.write_str("whoever signed it may not approve"),
            Self::Named => f.write_str("the call names the approvals that it is made on"),
            Self::Flow => f.write_str("where its values come from or go needs a person each time"),
            Self::Denied(denial) => write!(f, "a person denied this input, by {denial}"),
        }
    }
}

impl Denial {
    pub(super) fn new(check: GateCheck, code: Code, rule: impl Into<String>) -> Self {
        Self { check, code, rule: rule.into(), retry_after_ms: None, standing: None }
    }

    /// Whether nobody has approved the call, and nothing nearer to it is known than agreements to other inputs.
    pub(crate) fn is_for_want_of_approval(&self) -> bool {
        self.code == Code::ApprovalRequired && self.standing <= Some(StandingFault::Input)
    }

    /// Whether the refusal is signed and audited by itself. Before the holder is known it is only counted, so that nobody
    /// without a key can make this node write.
    pub fn is_receipted(&self) -> bool {
        self.check >= GateCheck::Holder
    }
}
