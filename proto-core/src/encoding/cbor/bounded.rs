//! Collections with a limit that reading enforces.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{ByteString, FromCbor, ShapeError, ToCbor, Value};

/// Something that has a number of elements.
pub trait Length {
    /// How many.
    fn length(&self) -> usize;
}

impl Length for ByteString {
    fn length(&self) -> usize {
        self.0.len()
    }
}

impl<T> Length for Vec<T> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<T> Length for BTreeSet<T> {
    fn length(&self) -> usize {
        self.len()
    }
}

/// A collection of at most `MAX` elements: bytes of a string, items of a list or set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounded<C, const MAX: usize>(C);

impl<C: Length, const MAX: usize> Bounded<C, MAX> {
    /// The collection `inner`.
    ///
    /// # Errors
    /// [`ShapeError::OutOfRange`] if it has more than `MAX` elements.
    pub fn new(inner: C) -> Result<Self, ShapeError> {
        if inner.length() <= MAX { Ok(Self(inner)) } else { Err(ShapeError::OutOfRange) }
    }

    /// The collection.
    pub fn get(&self) -> &C {
        &self.0
    }
}

impl<C: ToCbor, const MAX: usize> ToCbor for Bounded<C, MAX> {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl<C: FromCbor + Length, const MAX: usize> FromCbor for Bounded<C, MAX> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        C::from_cbor(value).and_then(Self::new)
    }
}
