//! The keys of a zone: how they come, how long each serves, and who gets the next.
//!
//! Spec: `docs/spec/zone-keys.md`. A zone's keys come in one of three [modes](Mode): sealed by the owner to each device
//! ([`ManifestKeys`], with or without an end), or agreed on by the devices in a group ([`GroupKeys`]).
//!
//! ```text
//!  a member                    all members                          checkpoints
//!    │ propose                     │                                     │
//!    │ persist, then Offer(commit) │                                     │
//!    ├────────────────────────────►│ judge, persist: a candidate         │
//!    │                             ├─ choice() ─────────────────────────►│ certify one commit of the epoch
//!    │◄────────────────────────────┼◄────────────── handle_decided(commit)
//!    │ persist, then the new key   │ persist, then the new key           │
//! ```
//!
//! A key is used only after the record that it can be found in again is durable. One write is on its way at a time;
//! what would need another is refused meanwhile ([`Refusal::Writing`]) and is tried again. Time and entropy are
//! arguments.

mod candidates;
mod directory;
mod group;
mod manifests;
mod policy;
mod record;
mod refusal;
mod secret;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::{ByteString, ShapeError, encode};
use fcp_proto_core::ids::{Digest, KeyId, NodeId, ZoneId};
use fcp_proto_core::object::{OpenedZoneKeys, ZoneKeyAlgorithm};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{KeyRingError, RingKey, ZoneKeyRing};
use zeroize::Zeroizing;

use self::group::{Actor, Next, Place};
pub use self::manifests::{ManifestKeys, ManifestOutput, ManifestRefusal, Recipient};
pub use self::policy::{
    Bounds, Continuous, MAX_HANDED_OVER, MAX_KEY_SECS, MAX_OVERLAP_SECS, Mode, OutOfBounds,
};
use self::record::{Generation, Membership, Record};
pub use self::refusal::Refusal;
use self::secret::Key;
use crate::persist::{BatchToken, Completion};

/// The most members of a zone's group (chosen: a commit and a welcome of as many fit their bound).
pub const MAX_MEMBERS: usize = 32;
/// The longest commit with its welcome, in bytes.
pub const MAX_COMMIT_BYTES: usize = 64 * 1024;
/// The longest package, in bytes.
pub const MAX_PACKAGE_BYTES: usize = 4 * 1024;
/// The most commits of one epoch that a device keeps (chosen: as many can be made before one is chosen; half a MiB).
pub const MAX_CANDIDATES: usize = 8;
/// Keys above which no device renews its part of its own accord: old content is to be encrypted anew first.
pub const MAX_GENERATIONS: usize = 1_024;

cbor_map! {
    /// A commit that would end an epoch of a zone's group, and the welcome for those whom it adds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Commit {
        /// The commit, an `MLSMessage` of RFC 9420.
        pub message: ByteString,
        /// The welcome, an `MLSMessage`; absent if nobody is added.
        pub welcome: Option<ByteString>,
    }
}

cbor_map! {
    /// What a committer says beside a commit: signed with it, and part of the transcript.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Said {
        /// The epoch of the membership that the committer knows.
        pub membership_epoch: u64,
        /// How content is encrypted under the key.
        pub algorithm: ZoneKeyAlgorithm,
        /// For how many seconds the key serves.
        pub max_key_secs: u64,
        /// For how many seconds what others send under the key before is still taken.
        pub overlap_secs: u64,
    }
}

cbor_map! {
    /// What a newcomer is handed with its welcome, for its eyes alone.
    #[derive(Clone, Debug)]
    struct Handover {
        /// Names the zone's objects.
        pub object_id_key: Key,
        /// What is said beside the commit.
        pub said: Said,
        /// The key that the newcomer's first takes over from.
        pub prev_zone_key_id: KeyId,
        /// As many earlier keys as policy gives.
        pub earlier: Vec<Generation>,
    }
}

/// Who is a member, and whose keys are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// The epoch of the membership.
    pub epoch: u64,
    /// The members, by the newest membership that the owner signed.
    pub members: BTreeSet<NodeId>,
    /// The signing keys of all nodes that the owner attested, whether or not they are members still.
    pub keys: BTreeMap<NodeId, VerifyingKey<Node>>,
}

/// Who acts, when, among whom.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// The device.
    pub me: &'a NodeId,
    /// Its signing key.
    pub key: &'a SigningKey<Node>,
    /// The members.
    pub roll: &'a Roll,
    /// The time.
    pub now: UnixTime,
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Make the record durable in place of the one before, sealed: it is secret.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// The record.
        record: SecretBytes,
    },
    /// Give the members this commit, which may be chosen.
    Offer(Commit),
    /// Give the members this package, by which they may add the device.
    Package(Vec<u8>),
    /// The zone has a new key, which serves from now on.
    Rotated {
        /// The group's epoch.
        epoch: u64,
        /// The key.
        zone_key_id: KeyId,
    },
    /// The device was removed, and has no keys any more.
    Left,
}

/// Why a commit is due, the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A device that is no member has the key.
    Removal,
    /// The key ends soon.
    Ending,
    /// A member waits to be added.
    Newcomer,
    /// The device has had its part for too long.
    Update,
}

/// The keys of a zone whose devices agree on them in a group.
#[derive(Debug)]
pub struct GroupKeys {
    policy: Continuous,
    record: Record,
    ring: Option<ZoneKeyRing>,
    packages: BTreeMap<NodeId, Vec<u8>>,
    clock: UnixTime,
    writing: Option<Writing>,
    failed: bool,
    next_batch: u64,
}

/// A write on its way, and what follows once it is durable.
#[derive(Debug)]
struct Writing {
    batch: BatchToken,
    record: Record,
    then: Vec<Output>,
}

impl Commit {
    /// The commit's name, by which one of an epoch is chosen.
    //= docs/spec/zone-keys.md#commits
    pub fn id(&self) -> Option<Digest> {
        let bytes = encode(self).ok()?;
        Some(Digest::from_bytes(Hasher::new("FCP2-ZONE-COMMIT-V1").with(&bytes).finish()))
    }

    fn len(&self) -> usize {
        self.message.0.len().saturating_add(self.welcome.as_ref().map_or(0, |it| it.0.len()))
    }
}

impl Said {
    const fn bounds(&self) -> Bounds {
        Bounds { max_key_secs: self.max_key_secs, overlap_secs: self.overlap_secs }
    }
}

impl GroupKeys {
    /// The keys of a device that is not in the group of `zone`.
    pub fn outside(zone: ZoneId, policy: Continuous) -> Self {
        Self::with(Record::outside(zone), None, policy)
    }

    /// The keys of a device as it stored them.
    ///
    /// # Errors
    /// What makes the record none.
    //= docs/spec/zone-keys.md#the-record
    pub fn restore(record: &SecretBytes, policy: Continuous) -> Result<Self, ShapeError> {
        let record = Record::from_bytes(record)?;
        let refused = |_| ShapeError::Invalid("the keys of a record follow each other");
        let ring = record.ring().map_err(refused)?;
        Ok(Self::with(record, ring, policy))
    }

    fn with(record: Record, ring: Option<ZoneKeyRing>, policy: Continuous) -> Self {
        let (packages, clock) = (BTreeMap::new(), UnixTime::from_secs(0));
        Self { policy, record, ring, packages, clock, writing: None, failed: false, next_batch: 0 }
    }

    /// Begins the zone's group with this device alone, on the key that the owner sealed to it.
    ///
    /// # Errors
    /// [`Refusal::Inside`], and as every write.
    //= docs/spec/zone-keys.md#beginning
    pub fn found(
        &mut self,
        keys: &OpenedZoneKeys,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        if self.record.membership.is_some() {
            return Err(Refusal::Inside);
        }
        if *keys.zone_id() != self.record.zone_id {
            return Err(Refusal::Ring(KeyRingError::OtherZone));
        }
        let place = Place::found(&mut self.actor(seat, entropy))?;
        let copy = |bytes: &[u8; 32]| Key(Zeroizing::new(*bytes));
        let mut record = Record::outside(self.record.zone_id.clone());
        record.object_id_key = Some(copy(keys.object_id_key().expose()));
        let key = copy(keys.zone_key().expose());
        record.generations.push(Generation { terms: keys.terms().clone(), key });
        record.membership = Some(Membership {
            place,
            epoch: 0,
            roster: [seat.me.clone()].into(),
            leaf_since: self.clock,
            candidates: Vec::new(),
        });
        self.persist(record, Vec::new(), out)
    }

    /// Makes a package by which the members may add the device, or take it in again if it has lost its place.
    ///
    /// # Errors
    /// [`Refusal::Inside`], and as every write.
    //= docs/spec/zone-keys.md#newcomers
    pub fn ask(
        &mut self,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        if self.record.membership.is_some() {
            return Err(Refusal::Inside);
        }
        let (secrets, package) = group::package(self.clock, &mut self.actor(seat, entropy))?;
        let mut record = self.record.clone();
        record.package = Some(secrets);
        self.persist(record, [Output::Package(package)].into(), out)
    }

    /// Takes the commit that was chosen to end the epoch, at the certified time of the choice: of a member the next
    /// epoch begins, and a newcomer whom it adds is in. One of an epoch that has ended changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Epoch`] with the own epoch if it is one to come: those between are to be taken first.
    //= docs/spec/zone-keys.md#one-commit-an-epoch
    pub fn handle_decided(
        &mut self,
        commit: &Commit,
        decided_at: UnixTime,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        let ends = Self::epoch_of(commit)?;
        let Some(membership) = &self.record.membership else {
            return self.join(commit, decided_at, seat, entropy, out);
        };
        if ends != membership.epoch {
            return if ends < membership.epoch { Ok(()) } else { Err(Refusal::Epoch(membership.epoch)) };
        }
        let known = membership.candidates.iter().find(|it| it.commit == *commit);
        let own = known.and_then(|it| it.secrets.as_ref());
        let next = membership.place.after(commit, own, &mut self.actor(seat, entropy))?;
        let said = Self::said(&next.said)?;
        let mut record = self.record.clone();
        let Some(seated) = next.seat else {
            return self.persist(Record::outside(record.zone_id), [Output::Left].into(), out);
        };
        let leaf_since = if next.committer == *seat.me { self.clock } else { membership.leaf_since };
        let prev = self.ring.as_ref().map(ZoneKeyRing::newest).transpose()?;
        let valid_from = prev.map_or(decided_at, |(_, terms)| terms.valid_from.max(decided_at));
        let terms = said.bounds().terms(said.algorithm, valid_from, prev.map(|(id, _)| id));
        record.generations.push(Generation { terms, key: Key(seated.key) });
        record.membership = Some(Membership {
            place: seated.place,
            epoch: seated.epoch,
            roster: next.roster,
            leaf_since,
            candidates: Vec::new(),
        });
        self.begin(record, seated.epoch, out)
    }

    fn join(
        &mut self,
        commit: &Commit,
        decided_at: UnixTime,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let (Some(package), Some(welcome)) = (&self.record.package, &commit.welcome) else {
            return Err(Refusal::Outside);
        };
        let (next, handed) = group::join(package, &welcome.0, &mut self.actor(seat, entropy))?;
        let Next { seat: Some(seated), roster, .. } = next else { return Err(Refusal::Mls) };
        let Handover { object_id_key, said, prev_zone_key_id, earlier } = candidates::handover(&handed)?;
        let terms = said.bounds().terms(said.algorithm, decided_at, Some(prev_zone_key_id));
        let mut record = Record::outside(self.record.zone_id.clone());
        record.object_id_key = Some(object_id_key);
        record.generations = earlier;
        record.generations.push(Generation { terms, key: Key(seated.key) });
        record.membership = Some(Membership {
            place: seated.place,
            epoch: seated.epoch,
            roster,
            leaf_since: self.clock,
            candidates: Vec::new(),
        });
        self.begin(record, seated.epoch, out)
    }

    /// Makes the record of a new epoch durable, and then says what its key is.
    fn begin(&mut self, record: Record, epoch: u64, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let ring = record.ring()?;
        let newest = ring.as_ref().map(ZoneKeyRing::newest).transpose()?;
        let rotated = newest.map(|(zone_key_id, _)| Output::Rotated { epoch, zone_key_id });
        self.persist(record, rotated.into_iter().collect(), out)
    }

    /// Takes what became of the write `batch`. What depended on it follows only if it is durable.
    //= docs/spec/zone-keys.md#the-record
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion, out: &mut Vec<Output>) {
        let Some(written) = self.writing.take_if(|it| it.batch == batch) else { return };
        match (completion, written.record.ring()) {
            (Completion::Durable, Ok(ring)) => {
                (self.record, self.ring) = (written.record, ring);
                let roster = self.record.membership.as_ref().map(|it| &it.roster);
                self.packages.retain(|node, _| roster.is_some_and(|roster| !roster.contains(node)));
                out.extend(written.then);
            }
            (Completion::Refused(_), _) => {}
            (Completion::Durable, Err(_)) | (Completion::Failed, _) => self.failed = true,
        }
    }

    /// The key to seal with. While a device that is no member has the newest key, there is none.
    ///
    /// # Errors
    /// [`Refusal::Outside`], [`Refusal::RemovalDue`], [`Refusal::Failed`], or as [`ZoneKeyRing::sealing_key`].
    //= docs/spec/zone-keys.md#removal
    //= docs/spec/zone-keys.md#what-holds
    pub fn sealing_key(&self, seat: &Seat<'_>) -> Result<RingKey<'_>, Refusal> {
        if self.failed {
            return Err(Refusal::Failed);
        }
        let membership = self.record.membership.as_ref().ok_or(Refusal::Outside)?;
        if !membership.roster.is_subset(&seat.roll.members) {
            return Err(Refusal::RemovalDue);
        }
        Ok(self.ring()?.sealing_key(seat.now.max(self.clock))?)
    }

    /// The device's keys, to open with.
    ///
    /// # Errors
    /// [`Refusal::Outside`] if it has none.
    pub fn ring(&self) -> Result<&ZoneKeyRing, Refusal> {
        self.ring.as_ref().ok_or(Refusal::Outside)
    }

    /// The group's epoch and who is in it, if the device is.
    pub fn group(&self) -> Option<(u64, &BTreeSet<NodeId>)> {
        self.record.membership.as_ref().map(|it| (it.epoch, &it.roster))
    }

    /// Whether a write is on its way.
    pub const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Forgets the keys before `id`: all content under them has been encrypted anew.
    ///
    /// # Errors
    /// [`Refusal::Ring`] if others may still send under one of them, or there is no such key.
    //= docs/spec/zone-keys.md#keys-that-are-kept
    pub fn retire_before(&mut self, id: KeyId, now: UnixTime, out: &mut Vec<Output>) -> Result<(), Refusal> {
        self.ready(now)?;
        let names: Vec<_> = self.record.generations.iter().map(|it| key_id(&it.key)).collect();
        let at = names.iter().position(|name| *name == id).ok_or(KeyRingError::Unknown(id))?;
        for name in &names[..at] {
            if self.ring()?.receiving_key(*name, self.clock).is_ok() {
                return Err(Refusal::Ring(KeyRingError::InUse(*name)));
            }
        }
        let mut record = self.record.clone();
        record.generations.drain(..at);
        self.persist(record, Vec::new(), out)
    }

    /// Whether a write may begin; and time goes on.
    fn ready(&mut self, now: UnixTime) -> Result<(), Refusal> {
        self.clock = self.clock.max(now);
        match (self.failed, &self.writing) {
            (true, _) => Err(Refusal::Failed),
            (false, Some(_)) => Err(Refusal::Writing),
            (false, None) => Ok(()),
        }
    }

    fn persist(&mut self, record: Record, then: Vec<Output>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let bytes = record.to_bytes().map_err(|_| Refusal::NotEncodable)?;
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.writing = Some(Writing { batch, record, then });
        out.push(Output::Persist { batch, record: bytes });
        Ok(())
    }

    const fn actor<'a>(&'a self, seat: &Seat<'a>, entropy: &'a mut Entropy) -> Actor<'a> {
        Actor { me: seat.me, key: seat.key, roll: seat.roll, zone: &self.record.zone_id, entropy }
    }
}

fn key_id(key: &Key) -> KeyId {
    fcp_proto_core::object::ZoneKey::from_bytes(key.0.clone()).key_id()
}
