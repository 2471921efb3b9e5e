//! How well an object is kept: what of it is there, how often, and what the loss of one node would cost.
//!
//! Spec: docs/spec/storage.md. Values only. An object is there as long as every block of it has as many *distinct*
//! symbols as it has source symbols; copies of one symbol add nothing to that, and are counted apart.

mod symbols;
#[cfg(test)]
mod tests;

pub use symbols::SymbolSet;

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::symbol::{Block, TransmissionInformation};

/// All, in basis points: as many symbols as there are source symbols, or everything of something.
pub const FULL_BPS: u32 = 10_000;

/// What one node has of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it: it counts as the source symbols, and any other symbol can be made from it.
    Whole,
    /// These symbols.
    Symbols(SymbolSet),
}

/// How well an object is kept. Of several blocks, the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Distinct symbols for each source symbol, in basis points, rounded down.
    pub distinct_bps: u32,
    /// Copies of symbols for each source symbol, in basis points, rounded down.
    pub copies_bps: u32,
    /// The largest part of the distinct symbols that one node alone has, in basis points, rounded up.
    pub concentration_bps: u32,
    /// Symbols that are lacking until every block has as many as source symbols.
    pub lacking: u32,
    /// Whether it stays so without any one of the nodes.
    pub survives_a_loss: bool,
}

/// The symbols of one block among several nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockCount {
    /// Symbols that somebody has.
    pub distinct: u32,
    /// Symbols that nodes have, each as often as it is there.
    pub copies: u64,
    /// Symbols that nobody but one has, for each node, in the order in which they were given.
    pub exclusive: Vec<u32>,
}

impl Share {
    /// The symbols that it counts as.
    pub fn symbols(&self, information: TransmissionInformation) -> Cow<'_, SymbolSet> {
        match self {
            Self::Whole => Cow::Owned(SymbolSet::sources(information)),
            Self::Symbols(symbols) => Cow::Borrowed(symbols),
        }
    }

    /// Symbols that it lacks to rebuild the object.
    pub fn lacking(&self, information: TransmissionInformation) -> u32 {
        match self {
            Self::Whole => 0,
            Self::Symbols(symbols) => {
                let blocks = information.blocks();
                let lacks = |block: Block| {
                    u32::from(block.source_symbols).saturating_sub(symbols.in_block(block.number))
                };
                blocks.map(lacks).sum()
            }
        }
    }
}

impl Coverage {
    /// What `shares`, each of another node, come to.
    //= docs/spec/storage.md#coverage
    pub fn of<'a>(information: TransmissionInformation, shares: impl IntoIterator<Item = &'a Share>) -> Self {
        let shares: Vec<_> = shares.into_iter().map(|share| share.symbols(information)).collect();
        let blocks = information.blocks().map(|block| (block, BlockCount::of(block.number, &shares)));
        blocks.fold(Self::BEST, |coverage, (block, count)| coverage.with(block, &count))
    }

    /// Whether the object can be rebuilt.
    pub const fn is_there(&self) -> bool {
        self.lacking == 0
    }

    const BEST: Self = Self {
        distinct_bps: u32::MAX,
        copies_bps: u32::MAX,
        concentration_bps: 0,
        lacking: 0,
        survives_a_loss: true,
    };

    fn with(self, block: Block, count: &BlockCount) -> Self {
        let sources = u32::from(block.source_symbols);
        Self {
            distinct_bps: self.distinct_bps.min(bps(count.distinct.into(), sources)),
            copies_bps: self.copies_bps.min(bps(count.copies, sources)),
            concentration_bps: self.concentration_bps.max(count.concentration_bps()),
            lacking: self.lacking.saturating_add(sources.saturating_sub(count.distinct)),
            survives_a_loss: self.survives_a_loss && count.survives_a_loss(sources),
        }
    }
}

impl BlockCount {
    /// Counts the symbols of `block` that each of several nodes has.
    pub fn of(block: u8, shares: &[Cow<'_, SymbolSet>]) -> Self {
        let mut edges = Vec::new();
        for (node, share) in shares.iter().enumerate() {
            for run in share.runs_of(block) {
                edges.push((u64::from(run.first), Edge::Begins, node));
                edges.push((u64::from(run.last) + 1, Edge::Ends, node));
            }
        }
        edges.sort_unstable();
        let mut count = Self { exclusive: vec![0; shares.len()], ..Self::default() };
        // Who has what lies before the next edge: their number, and the sum of their numbers, which is the name of the
        // only one if there is one.
        let (mut at, mut holders, mut names) = (0, 0_u64, 0_usize);
        for (edge, kind, node) in edges {
            let length = u32::try_from(edge - at).unwrap_or(u32::MAX);
            count.add(length, holders, names);
            at = edge;
            (holders, names) = match kind {
                Edge::Begins => (holders + 1, names + node),
                Edge::Ends => (holders - 1, names - node),
            };
        }
        count
    }

    /// The largest part that one node alone has, in basis points, rounded up.
    pub fn concentration_bps(&self) -> u32 {
        let parts =
            (u64::from(self.most_alone()) * u64::from(FULL_BPS)).div_ceil(u64::from(self.distinct.max(1)));
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    /// Whether `sources` symbols are left without any one of the nodes.
    pub fn survives_a_loss(&self, sources: u32) -> bool {
        self.distinct.saturating_sub(self.most_alone()) >= sources
    }

    fn most_alone(&self) -> u32 {
        self.exclusive.iter().copied().max().unwrap_or(0)
    }

    fn add(&mut self, length: u32, holders: u64, names: usize) {
        if holders == 0 {
            return;
        }
        self.distinct = self.distinct.saturating_add(length);
        self.copies = self.copies.saturating_add(u64::from(length).saturating_mul(holders));
        if holders == 1
            && let Some(only) = self.exclusive.get_mut(names)
        {
            *only = only.saturating_add(length);
        }
    }
}

/// Where a run begins or ends; at one place, ends come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Ends,
    Begins,
}

/// `part` for each of `whole`, in basis points, rounded down.
pub(crate) fn bps(part: u64, whole: u32) -> u32 {
    let parts = part.saturating_mul(FULL_BPS.into()) / u64::from(whole.max(1));
    u32::try_from(parts).unwrap_or(u32::MAX)
}

/// The fewest symbols that are `target_bps` of `sources`: rounded up, because one too few is too few.
//= docs/spec/storage.md#coverage
pub fn symbols_for(target_bps: u32, sources: u16) -> u32 {
    let symbols = (u64::from(target_bps) * u64::from(sources)).div_ceil(FULL_BPS.into());
    u32::try_from(symbols).unwrap_or(u32::MAX)
}
