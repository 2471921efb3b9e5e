//! What a node has of a zone at one moment: folded bit by bit, then advertised and read by others.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::GossipSummary;
use fcp_proto_core::object::gossip::{
    MAX_SUMMARY_OBJECTS, MAX_SUMMARY_SYMBOLS, MIN_SKETCH_CELLS, Sketch, SymbolName,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::sketch::{CELL_BYTES, Cell, Encoder, Estimator, Filter, ItemKey, Salt};
use fcp_proto_core::time::Instant;

use super::{Context, FOLD, MESSAGE_CELLS};

/// A set of names, on the way to a digest and a filter over some of them.
#[derive(Debug)]
struct Names<N> {
    /// The last name that was folded.
    after: Option<N>,
    digest: Hasher,
    count: u64,
    /// Where the filter begins, and what is in it.
    from: Option<N>,
    filtered: Vec<ItemKey>,
    last_filtered: Option<N>,
}

impl<N: Copy + Ord> Names<N> {
    fn new(domain: &str, from: Option<N>) -> Self {
        let (digest, filtered) = (Hasher::new(domain), Vec::new());
        Self { after: None, digest, count: 0, from, filtered, last_filtered: None }
    }

    fn fold(&mut self, name: N, key: ItemKey, most: u32) {
        self.after = Some(name);
        self.count += 1;
        if Some(name) > self.from && self.filtered.len() < most as usize {
            self.filtered.push(key);
            self.last_filtered = Some(name);
        }
    }

    /// Where the next filter begins: behind this one, and from the first when all had their turn.
    fn next_from(&self) -> Option<N> {
        self.last_filtered.filter(|last| Some(*last) != self.after)
    }
}

/// A snapshot on the way.
#[derive(Debug)]
pub(super) struct Building {
    version: u64,
    salt: Salt,
    objects: Names<ObjectId>,
    symbols: Names<(ObjectId, u32)>,
    stage: Stage,
    estimator: Estimator,
    encoder: Encoder,
    by_key: BTreeMap<ItemKey, ObjectId>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Objects,
    Symbols,
    Cells,
}

/// Where the filters of a zone go on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursors {
    objects: Option<ObjectId>,
    symbols: Option<(ObjectId, u32)>,
}

impl Building {
    pub(super) fn new(version: u64, cursors: Cursors, entropy: &mut Entropy) -> Self {
        Self {
            version,
            salt: Salt::generate(entropy),
            objects: Names::new("FCP2-GOSSIP-OBJECTS-V1", cursors.objects),
            symbols: Names::new("FCP2-GOSSIP-SYMBOLS-V1", cursors.symbols),
            stage: Stage::Objects,
            estimator: Estimator::default(),
            encoder: Encoder::default(),
            by_key: BTreeMap::new(),
        }
    }

    /// Goes on by some names; the first cells, when that was the last thing missing.
    pub(super) fn step(&mut self, zone: &ZoneId, context: &Context<'_, '_>) -> Option<Vec<Cell>> {
        match self.stage {
            Stage::Objects => self.fold_objects(zone, context),
            Stage::Symbols => self.fold_symbols(zone, context),
            Stage::Cells => return self.encoder.work(MIN_SKETCH_CELLS, FOLD),
        }
        None
    }

    fn fold_objects(&mut self, zone: &ZoneId, context: &Context<'_, '_>) {
        let names = context.zones.objects(zone, self.objects.after.as_ref(), FOLD);
        if names.len() < FOLD {
            self.stage = Stage::Symbols;
        }
        for name in names {
            self.objects.digest.add(name.as_bytes());
            let key = self.salt.key(&name);
            self.objects.fold(name, key, MAX_SUMMARY_OBJECTS);
            // Of two names with one key, the second shows under another salt.
            if self.by_key.insert(key, name).is_none() {
                self.estimator.add(key);
                self.encoder.add(key);
            }
        }
    }

    fn fold_symbols(&mut self, zone: &ZoneId, context: &Context<'_, '_>) {
        let after = self.symbols.after.map(|(object_id, esi)| SymbolName { object_id, esi });
        let names = context.zones.symbols(zone, after.as_ref(), FOLD);
        if names.len() < FOLD {
            self.stage = Stage::Cells;
        }
        for SymbolName { object_id, esi } in names {
            self.symbols.digest.add(object_id.as_bytes());
            self.symbols.digest.add(&esi.to_le_bytes());
            let key = self.salt.symbol_key(&object_id, esi);
            self.symbols.fold((object_id, esi), key, MAX_SUMMARY_SYMBOLS);
        }
    }

    /// The snapshot, with its first cells.
    pub(super) fn finish(self, cells: Vec<Cell>, entropy: &mut Entropy, now: Instant) -> (Snapshot, Cursors) {
        let cursors = Cursors { objects: self.objects.next_from(), symbols: self.symbols.next_from() };
        let filter =
            |keys: &[ItemKey], entropy: &mut Entropy| Filter::new(keys, entropy).map(|it| it.to_bytes());
        let snapshot = Snapshot {
            version: self.version,
            salt: self.salt,
            made_at: now,
            read_at: None,
            total: self.objects.count,
            digest: self.objects.digest.finish(),
            symbol_digest: self.symbols.digest.finish(),
            filter: filter(&self.objects.filtered, entropy).map(|it| (it, self.objects.filtered.len())),
            symbol_filter: filter(&self.symbols.filtered, entropy)
                .map(|it| (it, self.symbols.filtered.len())),
            estimator: self.estimator,
            encoder: self.encoder,
            wanted: cells.len(),
            cells,
            by_key: self.by_key,
        };
        (snapshot, cursors)
    }
}

/// What a node has of a zone, as it is advertised and read.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The version of the set that it is of.
    pub(super) version: u64,
    /// What it is salted with, which is its name.
    pub(super) salt: Salt,
    /// When it was made.
    pub(super) made_at: Instant,
    /// When somebody last asked for something of it.
    pub(super) read_at: Option<Instant>,
    /// The digest of all names.
    pub(super) digest: [u8; 32],
    total: u64,
    symbol_digest: [u8; 32],
    filter: Option<(Vec<u8>, usize)>,
    symbol_filter: Option<(Vec<u8>, usize)>,
    estimator: Estimator,
    encoder: Encoder,
    /// How many cells somebody asked for.
    wanted: usize,
    cells: Vec<Cell>,
    by_key: BTreeMap<ItemKey, ObjectId>,
}

impl Snapshot {
    /// What it says to others.
    pub(super) fn summary(&self, zone: &ZoneId, context: &Context<'_, '_>) -> Option<GossipSummary> {
        let count = |filter: &Option<(Vec<u8>, usize)>| {
            u32::try_from(filter.as_ref().map_or(0, |(_, count)| *count)).unwrap_or(u32::MAX)
        };
        let bytes = |filter: &Option<(Vec<u8>, usize)>| {
            ByteString(filter.as_ref().map_or(Vec::new(), |(it, _)| it.clone()))
        };
        Some(GossipSummary {
            from: context.local.me.clone(),
            epoch: context.zones.epoch(zone),
            state_version: self.version,
            total: self.total,
            object_filter_digest: self.digest,
            object_filter: Bounded::new(bytes(&self.filter)).ok()?,
            symbol_filter_digest: self.symbol_digest,
            symbol_filter: Bounded::new(bytes(&self.symbol_filter)).ok()?,
            object_count: count(&self.filter),
            symbol_count: count(&self.symbol_filter),
            salt: *self.salt.as_bytes(),
            estimator: Box::new(self.estimator.to_bytes()),
            sketch: Sketch::new(ByteString(bytes_of(self.cells.get(..MIN_SKETCH_CELLS)?))).ok()?,
        })
    }

    /// Somebody wants this many cells.
    pub(super) fn want(&mut self, cells: usize, now: Instant) {
        self.wanted = self.wanted.max(cells);
        self.read_at = Some(now);
    }

    /// Whether cells are wanted that are not made yet.
    pub(super) fn has_work(&self) -> bool {
        self.cells.len() < self.wanted
    }

    /// Goes on with the cells that are wanted.
    pub(super) fn step(&mut self) {
        let count = (self.wanted - self.cells.len()).min(MESSAGE_CELLS);
        if let Some(cells) = self.encoder.work(count, FOLD) {
            self.cells.extend(cells);
        }
    }

    /// The cells from `from` to `to` or to the end of a message, once all of them are made.
    pub(super) fn cells(&self, from: usize, to: usize) -> Option<Vec<u8>> {
        self.cells.get(from..to.min(from.saturating_add(MESSAGE_CELLS))).map(bytes_of)
    }

    /// The name of a key.
    pub(super) fn name(&self, key: ItemKey) -> Option<ObjectId> {
        self.by_key.get(&key).copied()
    }
}

fn bytes_of(cells: &[Cell]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_bytes()).collect()
}

/// The cells that bytes stand for.
pub(super) fn cells_of(bytes: &[u8]) -> Vec<Cell> {
    bytes.as_chunks::<CELL_BYTES>().0.iter().map(Cell::from_bytes).collect()
}
