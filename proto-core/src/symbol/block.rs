//! One source block being rebuilt.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use raptorq::{EncodingPacket, SourceBlockDecoder};

use super::decoder::DecodeError;
use super::{Block, PayloadId, TransmissionInformation};
use crate::limits::MAX_SURPLUS_SYMBOLS;

/// The symbols received of a source block. Source symbols stand in their place in the object's buffer, which the caller
/// holds; repair symbols stand here until the block is complete.
#[derive(Debug)]
pub(super) struct BlockDecoder {
    block: Block,
    has_source: Vec<bool>,
    repair: BTreeMap<u32, Vec<u8>>,
    source_count: u32,
    /// How many symbols were there when solving failed last.
    unsolvable_with: Option<u32>,
    complete: bool,
}

/// The symbols at hand do not determine those that are missing.
#[derive(Debug)]
pub(super) struct Undetermined;

impl BlockDecoder {
    pub(super) fn new(block: Block) -> Self {
        Self {
            block,
            has_source: vec![false; usize::from(block.source_symbols)],
            repair: BTreeMap::new(),
            source_count: 0,
            unsolvable_with: None,
            complete: false,
        }
    }

    /// Distinct symbols received.
    pub(super) fn received(&self) -> u32 {
        self.source_count.saturating_add(u32::try_from(self.repair.len()).unwrap_or(u32::MAX))
    }

    /// How many more symbols are needed before solving is worth trying.
    pub(super) fn needed(&self) -> u32 {
        if self.complete {
            return 0;
        }
        let enough = self.unsolvable_with.map_or(u32::from(self.block.source_symbols), |with| with + 1);
        enough.saturating_sub(self.received())
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether an attempt to solve it is worth it.
    pub(super) fn is_worth_solving(&self) -> bool {
        !self.complete && self.needed() == 0
    }

    /// Whether it has as many symbols as it may keep.
    pub(super) fn is_full(&self) -> bool {
        self.received() >= u32::from(self.block.source_symbols) + MAX_SURPLUS_SYMBOLS
    }

    /// The source symbols that are not there, in order.
    pub(super) fn missing(&self) -> impl Iterator<Item = u32> {
        let absent = self.has_source.iter().zip(0..).filter(|(has, _)| !**has).map(|(_, esi)| esi);
        absent.take(if self.complete { 0 } else { usize::MAX })
    }

    /// Takes one symbol of the right size; `buffer` is the block's part of the object.
    //= docs/spec/symbols.md#decoding
    pub(super) fn add(&mut self, esi: u32, bytes: &[u8], buffer: &mut [u8]) -> Result<(), DecodeError> {
        if self.has(esi) {
            return Err(DecodeError::Duplicate);
        }
        if self.complete || self.is_full() {
            return Err(DecodeError::Surplus);
        }
        match self.has_source.get_mut(esi as usize) {
            Some(has) => {
                *has = true;
                self.source_count += 1;
                copy_symbol(esi, bytes, buffer);
                self.complete = self.source_count == u32::from(self.block.source_symbols);
            }
            None => {
                self.repair.insert(esi, bytes.to_vec());
            }
        }
        Ok(())
    }

    fn has(&self, esi: u32) -> bool {
        self.has_source.get(esi as usize).copied().unwrap_or_else(|| self.repair.contains_key(&esi))
    }

    /// Fills in the source symbols that are missing, if the symbols at hand determine them. If they do not, the next
    /// attempt is worth it with one symbol more.
    pub(super) fn solve(
        &mut self,
        information: TransmissionInformation,
        buffer: &mut [u8],
    ) -> Result<(), Undetermined> {
        let block_length = buffer.len() as u64;
        let mut solver = SourceBlockDecoder::new(self.block.number, &information.codec(), block_length);
        let Some(solved) = solver.decode(self.packets(information.symbol_size(), buffer)) else {
            self.unsolvable_with = Some(self.received());
            return Err(Undetermined);
        };
        for (esi, has) in (0..).zip(&self.has_source) {
            if !has {
                copy_symbol(esi, symbol(esi, information.symbol_size(), &solved), buffer);
            }
        }
        self.complete = true;
        self.repair.clear();
        Ok(())
    }

    /// What was received, as the solver takes it.
    fn packets<'a>(
        &'a self,
        symbol_size: usize,
        buffer: &'a [u8],
    ) -> impl Iterator<Item = EncodingPacket> + 'a {
        let number = self.block.number;
        let packet = move |(esi, bytes): (u32, &[u8])| {
            let id = PayloadId::new(number, esi).ok()?;
            Some(EncodingPacket::new(id.codec(), bytes.to_vec()))
        };
        let present = (0..).zip(&self.has_source).filter(|(_, has)| **has);
        let source = present.map(move |(esi, _)| (esi, symbol(esi, symbol_size, buffer)));
        let repair = self.repair.iter().map(|(esi, bytes)| (*esi, bytes.as_slice()));
        source.chain(repair).filter_map(packet)
    }
}

/// The source symbol `esi` within its block's bytes.
fn symbol(esi: u32, symbol_size: usize, block: &[u8]) -> &[u8] {
    let start = esi as usize * symbol_size;
    &block[start..start + symbol_size]
}

fn copy_symbol(esi: u32, bytes: &[u8], buffer: &mut [u8]) {
    let start = esi as usize * bytes.len();
    buffer[start..start + bytes.len()].copy_from_slice(bytes);
}
