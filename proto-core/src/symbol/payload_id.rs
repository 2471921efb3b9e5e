//! Which symbol of an object a symbol is.

use core::fmt;

use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};

/// Encoding symbol ids have 24 bits (RFC 6330 §3.2).
const ESI_BITS: u32 = 24;

/// A symbol's source block and its encoding symbol id (ESI) within the block: the FEC payload id of RFC 6330 §3.2.
///
/// As a number, the block stands in the upper eight bits and the ESI in the lower 24, so that the symbols of an object
/// of one block are numbered by their ESI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadId(u32);

/// An encoding symbol id beyond 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EsiOutOfRange;

impl PayloadId {
    /// The symbol `esi` of `block`.
    ///
    /// # Errors
    /// [`EsiOutOfRange`].
    //= docs/spec/symbols.md#payload-ids
    pub const fn new(block: u8, esi: u32) -> Result<Self, EsiOutOfRange> {
        if esi >> ESI_BITS == 0 { Ok(Self((block as u32) << ESI_BITS | esi)) } else { Err(EsiOutOfRange) }
    }

    /// The symbol that `number` stands for; every number stands for one.
    pub const fn from_u32(number: u32) -> Self {
        Self(number)
    }

    /// The number that stands for this symbol.
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The source block's number.
    pub const fn block(self) -> u8 {
        (self.0 >> ESI_BITS) as u8
    }

    /// The encoding symbol id within the block; below the block's number of source symbols it is a source symbol.
    pub const fn esi(self) -> u32 {
        self.0 & ((1 << ESI_BITS) - 1)
    }

    /// The same as the codec knows it.
    pub(super) fn codec(self) -> raptorq::PayloadId {
        raptorq::PayloadId::new(self.block(), self.esi())
    }
}

impl fmt::Display for PayloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.block(), self.esi())
    }
}

impl fmt::Display for EsiOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an encoding symbol id has 24 bits")
    }
}

impl core::error::Error for EsiOutOfRange {}

impl ToCbor for PayloadId {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl FromCbor for PayloadId {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        u32::from_cbor(value).map(Self)
    }
}
