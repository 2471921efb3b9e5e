//! What a collector knows of one object.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::time::{Instant, UnixTime};

/// An object in the index.
#[derive(Debug)]
pub(super) struct Entry {
    /// The references of its header, if they are known.
    pub(super) refs: Option<Vec<ObjectId>>,
    pub(super) arrived: Instant,
    /// The cycle in which it was reached last.
    pub(super) marked: u64,
    pub(super) state: State,
    pub(super) is_pinned: bool,
    pub(super) leased_until: Option<UnixTime>,
    pub(super) uses: u32,
}

/// How far it is from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is kept.
    Live,
    /// Nothing refers to it.
    Condemned {
        /// Since then.
        since: UnixTime,
        /// And, by the clock of this run, since then.
        seen: Instant,
    },
    /// The record that it is gone is being written, or is.
    Going {
        /// It was condemned since then.
        since: UnixTime,
        /// And, by the clock of this run, since then.
        seen: Instant,
    },
}

/// Why an object is kept, or how far it is from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the checkpoint.
    Checkpoint,
    /// It is pinned.
    Pinned,
    /// A lease keeps it.
    Leased {
        /// Until then.
        until: UnixTime,
    },
    /// Something uses it now.
    InUse,
    /// It came a short while ago.
    Young,
    /// The last cycle reached it.
    Reachable,
    /// The last cycle did not reach it, or has not yet.
    Unreached,
    /// It is condemned.
    Condemned {
        /// Since then.
        since: UnixTime,
    },
    /// It is about to be deleted.
    Going,
}

impl Entry {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            refs: None,
            arrived: now,
            marked: 0,
            state: State::Live,
            is_pinned: false,
            leased_until: None,
            uses: 0,
        }
    }

    pub(super) fn ref_count(&self) -> usize {
        self.refs.as_ref().map_or(0, Vec::len)
    }

    /// Whether it is kept for its own sake, with all that it refers to.
    //= docs/spec/storage.md#roots
    pub(super) fn is_root(&self, grace: Duration, clock: UnixTime, now: Instant) -> bool {
        self.is_pinned || self.uses > 0 || self.lease_at(clock).is_some() || self.is_young(grace, now)
    }

    pub(super) fn standing(
        &self,
        is_checkpoint: bool,
        cycle: u64,
        grace: Duration,
        clock: UnixTime,
        now: Instant,
    ) -> Standing {
        match (self.state, self.lease_at(clock)) {
            _ if is_checkpoint => Standing::Checkpoint,
            _ if self.is_pinned => Standing::Pinned,
            (_, Some(until)) => Standing::Leased { until },
            _ if self.uses > 0 => Standing::InUse,
            _ if self.is_young(grace, now) => Standing::Young,
            (State::Condemned { since, .. }, None) => Standing::Condemned { since },
            (State::Going { .. }, None) => Standing::Going,
            (State::Live, None) if self.marked == cycle => Standing::Reachable,
            (State::Live, None) => Standing::Unreached,
        }
    }

    fn lease_at(&self, clock: UnixTime) -> Option<UnixTime> {
        self.leased_until.filter(|until| clock < *until)
    }

    fn is_young(&self, grace: Duration, now: Instant) -> bool {
        now.saturating_since(self.arrived) < grace
    }
}
