//! What one holder has in use of one limit.

use core::time::Duration;

use fcp_proto_core::time::Instant;

use super::Why;
use super::bucket::{Bucket, Flow};
use super::limit::{Algorithm, Enforcement, Limit};
use super::window::Window;

/// Nanoseconds on the rates' own axis, which begins 146 years before the driver's origin, so that records older
/// than the last boot have a place on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub(super) u64);

impl Tick {
    pub(super) const fn of(mono: Instant) -> Self {
        Self(mono.as_nanos().saturating_add(1 << 62))
    }

    pub(super) fn before(self, age: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(age)))
    }

    pub(super) const fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(super) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a draw stands within its meter, so that a refund knows what is still outstanding of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The bucket's totals right after the draw.
    Bucket {
        /// All that was ever drawn, this draw included.
        drawn: u128,
        /// All that was ever refunded.
        refunded: u128,
    },
    /// The entry of the window's log, by the moment it is charged to.
    Window {
        /// That moment.
        charged: Tick,
    },
}

/// The counter of one holder for one limit.
#[derive(Clone, Debug)]
pub(super) enum Meter {
    Bucket(Bucket),
    Window(Window),
}

impl Meter {
    pub(super) fn new(limit: &Limit) -> Self {
        match limit.algorithm {
            Algorithm::TokenBucket { capacity, refill, every } => {
                Self::Bucket(Bucket::new(capacity, Flow::Stepped, refill, nanos(every)))
            }
            Algorithm::LeakyBucket { capacity, leak, every } => {
                Self::Bucket(Bucket::new(capacity, Flow::Even, leak, nanos(every)))
            }
            Algorithm::SlidingWindow { limit: size, window } => {
                let exact = limit.enforcement == Enforcement::Hard;
                Self::Window(Window::new(size, nanos(window), exact))
            }
        }
    }

    /// What keeps `amount` from being drawn at `at`.
    pub(super) fn obstacle(&self, amount: u64, at: Tick) -> Option<Why> {
        let wait = match self {
            Self::Bucket(bucket) => bucket.wait(amount, at),
            Self::Window(window) => window.wait(amount, at),
        };
        match wait {
            Some(0) => None,
            Some(wait) => Some(Why::UsedUp { retry_after: Duration::from_nanos(wait) }),
            None => Some(Why::NeverFits),
        }
    }

    /// Draws `amount`, past the limit if need be.
    pub(super) fn draw(&mut self, amount: u64, at: Tick) -> Mark {
        match self {
            Self::Bucket(bucket) => bucket.draw(amount, at),
            Self::Window(window) => window.draw(amount, at),
        }
    }

    /// Gives back up to `amount` of the draw that `mark` names.
    pub(super) fn refund(&mut self, amount: u64, mark: Mark, at: Tick) {
        match (self, mark) {
            (Self::Bucket(bucket), Mark::Bucket { drawn, refunded }) => {
                bucket.refund(amount, drawn, refunded, at)
            }
            (Self::Window(window), Mark::Window { charged }) => window.refund(amount, charged),
            // A mark is good for the meter that made it; the caller compares their numbers.
            (Self::Bucket(_), Mark::Window { .. }) | (Self::Window(_), Mark::Bucket { .. }) => {}
        }
    }

    /// What is in use at `at`.
    pub(super) fn used(&self, at: Tick) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.used(at),
            Self::Window(window) => window.used(at),
        }
    }

    /// Whether this meter cannot be told from a new one.
    pub(super) fn is_idle(&self, at: Tick) -> bool {
        self.used(at) == 0
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
