//! How many names two sets differ in, roughly, from 512 bytes: so that a reader asks for about as many cells as it needs.
//!
//! Source: Alon, Matias, Szegedy, "The space complexity of approximating the frequency moments" (1996). Of 256 counters,
//! each adds one for half of the keys and takes one away for the others; the squares of what two sets' counters differ
//! by are the size of the difference on average, and their mean is off by a twelfth or less two times of three.

use super::item::{ItemKey, mixed};

/// Length of an estimator, in bytes.
pub const ESTIMATOR_BYTES: usize = 2 * COUNTERS;

const COUNTERS: usize = 256;

/// `sign  v1`: sets the signs apart from walks and checks.
const SIGN: u64 = 0x7369_676e_2020_7631;

/// The counters of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimator([u16; COUNTERS]);

impl Default for Estimator {
    fn default() -> Self {
        Self([0; COUNTERS])
    }
}

impl Estimator {
    /// Adds a key to the set.
    //= docs/spec/sketches.md#estimators
    pub fn add(&mut self, key: ItemKey) {
        for (word, counters) in (0_u64..).zip(self.0.as_chunks_mut::<64>().0) {
            let signs = mixed(key.0 ^ SIGN.wrapping_add(word));
            for (bit, counter) in counters.iter_mut().enumerate() {
                // 1 or -1, without a branch, which would be taken half of the time.
                let sign = ((signs >> bit) as u16 & 1).wrapping_mul(2).wrapping_sub(1);
                *counter = counter.wrapping_add(sign);
            }
        }
    }

    /// About how many keys are in one of the two sets only.
    //= docs/spec/sketches.md#estimators
    pub fn difference(&self, other: &Self) -> u64 {
        let squares = self.0.iter().zip(&other.0).map(|(one, other)| {
            let apart = i64::from(one.wrapping_sub(*other).cast_signed());
            (apart * apart).unsigned_abs()
        });
        squares.sum::<u64>().div_ceil(COUNTERS as u64)
    }

    /// The counters as bytes.
    //= docs/spec/sketches.md#estimators
    pub fn to_bytes(&self) -> [u8; ESTIMATOR_BYTES] {
        let mut bytes = [0; ESTIMATOR_BYTES];
        for (pair, counter) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = counter.to_le_bytes();
        }
        bytes
    }

    /// The counters that `bytes` stand for; every value is one.
    //= docs/spec/sketches.md#estimators
    pub fn from_bytes(bytes: &[u8; ESTIMATOR_BYTES]) -> Self {
        let mut counters = [0; COUNTERS];
        for (counter, pair) in counters.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *counter = u16::from_le_bytes(*pair);
        }
        Self(counters)
    }
}
