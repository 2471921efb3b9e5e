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
}

impl Encoder {
    /// The set of these keys, each of which must be there once.
    pub fn new(keys: impl IntoIterator<Item = ItemKey>) -> Self {
        Self { items: keys.into_iter().map(|key| (key, key.check(), key.walk())).collect(), made: 0 }
    }

    /// How many cells were made.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The next `count` cells.
    //= docs/spec/sketches.md#mapping
    pub fn next_cells(&mut self, count: usize) -> Vec<Cell> {
        let (begin, end) = (self.made, self.made.saturating_add(count as u64));
        let mut cells = vec![Cell::default(); count];
        for (key, check, walk) in &mut self.items {
            while walk.cell() < end {
                // Below `end`, and never below `begin`, where the walk stopped last time.
                if let Some(cell) = cells.get_mut((walk.cell() - begin) as usize) {
                    cell.add(*key, *check);
                }
                walk.advance();
            }
        }
        self.made = end;
        cells
    }
}
