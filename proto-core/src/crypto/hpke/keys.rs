//! Keys that boxes are sealed to and opened with.

use alloc::boxed::Box;
use core::fmt;

use zeroize::Zeroizing;

use super::{HpkeError, KemAlgorithm, base};
use crate::crypto::agree::EncryptionKey;
use crate::crypto::hash;
use crate::crypto::role::KeyRole;
use crate::crypto::wrap::WrappableKey;
use crate::ids::KeyId;
use crate::random::Entropy;

/// The key of a device to which others seal.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicEncryptionKey {
    /// X25519.
    X25519([u8; Self::X25519_BYTES]),
    /// X-Wing.
    XWing(Box<[u8; Self::X_WING_BYTES]>),
}

impl PublicEncryptionKey {
    /// The length of an X25519 key.
    pub const X25519_BYTES: usize = 32;

    /// The length of an X-Wing key: ML-KEM-768's 1184 bytes, then X25519's.
    pub const X_WING_BYTES: usize = 1216;

    /// The key of the kind `kem` that `bytes` encode.
    ///
    /// # Errors
    /// [`HpkeError::RecipientKey`].
    pub fn from_bytes(kem: KemAlgorithm, bytes: &[u8]) -> Result<Self, HpkeError> {
        let refused = |_| HpkeError::RecipientKey;
        if !base::is_public_key(kem, bytes) {
            return Err(HpkeError::RecipientKey);
        }
        match kem {
            KemAlgorithm::X25519 => bytes.try_into().map(Self::X25519).map_err(refused),
            KemAlgorithm::XWing => bytes.try_into().map(|key| Self::XWing(Box::new(key))).map_err(refused),
        }
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::X25519(bytes) => bytes,
            Self::XWing(bytes) => bytes.as_slice(),
        }
    }

    /// The kind of key.
    pub const fn kem(&self) -> KemAlgorithm {
        match self {
            Self::X25519(_) => KemAlgorithm::X25519,
            Self::XWing(_) => KemAlgorithm::XWing,
        }
    }

    /// The key's id.
    pub fn key_id(&self) -> KeyId {
        hash::key_id(self.as_bytes())
    }
}

impl fmt::Debug for PublicEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicEncryptionKey::{}({})", self.kem(), self.key_id())
    }
}

/// A secret key that opens boxes.
pub trait OpeningKey: WrappableKey + private::Sealed {
    /// The kind of box it opens.
    const KEM: KemAlgorithm;

    /// The public half.
    fn recipient(&self) -> PublicEncryptionKey;
}

mod private {
    pub trait Sealed {}

    impl Sealed for super::EncryptionKey {}
    impl Sealed for super::HybridEncryptionKey {}
}

impl OpeningKey for EncryptionKey {
    const KEM: KemAlgorithm = KemAlgorithm::X25519;

    fn recipient(&self) -> PublicEncryptionKey {
        PublicEncryptionKey::X25519(self.public_key())
    }
}

/// A device's secret X-Wing key, kept as its seed of 32 bytes.
pub struct HybridEncryptionKey(Zeroizing<[u8; 32]>);

impl HybridEncryptionKey {
    /// A fresh key.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Self(seed)
    }
}

impl OpeningKey for HybridEncryptionKey {
    const KEM: KemAlgorithm = KemAlgorithm::XWing;

    fn recipient(&self) -> PublicEncryptionKey {
        PublicEncryptionKey::XWing(Box::new(base::x_wing_public(&self.0)))
    }
}

impl WrappableKey for HybridEncryptionKey {
    const ROLE: KeyRole = KeyRole::HybridEncryption;

    fn key_id(&self) -> KeyId {
        self.recipient().key_id()
    }

    fn expose_secret(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for HybridEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridEncryptionKey({})", self.key_id())
    }
}
