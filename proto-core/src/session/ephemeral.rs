//! X25519 keys that serve one agreement.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::error::SessionError;
use super::message::KeyShare;
use crate::random::Entropy;

/// A fresh secret key, used up by the agreement.
pub(super) struct EphemeralKey(StaticSecret);

impl EphemeralKey {
    pub(super) fn generate(entropy: &mut Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self(StaticSecret::from(*bytes))
    }

    pub(super) fn share(&self) -> KeyShare {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The secret shared with the owner of `peer`, which must not be one that everybody knows.
    //= docs/spec/mesh-sessions.md#key-schedule
    pub(super) fn agree(self, peer: &KeyShare) -> Result<Zeroizing<[u8; 32]>, SessionError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(SessionError::WeakKeyShare);
        }
        Ok(Zeroizing::new(shared.to_bytes()))
    }
}
