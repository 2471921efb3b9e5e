//! Challenges: random bytes that may be answered once, for a short time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fcp_proto_core::crypto::proof::Challenge;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Now, UnixTime};

use super::origin::Origin;

/// How long a challenge can be answered, in seconds. Chosen: a person types a passphrase meanwhile.
pub(super) const LIFETIME_SECS: u64 = 120;

/// Most challenges that wait. Then one of whoever has the most gives way.
const MAX_WAITING: usize = 4096;

/// Most of one origin that wait. Its own oldest gives way, so that whoever asks for many loses none but its own. Chosen:
/// above what one process answers at once, below what would crowd others out.
const MAX_OF_ONE: usize = 128;

/// All challenges that wait for an answer.
pub struct Challenges {
    state: Mutex<State>,
}

struct State {
    entropy: Entropy,
    waiting: BTreeMap<Challenge, Issued>,
    issued: u64,
}

/// A challenge that waits.
struct Issued {
    origin: Origin,
    /// Its place in the order of issue.
    number: u64,
    end: UnixTime,
}

impl Challenges {
    /// None yet.
    pub fn new(entropy: Entropy) -> Self {
        Self { state: Mutex::new(State { entropy, waiting: BTreeMap::new(), issued: 0 }) }
    }

    /// A fresh one for `origin`, and until when it can be answered.
    //= docs/spec/sessions.md#the-connections-binding
    pub fn issue(&self, origin: Origin, now: Now) -> (Challenge, UnixTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = now.unix.saturating_add(LIFETIME_SECS);
        state.waiting.retain(|_, issued| now.unix < issued.end);
        state.make_room(origin);
        let challenge = state.entropy.bytes();
        state.issued += 1;
        let number = state.issued;
        state.waiting.insert(challenge, Issued { origin, number, end });
        (challenge, end)
    }

    /// Uses a challenge up; whether it was issued here and can still be answered.
    #[must_use]
    pub fn spend(&self, challenge: &Challenge, now: Now) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(challenge).is_some_and(|issued| now.unix < issued.end)
    }
}

impl State {
    /// Makes room for one more of `origin`.
    fn make_room(&mut self, origin: Origin) {
        let mut counts = BTreeMap::<Origin, usize>::new();
        for issued in self.waiting.values() {
            *counts.entry(issued.origin).or_default() += 1;
        }
        let crowded = if counts.get(&origin).is_some_and(|count| *count >= MAX_OF_ONE) {
            Some(origin)
        } else if self.waiting.len() >= MAX_WAITING {
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(origin, _)| origin)
        } else {
            None
        };
        let theirs = self.waiting.iter().filter(|(_, issued)| Some(issued.origin) == crowded);
        let oldest = theirs.min_by_key(|(_, issued)| issued.number).map(|(challenge, _)| *challenge);
        oldest.and_then(|challenge| self.waiting.remove(&challenge));
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

    //= docs/spec/keys.md#proofs-of-possession
    //= docs/spec/sessions.md#opening
    #[test]
    fn a_challenge_serves_once_and_not_for_ever() {
        let challenges = Challenges::new(Entropy::from_seed(&Zeroizing::new([1; 32])));
        let (first, end) = challenges.issue(Origin::Tcp, at(10));
        assert_eq!(end, UnixTime::from_secs(10 + LIFETIME_SECS));
        assert!(challenges.spend(&first, at(11)));
        assert!(!challenges.spend(&first, at(11)), "it was used");
        let (late, _) = challenges.issue(Origin::Tcp, at(10));
        assert!(!challenges.spend(&late, at(10 + LIFETIME_SECS)), "its time is over");
        assert!(!challenges.spend(&[7; 32], at(10)), "nobody issued it");
    }

    fn process(pid: i32) -> Origin {
        Origin::Process { uid: 1000, pid: Some(pid) }
    }

    //= docs/spec/sessions.md#the-connections-binding
    #[test]
    fn whoever_asks_for_many_loses_its_own_oldest_and_nobody_elses() {
        let challenges = Challenges::new(Entropy::from_seed(&Zeroizing::new([1; 32])));
        let (other, _) = challenges.issue(process(1), at(1));
        let (first, _) = challenges.issue(process(2), at(1));
        for _ in 0..MAX_OF_ONE {
            challenges.issue(process(2), at(1));
        }
        assert!(!challenges.spend(&first, at(2)));
        assert!(challenges.spend(&other, at(2)));
    }

    //= docs/spec/sessions.md#the-connections-binding
    #[test]
    fn many_processes_together_do_not_take_the_last_one_of_another() {
        let challenges = Challenges::new(Entropy::from_seed(&Zeroizing::new([1; 32])));
        let (other, _) = challenges.issue(process(0), at(1));
        for asked in 0..2 * MAX_WAITING {
            challenges.issue(process(1 + i32::try_from(asked / 64).unwrap()), at(1));
        }
        assert_eq!(challenges.state.lock().unwrap().waiting.len(), MAX_WAITING);
        assert!(challenges.spend(&other, at(2)));
    }
}
