//! What is to be said to one peer.

use alloc::collections::{BTreeMap, VecDeque};

use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::{GossipRequest, ReconcileRequest};
use fcp_proto_core::sketch::Salt;
use fcp_proto_core::time::Instant;

use super::{CADENCE, REFRESH};

/// Questions of a peer that wait for their answers. Whoever asks more is not answered, and asks again.
const MAX_WAITING: usize = 32;

/// A peer with which there is a session.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// The salt of the last summary of each zone, and when it was sent.
    told: BTreeMap<ZoneId, (Salt, Instant)>,
    waiting: VecDeque<Waiting>,
    /// Whose turn it was last, of what is not urgent.
    pub(super) turn: u8,
    /// Questions of this node about what the peer has.
    pub(super) asked: VecDeque<(ZoneId, GossipRequest)>,
    /// How many of them were sent.
    pub(super) sent: usize,
}

/// A question of the peer.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// About the difference; and how many cells were sent.
    Reconcile(ZoneId, ReconcileRequest, u32),
    /// About single names.
    Have(ZoneId, GossipRequest),
}

impl Waiting {
    fn id(&self) -> &[u8; 16] {
        match self {
            Self::Reconcile(_, request, _) => &request.exchange.request_id,
            Self::Have(_, request) => &request.exchange.request_id,
        }
    }
}

impl Peer {
    /// A question came. The same one again takes the place of the first.
    pub(super) fn ask(&mut self, waiting: Waiting) {
        if let Some(standing) = self.waiting.iter_mut().find(|it| it.id() == waiting.id()) {
            *standing = waiting;
        } else if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(waiting);
        }
    }

    /// Takes the first question that `ready` says can be answered now.
    pub(super) fn take(&mut self, ready: impl FnMut(&Waiting) -> bool) -> Option<Waiting> {
        let place = self.waiting.iter().position(ready)?;
        self.waiting.remove(place)
    }

    /// A question is not answered whole yet: it goes on when all others had their turn.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// When a summary of the zone is to be said, if this is the salt of the newest.
    //= docs/spec/gossip.md#summaries
    pub(super) fn summary_due(&self, zone: &ZoneId, salt: &Salt) -> Instant {
        match self.told.get(zone) {
            None => Instant::default(),
            Some((told, at)) if told == salt => at.saturating_add(REFRESH),
            Some((_, at)) => at.saturating_add(CADENCE),
        }
    }

    /// A summary is said.
    pub(super) fn tell(&mut self, zone: &ZoneId, salt: Salt, now: Instant) {
        self.told.insert(zone.clone(), (salt, now));
    }

    /// Of several zones whose summaries are due, the one that waited longest.
    pub(super) fn told_at(&self, zone: &ZoneId) -> Option<Instant> {
        self.told.get(zone).map(|(_, at)| *at)
    }

    /// Forgets zones that are not gossiped about any more.
    pub(super) fn retain(&mut self, keep: impl Fn(&ZoneId) -> bool) {
        self.told.retain(|zone, _| keep(zone));
        self.waiting.retain(|it| match it {
            Waiting::Reconcile(zone, ..) | Waiting::Have(zone, _) => keep(zone),
        });
    }
}
