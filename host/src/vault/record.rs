//! A sealed file: what may be known in clear, the secret sealed, and both bound together.

use std::fmt;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::role::Vault;
use fcp_proto_core::crypto::seal::{SealContext, SealError, SealedBox};
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::encoding::cbor::{CborError, FromCbor, ShapeError, decode, encode};
use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use fcp_proto_core::manifest::AuthKind;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;

use super::secret::Secret;
use super::{SecretInvalid, VaultError};

/// The version of the format.
const VERSION: u16 = 1;

/// What the boxes are for.
const PURPOSE: &str = "vault-credential";

/// Which credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialKey {
    /// The zone that may use it.
    pub zone: ZoneId,
    /// The connector that may use it.
    pub connector: ConnectorId,
    /// The account's name.
    pub name: CredentialId,
}

impl CredentialKey {
    /// The folder of its zone; zones have no `_`, so two zones never share one.
    pub(super) fn zone_folder(&self) -> String {
        self.zone.as_str().replace(':', "_")
    }
}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {} in {}", self.name, self.connector, self.zone)
    }
}

/// What may be known of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Which.
    pub key: CredentialKey,
    /// The manifest's slot that it fills.
    pub slot: String,
    /// How it is presented; absent once it is removed.
    pub kind: Option<AuthKind>,
    /// Rises by one with every change.
    pub version: u64,
    /// When this version was stored.
    pub stored_at: UnixTime,
    /// The version of the signed record by which it is in force; absent in what an older release stored.
    pub record: Option<u64>,
    /// Whether the audit is still to be told of it: until then it is given to nobody.
    pub untold: bool,
}

cbor_map! {
    /// The fields in clear, all of which the seal covers.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Clear {
        pub format: u16,
        pub zone: ZoneId,
        pub connector: ConnectorId,
        pub name: CredentialId,
        pub slot: String,
        /// Absent once the credential is removed.
        pub kind: Option<AuthKind>,
        pub revision: u64,
        pub stored_at: UnixTime,
        /// The version of the signed record by which it is in force; absent in what an older release stored, which was in
        /// force by itself.
        pub record: Option<u64>,
        /// True while the audit is still to be told of it; else absent.
        pub untold: Option<bool>,
    }
}

cbor_map! {
    /// The file.
    #[derive(Debug)]
    pub(super) struct Record {
        pub clear: Clear,
        pub sealed: SealedBox,
    }
}

/// Why a file does not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    /// A newer release wrote it.
    Version,
    Shape(ShapeError),
    Seal(SealError),
    Secret(SecretInvalid),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("a newer release wrote it"),
            Self::Shape(error) => error.fmt(f),
            Self::Seal(error) => error.fmt(f),
            Self::Secret(error) => error.fmt(f),
        }
    }
}

impl From<CborError> for RecordError {
    fn from(error: CborError) -> Self {
        Self::Shape(error.into())
    }
}

impl Record {
    /// Seals a version; one without a secret says that the credential is removed.
    pub(super) fn seal(
        metadata: Metadata,
        secret: Option<&Secret>,
        key: &SymmetricKey<Vault>,
        entropy: &mut Entropy,
    ) -> Result<Self, VaultError> {
        let clear = Clear {
            format: VERSION,
            zone: metadata.key.zone,
            connector: metadata.key.connector,
            name: metadata.key.name,
            slot: metadata.slot,
            kind: metadata.kind,
            revision: metadata.version,
            stored_at: metadata.stored_at,
            record: metadata.record,
            untold: metadata.untold.then_some(true),
        };
        let binding = encode(&clear).map_err(|_| VaultError::Unencodable)?;
        let content = secret.map(Secret::to_bytes).unwrap_or_default();
        let context = SealContext { purpose: PURPOSE, binding: &binding };
        let sealed = SealedBox::seal(key, context, &content, entropy).map_err(|_| VaultError::Unencodable)?;
        Ok(Self { clear, sealed })
    }

    /// Reads a file without opening the seal.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Self::from_cbor(decode(bytes)?).map_err(RecordError::Shape)?;
        if record.clear.format == VERSION { Ok(record) } else { Err(RecordError::Version) }
    }

    /// What it says in clear; true only once it is opened.
    pub(super) fn metadata(&self) -> Metadata {
        let clear = self.clear.clone();
        Metadata {
            key: CredentialKey { zone: clear.zone, connector: clear.connector, name: clear.name },
            slot: clear.slot,
            kind: clear.kind,
            version: clear.revision,
            stored_at: clear.stored_at,
            record: clear.record,
            untold: clear.untold.unwrap_or(false),
        }
    }

    /// Opens the seal; nothing is inside once the credential is removed.
    pub(super) fn open(&self, key: &SymmetricKey<Vault>) -> Result<Option<Secret>, RecordError> {
        let binding = encode(&self.clear)?;
        let context = SealContext { purpose: PURPOSE, binding: &binding };
        let content = self.sealed.open(key, context).map_err(RecordError::Seal)?;
        match self.clear.kind {
            Some(kind) => Secret::from_bytes(kind, &content).map(Some).map_err(RecordError::Secret),
            None if content.is_empty() => Ok(None),
            None => Err(RecordError::Secret(SecretInvalid::Malformed)),
        }
    }
}
