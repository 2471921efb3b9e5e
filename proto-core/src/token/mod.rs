//! Capability tokens: COSE_Sign1 (RFC 9052) around CWT claims (RFC 8392), in canonical CBOR only.
//!
//! ```text
//! bytes --decode--> Token<Unverified> --verify(issuance key)--> Token<Verified> --> claims()
//! ```
//!
//! Claims do not exist before the signature has been verified. Spec: `docs/spec/tokens.md`.

pub mod argument;
pub mod claims;
pub mod constraints;
pub mod resource;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coset::iana::{Algorithm, HeaderParameter};
use coset::{
    CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, RegisteredLabelWithPrivate,
};

use self::claims::{Claims, ClaimsError, Label};
use crate::crypto::role::Issuance;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::encoding::cbor::{self, CborError};
use crate::error::Code;
use crate::ids::KeyId;
use crate::limits::MAX_TOKEN_BYTES;

/// The one-byte head of CBOR tag 18, which marks a COSE_Sign1 and may stand before a token.
const TAG_SIGN1: u8 = 0xd2;

/// A capability token in one of its states.
#[derive(Clone, Debug)]
pub struct Token<S> {
    encoded: Vec<u8>,
    key_id: KeyId,
    state: S,
}

/// A well-formed token of which nothing is believed yet.
#[derive(Clone, Debug)]
pub struct Unverified {
    message: Vec<u8>,
    signature: Signature,
    payload: Vec<u8>,
}

/// A token whose signature was verified before its claims were read.
#[derive(Clone, Debug)]
pub struct Verified {
    claims: Claims,
}

/// Why bytes are no valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    TooLarge,
    /// The text is not base64.
    NotBase64,
    /// Not canonical CBOR.
    Cbor(CborError),
    /// Not a COSE_Sign1 with a payload.
    NotSign1,
    /// Another algorithm than EdDSA.
    Algorithm,
    /// The protected header lacks a parameter; names it.
    MissingHeader(&'static str),
    /// A header parameter that is not permitted where it stands.
    HeaderPolicy,
    /// The token names another key.
    KeyMismatch,
    /// The signature does not verify.
    SignatureInvalid,
    /// The signed claims are not valid.
    Claims(ClaimsError),
}

impl TokenError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge
            | Self::NotBase64
            | Self::Cbor(_)
            | Self::NotSign1
            | Self::Algorithm
            | Self::MissingHeader(_)
            | Self::HeaderPolicy => Code::TokenMalformed,
            Self::Claims(ClaimsError::Disagree(Label::Audience, _)) => Code::TokenAudienceMismatch,
            Self::Claims(_) => Code::TokenMalformed,
            Self::KeyMismatch => Code::TokenIssuerUnknown,
            Self::SignatureInvalid => Code::TokenSignatureInvalid,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the token is too large"),
            Self::NotBase64 => f.write_str("the token is not base64"),
            Self::Cbor(error) => write!(f, "the token is not canonical CBOR: {error}"),
            Self::NotSign1 => f.write_str("the token is no COSE_Sign1 with a payload"),
            Self::Algorithm => f.write_str("the token's algorithm is not EdDSA"),
            Self::MissingHeader(name) => write!(f, "the token's protected header lacks {name}"),
            Self::HeaderPolicy => f.write_str("the token has a header that is not permitted"),
            Self::KeyMismatch => f.write_str("the token names another key"),
            Self::SignatureInvalid => f.write_str("the token's signature does not verify"),
            Self::Claims(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TokenError {}

impl<S> Token<S> {
    /// The untagged encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// The encoding as base64 text, as JSON carries it.
    pub fn to_text(&self) -> String {
        STANDARD.encode(&self.encoded)
    }

    /// The key that the token names as its issuer's.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }
}

impl Token<Unverified> {
    /// Reads a token, tagged or untagged.
    ///
    /// # Errors
    /// The first rule of the envelope that `bytes` break.
    //= docs/spec/tokens.md#envelope
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let encoded = bytes.strip_prefix(&[TAG_SIGN1]).unwrap_or(bytes);
        // COSE itself takes many encodings of one token; ours is one.
        cbor::decode(encoded).map_err(TokenError::Cbor)?;
        let sign1 = CoseSign1::from_slice(encoded).map_err(|_| TokenError::NotSign1)?;
        let key_id = check_headers(&sign1)?;
        let message = sign1.tbs_data(&[]);
        let payload = sign1.payload.ok_or(TokenError::NotSign1)?;
        cbor::decode(&payload).map_err(TokenError::Cbor)?;
        let signature = <[u8; 64]>::try_from(sign1.signature).map_err(|_| TokenError::SignatureInvalid)?;
        let state = Unverified { message, signature: Signature::from_bytes(signature), payload };
        Ok(Self { encoded: encoded.to_vec(), key_id, state })
    }

    /// Reads a token from base64 text.
    ///
    /// # Errors
    /// As [`Token::decode`].
    pub fn from_text(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES * 4 / 3 + 4 {
            return Err(TokenError::TooLarge);
        }
        Self::decode(&STANDARD.decode(text).map_err(|_| TokenError::NotBase64)?)
    }

    /// Verifies the signature, then reads the claims.
    ///
    /// # Errors
    /// Why the token does not hold under `issuer`.
    pub fn verify(self, issuer: &VerifyingKey<Issuance>) -> Result<Token<Verified>, TokenError> {
        if self.key_id != issuer.key_id() {
            return Err(TokenError::KeyMismatch);
        }
        let Unverified { message, signature, payload } = self.state;
        issuer.verify(&message, &signature).map_err(|_| TokenError::SignatureInvalid)?;
        let payload = cbor::decode(&payload).map_err(TokenError::Cbor)?;
        let claims = Claims::from_payload(payload).map_err(TokenError::Claims)?;
        Ok(Token { encoded: self.encoded, key_id: self.key_id, state: Verified { claims } })
    }
}

impl Token<Verified> {
    /// Signs `claims`.
    ///
    /// # Errors
    /// [`TokenError::Claims`] for claims that no reader would accept, or [`TokenError::TooLarge`].
    pub fn mint(claims: Claims, issuer: &SigningKey<Issuance>) -> Result<Self, TokenError> {
        let payload = cbor::encode(&claims.to_payload().map_err(TokenError::Claims)?)
            .map_err(|error| TokenError::Claims(ClaimsError::NotEncodable(error)))?;
        let key_id = issuer.key_id();
        let protected =
            HeaderBuilder::new().algorithm(Algorithm::EdDSA).key_id(key_id.as_bytes().to_vec()).build();
        let encoded = CoseSign1Builder::new()
            .protected(protected)
            .payload(payload)
            .create_signature(&[], |message| issuer.sign(message).as_bytes().to_vec())
            .build()
            .to_vec()
            .map_err(|_| TokenError::NotSign1)?;
        if encoded.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        Ok(Self { encoded, key_id, state: Verified { claims } })
    }

    /// What the token says.
    pub fn claims(&self) -> &Claims {
        &self.state.claims
    }
}

/// The key id, if the headers keep the policy: protected are `alg`, `kid` and a `crit` that names only these;
/// nothing is unprotected.
fn check_headers(sign1: &CoseSign1) -> Result<KeyId, TokenError> {
    if !sign1.unprotected.is_empty() {
        return Err(TokenError::HeaderPolicy);
    }
    if let Some(bytes) = &sign1.protected.original_data {
        cbor::decode(bytes).map_err(TokenError::Cbor)?;
    }
    let Header { alg, crit, key_id, content_type, iv, partial_iv, counter_signatures, rest } =
        &sign1.protected.header;
    let extra = content_type.is_some() || !iv.is_empty() || !partial_iv.is_empty();
    if extra || !counter_signatures.is_empty() || !rest.is_empty() {
        return Err(TokenError::HeaderPolicy);
    }
    let understood = |label: &RegisteredLabelWithPrivate<HeaderParameter>| {
        use HeaderParameter::{Alg, Kid};
        matches!(label, RegisteredLabelWithPrivate::Assigned(Alg | Kid))
    };
    if !crit.iter().all(understood) {
        return Err(TokenError::HeaderPolicy);
    }
    match alg {
        Some(RegisteredLabelWithPrivate::Assigned(Algorithm::EdDSA)) => {}
        Some(_) => return Err(TokenError::Algorithm),
        None => return Err(TokenError::MissingHeader("alg")),
    }
    if key_id.is_empty() {
        return Err(TokenError::MissingHeader("kid"));
    }
    let bytes = <[u8; 8]>::try_from(key_id.as_slice()).map_err(|_| TokenError::HeaderPolicy)?;
    Ok(KeyId::from_bytes(bytes))
}
