//! Keys at rest: each is sealed under a wrapping key and carries its id, role and source, which the seal covers.

use core::fmt;

use zeroize::Zeroizing;

use super::role::{KeyRole, Role, SigningRole, SymmetricRole, Wrapping};
use super::seal::{SealContext, SealError, SealedBox};
use super::secret::{SecretBytes, SymmetricKey};
use super::sign::SigningKey;
use super::source::{Argon2Cost, KeySource, StretchError};
use crate::cbor_map;
use crate::encoding::cbor::encode;
use crate::error::Code;
use crate::ids::KeyId;
use crate::random::Entropy;

/// The version of the format.
pub const WRAPPED_KEY_VERSION: u16 = 1;

/// A secret key of 32 bytes that can be stored wrapped.
pub trait WrappableKey: Sized {
    /// What the key is for.
    const ROLE: KeyRole;

    /// The key's public name.
    fn key_id(&self) -> KeyId;

    /// The secret.
    fn expose_secret(&self) -> &[u8; 32];

    /// The key of the secret `bytes`.
    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self;
}

impl<R: SigningRole> WrappableKey for SigningKey<R> {
    const ROLE: KeyRole = <R as Role>::ROLE;

    fn key_id(&self) -> KeyId {
        SigningKey::key_id(self)
    }

    fn expose_secret(&self) -> &[u8; 32] {
        self.expose_seed()
    }

    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self::from_seed(&bytes)
    }
}

impl<R: SymmetricRole> WrappableKey for SymmetricKey<R> {
    const ROLE: KeyRole = <R as Role>::ROLE;

    fn key_id(&self) -> KeyId {
        SymmetricKey::key_id(self)
    }

    fn expose_secret(&self) -> &[u8; 32] {
        self.expose()
    }

    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self::from_bytes(bytes)
    }
}

cbor_map! {
    /// A stored key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WrappedKey {
        /// The version of this format.
        pub version: u16,
        /// The wrapped key's public name.
        pub key_id: KeyId,
        /// What the wrapped key is for.
        pub role: KeyRole,
        /// Where the wrapping key comes from.
        pub source: KeySource,
        /// The secret, sealed under the wrapping key.
        pub sealed: SealedBox,
    }
}

/// Why a stored key does not open, or cannot be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrapError {
    /// A newer version of the format.
    Version,
    /// The stored key is for another role.
    RoleMismatch(KeyRole),
    /// The key's source is not the kind used to open it; names the one it has.
    SourceMismatch(&'static str),
    /// The passphrase or the wrapping key is not the right one, or the record was altered.
    NotOpened,
    /// The secret inside is not the key that the record names.
    OtherKeyInside,
    /// The passphrase cannot be stretched.
    Stretch(StretchError),
}

impl WrapError {
    /// The registered code of this failure.
    pub const fn code(self) -> Code {
        match self {
            Self::Version => Code::VersionUnsupported,
            Self::RoleMismatch(_) => Code::NotPermitted,
            Self::SourceMismatch(_) | Self::NotOpened | Self::Stretch(_) => Code::UnlockFailed,
            Self::OtherKeyInside => Code::StoreCorrupt,
        }
    }
}

impl fmt::Display for WrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("the stored key has a version that this release does not read"),
            Self::RoleMismatch(role) => write!(f, "the stored key is of the role `{role}`"),
            Self::SourceMismatch(kind) => write!(f, "the stored key opens by the source `{kind}`"),
            Self::NotOpened => f.write_str("the passphrase or key does not open it"),
            Self::OtherKeyInside => f.write_str("the stored key is not the one it is named for"),
            Self::Stretch(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WrapError {}

impl WrappedKey {
    /// Wraps `key` under a passphrase.
    ///
    /// # Errors
    /// [`WrapError::Stretch`].
    pub fn with_passphrase<K: WrappableKey>(
        key: &K,
        passphrase: &SecretBytes,
        cost: Argon2Cost,
        entropy: &mut Entropy,
    ) -> Result<Self, WrapError> {
        let salt = entropy.bytes();
        let wrapping = cost.stretch(passphrase, &salt).map_err(WrapError::Stretch)?;
        Self::wrap(key, &wrapping, KeySource::Passphrase { cost, salt }, entropy)
    }

    /// Wraps `key` under a wrapping key that `source` keeps.
    ///
    /// # Errors
    /// [`WrapError::SourceMismatch`] if the source is a passphrase, which has its own way.
    pub fn with_key<K: WrappableKey>(
        key: &K,
        wrapping: &SymmetricKey<Wrapping>,
        source: KeySource,
        entropy: &mut Entropy,
    ) -> Result<Self, WrapError> {
        match source {
            KeySource::Passphrase { .. } => Err(WrapError::SourceMismatch(source.kind())),
            KeySource::OsKeystore { .. }
            | KeySource::SystemdCredential { .. }
            | KeySource::File { .. }
            | KeySource::OtherDevice { .. } => Self::wrap(key, wrapping, source, entropy),
        }
    }

    /// Opens a key wrapped under a passphrase.
    ///
    /// # Errors
    /// Why it does not open.
    //= docs/spec/keys.md#keys-at-rest
    pub fn open_with_passphrase<K: WrappableKey>(&self, passphrase: &SecretBytes) -> Result<K, WrapError> {
        let KeySource::Passphrase { cost, salt } = &self.source else {
            return Err(WrapError::SourceMismatch(self.source.kind()));
        };
        self.check::<K>()?;
        self.unwrap(&cost.stretch(passphrase, salt).map_err(WrapError::Stretch)?)
    }

    /// Opens a key whose wrapping key its source has released.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open_with_key<K: WrappableKey>(&self, wrapping: &SymmetricKey<Wrapping>) -> Result<K, WrapError> {
        self.check::<K>()?;
        self.unwrap(wrapping)
    }

    fn check<K: WrappableKey>(&self) -> Result<(), WrapError> {
        if self.version != WRAPPED_KEY_VERSION {
            Err(WrapError::Version)
        } else if self.role != K::ROLE {
            Err(WrapError::RoleMismatch(self.role))
        } else {
            Ok(())
        }
    }

    fn wrap<K: WrappableKey>(
        key: &K,
        wrapping: &SymmetricKey<Wrapping>,
        source: KeySource,
        entropy: &mut Entropy,
    ) -> Result<Self, WrapError> {
        let bound = Bound { version: WRAPPED_KEY_VERSION, key_id: key.key_id(), role: K::ROLE, source };
        let sealed =
            bound.under(|context| SealedBox::seal(wrapping, context, key.expose_secret(), entropy))?;
        Ok(Self {
            version: bound.version,
            key_id: bound.key_id,
            role: bound.role,
            source: bound.source,
            sealed,
        })
    }

    fn unwrap<K: WrappableKey>(&self, wrapping: &SymmetricKey<Wrapping>) -> Result<K, WrapError> {
        let source = self.source.clone();
        let bound = Bound { version: self.version, key_id: self.key_id, role: self.role, source };
        let secret = bound.under(|context| self.sealed.open(wrapping, context))?;
        let mut bytes = Zeroizing::new([0; 32]);
        if secret.len() != bytes.len() {
            return Err(WrapError::OtherKeyInside);
        }
        bytes.copy_from_slice(&secret);
        let key = K::from_secret(bytes);
        if key.key_id() == self.key_id { Ok(key) } else { Err(WrapError::OtherKeyInside) }
    }
}

cbor_map! {
    /// The fields of a stored key that its seal covers.
    struct Bound {
        pub version: u16,
        pub key_id: KeyId,
        pub role: KeyRole,
        pub source: KeySource,
    }
}

impl Bound {
    fn under<T>(&self, seal: impl FnOnce(SealContext<'_>) -> Result<T, SealError>) -> Result<T, WrapError> {
        let binding = encode(self).map_err(|_| WrapError::NotOpened)?;
        let result = seal(SealContext { purpose: "wrapped-key", binding: &binding });
        result.map_err(|error| match error {
            SealError::Version => WrapError::Version,
            SealError::OtherKey | SealError::NotAuthentic | SealError::TooLarge => WrapError::NotOpened,
        })
    }
}
