//! X25519 (RFC 7748): the key to which others seal what only this device may read.

use core::fmt;

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::hash;
use super::role::KeyRole;
use super::wrap::WrappableKey;
use crate::ids::KeyId;
use crate::random::Entropy;

/// A device's secret X25519 key.
pub struct EncryptionKey(Zeroizing<[u8; 32]>);

impl EncryptionKey {
    /// A fresh key.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// The public half, as a node's attestation carries it.
    pub fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(*self.0)).to_bytes()
    }
}

impl WrappableKey for EncryptionKey {
    const ROLE: KeyRole = KeyRole::Encryption;

    fn key_id(&self) -> KeyId {
        hash::key_id(&self.public_key())
    }

    fn expose_secret(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.key_id())
    }
}

/// Whether every secret gives zero with this public key, since it is of small order (RFC 7748 section 6.1).
pub(super) fn has_small_order(public: &[u8; 32]) -> bool {
    // Any secret tells it: all of them are multiples of the cofactor.
    !StaticSecret::from([0; 32]).diffie_hellman(&PublicKey::from(*public)).was_contributory()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7748 §6.1, Alice's key.
    #[test]
    fn the_public_half_is_that_of_the_rfc() {
        let mut secret = Zeroizing::new([0; 32]);
        let text = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        hex::decode_to_slice(text, &mut *secret).unwrap();
        assert_eq!(
            hex::encode(EncryptionKey::from_secret(secret).public_key()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
        );
    }
}
