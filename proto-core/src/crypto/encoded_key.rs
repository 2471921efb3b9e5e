//! Ed25519 public keys as they are encoded, before anybody has looked for the point.

use core::fmt;
use core::marker::PhantomData;

use super::hash;
use super::role::SigningRole;
use super::sign::{KeyError, VerifyingKey};
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use crate::ids::KeyId;

/// The 32 bytes of a public key for one role: in the only encoding that they can have, and of no weak point.
///
/// Whether the curve has such a point is found out by [`EncodedKey::decode`], which costs a tenth of a signature's
/// verification and is needed only where something is verified under the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EncodedKey<R: SigningRole> {
    bytes: [u8; 32],
    role: PhantomData<R>,
}

impl<R: SigningRole> EncodedKey<R> {
    /// The key encoded as `bytes`.
    ///
    /// # Errors
    /// [`KeyError::WeakPoint`], or [`KeyError::NotAPoint`] for a coordinate that is not below the field's prime.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if is_small_order(bytes) {
            Err(KeyError::WeakPoint)
        } else if is_reduced(bytes) {
            Ok(Self { bytes: *bytes, role: PhantomData })
        } else {
            Err(KeyError::NotAPoint)
        }
    }

    /// The key, to verify with.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`].
    pub fn decode(&self) -> Result<VerifyingKey<R>, KeyError> {
        VerifyingKey::from_bytes(&self.bytes)
    }

    /// The encoded key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key's id.
    pub fn key_id(&self) -> KeyId {
        hash::key_id(&self.bytes)
    }
}

impl<R: SigningRole> From<VerifyingKey<R>> for EncodedKey<R> {
    fn from(key: VerifyingKey<R>) -> Self {
        Self { bytes: *key.as_bytes(), role: PhantomData }
    }
}

impl<R: SigningRole> fmt::Debug for EncodedKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedKey<{}>({})", R::ROLE, hex::encode(self.bytes))
    }
}

impl<R: SigningRole> ToCbor for EncodedKey<R> {
    fn to_cbor(&self) -> Value<'_> {
        self.bytes.to_cbor()
    }
}

impl<R: SigningRole> FromCbor for EncodedKey<R> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let bytes = <[u8; 32]>::from_cbor(value)?;
        Self::from_bytes(&bytes).map_err(|_| ShapeError::Invalid("not an Ed25519 public key"))
    }
}

/// Whether the coordinate in `bytes` is below the field's prime, 2^255 − 19. With the points of small order gone, a point
/// has no other second encoding.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

/// Whether `bytes` encode a point of small order: its coordinate is one of five, of which 0 and 1 have a second form.
/// The sign says only which of two such points it is.
pub(super) fn is_small_order(bytes: &[u8; 32]) -> bool {
    let [rest @ .., high] = bytes;
    let is = |[own @ .., top]: &[u8; 32]| own == rest && *top == high & 0x7f;
    SMALL_ORDER.iter().any(is)
}

/// The y coordinates of the points of order 1, 2, 4 and 8, little-endian; the last two are 0 and 1 plus the prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    near_prime(0xec),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    near_prime(0xed),
    near_prime(0xee),
];

/// A number that differs from the prime in its lowest byte only.
const fn near_prime(low: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (low, 0x7f);
    bytes
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use super::super::role::Agent;
    use super::*;

    /// Both signs of a coordinate.
    fn signs(mut bytes: [u8; 32]) -> [[u8; 32]; 2] {
        let plain = bytes;
        bytes[31] |= 0x80;
        [plain, bytes]
    }

    /// The codec's own arithmetic finds all eight points, and no other, behind the coordinates of the table.
    #[test]
    fn the_table_has_the_eight_points_of_small_order() {
        let encodings: Vec<_> = SMALL_ORDER.into_iter().flat_map(signs).collect();
        assert!(encodings.iter().all(is_small_order));
        let points = encodings.iter().filter_map(|it| ed25519_dalek::VerifyingKey::from_bytes(it).ok());
        let points: Vec<_> = points.collect();
        assert!(points.iter().all(ed25519_dalek::VerifyingKey::is_weak));
        let distinct: BTreeSet<_> = points.iter().map(|it| it.to_edwards().compress().to_bytes()).collect();
        assert_eq!(distinct.len(), 8);
    }

    #[test]
    fn what_is_no_point_is_found_when_it_is_decoded() {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        let key = EncodedKey::<Agent>::from_bytes(&bytes).expect("the bytes alone are sound");
        assert_eq!(key.decode(), Err(KeyError::NotAPoint));
        assert_eq!(EncodedKey::<Agent>::from_bytes(&[0xff; 32]), Err(KeyError::NotAPoint));
        assert_eq!(EncodedKey::<Agent>::from_bytes(&[0; 32]), Err(KeyError::WeakPoint));
    }
}
