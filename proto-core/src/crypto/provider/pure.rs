//! The provider in Rust.

use alloc::boxed::Box;

use chacha20poly1305::aead::{AeadInOut, Nonce};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{Aead, AeadError, Mac, Provider, TAG_BYTES, Tag};

/// The implementation in Rust of every primitive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pure;

impl Provider for Pure {
    fn chacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<12>> {
        Box::new(ChaCha20Poly1305::new(key.into()))
    }

    fn xchacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<24>> {
        Box::new(XChaCha20Poly1305::new(key.into()))
    }

    fn hmac_sha256(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Box::new(HmacSha256(keyed(key)))
    }

    fn blake3(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Box::new(Blake3(Zeroizing::new(*key)))
    }
}

/// HMAC-SHA256 of the concatenation of `parts`, uncut.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    finish(keyed(key), parts)
}

impl Aead<12> for ChaCha20Poly1305 {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        seal(self, nonce.into(), associated, buffer)
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        open(self, nonce.into(), associated, buffer)
    }
}

impl Aead<24> for XChaCha20Poly1305 {
    fn seal(&self, nonce: &[u8; 24], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        seal(self, nonce.into(), associated, buffer)
    }

    fn open(&self, nonce: &[u8; 24], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        open(self, nonce.into(), associated, buffer)
    }
}

fn seal<C: AeadInOut>(
    cipher: &C,
    nonce: &Nonce<C>,
    associated: &[u8],
    buffer: &mut [u8],
) -> Result<(), AeadError> {
    let (text, room) = buffer.split_last_chunk_mut::<TAG_BYTES>().ok_or(AeadError::Length)?;
    let tag = cipher.encrypt_inout_detached(nonce, associated, text.into()).map_err(|_| AeadError::Length)?;
    room.copy_from_slice(&tag);
    Ok(())
}

fn open<C: AeadInOut>(
    cipher: &C,
    nonce: &Nonce<C>,
    associated: &[u8],
    buffer: &mut [u8],
) -> Result<(), AeadError> {
    let (text, tag) = buffer.split_last_chunk_mut::<TAG_BYTES>().ok_or(AeadError::Length)?;
    let tag = (&tag[..]).try_into().map_err(|_| AeadError::Length)?;
    cipher.decrypt_inout_detached(nonce, associated, text.into(), tag).map_err(|_| AeadError::NotAuthentic)
}

/// The state after the key, of which every message takes a copy: half of a short message's work is done once.
struct HmacSha256(Hmac<Sha256>);

impl Mac for HmacSha256 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        cut(&finish(self.0.clone(), parts))
    }
}

/// The hasher under a key is made for each message, which costs a copy of the key.
struct Blake3(Zeroizing<[u8; 32]>);

impl Mac for Blake3 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        let tag = cut(hasher.finalize().as_bytes());
        hasher.zeroize();
        tag
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // A key shorter than a block is padded with zeros (RFC 2104 section 2).
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new((&*block).into())
}

fn finish(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn cut(whole: &[u8; 32]) -> Tag {
    let mut tag = Tag::default();
    tag.copy_from_slice(&whole[..TAG_BYTES]);
    tag
}
