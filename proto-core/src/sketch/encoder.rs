//! Cells of a set, one after the other, as many as somebody wants.

use alloc::vec;
use alloc::vec::Vec;

use super::cell::Cell;
use super::item::{ItemKey, Walk};

/// A set, and how far its cells were made.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    items: Vec<(ItemKey, u32, Walk)>,
    made: u64,
    /// Cells under way, and how many keys are in them.
    batch: Vec<Cell>,
    folded: usize,
}

impl Encoder {
    /// The set of these keys, each of which must be there once.
    pub fn new(keys: impl IntoIterator<Item = ItemKey>) -> Self {
        let mut set = Self::default();
        keys.into_iter().for_each(|key| set.add(key));
        set
    }

    /// Adds a key that is not there yet. No cells must have been made, since they would lack it.
    pub fn add(&mut self, key: ItemKey) {
        debug_assert!(self.made == 0 && self.batch.is_empty(), "cells were made without the key");
        self.items.push((key, key.check(), key.walk()));
    }

    /// How many cells were made.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The next `count` cells.
    pub fn next_cells(&mut self, count: usize) -> Vec<Cell> {
        self.work(count, usize::MAX).unwrap_or_default()
    }

    /// Goes on with the next `count` cells by at most `keys` keys; the cells, once all keys are in them. The same `count`
    /// is to be given until then.
    //= docs/spec/sketches.md#mapping
    pub fn work(&mut self, count: usize, keys: usize) -> Option<Vec<Cell>> {
        if self.batch.is_empty() {
            self.batch = vec![Cell::default(); count];
        }
        let (begin, end) = (self.made, self.made.saturating_add(self.batch.len() as u64));
        let until = self.folded.saturating_add(keys).min(self.items.len());
        for (key, check, walk) in &mut self.items[self.folded..until] {
            while walk.cell() < end {
                // Below `end`, and never below `begin`, where the walk stopped last time.
                if let Some(cell) = self.batch.get_mut((walk.cell() - begin) as usize) {
                    cell.add(*key, *check);
                }
                walk.advance();
            }
        }
        self.folded = until;
        (until == self.items.len()).then(|| {
            (self.made, self.folded) = (end, 0);
            core::mem::take(&mut self.batch)
        })
    }
}
