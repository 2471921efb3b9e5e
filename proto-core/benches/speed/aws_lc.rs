//! A second provider, on aws-lc-rs, held to the bytes of the pure one.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use fcp_proto_core::crypto::provider::{Aead, AeadError, Mac, Provider, Pure, TAG_BYTES, Tag};

/// The primitives of aws-lc-rs where it has them.
pub(crate) struct AwsLc;

impl Provider for AwsLc {
    fn chacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<12>> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes");
        Box::new(AwsLcAead(LessSafeKey::new(key)))
    }

    fn xchacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<24>> {
        Pure.xchacha20_poly1305(key)
    }

    fn hmac_sha256(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Box::new(AwsLcHmac(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    fn blake3(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Pure.blake3(key)
    }
}

struct AwsLcAead(LessSafeKey);

impl Aead<12> for AwsLcAead {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        let (text, room) = buffer.split_last_chunk_mut::<TAG_BYTES>().ok_or(AeadError::Length)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(associated), text);
        room.copy_from_slice(sealed.map_err(|_| AeadError::Length)?.as_ref());
        Ok(())
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(associated), buffer);
        opened.map(|_| ()).map_err(|_| AeadError::NotAuthentic)
    }
}

struct AwsLcHmac(hmac::Key);

impl Mac for AwsLcHmac {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        *context.sign().as_ref().first_chunk().expect("32 bytes")
    }
}

/// Both providers give the same bytes, and each opens what the other seals.
pub(crate) fn providers_agree() {
    let providers: [(_, &dyn Provider); 2] = [("pure", &Pure), ("aws-lc-rs", &AwsLc)];
    for length in [0, 1, 63, 64, 65, 1_024, 5_000] {
        let text: Vec<u8> = (0..length + TAG_BYTES).map(|byte| byte as u8).collect();
        let sealed = providers.map(|(_, provider)| {
            let mut buffer = text.clone();
            provider.chacha20_poly1305(&[9; 32]).seal(&[4; 12], &[5; 86], &mut buffer).expect("sealed");
            buffer
        });
        assert_eq!(sealed[0], sealed[1]);
        for (name, provider) in providers {
            let cipher = provider.chacha20_poly1305(&[9; 32]);
            let mut opened = sealed[0].clone();
            cipher.open(&[4; 12], &[5; 86], &mut opened).expect("authentic");
            assert_eq!(opened[..length], text[..length], "{name}");
            let mut bent = sealed[0].clone();
            bent[length] ^= 1;
            assert!(cipher.open(&[4; 12], &[5; 86], &mut bent).is_err(), "{name}");
        }
        let tags = providers.map(|(_, provider)| provider.hmac_sha256(&[9; 32]).tag(&[&text, b"x"]));
        assert_eq!(tags[0], tags[1]);
    }
}
