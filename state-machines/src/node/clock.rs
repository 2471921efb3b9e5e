//! What time it is: never before any time seen, and never further ahead than time can have passed.
//!
//! Spec: `docs/spec/calls.md#time`.

use fcp_proto_core::time::{Instant, Now, UnixTime};

/// Which readings of the wall clock are believed.
#[derive(Debug)]
pub(super) struct Clock {
    /// The latest time that was believed, in this run or an earlier one.
    highest: UnixTime,
    /// When, on the clock that only runs, `highest` was reached in this run; none before the first reading.
    reached: Option<Instant>,
    /// Whether the first reading of this run is believed however far ahead it is.
    confirmed: bool,
    /// The last reading.
    wall: UnixTime,
    doubt: Option<Doubt>,
}

/// Why the wall clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It jumped ahead; it is believed again once it comes back.
    Jumped,
    /// It was too far ahead when the node started: what the journal told was read at that time, so only another start
    /// ends the doubt.
    FromStart,
}

/// How the wall clock stands to the time that the node goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// They agree.
    Right,
    /// The wall clock is behind what was seen before; the node goes by what it saw.
    Behind {
        /// What the wall clock says.
        wall: UnixTime,
        /// What the node goes by.
        used: UnixTime,
    },
    /// The wall clock is further ahead than time can have passed; the node decides nothing.
    Suspect {
        /// What the wall clock says.
        wall: UnixTime,
        /// What the node goes by.
        used: UnixTime,
    },
}

impl Clock {
    /// The clock of a node that starts; `confirmed` if someone has said that its first reading is right.
    pub(super) const fn new(confirmed: bool) -> Self {
        let zero = UnixTime::from_secs(0);
        Self { highest: zero, reached: None, confirmed, wall: zero, doubt: None }
    }

    /// A time that an earlier run went by.
    pub(super) fn replay(&mut self, at: UnixTime) {
        self.highest = self.highest.max(at);
    }

    /// The time that a reading stands for.
    //= docs/spec/calls.md#time
    pub(super) fn read(&mut self, now: Now) -> Now {
        self.wall = now.unix;
        if self.doubt != Some(Doubt::FromStart) {
            self.doubt = (now.unix > self.bound(now.mono)).then_some(match self.reached {
                Some(_) => Doubt::Jumped,
                None => Doubt::FromStart,
            });
        }
        if self.doubt.is_none() && (now.unix >= self.highest || self.reached.is_none()) {
            self.highest = self.highest.max(now.unix);
            self.reached = Some(now.mono);
        }
        Now { unix: self.highest, ..now }
    }

    /// The latest time that it can be at `mono`.
    fn bound(&self, mono: Instant) -> UnixTime {
        match self.reached {
            Some(reached) => {
                let passed = mono.saturating_since(reached).as_secs();
                self.highest.saturating_add(passed).saturating_add(MAX_JUMP_SECS)
            }
            // A home that is new, or a reading that someone vouches for.
            None if self.confirmed || self.highest.as_secs() == 0 => UnixTime::from_secs(u64::MAX),
            None => self.highest.saturating_add(MAX_AWAY_SECS),
        }
    }

    pub(super) fn state(&self) -> ClockState {
        let (wall, used) = (self.wall, self.highest);
        if self.doubt.is_some() {
            ClockState::Suspect { wall, used }
        } else if used.saturating_since(wall) > MAX_BEHIND_SECS {
            ClockState::Behind { wall, used }
        } else {
            ClockState::Right
        }
    }
}

/// How far a reading may be ahead of what the running clock permits. Chosen: longer than a virtual machine sleeps
/// overnight; one wrong reading ages a home by no more.
const MAX_JUMP_SECS: u64 = 86_400;

/// How far the first reading of a run may be ahead of the last run. Chosen: a month in which a home is not used.
const MAX_AWAY_SECS: u64 = 30 * 86_400;

/// How far the wall clock may be behind before it is told. Chosen: the skew that tokens tolerate.
const MAX_BEHIND_SECS: u64 = fcp_proto_core::limits::TOKEN_SKEW_SECS;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const DAY: u64 = 86_400;
    const START: u64 = 1_800_000_000;

    fn now(passed: u64, unix: u64) -> Now {
        let mono = Instant::from_nanos(5).saturating_add(Duration::from_secs(passed));
        Now { mono, unix: UnixTime::from_secs(unix) }
    }

    fn running() -> Clock {
        let mut clock = Clock::new(false);
        clock.replay(UnixTime::from_secs(START));
        assert_eq!(clock.read(now(0, START)).unix.as_secs(), START);
        clock
    }

    //= docs/spec/calls.md#time
    #[test]
    fn one_wrong_reading_ages_nothing() {
        let mut clock = running();
        assert_eq!(clock.read(now(10, START + 3_000 * DAY)).unix.as_secs(), START, "it is not believed");
        assert!(matches!(clock.state(), ClockState::Suspect { .. }));
        assert_eq!(clock.read(now(20, START + 20)).unix.as_secs(), START + 20);
        assert_eq!(clock.state(), ClockState::Right, "it came back");
    }

    #[test]
    fn time_that_can_have_passed_is_believed() {
        let mut clock = running();
        assert_eq!(clock.read(now(10, START + 10 + DAY)).unix.as_secs(), START + 10 + DAY);
        let mut clock = running();
        clock.read(now(10, START + 11 + DAY));
        assert!(matches!(clock.state(), ClockState::Suspect { .. }), "one second more");
        let mut clock = running();
        clock.read(now(90 * DAY, START + 90 * DAY));
        assert_eq!(clock.state(), ClockState::Right, "a machine that slept, on a clock that counts it");
    }

    #[test]
    fn a_clock_that_goes_back_revives_nothing_and_may_come_back() {
        let mut clock = running();
        assert_eq!(clock.read(now(10, START - DAY)).unix.as_secs(), START);
        assert!(matches!(clock.state(), ClockState::Behind { .. }));
        clock.read(now(3 * DAY, START + 3 * DAY));
        assert_eq!(clock.state(), ClockState::Right);
    }

    #[test]
    fn a_start_long_after_the_last_run_is_doubted_until_someone_vouches_for_it() {
        let mut clock = Clock::new(false);
        clock.replay(UnixTime::from_secs(START));
        assert_eq!(clock.read(now(0, START + 31 * DAY)).unix.as_secs(), START);
        clock.read(now(1, START + 1));
        assert!(matches!(clock.state(), ClockState::Suspect { .. }), "the journal was read at a wrong time");
        let mut clock = Clock::new(true);
        clock.replay(UnixTime::from_secs(START));
        clock.read(now(0, START + 31 * DAY));
        assert_eq!(clock.state(), ClockState::Right);
        let mut clock = Clock::new(false);
        clock.replay(UnixTime::from_secs(START));
        clock.read(now(0, START + 30 * DAY));
        assert_eq!(clock.state(), ClockState::Right);
    }

    #[test]
    fn a_start_behind_the_last_run_goes_by_what_was_seen() {
        let mut clock = Clock::new(false);
        clock.replay(UnixTime::from_secs(START));
        assert_eq!(clock.read(now(0, START - 301)).unix.as_secs(), START);
        let (wall, used) = (UnixTime::from_secs(START - 301), UnixTime::from_secs(START));
        assert_eq!(clock.state(), ClockState::Behind { wall, used });
    }
}
