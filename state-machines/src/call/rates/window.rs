//! Sliding window: a log of what was drawn when, exact and of bounded size.
//!
//! A hard limit of at most [`MAX_LOG`] units is logged to the nanosecond: a draw is one unit at least, so the log
//! cannot outgrow the limit. Larger ones are logged in cells of 1/1024 of the window, each charged to its end: a unit
//! returns up to that much late and never early. Spec: docs/spec/rates.md#sliding-window.

use alloc::collections::VecDeque;

use super::meter::{Mark, Tick};

/// The log of one holder, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window {
    limit: u64,
    window: u64,
    /// The length of a cell in nanoseconds, 1 for an exact log.
    cell: u64,
    log: VecDeque<(Tick, u64)>,
    total: u128,
}

impl Window {
    pub(super) const fn new(limit: u64, window: u64, hard: bool) -> Self {
        let exact = hard && limit <= MAX_LOG;
        let cell = if exact { 1 } else { window.div_ceil(MAX_LOG) };
        Self { limit, window, cell, log: VecDeque::new(), total: 0 }
    }

    pub(super) fn used(&self, at: Tick) -> u64 {
        let gone: u128 = self.expired(at).map(|(_, amount)| u128::from(amount)).sum();
        u64::try_from(self.total - gone).unwrap_or(u64::MAX)
    }

    /// Nanoseconds until `amount` fits; `None` if it never does.
    pub(super) fn wait(&self, amount: u64, at: Tick) -> Option<u64> {
        let room = u128::from(self.limit.checked_sub(amount)?);
        let mut used = self.total;
        let mut free_at = at;
        for (charged, units) in &self.log {
            if used <= room {
                break;
            }
            used -= u128::from(*units);
            free_at = charged.plus(self.window);
        }
        Some(free_at.since(at))
    }

    pub(super) fn draw(&mut self, amount: u64, at: Tick) -> Mark {
        let gone = self.expired(at).count();
        for (_, units) in self.log.drain(..gone) {
            self.total -= u128::from(units);
        }
        // The end of the cell, and never before the newest entry, so that the log stays in order.
        let charged = Tick(at.0.div_ceil(self.cell).saturating_mul(self.cell));
        let charged = self.log.back().map_or(charged, |(newest, _)| charged.max(*newest));
        let full = self.log.len() >= LOG_ROOM;
        match self.log.back_mut() {
            Some((newest, units)) if *newest == charged || full => {
                // A merged entry returns with its latest unit: late, never early.
                let sum = units.saturating_add(amount);
                self.total += u128::from(sum - *units);
                (*newest, *units) = (charged, sum);
            }
            Some(_) | None => {
                self.log.push_back((charged, amount));
                self.total += u128::from(amount);
            }
        }
        Mark::Window { charged }
    }

    /// Takes back up to `amount` of the entry that was charged to `charged`, if it still stands.
    pub(super) fn refund(&mut self, amount: u64, charged: Tick) {
        let Ok(at) = self.log.binary_search_by_key(&charged, |(when, _)| *when) else { return };
        let Some((_, units)) = self.log.get_mut(at) else { return };
        let back = amount.min(*units);
        *units -= back;
        self.total -= u128::from(back);
        if *units == 0 {
            self.log.remove(at);
        }
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.log.len()
    }

    /// The entries that no window ending at `at` holds: those of age `window` and more.
    fn expired(&self, at: Tick) -> impl Iterator<Item = (Tick, u64)> {
        self.log.iter().copied().take_while(move |(charged, _)| charged.plus(self.window) <= at)
    }
}

/// Largest limit with a log to the nanosecond, and the number of cells of a larger one. Chosen: 16 KiB a meter.
const MAX_LOG: u64 = 1_024;

/// Entries a log may hold: each draw of an exact log has one for what was reserved and one for what settling added.
const LOG_ROOM: usize = 2 * MAX_LOG as usize + 2;
