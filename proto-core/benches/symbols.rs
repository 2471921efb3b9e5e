//! One object of 1 MiB as symbols of 1,024 bytes: encoding with a cached plan, decoding with the object's identity, and
//! beside them what of it is the codec's and the hash's. `docs/dev/benchmarks.md` has the numbers.
//!
//! Run with `--features simd`, as a host builds it; without, the codec uses no vector instructions.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk, StoredObject};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::symbol::{
    Authenticated, Decoder, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, Symbol,
    TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

const OBJECT_BYTES: usize = 1 << 20;

const SYMBOL_BYTES: u16 = 1_024;

const SOURCE_SYMBOLS: u32 = 1_024;

struct Fixture {
    key: ObjectIdKey,
    set: EncodingSet,
    information: TransmissionInformation,
    object: IdentifiedObject,
}

/// An object of exactly 1 MiB.
fn fixture() -> Fixture {
    let zone = ZoneId::new("z:work").expect("a zone");
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone, UnixTime::from_secs(1), label, None);
    let of = |size: usize| {
        let mut bytes = vec![0; size];
        Entropy::from_seed(&[1; 32].into()).fill(&mut bytes);
        let body = RawChunk { bytes: ByteString(bytes) };
        Object { header: header.clone(), body }.store().expect("within the limits")
    };
    let overhead = of(OBJECT_BYTES / 2).to_bytes().expect("within the limits").len() - OBJECT_BYTES / 2;
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let object = IdentifiedObject::new(of(OBJECT_BYTES - overhead), &key).expect("within the limits");
    assert_eq!(object.bytes().len(), OBJECT_BYTES);
    let set = EncodingSet { object_id: object.id(), zone_id: zone, zone_key_id: KeyId::default() };
    let information = TransmissionInformation::new(OBJECT_BYTES as u64, SYMBOL_BYTES).expect("an encoding");
    Fixture { key, set, information, object }
}

fn id(esi: u32) -> PayloadId {
    PayloadId::new(0, esi).expect("24 bits")
}

fn encode(criterion: &mut Criterion, it: &Fixture) {
    let mut plans = Plans::default();
    let mut out = vec![0; usize::from(SYMBOL_BYTES)];
    let mut group = criterion.benchmark_group("encode 1 MiB");
    let prepared = |plans: &mut Plans| {
        let mut encoder = Encoder::new(&it.set, it.information, &it.object).expect("its object");
        encoder.prepare(0, plans).expect("a block");
        encoder
    };
    prepared(&mut plans);
    group.bench_function("cached plan", |bencher| bencher.iter(|| prepared(black_box(&mut plans))));
    group.bench_function("no plan", |bencher| bencher.iter(|| prepared(&mut Plans::default())));
    let mut encoder = prepared(&mut plans);
    group.bench_function("one source symbol", |bencher| {
        bencher.iter(|| encoder.symbol(id(black_box(77)), &mut plans, &mut out).map(|_| ()));
    });
    let mut esi = SOURCE_SYMBOLS;
    group.bench_function("one repair symbol", |bencher| {
        bencher.iter(|| {
            esi = SOURCE_SYMBOLS + (esi + 1) % 65_536;
            encoder.symbol(id(esi), &mut plans, &mut out).map(|_| ())
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion, it: &Fixture) {
    let mut group = criterion.benchmark_group("decode 1 MiB and object id");
    for (name, lost) in [("no loss", 0), ("30 % loss", 30), ("60 % loss", 60)] {
        let mut plans = Plans::default();
        let mut encoder = Encoder::new(&it.set, it.information, &it.object).expect("its object");
        let mut entropy = Entropy::from_seed(&[2; 32].into());
        let mut ids: Vec<_> = (0..SOURCE_SYMBOLS).filter(|_| entropy.below(100) >= lost).collect();
        let repair = if lost == 0 { 0 } else { SOURCE_SYMBOLS - ids.len() as u32 + 2 };
        ids.extend(SOURCE_SYMBOLS..SOURCE_SYMBOLS + repair);
        let mut buffers = vec![vec![0; usize::from(SYMBOL_BYTES)]; ids.len()];
        let made = |(esi, out): (&u32, _)| encoder.symbol(id(*esi), &mut plans, out).expect("a symbol");
        let symbols: Vec<Authenticated<Symbol<'_>>> =
            ids.iter().zip(buffers.iter_mut().map(Vec::as_mut_slice)).map(made).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut decoder =
                    Decoder::new(it.set.clone(), it.information, usize::MAX).expect("enough memory");
                for symbol in &symbols {
                    decoder.add(*symbol).expect("fits");
                }
                decoder.solve().expect("solvable");
                decoder.finish(&it.key).expect("the object")
            });
        });
    }
    group.finish();
}

/// What of the above is not the code: reading the object, and hashing it.
fn parts(criterion: &mut Criterion, it: &Fixture) {
    let mut group = criterion.benchmark_group("1 MiB without a code");
    let object = it.object.object();
    group.bench_function("object id", |bencher| bencher.iter(|| black_box(object).id(&it.key)));
    group.bench_function("read and object id", |bencher| {
        bencher
            .iter(|| StoredObject::from_bytes(black_box(it.object.bytes())).map(|object| object.id(&it.key)));
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let fixture = fixture();
    encode(criterion, &fixture);
    decode(criterion, &fixture);
    parts(criterion, &fixture);
}

criterion_group!(benches, all);
criterion_main!(benches);
