//! Token bucket and leaky bucket: a deficit that time repays, in whole units and without drift.
//!
//! The deficit is the difference of two totals, all that was drawn and all that was repaid. Repayment is a function
//! of the time since the anchor alone, the draw that made the deficit, so rounding never accumulates and the phase of
//! the steps stays. Spec: docs/spec/rates.md#buckets.

use super::meter::{Mark, Tick};

/// How time repays a deficit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The whole amount at the end of each period (token bucket).
    Stepped,
    /// Unit by unit, evenly over the period (leaky bucket).
    Even,
}

/// One bucket. Totals are 128 bits: at 2^64 units a draw they last for 2^64 draws.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    capacity: u64,
    flow: Flow,
    amount: u64,
    every: u64,
    /// When the present deficit began.
    anchor: Tick,
    /// What was drawn in all, refunds taken off.
    drawn: u128,
    /// What was refunded in all.
    refunded: u128,
    /// What was repaid when the present deficit began.
    repaid: u128,
}

impl Bucket {
    pub(super) const fn new(capacity: u64, flow: Flow, amount: u64, every: u64) -> Self {
        Self { capacity, flow, amount, every, anchor: Tick(0), drawn: 0, refunded: 0, repaid: 0 }
    }

    pub(super) fn used(&self, at: Tick) -> u64 {
        u64::try_from(self.drawn - self.repaid_by(at)).unwrap_or(u64::MAX)
    }

    /// Nanoseconds until `amount` fits; `None` if it never does.
    pub(super) fn wait(&self, amount: u64, at: Tick) -> Option<u64> {
        let room = self.capacity.checked_sub(amount)?;
        let outstanding = (self.drawn - self.repaid).saturating_sub(u128::from(room));
        let needed = self.time_to_repay(outstanding);
        let fits_at = u128::from(self.anchor.0).saturating_add(needed);
        Some(u64::try_from(fits_at.saturating_sub(u128::from(at.0))).unwrap_or(u64::MAX))
    }

    pub(super) fn draw(&mut self, amount: u64, at: Tick) -> Mark {
        if self.used(at) == 0 {
            self.repaid = self.drawn;
            self.anchor = at;
        }
        self.drawn = self.drawn.saturating_add(u128::from(amount));
        Mark::Bucket { drawn: self.drawn, refunded: self.refunded }
    }

    /// Takes back the part of a draw that time has not repaid; debts are repaid in the order they were made.
    ///
    /// Refunds since the draw count as refunds of what came before it, which errs on the side of the limit.
    pub(super) fn refund(&mut self, amount: u64, drawn: u128, refunded: u128, at: Tick) {
        let end = drawn.saturating_sub(self.refunded - refunded);
        let outstanding = end.saturating_sub(self.repaid_by(at)).min(u128::from(amount));
        self.drawn -= outstanding;
        self.refunded += outstanding;
    }

    /// All that is repaid at `at`: never more than was drawn.
    //= docs/spec/rates.md#buckets
    fn repaid_by(&self, at: Tick) -> u128 {
        let elapsed = at.since(self.anchor);
        let accrued = match self.flow {
            Flow::Stepped => u128::from(elapsed / self.every) * u128::from(self.amount),
            Flow::Even => u128::from(elapsed) * u128::from(self.amount) / u128::from(self.every),
        };
        self.repaid.saturating_add(accrued).min(self.drawn)
    }

    /// Nanoseconds from the anchor until `units` are repaid.
    fn time_to_repay(&self, units: u128) -> u128 {
        let (amount, every) = (u128::from(self.amount), u128::from(self.every));
        match self.flow {
            Flow::Stepped => units.div_ceil(amount).saturating_mul(every),
            Flow::Even => units.saturating_mul(every).div_ceil(amount),
        }
    }
}
