use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use super::{
    BoxContext, HpkeBox, HpkeError, HybridEncryptionKey, KemAlgorithm, OpeningKey, PublicEncryptionKey,
    Purpose, TAG_BYTES, base,
};
use crate::crypto::agree::EncryptionKey;
use crate::crypto::role::{KeyRole, Wrapping};
use crate::crypto::secret::SymmetricKey;
use crate::crypto::source::KeySource;
use crate::crypto::wrap::{WrapError, WrappableKey, WrappedKey};
use crate::encoding::cbor::{self, FromCbor, ShapeError};
use crate::encoding::json::{Json, parse};
use crate::ids::{NodeId, ZoneId};
use crate::limits::MAX_HPKE_BOX_BYTES;
use crate::random::Entropy;
use crate::time::UnixTime;

fn entropy() -> Entropy {
    Entropy::from_seed(&Zeroizing::new([7; 32]))
}

/// A generator that yields the bytes it was given, and no more.
struct Script(Vec<u8>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the library asks for bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the library asks for bytes")
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        buffer.copy_from_slice(&self.0[..buffer.len()]);
        self.0.drain(..buffer.len());
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// The published ephemeral keys make the published bytes. (That they open is checked by `tests/vectors.rs`.)
#[test]
fn sealing_gives_the_bytes_of_the_published_vectors() {
    let file = include_bytes!("../../../../vectors/hpke/base.json");
    let document = parse(file, 1 << 20).expect("JSON");
    let cases = document.get("cases").and_then(Json::as_array).expect("cases");
    for case in cases {
        let field = |name| case.get(name).and_then(Json::as_str).expect("a text");
        let bytes = |name| hex::decode(field(name)).expect("hex");
        let kem: KemAlgorithm = field("kem").parse().expect("a kem");
        let public = PublicEncryptionKey::from_bytes(kem, &bytes("public")).expect("a key");
        let mut script = Script(bytes("ephemeral"));
        let sealed = base::seal(&public, &bytes("info"), &bytes("aad"), &bytes("plaintext"), &mut script);
        assert_eq!(sealed, Ok(bytes("sealed")));
        assert!(script.0.is_empty());
    }
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

fn node() -> NodeId {
    NodeId::new("laptop").expect("a node")
}

fn context<'a>(zone_id: &'a ZoneId, recipient: &'a NodeId) -> BoxContext<'a> {
    BoxContext { zone_id, recipient, purpose: Purpose::ZoneKey, issued_at: UnixTime::from_secs(1_000) }
}

#[test]
fn the_additional_data_is_that_of_the_sheet() {
    let (zone, node) = (zone(), node());
    let aad = context(&zone, &node).additional_data().expect("small");
    let expected = [
        &b"\xa4\x67purpose\x4dFCP2-ZONE-KEY"[..],
        b"\x67zone_id\x46z:work",
        b"\x69issued_at\x19\x03\xe8",
        b"\x71recipient_node_id\x46laptop",
    ]
    .concat();
    assert_eq!(aad, expected);
}

fn opens_only_as_sealed<K: OpeningKey>(key: &K, other: &K) {
    let (zone, node, mut entropy) = (zone(), node(), entropy());
    let right = context(&zone, &node);
    let sealed = HpkeBox::seal(&key.recipient(), right, b"secret", &mut entropy).expect("small");
    let read = HpkeBox::from_cbor(cbor::decode(&cbor::encode(&sealed).expect("small")).expect("canonical"));
    assert_eq!(read.as_ref(), Ok(&sealed));
    assert_eq!(sealed.open(key, right).map(|plain| plain.to_vec()), Ok(b"secret".to_vec()));
    assert_eq!(sealed.open(other, right), Err(HpkeError::NotOpened));

    let (other_zone, other_node) =
        (ZoneId::new("z:owner").expect("a zone"), NodeId::new("phone").expect("a node"));
    let wrong = [
        BoxContext { zone_id: &other_zone, ..right },
        BoxContext { recipient: &other_node, ..right },
        BoxContext { issued_at: UnixTime::from_secs(1_001), ..right },
        BoxContext { purpose: Purpose::ObjectIdKey, ..right },
        BoxContext { purpose: Purpose::OwnerShare, ..right },
        BoxContext { purpose: Purpose::SecretShare, ..right },
    ];
    for context in wrong {
        assert_eq!(sealed.open(key, context), Err(HpkeError::NotOpened), "{context:?}");
    }
    let step = sealed.as_bytes().len() / 32 + 1;
    for at in (0..sealed.as_bytes().len()).step_by(step).chain([sealed.as_bytes().len() - 1]) {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[at] ^= 1;
        let bent = HpkeBox::from_packed(K::KEM, bytes).expect("the same length");
        assert_eq!(bent.open(key, right), Err(HpkeError::NotOpened), "{at}");
    }
}

//= docs/spec/sealing.md#boxes-to-a-device
#[test]
fn boxes_open_only_with_their_key_and_context_and_unaltered() {
    let mut entropy = entropy();
    opens_only_as_sealed(&EncryptionKey::generate(&mut entropy), &EncryptionKey::generate(&mut entropy));
    opens_only_as_sealed(
        &HybridEncryptionKey::generate(&mut entropy),
        &HybridEncryptionKey::generate(&mut entropy),
    );
}

#[test]
fn a_box_for_one_kind_of_key_is_refused_by_the_other() {
    let (zone, node, mut entropy) = (zone(), node(), entropy());
    let (plain, hybrid) =
        (EncryptionKey::generate(&mut entropy), HybridEncryptionKey::generate(&mut entropy));
    let context = context(&zone, &node);
    let sealed = HpkeBox::seal(&hybrid.recipient(), context, b"x", &mut entropy).expect("small");
    assert_eq!(sealed.open(&plain, context), Err(HpkeError::OtherKem(KemAlgorithm::XWing)));
    let sealed = HpkeBox::seal(&plain.recipient(), context, b"x", &mut entropy).expect("small");
    assert_eq!(sealed.open(&hybrid, context), Err(HpkeError::OtherKem(KemAlgorithm::X25519)));
    // The kind is part of the key schedule: renaming it does not help either.
    let long = HpkeBox::seal(&plain.recipient(), context, &[0; 2_000], &mut entropy).expect("small");
    let renamed = HpkeBox::from_packed(KemAlgorithm::XWing, long.as_bytes().to_vec()).expect("long enough");
    assert_eq!(renamed.open(&hybrid, context), Err(HpkeError::NotOpened));
}

//= docs/spec/sealing.md#boxes-to-a-device
#[test]
fn one_key_seals_the_same_content_differently_each_time() {
    let (zone, node, mut entropy) = (zone(), node(), entropy());
    let key = EncryptionKey::generate(&mut entropy).recipient();
    let mut seal = || HpkeBox::seal(&key, context(&zone, &node), b"x", &mut entropy).expect("small");
    assert_ne!(seal().as_bytes()[..32], seal().as_bytes()[..32]);
}

//= docs/spec/sealing.md#boxes-to-a-device
#[test]
fn sizes_are_bounded_on_both_sides() {
    let (zone, node, mut entropy) = (zone(), node(), entropy());
    let key = EncryptionKey::generate(&mut entropy);
    let context = context(&zone, &node);
    let largest = vec![0; MAX_HPKE_BOX_BYTES - 32 - TAG_BYTES];
    let sealed = HpkeBox::seal(&key.recipient(), context, &largest, &mut entropy).expect("fits");
    assert_eq!(sealed.as_bytes().len(), MAX_HPKE_BOX_BYTES);
    let above = [largest, vec![0]].concat();
    assert_eq!(HpkeBox::seal(&key.recipient(), context, &above, &mut entropy), Err(HpkeError::TooLarge));
    for (kem, least) in [(KemAlgorithm::X25519, 48), (KemAlgorithm::XWing, 1_136)] {
        assert!(HpkeBox::from_packed(kem, vec![0; least]).is_ok());
        assert_eq!(HpkeBox::from_packed(kem, vec![0; least - 1]), Err(HpkeError::Length(least - 1)));
        let length = MAX_HPKE_BOX_BYTES + 1;
        assert_eq!(HpkeBox::from_packed(kem, vec![0; length]), Err(HpkeError::Length(length)));
    }
    let mut map = cbor::MapBuilder::default();
    map.field("kem", &KemAlgorithm::X25519);
    map.item("sealed", cbor::Value::Bytes(vec![0; 47].into()));
    assert_eq!(HpkeBox::from_cbor(map.finish()), Err(ShapeError::WrongLength));
}

/// RFC 9180 §7.1.4: the shared secret of such a key is all zeros. In X-Wing it would leave ML-KEM alone.
//= docs/spec/sealing.md#boxes-to-a-device
#[test]
fn nothing_is_sealed_to_a_point_of_small_order() {
    let (zone, node, mut entropy) = (zone(), node(), entropy());
    for point in ["00", "01", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"] {
        let mut bytes = hex::decode(point).expect("hex");
        bytes.resize(32, 0);
        let key = PublicEncryptionKey::from_bytes(KemAlgorithm::X25519, &bytes).expect("32 bytes");
        let sealed = HpkeBox::seal(&key, context(&zone, &node), b"x", &mut entropy);
        assert_eq!(sealed, Err(HpkeError::RecipientKey), "{point}");
        let mut hybrid = HybridEncryptionKey::generate(&mut entropy).recipient().as_bytes().to_vec();
        hybrid[1_184..].copy_from_slice(&bytes);
        let key = PublicEncryptionKey::from_bytes(KemAlgorithm::XWing, &hybrid).expect("1,216 bytes");
        let sealed = HpkeBox::seal(&key, context(&zone, &node), b"x", &mut entropy);
        assert_eq!(sealed, Err(HpkeError::RecipientKey), "X-Wing, {point}");
    }
    let short = PublicEncryptionKey::from_bytes(KemAlgorithm::X25519, &[0; 31]);
    assert_eq!(short, Err(HpkeError::RecipientKey));
    let of_another_kind = PublicEncryptionKey::from_bytes(KemAlgorithm::XWing, &[0; 32]);
    assert_eq!(of_another_kind, Err(HpkeError::RecipientKey));
}

#[test]
fn the_two_kinds_of_key_stay_apart_at_rest() {
    let mut entropy = entropy();
    let key = HybridEncryptionKey::generate(&mut entropy);
    let wrapping = SymmetricKey::<Wrapping>::generate(&mut entropy);
    let source = KeySource::OsKeystore { entry: "e".into() };
    let stored = WrappedKey::with_key(&key, &wrapping, source, &mut entropy).expect("wraps");
    let opened: HybridEncryptionKey = stored.open_with_key(&wrapping).expect("opens");
    assert_eq!(opened.expose_secret(), key.expose_secret());
    let wrong = stored.open_with_key::<EncryptionKey>(&wrapping).map(|_| ());
    assert_eq!(wrong, Err(WrapError::RoleMismatch(KeyRole::HybridEncryption)));
}

#[test]
fn secret_keys_are_not_printed() {
    let mut entropy = entropy();
    let (plain, hybrid) =
        (EncryptionKey::generate(&mut entropy), HybridEncryptionKey::generate(&mut entropy));
    let shown = format!("{plain:?} {hybrid:?} {:?}", hybrid.recipient());
    for secret in [plain.expose_secret(), hybrid.expose_secret()] {
        assert!(!shown.contains(&hex::encode(secret)));
    }
}
