//! Names as salted keys, and the cells that a key belongs to.

use core::fmt;

use crate::crypto::hash::Hasher;
use crate::ids::ObjectId;
use crate::random::Entropy;

/// What names are folded with; both sides of an exchange use the same, and another one for another try.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// The salt made of `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh salt.
    pub fn generate(entropy: &mut Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// The salt's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that stands for a name.
    //= docs/spec/sketches.md#keys
    pub fn key(&self, name: &ObjectId) -> ItemKey {
        first(Hasher::keyed(&self.0, "FCP2-SKETCH-KEY-V1").with(name.as_bytes()))
    }

    /// The key that stands for a symbol of an object.
    //= docs/spec/sketches.md#keys
    pub fn symbol_key(&self, object: &ObjectId, esi: u32) -> ItemKey {
        let name = Hasher::keyed(&self.0, "FCP2-SKETCH-SYMBOL-V1").with(object.as_bytes());
        first(name.with(&esi.to_le_bytes()))
    }
}

/// The first eight bytes of a hash.
fn first(hasher: Hasher) -> ItemKey {
    let mut key = [0; 8];
    key.copy_from_slice(&hasher.finish()[..8]);
    ItemKey(u64::from_le_bytes(key))
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// What stands for a name in a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(pub u64);

impl ItemKey {
    /// Three bytes that tell the sum of one key from that of several.
    //= docs/spec/sketches.md#cells
    pub(super) fn check(self) -> u32 {
        (mixed(self.0 ^ CHECK) >> 40) as u32
    }

    /// The cells that the key belongs to, in order; the first is always cell 0.
    pub(super) fn walk(self) -> Walk {
        Walk { state: self.0 ^ WALK, cell: 0 }
    }
}

/// Sets the check apart from the walk.
const CHECK: u64 = 0x6368_6563_6b20_7631;
const WALK: u64 = 0x7761_6c6b_2020_7631;

/// The cells that one key belongs to: the i-th with a probability of 1 / (1 + i / 2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    state: u64,
    cell: u64,
}

impl Walk {
    /// The next cell of the key.
    pub(super) fn cell(&self) -> u64 {
        self.cell
    }

    /// Goes on to the one after.
    ///
    /// With u uniform in (0, 1], the distance to the next cell is ⌈(i + 3/2)(1/√u − 1)⌉, and at least 1; u is a 64-bit
    /// number over 2^64, whose root is taken of whole numbers so that every machine walks alike.
    //= docs/spec/sketches.md#mapping
    pub(super) fn advance(&mut self) {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let root = u128::from(mixed(self.state).isqrt().max(1));
        let twice = 2 * u128::from(self.cell) + 3;
        let distance = (twice * ((1 << 32) - root)).div_ceil(2 * root).max(1);
        self.cell = self.cell.saturating_add(u64::try_from(distance).unwrap_or(u64::MAX));
    }
}

/// The finalizer of SplitMix64.
pub(super) fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
