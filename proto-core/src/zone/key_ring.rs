//! The keys of one zone that a device has: the one it seals with, and earlier ones it still opens with.

use alloc::collections::BTreeMap;
use core::fmt;

use zeroize::Zeroizing;

use crate::ids::{KeyId, ZoneId};
use crate::object::{ObjectIdKey, OpenedZoneKeys, ZoneKey, ZoneKeyAlgorithm, ZoneKeyTerms};
use crate::time::UnixTime;

/// The keys of one zone, each found by its id.
///
/// ```text
///            valid_from of the next        + overlap_secs          retire
/// sealing ───────────────────────► receiving ───────────► reading ──────► gone, and remembered as gone
/// ```
#[derive(Debug)]
pub struct ZoneKeyRing {
    zone_id: ZoneId,
    zone_keys: BTreeMap<KeyId, Entry>,
    newest: KeyId,
    object_id_keys: BTreeMap<KeyId, ObjectIdKey>,
    object_id_key: KeyId,
}

/// A zone key and what its manifest says of it.
#[derive(Debug)]
struct Entry {
    /// Wiped when the key is retired; the rest stays, so that the key cannot come back.
    key: Option<ZoneKey>,
    terms: ZoneKeyTerms,
    /// The key that was the newest when this one was taken. Terms name whom they like; this names an earlier one only.
    earlier: Option<KeyId>,
    /// Until when others may still send under it, once there is a next key.
    receive_until: Option<UnixTime>,
}

/// A key of the ring.
#[derive(Clone, Copy, Debug)]
pub struct RingKey<'a> {
    /// The key's id.
    pub id: KeyId,
    /// How content is encrypted under it.
    pub algorithm: ZoneKeyAlgorithm,
    /// The key.
    pub key: &'a ZoneKey,
}

/// Why the ring has no key, or takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRingError {
    /// The keys are of another zone.
    OtherZone,
    /// The key does not take over from the newest one, but from this one.
    NotNext(Option<KeyId>),
    /// The key would serve from before the one it takes over from.
    NotLater,
    /// The ring has had a key of this id, on other terms or before the newest one.
    Known,
    /// No key of this id was ever here.
    Unknown(KeyId),
    /// The key is not valid now.
    NotValid(KeyId),
    /// The key was retired.
    Retired(KeyId),
    /// The key still serves.
    InUse(KeyId),
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherZone => f.write_str("the keys are of another zone"),
            Self::NotNext(Some(other)) => {
                write!(f, "the key takes over from {other}, which is not the newest")
            }
            Self::NotNext(None) => f.write_str("the key takes over from none, and there is one"),
            Self::NotLater => f.write_str("the key would serve from before the one it takes over from"),
            Self::Known => f.write_str("the key was here before"),
            Self::Unknown(id) => write!(f, "there is no zone key {id}"),
            Self::NotValid(id) => write!(f, "the zone key {id} is not valid now"),
            Self::Retired(id) => write!(f, "the zone key {id} was retired"),
            Self::InUse(id) => write!(f, "the zone key {id} still serves"),
        }
    }
}

impl core::error::Error for KeyRingError {}

impl ZoneKeyRing {
    /// A ring that begins with `keys`.
    pub fn new(keys: OpenedZoneKeys) -> Self {
        let OpenedZoneKeys { zone_id, terms, zone_key, object_id_key } = keys;
        let (newest, names) = (zone_key.key_id(), object_id_key.key_id());
        let first = Entry { key: Some(zone_key), terms, earlier: None, receive_until: None };
        Self {
            zone_id,
            zone_keys: BTreeMap::from([(newest, first)]),
            newest,
            object_id_keys: BTreeMap::from([(names, object_id_key)]),
            object_id_key: names,
        }
    }

    /// A ring that begins with keys that the zone's group agreed on, or handed over to this device.
    //= docs/spec/zone-keys.md#the-key-of-an-epoch
    pub fn of_group(
        zone_id: ZoneId,
        terms: ZoneKeyTerms,
        zone_key: ZoneKey,
        object_id_key: ObjectIdKey,
    ) -> Self {
        Self::new(OpenedZoneKeys { zone_id, terms, zone_key, object_id_key })
    }

    /// Takes the next key that the zone's group agreed on. The object-id key stays.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    //= docs/spec/zone-keys.md#the-key-of-an-epoch
    pub fn advance(&mut self, terms: ZoneKeyTerms, zone_key: ZoneKey) -> Result<(), KeyRingError> {
        let object_id_key = ObjectIdKey::from_bytes(Zeroizing::new(*self.object_id_key()?.expose()));
        self.apply(OpenedZoneKeys { zone_id: self.zone_id.clone(), terms, zone_key, object_id_key })
    }

    /// Whether [`apply`](Self::apply) would take `keys`, and whether they are other than those that are here.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    //= docs/spec/sealing.md#key-rings
    pub fn judge(&self, keys: &OpenedZoneKeys) -> Result<bool, KeyRingError> {
        if keys.zone_id != self.zone_id {
            return Err(KeyRingError::OtherZone);
        }
        let (id, names) = (keys.zone_key.key_id(), keys.object_id_key.key_id());
        if let Some(known) = self.zone_keys.get(&id) {
            let same = id == self.newest && known.terms == keys.terms && names == self.object_id_key;
            return if same { Ok(false) } else { Err(KeyRingError::Known) };
        }
        if keys.terms.prev_zone_key_id != Some(self.newest) {
            return Err(KeyRingError::NotNext(keys.terms.prev_zone_key_id));
        }
        if keys.terms.valid_from < self.entry(self.newest)?.terms.valid_from {
            return Err(KeyRingError::NotLater);
        }
        Ok(true)
    }

    /// Takes the keys of the next manifest. One that seals the newest key to other devices changes nothing here.
    ///
    /// # Errors
    /// Why it is not the next; the ring is then as before.
    //= docs/spec/sealing.md#key-rings
    pub fn apply(&mut self, keys: OpenedZoneKeys) -> Result<(), KeyRingError> {
        if !self.judge(&keys)? {
            return Ok(());
        }
        let (id, names) = (keys.zone_key.key_id(), keys.object_id_key.key_id());
        let end = keys.terms.valid_from.as_secs().saturating_add(keys.terms.overlap_secs);
        let newest = self.zone_keys.get_mut(&self.newest).ok_or(KeyRingError::Unknown(self.newest))?;
        newest.receive_until = Some(UnixTime::from_secs(end));
        let (key, earlier) = (Some(keys.zone_key), Some(self.newest));
        let entry = Entry { key, terms: keys.terms, earlier, receive_until: None };
        self.zone_keys.insert(id, entry);
        self.newest = id;
        self.object_id_keys.entry(names).or_insert(keys.object_id_key);
        self.object_id_key = names;
        Ok(())
    }

    /// The newest key's id, and on what terms it serves.
    ///
    /// # Errors
    /// None in practice: a ring always has one.
    pub fn newest(&self) -> Result<(KeyId, &ZoneKeyTerms), KeyRingError> {
        Ok((self.newest, &self.entry(self.newest)?.terms))
    }

    /// The key to seal with at `now`: the newest that has begun to serve.
    ///
    /// # Errors
    /// [`KeyRingError::NotValid`] or [`KeyRingError::Retired`]; an earlier key never stands in for one that has ended.
    //= docs/spec/sealing.md#key-rings
    pub fn sealing_key(&self, now: UnixTime) -> Result<RingKey<'_>, KeyRingError> {
        let mut id = self.newest;
        loop {
            let entry = self.entry(id)?;
            if entry.terms.valid_from <= now {
                break if entry.has_ended(now) {
                    Err(KeyRingError::NotValid(id))
                } else {
                    self.reading_key(id)
                };
            }
            id = entry.earlier.ok_or(KeyRingError::NotValid(id))?;
        }
    }

    /// The key `id` to open what another device sent at `now`. A key that is about to serve is taken, because the
    /// sender's clock may be ahead.
    ///
    /// # Errors
    /// [`KeyRingError::Unknown`], [`KeyRingError::NotValid`] or [`KeyRingError::Retired`].
    //= docs/spec/sealing.md#key-rings
    pub fn receiving_key(&self, id: KeyId, now: UnixTime) -> Result<RingKey<'_>, KeyRingError> {
        let entry = self.entry(id)?;
        if entry.has_ended(now) || entry.receive_until.is_some_and(|end| end <= now) {
            return Err(KeyRingError::NotValid(id));
        }
        self.reading_key(id)
    }

    /// The key `id` to open what is stored here, however old.
    ///
    /// # Errors
    /// [`KeyRingError::Unknown`] or [`KeyRingError::Retired`].
    pub fn reading_key(&self, id: KeyId) -> Result<RingKey<'_>, KeyRingError> {
        let entry = self.entry(id)?;
        let key = entry.key.as_ref().ok_or(KeyRingError::Retired(id))?;
        Ok(RingKey { id, algorithm: entry.terms.algorithm, key })
    }

    /// The key that names new objects.
    ///
    /// # Errors
    /// None in practice: a ring always has one.
    pub fn object_id_key(&self) -> Result<&ObjectIdKey, KeyRingError> {
        self.earlier_object_id_key(self.object_id_key)
    }

    /// The object-id key `id`, under which earlier objects may have been named.
    ///
    /// # Errors
    /// [`KeyRingError::Unknown`].
    pub fn earlier_object_id_key(&self, id: KeyId) -> Result<&ObjectIdKey, KeyRingError> {
        self.object_id_keys.get(&id).ok_or(KeyRingError::Unknown(id))
    }

    /// Wipes a key that serves for nothing but old content, which must have been encrypted anew before.
    ///
    /// # Errors
    /// [`KeyRingError::InUse`] while it seals or others may send under it; [`KeyRingError::Unknown`].
    //= docs/spec/sealing.md#key-rings
    pub fn retire(&mut self, id: KeyId, now: UnixTime) -> Result<(), KeyRingError> {
        if id == self.newest || self.receiving_key(id, now).is_ok() {
            return Err(KeyRingError::InUse(id));
        }
        self.revoke(id)
    }

    /// Wipes a key at once, because it was revoked. If it is the one to seal with, nothing is sealed until the next
    /// manifest.
    ///
    /// # Errors
    /// [`KeyRingError::Unknown`].
    //= docs/spec/sealing.md#key-rings
    pub fn revoke(&mut self, id: KeyId) -> Result<(), KeyRingError> {
        self.zone_keys.get_mut(&id).ok_or(KeyRingError::Unknown(id))?.key = None;
        Ok(())
    }

    fn entry(&self, id: KeyId) -> Result<&Entry, KeyRingError> {
        self.zone_keys.get(&id).ok_or(KeyRingError::Unknown(id))
    }
}

impl Entry {
    fn has_ended(&self, now: UnixTime) -> bool {
        self.terms.valid_until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use zeroize::Zeroizing;

    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    /// The zone key whose bytes are all `number`.
    fn zone_key(number: u8) -> ZoneKey {
        ZoneKey::from_bytes(Zeroizing::new([number; 32]))
    }

    fn id(number: u8) -> KeyId {
        zone_key(number).key_id()
    }

    /// The keys of a manifest whose zone key is `number`, valid from ten times that.
    fn keys(number: u8, prev: Option<u8>, overlap_secs: u64) -> OpenedZoneKeys {
        OpenedZoneKeys {
            zone_id: ZoneId::new("z:work").expect("a zone"),
            terms: ZoneKeyTerms {
                algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
                valid_from: at(10 * u64::from(number)),
                valid_until: None,
                prev_zone_key_id: prev.map(id),
                overlap_secs,
            },
            zone_key: zone_key(number),
            object_id_key: ObjectIdKey::from_bytes(Zeroizing::new([100; 32])),
        }
    }

    fn ring() -> ZoneKeyRing {
        let mut ring = ZoneKeyRing::new(keys(1, None, 0));
        ring.apply(keys(2, Some(1), 3)).expect("the next");
        ring
    }

    fn sealing(ring: &ZoneKeyRing, secs: u64) -> Result<KeyId, KeyRingError> {
        ring.sealing_key(at(secs)).map(|key| key.id)
    }

    #[test]
    fn the_newest_key_that_has_begun_seals() {
        let ring = ring();
        assert_eq!(sealing(&ring, 9), Err(KeyRingError::NotValid(id(1))));
        assert_eq!(sealing(&ring, 10), Ok(id(1)));
        assert_eq!(sealing(&ring, 19), Ok(id(1)));
        assert_eq!(sealing(&ring, 20), Ok(id(2)));
        assert_eq!(ring.sealing_key(at(20)).expect("valid").key, &zone_key(2));
    }

    //= docs/spec/sealing.md#key-rings
    #[test]
    fn keys_that_name_each_other_make_no_circle() {
        for (first, second) in
            [(keys(1, Some(1), 0), keys(2, Some(1), 0)), (keys(1, Some(2), 0), keys(2, Some(1), 0))]
        {
            let mut ring = ZoneKeyRing::new(first);
            assert_eq!(sealing(&ring, 9), Err(KeyRingError::NotValid(id(1))));
            ring.apply(second).expect("the next");
            assert_eq!(sealing(&ring, 9), Err(KeyRingError::NotValid(id(1))));
            assert_eq!(sealing(&ring, 10), Ok(id(1)));
        }
    }

    #[test]
    fn nothing_stands_in_for_a_key_that_has_ended() {
        let mut ring = ring();
        let mut last = keys(3, Some(2), 0);
        last.terms.valid_until = Some(at(40));
        ring.apply(last).expect("the next");
        assert_eq!(sealing(&ring, 39), Ok(id(3)));
        assert_eq!(sealing(&ring, 40), Err(KeyRingError::NotValid(id(3))));
        let received = ring.receiving_key(id(3), at(40)).map(|_| ());
        assert_eq!(received, Err(KeyRingError::NotValid(id(3))));
        assert!(ring.reading_key(id(3)).is_ok());
    }

    #[test]
    fn an_earlier_key_is_received_for_the_overlap_and_read_for_ever() {
        let ring = ring();
        assert!(ring.receiving_key(id(1), at(22)).is_ok());
        assert_eq!(ring.receiving_key(id(1), at(23)).map(|_| ()), Err(KeyRingError::NotValid(id(1))));
        assert!(ring.reading_key(id(1)).is_ok());
        assert!(ring.receiving_key(id(2), at(0)).is_ok(), "the sender's clock may be ahead");
        assert_eq!(ring.reading_key(id(9)).map(|_| ()), Err(KeyRingError::Unknown(id(9))));
    }

    //= docs/spec/sealing.md#key-rings
    #[test]
    fn only_the_next_manifest_is_applied() {
        let mut ring = ring();
        let mut elsewhere = keys(3, Some(2), 0);
        elsewhere.zone_id = ZoneId::new("z:owner").expect("a zone");
        let mut earlier = keys(3, Some(2), 0);
        earlier.terms.valid_from = at(19);
        let mut other_terms = keys(2, Some(1), 3);
        other_terms.terms.overlap_secs = 4;
        let mut other_names = keys(2, Some(1), 3);
        other_names.object_id_key = ObjectIdKey::from_bytes(Zeroizing::new([101; 32]));
        for (keys, error) in [
            (elsewhere, KeyRingError::OtherZone),
            (keys(3, Some(1), 0), KeyRingError::NotNext(Some(id(1)))),
            (keys(3, None, 0), KeyRingError::NotNext(None)),
            (earlier, KeyRingError::NotLater),
            (keys(1, None, 0), KeyRingError::Known),
            (other_terms, KeyRingError::Known),
            (other_names, KeyRingError::Known),
        ] {
            assert_eq!(ring.apply(keys), Err(error));
        }
        assert_eq!(ring.apply(keys(2, Some(1), 3)), Ok(()), "sealed to other devices, the same keys");
        assert_eq!(sealing(&ring, 30), Ok(id(2)));
        assert!(ring.receiving_key(id(1), at(22)).is_ok(), "nothing has changed");
    }

    //= docs/spec/sealing.md#key-rings
    #[test]
    fn a_retired_key_is_gone_and_cannot_come_back() {
        let mut ring = ring();
        assert_eq!(ring.retire(id(2), at(100)), Err(KeyRingError::InUse(id(2))));
        assert_eq!(ring.retire(id(1), at(22)), Err(KeyRingError::InUse(id(1))));
        assert_eq!(ring.retire(id(1), at(23)), Ok(()));
        assert_eq!(ring.reading_key(id(1)).map(|_| ()), Err(KeyRingError::Retired(id(1))));
        assert_eq!(ring.apply(keys(1, None, 0)), Err(KeyRingError::Known));
        assert_eq!(ring.retire(id(9), at(23)), Err(KeyRingError::Unknown(id(9))));
    }

    //= docs/spec/sealing.md#key-rings
    #[test]
    fn a_revoked_key_seals_nothing_until_the_next_manifest() {
        let mut ring = ring();
        assert_eq!(ring.revoke(id(2)), Ok(()));
        assert_eq!(sealing(&ring, 25), Err(KeyRingError::Retired(id(2))));
        assert_eq!(ring.receiving_key(id(2), at(25)).map(|_| ()), Err(KeyRingError::Retired(id(2))));
        assert_eq!(ring.apply(keys(2, Some(1), 3)), Ok(()), "a known manifest");
        assert_eq!(sealing(&ring, 25), Err(KeyRingError::Retired(id(2))), "does not bring it back");
        ring.apply(keys(3, Some(2), 0)).expect("the next");
        assert_eq!(sealing(&ring, 30), Ok(id(3)));
    }

    #[test]
    fn earlier_object_id_keys_stay() {
        let mut ring = ring();
        let mut next = keys(3, Some(2), 0);
        next.object_id_key = ObjectIdKey::from_bytes(Zeroizing::new([101; 32]));
        let (old, new) = (keys(1, None, 0).object_id_key.key_id(), next.object_id_key.key_id());
        ring.apply(next).expect("the next");
        assert_eq!(ring.object_id_key().map(ObjectIdKey::key_id), Ok(new));
        assert_eq!(ring.earlier_object_id_key(old).map(ObjectIdKey::key_id), Ok(old));
        assert!(ring.earlier_object_id_key(id(1)).is_err());
    }

    #[test]
    fn keys_are_not_printed() {
        let shown = format!("{:?} {:?}", ring(), keys(1, None, 0));
        assert!(!shown.contains(&hex::encode([1; 32])) && !shown.contains("1, 1, 1"));
    }
}
