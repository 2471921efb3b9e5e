//! Encoding plans, kept for the block sizes in use.

use alloc::collections::BTreeMap;

use raptorq::SourceBlockEncodingPlan;

/// Plans kept unless said otherwise. Chosen: a sender of chunks needs the sizes of whole chunks, of the last one, and of
/// a few small objects; the plan of a full block takes about 1 MiB.
const DEFAULT_CAPACITY: usize = 8;

/// A bounded cache of encoding plans, one for each number of source symbols, the least recently used leaving first.
///
/// To find a plan takes longer than to use it, and it depends on nothing but the number of source symbols.
#[derive(Clone, Debug)]
pub struct Plans {
    capacity: usize,
    uses: u64,
    held: BTreeMap<u16, Held>,
}

#[derive(Clone, Debug)]
struct Held {
    plan: SourceBlockEncodingPlan,
    last_use: u64,
}

impl Default for Plans {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl Plans {
    /// A cache of at most `capacity` plans; at least one.
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, uses: 0, held: BTreeMap::new() }
    }

    /// The block sizes whose plans are kept.
    pub fn block_sizes(&self) -> impl Iterator<Item = u16> {
        self.held.keys().copied()
    }

    /// The plan for blocks of `source_symbols`, which are the size of a [`Block`](super::Block) and so in range.
    pub(super) fn plan(&mut self, source_symbols: u16) -> &SourceBlockEncodingPlan {
        self.uses = self.uses.saturating_add(1);
        if !self.held.contains_key(&source_symbols) && self.held.len() >= self.capacity.max(1) {
            self.forget_oldest();
        }
        // The codec reserves more for the plan than it needs, and a clone has just what it needs.
        let generate =
            || Held { plan: SourceBlockEncodingPlan::generate(source_symbols).clone(), last_use: 0 };
        let held = self.held.entry(source_symbols).or_insert_with(generate);
        held.last_use = self.uses;
        &held.plan
    }

    fn forget_oldest(&mut self) {
        let oldest = self.held.iter().min_by_key(|(_, held)| held.last_use).map(|(size, _)| *size);
        if let Some(size) = oldest {
            self.held.remove(&size);
        }
    }
}
