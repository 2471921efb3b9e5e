//! What is signed in a handshake and in a rekey: a domain, then the canonical encoding of each part.

use alloc::vec::Vec;

use super::error::SessionError;
use crate::crypto::role::Node;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::encoding::cbor::{ToCbor, encode};

/// Stands in a message until what its sender signs, of which the signature is no part, is put together.
pub(super) const UNSIGNED: Signature = Signature::from_bytes([0; 64]);

/// Bytes to sign. An absent option is `null` here, though its field is left out of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript(Vec<u8>);

impl Transcript {
    //= docs/spec/mesh-sessions.md#transcripts
    pub(super) fn of(domain: &str, parts: &[&dyn ToCbor]) -> Result<Self, SessionError> {
        let mut bytes = domain.as_bytes().to_vec();
        for part in parts {
            bytes.extend(encode(*part)?);
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn sign(&self, key: &SigningKey<Node>) -> Signature {
        key.sign(&self.0)
    }

    /// Checks the signature that a message carries.
    ///
    /// # Errors
    /// [`SessionError::InvalidSignature`].
    pub fn verify(&self, key: &VerifyingKey<Node>, signature: &Signature) -> Result<(), SessionError> {
        key.verify(&self.0, signature).map_err(|_| SessionError::InvalidSignature)
    }
}
