//! A zone's keys, sealed to each device that is to have them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{Object, ObjectIdKey, Schema, Signed, SignedBody};
use crate::crypto::hpke::{BoxContext, HpkeBox, HpkeError, OpeningKey, PublicEncryptionKey, Purpose};
use crate::crypto::role;
use crate::crypto::secret::SymmetricKey;
use crate::crypto::sign::VerifyingKey;
use crate::crypto::wrap::WrappableKey;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use crate::ids::{KeyId, NodeId, ZoneId};
use crate::random::Entropy;
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

/// The secret under which a zone's content is encrypted.
pub type ZoneKey = SymmetricKey<role::Zone>;

cbor_enum! {
    /// How content is encrypted under a zone's key.
    pub enum ZoneKeyAlgorithm {
        /// With nonces of 12 bytes.
        ChaCha20Poly1305 = "cha_cha20_poly1305",
        /// With nonces of 24 bytes.
        XChaCha20Poly1305 = "x_cha_cha20_poly1305",
    }
}

cbor_map! {
    /// A key sealed to one device.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeyWrap {
        /// The device.
        pub recipient: NodeId,
        /// The key of the device that it is sealed to.
        pub recipient_key_id: KeyId,
        /// When it was sealed.
        pub issued_at: UnixTime,
        /// The 32 bytes of the key, sealed.
        pub sealed: HpkeBox,
    }
}

/// A key sealed to several devices, to each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyWraps(BTreeMap<NodeId, KeyWrap>);

impl KeyWraps {
    /// The wrap for `node`.
    pub fn get(&self, node: &NodeId) -> Option<&KeyWrap> {
        self.0.get(node)
    }

    /// The devices.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &NodeId> {
        self.0.keys()
    }
}

impl ToCbor for KeyWraps {
    fn to_cbor(&self) -> Value<'_> {
        Value::Array(self.0.values().map(ToCbor::to_cbor).collect())
    }
}

impl FromCbor for KeyWraps {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let wraps = Vec::<KeyWrap>::from_cbor(value)?;
        if wraps.windows(2).any(|pair| pair[0].recipient >= pair[1].recipient) {
            return Err(ShapeError::Invalid("recipients must be in ascending order without duplicates"));
        }
        Ok(Self(wraps.into_iter().map(|wrap| (wrap.recipient.clone(), wrap)).collect()))
    }
}

cbor_map! {
    /// From when to when a zone key serves, and for what.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneKeyTerms {
        /// How content is encrypted under it.
        pub algorithm: ZoneKeyAlgorithm,
        /// From when content is encrypted under it.
        pub valid_from: UnixTime,
        /// Until when, exclusive; absent means until another key takes over.
        pub valid_until: Option<UnixTime>,
        /// The key it takes over from; absent for a zone's first.
        pub prev_zone_key_id: Option<KeyId>,
        /// For how many seconds after `valid_from` new content under the previous key is still taken from others.
        pub overlap_secs: u64,
    } => Self::check
}

cbor_map! {
    /// The keys of the header's zone; signed by the owner.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneKeyManifest {
        /// The zone key's id.
        pub zone_key_id: KeyId,
        /// The id of the key that names the zone's objects.
        pub object_id_key_id: KeyId,
        /// When and how the zone key serves.
        pub terms: ZoneKeyTerms,
        /// The zone key for each device.
        pub wrapped_keys: KeyWraps,
        /// The object-id key for each device.
        pub wrapped_object_id_keys: KeyWraps,
    } => Self::check
}

impl SignedBody for ZoneKeyManifest {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "ZoneKeyManifest", version: "1.0.0" };
}

/// Why a manifest gives a device no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyManifestError {
    /// The owner did not sign it.
    Signature,
    /// The device is not among the recipients.
    NotARecipient,
    /// It is sealed to another key of the device.
    OtherKey(KeyId),
    /// A box does not open.
    Box(HpkeError),
    /// A box holds another key than the manifest names.
    OtherKeyInside,
}

impl fmt::Display for KeyManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("the owner did not sign the manifest"),
            Self::NotARecipient => f.write_str("the manifest has no keys for this device"),
            Self::OtherKey(key) => write!(f, "the keys are sealed to the key {key}"),
            Self::Box(error) => error.fmt(f),
            Self::OtherKeyInside => f.write_str("a box holds another key than the manifest names"),
        }
    }
}

impl core::error::Error for KeyManifestError {}

/// The keys of a zone that a manifest of the owner gave to this device. Only [`Object::open_keys`] makes one.
#[derive(Debug)]
pub struct OpenedZoneKeys {
    /// The zone.
    pub(crate) zone_id: ZoneId,
    /// When and how the zone key serves.
    pub(crate) terms: ZoneKeyTerms,
    /// Encrypts the zone's content.
    pub(crate) zone_key: ZoneKey,
    /// Names the zone's objects.
    pub(crate) object_id_key: ObjectIdKey,
}

impl OpenedZoneKeys {
    /// The zone.
    pub const fn zone_id(&self) -> &ZoneId {
        &self.zone_id
    }

    /// When and how the zone key serves.
    pub const fn terms(&self) -> &ZoneKeyTerms {
        &self.terms
    }

    /// The key that encrypts the zone's content.
    pub const fn zone_key(&self) -> &ZoneKey {
        &self.zone_key
    }

    /// The key that names the zone's objects, the manifest among them.
    pub const fn object_id_key(&self) -> &ObjectIdKey {
        &self.object_id_key
    }
}

impl ZoneKeyManifest {
    /// Seals the keys of `zone_id` to `recipients`.
    ///
    /// # Errors
    /// As [`HpkeBox::seal`].
    //= docs/spec/sealing.md#zone-key-manifests
    pub fn seal(
        zone_id: &ZoneId,
        terms: ZoneKeyTerms,
        (zone_key, object_id_key): (&ZoneKey, &ObjectIdKey),
        recipients: &BTreeMap<NodeId, PublicEncryptionKey>,
        issued_at: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<Self, HpkeError> {
        let mut wrap = |purpose, secret: &[u8; 32]| {
            let mut wraps = BTreeMap::new();
            for (recipient, key) in recipients {
                let context = BoxContext { zone_id, recipient, purpose, issued_at };
                let wrap = KeyWrap {
                    recipient: recipient.clone(),
                    recipient_key_id: key.key_id(),
                    issued_at,
                    sealed: HpkeBox::seal(key, context, secret, entropy)?,
                };
                wraps.insert(recipient.clone(), wrap);
            }
            Ok(KeyWraps(wraps))
        };
        Ok(Self {
            zone_key_id: zone_key.key_id(),
            object_id_key_id: object_id_key.key_id(),
            terms,
            wrapped_keys: wrap(Purpose::ZoneKey, zone_key.expose())?,
            wrapped_object_id_keys: wrap(Purpose::ObjectIdKey, object_id_key.expose())?,
        })
    }

    fn check(&self) -> Result<(), ShapeError> {
        if !self.wrapped_keys.recipients().eq(self.wrapped_object_id_keys.recipients()) {
            Err(ShapeError::Invalid("every device gets both keys"))
        } else if self.terms.prev_zone_key_id == Some(self.zone_key_id) {
            Err(ShapeError::Invalid("a zone key takes over from another key"))
        } else {
            Ok(())
        }
    }
}

impl ZoneKeyTerms {
    fn check(&self) -> Result<(), ShapeError> {
        if self.valid_until.is_some_and(|until| until <= self.valid_from) {
            Err(ShapeError::Invalid("a zone key ends after it begins"))
        } else {
            Ok(())
        }
    }
}

impl Object<Signed<ZoneKeyManifest>> {
    /// Checks the owner's signature, and opens the keys for `node` with its encryption key.
    ///
    /// # Errors
    /// Why the manifest gives this device no keys.
    //= docs/spec/sealing.md#zone-key-manifests
    pub fn open_keys<K: OpeningKey>(
        &self,
        owner: &VerifyingKey<role::Owner>,
        node: &NodeId,
        key: &K,
    ) -> Result<OpenedZoneKeys, KeyManifestError> {
        let message = self.signing_bytes().map_err(|_| KeyManifestError::Signature)?;
        let signed = owner.verify(&message, &self.body.signature);
        if signed.is_err() || self.body.signer != owner.key_id() {
            return Err(KeyManifestError::Signature);
        }
        let (zone_id, manifest) = (&self.header.zone_id, &self.body.fields);
        let zone_key = unwrap(&manifest.wrapped_keys, (zone_id, node), Purpose::ZoneKey, key)?;
        let object_id_key =
            unwrap(&manifest.wrapped_object_id_keys, (zone_id, node), Purpose::ObjectIdKey, key)?;
        let opened = OpenedZoneKeys {
            zone_id: zone_id.clone(),
            terms: manifest.terms.clone(),
            zone_key: ZoneKey::from_bytes(zone_key),
            object_id_key: ObjectIdKey::from_bytes(object_id_key),
        };
        let named = (manifest.zone_key_id, manifest.object_id_key_id);
        if (opened.zone_key.key_id(), opened.object_id_key.key_id()) == named {
            Ok(opened)
        } else {
            Err(KeyManifestError::OtherKeyInside)
        }
    }
}

fn unwrap<K: OpeningKey>(
    wraps: &KeyWraps,
    (zone_id, recipient): (&ZoneId, &NodeId),
    purpose: Purpose,
    key: &K,
) -> Result<Zeroizing<[u8; 32]>, KeyManifestError> {
    let wrap = wraps.get(recipient).ok_or(KeyManifestError::NotARecipient)?;
    if wrap.recipient_key_id != WrappableKey::key_id(key) {
        return Err(KeyManifestError::OtherKey(wrap.recipient_key_id));
    }
    let context = BoxContext { zone_id, recipient, purpose, issued_at: wrap.issued_at };
    let secret = wrap.sealed.open(key, context).map_err(KeyManifestError::Box)?;
    let bytes: &[u8; 32] = secret.as_slice().try_into().map_err(|_| KeyManifestError::OtherKeyInside)?;
    Ok(Zeroizing::new(*bytes))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::crypto::agree::EncryptionKey;
    use crate::crypto::hpke::HybridEncryptionKey;
    use crate::crypto::sign::{Signature, SigningKey};
    use crate::object::{Header, StoredObject};
    use crate::zone::Label;

    struct Scene {
        entropy: Entropy,
        owner: SigningKey<role::Owner>,
        laptop: EncryptionKey,
        phone: HybridEncryptionKey,
        zone_key: ZoneKey,
        object_id_key: ObjectIdKey,
    }

    type Manifest = Object<Signed<ZoneKeyManifest>>;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).expect("a node")
    }

    impl Scene {
        fn new() -> Self {
            let mut entropy = Entropy::from_seed(&Zeroizing::new([3; 32]));
            Self {
                owner: SigningKey::generate(&mut entropy),
                laptop: EncryptionKey::generate(&mut entropy),
                phone: HybridEncryptionKey::generate(&mut entropy),
                zone_key: ZoneKey::generate(&mut entropy),
                object_id_key: ObjectIdKey::generate(&mut entropy),
                entropy,
            }
        }

        fn fields(&mut self) -> ZoneKeyManifest {
            let zone = ZoneId::new("z:work").expect("a zone");
            let terms = ZoneKeyTerms {
                algorithm: ZoneKeyAlgorithm::XChaCha20Poly1305,
                valid_from: UnixTime::from_secs(10),
                valid_until: Some(UnixTime::from_secs(20)),
                prev_zone_key_id: None,
                overlap_secs: 5,
            };
            let recipients = BTreeMap::from([
                (node("laptop"), self.laptop.recipient()),
                (node("phone"), self.phone.recipient()),
            ]);
            let keys = (&self.zone_key, &self.object_id_key);
            let now = UnixTime::from_secs(10);
            ZoneKeyManifest::seal(&zone, terms, keys, &recipients, now, &mut self.entropy).expect("seals")
        }

        fn sign(&self, zone: &str, fields: ZoneKeyManifest) -> Manifest {
            let zone = ZoneId::new(zone).expect("a zone");
            let schema = ZoneKeyManifest::SCHEMA;
            let header = Header::new(&schema, &zone, UnixTime::from_secs(10), Label::default(), None);
            Object::sign(header, fields, &self.owner).expect("small")
        }

        fn open(&self, manifest: &Manifest) -> Result<OpenedZoneKeys, KeyManifestError> {
            manifest.open_keys(&self.owner.verifying_key(), &node("laptop"), &self.laptop)
        }
    }

    #[test]
    fn a_stored_manifest_gives_each_device_both_keys() {
        let mut scene = Scene::new();
        let fields = scene.fields();
        let manifest = scene.sign("z:work", fields);
        let stored = manifest.store().expect("small").to_bytes().expect("small");
        let read: Manifest =
            StoredObject::from_bytes(&stored).expect("an object").open().expect("a manifest");
        assert_eq!(read, manifest);
        let owner = scene.owner.verifying_key();
        for opened in [
            scene.open(&read).expect("opens"),
            read.open_keys(&owner, &node("phone"), &scene.phone).expect("opens"),
        ] {
            assert_eq!((&opened.zone_key, opened.object_id_key()), (&scene.zone_key, &scene.object_id_key));
            assert_eq!(opened.zone_id.to_string(), "z:work");
        }
    }

    //= docs/spec/sealing.md#zone-key-manifests
    #[test]
    fn only_the_owners_unaltered_manifest_is_taken() {
        let mut scene = Scene::new();
        let fields = scene.fields();
        let manifest = scene.sign("z:work", fields);
        let other = SigningKey::<role::Owner>::generate(&mut scene.entropy).verifying_key();
        let refused = manifest.open_keys(&other, &node("laptop"), &scene.laptop).map(|_| ());
        assert_eq!(refused, Err(KeyManifestError::Signature));
        let changes: [fn(&mut Manifest); 6] = [
            |it| it.body.signature = Signature::from_bytes([1; 64]),
            |it| it.body.signer = KeyId::from_bytes([1; 8]),
            |it| it.header.zone_id = ZoneId::new("z:owner").expect("a zone"),
            |it| it.body.fields.terms.overlap_secs = 6,
            |it| it.body.fields.terms.valid_until = None,
            |it| drop(it.body.fields.wrapped_keys.0.remove(&node("phone"))),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut bent = manifest.clone();
            change(&mut bent);
            assert_eq!(scene.open(&bent).map(|_| ()), Err(KeyManifestError::Signature), "{number}");
        }
    }

    //= docs/spec/sealing.md#zone-key-manifests
    #[test]
    fn what_the_owner_signed_must_still_make_sense() {
        let mut scene = Scene::new();
        let right = scene.fields();
        let other = scene.sign("z:owner", right.clone());
        assert_eq!(scene.open(&other).map(|_| ()), Err(KeyManifestError::Box(HpkeError::NotOpened)));
        let laptop_key = scene.laptop.recipient().key_id();
        let mut swapped = right.clone();
        core::mem::swap(&mut swapped.wrapped_keys, &mut swapped.wrapped_object_id_keys);
        let changes: [(ZoneKeyManifest, KeyManifestError); 3] = [
            (swapped, KeyManifestError::Box(HpkeError::NotOpened)),
            (
                ZoneKeyManifest { zone_key_id: KeyId::from_bytes([0; 8]), ..right.clone() },
                KeyManifestError::OtherKeyInside,
            ),
            (
                ZoneKeyManifest { object_id_key_id: KeyId::from_bytes([0; 8]), ..right.clone() },
                KeyManifestError::OtherKeyInside,
            ),
        ];
        for (fields, error) in changes {
            let manifest = scene.sign("z:work", fields);
            assert_eq!(scene.open(&manifest).map(|_| ()), Err(error));
        }
        let manifest = scene.sign("z:work", right);
        let owner = scene.owner.verifying_key();
        let stranger = manifest.open_keys(&owner, &node("tablet"), &scene.laptop).map(|_| ());
        assert_eq!(stranger, Err(KeyManifestError::NotARecipient));
        let newer = EncryptionKey::generate(&mut scene.entropy);
        let refused = manifest.open_keys(&owner, &node("laptop"), &newer).map(|_| ());
        assert_eq!(refused, Err(KeyManifestError::OtherKey(laptop_key)));
    }

    /// The rules of form hold for whoever reads a manifest, a device that keeps it for others too.
    //= docs/spec/sealing.md#zone-key-manifests
    #[test]
    fn a_manifest_without_sense_is_not_read() {
        let right = Scene::new().fields();
        let read = |fields: &ZoneKeyManifest| ZoneKeyManifest::from_cbor(fields.to_cbor());
        assert_eq!(read(&right).as_ref(), Ok(&right));
        let mut lonely = right.clone();
        lonely.wrapped_object_id_keys.0.remove(&node("phone"));
        assert_eq!(read(&lonely), Err(ShapeError::Invalid("every device gets both keys")));
        let mut circle = right.clone();
        circle.terms.prev_zone_key_id = Some(circle.zone_key_id);
        assert_eq!(read(&circle), Err(ShapeError::Invalid("a zone key takes over from another key")));
        let mut ended = right;
        ended.terms.valid_until = Some(ended.terms.valid_from);
        assert_eq!(read(&ended), Err(ShapeError::Invalid("a zone key ends after it begins")));
    }

    //= docs/spec/sealing.md#zone-key-manifests
    #[test]
    fn a_recipient_is_named_once() {
        let mut scene = Scene::new();
        let fields = scene.fields();
        let Value::Array(wraps) = fields.wrapped_keys.to_cbor() else { panic!("a list") };
        let twice = Value::Array(vec![wraps[0].clone(), wraps[0].clone()]);
        assert!(matches!(KeyWraps::from_cbor(twice), Err(ShapeError::Invalid(_))));
        let backwards = Value::Array(vec![wraps[1].clone(), wraps[0].clone()]);
        assert!(matches!(KeyWraps::from_cbor(backwards), Err(ShapeError::Invalid(_))));
        assert_eq!(KeyWraps::from_cbor(Value::Array(wraps)), Ok(fields.wrapped_keys));
    }
}
