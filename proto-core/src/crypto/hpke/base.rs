//! RFC 9180 in base mode, one message a key: HKDF-SHA256 and ChaCha20-Poly1305 over either key encapsulation.

use alloc::vec::Vec;
use core::convert::Infallible;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256, XWing};
use hpke::rand_core::{CryptoRng, TryCryptoRng, TryRng};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use super::{HpkeError, KemAlgorithm, PublicEncryptionKey};
use crate::crypto::agree::has_small_order;
use crate::random::Entropy;

/// Encapsulates a key to `recipient` and encrypts `plaintext` under it: `enc || ciphertext || tag`.
pub(crate) fn seal(
    recipient: &PublicEncryptionKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    let public = recipient.as_bytes();
    match recipient.kem() {
        KemAlgorithm::X25519 => seal_with::<X25519HkdfSha256>(public, info, aad, plaintext, rng),
        KemAlgorithm::XWing if has_weak_half(public) => Err(HpkeError::RecipientKey),
        KemAlgorithm::XWing => seal_with::<XWing>(public, info, aad, plaintext, rng),
    }
}

/// Opens `enc || ciphertext || tag` with the recipient's secret.
///
/// This is RFC 9180 alone, with nothing bound but what the caller gives; what FCP seals opens by
/// [`HpkeBox::open`](super::HpkeBox::open).
///
/// # Errors
/// [`HpkeError::NotOpened`].
pub fn open(
    kem: KemAlgorithm,
    secret: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let enc = sealed.get(..<XWing as Kem>::EncappedKey::size());
    match kem {
        KemAlgorithm::X25519 => open_with::<X25519HkdfSha256>(secret, info, aad, sealed),
        KemAlgorithm::XWing if enc.is_some_and(has_weak_half) => Err(HpkeError::NotOpened),
        KemAlgorithm::XWing => open_with::<XWing>(secret, info, aad, sealed),
    }
}

/// Whether X25519's half of a public or encapsulated key of X-Wing, which stands last, takes no part in the secret. The
/// library asks this of X25519 alone.
//= docs/spec/sealing.md#boxes-to-a-device
fn has_weak_half(key: &[u8]) -> bool {
    key.last_chunk().is_some_and(has_small_order)
}

/// The public key of the X-Wing secret `seed`.
pub(super) fn x_wing_public(seed: &[u8; 32]) -> [u8; PublicEncryptionKey::X_WING_BYTES] {
    let mut public = [0; PublicEncryptionKey::X_WING_BYTES];
    match <XWing as Kem>::PrivateKey::from_bytes(seed) {
        Ok(secret) => XWing::sk_to_pk(&secret).write_exact(&mut public),
        Err(_) => unreachable!("any 32 bytes are an X-Wing secret"),
    }
    public
}

/// The X25519 pair, secret and public, that `DeriveKeyPair` of RFC 9180 §7.1.3 makes of `ikm`.
pub(crate) fn derive_x25519(ikm: &[u8]) -> (Zeroizing<[u8; 32]>, [u8; 32]) {
    let (secret, public) = X25519HkdfSha256::derive_keypair(ikm);
    let (mut private, mut shared) = (Zeroizing::new([0; 32]), [0; 32]);
    secret.write_exact(&mut *private);
    public.write_exact(&mut shared);
    (private, shared)
}

/// Whether `bytes` are a public key of `kem`.
pub(super) fn is_public_key(kem: KemAlgorithm, bytes: &[u8]) -> bool {
    match kem {
        KemAlgorithm::X25519 => <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(bytes).is_ok(),
        KemAlgorithm::XWing => <XWing as Kem>::PublicKey::from_bytes(bytes).is_ok(),
    }
}

fn seal_with<K: Kem>(
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    let public = K::PublicKey::from_bytes(public).map_err(|_| HpkeError::RecipientKey)?;
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| HpkeError::RecipientKey)?;
    Ok([&enc.to_bytes()[..], &ciphertext].concat())
}

fn open_with<K: Kem>(
    secret: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let refused = |_| HpkeError::NotOpened;
    let (enc, ciphertext) = sealed.split_at_checked(K::EncappedKey::size()).ok_or(HpkeError::NotOpened)?;
    let secret = K::PrivateKey::from_bytes(secret).map_err(refused)?;
    let enc = K::EncappedKey::from_bytes(enc).map_err(refused)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        &secret,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(refused)
}

/// Our entropy as the generator that the library asks for.
pub(crate) struct Draws<'a>(pub(crate) &'a mut Entropy);

impl TryRng for Draws<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.0.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.0.bytes()))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl TryCryptoRng for Draws<'_> {}
