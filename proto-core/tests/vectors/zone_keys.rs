//! Zone key manifests, and the rings that are made from them.

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hpke::{HybridEncryptionKey, KemAlgorithm};
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::crypto::wrap::WrappableKey;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::{
    KeyManifestError, Object, OpenedZoneKeys, Signed, StoredObject, ZoneKeyManifest,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{KeyRingError, RingKey, ZoneKeyRing};

use super::sealing::box_error;
use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 3] = [
    ("zone_keys/manifests.json", manifest),
    ("zone_keys/manifests_reject.json", manifest_reject),
    ("zone_keys/rings.json", ring),
];

fn manifest(case: &Case<'_>) {
    let stored = StoredObject::from_bytes(&case.bytes("object")).expect("an object");
    case.same(stored.to_bytes(), Ok(case.bytes("object")));
    let keys = open(case, &stored).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    case.same(*keys.zone_key().expose(), case.array("zone_key"));
    case.same(*keys.object_id_key().expose(), case.array("object_id_key"));
    case.same(stored.id(keys.object_id_key()).map(|id| *id.as_bytes()), Ok(case.array("object_id")));
}

//= docs/spec/sealing.md#zone-key-manifests
fn manifest_reject(case: &Case<'_>) {
    let stored = StoredObject::from_bytes(&case.bytes("object")).expect("an object");
    let error = match open(case, &stored).map(drop) {
        // Which key it is does not matter.
        Err(KeyManifestError::OtherKey(_)) => String::from("OtherKey"),
        Err(KeyManifestError::Box(error)) => format!("Box({})", box_error(error)),
        judged => judged.map_or_else(|error| format!("{error:?}"), |()| String::from("none")),
    };
    case.same(error.as_str(), case.text("error"));
}

fn open(case: &Case<'_>, stored: &StoredObject) -> Result<OpenedZoneKeys, KeyManifestError> {
    let manifest: Object<Signed<ZoneKeyManifest>> = stored.open().expect("a manifest");
    let owner = VerifyingKey::<Owner>::from_bytes(&case.array("owner")).expect("a key");
    let (node, secret) = (case.node("node"), case.secret("secret"));
    match case.text("kem").parse().expect("a kind") {
        KemAlgorithm::X25519 => manifest.open_keys(&owner, &node, &EncryptionKey::from_secret(secret)),
        KemAlgorithm::XWing => manifest.open_keys(&owner, &node, &HybridEncryptionKey::from_secret(secret)),
    }
}

/// The texts of a list.
fn texts<'a>(case: &Case<'a>, name: &str) -> Vec<&'a str> {
    let items = case.fields.get(name).and_then(Json::as_array).expect("a list");
    items.iter().map(|text| text.as_str().expect("a text")).collect()
}

//= docs/spec/sealing.md#key-rings
fn ring(case: &Case<'_>) {
    let mut ring = None;
    let (steps, answers) = (texts(case, "steps"), texts(case, "answers"));
    case.same(steps.len(), answers.len());
    for (step, expected) in steps.into_iter().zip(answers) {
        let answer = answer(case, &mut ring, step).unwrap_or_else(|error| name(&error));
        assert_eq!(answer, expected, "{}: {step}", case.place);
    }
}

/// The error's name; which key it is about is known.
fn name(error: &KeyRingError) -> String {
    format!("{error:?}").split('(').take(1).collect()
}

/// What the ring says to a step, which is a verb, a key or a manifest, and a time.
fn answer(case: &Case<'_>, ring: &mut Option<ZoneKeyRing>, step: &str) -> Result<String, KeyRingError> {
    let words: Vec<_> = step.split(' ').collect();
    if let ["take", number] = words[..] {
        return take(ring, manifest_keys(case, number.parse().expect("a number")));
    }
    let ring = ring.as_mut().expect("a ring");
    let key = |word: &str| KeyId::from_bytes(hex::decode(word).expect("hex").try_into().expect("8 bytes"));
    let at = |word: &str| UnixTime::from_secs(word.parse().expect("a time"));
    let how = |key: RingKey<'_>| key.algorithm.to_string();
    match words[..] {
        ["seal", now] => ring.sealing_key(at(now)).map(|key| key.id.to_string()),
        ["open", id, now] => ring.receiving_key(key(id), at(now)).map(how),
        ["read", id] => ring.reading_key(key(id)).map(how),
        ["retire", id, now] => ring.retire(key(id), at(now)).map(|()| "gone".into()),
        ["revoke", id] => ring.revoke(key(id)).map(|()| "gone".into()),
        ["name"] => ring.object_id_key().map(|key| key.key_id().to_string()),
        ["name", id] => ring.earlier_object_id_key(key(id)).map(|key| key.key_id().to_string()),
        _ => panic!("{}: {step}", case.place),
    }
}

fn take(ring: &mut Option<ZoneKeyRing>, keys: OpenedZoneKeys) -> Result<String, KeyRingError> {
    let Some(ring) = ring else {
        *ring = Some(ZoneKeyRing::new(keys));
        return Ok("taken".into());
    };
    let is_new = ring.judge(&keys)?;
    ring.apply(keys)?;
    Ok(if is_new { "taken" } else { "nothing new" }.into())
}

fn manifest_keys(case: &Case<'_>, number: usize) -> OpenedZoneKeys {
    let bytes = hex::decode(texts(case, "manifests")[number]).expect("hex");
    let stored = StoredObject::from_bytes(&bytes).expect("an object");
    open(case, &stored).unwrap_or_else(|error| panic!("{}: {error}", case.place))
}
