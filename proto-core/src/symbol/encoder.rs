//! From an object to its symbols.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use raptorq::SourceBlockEncoder;

use super::{
    Authenticated, Block, EncodingSet, IdentifiedObject, PayloadId, Plans, Symbol, TransmissionInformation,
};
use crate::error::Code;

/// Makes the symbols of one object.
///
/// Source symbols are copied from the object's bytes. The first repair symbol of a block prepares the block, which costs
/// one pass over it and twice its bytes of memory.
#[derive(Debug)]
pub struct Encoder<'a> {
    set: &'a EncodingSet,
    information: TransmissionInformation,
    object: &'a [u8],
    prepared: Vec<Option<SourceBlockEncoder>>,
}

/// Why a symbol cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The object is not the one that the encoding set names.
    WrongObject,
    /// The object has another length than its transmission information says.
    WrongTransferLength {
        /// The length said.
        expected: usize,
        /// The object's length.
        got: usize,
    },
    /// The object has no such block; it has this many.
    NoSuchBlock {
        /// The number of blocks.
        blocks: u8,
    },
    /// The caller's buffer is not exactly one symbol long.
    WrongBufferLength {
        /// The bytes of a symbol.
        expected: usize,
        /// The bytes of the buffer.
        got: usize,
    },
}

impl<'a> Encoder<'a> {
    /// An encoder of `object`, which must be the one that `set` names.
    ///
    /// # Errors
    /// [`EncodeError::WrongObject`] or [`EncodeError::WrongTransferLength`].
    //= docs/spec/symbols.md#authentication
    pub fn new(
        set: &'a EncodingSet,
        information: TransmissionInformation,
        object: &'a IdentifiedObject,
    ) -> Result<Self, EncodeError> {
        if object.id() != set.object_id || object.header().zone_id != set.zone_id {
            return Err(EncodeError::WrongObject);
        }
        let (expected, got) = (information.transfer_length(), object.bytes().len());
        if expected != got {
            return Err(EncodeError::WrongTransferLength { expected, got });
        }
        Ok(Self::over(set, information, object.bytes()))
    }

    /// An encoder of bytes that are known to be the object of `set`, and as long as `information` says.
    pub(super) fn over(set: &'a EncodingSet, information: TransmissionInformation, object: &'a [u8]) -> Self {
        let prepared = information.blocks().map(|_| None).collect();
        Self { set, information, object, prepared }
    }

    /// How the object is cut.
    pub const fn information(&self) -> TransmissionInformation {
        self.information
    }

    /// Writes the symbol `id` into `out`.
    ///
    /// # Errors
    /// [`EncodeError::NoSuchBlock`] or [`EncodeError::WrongBufferLength`].
    pub fn symbol<'b>(
        &mut self,
        id: PayloadId,
        plans: &mut Plans,
        out: &'b mut [u8],
    ) -> Result<Authenticated<Symbol<'b>>, EncodeError>
    where
        'a: 'b,
    {
        let block = self.block(id.block())?;
        let (expected, got) = (self.information.symbol_size(), out.len());
        if expected != got {
            return Err(EncodeError::WrongBufferLength { expected, got });
        }
        match self.information.source_position(id) {
            Some(position) => self.copy_source(position, out),
            None => self.write_repair(block, id, plans, out)?,
        }
        let (set, source_symbols) = (self.set, block.source_symbols);
        Ok(Authenticated::vouch(Symbol { set, id, source_symbols, bytes: out }))
    }

    /// Prepares block `number`, which its first repair symbol would do.
    ///
    /// # Errors
    /// [`EncodeError::NoSuchBlock`].
    pub fn prepare(&mut self, number: u8, plans: &mut Plans) -> Result<(), EncodeError> {
        let block = self.block(number)?;
        self.prepared(block, plans).map(|_| ())
    }

    fn block(&self, number: u8) -> Result<Block, EncodeError> {
        let blocks = self.information.source_blocks();
        self.information.block(number).ok_or(EncodeError::NoSuchBlock { blocks })
    }

    /// The last source symbol ends in zeros where the object ends before it.
    fn copy_source(&self, position: u32, out: &mut [u8]) {
        let rest = self.object.get(position as usize * out.len()..).unwrap_or_default();
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        out[length..].fill(0);
    }

    /// The codec gives each repair symbol in a vector of its own: two allocations a symbol.
    fn write_repair(
        &mut self,
        block: Block,
        id: PayloadId,
        plans: &mut Plans,
        out: &mut [u8],
    ) -> Result<(), EncodeError> {
        let repair_number = id.esi() - u32::from(block.source_symbols);
        for packet in self.prepared(block, plans)?.repair_packets(repair_number, 1) {
            out.copy_from_slice(packet.data());
        }
        Ok(())
    }

    fn prepared(&mut self, block: Block, plans: &mut Plans) -> Result<&SourceBlockEncoder, EncodeError> {
        let (information, object) = (self.information, self.object);
        let blocks = information.source_blocks();
        let slot =
            self.prepared.get_mut(usize::from(block.number)).ok_or(EncodeError::NoSuchBlock { blocks })?;
        Ok(slot.get_or_insert_with(|| {
            let bytes = padded(object, block.source_range(information.symbol_size()));
            let plan = plans.plan(block.source_symbols);
            SourceBlockEncoder::with_encoding_plan(block.number, &information.codec(), &bytes, plan)
        }))
    }
}

/// The bytes `range` of `object`, with zeros where the range goes beyond its end.
fn padded(object: &[u8], range: core::ops::Range<usize>) -> Cow<'_, [u8]> {
    if let Some(bytes) = object.get(range.clone()) {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = object.get(range.start..).unwrap_or_default().to_vec();
    bytes.resize(range.len(), 0);
    Cow::Owned(bytes)
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongObject => f.write_str("the encoding is of another object"),
            Self::WrongTransferLength { expected, got } => {
                write!(f, "the object has {got} bytes instead of {expected}")
            }
            Self::NoSuchBlock { blocks } => write!(f, "the object has {blocks} source blocks"),
            Self::WrongBufferLength { expected, got } => {
                write!(f, "the buffer has {got} bytes instead of {expected}")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

impl EncodeError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoSuchBlock { .. } => Code::SymbolInvalid,
            Self::WrongObject | Self::WrongTransferLength { .. } | Self::WrongBufferLength { .. } => {
                Code::Internal
            }
        }
    }
}
