//! Why the vault does not give or take a credential.

use std::fmt;
use std::path::PathBuf;

use fcp_proto_core::error::Code;

use super::{CredentialKey, SecretInvalid};
use crate::home::HomeError;

/// Why the vault does not give or take a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// There is no such credential.
    Missing(CredentialKey),
    /// What follows it is not durable yet; see [`super::Vault::withhold`].
    Withheld(CredentialKey),
    /// A file does not open, or belongs elsewhere; others are not affected.
    Invalid {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another version stands than the one to be replaced.
    Superseded {
        /// Of which credential.
        key: CredentialKey,
        /// The version that stands.
        version: u64,
    },
    /// The secret cannot be presented to a service.
    Secret(SecretInvalid),
    /// A file could not be read or written.
    File(HomeError),
    /// The secret is too large to be sealed.
    Unencodable,
    /// There is no further version.
    Exhausted,
}

impl VaultError {
    /// Whether the same change can be taken later, once the disk or a file on it is well again.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::File(_) => true,
            Self::Missing(_)
            | Self::Withheld(_)
            | Self::Superseded { .. }
            | Self::Secret(_)
            | Self::Unencodable
            | Self::Exhausted => false,
        }
    }

    /// The registered code of this failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::CredentialMissing,
            Self::Withheld(_) => Code::CredentialRefreshFailed,
            Self::Invalid { .. } => Code::VaultInvalid,
            Self::Superseded { .. } => Code::Conflict,
            Self::Secret(_) => Code::InputInvalid,
            Self::File(error) => error.code(),
            Self::Unencodable => Code::InputTooLarge,
            Self::Exhausted => Code::Exhausted,
        }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "no credential {key} is stored"),
            Self::Withheld(key) => {
                write!(
                    f,
                    "a refreshed token of {key} is not stored or told to the audit yet: the disk refuses it"
                )
            }
            Self::Invalid { file, reason } => write!(f, "{} does not open: {reason}", file.display()),
            Self::Superseded { key, version } => {
                write!(f, "the credential {key} was replaced meanwhile; version {version} stands")
            }
            Self::Secret(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Unencodable => f.write_str("the secret is too large to be sealed"),
            Self::Exhausted => f.write_str("the credential has no further version"),
        }
    }
}

impl std::error::Error for VaultError {}

impl From<HomeError> for VaultError {
    fn from(error: HomeError) -> Self {
        Self::File(error)
    }
}

impl From<SecretInvalid> for VaultError {
    fn from(error: SecretInvalid) -> Self {
        Self::Secret(error)
    }
}
