//! The primitives of this crate as a cipher suite of MLS (RFC 9420), for one operation of one node.
//!
//! The suite is MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 (number 3). Spec: `docs/spec/zone-keys.md`.
//!
//! An operation brings its entropy with it, and the node's signing key stays here: what the library takes for the
//! secret key, and stores with its state, is empty.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkeContextR, HpkeContextS, HpkePsk,
    HpkePublicKey, HpkeSecretKey, SignaturePublicKey, SignatureSecretKey,
};
use mls_rs_core::error::IntoAnyError;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::derive::subkey;
use super::hpke::{KemAlgorithm, PublicEncryptionKey, base};
use super::role::Node;
use super::sign::{Signature, SigningKey, VerifyingKey};
use crate::random::Entropy;

/// The one suite.
pub const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

/// The bytes of an X25519 key, encapsulated or not.
const X25519: usize = 32;

/// Why a primitive gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlsError {
    /// Part of MLS that zones make no use of: pre-shared keys, external commits, keys of the library's own.
    Unsupported,
    /// The bytes are no key, nonce or signature.
    Length,
    /// A key that nobody may use.
    Key,
    /// A ciphertext does not open.
    NotOpened,
    /// A signature does not verify.
    Signature,
    /// An operation drew entropy 2^32 times.
    Entropy,
}

impl IntoAnyError for MlsError {}

impl fmt::Display for MlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "zones make no use of this part of MLS",
            Self::Length => "the bytes are no key, nonce or signature",
            Self::Key => "the key may not be used",
            Self::NotOpened => "the ciphertext does not open",
            Self::Signature => "the signature does not verify",
            Self::Entropy => "the operation drew entropy too often",
        })
    }
}

impl core::error::Error for MlsError {}

/// The suite, for one operation: who signs, and the entropy.
#[derive(Clone)]
pub struct MlsSuite(Arc<Operation>);

struct Operation {
    signer: SigningKey<Node>,
    seed: Zeroizing<[u8; 32]>,
    drawn: AtomicU32,
}

impl MlsSuite {
    /// The suite for an operation of the node whose key is `signer`, which draws from `entropy` once.
    pub fn new(signer: &SigningKey<Node>, entropy: &mut Entropy) -> Self {
        let signer = SigningKey::from_seed(&Zeroizing::new(*signer.expose_seed()));
        Self(Arc::new(Operation { signer, seed: Zeroizing::new(entropy.bytes()), drawn: AtomicU32::new(0) }))
    }

    /// What stands for the secret key in the library's state.
    pub fn signer_handle() -> SignatureSecretKey {
        SignatureSecretKey::new(Vec::new())
    }

    /// Entropy for one draw, independent of all others.
    fn entropy(&self) -> Result<Entropy, MlsError> {
        let draws = |drawn: u32| drawn.checked_add(1);
        let drawn = self.0.drawn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, draws);
        let drawn = drawn.map_err(|_| MlsError::Entropy)?;
        Ok(Entropy::from_seed(&subkey(&self.0.seed, &drawn.to_le_bytes())))
    }
}

impl fmt::Debug for MlsSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlsSuite(..)")
    }
}

impl CryptoProvider for MlsSuite {
    type CipherSuiteProvider = Self;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        [SUITE].into()
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Self> {
        (suite == SUITE).then(|| self.clone())
    }
}

impl CipherSuiteProvider for MlsSuite {
    type Error = MlsError;
    type HpkeContextS = NoContext;
    type HpkeContextR = NoContext;

    fn cipher_suite(&self) -> CipherSuite {
        SUITE
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, MlsError> {
        Ok(Sha256::digest(data).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, MlsError> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).map_err(|_| MlsError::Length)?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, MlsError> {
        let (cipher, nonce) = cipher(key, nonce)?;
        let payload = Payload { msg: data, aad: aad.unwrap_or_default() };
        cipher.encrypt(&nonce, payload).map_err(|_| MlsError::Length)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let (cipher, nonce) = cipher(key, nonce)?;
        let payload = Payload { msg: ciphertext, aad: aad.unwrap_or_default() };
        cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| MlsError::NotOpened)
    }

    fn aead_key_size(&self) -> usize {
        32
    }

    fn aead_nonce_size(&self) -> usize {
        12
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        Ok(Zeroizing::new(Hkdf::<Sha256>::extract(Some(salt), ikm).0.to_vec()))
    }

    fn kdf_expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let kdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| MlsError::Length)?;
        let mut output = Zeroizing::new(alloc::vec![0; len]);
        kdf.expand(info, &mut output).map_err(|_| MlsError::Length)?;
        Ok(output)
    }

    fn kdf_extract_size(&self) -> usize {
        32
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        pt: &[u8],
    ) -> Result<HpkeCiphertext, MlsError> {
        let recipient = PublicEncryptionKey::from_bytes(KemAlgorithm::X25519, remote_key.as_ref());
        let recipient = recipient.map_err(|_| MlsError::Key)?;
        let mut entropy = self.entropy()?;
        let mut draws = base::Draws(&mut entropy);
        let sealed = base::seal(&recipient, info, aad.unwrap_or_default(), pt, &mut draws);
        let mut kem_output = sealed.map_err(|_| MlsError::Key)?;
        let ciphertext = kem_output.split_off(X25519);
        Ok(HpkeCiphertext { kem_output, ciphertext })
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        _local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        // Two parts whose border the sender could move would open alike: the first has one length.
        if ciphertext.kem_output.len() != X25519 {
            return Err(MlsError::Length);
        }
        let secret: &[u8; X25519] = local_secret.as_ref().try_into().map_err(|_| MlsError::Length)?;
        let sealed = [&*ciphertext.kem_output, &*ciphertext.ciphertext].concat();
        let opened = base::open(KemAlgorithm::X25519, secret, info, aad.unwrap_or_default(), &sealed);
        opened.map_err(|_| MlsError::NotOpened)
    }

    fn hpke_seal_psk(
        &self,
        _: &HpkePublicKey,
        _: &[u8],
        _: Option<&[u8]>,
        _: &[u8],
        _: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, MlsError> {
        Err(MlsError::Unsupported)
    }

    fn hpke_open_psk(
        &self,
        _: &HpkeCiphertext,
        _: &HpkeSecretKey,
        _: &HpkePublicKey,
        _: &[u8],
        _: Option<&[u8]>,
        _: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        Err(MlsError::Unsupported)
    }

    fn hpke_setup_s(&self, _: &HpkePublicKey, _: &[u8]) -> Result<(Vec<u8>, NoContext), MlsError> {
        Err(MlsError::Unsupported)
    }

    fn hpke_setup_r(
        &self,
        _: &[u8],
        _: &HpkeSecretKey,
        _: &HpkePublicKey,
        _: &[u8],
    ) -> Result<NoContext, MlsError> {
        Err(MlsError::Unsupported)
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), MlsError> {
        let (secret, public) = base::derive_x25519(ikm);
        Ok((HpkeSecretKey::from(secret.to_vec()), HpkePublicKey::from(public.to_vec())))
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), MlsError> {
        let ikm = Zeroizing::new(self.entropy()?.bytes::<X25519>());
        self.kem_derive(&*ikm)
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), MlsError> {
        let key = PublicEncryptionKey::from_bytes(KemAlgorithm::X25519, key.as_ref());
        key.map(drop).map_err(|_| MlsError::Key)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), MlsError> {
        self.entropy()?.fill(out);
        Ok(())
    }

    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey), MlsError> {
        Err(MlsError::Unsupported)
    }

    fn signature_key_derive_public(&self, _: &SignatureSecretKey) -> Result<SignaturePublicKey, MlsError> {
        Ok(SignaturePublicKey::from(self.0.signer.verifying_key().as_bytes().to_vec()))
    }

    fn sign(&self, _: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, MlsError> {
        Ok(self.0.signer.sign(data).as_bytes().to_vec())
    }

    fn verify(&self, key: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Result<(), MlsError> {
        let key: &[u8; 32] = key.as_ref().try_into().map_err(|_| MlsError::Length)?;
        let key = VerifyingKey::<Node>::from_bytes(key).map_err(|_| MlsError::Key)?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| MlsError::Length)?;
        key.verify(data, &Signature::from_bytes(signature)).map_err(|_| MlsError::Signature)
    }
}

/// A context for several messages under one encapsulation, which nothing here makes.
#[derive(Debug)]
pub enum NoContext {}

impl HpkeContextS for NoContext {
    type Error = MlsError;

    fn seal(&mut self, _: Option<&[u8]>, _: &[u8]) -> Result<Vec<u8>, MlsError> {
        match *self {}
    }

    fn export(&self, _: &[u8], _: usize) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        match *self {}
    }
}

impl HpkeContextR for NoContext {
    type Error = MlsError;

    fn open(&mut self, _: Option<&[u8]>, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        match *self {}
    }

    fn export(&self, _: &[u8], _: usize) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        match *self {}
    }
}

fn cipher(key: &[u8], nonce: &[u8]) -> Result<(ChaCha20Poly1305, Nonce), MlsError> {
    let key = Key::try_from(key).map_err(|_| MlsError::Length)?;
    let nonce = Nonce::try_from(nonce).map_err(|_| MlsError::Length)?;
    Ok((ChaCha20Poly1305::new(&key), nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(seed: u8) -> MlsSuite {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([seed; 32]));
        MlsSuite::new(&SigningKey::generate(&mut entropy), &mut entropy)
    }

    /// RFC 9180 appendix A.2.1, the ephemeral pair; its secret as the scalar that RFC 7748 makes of it, which is how the
    /// library gives it out.
    #[test]
    fn a_pair_is_derived_as_the_rfc_says() {
        let ikm = hex::decode("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b").unwrap();
        let (secret, public) = suite(1).kem_derive(&ikm).unwrap();
        let expected = [
            "f0ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381640",
            "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        ];
        assert_eq!([hex::encode(&*secret), hex::encode(&*public)], expected);
    }

    #[test]
    fn one_seed_gives_one_stream_and_no_draw_twice() {
        let (one, other) = (suite(1), suite(1));
        let draw = |suite: &MlsSuite| suite.random_bytes_vec(32).unwrap();
        let first = draw(&one);
        assert_eq!(first, draw(&other.clone()));
        assert_ne!(first, draw(&one));
        assert_ne!(first, draw(&other), "copies share what was drawn");
        assert_ne!(first, draw(&suite(2)));
    }

    #[test]
    fn the_nodes_key_signs_and_nothing_of_it_is_given_away() {
        let suite = suite(3);
        let handle = MlsSuite::signer_handle();
        assert!(handle.as_bytes().is_empty());
        let public = suite.signature_key_derive_public(&handle).unwrap();
        let signature = suite.sign(&handle, b"text").unwrap();
        assert_eq!(suite.verify(&public, &signature, b"text"), Ok(()));
        assert_eq!(suite.verify(&public, &signature, b"other"), Err(MlsError::Signature));
        assert_eq!(alloc::format!("{suite:?}"), "MlsSuite(..)");
    }

    #[test]
    fn a_box_opens_for_its_key_and_context_alone() {
        let suite = suite(4);
        let (secret, public) = suite.kem_generate().unwrap();
        let sealed = suite.hpke_seal(&public, b"info", Some(b"aad"), b"text").unwrap();
        let open = |sealed: &HpkeCiphertext, info: &[u8]| {
            suite.hpke_open(sealed, &secret, &public, info, Some(b"aad")).map(|text| text.to_vec())
        };
        assert_eq!(open(&sealed, b"info"), Ok(b"text".to_vec()));
        assert_eq!(open(&sealed, b"other"), Err(MlsError::NotOpened));
        let mut moved = sealed.clone();
        moved.kem_output.push(moved.ciphertext.remove(0));
        assert_eq!(open(&moved, b"info"), Err(MlsError::Length));
        assert!(suite.kem_public_key_validate(&HpkePublicKey::from(alloc::vec![0; 31])).is_err());
    }
}
