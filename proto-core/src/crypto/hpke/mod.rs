//! Boxes that one device can open: HPKE (RFC 9180) in base mode, with the four purposes of FCP.
//!
//! Who may seal is not proven by a box; what carries it is signed. Spec: `docs/spec/sealing.md`.

pub mod base;
mod keys;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

pub use self::keys::{HybridEncryptionKey, OpeningKey, PublicEncryptionKey};
use crate::cbor_enum;
use crate::encoding::cbor::{
    ByteString, FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value, encode,
};
use crate::ids::{NodeId, ZoneId};
use crate::limits::MAX_HPKE_BOX_BYTES;
use crate::random::Entropy;
use crate::time::UnixTime;

/// The `info` of every box.
const INFO: &[u8] = b"FCP2-HPKE";

/// The tag of ChaCha20-Poly1305.
const TAG_BYTES: usize = 16;

cbor_enum! {
    /// How the key of a box is encapsulated.
    pub enum KemAlgorithm {
        /// DHKEM(X25519, HKDF-SHA256), number 0x0020.
        X25519 = "hpke_x25519",
        /// X-Wing, number 0x647a: X25519 and ML-KEM-768, for what must stay secret from a quantum computer.
        XWing = "x_wing",
    }
}

impl KemAlgorithm {
    /// The length of an encapsulated key.
    pub const fn enc_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => 1120,
        }
    }
}

/// What a box holds; a box of one purpose does not open as one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A zone's key.
    ZoneKey,
    /// A zone's object-id key.
    ObjectIdKey,
    /// A share of the owner's key.
    OwnerShare,
    /// A share of a secret.
    SecretShare,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 4] = [Self::ZoneKey, Self::ObjectIdKey, Self::OwnerShare, Self::SecretShare];

    /// The text that the additional data carries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZoneKey => "FCP2-ZONE-KEY",
            Self::ObjectIdKey => "FCP2-OBJECTID-KEY",
            Self::OwnerShare => "FCP2-OWNER-SHARE",
            Self::SecretShare => "FCP2-SECRET-SHARE",
        }
    }
}

/// What a box is bound to. It is not stored in the box: whoever opens it must name it again.
#[derive(Clone, Copy, Debug)]
pub struct BoxContext<'a> {
    /// The zone that the content belongs to.
    pub zone_id: &'a ZoneId,
    /// The device that is to open it.
    pub recipient: &'a NodeId,
    /// What it holds.
    pub purpose: Purpose,
    /// When it was sealed.
    pub issued_at: UnixTime,
}

impl BoxContext<'_> {
    /// The canonical CBOR of the map `{zone_id, recipient_node_id, purpose, issued_at}`, with byte strings.
    fn additional_data(&self) -> Result<Vec<u8>, HpkeError> {
        let bytes = |text| Value::Bytes(str::as_bytes(text).into());
        let mut map = MapBuilder::default();
        map.item("zone_id", bytes(self.zone_id.as_str()));
        map.item("recipient_node_id", bytes(self.recipient.as_str()));
        map.item("purpose", bytes(self.purpose.as_str()));
        map.field("issued_at", &self.issued_at);
        encode(&map.finish()).map_err(|_| HpkeError::TooLarge)
    }
}

/// Why a box cannot be made or does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpkeError {
    /// The content does not fit into a box.
    TooLarge,
    /// The bytes are fewer or more than a box has.
    Length(usize),
    /// The bytes are no public key, or one that gives every sender the same secret.
    RecipientKey,
    /// It is sealed to a key of another kind.
    OtherKem(KemAlgorithm),
    /// The box was altered, or it is for another key, zone, device, purpose or time.
    NotOpened,
}

impl fmt::Display for HpkeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "a box has at most {MAX_HPKE_BOX_BYTES} bytes"),
            Self::Length(length) => write!(f, "no box has {length} bytes"),
            Self::RecipientKey => f.write_str("the recipient's key is not one to seal to"),
            Self::OtherKem(kem) => write!(f, "the box is sealed to a key of the kind `{kem}`"),
            Self::NotOpened => f.write_str("the box was altered, or is not for this key and context"),
        }
    }
}

impl core::error::Error for HpkeError {}

/// A sealed box, as bytes `enc || ciphertext || tag` and the kind of key it is sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkeBox {
    kem: KemAlgorithm,
    sealed: Vec<u8>,
}

impl HpkeBox {
    /// The box that is packed in `sealed`.
    ///
    /// # Errors
    /// [`HpkeError::Length`].
    //= docs/spec/sealing.md#boxes-to-a-device
    pub fn from_packed(kem: KemAlgorithm, sealed: Vec<u8>) -> Result<Self, HpkeError> {
        if (kem.enc_bytes() + TAG_BYTES..=MAX_HPKE_BOX_BYTES).contains(&sealed.len()) {
            Ok(Self { kem, sealed })
        } else {
            Err(HpkeError::Length(sealed.len()))
        }
    }

    /// Seals `plaintext` to `recipient` for `context`.
    ///
    /// # Errors
    /// [`HpkeError::TooLarge`] or [`HpkeError::RecipientKey`].
    pub fn seal(
        recipient: &PublicEncryptionKey,
        context: BoxContext<'_>,
        plaintext: &[u8],
        entropy: &mut Entropy,
    ) -> Result<Self, HpkeError> {
        let kem = recipient.kem();
        if plaintext.len() > MAX_HPKE_BOX_BYTES - kem.enc_bytes() - TAG_BYTES {
            return Err(HpkeError::TooLarge);
        }
        let aad = context.additional_data()?;
        let sealed = base::seal(recipient, INFO, &aad, plaintext, &mut base::Draws(entropy))?;
        Ok(Self { kem, sealed })
    }

    /// Opens the box, if `key` and `context` are those it was sealed to and for.
    ///
    /// # Errors
    /// [`HpkeError::OtherKem`] or [`HpkeError::NotOpened`].
    //= docs/spec/sealing.md#boxes-to-a-device
    pub fn open<K: OpeningKey>(
        &self,
        key: &K,
        context: BoxContext<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        if self.kem != K::KEM {
            return Err(HpkeError::OtherKem(self.kem));
        }
        base::open(self.kem, key.expose_secret(), INFO, &context.additional_data()?, &self.sealed)
    }

    /// The kind of key it is sealed to.
    pub const fn kem(&self) -> KemAlgorithm {
        self.kem
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.sealed
    }
}

impl ToCbor for HpkeBox {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        map.field("kem", &self.kem);
        map.item("sealed", Value::Bytes(self.sealed.as_slice().into()));
        map.finish()
    }
}

impl FromCbor for HpkeBox {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let kem = fields.field("kem")?;
        let ByteString(sealed) = fields.field("sealed")?;
        fields.finish()?;
        Self::from_packed(kem, sealed).map_err(|_| ShapeError::WrongLength)
    }
}
