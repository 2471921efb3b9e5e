//! Strict decoding beside `ciborium`, canonical encoding beside the same, an object's identity beside BLAKE3.

use std::hint::black_box;

use ciborium::Value as Other;
use fcp_proto_core::encoding::cbor::{self, ByteString, Map, Value};
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::object::{ObjectIdKey, StoredObject};
use zeroize::Zeroizing;

use super::Work;

/// A field of the first case of a vector file that `wanted` picks.
pub(crate) fn vector(text: &str, wanted: impl Fn(&Json) -> bool, field: &str) -> Vec<u8> {
    let document = parse(text.as_bytes(), text.len()).expect("the vectors are JSON");
    let cases = document.get("cases").and_then(Json::as_array).expect("cases");
    let case = cases.iter().find(|case| wanted(case)).expect("the case");
    hex::decode(case.get(field).and_then(Json::as_str).expect("a text")).expect("hexadecimal")
}

/// The object of `schema` in the vectors.
pub(crate) fn object(schema: &str) -> Vec<u8> {
    let is = |case: &Json| case.get("schema").and_then(Json::as_str) == Some(schema);
    vector(include_str!("../../../vectors/objects/kinds.json"), is, "object")
}

/// The body of a checkpoint without the hash of its schema: maps, texts and numbers.
pub(crate) fn checkpoint_fields() -> Vec<u8> {
    let stored = StoredObject::from_bytes(&object("fcp.zone:ZoneCheckpoint@1.0.0")).expect("sound");
    stored.body.0[32..].to_vec()
}

/// Small items in a list of maps, as a listing has them.
pub(crate) fn listing(entries: u64) -> Vec<u8> {
    let text = |it: &'static str| Value::Text(it.into());
    let entry = |n: u64| {
        let fields = vec![
            (text("id"), Value::Bytes(vec![7; 32].into())),
            (text("number"), Value::Unsigned(n * 1_000)),
            (text("title"), Value::Text(format!("entry {n} of a listing").into())),
            (text("open"), Value::Bool(n.is_multiple_of(2))),
            (text("weight"), Value::Float(n as f64 / 8.0)),
        ];
        Value::Map(Map::new(fields).expect("distinct keys"))
    };
    cbor::encode(&Value::Array((0..entries).map(entry).collect())).expect("small")
}

/// Strict decoding of `bytes`.
pub(crate) fn decode(bytes: Vec<u8>) -> Work {
    let same = bytes.clone();
    Work::beside(
        move || drop(black_box(cbor::decode(black_box(&bytes)).expect("canonical"))),
        move || drop(black_box(ciborium::from_reader::<Other, _>(black_box(&same[..])).expect("CBOR"))),
    )
}

/// Canonical encoding of what `bytes` stand for.
pub(crate) fn encode(bytes: &[u8]) -> Work {
    let value = cbor::decode(bytes).expect("canonical").into_owned();
    let other: Other = ciborium::from_reader(bytes).expect("CBOR");
    Work::beside(
        move || drop(black_box(cbor::encode(black_box(&value)).expect("small"))),
        move || {
            let mut out = Vec::new();
            ciborium::into_writer(black_box(&other), &mut out).expect("room");
            drop(black_box(out));
        },
    )
}

/// An object's bytes read: its header, and its body as bytes.
pub(crate) fn read() -> Work {
    let bytes = object("fcp.context:KeptResult@1.0.0");
    Work::new(move || drop(black_box(StoredObject::from_bytes(black_box(&bytes)).expect("sound"))))
}

/// The identity of an object whose body has `kib` KiB.
pub(crate) fn identity(kib: usize) -> Work {
    let key = ObjectIdKey::from_bytes(Zeroizing::new([7; 32]));
    let mut stored = StoredObject::from_bytes(&object("fcp.context:KeptResult@1.0.0")).expect("sound");
    stored.body = ByteString(vec![7; kib * 1024]);
    let bytes = stored.body.0.clone();
    Work::beside(
        move || {
            black_box(black_box(&stored).id(&key).expect("small"));
        },
        move || {
            black_box(blake3::keyed_hash(&[7; 32], black_box(&bytes)));
        },
    )
}
