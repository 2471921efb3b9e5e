//! Chunks of large objects, and the ranges that touch them.

use fcp_proto_core::encoding::cbor::{self, FromCbor};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{Digest, ObjectId};
use fcp_proto_core::object::{Chunk, ChunkError, ChunkManifest, Object, ObjectIdKey, RawChunk, StoredObject};
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 5] = [
    ("symbols/chunks.json", chunks),
    ("symbols/chunks_reject.json", chunks_reject),
    ("symbols/manifest_reject.json", manifest_reject),
    ("symbols/ranges.json", range),
    ("symbols/ranges_reject.json", range_reject),
];

/// An object, and how it is cut.
struct Cut {
    key: ObjectIdKey,
    manifest: ChunkManifest,
    objects: Vec<Object<RawChunk>>,
}

fn decimal(case: &Case<'_>, name: &str) -> u64 {
    case.text(name).parse().unwrap_or_else(|_| panic!("{}: {name} is no number", case.place))
}

fn index(case: &Case<'_>, name: &str) -> usize {
    usize::try_from(decimal(case, name)).expect("small")
}

/// The numbers of a list.
fn places(case: &Case<'_>, name: &str) -> Vec<usize> {
    case.text(name).split_terminator(' ').map(|place| place.parse().expect("a number")).collect()
}

fn key(case: &Case<'_>, name: &str) -> ObjectIdKey {
    ObjectIdKey::from_bytes(Zeroizing::new(case.array(name)))
}

fn cut(case: &Case<'_>) -> Cut {
    let repeated = case.bytes("repeat").repeat(index(case, "times"));
    let bytes = [case.bytes("before"), repeated, case.bytes("after")].concat();
    let object = StoredObject::from_bytes(&bytes).expect("an object");
    let (key, size) =
        (key(case, "object_id_key"), u32::try_from(decimal(case, "chunk_size")).expect("32 bits"));
    let (manifest, objects) = ChunkManifest::cut(&object, size, &key).expect("a large object");
    Cut { key, manifest, objects }
}

fn chunks(case: &Case<'_>) {
    let cut = cut(case);
    case.same(*cut.manifest.object_id().as_bytes(), case.array("object_id"));
    let told = cut.manifest.chunks().iter().map(|it| format!("{} {}", it.object_id, it.digest));
    let expected = case.fields.get("chunks").and_then(Json::as_array).expect("a list").iter();
    case.same(told.collect::<Vec<_>>(), expected.map(|it| it.as_str().expect("a text").into()).collect());
    case.same(take(case, &cut), Ok(()));
}

//= docs/spec/symbols.md#chunks
fn chunks_reject(case: &Case<'_>) {
    // Bytes that are no object are none in many ways.
    let name = |error| format!("{error:?}").split('(').take(1).collect::<String>();
    let error = take(case, &cut(case)).map_err(name);
    case.same(error, Err(case.text("error").into()));
}

/// What the case does with the chunks.
fn take(case: &Case<'_>, cut: &Cut) -> Result<(), ChunkError> {
    match case.text("step") {
        "bytes" => named(case, cut).verify(index(case, "index"), &offered(case, cut)).map(drop),
        "object" => {
            let mut chunk = cut.objects[0].clone();
            chunk.body.bytes.0 = offered(case, cut);
            if case.optional("created_at").is_some() {
                chunk.header.created_at = UnixTime::from_secs(decimal(case, "created_at"));
            }
            let other = case.optional("other_key").map(|_| key(case, "other_key"));
            let stored = chunk.store().expect("small");
            named(case, cut).open(index(case, "index"), &stored, other.as_ref().unwrap_or(&cut.key)).map(drop)
        }
        "whole" => join(case, cut),
        other => panic!("{}: {other}", case.place),
    }
}

/// A chunk's bytes, altered as the case says.
fn offered(case: &Case<'_>, cut: &Cut) -> Vec<u8> {
    let mut bytes = cut.objects[index(case, "of")].body.bytes.0.clone();
    if case.optional("cut").is_some() {
        bytes.truncate(bytes.len() - index(case, "cut"));
    }
    if case.optional("flip").is_some() {
        bytes[index(case, "flip")] ^= 1;
    }
    bytes
}

/// The manifest, with what the case has it name besides.
fn named(case: &Case<'_>, cut: &Cut) -> ChunkManifest {
    let manifest = &cut.manifest;
    let mut chunks: Vec<Chunk> = manifest.chunks().to_vec();
    if case.optional("digest").is_some() {
        chunks[index(case, "index")].digest = Digest::from_bytes(case.array("digest"));
    }
    if case.optional("listed").is_some() {
        chunks = places(case, "listed").into_iter().map(|place| manifest.chunks()[place]).collect();
    }
    let object_id =
        case.optional("named").map_or(manifest.object_id(), |_| ObjectId::from_bytes(case.array("named")));
    ChunkManifest::new(object_id, manifest.total_len(), manifest.chunk_size(), chunks).expect("fits together")
}

/// Puts the chunks together in the case's order, each as that at the place in the manifest.
fn join(case: &Case<'_>, cut: &Cut) -> Result<(), ChunkError> {
    let manifest = named(case, cut);
    let listed = case.optional("listed").map(|_| places(case, "listed"));
    let of = |place: usize| listed.as_ref().map_or(place, |listed| listed[place]);
    let verified = places(case, "order").into_iter().map(|place| {
        manifest.verify(place, &cut.objects[of(place)].body.bytes.0).expect("a chunk of the manifest")
    });
    manifest.join(verified, &cut.key).map(drop)
}

fn ranged(case: &Case<'_>) -> Result<String, ChunkError> {
    let (total, size) = (decimal(case, "total_len"), decimal(case, "chunk_size"));
    let chunk = Chunk { object_id: ObjectId::default(), digest: Digest::default() };
    let chunks = vec![chunk; usize::try_from(total.div_ceil(size)).expect("few")];
    let size = u32::try_from(size).expect("32 bits");
    let manifest = ChunkManifest::new(ObjectId::default(), total, size, chunks).expect("fits together");
    let pieces = manifest.pieces(decimal(case, "start")..decimal(case, "end"))?;
    Ok(pieces.map(|piece| format!("{}:{:?}", piece.index, piece.within)).collect::<Vec<_>>().join(" "))
}

fn range(case: &Case<'_>) {
    case.same(ranged(case).as_deref(), Ok(case.text("pieces")));
}

//= docs/spec/symbols.md#chunks
fn range_reject(case: &Case<'_>) {
    case.refuses(ranged(case));
}

fn manifest_reject(case: &Case<'_>) {
    let manifest = case.bytes("manifest");
    let item = cbor::decode(&manifest).expect("canonical");
    case.refuses(ChunkManifest::from_cbor(item));
}
