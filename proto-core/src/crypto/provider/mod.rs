//! The two primitives that bulk traffic needs, as small traits: a driver may pass in a faster implementation.
//!
//! [`Pure`] is the implementation in Rust that builds everywhere. Another one must give the same bytes; the benchmark
//! `speed` shows one. Keys of sessions and zones hold what a [`Provider`] made, so that the choice is made once, at
//! start, and nothing above this module knows it.

mod pure;

pub use pure::Pure;
pub(crate) use pure::hmac_sha256;

use alloc::boxed::Box;
use core::fmt;

use subtle::ConstantTimeEq;

/// Length of every authentication tag, in bytes.
pub const TAG_BYTES: usize = 16;

/// What authenticates a sealed text or a message.
pub type Tag = [u8; TAG_BYTES];

/// What a text is sealed with besides the key.
pub trait Aead<const NONCE: usize>: Send + Sync {
    /// Encrypts in place all of `buffer` but its last [`TAG_BYTES`] bytes, and writes the tag over those.
    ///
    /// # Errors
    /// [`AeadError::Length`] if `buffer` is shorter than a tag or longer than the cipher can seal.
    fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError>;

    /// Checks the tag at the end of `buffer`, and decrypts in place what stands before it.
    ///
    /// # Errors
    /// [`AeadError::NotAuthentic`], or [`AeadError::Length`] as for [`seal`](Self::seal). `buffer` then holds no
    /// plaintext, and nothing else that is worth reading.
    fn open(&self, nonce: &[u8; NONCE], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError>;
}

/// What authenticates messages under one key.
pub trait Mac: Send + Sync {
    /// The tag of the concatenation of `parts`.
    fn tag(&self, parts: &[&[u8]]) -> Tag;

    /// Whether `tag` is that of the concatenation of `parts`; takes as long whichever byte differs.
    fn verifies(&self, parts: &[&[u8]], tag: &Tag) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }
}

/// Makes keyed primitives. Whatever it makes wipes its key when dropped.
pub trait Provider {
    /// ChaCha20-Poly1305 (RFC 8439).
    fn chacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<12>>;

    /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
    fn xchacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<24>>;

    /// HMAC-SHA256 (RFC 2104), cut to its first 16 bytes.
    fn hmac_sha256(&self, key: &[u8; 32]) -> Box<dyn Mac>;

    /// BLAKE3 in keyed mode, cut to its first 16 bytes.
    fn blake3(&self, key: &[u8; 32]) -> Box<dyn Mac>;
}

/// Why a text is not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AeadError {
    /// The buffer has no room for a tag, or is longer than the cipher can seal.
    Length,
    /// The tag does not fit key, nonce, associated data and ciphertext.
    NotAuthentic,
}

impl fmt::Display for AeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the buffer is shorter than a tag or longer than the cipher can seal",
            Self::NotAuthentic => "the sealed text is not authentic",
        })
    }
}

impl core::error::Error for AeadError {}
