//! The one error registry: every failure FCP reports has a code here, and everything that speaks of failures
//! (HTTP, JSON-RPC, exit codes, the documentation) reads it from here. Source: docs/spec/errors.md.
//!
//! A machine's own error enum says what went wrong in its terms; one exhaustive match maps it to a [`Code`].

mod registry;
#[cfg(test)]
mod tests;

pub use registry::Code;

use alloc::string::{String, ToString};
use core::fmt;

use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};

/// The exit status of `fwc`, and of anything else that ends with a [`Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// The command did what was asked.
    Ok = 0,
    /// A defect of ours, or a broken home.
    Internal = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// There is no such command.
    UnknownCommand = 3,
    /// A name fits more than one thing.
    Ambiguous = 4,
    /// The input is not valid.
    Validation = 5,
    /// A rule refused it: token, grant, zone, constraint, information flow, revocation.
    Denied = 6,
    /// The connector or the outside service failed, or a rate or budget is used up.
    Service = 7,
    /// The daemon cannot be reached.
    Transport = 8,
    /// A person must approve first.
    ApprovalRequired = 9,
    /// The call was sent and its outcome is not known.
    OutcomeUnknown = 10,
}

impl Code {
    /// Whether what was typed or sent is what is wrong, and only what is taken in its place helps. A name that is none is not
    /// among them: there the names that there are help.
    pub const fn is_of_input(self) -> bool {
        matches!(
            self,
            Self::MalformedInput
                | Self::InputInvalid
                | Self::InputTooLarge
                | Self::MissingField
                | Self::UnknownField
                | Self::DuplicateKey
                | Self::InexactNumber
                | Self::OutOfRange
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FCP-{:04}", self.number())
    }
}

impl core::error::Error for Code {}

impl core::str::FromStr for Code {
    type Err = UnknownCode;

    /// Reads `FCP-dddd`.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let digits = text.strip_prefix("FCP-").filter(|digits| digits.len() == 4).ok_or(UnknownCode)?;
        let number = digits.parse::<u16>().map_err(|_| UnknownCode)?;
        Self::ALL.iter().copied().find(|code| code.number() == number).ok_or(UnknownCode)
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl ToCbor for Code {
    fn to_cbor(&self) -> Value<'_> {
        Value::Text(self.to_string().into())
    }
}

impl FromCbor for Code {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let text = String::from_cbor(value)?;
        text.parse().map_err(|UnknownCode| ShapeError::UnknownVariant(text))
    }
}

/// The text is not a code of this registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a known FCP error code")
    }
}

impl core::error::Error for UnknownCode {}
