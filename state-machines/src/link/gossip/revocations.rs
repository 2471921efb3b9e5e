//! Revocations that must be known at once: who is told when, and who said that it keeps to them.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, NodeId, ZoneId};
use fcp_proto_core::object::gossip::MAX_NOTICE_BYTES;
use fcp_proto_core::object::{RevocationNotice, RevocationWitness};
use fcp_proto_core::time::Instant;

/// Peers that are told at once of a revocation, and of an emergency: those of the reference. The others follow.
const PRIORITY_FANOUT: usize = 32;
const EMERGENCY_FANOUT: usize = 64;

/// Between two such groups: the reference's priority cadence.
const STEP: Duration = Duration::from_millis(100);

/// By when an emergency is to be witnessed, by how many at most, and how often a node may raise one in a zone.
const EMERGENCY_DEADLINE: Duration = Duration::from_secs(5);
const MAX_WITNESSES: usize = 3;
const EMERGENCY_INTERVAL: Duration = Duration::from_secs(60);

/// How long a peer is told again and again. Afterwards the revocation comes like any other object.
const LIFETIME: Duration = Duration::from_secs(300);

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Revocations that are pushed at once.
const MAX_NOTICES: usize = 64;

/// Witnesses that wait to be sent to one peer.
const MAX_OWED: usize = 64;

/// How urgent a revocation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// All are told, some at a time.
    Priority,
    /// More are told at once, before all others, and witnesses are counted.
    Emergency,
}

/// Why a revocation is not pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPushed {
    /// It is longer than a notice carries.
    TooLong,
    /// As many are pushed as may be.
    TooMany,
    /// There was an emergency in this zone already; this long from now there may be another.
    TooSoon(Duration),
}

/// Whether enough others keep to a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witnessed {
    /// These do, which is enough.
    Reached(BTreeSet<NodeId>),
    /// Only these did in time.
    NotReached {
        /// Who did.
        witnesses: BTreeSet<NodeId>,
        /// How many were needed.
        needed: usize,
    },
}

#[derive(Debug)]
struct Notice {
    zone: ZoneId,
    revocation: ByteString,
    head_seq: u64,
    targets: BTreeMap<NodeId, Target>,
    witnesses: BTreeSet<NodeId>,
    until: Instant,
    /// When to say what came of an emergency, and how many witnesses it needs.
    verdict: Option<(Instant, usize)>,
}

#[derive(Debug)]
struct Target {
    due: Instant,
    wait: Duration,
}

/// All revocations that are pushed, and the witnesses that this node owes.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    notices: BTreeMap<Digest, Notice>,
    owed: BTreeMap<NodeId, VecDeque<(ZoneId, RevocationWitness)>>,
    emergencies: BTreeMap<ZoneId, Instant>,
    /// When the next group of each zone may be told.
    next: BTreeMap<ZoneId, Instant>,
}

impl Revocations {
    /// Pushes a revocation to `peers`, the members of its zone with whom there are sessions.
    //= docs/spec/gossip.md#revocations
    pub(super) fn push(
        &mut self,
        zone: &ZoneId,
        (revocation, head_seq): (&[u8], u64),
        urgency: Urgency,
        peers: Vec<NodeId>,
        now: Instant,
    ) -> Result<Digest, NotPushed> {
        if revocation.len() > MAX_NOTICE_BYTES {
            return Err(NotPushed::TooLong);
        }
        self.notices.retain(|_, notice| notice.until > now);
        let digest = hash::digest(revocation);
        let raised = self.notices.get(&digest).is_some_and(|it| it.verdict.is_some());
        if !self.notices.contains_key(&digest) && self.notices.len() >= MAX_NOTICES {
            return Err(NotPushed::TooMany);
        }
        if urgency == Urgency::Emergency && !raised {
            self.raise(zone, now)?;
        }
        let needed = MAX_WITNESSES.min(peers.len() / 2 + 1);
        let old = self.notices.remove(&digest);
        let mut notice = Notice {
            zone: zone.clone(),
            revocation: ByteString(revocation.to_vec()),
            head_seq,
            targets: BTreeMap::new(),
            witnesses: old.map_or_else(BTreeSet::new, |it| it.witnesses),
            until: now.saturating_add(LIFETIME),
            verdict: (urgency == Urgency::Emergency)
                .then(|| (now.saturating_add(EMERGENCY_DEADLINE), needed)),
        };
        self.aim(&mut notice, urgency, peers, now);
        self.notices.insert(digest, notice);
        Ok(digest)
    }

    fn raise(&mut self, zone: &ZoneId, now: Instant) -> Result<(), NotPushed> {
        self.emergencies.retain(|_, at| at.saturating_add(EMERGENCY_INTERVAL) > now);
        if let Some(at) = self.emergencies.get(zone) {
            return Err(NotPushed::TooSoon(at.saturating_add(EMERGENCY_INTERVAL).saturating_since(now)));
        }
        self.emergencies.insert(zone.clone(), now);
        Ok(())
    }

    /// Each peer gets its time: nobody is left out, whatever the bound of one group. An emergency waits for nothing.
    fn aim(&mut self, notice: &mut Notice, urgency: Urgency, peers: Vec<NodeId>, now: Instant) {
        self.next.retain(|_, at| *at > now);
        let standing = self.next.get(&notice.zone).copied().unwrap_or(now);
        let (fanout, mut due) = match urgency {
            Urgency::Priority => (PRIORITY_FANOUT, standing),
            Urgency::Emergency => (EMERGENCY_FANOUT, now),
        };
        let fresh = peers.into_iter().filter(|peer| !notice.witnesses.contains(peer)).collect::<Vec<_>>();
        for group in fresh.chunks(fanout) {
            let targets = group.iter().map(|peer| (peer.clone(), Target { due, wait: FIRST_WAIT }));
            notice.targets.extend(targets);
            due = due.saturating_add(STEP);
        }
        self.next.insert(notice.zone.clone(), due.max(standing));
    }

    /// There is a session with a member of these zones, who may know nothing yet.
    pub(super) fn up(&mut self, peer: &NodeId, is_member: impl Fn(&ZoneId) -> bool, now: Instant) {
        for notice in self.notices.values_mut() {
            if is_member(&notice.zone) && !notice.witnesses.contains(peer) {
                notice.targets.insert(peer.clone(), Target { due: now, wait: FIRST_WAIT });
            }
        }
    }

    /// There is none any more.
    pub(super) fn down(&mut self, peer: &NodeId) {
        self.owed.remove(peer);
        self.notices.values_mut().for_each(|notice| _ = notice.targets.remove(peer));
    }

    /// The peer has the revocation, since it sent it.
    pub(super) fn knows(&mut self, peer: &NodeId, digest: &Digest) {
        if let Some(notice) = self.notices.get_mut(digest) {
            notice.targets.remove(peer);
        }
    }

    /// This node keeps to a revocation that it pushes itself, if it does.
    pub(super) fn applied(&self, digest: &Digest) -> Option<u64> {
        self.notices.get(digest).map(|notice| notice.head_seq)
    }

    /// The peer is to be told that this node keeps to a revocation.
    pub(super) fn owe(&mut self, peer: &NodeId, zone: &ZoneId, witness: RevocationWitness) {
        let owed = self.owed.entry(peer.clone()).or_default();
        owed.retain(|(_, it)| it.revocation != witness.revocation);
        if owed.len() < MAX_OWED {
            owed.push_back((zone.clone(), witness));
        }
    }

    /// A peer keeps to a revocation. It counts once, and only for this revocation of this zone, and only if its chain is
    /// not behind.
    //= docs/spec/gossip.md#witnesses
    pub(super) fn witness(&mut self, peer: &NodeId, zone: &ZoneId, witness: &RevocationWitness) {
        let Some(notice) = self.notices.get_mut(&witness.revocation) else { return };
        if notice.zone == *zone && witness.head_seq >= notice.head_seq {
            notice.witnesses.insert(peer.clone());
            notice.targets.remove(peer);
        }
    }

    /// What came of an emergency, once that is known.
    pub(super) fn verdict(&mut self, now: Instant) -> Option<(ZoneId, Digest, Witnessed)> {
        let decided = |notice: &Notice| {
            let (by, needed) = notice.verdict?;
            let witnesses = notice.witnesses.clone();
            if witnesses.len() >= needed {
                Some(Witnessed::Reached(witnesses))
            } else {
                (by <= now).then_some(Witnessed::NotReached { witnesses, needed })
            }
        };
        let (digest, notice, verdict) = self
            .notices
            .iter_mut()
            .find_map(|(digest, it)| decided(it).map(|verdict| (*digest, it, verdict)))?;
        notice.verdict = None;
        Some((notice.zone.clone(), digest, verdict))
    }

    /// Whether something is to be said to the peer now.
    pub(super) fn has_message(&self, peer: &NodeId, now: Instant) -> bool {
        let due = |notice: &Notice| notice.targets.get(peer).is_some_and(|target| target.due <= now);
        self.owed.get(peer).is_some_and(|owed| !owed.is_empty()) || self.notices.values().any(due)
    }

    /// The witness that is owed to the peer.
    pub(super) fn next_witness(&mut self, peer: &NodeId) -> Option<(ZoneId, RevocationWitness)> {
        self.owed.get_mut(peer)?.pop_front()
    }

    /// The next revocation for the peer. It is said again until the peer witnesses it.
    pub(super) fn next_notice(
        &mut self,
        me: &NodeId,
        peer: &NodeId,
        now: Instant,
    ) -> Option<(ZoneId, RevocationNotice)> {
        let due = |notice: &mut Notice| {
            let target = notice.targets.get_mut(peer).filter(|target| target.due <= now)?;
            target.due = now.saturating_add(target.wait);
            target.wait = (target.wait * 2).min(LONGEST_WAIT);
            let revocation = Bounded::new(notice.revocation.clone()).ok()?;
            let notice_of = RevocationNotice { from: me.clone(), head_seq: notice.head_seq, revocation };
            Some((notice.zone.clone(), notice_of))
        };
        self.notices.values_mut().filter(|notice| notice.until > now).find_map(due)
    }

    /// Times at which something is to be said or known.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> + '_ {
        let of = |notice: &'_ Notice| {
            let verdict = notice.verdict.map(|(by, _)| by);
            notice.targets.values().map(|target| target.due).chain(verdict).min()
        };
        self.notices.values().filter_map(of)
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.notices.retain(|_, notice| notice.until > now);
    }
}

impl fmt::Display for NotPushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the revocation is longer than a notice carries"),
            Self::TooMany => f.write_str("too many revocations are pushed"),
            Self::TooSoon(wait) => {
                write!(f, "the zone had an emergency; another may follow in {} s", wait.as_secs())
            }
        }
    }
}

impl core::error::Error for NotPushed {}

impl NotPushed {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong => Code::InputTooLarge,
            Self::TooMany | Self::TooSoon(_) => Code::Exhausted,
        }
    }
}
