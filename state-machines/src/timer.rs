//! The one timer of the house: a table of deadlines, each named by its reason.
//!
//! A machine sets and cancels by reason; its driver asks [`Timer::next`] when to come back and why. A reason has at
//! most one deadline, so a table holds no more entries than its machine has reasons.

use alloc::collections::BTreeMap;

use fcp_proto_core::time::Instant;

/// Deadlines by their reason. Equal deadlines expire in the order of their reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer<Reason> {
    deadlines: BTreeMap<Reason, Instant>,
}

impl<Reason: Copy + Ord> Timer<Reason> {
    /// A table without deadlines.
    pub const fn new() -> Self {
        Self { deadlines: BTreeMap::new() }
    }

    /// Sets the deadline of `reason`, in place of one that stands.
    pub fn set(&mut self, reason: Reason, at: Instant) {
        self.deadlines.insert(reason, at);
    }

    /// Forgets the deadline of `reason`, if there is one.
    pub fn cancel(&mut self, reason: Reason) {
        self.deadlines.remove(&reason);
    }

    /// Keeps the deadlines whose reason passes `keep` and forgets the others.
    pub fn retain(&mut self, mut keep: impl FnMut(Reason) -> bool) {
        self.deadlines.retain(|reason, _| keep(*reason));
    }

    /// The deadline of `reason`, if one is set.
    pub fn deadline(&self, reason: Reason) -> Option<Instant> {
        self.deadlines.get(&reason).copied()
    }

    /// Takes the earliest deadline that has come by `now`. Call it until it yields `None`.
    pub fn expire(&mut self, now: Instant) -> Option<Reason> {
        let (at, reason) = self.next()?;
        (at <= now).then(|| {
            self.deadlines.remove(&reason);
            reason
        })
    }

    /// The earliest deadline and its reason.
    pub fn next(&self) -> Option<(Instant, Reason)> {
        self.deadlines.iter().map(|(reason, at)| (*at, *reason)).min()
    }
}

impl<Reason: Copy + Ord> Default for Timer<Reason> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Why {
        Idle,
        Retry,
    }

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn deadlines_expire_in_order_and_not_before_their_time() {
        let mut timer = Timer::new();
        timer.set(Why::Idle, at(20));
        timer.set(Why::Retry, at(10));
        assert_eq!(timer.next(), Some((at(10), Why::Retry)));
        assert_eq!(timer.expire(at(9)), None);
        assert_eq!(timer.expire(at(20)), Some(Why::Retry));
        assert_eq!(timer.expire(at(20)), Some(Why::Idle));
        assert_eq!(timer.expire(at(u64::MAX)), None);
    }

    #[test]
    fn a_reason_has_one_deadline() {
        let mut timer = Timer::new();
        timer.set(Why::Idle, at(5));
        timer.set(Why::Idle, at(50));
        assert_eq!(timer.expire(at(49)), None);
        assert_eq!(timer.expire(at(50)), Some(Why::Idle));
        assert_eq!(timer.next(), None);
    }

    #[test]
    fn equal_deadlines_expire_by_reason_and_cancelled_ones_never() {
        let mut timer = Timer::new();
        timer.set(Why::Retry, at(1));
        timer.set(Why::Idle, at(1));
        assert_eq!(timer.next(), Some((at(1), Why::Idle)));
        timer.cancel(Why::Idle);
        assert_eq!(timer.deadline(Why::Idle), None);
        assert_eq!(timer.expire(at(1)), Some(Why::Retry));
        timer.set(Why::Idle, at(2));
        timer.retain(|reason| reason != Why::Idle);
        assert_eq!(timer.expire(at(9)), None);
    }
}
