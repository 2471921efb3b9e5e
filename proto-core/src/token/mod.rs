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
use coset::iana::Algorithm;
use coset::{CborSerializable, CoseSign1Builder, HeaderBuilder};

use self::claims::{Claims, ClaimsError, Label};
use crate::crypto::role::Issuance;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::encoding::cbor::{self, CborError, Map, Value};
use crate::error::Code;
use crate::ids::KeyId;
use crate::limits::MAX_TOKEN_BYTES;

/// The labels of the parameters that a header may have (RFC 9052 section 3.1).
const ALG: u64 = 1;
const CRIT: u64 = 2;
const KID: u64 = 4;
/// EdDSA (RFC 9053 section 2.2), −8.
const EDDSA: Value<'_> = Value::Negative(7);

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
    /// The length of the payload, which nobody has looked into.
    payload_bytes: usize,
    signature: Signature,
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
        let [protected, payload, signature] = split(encoded).ok_or_else(|| fault(encoded))?;
        let key_id = check_header(protected)?;
        let signature = <[u8; 64]>::try_from(signature).map_err(|_| TokenError::SignatureInvalid)?;
        let message = bytes_to_sign(protected, payload).map_err(TokenError::Cbor)?;
        let state =
            Unverified { message, payload_bytes: payload.len(), signature: Signature::from_bytes(signature) };
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
        let Unverified { message, payload_bytes, signature } = self.state;
        issuer.verify(&message, &signature).map_err(|_| TokenError::SignatureInvalid)?;
        // What is signed ends with the payload.
        let payload = &message[message.len().saturating_sub(payload_bytes)..];
        let claims = Claims::from_payload(cbor::decode(payload).map_err(TokenError::Cbor)?)
            .map_err(TokenError::Claims)?;
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

/// The protected header, the payload and the signature, where they lie: COSE itself takes many encodings of one token, and
/// canonical CBOR leaves one way to lay out an array of four with an empty map in it.
fn split(encoded: &[u8]) -> Option<[&[u8]; 3]> {
    let (protected, rest) = cbor::split_bytes(encoded.strip_prefix(&[0x84])?)?;
    let (payload, rest) = cbor::split_bytes(rest.strip_prefix(&[0xa0])?)?;
    let (signature, rest) = cbor::split_bytes(rest)?;
    rest.is_empty().then_some([protected, payload, signature])
}

/// Why bytes that are not laid out like that are no envelope.
fn fault(encoded: &[u8]) -> TokenError {
    match cbor::decode(encoded) {
        Err(error) => TokenError::Cbor(error),
        Ok(Value::Array(parts)) => match parts.as_slice() {
            [Value::Bytes(protected), Value::Map(_), Value::Bytes(_), Value::Bytes(_)] => {
                read_header(protected).err().unwrap_or(TokenError::HeaderPolicy)
            }
            _ => TokenError::NotSign1,
        },
        Ok(_) => TokenError::NotSign1,
    }
}

/// The protected header.
//= docs/spec/tokens.md#envelope
fn read_header(protected: &[u8]) -> Result<Map<'_>, TokenError> {
    // An empty header is written as no bytes at all (RFC 9052 section 3).
    if protected.is_empty() {
        return Ok(Map::default());
    }
    let Value::Map(header) = cbor::decode(protected).map_err(TokenError::Cbor)? else {
        return Err(TokenError::NotSign1);
    };
    Ok(header)
}

/// The key id, if the protected header keeps the policy: it has `alg`, `kid` and perhaps a `crit` that names only these.
//= docs/spec/tokens.md#envelope
fn check_header(protected: &[u8]) -> Result<KeyId, TokenError> {
    let (mut algorithm, mut key_id) = (None, None);
    for (label, value) in read_header(protected)?.into_entries() {
        let Value::Unsigned(label) = label else { return Err(TokenError::HeaderPolicy) };
        match label {
            ALG => algorithm = Some(value),
            KID => key_id = Some(read_key_id(&value)?),
            CRIT => check_critical(&value)?,
            _ => return Err(TokenError::HeaderPolicy),
        }
    }
    match algorithm {
        Some(EDDSA) => key_id.ok_or(TokenError::MissingHeader("kid")),
        Some(_) => Err(TokenError::Algorithm),
        None => Err(TokenError::MissingHeader("alg")),
    }
}

/// `kid` is eight bytes.
fn read_key_id(value: &Value<'_>) -> Result<KeyId, TokenError> {
    let Value::Bytes(bytes) = value else { return Err(TokenError::HeaderPolicy) };
    <[u8; 8]>::try_from(&**bytes).map(KeyId::from_bytes).map_err(|_| TokenError::HeaderPolicy)
}

/// `crit` names at least one parameter and none that is not understood.
fn check_critical(value: &Value<'_>) -> Result<(), TokenError> {
    let Value::Array(labels) = value else { return Err(TokenError::HeaderPolicy) };
    let understood = |label: &Value<'_>| matches!(label, Value::Unsigned(ALG | KID));
    if !labels.is_empty() && labels.iter().all(understood) { Ok(()) } else { Err(TokenError::HeaderPolicy) }
}

/// What a COSE_Sign1 signs (RFC 9052 section 4.4).
fn bytes_to_sign(protected: &[u8], payload: &[u8]) -> Result<Vec<u8>, CborError> {
    const CONTEXT: &[u8] = b"\x84\x6aSignature1";
    /// Three heads of at most five bytes.
    const HEADS: usize = 15;
    let mut message = Vec::with_capacity(CONTEXT.len() + HEADS + protected.len() + payload.len());
    message.extend(CONTEXT);
    for part in [protected, &[], payload] {
        cbor::append_bytes(&mut message, part)?;
    }
    Ok(message)
}
