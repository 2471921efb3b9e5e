//! BLAKE3 with domains: one input never has the same hash for two purposes.

use core::fmt;

use zeroize::Zeroize;

use crate::ids::{Digest, KeyId, ZoneId};

/// BLAKE3-256 of plain content: a code image, a manifest.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// The key id of a public key: the first eight bytes of BLAKE3 in derive-key mode with the context `FCP2-KID`.
pub fn key_id(public_key: &[u8]) -> KeyId {
    KeyId::from_bytes(first_eight(&blake3::derive_key("FCP2-KID", public_key)))
}

/// The name of a zone where its text must not be seen: BLAKE3 over the domain `FCP2-ZONE-ID-V1` and the text.
//= docs/spec/encoding.md#zone-hashes
pub fn zone_id_hash(zone: &ZoneId) -> Digest {
    Digest::from_bytes(Hasher::new("FCP2-ZONE-ID-V1").with(zone.as_str().as_bytes()).finish())
}

/// The id of a secret symmetric key, from which the key cannot be found.
pub(super) fn secret_key_id(secret: &[u8; 32]) -> KeyId {
    KeyId::from_bytes(first_eight(&blake3::derive_key("FCP2-SECRET-KEY-ID", secret)))
}

/// The first eight bytes of BLAKE3 over a schema's text, which begin what is signed.
pub fn schema_prefix(schema: &str) -> [u8; 8] {
    first_eight(blake3::hash(schema.as_bytes()).as_bytes())
}

fn first_eight(hash: &[u8; 32]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&hash[..8]);
    short
}

/// A hash in progress: a domain, then parts. It holds the key and the last parts, which may be secret.
#[derive(Clone)]
pub struct Hasher(blake3::Hasher);

impl Drop for Hasher {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

impl Hasher {
    /// Begins with `domain`, such as `FCP2-CONTENT-V2`.
    pub fn new(domain: &str) -> Self {
        Self(blake3::Hasher::new()).with(domain.as_bytes())
    }

    /// Begins with `domain` under a secret key (BLAKE3 keyed mode).
    pub fn keyed(key: &[u8; 32], domain: &str) -> Self {
        Self(blake3::Hasher::new_keyed(key)).with(domain.as_bytes())
    }

    /// Appends bytes whose length is fixed, or which come last.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        self.add(bytes);
        self
    }

    /// Appends bytes, as [`with`](Self::with), to a hash that is made bit by bit.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Appends bytes of any length after their length (u64, little-endian), so that no two lists of parts coincide.
    #[must_use]
    pub fn with_framed(self, bytes: &[u8]) -> Self {
        self.with(&(bytes.len() as u64).to_le_bytes()).with(bytes)
    }

    /// The 32 bytes of the hash.
    pub fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
