//! The keys of one zone that a device has: the one it seals with, and earlier ones it still opens with.

use alloc::collections::BTreeMap;
use core::fmt;

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
            Self::NotNext(Some(other)) => write!(f, "the key takes over from {other}, which is not the newest"),
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
        let first = Entry { key: Some(zone_key), terms, receive_until: None };
        Self {
            zone_id,
            zone_keys: BTreeMap::from([(newest, first)]),
            newest,
            object_id_keys: BTreeMap::from([(names, object_id_key)]),
            object_id_key: names,
        }
    }

    /// Takes the keys of the next manifest. One that seals the newest key to other devices changes nothing here.
    ///
    /// # Errors
    /// Why it is not the next; the ring is then as before.
    //= docs/spec/sealing.md#key-rings
    pub fn apply(&mut self, keys: OpenedZoneKeys) -> Result<(), KeyRingError> {
        if keys.zone_id != self.zone_id {
            return Err(KeyRingError::OtherZone);
        }
        let (id, names) = (keys.zone_key.key_id(), keys.object_id_key.key_id());
        if let Some(known) = self.zone_keys.get(&id) {
            let same = id == self.newest && known.terms == keys.terms && names == self.object_id_key;
            return if same { Ok(()) } else { Err(KeyRingError::Known) };
        }
        let newest = self.zone_keys.get_mut(&self.newest).ok_or(KeyRingError::Unknown(self.newest))?;
        if keys.terms.prev_zone_key_id != Some(self.newest) {
            return Err(KeyRingError::NotNext(keys.terms.prev_zone_key_id));
        }
        if keys.terms.valid_from < newest.terms.valid_from {
            return Err(KeyRingError::NotLater);
        }
        let end = keys.terms.valid_from.as_secs().saturating_add(keys.terms.overlap_secs);
        newest.receive_until = Some(UnixTime::from_secs(end));
        let entry = Entry { key: Some(keys.zone_key), terms: keys.terms, receive_until: None };
        self.zone_keys.insert(id, entry);
        self.newest = id;
        self.object_id_keys.entry(names).or_insert(keys.object_id_key);
        self.object_id_key = names;
        Ok(())
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
                break if entry.has_ended(now) { Err(KeyRingError::NotValid(id)) } else { self.reading_key(id) };
            }
            let earlier = entry.terms.prev_zone_key_id.filter(|prev| self.zone_keys.contains_key(prev));
            id = earlier.ok_or(KeyRingError::NotValid(id))?;
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
