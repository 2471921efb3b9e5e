//! Objects that nothing refers to yet: bounded, in fair shares, for a while.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::symbol::IdentifiedObject;
use fcp_proto_core::time::Instant;

/// What the quarantine of a zone may hold, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// Bytes of a zone.
    pub bytes: u64,
    /// Objects of a zone.
    pub objects: usize,
    /// How long one is kept.
    pub time: Duration,
}

//= docs/spec/admission.md#quarantine
impl Default for QuarantineLimits {
    fn default() -> Self {
        Self { bytes: 256 * 1024 * 1024, objects: 100_000, time: Duration::from_secs(3_600) }
    }
}

/// Why an object is not taken, or not let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineError {
    /// It is larger than all that a zone may hold.
    TooLarge,
    /// Whoever sent it has its share, and nobody has more than theirs.
    ShareUsed,
    /// It is not there, or its time is over.
    NotThere,
    /// What is said to refer to it does not, or is of another zone.
    NotReferenced,
}

/// Proof that an object is referred to: another one of its zone, which its holder has admitted, names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referenced {
    zone_id: ZoneId,
    object_id: ObjectId,
}

impl Referenced {
    /// The proof that `by`, an admitted object, names `object_id`.
    ///
    /// # Errors
    /// [`QuarantineError::NotReferenced`].
    //= docs/spec/admission.md#promotion
    pub fn new(by: &IdentifiedObject, object_id: ObjectId) -> Result<Self, QuarantineError> {
        // Nothing is let in on its own word.
        if by.id() != object_id && by.header().refs.contains(&object_id) {
            Ok(Self { zone_id: by.header().zone_id.clone(), object_id })
        } else {
            Err(QuarantineError::NotReferenced)
        }
    }
}

/// The quarantines of all zones. It keeps an index; bodies are the driver's, who drops those that are named to it.
#[derive(Debug)]
pub struct Quarantine {
    limits: QuarantineLimits,
    zones: BTreeMap<ZoneId, Zone>,
}

#[derive(Debug, Default)]
struct Zone {
    entries: BTreeMap<ObjectId, Entry>,
    /// What each peer's objects take, and their order of arrival.
    shares: BTreeMap<NodeId, Share>,
}

#[derive(Debug)]
struct Entry {
    peer: NodeId,
    bytes: u64,
    /// By the local clock alone.
    arrived: Instant,
}

#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    oldest: BTreeSet<(Instant, ObjectId)>,
}

impl Quarantine {
    /// Nothing is in quarantine.
    pub const fn new(limits: QuarantineLimits) -> Self {
        Self { limits, zones: BTreeMap::new() }
    }

    /// Takes an object of `bytes` bytes that `peer` sent; gives those that make room for it. One that is there stays as
    /// it is.
    ///
    /// # Errors
    /// [`QuarantineError::TooLarge`] or [`QuarantineError::ShareUsed`]; nothing else is lost then.
    //= docs/spec/admission.md#quarantine
    pub fn take(
        &mut self,
        zone_id: &ZoneId,
        object_id: ObjectId,
        peer: &NodeId,
        bytes: u64,
        now: Instant,
    ) -> Result<Vec<ObjectId>, QuarantineError> {
        if bytes > self.limits.bytes || self.limits.objects == 0 {
            return Err(QuarantineError::TooLarge);
        }
        let limits = self.limits;
        let zone = self.zones.entry(zone_id.clone()).or_default();
        let mut gone = zone.expire(limits.time, now);
        if zone.entries.contains_key(&object_id) {
            return Ok(gone);
        }
        let made = zone.make_room(peer, bytes, &limits)?;
        gone.extend(made);
        zone.insert(object_id, Entry { peer: peer.clone(), bytes, arrived: now });
        Ok(gone)
    }

    /// Whether the object is in quarantine: such an object is announced to nobody.
    pub fn holds(&self, zone_id: &ZoneId, object_id: &ObjectId, now: Instant) -> bool {
        let entry = self.zones.get(zone_id).and_then(|zone| zone.entries.get(object_id));
        entry.is_some_and(|entry| !entry.is_over(self.limits.time, now))
    }

    /// Lets an object out, because something refers to it.
    ///
    /// # Errors
    /// [`QuarantineError::NotThere`].
    //= docs/spec/admission.md#promotion
    pub fn promote(&mut self, proof: &Referenced, now: Instant) -> Result<(), QuarantineError> {
        if !self.holds(&proof.zone_id, &proof.object_id, now) {
            return Err(QuarantineError::NotThere);
        }
        if let Some(zone) = self.zones.get_mut(&proof.zone_id) {
            zone.remove(&proof.object_id);
        }
        Ok(())
    }

    /// Lets an object out because this node itself wants it; says whether it was there.
    pub fn withdraw(&mut self, zone_id: &ZoneId, object_id: &ObjectId) -> bool {
        let zone = self.zones.get_mut(zone_id).filter(|zone| zone.entries.contains_key(object_id));
        zone.map(|zone| zone.remove(object_id)).is_some()
    }

    /// Lets go what was kept long enough, and names it.
    pub fn expire(&mut self, now: Instant) -> Vec<(ZoneId, ObjectId)> {
        let time = self.limits.time;
        let zones = self.zones.iter_mut();
        let gone = zones.flat_map(|(id, zone)| {
            zone.expire(time, now).into_iter().map(move |object| (id.clone(), object))
        });
        let gone = gone.collect();
        self.zones.retain(|_, zone| !zone.entries.is_empty());
        gone
    }

    /// When the first is let go.
    pub fn deadline(&self) -> Option<Instant> {
        let oldest = self.zones.values().flat_map(|zone| zone.shares.values());
        let first = oldest.filter_map(|share| share.oldest.first()).map(|(arrived, _)| *arrived).min();
        first.map(|arrived| arrived.saturating_add(self.limits.time))
    }

    /// What a peer's objects in a zone take: bytes, and their number.
    pub fn share(&self, zone_id: &ZoneId, peer: &NodeId) -> (u64, usize) {
        let share = self.zones.get(zone_id).and_then(|zone| zone.shares.get(peer));
        share.map_or((0, 0), |share| (share.bytes, share.oldest.len()))
    }
}

impl Zone {
    /// Makes room at the cost of whoever has more than a fair share, the most first, the oldest of theirs first. What is
    /// to go is chosen before anything goes.
    fn make_room(
        &mut self,
        peer: &NodeId,
        bytes: u64,
        limits: &QuarantineLimits,
    ) -> Result<Vec<ObjectId>, QuarantineError> {
        let peers = self.shares.len() as u64 + u64::from(!self.shares.contains_key(peer));
        let fair = (limits.bytes / peers, limits.objects as u64 / peers);
        let used: u64 = self.shares.values().map(|share| share.bytes).sum();
        let over_bytes = used.saturating_add(bytes).saturating_sub(limits.bytes);
        let over_objects = (self.entries.len() as u64 + 1).saturating_sub(limits.objects as u64);
        let mut leaving = Leaving { bytes: 0, objects: Vec::new() };
        let mut others: Vec<_> = self.shares.iter().filter(|(other, _)| *other != peer).collect();
        others.sort_by_key(|(_, share)| core::cmp::Reverse(share.weight(limits)));
        // One's own oldest make room for one's newest, and so does whatever others have beyond their shares.
        let own = self.shares.get_key_value(peer);
        if self.within(peer, bytes, fair) {
            for (_, share) in others {
                leaving.choose(share, &self.entries, fair, (over_bytes, over_objects));
            }
        } else if let Some((_, share)) = own {
            leaving.choose(share, &self.entries, (0, 0), (over_bytes, over_objects));
        }
        if leaving.bytes < over_bytes || (leaving.objects.len() as u64) < over_objects {
            return Err(QuarantineError::ShareUsed);
        }
        leaving.objects.iter().for_each(|object| self.remove(object));
        Ok(leaving.objects)
    }

    /// Whether the peer has no more than a fair share with `bytes` more.
    fn within(&self, peer: &NodeId, bytes: u64, (fair_bytes, fair_objects): (u64, u64)) -> bool {
        let (held, count) = self.shares.get(peer).map_or((0, 0), |it| (it.bytes, it.oldest.len() as u64));
        held.saturating_add(bytes) <= fair_bytes && count < fair_objects
    }

    fn insert(&mut self, object: ObjectId, entry: Entry) {
        let share = self.shares.entry(entry.peer.clone()).or_default();
        share.bytes = share.bytes.saturating_add(entry.bytes);
        share.oldest.insert((entry.arrived, object));
        self.entries.insert(object, entry);
    }

    fn remove(&mut self, object: &ObjectId) {
        let Some(entry) = self.entries.remove(object) else { return };
        let Some(share) = self.shares.get_mut(&entry.peer) else { return };
        share.bytes = share.bytes.saturating_sub(entry.bytes);
        share.oldest.remove(&(entry.arrived, *object));
        if share.oldest.is_empty() {
            self.shares.remove(&entry.peer);
        }
    }

    fn expire(&mut self, time: Duration, now: Instant) -> Vec<ObjectId> {
        let over = self.entries.iter().filter(|(_, entry)| entry.is_over(time, now));
        let over: Vec<_> = over.map(|(object, _)| *object).collect();
        over.iter().for_each(|object| self.remove(object));
        over
    }
}

/// What is to make room.
struct Leaving {
    bytes: u64,
    objects: Vec<ObjectId>,
}

impl Leaving {
    /// Adds the oldest of a share while more must go and the share stays above `fair` without them.
    fn choose(
        &mut self,
        share: &Share,
        entries: &BTreeMap<ObjectId, Entry>,
        fair: (u64, u64),
        (bytes, objects): (u64, u64),
    ) {
        let (mut held, mut count) = (share.bytes, share.oldest.len() as u64);
        for (_, object) in &share.oldest {
            if self.bytes >= bytes && self.objects.len() as u64 >= objects {
                return;
            }
            if held <= fair.0 && count <= fair.1 {
                return;
            }
            let size = entries.get(object).map_or(0, |entry| entry.bytes);
            (held, count) = (held.saturating_sub(size), count.saturating_sub(1));
            self.bytes = self.bytes.saturating_add(size);
            self.objects.push(*object);
        }
    }
}

impl Share {
    /// How much of what there is it takes, in millionths of the larger part.
    fn weight(&self, limits: &QuarantineLimits) -> u128 {
        let bytes = u128::from(self.bytes) * 1_000_000 / u128::from(limits.bytes.max(1));
        bytes.max(self.oldest.len() as u128 * 1_000_000 / (limits.objects as u128).max(1))
    }
}

impl Entry {
    /// At its time it is still there, and after it no more.
    fn is_over(&self, time: Duration, now: Instant) -> bool {
        now.saturating_since(self.arrived) > time
    }
}

impl fmt::Display for QuarantineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "larger than all that the quarantine of a zone may hold",
            Self::ShareUsed => "the sender's share of the quarantine is used up",
            Self::NotThere => "the object is not in quarantine",
            Self::NotReferenced => "nothing that was admitted refers to the object",
        })
    }
}

impl core::error::Error for QuarantineError {}

impl QuarantineError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::InputTooLarge,
            Self::ShareUsed => Code::Exhausted,
            Self::NotThere => Code::NotFound,
            Self::NotReferenced => Code::NotPermitted,
        }
    }
}
