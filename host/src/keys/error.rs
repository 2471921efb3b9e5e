//! Why a stored key cannot be had.

use std::fmt;
use std::path::PathBuf;

use fcp_proto_core::crypto::wrap::WrapError;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};

use crate::home::HomeError;

/// Why a stored key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStoreError {
    /// A file is missing, open to others, damaged or not to be read or written.
    File(HomeError),
    /// A stored key does not open.
    Wrap {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: WrapError,
    },
    /// The node secret is not 32 bytes.
    SecretLength(PathBuf),
    /// The node secret is a credential of systemd, and this process was not given it.
    CredentialMissing(String),
    /// The node's keys come from a source that this release does not use for them.
    SourceUnsupported(&'static str),
    /// No key of this operator is stored here.
    UnknownOperator(PrincipalId),
    /// The phrase is another owner's.
    OtherOwner,
    /// The zone has its key already.
    ZoneExists(ZoneId),
    /// A key cannot be encoded.
    Unencodable(PathBuf),
}

impl KeyStoreError {
    /// The registered code of this failure.
    pub fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Wrap { error, .. } => error.code(),
            Self::SecretLength(_) => Code::StoreCorrupt,
            Self::CredentialMissing(_) | Self::SourceUnsupported(_) => Code::UnlockFailed,
            Self::UnknownOperator(_) => Code::NotFound,
            Self::OtherOwner => Code::NotPermitted,
            Self::ZoneExists(_) => Code::Conflict,
            Self::Unencodable(_) => Code::Internal,
        }
    }

    /// What to do next, where it is more than the code's own advice.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::File(error) => error.remedy(),
            Self::SecretLength(path) => Some(format!("restore {} from a backup", path.display())),
            Self::CredentialMissing(name) => {
                Some(format!("start the daemon as the service whose unit loads the credential {name}"))
            }
            Self::UnknownOperator(name) => Some(format!(
                "restore its file from a backup; without one, `fwc operator add {name} --replace` makes another key with \
                 the owner's 24 words"
            )),
            Self::Wrap { .. }
            | Self::SourceUnsupported(_)
            | Self::OtherOwner
            | Self::ZoneExists(_)
            | Self::Unencodable(_) => None,
        }
    }
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Wrap { file, error } => write!(f, "{}: {error}", file.display()),
            Self::SecretLength(path) => write!(f, "{} is not 32 bytes", path.display()),
            Self::CredentialMissing(name) => {
                write!(f, "the keys open by systemd's credential {name}, which this process was not given")
            }
            Self::SourceUnsupported(kind) => write!(f, "the node's keys cannot be opened by `{kind}`"),
            Self::UnknownOperator(name) => write!(f, "no key of the operator {name} is stored here"),
            Self::OtherOwner => f.write_str("the key is not that of this home's owner"),
            Self::ZoneExists(zone) => write!(f, "{zone} has its key already"),
            Self::Unencodable(path) => write!(f, "the key for {} cannot be encoded", path.display()),
        }
    }
}

impl std::error::Error for KeyStoreError {}

impl From<HomeError> for KeyStoreError {
    fn from(error: HomeError) -> Self {
        Self::File(error)
    }
}
