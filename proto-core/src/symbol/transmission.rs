//! How an object is cut into source blocks and symbols: the object transmission information of RFC 6330 §3.3.

use core::fmt;
use core::num::NonZeroU16;

use super::PayloadId;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use crate::error::Code;
use crate::limits::{MAX_BLOCK_SYMBOLS, MAX_SURPLUS_SYMBOLS, MAX_WHOLE_BYTES};

/// Sub-blocks of a block: one, since no block is too large for the memory of a receiver that admits it.
const SUB_BLOCKS: u16 = 1;

/// Alignment of symbols, in bytes: one, so that every symbol size is a multiple of it.
const ALIGNMENT: u8 = 1;

/// Most LDPC and HDPC symbols of a block of at most [`MAX_BLOCK_SYMBOLS`] (RFC 6330 table 2: S = 59, H = 10).
const CONSTRAINT_SYMBOLS: usize = 69;

/// What the solver needs a row of its matrix beside the symbol: its list of operations, above all. Chosen: the test
/// `what_is_reckoned_covers_what_is_used` measures it.
const SOLVER_BYTES_A_ROW: usize = 4_096;

/// What is kept of a symbol beside its bytes.
const SYMBOL_OVERHEAD: usize = 64;

/// How an object is cut. Its length and its symbol size determine all the rest, so that one encoding has one description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmissionInformation {
    transfer_length: u32,
    symbol_size: NonZeroU16,
    source_blocks: u8,
}

/// A source block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub number: u8,
    /// Its number of source symbols (K).
    pub source_symbols: u16,
    /// The symbols of the object before it.
    pub first_symbol: u32,
}

/// Why numbers describe no encoding that is used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmissionError {
    /// An object without bytes.
    Empty,
    /// More bytes than an object that travels whole may have.
    TooLong,
    /// Symbols without bytes.
    ZeroSymbolSize,
    /// More blocks of the largest size than can be numbered.
    TooManyBlocks,
    /// Another number of blocks than the fewest.
    WrongSourceBlocks {
        /// The fewest.
        expected: u8,
        /// The number given.
        got: u8,
    },
    /// More or fewer than one sub-block.
    WrongSubBlocks,
    /// An alignment other than one byte.
    WrongAlignment,
    /// The reserved byte is not zero.
    Reserved,
}

impl TransmissionInformation {
    /// The encoding of an object of `transfer_length` bytes in symbols of `symbol_size`.
    ///
    /// # Errors
    /// The first rule that the two numbers break.
    //= docs/spec/symbols.md#object-transmission-information
    pub fn new(transfer_length: u64, symbol_size: u16) -> Result<Self, TransmissionError> {
        let symbol_size = NonZeroU16::new(symbol_size).ok_or(TransmissionError::ZeroSymbolSize)?;
        let transfer_length = u32::try_from(transfer_length).map_err(|_| TransmissionError::TooLong)?;
        if transfer_length == 0 {
            return Err(TransmissionError::Empty);
        }
        if u64::from(transfer_length) > MAX_WHOLE_BYTES as u64 {
            return Err(TransmissionError::TooLong);
        }
        let symbols = transfer_length.div_ceil(u32::from(symbol_size.get()));
        let source_blocks = u8::try_from(symbols.div_ceil(u32::from(MAX_BLOCK_SYMBOLS)))
            .map_err(|_| TransmissionError::TooManyBlocks)?;
        Ok(Self { transfer_length, symbol_size, source_blocks })
    }

    /// Reads the twelve bytes of RFC 6330 §3.3.2 and §3.3.3.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn from_bytes(bytes: &[u8; 12]) -> Result<Self, TransmissionError> {
        let [f4, f3, f2, f1, f0, reserved, t1, t0, source_blocks, n1, n0, alignment] = *bytes;
        let transfer_length = u64::from_be_bytes([0, 0, 0, f4, f3, f2, f1, f0]);
        let information = Self::new(transfer_length, u16::from_be_bytes([t1, t0]))?;
        if reserved != 0 {
            return Err(TransmissionError::Reserved);
        }
        if source_blocks != information.source_blocks {
            let expected = information.source_blocks;
            return Err(TransmissionError::WrongSourceBlocks { expected, got: source_blocks });
        }
        if u16::from_be_bytes([n1, n0]) != SUB_BLOCKS {
            return Err(TransmissionError::WrongSubBlocks);
        }
        if alignment != ALIGNMENT {
            return Err(TransmissionError::WrongAlignment);
        }
        Ok(information)
    }

    /// The twelve bytes of RFC 6330 §3.3.2 and §3.3.3.
    pub const fn to_bytes(self) -> [u8; 12] {
        let [f3, f2, f1, f0] = self.transfer_length.to_be_bytes();
        let [t1, t0] = self.symbol_size.get().to_be_bytes();
        let [n1, n0] = SUB_BLOCKS.to_be_bytes();
        [0, f3, f2, f1, f0, 0, t1, t0, self.source_blocks, n1, n0, ALIGNMENT]
    }

    /// The object's bytes (F).
    pub const fn transfer_length(self) -> usize {
        self.transfer_length as usize
    }

    /// The bytes of a symbol (T).
    pub const fn symbol_size(self) -> usize {
        self.symbol_size.get() as usize
    }

    /// The source blocks (Z), from one to 255.
    pub const fn source_blocks(self) -> u8 {
        self.source_blocks
    }

    /// The source symbols of all blocks (Kt).
    pub const fn source_symbols(self) -> u32 {
        self.transfer_length.div_ceil(self.symbol_size.get() as u32)
    }

    /// The source block `number`, by the partition of RFC 6330 §4.4.1.2: the first blocks have one symbol more.
    pub fn block(self, number: u8) -> Option<Block> {
        let (index, blocks) = (u32::from(number), u32::from(self.source_blocks));
        if index >= blocks {
            return None;
        }
        let (short, longer) = (self.source_symbols() / blocks, self.source_symbols() % blocks);
        let source_symbols = u16::try_from(short + u32::from(index < longer)).ok()?;
        Some(Block { number, source_symbols, first_symbol: index * short + index.min(longer) })
    }

    /// All source blocks.
    pub fn blocks(self) -> impl Iterator<Item = Block> {
        (0..self.source_blocks).filter_map(move |number| self.block(number))
    }

    /// Where the source symbol `id` stands among all source symbols, if it is one.
    pub fn source_position(self, id: PayloadId) -> Option<u32> {
        let block = self.block(id.block())?;
        (id.esi() < u32::from(block.source_symbols)).then(|| block.first_symbol + id.esi())
    }

    /// Most bytes that a decoder keeps between two symbols: the object, and as many repair symbols as it admits.
    //= docs/spec/symbols.md#bounds
    pub const fn held_bytes(self) -> usize {
        let surplus = self.source_blocks as usize * MAX_SURPLUS_SYMBOLS as usize;
        let symbols = self.source_symbols() as usize;
        symbols * self.symbol_size() + (symbols + surplus) * (self.symbol_size() + SYMBOL_OVERHEAD)
    }

    /// Most bytes that it needs on top while it solves one block: the symbols again, the rows of the solver, the result.
    pub fn solve_bytes(self) -> usize {
        let largest = self.block(0).map_or(0, |block| block.source_symbols);
        let symbols = usize::from(largest) + MAX_SURPLUS_SYMBOLS as usize;
        let rows = raptorq::extended_source_block_symbols(u32::from(largest)) as usize
            + CONSTRAINT_SYMBOLS
            + MAX_SURPLUS_SYMBOLS as usize;
        symbols * (self.symbol_size() + SYMBOL_OVERHEAD)
            + rows * (self.symbol_size() + SOLVER_BYTES_A_ROW)
            + symbols * self.symbol_size()
    }

    /// The same as the codec knows it.
    pub(super) fn codec(self) -> raptorq::ObjectTransmissionInformation {
        raptorq::ObjectTransmissionInformation::new(
            u64::from(self.transfer_length),
            self.symbol_size.get(),
            self.source_blocks,
            SUB_BLOCKS,
            ALIGNMENT,
        )
    }
}

impl Block {
    /// Where the block's source symbols stand among the bytes of all.
    pub(super) fn source_range(self, symbol_size: usize) -> core::ops::Range<usize> {
        let start = self.first_symbol as usize * symbol_size;
        start..start + usize::from(self.source_symbols) * symbol_size
    }
}

impl fmt::Display for TransmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an object without bytes has no symbols"),
            Self::TooLong => write!(f, "more than {MAX_WHOLE_BYTES} bytes travel as chunks"),
            Self::ZeroSymbolSize => f.write_str("a symbol has at least one byte"),
            Self::TooManyBlocks => f.write_str("the symbols are too small for the object"),
            Self::WrongSourceBlocks { expected, got } => {
                write!(f, "{got} source blocks instead of {expected}")
            }
            Self::WrongSubBlocks => f.write_str("a block has one sub-block"),
            Self::WrongAlignment => f.write_str("symbols are aligned to one byte"),
            Self::Reserved => f.write_str("the reserved byte is not zero"),
        }
    }
}

impl core::error::Error for TransmissionError {}

impl TransmissionError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty
            | Self::TooLong
            | Self::ZeroSymbolSize
            | Self::TooManyBlocks
            | Self::WrongSourceBlocks { .. }
            | Self::WrongSubBlocks
            | Self::WrongAlignment
            | Self::Reserved => Code::SymbolInvalid,
        }
    }
}

impl ToCbor for TransmissionInformation {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bytes(self.to_bytes().to_vec().into())
    }
}

impl FromCbor for TransmissionInformation {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let bytes = <[u8; 12]>::from_cbor(value)?;
        Self::from_bytes(&bytes).map_err(|_| ShapeError::Invalid("no object transmission information"))
    }
}
