//! Sets of symbols, as runs: what is dealt out is mostly contiguous, and an index of many objects must be small.

use alloc::collections::BTreeMap;

use fcp_proto_core::symbol::{PayloadId, TransmissionInformation};

/// The last encoding symbol id of a block.
const LAST_ESI: u32 = (1 << 24) - 1;

/// Distinct symbols of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolSet {
    /// The last symbol of each run by its first, as the numbers that stand for them. Runs are apart, and none spans two
    /// blocks.
    runs: BTreeMap<u32, u32>,
}

/// Symbols of one block that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl SymbolSet {
    /// The source symbols of an object: what a node that has it whole can give at once.
    pub fn sources(information: TransmissionInformation) -> Self {
        let mut set = Self::default();
        for block in information.blocks().filter(|block| block.source_symbols > 0) {
            let first = u32::from(block.number) << 24;
            set.runs.insert(first, first + u32::from(block.source_symbols) - 1);
        }
        set
    }

    /// Adds a symbol.
    pub fn insert(&mut self, id: PayloadId) {
        self.insert_run(Run { first: id.as_u32(), last: id.as_u32() });
    }

    /// Adds the symbols of another set.
    pub fn extend(&mut self, other: &Self) {
        for run in other.runs() {
            self.insert_run(run);
        }
    }

    /// Whether the symbol is in it.
    pub fn contains(&self, id: PayloadId) -> bool {
        self.run_before(id.as_u32()).is_some_and(|(_, end)| end >= id.as_u32())
    }

    /// How many symbols it has.
    pub fn len(&self) -> u64 {
        self.runs().map(|run| u64::from(run.last - run.first) + 1).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many runs it takes, which is its cost.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Its symbols of one block.
    pub fn in_block(&self, block: u8) -> u32 {
        self.runs_of(block).map(|run| run.last - run.first + 1).sum()
    }

    /// The first symbol of a block that is not in it; `None` if it has all.
    pub fn first_missing(&self, block: u8) -> Option<PayloadId> {
        let start = u32::from(block) << 24;
        let next = match self.runs.get(&start) {
            Some(end) => end.checked_add(1).filter(|next| block_of(*next) == u32::from(block))?,
            None => start,
        };
        Some(PayloadId::from_u32(next))
    }

    /// Its symbols in order. There may be very many.
    pub fn iter(&self) -> impl Iterator<Item = PayloadId> + '_ {
        self.runs().flat_map(|run| (run.first..=run.last).map(PayloadId::from_u32))
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(|(first, last)| Run { first: *first, last: *last })
    }

    pub(crate) fn runs_of(&self, block: u8) -> impl Iterator<Item = Run> + '_ {
        let first = u32::from(block) << 24;
        self.runs.range(first..=first + LAST_ESI).map(|(first, last)| Run { first: *first, last: *last })
    }

    fn run_before(&self, at: u32) -> Option<(u32, u32)> {
        self.runs.range(..=at).next_back().map(|(first, last)| (*first, *last))
    }

    fn insert_run(&mut self, run: Run) {
        let Run { mut first, mut last } = run;
        // One symbol further on, unless that is of the next block.
        let reach = last.checked_add(1).filter(|next| block_of(*next) == block_of(last)).unwrap_or(last);
        while let Some((start, end)) = self.run_before(reach.max(last)) {
            if block_of(start) != block_of(first) || end.saturating_add(1) < first {
                break;
            }
            self.runs.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.runs.insert(first, last);
    }
}

impl FromIterator<PayloadId> for SymbolSet {
    fn from_iter<I: IntoIterator<Item = PayloadId>>(symbols: I) -> Self {
        let mut set = Self::default();
        symbols.into_iter().for_each(|id| set.insert(id));
        set
    }
}

const fn block_of(number: u32) -> u32 {
    number >> 24
}
