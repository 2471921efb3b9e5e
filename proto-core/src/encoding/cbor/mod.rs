//! Canonical CBOR (RFC 8949 §4.2.1): one value has exactly one encoding, and only that one is accepted.
//!
//! The data model is a subset: integers, byte and text strings, arrays, maps, booleans, null and finite floats. No tags,
//! no `undefined`, no other simple values, no indefinite lengths. Map keys are ordered by the bytes of their encoding.
//! Spec: `docs/spec/encoding.md`.

mod bounded;
mod decode;
mod encode;
mod fields;
mod shape;
mod value;

pub use bounded::{Bounded, Length};
pub use decode::decode;
pub(crate) use decode::split_bytes;
pub(crate) use encode::append_bytes;
pub use encode::{encode, encode_after};
pub use fields::{FieldReader, MapBuilder, append_fields, order_of};
pub use shape::{ByteString, FromCbor, ShapeError, ToCbor};
pub use value::{Map, Value};

use alloc::vec::Vec;
use core::fmt;

/// What encodings are appended to; by a name of its own, so that macros name it in crates with and without `alloc`.
pub type Output = Vec<u8>;

/// Why bytes are not canonical CBOR, or why a value has no canonical encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CborError {
    /// The input ends inside a data item, or a length promises more than there is.
    Truncated,
    /// Bytes follow the data item.
    TrailingBytes,
    /// A number or length is not in its shortest form.
    NonShortest,
    /// An indefinite length (RFC 8949 §3.2).
    IndefiniteLength,
    /// Reserved additional information (RFC 8949 §3, values 28 to 30).
    ReservedHead,
    /// A tag (major type 6), which the data model does not have.
    UnsupportedTag,
    /// A simple value other than false, true and null.
    UnsupportedSimple,
    /// A float that is NaN or infinite.
    NonFiniteFloat,
    /// Negative zero, which is written as zero.
    NegativeZero,
    /// A text string that is not UTF-8.
    InvalidUtf8,
    /// A map whose keys are not in ascending order of their encodings.
    KeyOrder,
    /// A map with the same key twice.
    DuplicateKey,
    /// Nesting deeper than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    TooDeep,
    /// More bytes than [`MAX_OBJECT_BYTES`](crate::limits::MAX_OBJECT_BYTES).
    TooLarge,
}

impl fmt::Display for CborError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the input ends inside a data item",
            Self::TrailingBytes => "bytes follow the data item",
            Self::NonShortest => "a number or length is not in its shortest form",
            Self::IndefiniteLength => "indefinite lengths are not canonical",
            Self::ReservedHead => "reserved additional information",
            Self::UnsupportedTag => "tags are not allowed",
            Self::UnsupportedSimple => "a simple value other than false, true and null",
            Self::NonFiniteFloat => "a float that is NaN or infinite",
            Self::NegativeZero => "negative zero",
            Self::InvalidUtf8 => "a text string that is not UTF-8",
            Self::KeyOrder => "map keys are out of order",
            Self::DuplicateKey => "a map key occurs twice",
            Self::TooDeep => "nested too deeply",
            Self::TooLarge => "larger than an object may be",
        })
    }
}

impl core::error::Error for CborError {}

#[cfg(test)]
mod tests;
