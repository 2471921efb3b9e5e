//! Ed25519 (RFC 8032) with keys typed by role.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::str::FromStr;

use ed25519_dalek::ed25519::signature::{MultipartSigner, MultipartVerifier};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::encoded_key::{EncodedKey, is_small_order};
use super::hash;
use super::role::{KeyRole, SigningRole};
use crate::encoding::cbor::{self, CborError, FromCbor, ShapeError, ToCbor, Value};
use crate::ids::{IdError, KeyId};
use crate::random::Entropy;

/// What is signed for `value` as an object of `schema`: `FCP2-SIGN-V1`, eight bytes of the schema's hash, and the
/// canonical encoding.
///
/// # Errors
/// What makes `value` impossible to encode.
//= docs/spec/domains.md#domains
pub fn signing_bytes(schema: &str, value: &Value) -> Result<Vec<u8>, CborError> {
    Ok([&b"FCP2-SIGN-V1"[..], &hash::schema_prefix(schema), &cbor::encode(value)?].concat())
}

/// The signature does not verify under this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureInvalid;

impl fmt::Display for SignatureInvalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl core::error::Error for SignatureInvalid {}

/// Why bytes are no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No point of the curve, or not its canonical encoding.
    NotAPoint,
    /// A point of small order, under which one signature fits many messages.
    WeakPoint,
    /// A text that is not 64 hexadecimal digits.
    NotHex,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAPoint => "not an Ed25519 public key",
            Self::WeakPoint => "an Ed25519 public key of small order",
            Self::NotHex => "a public key is 64 hexadecimal digits",
        })
    }
}

impl core::error::Error for KeyError {}

/// A secret signing key for one role.
pub struct SigningKey<R: SigningRole> {
    inner: ed25519_dalek::SigningKey,
    role: PhantomData<R>,
}

impl<R: SigningRole> SigningKey<R> {
    /// A fresh key.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key of the RFC 8032 private key `seed`.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self { inner: ed25519_dalek::SigningKey::from_bytes(seed), role: PhantomData }
    }

    /// The RFC 8032 private key, for wrapping.
    pub fn expose_seed(&self) -> &[u8; 32] {
        self.inner.as_bytes()
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey<R> {
        VerifyingKey { inner: self.inner.verifying_key(), role: PhantomData }
    }

    /// The public half's key id.
    pub fn key_id(&self) -> KeyId {
        self.verifying_key().key_id()
    }

    /// Signs `message`, which must begin with a domain of its own.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.sign_parts(&[message])
    }

    /// Signs the message whose parts, one after the other, are `parts`: a long one is not copied to be signed.
    pub fn sign_parts(&self, parts: &[&[u8]]) -> Signature {
        Signature(self.inner.multipart_sign(parts).to_bytes())
    }

    /// Signs `value` as an object of `schema`.
    ///
    /// # Errors
    /// As [`signing_bytes`].
    pub fn sign_object(&self, schema: &str, value: &Value) -> Result<Signature, CborError> {
        signing_bytes(schema, value).map(|message| self.sign(&message))
    }
}

impl<R: SigningRole> PartialEq for SigningKey<R> {
    fn eq(&self, other: &Self) -> bool {
        self.expose_seed().ct_eq(other.expose_seed()).into()
    }
}

impl<R: SigningRole> Eq for SigningKey<R> {}

impl<R: SigningRole> fmt::Debug for SigningKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey<{}>({})", R::ROLE, self.key_id())
    }
}

/// A public key for one role; never a weak point.
#[derive(Clone, Copy)]
pub struct VerifyingKey<R: SigningRole> {
    inner: ed25519_dalek::VerifyingKey,
    role: PhantomData<R>,
}

impl<R: SigningRole> VerifyingKey<R> {
    /// The key encoded as `bytes`.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] or [`KeyError::WeakPoint`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        EncodedKey::<R>::from_bytes(bytes)?;
        let inner = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        Ok(Self { inner, role: PhantomData })
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.inner.as_bytes()
    }

    /// The key's id, as COSE headers and signature lists show it.
    pub fn key_id(&self) -> KeyId {
        hash::key_id(self.as_bytes())
    }

    /// The role in the key's type.
    pub fn role(&self) -> KeyRole {
        R::ROLE
    }

    /// Checks `signature` over `message` without the cofactor, refusing every malleable form.
    ///
    /// # Errors
    /// [`SignatureInvalid`].
    //= docs/spec/keys.md#signatures
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureInvalid> {
        self.verify_parts(&[message], signature)
    }

    /// As [`verify`](Self::verify), over the message whose parts, one after the other, are `parts`.
    ///
    /// # Errors
    /// [`SignatureInvalid`].
    //= docs/spec/keys.md#signatures
    pub fn verify_parts(&self, parts: &[&[u8]], signature: &Signature) -> Result<(), SignatureInvalid> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        // R is compared as bytes with the one that is computed, so that it needs neither to be decoded nor to be checked
        // for another encoding.
        if is_small_order(signature.r_bytes()) {
            return Err(SignatureInvalid);
        }
        self.inner.multipart_verify(parts, &signature).map_err(|_| SignatureInvalid)
    }

    /// Checks `signature` over `value` as an object of `schema`.
    ///
    /// # Errors
    /// [`SignatureInvalid`], also for a value that nobody could have signed because it has no encoding.
    pub fn verify_object(
        &self,
        schema: &str,
        value: &Value,
        signature: &Signature,
    ) -> Result<(), SignatureInvalid> {
        let message = signing_bytes(schema, value).map_err(|_| SignatureInvalid)?;
        self.verify(&message, signature)
    }
}

impl<R: SigningRole> PartialEq for VerifyingKey<R> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<R: SigningRole> Eq for VerifyingKey<R> {}

impl<R: SigningRole> PartialOrd for VerifyingKey<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: SigningRole> Ord for VerifyingKey<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<R: SigningRole> Hash for VerifyingKey<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<R: SigningRole> fmt::Display for VerifyingKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl<R: SigningRole> fmt::Debug for VerifyingKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey<{}>({self})", R::ROLE)
    }
}

impl<R: SigningRole> FromStr for VerifyingKey<R> {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::NotHex)?;
        Self::from_bytes(&bytes)
    }
}

impl<R: SigningRole> Serialize for VerifyingKey<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, R: SigningRole> Deserialize<'de> for VerifyingKey<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<R: SigningRole> ToCbor for VerifyingKey<R> {
    fn to_cbor(&self) -> Value<'_> {
        self.as_bytes().to_cbor()
    }
}

impl<R: SigningRole> FromCbor for VerifyingKey<R> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let bytes = <[u8; 32]>::from_cbor(value)?;
        Self::from_bytes(&bytes).map_err(|_| ShapeError::Invalid("not an Ed25519 public key"))
    }
}

/// The 64 bytes of an Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature made of `bytes`.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The signature's bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl TryFrom<String> for Signature {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::NotHex)?;
        Ok(Self(bytes))
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        signature.to_string()
    }
}

impl ToCbor for Signature {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl FromCbor for Signature {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        <[u8; 64]>::from_cbor(value).map(Self)
    }
}
