//! Sealed boxes: XChaCha20-Poly1305 with a random nonce and a context that must be named again to open.

use alloc::vec::Vec;
use core::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::role::SymmetricRole;
use super::secret::SymmetricKey;
use crate::encoding::cbor::{ByteString, CborError, encode};
use crate::error::Code;
use crate::ids::KeyId;
use crate::random::Entropy;
use crate::{cbor_enum, cbor_map};

/// The version of the format.
pub const SEALED_BOX_VERSION: u16 = 1;

cbor_enum! {
    /// How a box is sealed.
    pub enum SealAlgorithm {
        /// XChaCha20-Poly1305 with a nonce of 24 random bytes.
        XChaCha20Poly1305 = "xchacha20poly1305",
    }
}

cbor_map! {
    /// Sealed bytes, ready to be stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SealedBox {
        /// The version of this format.
        pub version: u16,
        /// How it is sealed.
        pub algorithm: SealAlgorithm,
        /// The key it is sealed with; the key's own record names its source.
        pub key_id: KeyId,
        /// The nonce.
        pub nonce: [u8; 24],
        /// The ciphertext and its 16-byte tag.
        pub ciphertext: ByteString,
    }
}

/// What a box is for and belongs to. It is not stored: whoever opens the box must name it again.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// The kind of content, such as `vault-credential`.
    pub purpose: &'a str,
    /// What it belongs to, in a form that is unambiguous for this purpose.
    pub binding: &'a [u8],
}

impl SealContext<'_> {
    /// Domain, framed purpose, then the binding to the end.
    fn additional_data(&self, header: &[u8]) -> Vec<u8> {
        let frame = |bytes: &[u8]| [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
        [b"FCP2-SEAL-V1", &frame(header)[..], &frame(self.purpose.as_bytes()), self.binding].concat()
    }
}

/// Why a box does not open, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// A newer version of the format.
    Version,
    /// Another key sealed it.
    OtherKey,
    /// The ciphertext, the key or the context is not the one it was sealed with.
    NotAuthentic,
    /// The content is too large to be sealed.
    TooLarge,
}

impl SealError {
    /// The registered code of this failure.
    pub const fn code(self) -> Code {
        match self {
            Self::Version => Code::VersionUnsupported,
            Self::OtherKey | Self::NotAuthentic => Code::VaultInvalid,
            Self::TooLarge => Code::InputTooLarge,
        }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the sealed box has a version that this release does not read",
            Self::OtherKey => "the box was sealed with another key",
            Self::NotAuthentic => "the box was altered, or belongs elsewhere",
            Self::TooLarge => "the content is too large to be sealed",
        })
    }
}

impl core::error::Error for SealError {}

impl SealedBox {
    /// Seals `plaintext` for `context`.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal<R: SymmetricRole>(
        key: &SymmetricKey<R>,
        context: SealContext<'_>,
        plaintext: &[u8],
        entropy: &mut Entropy,
    ) -> Result<Self, SealError> {
        let mut sealed = Self {
            version: SEALED_BOX_VERSION,
            algorithm: SealAlgorithm::XChaCha20Poly1305,
            key_id: key.key_id(),
            nonce: entropy.bytes(),
            ciphertext: ByteString::default(),
        };
        let aad = context.additional_data(&sealed.header()?);
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let payload = Payload { msg: plaintext, aad: &aad };
        sealed.ciphertext.0 =
            cipher.encrypt(&sealed.nonce.into(), payload).map_err(|_| SealError::TooLarge)?;
        Ok(sealed)
    }

    /// Opens the box, if `key` and `context` are those it was sealed with.
    ///
    /// # Errors
    /// Why it does not open.
    //= docs/spec/keys.md#sealed-boxes
    pub fn open<R: SymmetricRole>(
        &self,
        key: &SymmetricKey<R>,
        context: SealContext<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if self.version != SEALED_BOX_VERSION {
            return Err(SealError::Version);
        }
        if self.key_id != key.key_id() {
            return Err(SealError::OtherKey);
        }
        let aad = context.additional_data(&self.header()?);
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let payload = Payload { msg: &self.ciphertext.0, aad: &aad };
        let plaintext = cipher.decrypt(&self.nonce.into(), payload).map_err(|_| SealError::NotAuthentic)?;
        Ok(Zeroizing::new(plaintext))
    }

    /// The canonical encoding of all but nonce and ciphertext, which the tag covers.
    fn header(&self) -> Result<Vec<u8>, SealError> {
        let header = Header { version: self.version, algorithm: self.algorithm, key_id: self.key_id };
        encode(&header).map_err(|_: CborError| SealError::TooLarge)
    }
}

cbor_map! {
    /// The fields of a box that its tag covers.
    struct Header {
        pub version: u16,
        pub algorithm: SealAlgorithm,
        pub key_id: KeyId,
    }
}
