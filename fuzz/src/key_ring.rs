//! A device's key ring, of manifests that the owner's key has signed and sealed to it, whatever they say.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hpke::OpeningKey;
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::object::{
    Header, Object, ObjectIdKey, OpenedZoneKeys, Signed, SignedBody, StoredObject, ZoneKey, ZoneKeyAlgorithm,
    ZoneKeyManifest, ZoneKeyTerms,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level, ZoneKeyRing};
use zeroize::Zeroizing;

/// Steps of one run.
const MOST_STEPS: usize = 12;

/// Zone keys that there are, so that manifests name each other's.
const ZONE_KEYS: u8 = 4;

/// What happens to the ring.
#[derive(Debug, Arbitrary)]
enum Step {
    /// A manifest comes.
    Manifest(Manifest),
    /// A key is to go.
    Retire { key: u8, at: u16 },
    /// A key goes at once.
    Revoke { key: u8 },
    /// It is asked for keys.
    Ask { key: u8, at: u16 },
}

/// What a manifest says.
#[derive(Debug, Arbitrary)]
struct Manifest {
    other_zone: bool,
    zone_key: u8,
    other_object_id_key: bool,
    previous: Option<u8>,
    from: u16,
    until: Option<u16>,
    overlap: u16,
}

/// A device, and the owner who signs.
struct Device {
    owner: SigningKey<Owner>,
    key: EncryptionKey,
    node: NodeId,
    ring: Option<ZoneKeyRing>,
    /// Keys that were revoked or retired.
    gone: BTreeSet<KeyId>,
    entropy: Entropy,
}

/// A ring answers whatever it was built of; it gives only keys that serve.
pub(crate) fn schedule(input: &[u8]) {
    if let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(input)) {
        Device::after(&steps);
    }
}

impl Device {
    fn new() -> Self {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([5; 32]));
        Self {
            owner: SigningKey::generate(&mut entropy),
            key: EncryptionKey::generate(&mut entropy),
            node: NodeId::new("laptop").expect("a node"),
            ring: None,
            gone: BTreeSet::new(),
            entropy,
        }
    }

    fn after(steps: &[Step]) -> Self {
        let mut device = Self::new();
        steps.iter().take(MOST_STEPS).for_each(|step| device.step(step));
        device
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Manifest(manifest) => {
                if let Some(keys) = self.open(manifest) {
                    self.take(keys);
                }
            }
            Step::Retire { key, at } => {
                let id = zone_key(*key).key_id();
                if self.ring.as_mut().is_some_and(|ring| ring.retire(id, time(*at)).is_ok()) {
                    self.gone.insert(id);
                }
            }
            Step::Revoke { key } => {
                let id = zone_key(*key).key_id();
                if self.ring.as_mut().is_some_and(|ring| ring.revoke(id).is_ok()) {
                    self.gone.insert(id);
                }
            }
            Step::Ask { key, at } => self.ask(zone_key(*key).key_id(), time(*at)),
        }
    }

    /// What the device has of a manifest: signed and sealed as it is, stored, read and opened.
    fn open(&mut self, manifest: &Manifest) -> Option<OpenedZoneKeys> {
        let zone = ZoneId::new(if manifest.other_zone { "z:owner" } else { "z:work" }).expect("a zone");
        let terms = ZoneKeyTerms {
            algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
            valid_from: time(manifest.from),
            valid_until: manifest.until.map(time),
            prev_zone_key_id: manifest.previous.map(|key| zone_key(key).key_id()),
            overlap_secs: time(manifest.overlap).as_secs(),
        };
        let object_id_key =
            ObjectIdKey::from_bytes(Zeroizing::new([100 + u8::from(manifest.other_object_id_key); 32]));
        let keys = (&zone_key(manifest.zone_key), &object_id_key);
        let recipients = BTreeMap::from([(self.node.clone(), self.key.recipient())]);
        let now = UnixTime::from_secs(1);
        let sealed = ZoneKeyManifest::seal(&zone, terms, keys, &recipients, now, &mut self.entropy);
        let label = Label::trusted(Level::WORK);
        let header = Header::new(&<ZoneKeyManifest as SignedBody>::SCHEMA, &zone, now, label, None);
        let signed = Object::<Signed<_>>::sign(header, sealed.expect("one device"), &self.owner);
        let stored = signed.expect("small").store().expect("small").to_bytes().expect("small");
        let read: Object<Signed<ZoneKeyManifest>> =
            StoredObject::from_bytes(&stored).expect("an object").open().ok()?;
        let opened = read.open_keys(&self.owner.verifying_key(), &self.node, &self.key);
        Some(opened.expect("signed by the owner and sealed to this device"))
    }

    fn take(&mut self, keys: OpenedZoneKeys) {
        let Some(ring) = &mut self.ring else {
            self.ring = Some(ZoneKeyRing::new(keys));
            return;
        };
        let judged = ring.judge(&keys).map(|_| ());
        assert_eq!(ring.apply(keys), judged);
    }

    fn ask(&self, id: KeyId, now: UnixTime) {
        let Some(ring) = &self.ring else { return };
        assert!(ring.newest().is_ok() && ring.object_id_key().is_ok());
        if let Ok(key) = ring.sealing_key(now) {
            assert_eq!(key.key.key_id(), key.id);
            assert!(!self.gone.contains(&key.id), "what is gone seals nothing");
            assert!(ring.receiving_key(key.id, now).is_ok(), "what is sealed now is opened now");
        }
        if ring.receiving_key(id, now).is_ok() {
            assert!(ring.reading_key(id).is_ok(), "what is opened now is read later");
        }
        assert!(!(self.gone.contains(&id) && ring.reading_key(id).is_ok()), "what is gone is gone");
    }
}

/// One of a few zone keys.
fn zone_key(number: u8) -> ZoneKey {
    ZoneKey::from_bytes(Zeroizing::new([number % ZONE_KEYS; 32]))
}

/// A time, or the end of all.
fn time(secs: u16) -> UnixTime {
    UnixTime::from_secs(if secs == u16::MAX { u64::MAX } else { u64::from(secs) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_manifests_are_taken_in_turn() {
        let manifest = |zone_key, previous| {
            let from = 10 * u16::from(zone_key);
            let (other_zone, other_object_id_key, until, overlap) = (false, false, None, 3);
            Step::Manifest(Manifest {
                other_zone,
                zone_key,
                other_object_id_key,
                previous,
                from,
                until,
                overlap,
            })
        };
        let device =
            Device::after(&[manifest(1, None), manifest(2, Some(1)), Step::Retire { key: 1, at: 23 }]);
        let ring = device.ring.expect("built");
        assert_eq!(ring.newest().map(|(id, _)| id), Ok(zone_key(2).key_id()));
        assert_eq!(device.gone, BTreeSet::from([zone_key(1).key_id()]));
    }
}
