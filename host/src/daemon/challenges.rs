//! Challenges: random bytes that may be answered once, for a short time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fcp_proto_core::crypto::proof::Challenge;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Now, UnixTime};

/// How long a challenge can be answered, in seconds. Chosen: a person types a passphrase meanwhile.
pub(super) const LIFETIME_SECS: u64 = 120;

/// Most challenges that wait. The oldest gives way, so that whoever asks for many only loses its own.
const MAX_WAITING: usize = 4096;

/// All challenges that wait for an answer.
pub struct Challenges {
    state: Mutex<State>,
}

struct State {
    entropy: Entropy,
    waiting: BTreeMap<Challenge, UnixTime>,
}

impl Challenges {
    /// None yet.
    pub fn new(entropy: Entropy) -> Self {
        Self { state: Mutex::new(State { entropy, waiting: BTreeMap::new() }) }
    }

    /// A fresh one, and until when it can be answered.
    pub fn issue(&self, now: Now) -> (Challenge, UnixTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let expires_at = now.unix.saturating_add(LIFETIME_SECS);
        state.waiting.retain(|_, end| now.unix < *end);
        if state.waiting.len() >= MAX_WAITING {
            let oldest = state.waiting.iter().min_by_key(|(_, end)| **end).map(|(challenge, _)| *challenge);
            oldest.and_then(|challenge| state.waiting.remove(&challenge));
        }
        let challenge = state.entropy.bytes();
        state.waiting.insert(challenge, expires_at);
        (challenge, expires_at)
    }

    /// Uses a challenge up; whether it was issued here and can still be answered.
    #[must_use]
    pub fn spend(&self, challenge: &Challenge, now: Now) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(challenge).is_some_and(|end| now.unix < end)
    }
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges")
    }
}

#[cfg(test)]
mod tests {
    use fcp_proto_core::time::Instant;
    use zeroize::Zeroizing;

    use super::*;

    fn at(secs: u64) -> Now {
        Now { mono: Instant::from_nanos(secs), unix: UnixTime::from_secs(secs) }
    }

    #[test]
    fn a_challenge_serves_once_and_not_for_ever() {
        let challenges = Challenges::new(Entropy::from_seed(&Zeroizing::new([1; 32])));
        let (first, end) = challenges.issue(at(10));
        assert_eq!(end, UnixTime::from_secs(10 + LIFETIME_SECS));
        assert!(challenges.spend(&first, at(11)));
        assert!(!challenges.spend(&first, at(11)), "it was used");
        let (late, _) = challenges.issue(at(10));
        assert!(!challenges.spend(&late, at(10 + LIFETIME_SECS)), "its time is over");
        assert!(!challenges.spend(&[7; 32], at(10)), "nobody issued it");
    }

    #[test]
    fn the_oldest_gives_way_when_too_many_wait() {
        let challenges = Challenges::new(Entropy::from_seed(&Zeroizing::new([1; 32])));
        let (first, _) = challenges.issue(at(1));
        for _ in 0..MAX_WAITING {
            challenges.issue(at(2));
        }
        assert!(!challenges.spend(&first, at(2)));
    }
}
