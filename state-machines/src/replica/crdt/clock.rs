//! Hybrid logical clocks: stamps that follow the wall clock, and never fall behind what was seen.

use fcp_proto_core::cbor_map;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::UnixTime;

/// How far a stamp may lie ahead of a member's time, in seconds: as far as a message of gossip may.
pub const MAX_AHEAD_SECS: u64 = 30;

cbor_map! {
    /// When something was written, and by whom; no two writes have the same. Ordered by time, then count, then writer.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Stamp {
        /// The writer's time.
        pub at: UnixTime,
        /// Which one it is of those with that time.
        pub count: u32,
        /// Who wrote.
        pub writer: NodeId,
    }
}

impl Stamp {
    /// Whether it lies so far ahead of `now` that a clock must be wrong.
    //= docs/spec/replica.md#stamps
    pub fn is_ahead_of(&self, now: UnixTime) -> bool {
        self.at > now.saturating_add(MAX_AHEAD_SECS)
    }
}

/// One member's clock for stamps.
#[derive(Clone, Debug)]
pub struct HybridClock {
    writer: NodeId,
    last: (UnixTime, u32),
}

impl HybridClock {
    /// The clock of `writer`, which has to observe all stamps of the state that it restores.
    pub fn new(writer: NodeId) -> Self {
        Self { writer, last: (UnixTime::default(), 0) }
    }

    /// A stamp above all that were given or observed.
    //= docs/spec/replica.md#stamps
    pub fn stamp(&mut self, now: UnixTime) -> Stamp {
        let (at, count) = self.last;
        self.last = match count.checked_add(1) {
            _ if now > at => (now, 0),
            Some(count) => (at, count),
            None => (at.saturating_add(1), 0),
        };
        Stamp { at: self.last.0, count: self.last.1, writer: self.writer.clone() }
    }

    /// From now on all stamps are above `seen`, which is not [ahead](Stamp::is_ahead_of).
    pub fn observe(&mut self, seen: &Stamp) {
        self.last = self.last.max((seen.at, seen.count));
    }
}
