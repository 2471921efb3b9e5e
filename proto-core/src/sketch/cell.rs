//! One cell: sums over the keys that belong to it.

use super::item::ItemKey;

/// Length of a cell, in bytes.
pub const CELL_BYTES: usize = 12;

/// The sums of the keys of a cell, and how many there are (modulo 256, which is enough to tell one from none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    key: u64,
    check: u32,
    count: u8,
}

/// Which of two sets a key is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Where the cells come from.
    There,
    /// Where they are read.
    Here,
}

impl Cell {
    /// The cell's bytes.
    //= docs/spec/sketches.md#cells
    pub fn to_bytes(self) -> [u8; CELL_BYTES] {
        let mut bytes = [0; CELL_BYTES];
        bytes[..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..11].copy_from_slice(&self.check.to_le_bytes()[..3]);
        bytes[11] = self.count;
        bytes
    }

    /// The cell that `bytes` stand for; every value is one.
    //= docs/spec/sketches.md#cells
    pub fn from_bytes(bytes: &[u8; CELL_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, check @ .., count] = *bytes;
        let [x, y, z] = check;
        Self {
            key: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            check: u32::from_le_bytes([x, y, z, 0]),
            count,
        }
    }

    pub(super) fn add(&mut self, key: ItemKey, check: u32) {
        self.key ^= key.0;
        self.check ^= check;
        self.count = self.count.wrapping_add(1);
    }

    pub(super) fn remove(&mut self, key: ItemKey, check: u32) {
        self.key ^= key.0;
        self.check ^= check;
        self.count = self.count.wrapping_sub(1);
    }

    /// What is in `self` and not in `other`, less what is in `other` and not in `self`.
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            key: self.key ^ other.key,
            check: self.check ^ other.check,
            count: self.count.wrapping_sub(other.count),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The one key that the cell holds, if it holds one.
    pub(super) fn single(&self) -> Option<(ItemKey, Side)> {
        let side = match self.count {
            1 => Side::There,
            255 => Side::Here,
            _ => return None,
        };
        let key = ItemKey(self.key);
        (key.check() == self.check).then_some((key, side))
    }
}
