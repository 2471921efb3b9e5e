//! Capability tokens: what anybody may send, what an issuer may have signed, and the names of what a call touches.

use std::sync::LazyLock;

use fcp_proto_core::crypto::role::Issuance;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::{self, Map, Value};
use fcp_proto_core::limits::MAX_TOKEN_BYTES;
use fcp_proto_core::token::resource::{Resource, ResourcePattern};
use fcp_proto_core::token::{Token, TokenError};
use zeroize::Zeroizing;

/// What decodes is kept byte for byte and survives base64.
pub(crate) fn token(input: &[u8]) {
    if let Ok(token) = Token::decode(input) {
        assert!(input.ends_with(token.as_bytes()));
        let again = Token::from_text(&token.to_text()).expect("its own text");
        assert_eq!(again.as_bytes(), token.as_bytes());
    }
}

/// Claims are read only of a token that verifies: the issuer signs whatever comes, and what is then accepted would be
/// minted as the same bytes.
pub(crate) fn claims(input: &[u8]) {
    accepts_claims(input);
}

/// Whether a token with these claims is accepted.
fn accepts_claims(payload: &[u8]) -> bool {
    static ISSUER: LazyLock<SigningKey<Issuance>> =
        LazyLock::new(|| SigningKey::from_seed(&Zeroizing::new([4; 32])));
    let bytes = signed(payload, &ISSUER);
    let Ok(token) = Token::decode(&bytes) else {
        assert!(bytes.len() > MAX_TOKEN_BYTES);
        return false;
    };
    match token.verify(&ISSUER.verifying_key()) {
        Ok(verified) => {
            let minted = Token::mint(verified.claims().clone(), &ISSUER).expect("what a reader accepts");
            assert_eq!(minted.as_bytes(), bytes);
            true
        }
        Err(error) => {
            assert!(matches!(error, TokenError::Cbor(_) | TokenError::Claims(_)), "{error}");
            false
        }
    }
}

/// A token with this payload, whatever it is (RFC 9052 sections 4.2 and 4.4).
fn signed(payload: &[u8], issuer: &SigningKey<Issuance>) -> Vec<u8> {
    let encode = |value: &Value<'_>| cbor::encode(value).expect("shallow");
    let key_id = issuer.key_id();
    let kid = Value::Bytes(key_id.as_bytes().into());
    let header = [(Value::Unsigned(1), Value::Negative(7)), (Value::Unsigned(4), kid)];
    let protected = encode(&Value::Map(Map::new(header.into()).expect("two labels")));
    let [protected, payload] = [&protected, payload].map(|bytes| Value::Bytes(bytes.into()));
    let context = Value::Text("Signature1".into());
    let message =
        encode(&Value::Array(vec![context, protected.clone(), Value::Bytes((&[]).into()), payload.clone()]));
    let signature = issuer.sign(&message);
    let signature = Value::Bytes(signature.as_bytes().into());
    encode(&Value::Array(vec![protected, Value::Map(Map::default()), payload, signature]))
}

/// A text is a resource, a pattern, both or neither; of two lines, each is tried, and what sets say of each other agrees.
pub(crate) fn resource(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    for text in [first, second] {
        if let Ok(pattern) = ResourcePattern::new(text) {
            assert_eq!(pattern.to_string(), text);
        }
        if let Ok(resource) = Resource::new(text) {
            assert_eq!(resource.as_str(), text);
            assert!(ResourcePattern::new(text).is_ok_and(|alone| alone.fits(&resource)));
        }
    }
    let (Ok(one), Ok(other)) = (ResourcePattern::new(first), ResourcePattern::new(second)) else { return };
    assert_eq!(one.is_disjoint(&other), other.is_disjoint(&one));
    assert!(!(one.contains(&other) && one.is_disjoint(&other)), "no pattern is empty");
    if let Ok(resource) = Resource::new(second) {
        assert_eq!(
            (one.fits(&resource), !one.is_disjoint(&other)),
            (one.contains(&other), one.fits(&resource))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::accepts_claims;

    #[test]
    fn sound_claims_are_accepted() {
        let [required, every] = [
            include_bytes!("../corpus/claims/required").as_slice(),
            include_bytes!("../corpus/claims/every"),
        ];
        assert!(accepts_claims(required) && accepts_claims(every));
        assert!(!accepts_claims(&required[1..]));
    }
}
