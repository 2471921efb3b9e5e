//! So much a minute, without a seam at which twice as much passes.

use core::time::Duration;

use fcp_proto_core::time::Instant;

/// The time over which a bound is counted, in nanoseconds.
const MINUTE: u128 = 60_000_000_000;

/// Why an amount is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is after this time, unless somebody else takes it.
    For(Duration),
    /// It is more than is ever admitted at once.
    Never,
}

/// A bound on what passes in any minute.
///
/// Half of it can be saved up and half flows in again in a minute, so that no minute, wherever it begins, sees more than
/// the whole. What was taken is a debt that time pays off; the time until an amount is admitted is therefore exact.
//= docs/spec/admission.md#budgets
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What can be saved up, and flows in again in a minute.
    half: u64,
    /// What was taken and not paid off, in units times nanoseconds of a minute.
    debt: u128,
    /// When `debt` was reckoned.
    at: Instant,
}

impl Bucket {
    /// Nothing was taken of `per_minute`.
    pub const fn new(per_minute: u64, now: Instant) -> Self {
        Self { half: per_minute / 2, debt: 0, at: now }
    }

    /// Whether `amount` is admitted now; nothing is taken.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, amount: u64, now: Instant) -> Result<(), Wait> {
        if amount == 0 {
            return Ok(());
        }
        if amount > self.half {
            return Err(Wait::Never);
        }
        // Neither side overflows: a debt is at most twice a u64 times a minute.
        let above = (self.debt_at(now) + scaled(amount)).saturating_sub(scaled(self.half));
        if above == 0 {
            return Ok(());
        }
        let nanos = above.div_ceil(u128::from(self.half));
        Err(Wait::For(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))))
    }

    /// Takes `amount`, whether or not it is admitted. A debt has a bound, so that whoever stops is heard again after two
    /// minutes.
    pub fn take(&mut self, amount: u64, now: Instant) {
        let debt = self.debt_at(now).saturating_add(scaled(amount));
        self.debt = debt.min(scaled(self.half).saturating_mul(2));
        self.at = self.at.max(now);
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&mut self, amount: u64, now: Instant) {
        self.debt = self.debt_at(now).saturating_sub(scaled(amount));
        self.at = self.at.max(now);
    }

    /// Whether all that was taken is paid off.
    pub fn is_paid(&self, now: Instant) -> bool {
        self.debt_at(now) == 0
    }

    /// When it is.
    pub fn paid_at(&self) -> Instant {
        let nanos = self.debt.div_ceil(u128::from(self.half.max(1)));
        self.at.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// A clock that goes back pays nothing off.
    fn debt_at(&self, now: Instant) -> u128 {
        let passed = now.saturating_since(self.at).as_nanos();
        self.debt.saturating_sub(passed.saturating_mul(u128::from(self.half)))
    }
}

fn scaled(amount: u64) -> u128 {
    u128::from(amount) * MINUTE
}
