//! How much there was of something in a window of time.

use fcp_proto_core::time::UnixTime;

/// How much there was since a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    since: UnixTime,
    amount: u64,
}

impl Counted {
    /// Nothing yet.
    pub(super) const fn since(now: UnixTime) -> Self {
        Self { since: now, amount: 0 }
    }

    /// Counts `amount` if there is room for it in the present window of `secs`, in which `most` fits; whether it is counted.
    pub(super) fn admit(&mut self, amount: u64, most: u64, secs: u64, now: UnixTime) -> bool {
        if now.saturating_since(self.since) >= secs {
            *self = Self::since(now);
        }
        let sum = self.amount.saturating_add(amount);
        let fits = sum <= most;
        if fits {
            self.amount = sum;
        }
        fits
    }
}

/// A day, in seconds.
pub(super) const DAY_SECS: u64 = 86_400;
