//! The Wycheproof suites for every primitive that is used: what is valid is taken, what is not is refused.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use fcp_proto_core::crypto::derive::hkdf_sha256;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{Signature, VerifyingKey};
use hmac::{Hmac, Mac};
use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use sha2::Sha256;
use wycheproof::{ByteString, TestResult, aead, eddsa, hkdf, mac, mlkem, xdh};

/// Counts what was run, so that a case that is left out is a failure.
#[derive(Default)]
struct Tally {
    cases: usize,
}

impl Tally {
    fn check(&mut self, suite: &str, case: usize, expected: TestResult, accepted: bool) {
        self.cases += 1;
        match expected {
            TestResult::Valid => assert!(accepted, "{suite} case {case} is valid"),
            TestResult::Invalid => assert!(!accepted, "{suite} case {case} is invalid"),
            TestResult::Acceptable => {}
        }
    }

    fn finish(self, expected: usize) {
        assert_eq!(self.cases, expected, "the table in vectors/README.md says how many there are");
    }
}

//= docs/spec/keys.md#signatures
#[test]
fn ed25519() {
    let mut tally = Tally::default();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("the suite");
    for group in set.test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().expect("32 bytes");
        let key = VerifyingKey::<Node>::from_bytes(&public).expect("the suite's keys are sound");
        for test in group.tests {
            let signature = <[u8; 64]>::try_from(test.sig.as_slice()).map(Signature::from_bytes);
            let accepted = signature.is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok());
            tally.check("Ed25519", test.tc_id, test.result, accepted);
        }
    }
    tally.finish(151);
}

#[test]
fn x25519() {
    let mut tally = Tally::default();
    let set = xdh::TestSet::load(xdh::TestName::X25519).expect("the suite");
    for group in set.test_groups {
        for test in group.tests {
            let public = <[u8; 32]>::try_from(test.public_key.as_slice());
            let private = <[u8; 32]>::try_from(test.private_key.as_slice());
            let (Ok(public), Ok(private)) = (public, private) else {
                panic!("case {} has another length", test.tc_id);
            };
            let shared = x25519_dalek::x25519(private, public);
            // What is only acceptable (points of small order and the like) has a defined result, too.
            assert_eq!(shared.as_slice(), test.shared_secret.as_slice(), "case {}", test.tc_id);
            tally.cases += 1;
        }
    }
    tally.finish(518);
}

/// Opens with the given nonce, or `None` if the nonce has another length.
type Open = fn(key: &[u8], nonce: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>>;

fn open_with<A: Aead + KeyInit>(key: &[u8], nonce: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
    let cipher = A::new_from_slice(key).ok()?;
    cipher.decrypt(nonce.try_into().ok()?, payload).ok()
}

fn aead_suite(name: aead::TestName, open: Open, cases: usize) {
    let mut tally = Tally::default();
    let set = aead::TestSet::load(name).expect("the suite");
    for group in set.test_groups {
        for test in group.tests {
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = open(&test.key, &test.nonce, Payload { msg: &sealed, aad: &test.aad });
            let accepted = opened.is_some_and(|plain| plain == test.pt.as_slice());
            tally.check("AEAD", test.tc_id, test.result, accepted);
        }
    }
    tally.finish(cases);
}

#[test]
fn chacha20_poly1305() {
    aead_suite(aead::TestName::ChaCha20Poly1305, open_with::<ChaCha20Poly1305>, 325);
}

#[test]
fn xchacha20_poly1305() {
    aead_suite(aead::TestName::XChaCha20Poly1305, open_with::<XChaCha20Poly1305>, 315);
}

#[test]
fn hkdf_with_sha256() {
    let mut tally = Tally::default();
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).expect("the suite");
    for group in set.test_groups {
        for test in group.tests {
            let mut output = vec![0; test.size];
            let derived = hkdf_sha256(&test.salt, &test.ikm, &test.info, &mut output);
            let accepted = derived.is_ok() && output == test.okm.as_slice();
            tally.check("HKDF", test.tc_id, test.result, accepted);
        }
    }
    tally.finish(86);
}

#[test]
fn hmac_with_sha256() {
    let mut tally = Tally::default();
    let set = mac::TestSet::load(mac::TestName::HmacSha256).expect("the suite");
    for group in set.test_groups {
        for test in group.tests {
            let mut code = Hmac::<Sha256>::new_from_slice(&test.key).expect("any length");
            code.update(&test.msg);
            let accepted = code.verify_truncated_left(&test.tag).is_ok();
            tally.check("HMAC", test.tc_id, test.result, accepted);
        }
    }
    tally.finish(174);
}

fn bytes(field: Option<ByteString>) -> Vec<u8> {
    field.map_or_else(Vec::new, |field| field.as_slice().to_vec())
}

/// ML-KEM-768, which is half of X-Wing: keys are seeds there, and these are expanded.
#[test]
fn ml_kem_768_opening() {
    let mut tally = Tally::default();
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768).expect("the suite");
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let [seed, sent, shared, public] =
            [test.seed, test.ct, test.shared_secret, test.encaps_key].map(bytes);
        let key = seed.as_slice().try_into().ok().map(DecapsulationKey768::from_seed);
        let accepted = key.is_some_and(|key| {
            let right = key.encapsulation_key().to_bytes().as_slice() == public.as_slice();
            right && sent.as_slice().try_into().is_ok_and(|sent| key.decapsulate(sent)[..] == shared[..])
        });
        tally.check("ML-KEM", test.tc_id, test.result, accepted);
    }
    tally.finish(201);
}

#[test]
fn ml_kem_768_sending() {
    let mut tally = Tally::default();
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).expect("the suite");
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let [public, message, sent, shared] =
            [test.encaps_key, test.msg, test.ct, test.shared_secret].map(bytes);
        let key = public.as_slice().try_into().ok().and_then(|key| EncapsulationKey768::new(key).ok());
        let accepted = key.is_some_and(|key| {
            let message = message.as_slice().try_into().expect("32 bytes");
            let (ours, secret) = key.encapsulate_deterministic(&message);
            ours[..] == sent[..] && secret[..] == shared[..]
        });
        tally.check("ML-KEM", test.tc_id, test.result, accepted);
    }
    tally.finish(265);
}

#[test]
fn ml_kem_768_keys() {
    let mut tally = Tally::default();
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768KeyGenSeed).expect("the suite");
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let [seed, public] = [test.seed, test.encaps_key].map(bytes);
        let key = DecapsulationKey768::from_seed(seed.as_slice().try_into().expect("64 bytes"));
        let accepted = key.encapsulation_key().to_bytes().as_slice() == public.as_slice();
        tally.check("ML-KEM", test.tc_id, test.result, accepted);
    }
    tally.finish(100);
}
