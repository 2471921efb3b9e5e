//! Encodings beside the bare thing: strict decoding beside `ciborium`, an object's identity beside BLAKE3, a token beside
//! Ed25519. The two sides of a comparison run in one process, one after the other, in one group.

use std::hint::black_box;

use ciborium::Value as Other;
use coset::{CborSerializable, CoseSign1};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fcp_proto_core::crypto::sign::{Signature, SigningKey};
use fcp_proto_core::encoding::cbor::{self, ByteString, Map, Value};
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::object::{ObjectIdKey, StoredObject};
use fcp_proto_core::token::Token;
use zeroize::Zeroizing;

/// A field of the first case of a vector file that `wanted` picks.
fn vector(text: &str, wanted: impl Fn(&Json) -> bool, field: &str) -> Vec<u8> {
    let document = parse(text.as_bytes(), text.len()).expect("the vectors are JSON");
    let cases = document.get("cases").and_then(Json::as_array).expect("cases");
    let case = cases.iter().find(|case| wanted(case)).expect("the case");
    hex::decode(case.get(field).and_then(Json::as_str).expect("a text")).expect("hexadecimal")
}

fn object(schema: &str) -> Vec<u8> {
    let is = |case: &Json| case.get("schema").and_then(Json::as_str) == Some(schema);
    vector(include_str!("../../vectors/objects/kinds.json"), is, "object")
}

/// Small items in a list of maps, as a listing has them.
fn listing(entries: u64) -> Vec<u8> {
    let text = |it: &str| Value::Text(it.into());
    let entry = |n: u64| {
        let fields = vec![
            (text("id"), Value::Bytes(vec![7; 32])),
            (text("number"), Value::Unsigned(n * 1_000)),
            (text("title"), Value::Text(format!("entry {n} of a listing"))),
            (text("open"), Value::Bool(n.is_multiple_of(2))),
            (text("weight"), Value::Float(n as f64 / 8.0)),
        ];
        Value::Map(Map::new(fields).expect("distinct keys"))
    };
    cbor::encode(&Value::Array((0..entries).map(entry).collect())).expect("small")
}

fn decoding(criterion: &mut Criterion) {
    let header_and_body = object("fcp.zone:ZoneCheckpoint@1.0.0");
    let body = StoredObject::from_bytes(&header_and_body).expect("sound").body.0[32..].to_vec();
    let inputs = [("object", header_and_body), ("body", body), ("listing", listing(500))];
    let mut group = criterion.benchmark_group("decode");
    for (name, bytes) in &inputs {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::new("strict", name), bytes, |bench, bytes| {
            bench.iter(|| cbor::decode(black_box(bytes)).expect("canonical"));
        });
        group.bench_with_input(BenchmarkId::new("ciborium", name), bytes, |bench, bytes| {
            bench.iter(|| ciborium::from_reader::<Other, _>(black_box(&bytes[..])).expect("CBOR"));
        });
    }
}

fn identity(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identity");
    let key = ObjectIdKey::from_bytes(Zeroizing::new([7; 32]));
    for kib in [1, 64, 1024] {
        let mut stored = StoredObject::from_bytes(&object("fcp.context:KeptResult@1.0.0")).expect("sound");
        stored.body = ByteString(vec![7; kib * 1024]);
        group.throughput(Throughput::Bytes(stored.body.0.len() as u64));
        group.bench_with_input(BenchmarkId::new("object_id", kib), &stored, |bench, stored| {
            bench.iter(|| black_box(stored).id(&key).expect("small"));
        });
        group.bench_with_input(BenchmarkId::new("blake3", kib), &stored.body.0, |bench, bytes| {
            bench.iter(|| blake3::keyed_hash(&[7; 32], black_box(bytes)));
        });
    }
}

fn token(criterion: &mut Criterion) {
    let minted = include_str!("../../vectors/tokens/minted.json");
    let largest = |case: &Json| {
        case.get("source").and_then(Json::as_str).is_some_and(|source| source.ends_with("every claim"))
    };
    let bytes = vector(minted, largest, "token");
    let seed = vector(minted, largest, "seed").try_into().expect("32 bytes");
    let issuer = SigningKey::from_seed(&Zeroizing::new(seed));
    let public = issuer.verifying_key();
    let message = vec![7; bytes.len()];
    let signature: Signature = issuer.sign(&message);
    let mut group = criterion.benchmark_group("token");
    group.bench_function("verify", |bench| {
        bench.iter(|| {
            Token::decode(black_box(&bytes)).and_then(|token| token.verify(&public)).expect("sound")
        });
    });
    group.bench_function("coset_parse_only", |bench| {
        bench.iter(|| CoseSign1::from_slice(black_box(&bytes)).expect("sound"));
    });
    group.bench_function("ed25519", |bench| {
        bench.iter(|| public.verify(black_box(&message), &signature).expect("sound"));
    });
}

criterion_group!(benches, decoding, identity, token);
criterion_main!(benches);
