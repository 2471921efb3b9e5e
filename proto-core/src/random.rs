//! Entropy as an argument: a seeded generator that drivers fill and machines own.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

/// A deterministic ChaCha20 generator.
///
/// A driver seeds it with fresh operating-system entropy at each start; a simulation with a number, so that the
/// same number replays the same bytes. `Debug` shows no state.
pub struct Entropy(ChaCha20Rng);

impl Entropy {
    /// A generator from 32 bytes of entropy.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(ChaCha20Rng::from_seed(**seed))
    }

    /// A generator for a part of this machine, independent of what the parent yields next.
    pub fn derive(&mut self) -> Self {
        Self::from_seed(&Zeroizing::new(self.bytes()))
    }

    /// Fills `buffer` with the next bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill_bytes(buffer);
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`, without bias; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Draws at or above the largest multiple of `bound` are refused, so every residue is equally likely.
        let zone = u64::MAX - u64::MAX % bound;
        loop {
            let draw = u64::from_le_bytes(self.bytes());
            if draw < zone {
                return draw % bound;
            }
        }
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_and_children_differ_from_parents() {
        let seed = Zeroizing::new([7; 32]);
        let (mut a, mut b) = (Entropy::from_seed(&seed), Entropy::from_seed(&seed));
        assert_eq!(a.bytes::<40>(), b.bytes::<40>());
        let mut child = a.derive();
        assert_ne!(child.bytes::<32>(), a.bytes::<32>());
    }

    #[test]
    fn bounded_draws_stay_below_their_bound() {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([1; 32]));
        assert_eq!(entropy.below(0), 0);
        assert!((0..1_000).all(|_| entropy.below(3) < 3));
    }
}
