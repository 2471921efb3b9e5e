//! From symbols back to the object, which is taken only if it has the identity that was asked for.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::block::BlockDecoder;
use super::{Authenticated, EncodingSet, IdentifiedObject, PayloadId, Symbol, TransmissionInformation};
use crate::encoding::cbor::ShapeError;
use crate::error::Code;
use crate::ids::ObjectId;
use crate::limits::MAX_FAILED_ATTEMPTS;
use crate::object::ObjectIdKey;

/// Rebuilds one object from its symbols, in any order, over any time.
#[derive(Debug)]
pub struct Decoder {
    set: EncodingSet,
    information: TransmissionInformation,
    /// All source symbols; those that have not come are zeros.
    buffer: Vec<u8>,
    blocks: Vec<BlockDecoder>,
    /// How many more attempts may fail; with none left, the decode has failed.
    attempts_left: u32,
}

/// How far a decode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Distinct symbols received.
    pub received: u32,
    /// Symbols still needed before another attempt to solve.
    pub needed: u32,
    /// Whether every source symbol is there.
    pub complete: bool,
}

/// Why a symbol was not taken, or a decode has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The budget does not suffice for the decode.
    MemoryExceeded {
        /// The bytes it may need.
        needed: usize,
        /// The bytes of the budget.
        free: usize,
    },
    /// A symbol of another object, zone or zone key.
    WrongEncoding,
    /// The object has no such block; it has this many.
    NoSuchBlock {
        /// The number of blocks.
        blocks: u8,
    },
    /// The symbol says that its block has another number of source symbols.
    WrongSourceSymbols {
        /// The block's number.
        expected: u16,
        /// The number it says.
        got: u16,
    },
    /// The symbol has another size than those of this encoding.
    WrongSymbolSize {
        /// The size of the encoding.
        expected: usize,
        /// The symbol's size.
        got: usize,
    },
    /// A symbol that is there already.
    Duplicate,
    /// The block needs no more symbols, or has as many as it may keep.
    Surplus,
    /// As many attempts failed as may, or a block with all the symbols it may keep cannot be solved: its symbols depend on
    /// each other.
    Unsolvable,
    /// Source symbols are still missing.
    Incomplete,
    /// The bytes are no object.
    Malformed(ShapeError),
    /// The bytes are another object than the one asked for.
    WrongObject {
        /// The identity of what was rebuilt.
        got: ObjectId,
    },
}

impl Decoder {
    /// A decoder for the object of `set`, if `budget` bytes suffice for it. Nothing is reserved if they do not.
    ///
    /// # Errors
    /// [`DecodeError::MemoryExceeded`].
    //= docs/spec/symbols.md#bounds
    pub fn new(
        set: EncodingSet,
        information: TransmissionInformation,
        budget: usize,
    ) -> Result<Self, DecodeError> {
        let needed = information.held_bytes() + information.solve_bytes();
        if needed > budget {
            return Err(DecodeError::MemoryExceeded { needed, free: budget });
        }
        let bytes = information.source_symbols() as usize * information.symbol_size();
        let blocks = information.blocks().map(BlockDecoder::new).collect();
        let (buffer, attempts_left) = (vec![0; bytes], MAX_FAILED_ATTEMPTS);
        Ok(Self { set, information, buffer, blocks, attempts_left })
    }

    /// The encoding whose symbols it takes.
    pub const fn set(&self) -> &EncodingSet {
        &self.set
    }

    /// How the object is cut.
    pub const fn information(&self) -> TransmissionInformation {
        self.information
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            received: self.blocks.iter().map(BlockDecoder::received).sum(),
            needed: self.blocks.iter().map(BlockDecoder::needed).sum(),
            complete: self.blocks.iter().all(BlockDecoder::is_complete),
        }
    }

    /// The source symbols that are missing, in order; those of complete blocks are not.
    pub fn missing(&self) -> impl Iterator<Item = PayloadId> {
        let numbered = (0..=u8::MAX).zip(&self.blocks);
        numbered.flat_map(|(number, block)| {
            block.missing().filter_map(move |esi| PayloadId::new(number, esi).ok())
        })
    }

    /// Takes one symbol.
    ///
    /// # Errors
    /// The first rule that it breaks; the decode goes on without it.
    //= docs/spec/symbols.md#decoding
    pub fn add(&mut self, symbol: Authenticated<Symbol<'_>>) -> Result<Progress, DecodeError> {
        let symbol = symbol.get();
        if *symbol.set != self.set {
            return Err(DecodeError::WrongEncoding);
        }
        let no_block = DecodeError::NoSuchBlock { blocks: self.information.source_blocks() };
        let block = self.information.block(symbol.id.block()).ok_or(no_block.clone())?;
        if symbol.source_symbols != block.source_symbols {
            let (expected, got) = (block.source_symbols, symbol.source_symbols);
            return Err(DecodeError::WrongSourceSymbols { expected, got });
        }
        let (expected, got) = (self.information.symbol_size(), symbol.bytes.len());
        if expected != got {
            return Err(DecodeError::WrongSymbolSize { expected, got });
        }
        let decoder = self.blocks.get_mut(usize::from(block.number)).ok_or(no_block)?;
        decoder.add(symbol.id.esi(), symbol.bytes, &mut self.buffer[block.source_range(expected)])?;
        Ok(self.progress())
    }

    /// Tries to solve one block, the first that has enough symbols. It is a step of its own because it may take as long as
    /// a thousand symbols. While nothing is needed and the object is not complete, other blocks wait to be solved.
    ///
    /// # Errors
    /// [`DecodeError::Unsolvable`], which ends the decode: it is said again, and nothing more is tried.
    //= docs/spec/symbols.md#bounds
    pub fn solve(&mut self) -> Result<Progress, DecodeError> {
        let mut waiting = self.information.blocks().zip(&mut self.blocks);
        if self.attempts_left > 0
            && let Some((block, decoder)) = waiting.find(|(_, decoder)| decoder.is_worth_solving())
        {
            let range = block.source_range(self.information.symbol_size());
            let solved = decoder.solve(self.information, &mut self.buffer[range]);
            if solved.is_err() {
                self.attempts_left = if decoder.is_full() { 0 } else { self.attempts_left - 1 };
            }
        }
        if self.attempts_left > 0 { Ok(self.progress()) } else { Err(DecodeError::Unsolvable) }
    }

    /// The object, if it is complete and its identity under the zone's `key` is the one asked for.
    ///
    /// # Errors
    /// [`DecodeError::Incomplete`], [`DecodeError::Malformed`] or [`DecodeError::WrongObject`].
    //= docs/spec/symbols.md#rebuilding
    pub fn finish(self, key: &ObjectIdKey) -> Result<IdentifiedObject, DecodeError> {
        if !self.progress().complete {
            return Err(DecodeError::Incomplete);
        }
        let Self { set, information, buffer: mut bytes, blocks: _, attempts_left: _ } = self;
        bytes.truncate(information.transfer_length());
        let rebuilt = IdentifiedObject::from_bytes(bytes, key).map_err(DecodeError::Malformed)?;
        if rebuilt.id() == set.object_id && rebuilt.header().zone_id == set.zone_id {
            Ok(rebuilt)
        } else {
            Err(DecodeError::WrongObject { got: rebuilt.id() })
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryExceeded { needed, free } => {
                write!(f, "the decode may need {needed} bytes and {free} are free")
            }
            Self::WrongEncoding => f.write_str("a symbol of another object, zone or zone key"),
            Self::NoSuchBlock { blocks } => write!(f, "the object has {blocks} source blocks"),
            Self::WrongSourceSymbols { expected, got } => {
                write!(f, "the block has {expected} source symbols, not {got}")
            }
            Self::WrongSymbolSize { expected, got } => {
                write!(f, "symbols of this encoding have {expected} bytes, not {got}")
            }
            Self::Duplicate => f.write_str("the symbol is there already"),
            Self::Surplus => f.write_str("the block needs no more symbols"),
            Self::Unsolvable => f.write_str("the block's symbols depend on each other"),
            Self::Incomplete => f.write_str("source symbols are still missing"),
            Self::Malformed(error) => write!(f, "what was rebuilt is no object: {error}"),
            Self::WrongObject { got } => write!(f, "what was rebuilt is the object {got}"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl DecodeError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::MemoryExceeded { .. } => Code::Exhausted,
            Self::WrongEncoding
            | Self::NoSuchBlock { .. }
            | Self::WrongSourceSymbols { .. }
            | Self::WrongSymbolSize { .. }
            | Self::Malformed(_)
            | Self::WrongObject { .. } => Code::SymbolInvalid,
            Self::Duplicate | Self::Surplus => Code::PeerReplayed,
            Self::Unsolvable | Self::Incomplete => Code::ObjectIncomplete,
        }
    }
}
