//! Binary fuse filters: which names a node has, in about nine bits each, wrong once in 256 times, and only by saying yes.
//!
//! Source: Graf, Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters" (2022, arXiv 2201.01174): three places
//! of one byte for each key, in neighbouring segments, whose exclusive or is the key's fingerprint.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::item::{ItemKey, mixed};
use crate::random::Entropy;

/// Bytes before the fingerprints: seed, length of a segment, how many segments.
const HEADER_BYTES: usize = 13;

/// The longest segment, as a power of two: that of the paper.
const MAX_EXPONENT: u8 = 18;

/// From how many keys on a segment is twice as long, beginning with four places. Source: the paper's
/// ⌊ln n / ln 3.33 + 2.25⌋, so that everybody computes with whole numbers.
const LONGER_FROM: [usize; 9] = [3, 9, 28, 91, 304, 1_010, 3_362, 11_196, 37_280];

/// Tries before a set is given up: one in a hundred fails, so this never happens by chance.
const MAX_TRIES: usize = 100;

/// A filter over a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    seed: u64,
    /// A segment has two to this many places.
    exponent: u8,
    /// Segments in which the first place of a key may be; two more follow.
    segments: u32,
    fingerprints: Vec<u8>,
}

/// The bytes are no filter: their length is not what their header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedFilter;

impl Filter {
    /// A filter over `keys`, each of which is there once. `None` if no seed was good for them, which keys that are
    /// distinct do not make likely, or there is none of them.
    //= docs/spec/sketches.md#filters
    pub fn new(keys: &[ItemKey], entropy: &mut Entropy) -> Option<Self> {
        (0..MAX_TRIES).find_map(|_| Self::seeded(keys, u64::from_le_bytes(entropy.bytes())))
    }

    /// The filter of a seed, if it is good for the keys.
    pub fn seeded(keys: &[ItemKey], seed: u64) -> Option<Self> {
        if keys.is_empty() {
            return None;
        }
        let (exponent, segments) = shape(keys.len())?;
        let mut filter = Self { seed, exponent, segments, fingerprints: Vec::new() };
        filter.fingerprints = vec![0; filter.places()?];
        // From the last to the first: each sets a place that those before it do not have.
        for (hash, own) in filter.peel(keys)?.into_iter().rev() {
            let places = filter.places_of(hash);
            let [a, b, c] = places.map(|place| filter.fingerprints.get(place).copied().unwrap_or(0));
            let own_place = places[own];
            // Its own is zero still, so all three may be summed.
            if let Some(place) = filter.fingerprints.get_mut(own_place) {
                *place = fingerprint(hash) ^ a ^ b ^ c;
            }
        }
        Some(filter)
    }

    /// Whether the key may be in the set. If this is false, it is not.
    //= docs/spec/sketches.md#filters
    pub fn contains(&self, key: ItemKey) -> bool {
        let hash = self.hash(key);
        let [a, b, c] = self.places_of(hash).map(|place| self.fingerprints.get(place).copied());
        let sum = a.zip(b).zip(c).map(|((a, b), c)| a ^ b ^ c);
        sum == Some(fingerprint(hash))
    }

    /// The filter's bytes.
    //= docs/spec/sketches.md#filters
    pub fn to_bytes(&self) -> Vec<u8> {
        let (seed, segments) = (self.seed.to_le_bytes(), self.segments.to_le_bytes());
        [&seed[..], &[self.exponent], &segments, &self.fingerprints].concat()
    }

    /// The filter that `bytes` are.
    ///
    /// # Errors
    /// [`MalformedFilter`].
    //= docs/spec/sketches.md#filters
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedFilter> {
        let (header, fingerprints) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(MalformedFilter)?;
        let [a, b, c, d, e, f, g, h, exponent, segments @ ..] = *header;
        let (seed, segments) = (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes(segments));
        let filter = Self { seed, exponent, segments, fingerprints: fingerprints.to_vec() };
        let sound = exponent <= MAX_EXPONENT && segments > 0;
        if sound && filter.places() == Some(fingerprints.len()) { Ok(filter) } else { Err(MalformedFilter) }
    }

    /// Length in memory, in bytes.
    pub fn size(&self) -> usize {
        self.fingerprints.len()
    }

    fn places(&self) -> Option<usize> {
        let segments = usize::try_from(self.segments).ok()?.checked_add(2)?;
        segments.checked_mul(1 << self.exponent)
    }

    fn hash(&self, key: ItemKey) -> u64 {
        mixed(key.0.wrapping_add(self.seed))
    }

    /// The three places of a key, each in a segment of its own.
    fn places_of(&self, hash: u64) -> [usize; 3] {
        let length = 1_u64 << self.exponent;
        let first = (u128::from(hash) * u128::from(u64::from(self.segments) * length)) >> 64;
        let first = first as u64;
        let within = length - 1;
        let second = (first + length) ^ ((hash >> 18) & within);
        let third = (first + 2 * length) ^ (hash & within);
        // All lie below 2^52: 2^32 segments of 2^18 places.
        [first, second, third].map(|place| usize::try_from(place).unwrap_or(usize::MAX))
    }

    /// The hashes of the keys, each with which of its places is no place of any after it.
    fn peel(&self, keys: &[ItemKey]) -> Option<Vec<(u64, usize)>> {
        let mut places = vec![(0_u32, 0_u64); self.places()?];
        for key in keys {
            let hash = self.hash(*key);
            for place in self.places_of(hash) {
                let (count, sum) = places.get_mut(place)?;
                (*count, *sum) = (*count + 1, *sum ^ hash);
            }
        }
        let single = |(place, (count, _)): (usize, &(u32, u64))| (*count == 1).then_some(place);
        let mut waiting: Vec<usize> = places.iter().enumerate().filter_map(single).collect();
        let mut order = Vec::with_capacity(keys.len());
        while let Some(place) = waiting.pop() {
            let Some((1, hash)) = places.get(place).copied() else { continue };
            let own = self.places_of(hash);
            order.push((hash, own.iter().position(|it| *it == place)?));
            for place in own {
                let (count, sum) = places.get_mut(place)?;
                (*count, *sum) = (*count - 1, *sum ^ hash);
                if *count == 1 {
                    waiting.push(place);
                }
            }
        }
        (order.len() == keys.len()).then_some(order)
    }
}

/// How long a segment is, as a power of two, and how many there are for so many keys, the last two left out.
//= docs/spec/sketches.md#filters
fn shape(keys: usize) -> Option<(u8, u32)> {
    let exponent = 2 + LONGER_FROM.iter().filter(|from| keys >= **from).count();
    // 7/8 n + ln(10^6)/4 · n / ln n, with log2 n in whole numbers: at least 9/8 n.
    let log = usize::try_from(keys.checked_ilog2()?.max(1)).ok()?;
    let more = keys.checked_mul(4_983)? / (1_000 * log);
    let capacity = (keys.checked_mul(7)? / 8 + more).max(keys.checked_mul(9)?.div_ceil(8));
    let segments = capacity.div_ceil(1 << exponent).saturating_sub(2).max(1);
    Some((u8::try_from(exponent).ok()?, u32::try_from(segments).ok()?))
}

fn fingerprint(hash: u64) -> u8 {
    (hash ^ (hash >> 32)) as u8
}

impl fmt::Display for MalformedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter is as long as its header says")
    }
}

impl core::error::Error for MalformedFilter {}
