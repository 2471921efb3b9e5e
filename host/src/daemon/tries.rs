//! Tries at passphrases: how long the next one waits, and how many are stretched at once.
//!
//! Whoever fails waits longer each time, and only it does. Processes are cheap, so failures of all together slow
//! everybody down too, but by a second and no more: the owner's try is late, never locked out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::time::{Instant, Now};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::origin::Origin;

/// Most passphrases that are stretched at once, each in as much memory as its key file says. Chosen: one that waits
/// for the other, and 128 MiB with the recommended cost.
const AT_ONCE: usize = 2;

/// Most tries that wait for their turn or are stretched. Chosen: seconds of waiting with the recommended cost.
const MOST_WAITING: usize = 8;

/// Failures of all together since the last success, or since all was quiet, from which on every try is slowed down.
const MANY: u32 = 10;

/// By how much it is. Chosen: a person hardly sees it; a guesser makes two tries a second at most.
const SLOWED_BY: Duration = Duration::from_secs(1);

/// How long a failure is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Most failures that are remembered. The one that is free to try again the longest is forgotten first.
const MOST_REMEMBERED: usize = 1024;

/// How long after the n-th failure in a row the next try waits. Chosen: nothing for slips, half a minute for guessing;
/// the stretching of the passphrase is the real bound.
const fn pause(failed: u32) -> Duration {
    match failed {
        0..=2 => Duration::ZERO,
        3 => Duration::from_secs(1),
        4 => Duration::from_secs(5),
        _ => Duration::from_secs(30),
    }
}

/// Tries at passphrases.
#[derive(Debug)]
pub struct Tries {
    state: Mutex<State>,
    stretching: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    failed: BTreeMap<(Origin, PrincipalId), Failed>,
    all: Failed,
    under_way: BTreeSet<Origin>,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Failed {
    times: u32,
    /// When the next try may be made.
    next: Instant,
}

impl Failed {
    fn is_over(&self, now: Now) -> bool {
        now.mono >= self.next.saturating_add(REMEMBERED)
    }
}

impl Default for Tries {
    fn default() -> Self {
        Self { state: Mutex::default(), stretching: Semaphore::new(AT_ONCE) }
    }
}

/// A try that is under way. It counts as failed until [`Try::succeeded`].
#[derive(Debug)]
pub struct Try<'a> {
    tries: &'a Tries,
    origin: Origin,
    who: PrincipalId,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Tries {
    /// Begins a try of `origin` at the passphrase of `who`, when its turn has come.
    ///
    /// # Errors
    /// How long to wait before the next try.
    //= docs/spec/sessions.md#operators-keys
    pub async fn begin(&self, who: &PrincipalId, origin: Origin, now: Now) -> Result<Try<'_>, Duration> {
        let slowed_by = self.lock().begin(who, origin, now)?;
        let mut begun = Try { tries: self, origin, who: who.clone(), _turn: None };
        // Never closed: a try without a turn would be one without a bound.
        begun._turn = Some(self.stretching.acquire().await.map_err(|_| SLOWED_BY)?);
        // Within the turn, so that it slows down all who wait and not each of them by itself.
        tokio::time::sleep(slowed_by).await;
        Ok(begun)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Enters a try, which has failed until it is known better; by how much it is slowed down.
    fn begin(&mut self, who: &PrincipalId, origin: Origin, now: Now) -> Result<Duration, Duration> {
        self.forget(now);
        let key = (origin, who.clone());
        let before = self.failed.get(&key).copied().unwrap_or_default();
        if now.mono < before.next {
            return Err(before.next.saturating_since(now.mono));
        }
        if self.under_way.contains(&origin) || self.under_way.len() >= MOST_WAITING {
            return Err(SLOWED_BY);
        }
        self.under_way.insert(origin);
        let times = before.times.saturating_add(1);
        self.failed.insert(key, Failed { times, next: now.mono.saturating_add(pause(times)) });
        self.all = Failed { times: self.all.times.saturating_add(1), next: now.mono };
        Ok(if self.all.times > MANY { SLOWED_BY } else { Duration::ZERO })
    }

    fn forget(&mut self, now: Now) {
        self.failed.retain(|_, failed| !failed.is_over(now));
        if self.all.is_over(now) {
            self.all = Failed::default();
        }
        while self.failed.len() >= MOST_REMEMBERED {
            let first = self.failed.iter().min_by_key(|(_, failed)| failed.next).map(|(key, _)| key.clone());
            first.and_then(|key| self.failed.remove(&key));
        }
    }
}

impl Try<'_> {
    /// The passphrase was right: what failed before is forgotten.
    pub fn succeeded(self) {
        let mut state = self.tries.lock();
        state.failed.remove(&(self.origin, self.who.clone()));
        state.all = Failed::default();
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        self.tries.lock().under_way.remove(&self.origin);
    }
}

#[cfg(test)]
mod tests {
    use fcp_proto_core::time::UnixTime;

    use super::*;

    fn at(secs: u64) -> Now {
        Now { mono: Instant::from_nanos(secs * 1_000_000_000), unix: UnixTime::from_secs(secs) }
    }

    fn process(pid: i32) -> Origin {
        Origin::Process { uid: 1000, pid: Some(pid) }
    }

    fn who() -> PrincipalId {
        PrincipalId::new("alice").unwrap()
    }

    /// Tries and fails.
    fn fail(state: &mut State, origin: Origin, now: Now) -> Result<Duration, Duration> {
        let begun = state.begin(&who(), origin, now);
        state.under_way.remove(&origin);
        begun
    }

    #[tokio::test]
    async fn guessing_slows_down_and_success_forgives() {
        let (tries, guesser) = (Tries::default(), process(1));
        for _ in 0..3 {
            assert_eq!(fail(&mut tries.lock(), guesser, at(1)), Ok(Duration::ZERO));
        }
        assert_eq!(fail(&mut tries.lock(), guesser, at(1)), Err(Duration::from_secs(1)));
        assert_eq!(fail(&mut tries.lock(), guesser, at(2)), Ok(Duration::ZERO));
        assert_eq!(fail(&mut tries.lock(), guesser, at(3)), Err(Duration::from_secs(4)));
        tries.begin(&who(), guesser, at(7)).await.unwrap().succeeded();
        assert_eq!(fail(&mut tries.lock(), guesser, at(7)), Ok(Duration::ZERO));
    }

    //= docs/spec/sessions.md#operators-keys
    #[test]
    fn who_guesses_makes_nobody_else_wait() {
        let mut state = State::default();
        for guesser in [Origin::Tcp, process(1)] {
            for _ in 0..3 {
                fail(&mut state, guesser, at(1)).unwrap();
            }
            fail(&mut state, guesser, at(1)).unwrap_err();
        }
        assert_eq!(fail(&mut state, process(2), at(1)), Ok(Duration::ZERO));
    }

    //= docs/spec/sessions.md#operators-keys
    #[test]
    fn many_guessers_slow_everybody_down_by_a_second_and_never_by_more() {
        let mut state = State::default();
        for pid in 0..1000 {
            fail(&mut state, process(pid), at(1)).unwrap();
        }
        assert_eq!(fail(&mut state, process(5000), at(1)), Ok(SLOWED_BY));
        assert_eq!(fail(&mut state, process(5001), at(700)), Ok(Duration::ZERO), "all was quiet");
    }

    //= docs/spec/sessions.md#operators-keys
    #[tokio::test]
    async fn few_are_stretched_at_once_and_one_of_each() {
        let tries = Tries::default();
        let (who, now) = (who(), at(1));
        let mut begun = vec![tries.begin(&who, process(0), now).await.unwrap()];
        assert_eq!(tries.begin(&who, process(0), now).await.unwrap_err(), SLOWED_BY, "it has one under way");
        begun.push(tries.begin(&who, process(1), now).await.unwrap());
        assert_eq!(tries.stretching.available_permits(), 0, "two are stretched, and more wait");
        drop(begun.pop());
        begun.push(tries.begin(&who, process(2), now).await.unwrap());
    }

    #[test]
    fn as_many_wait_and_are_remembered_as_there_is_room_for() {
        let mut state = State::default();
        for pid in 0..8 {
            assert!(state.begin(&who(), process(pid), at(1)).is_ok());
        }
        assert!(state.begin(&who(), process(8), at(1)).is_err());
        for pid in 0..2000 {
            state.under_way.clear();
            state.begin(&who(), process(pid), at(2)).unwrap();
        }
        assert!(state.failed.len() <= MOST_REMEMBERED);
    }
}
