//! Secret bytes as a field of what is stored: wiped when dropped, never printed.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::encoding::cbor::{ByteString, FromCbor, ShapeError, ToCbor, Value};
use zeroize::Zeroizing;

/// Secret bytes.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl ToCbor for Secret {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(&self.0))
    }
}

impl FromCbor for Secret {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        ByteString::from_cbor(value).map(|ByteString(bytes)| Self::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key of 256 bits.
#[derive(Clone)]
pub(super) struct Key(pub(super) Zeroizing<[u8; 32]>);

impl ToCbor for Key {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(&*self.0))
    }
}

impl FromCbor for Key {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        <[u8; 32]>::from_cbor(value).map(|bytes| Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
