//! The keys of a zone whose owner seals them to each device: with or without an end.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::hpke::OpeningKey;
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::{KeyId, NodeId};
use fcp_proto_core::object::{KeyManifestError, Object, OpenedZoneKeys, Signed, ZoneKeyManifest};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{KeyRingError, RingKey, ZoneKeyRing};

use super::policy::is_ending;
use super::{Bounds, Due};
use crate::persist::{BatchToken, Completion};

/// A manifest with the owner's signature.
type Manifest = Object<Signed<ZoneKeyManifest>>;

/// What the machine wants done.
#[derive(Debug)]
pub enum ManifestOutput {
    /// Make the manifest durable.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// The manifest.
        manifest: Box<Manifest>,
    },
    /// The zone has a new key.
    Rotated(KeyId),
}

/// Why a manifest is not taken, or no key given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestRefusal {
    /// A write is on its way: ask again when it is complete.
    Writing,
    /// A write failed: nothing more until a restart.
    Failed,
    /// The device has no keys of the zone.
    Outside,
    /// The manifest gives this device no keys.
    Manifest(KeyManifestError),
    /// The key would serve longer than the zone's mode allows, or without an end.
    Bounds,
    /// A device that is no member has the newest key, so nothing is sealed under it.
    RemovalDue,
    /// The ring of keys refuses.
    Ring(KeyRingError),
}

impl fmt::Display for ManifestRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing => f.write_str("a write is on its way"),
            Self::Failed => f.write_str("a write failed: restart"),
            Self::Outside => f.write_str("the device has no keys of the zone"),
            Self::Manifest(error) => error.fmt(f),
            Self::Bounds => f.write_str("the key would not serve as the zone's mode says"),
            Self::RemovalDue => f.write_str("a device that is no member has the key"),
            Self::Ring(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ManifestRefusal {}

impl From<KeyRingError> for ManifestRefusal {
    fn from(error: KeyRingError) -> Self {
        Self::Ring(error)
    }
}

/// Who opens manifests, and whose.
#[derive(Debug)]
pub struct Recipient<'a, K> {
    /// The owner's key.
    pub owner: &'a VerifyingKey<Owner>,
    /// The device.
    pub me: &'a NodeId,
    /// The key that manifests are sealed to.
    pub key: &'a K,
}

/// The keys of a zone that come in manifests.
#[derive(Debug, Default)]
pub struct ManifestKeys {
    bounds: Option<Bounds>,
    held: Option<Held>,
    clock: UnixTime,
    writing: Option<Writing>,
    failed: bool,
    next_batch: u64,
}

/// The ring, and who has its newest key.
#[derive(Debug)]
struct Held {
    ring: ZoneKeyRing,
    holders: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Writing {
    batch: BatchToken,
    keys: OpenedZoneKeys,
    holders: BTreeSet<NodeId>,
}

impl ManifestKeys {
    /// The keys of a zone of which this device has none yet; they keep to `bounds`, if keys are to have an end.
    pub fn new(bounds: Option<Bounds>) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The keys that the stored manifests give, in the order in which they were taken.
    ///
    /// # Errors
    /// Why one of them gives none.
    //= docs/spec/sealing.md#key-rings
    pub fn restore<'a, K: OpeningKey>(
        bounds: Option<Bounds>,
        stored: impl IntoIterator<Item = &'a Manifest>,
        recipient: &Recipient<'_, K>,
    ) -> Result<Self, ManifestRefusal> {
        let mut this = Self::new(bounds);
        for manifest in stored {
            let keys = open(manifest, recipient)?;
            this.apply(keys, holders(manifest))?;
        }
        Ok(this)
    }

    /// Takes a manifest: its key is here once it is durable.
    ///
    /// # Errors
    /// Why it is not taken; nothing has changed then.
    //= docs/spec/zone-keys.md#epochs
    pub fn handle_manifest<K: OpeningKey>(
        &mut self,
        manifest: &Manifest,
        recipient: &Recipient<'_, K>,
        now: UnixTime,
        out: &mut Vec<ManifestOutput>,
    ) -> Result<(), ManifestRefusal> {
        self.clock = self.clock.max(now);
        if self.failed {
            return Err(ManifestRefusal::Failed);
        }
        if self.writing.is_some() {
            return Err(ManifestRefusal::Writing);
        }
        let keys = open(manifest, recipient)?;
        if self.bounds.is_some_and(|bounds| !bounds.hold(keys.terms())) {
            return Err(ManifestRefusal::Bounds);
        }
        if let Some(held) = &self.held {
            held.ring.judge(&keys)?;
        }
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.writing = Some(Writing { batch, keys, holders: holders(manifest) });
        out.push(ManifestOutput::Persist { batch, manifest: Box::new(manifest.clone()) });
        Ok(())
    }

    /// Takes what became of the write `batch`. The key is used only if it is durable.
    //= docs/spec/zone-keys.md#the-record
    pub fn handle_stored(
        &mut self,
        batch: BatchToken,
        completion: Completion,
        out: &mut Vec<ManifestOutput>,
    ) {
        let Some(written) = self.writing.take_if(|it| it.batch == batch) else { return };
        match completion {
            Completion::Durable => {
                let id = written.keys.zone_key().key_id();
                match self.apply(written.keys, written.holders) {
                    Ok(()) => out.push(ManifestOutput::Rotated(id)),
                    Err(_) => self.failed = true,
                }
            }
            Completion::Refused(_) => {}
            Completion::Failed => self.failed = true,
        }
    }

    /// Why the owner is to seal another key, if so: the most pressing reason.
    //= docs/spec/zone-keys.md#due
    pub fn due(&self, members: &BTreeSet<NodeId>, now: UnixTime) -> Option<Due> {
        let held = self.held.as_ref()?;
        let (_, terms) = held.ring.newest().ok()?;
        if !held.holders.is_subset(members) {
            Some(Due::Removal)
        } else if is_ending(terms, now.max(self.clock)) {
            Some(Due::Ending)
        } else {
            (!members.is_subset(&held.holders)).then_some(Due::Newcomer)
        }
    }

    /// The key to seal with. While a device that is no member has the newest key, there is none.
    ///
    /// # Errors
    /// [`ManifestRefusal::Failed`], [`ManifestRefusal::Outside`], [`ManifestRefusal::RemovalDue`], or as
    /// [`ZoneKeyRing::sealing_key`].
    //= docs/spec/zone-keys.md#removal
    pub fn sealing_key(
        &self,
        members: &BTreeSet<NodeId>,
        now: UnixTime,
    ) -> Result<RingKey<'_>, ManifestRefusal> {
        if self.failed {
            return Err(ManifestRefusal::Failed);
        }
        let held = self.held.as_ref().ok_or(ManifestRefusal::Outside)?;
        if !held.holders.is_subset(members) {
            return Err(ManifestRefusal::RemovalDue);
        }
        Ok(held.ring.sealing_key(now.max(self.clock))?)
    }

    /// The device's keys, to open with.
    ///
    /// # Errors
    /// [`ManifestRefusal::Outside`] if it has none.
    pub fn ring(&self) -> Result<&ZoneKeyRing, ManifestRefusal> {
        self.held.as_ref().map(|held| &held.ring).ok_or(ManifestRefusal::Outside)
    }

    fn apply(&mut self, keys: OpenedZoneKeys, holders: BTreeSet<NodeId>) -> Result<(), KeyRingError> {
        if let Some(held) = &mut self.held {
            if held.ring.judge(&keys)? {
                held.holders = holders;
            } else {
                // A key that is sealed to others has not left those who had it.
                held.holders.extend(holders);
            }
            held.ring.apply(keys)?;
        } else {
            self.held = Some(Held { ring: ZoneKeyRing::new(keys), holders });
        }
        Ok(())
    }
}

fn open<K: OpeningKey>(
    manifest: &Manifest,
    recipient: &Recipient<'_, K>,
) -> Result<OpenedZoneKeys, ManifestRefusal> {
    let keys = manifest.open_keys(recipient.owner, recipient.me, recipient.key);
    keys.map_err(ManifestRefusal::Manifest)
}

fn holders(manifest: &Manifest) -> BTreeSet<NodeId> {
    manifest.body.fields.wrapped_keys.recipients().cloned().collect()
}
