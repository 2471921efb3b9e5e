//! HKDF-SHA256 (RFC 5869).

use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// More output was asked for than HKDF gives (255 × 32 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuchOutput;

impl fmt::Display for TooMuchOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HKDF gives at most 8160 bytes")
    }
}

impl core::error::Error for TooMuchOutput {}

/// Fills `output` with key material for `info`; an empty `salt` counts as zeros.
///
/// # Errors
/// [`TooMuchOutput`].
pub fn hkdf_sha256(salt: &[u8], secret: &[u8], info: &[u8], output: &mut [u8]) -> Result<(), TooMuchOutput> {
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, output).map_err(|_| TooMuchOutput)
}

/// The 32-byte key for `info` under a secret of full entropy.
pub fn subkey(secret: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    match hkdf_sha256(&[], secret, info, &mut *key) {
        Ok(()) => key,
        Err(TooMuchOutput) => unreachable!("32 bytes are one block of HKDF"),
    }
}
