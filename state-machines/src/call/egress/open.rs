//! The open call: everything egress knows of the one operation it serves. Source: docs/spec/egress.md#open-call.

use core::fmt;

use alloc::vec::Vec;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, Digest, OperationId, ZoneId};
use serde::{Deserialize, Serialize};

use super::credential::CredentialGrant;
use super::rule::{EgressException, EgressRule};

/// The random name by which a connector uses the network for one call. Whoever knows it, on the right connection,
/// may use it, so `Debug` shows none of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EgressHandle(Digest);

impl EgressHandle {
    /// The handle of these random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// As the connector sends it: 64 hexadecimal digits.
impl fmt::Display for EgressHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for EgressHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EgressHandle(..)")
    }
}

/// An authorised call, as the daemon opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCall {
    /// The name the connector uses it by.
    pub handle: EgressHandle,
    /// The call, for reports.
    pub call: CallId,
    /// The connector whose connection alone may use the handle.
    pub connector: ConnectorId,
    /// The zone whose connection alone may use the handle.
    pub zone: ZoneId,
    /// The operation.
    pub operation: OperationId,
    /// What the operation may do; none means nothing.
    pub rules: Vec<EgressRule>,
    /// What the owner permits beyond the positive address rule.
    pub exceptions: Vec<EgressException>,
    /// The credentials it may use.
    pub credentials: Vec<CredentialGrant>,
    /// How long it may live from its opening, in milliseconds.
    pub deadline_ms: u64,
    /// The sequence number of the revocation head its authorisation rests on.
    pub seal: u64,
}

/// Why a call cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenRefusal {
    /// A rule leaves a limit at zero.
    LimitMissing,
    /// Two credentials share a slot.
    SlotTwice,
    /// A credential's header or parameter cannot be filled.
    InjectionInvalid,
    /// An exception's certificate authority is not readable PEM.
    AuthorityInvalid,
    /// A credential came without its secret, or a secret without its credential.
    SecretMissing,
    /// A secret is too short to be found in an answer, too long, or holds what a header cannot.
    SecretUnusable,
    /// The handle is in use.
    HandleTwice,
    /// The deadline has passed.
    DeadlinePassed,
    /// A revocation has overtaken the authorisation.
    Revoked,
    /// Too many calls are open.
    Saturated,
}

impl OpenRefusal {
    /// Its place in the error registry.
    pub const fn code(self) -> Code {
        match self {
            Self::LimitMissing | Self::SlotTwice | Self::InjectionInvalid => Code::ManifestInvalid,
            Self::AuthorityInvalid => Code::InputInvalid,
            Self::SecretMissing => Code::CredentialMissing,
            Self::SecretUnusable => Code::OutOfRange,
            Self::HandleTwice => Code::Conflict,
            Self::DeadlinePassed => Code::UpstreamTimeout,
            Self::Revoked => Code::EgressHandleInvalid,
            Self::Saturated => Code::Exhausted,
        }
    }
}

impl fmt::Display for OpenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LimitMissing => "a network rule leaves a limit at zero",
            Self::SlotTwice => "two credentials share a slot",
            Self::InjectionInvalid => "a credential's header or parameter cannot be filled",
            Self::AuthorityInvalid => "an exception's certificate authority is not readable PEM",
            Self::SecretMissing => "a credential came without its secret",
            Self::SecretUnusable => {
                "a secret is shorter than 8 bytes, too long, or holds what a header cannot"
            }
            Self::HandleTwice => "the handle is in use",
            Self::DeadlinePassed => "the deadline has passed",
            Self::Revoked => "a revocation has overtaken the authorisation",
            Self::Saturated => "too many calls are open",
        })
    }
}

impl core::error::Error for OpenRefusal {}

impl OpenCall {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// Names the first part that is missing or contradicts another.
    pub fn check(&self) -> Result<(), OpenRefusal> {
        if self.deadline_ms == 0 {
            return Err(OpenRefusal::DeadlinePassed);
        }
        if !self.rules.iter().all(|rule| rule.limits.is_complete()) {
            return Err(OpenRefusal::LimitMissing);
        }
        for (index, grant) in self.credentials.iter().enumerate() {
            if !grant.injection.is_valid() {
                return Err(OpenRefusal::InjectionInvalid);
            }
            if self.credentials[..index].iter().any(|earlier| earlier.slot == grant.slot) {
                return Err(OpenRefusal::SlotTwice);
            }
        }
        Ok(())
    }
}
