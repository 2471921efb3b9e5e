//! What a peer said of a zone, and whether it is worth asking.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::object::GossipSummary;
use fcp_proto_core::object::gossip::SymbolName;
use fcp_proto_core::sketch::{Cell, Estimator, Filter, Salt};
use fcp_proto_core::time::{Instant, UnixTime};

use super::snapshot::cells_of;
use super::{FIRST_PAUSE, LONGEST_PAUSE, Zones};

/// Names that a peer taught which are remembered, to see whether any is ever admitted.
const MAX_TAUGHT: usize = 100;

/// A summary, as far as it is of use.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) salt: Salt,
    pub(super) total: u64,
    pub(super) digest: [u8; 32],
    pub(super) estimator: Estimator,
    pub(super) cells: Vec<Cell>,
    filter: Option<Filter>,
    symbol_filter: Option<Filter>,
    sent_at: UnixTime,
    came_at: Instant,
}

impl Heard {
    pub(super) fn new(summary: &GossipSummary, sent_at: UnixTime, came_at: Instant) -> Self {
        let filter = |bytes: &[u8]| Filter::from_bytes(bytes).ok();
        Self {
            salt: Salt::from_bytes(summary.salt),
            total: summary.total,
            digest: summary.object_filter_digest,
            estimator: Estimator::from_bytes(&summary.estimator),
            cells: cells_of(summary.sketch.cells()),
            filter: filter(&summary.object_filter.get().0),
            symbol_filter: filter(&summary.symbol_filter.get().0),
            sent_at,
            came_at,
        }
    }

    /// Bytes of its filters.
    pub(super) fn filters(&self) -> usize {
        [&self.filter, &self.symbol_filter].into_iter().flatten().map(Filter::size).sum()
    }

    pub(super) fn forget_filters(&mut self) {
        (self.filter, self.symbol_filter) = (None, None);
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of the difference was read, and some of it was new.
    Taught,
    /// All of the difference was read, and nothing was new.
    NothingNew,
    /// The peer said that it is too early.
    Busy(Duration),
    /// It came to nothing.
    Failed,
}

/// What a peer said of a zone, and what came of asking it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) heard: Heard,
    /// The version of the own set and the salt of the peer's that were compared last.
    pub(super) compared: Option<(u64, Salt)>,
    /// Where a list that is longer than one exchange goes on.
    pub(super) listed: Option<ObjectId>,
    pause: Duration,
    due: Instant,
    taught: BTreeSet<ObjectId>,
}

impl View {
    pub(super) fn new(heard: Heard, now: Instant) -> Self {
        Self { heard, compared: None, listed: None, pause: FIRST_PAUSE, due: now, taught: BTreeSet::new() }
    }

    /// Another summary; one that was sent before the last one says nothing.
    pub(super) fn hear(&mut self, heard: Heard) {
        if heard.sent_at >= self.heard.sent_at {
            self.heard = heard;
        }
    }

    /// When it was last heard.
    pub(super) fn came_at(&self) -> Instant {
        self.heard.came_at
    }

    /// When it is worth asking, if it says anything else than what is known.
    pub(super) fn due(&self, own: Option<&[u8; 32]>, version: u64) -> Option<Instant> {
        let same = own == Some(&self.heard.digest) || self.compared == Some((version, self.heard.salt));
        (!same).then_some(self.due)
    }

    /// The peer may have the object: its filter says so, or it named it.
    pub(super) fn may_have(&self, object: &ObjectId) -> bool {
        let filter = self.heard.filter.as_ref();
        self.taught.contains(object) || filter.is_some_and(|it| it.contains(self.heard.salt.key(object)))
    }

    /// The peer may have the symbol.
    pub(super) fn may_have_symbol(&self, symbol: &SymbolName) -> bool {
        let key = self.heard.salt.symbol_key(&symbol.object_id, symbol.esi);
        self.heard.symbol_filter.as_ref().is_some_and(|filter| filter.contains(key))
    }

    /// A peer is worth another question soon if something of what it taught was admitted. All others are asked less and
    /// less often: those that are silent or lie, and, up to a bound that is lower, those that have nothing new.
    //= docs/spec/gossip.md#back-off
    pub(super) fn end(&mut self, outcome: Outcome, zone: &ZoneId, zones: &dyn Zones, now: Instant) {
        let wait = match outcome {
            Outcome::Busy(wait) => wait.clamp(FIRST_PAUSE, LONGEST_PAUSE),
            Outcome::Taught => {
                self.pause =
                    if self.was_useful(zone, zones) { FIRST_PAUSE } else { self.longer(LONGEST_PAUSE) };
                self.pause
            }
            Outcome::NothingNew => {
                // Whoever failed before is not forgiven by this.
                self.pause = self.longer(self.pause.max(super::IDLE_PAUSE));
                self.pause
            }
            Outcome::Failed => {
                self.pause = self.longer(LONGEST_PAUSE);
                self.pause
            }
        };
        self.due = now.saturating_add(wait);
    }

    fn was_useful(&mut self, zone: &ZoneId, zones: &dyn Zones) -> bool {
        let before = self.taught.len();
        self.taught.retain(|name| !zones.has(zone, name));
        before == 0 || self.taught.len() < before
    }

    fn longer(&self, most: Duration) -> Duration {
        (self.pause * 2).min(most)
    }

    /// The peer named these.
    pub(super) fn teach(&mut self, names: &[ObjectId]) {
        let room = MAX_TAUGHT.saturating_sub(self.taught.len());
        self.taught.extend(names.iter().take(room));
    }
}
