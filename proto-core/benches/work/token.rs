//! A token, decoded and verified and all its claims read, beside the verification of the same signature alone.

use std::hint::black_box;

use ed25519_dalek::Verifier;
use fcp_proto_core::crypto::role::Issuance;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::{self, Value};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::token::Token;
use zeroize::Zeroizing;

use super::Work;
use super::encoding::vector;

const MINTED: &str = include_str!("../../../vectors/tokens/minted.json");

fn is_largest(case: &Json) -> bool {
    case.get("source").and_then(Json::as_str).is_some_and(|it| it.ends_with("every claim"))
}

/// The token with every claim, beside a verification that lets any R pass. Both sides have the issuer's key as a point.
pub(crate) fn verify() -> Work {
    beside(|key, message, signature| key.verify(message, signature).expect("sound"))
}

/// The same, beside the library's verification that refuses an R of small order, as ours does.
pub(crate) fn verify_strictly() -> Work {
    beside(|key, message, signature| key.verify_strict(message, signature).expect("sound"))
}

fn beside(bare: fn(&ed25519_dalek::VerifyingKey, &[u8], &ed25519_dalek::Signature)) -> Work {
    let bytes = vector(MINTED, is_largest, "token");
    let seed = vector(MINTED, is_largest, "seed").try_into().expect("32 bytes");
    let issuer = SigningKey::<Issuance>::from_seed(&Zeroizing::new(seed)).verifying_key();
    let key = ed25519_dalek::VerifyingKey::from_bytes(issuer.as_bytes()).expect("a key");
    let (message, signature) = signed(&bytes);
    Work::beside(
        move || {
            let token = Token::decode(black_box(&bytes)).and_then(|token| token.verify(&issuer));
            drop(black_box(token.expect("sound")));
        },
        move || bare(&key, black_box(&message), &signature),
    )
}

/// The envelope of the same token alone, which nobody has verified.
pub(crate) fn parse() -> Work {
    let bytes = vector(MINTED, is_largest, "token");
    Work::new(move || drop(black_box(Token::decode(black_box(&bytes)).expect("sound"))))
}

/// What the token signs (RFC 9052 section 4.4), and its signature.
fn signed(token: &[u8]) -> (Vec<u8>, ed25519_dalek::Signature) {
    let Value::Array(parts) = cbor::decode(token).expect("canonical") else { panic!("an array") };
    let [protected, _, payload, Value::Bytes(signature)] = <[Value; 4]>::try_from(parts).expect("four")
    else {
        panic!("a signature")
    };
    let context = Value::Text("Signature1".into());
    let message = Value::Array(vec![context, protected, Value::Bytes(Vec::new().into()), payload]);
    let signature = ed25519_dalek::Signature::from_slice(&signature).expect("64 bytes");
    (cbor::encode(&message).expect("small"), signature)
}
