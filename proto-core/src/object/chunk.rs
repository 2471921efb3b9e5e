//! Objects too large to travel whole: cut into chunks, each of which can be fetched and checked on its own.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::{Body, Header, Object, ObjectIdKey, Schema, SignedBody, StoredObject};
use crate::cbor_map;
use crate::crypto::hash;
use crate::encoding::cbor::{
    ByteString, CborError, FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value,
};
use crate::ids::{Digest, ObjectId};
use crate::limits::{MAX_OBJECT_BYTES, MAX_WHOLE_BYTES};

/// The smallest chunk size, in bytes: that of the wire sheet.
pub const MIN_CHUNK_BYTES: u32 = 64 * 1024;

/// The largest chunk size, in bytes. Chosen: a chunk and its header travel whole.
pub const MAX_CHUNK_BYTES: u32 = 512 * 1024;

/// The chunk size unless said otherwise. Chosen: a reader of a short range fetches little that it does not need.
pub const CHUNK_BYTES: u32 = 256 * 1024;

cbor_map! {
    /// One chunk of an object, as the manifest names it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Chunk {
        /// The [`RawChunk`] that holds it.
        pub object_id: ObjectId,
        /// BLAKE3-256 of its bytes.
        pub digest: Digest,
    }
}

cbor_map! {
    /// Bytes of another object, under that object's label.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RawChunk {
        /// The bytes.
        pub bytes: ByteString,
    }
}

/// How an object's bytes are cut; signed by the node that cut them. Its parts always fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkManifest {
    object_id: ObjectId,
    total_len: u64,
    chunk_size: u32,
    chunks: Vec<Chunk>,
}

/// The part of a byte range that lies in one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which chunk.
    pub index: usize,
    /// Which of the chunk's bytes.
    pub within: Range<usize>,
}

/// A chunk whose bytes are those that the manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChunk<'a> {
    index: usize,
    bytes: &'a [u8],
}

/// Why an object cannot be cut, or chunks are not what a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// The object is small enough to travel whole.
    TravelsWhole,
    /// The object is larger than any may be.
    TooLarge,
    /// A chunk size that is no power of two within the bounds.
    WrongChunkSize,
    /// The number of chunks is not the one that the sizes give.
    WrongChunkCount,
    /// A range that ends before it begins, or beyond the object.
    RangeOutOfBounds,
    /// The manifest has no such chunk.
    NoSuchChunk,
    /// The chunk has another length.
    WrongLength,
    /// The chunk's bytes have another hash.
    WrongDigest,
    /// The chunk's object has another identity.
    WrongChunkObject,
    /// Chunks are missing or out of order.
    WrongOrder,
    /// The chunks make another object than the one named.
    WrongObject,
    /// Bytes that are not the object they should be.
    Malformed(ShapeError),
}

impl ChunkManifest {
    /// The manifest of the object `object_id` of `total_len` bytes.
    ///
    /// # Errors
    /// The first rule that the parts break together.
    //= docs/spec/symbols.md#chunks
    pub fn new(
        object_id: ObjectId,
        total_len: u64,
        chunk_size: u32,
        chunks: Vec<Chunk>,
    ) -> Result<Self, ChunkError> {
        if total_len <= MAX_WHOLE_BYTES as u64 {
            return Err(ChunkError::TravelsWhole);
        }
        if total_len > MAX_OBJECT_BYTES as u64 {
            return Err(ChunkError::TooLarge);
        }
        if !chunk_size.is_power_of_two() || !(MIN_CHUNK_BYTES..=MAX_CHUNK_BYTES).contains(&chunk_size) {
            return Err(ChunkError::WrongChunkSize);
        }
        if chunks.len() as u64 != total_len.div_ceil(u64::from(chunk_size)) {
            return Err(ChunkError::WrongChunkCount);
        }
        Ok(Self { object_id, total_len, chunk_size, chunks })
    }

    /// Cuts `object` into chunks of `chunk_size` bytes. Whoever cuts the same object makes the same chunks.
    ///
    /// # Errors
    /// As [`ChunkManifest::new`].
    pub fn cut(
        object: &StoredObject,
        chunk_size: u32,
        key: &ObjectIdKey,
    ) -> Result<(Self, Vec<Object<RawChunk>>), ChunkError> {
        if !(MIN_CHUNK_BYTES..=MAX_CHUNK_BYTES).contains(&chunk_size) {
            return Err(ChunkError::WrongChunkSize);
        }
        let bytes = object.to_bytes()?;
        let header = derived_header(&object.header, &RawChunk::SCHEMA);
        let mut entries = Vec::new();
        let mut objects = Vec::new();
        for piece in bytes.chunks(chunk_size as usize) {
            let chunk =
                Object { header: header.clone(), body: RawChunk { bytes: ByteString(piece.to_vec()) } };
            entries.push(Chunk { object_id: chunk.store()?.id(key)?, digest: hash::digest(piece) });
            objects.push(chunk);
        }
        let manifest = Self::new(object.id(key)?, bytes.len() as u64, chunk_size, entries)?;
        Ok((manifest, objects))
    }

    /// The header of this manifest's object: that of the object it describes, and the chunks as references.
    pub fn header(&self, described: &Header) -> Header {
        derived_header(described, &<Self as SignedBody>::SCHEMA)
            .with_refs(self.chunks.iter().map(|chunk| chunk.object_id))
    }

    /// The object that was cut.
    pub const fn object_id(&self) -> ObjectId {
        self.object_id
    }

    /// The object's bytes.
    pub const fn total_len(&self) -> u64 {
        self.total_len
    }

    /// The bytes of each chunk but the last.
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// The chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The chunks that hold the bytes `range`, and where in them, in order.
    ///
    /// # Errors
    /// [`ChunkError::RangeOutOfBounds`].
    pub fn pieces(&self, range: Range<u64>) -> Result<impl Iterator<Item = Piece>, ChunkError> {
        if range.start > range.end || range.end > self.total_len {
            return Err(ChunkError::RangeOutOfBounds);
        }
        let size = u64::from(self.chunk_size);
        let indices = if range.is_empty() { 0..0 } else { range.start / size..range.end.div_ceil(size) };
        Ok(indices.filter_map(move |index| {
            let begin = range.start.saturating_sub(index * size);
            let end = (range.end - index * size).min(size);
            let within = usize::try_from(begin).ok()?..usize::try_from(end).ok()?;
            Some(Piece { index: usize::try_from(index).ok()?, within })
        }))
    }

    /// Checks the bytes of the chunk `index`.
    ///
    /// # Errors
    /// What they differ in from what the manifest names.
    pub fn verify<'a>(&self, index: usize, bytes: &'a [u8]) -> Result<VerifiedChunk<'a>, ChunkError> {
        let chunk = self.chunks.get(index).ok_or(ChunkError::NoSuchChunk)?;
        if bytes.len() as u64 != self.length(index) {
            return Err(ChunkError::WrongLength);
        }
        if hash::digest(bytes) != chunk.digest {
            return Err(ChunkError::WrongDigest);
        }
        Ok(VerifiedChunk { index, bytes })
    }

    /// Checks the object of the chunk `index`: its identity, and its bytes.
    ///
    /// # Errors
    /// What it differs in from what the manifest names.
    pub fn open(
        &self,
        index: usize,
        object: &StoredObject,
        key: &ObjectIdKey,
    ) -> Result<Object<RawChunk>, ChunkError> {
        let chunk = self.chunks.get(index).ok_or(ChunkError::NoSuchChunk)?;
        if object.id(key)? != chunk.object_id {
            return Err(ChunkError::WrongChunkObject);
        }
        let opened: Object<RawChunk> = object.open().map_err(ChunkError::Malformed)?;
        self.verify(index, &opened.body.bytes.0)?;
        Ok(opened)
    }

    /// Puts all chunks together again.
    ///
    /// # Errors
    /// [`ChunkError::WrongOrder`] unless they are all there, in order; [`ChunkError::Malformed`] or
    /// [`ChunkError::WrongObject`] if they do not make the object that the manifest names.
    pub fn join<'a>(
        &self,
        chunks: impl IntoIterator<Item = VerifiedChunk<'a>>,
        key: &ObjectIdKey,
    ) -> Result<StoredObject, ChunkError> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for chunk in chunks {
            if chunk.index != count || count >= self.chunks.len() {
                return Err(ChunkError::WrongOrder);
            }
            count += 1;
            bytes.extend_from_slice(chunk.bytes);
        }
        if count != self.chunks.len() {
            return Err(ChunkError::WrongOrder);
        }
        let object = StoredObject::from_bytes(&bytes).map_err(ChunkError::Malformed)?;
        if object.id(key)? == self.object_id { Ok(object) } else { Err(ChunkError::WrongObject) }
    }

    /// The bytes of the chunk `index`: all but the last are full.
    fn length(&self, index: usize) -> u64 {
        let before = index as u64 * u64::from(self.chunk_size);
        self.total_len.saturating_sub(before).min(u64::from(self.chunk_size))
    }
}

impl<'a> VerifiedChunk<'a> {
    /// Which chunk it is.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What a part of an object says of itself: the same zone, time, label and life, and no references of its own.
fn derived_header(whole: &Header, schema: &Schema) -> Header {
    Header { schema: schema.id(), refs: Vec::new(), foreign_refs: Vec::new(), ..whole.clone() }
}

impl ToCbor for ChunkManifest {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        map.field("object_id", &self.object_id);
        map.field("total_len", &self.total_len);
        map.field("chunk_size", &self.chunk_size);
        map.field("chunks", &self.chunks);
        map.finish()
    }
}

impl FromCbor for ChunkManifest {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let object_id = fields.field("object_id")?;
        let total_len = fields.field("total_len")?;
        let chunk_size = fields.field("chunk_size")?;
        let chunks = fields.field("chunks")?;
        fields.finish()?;
        Self::new(object_id, total_len, chunk_size, chunks)
            .map_err(|_| ShapeError::Invalid("a manifest whose sizes and chunks do not fit together"))
    }
}

impl Body for RawChunk {
    const SCHEMA: Schema = Schema { namespace: "fcp.chunk", name: "RawChunk", version: "1.0.0" };
}

impl SignedBody for ChunkManifest {
    const SCHEMA: Schema = Schema { namespace: "fcp.chunk", name: "Manifest", version: "1.0.0" };

    /// A chunk that a manifest does not refer to would not be kept.
    //= docs/spec/symbols.md#chunks
    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        if header.refs.iter().eq(self.chunks.iter().map(|chunk| &chunk.object_id)) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("a manifest refers to its chunks, in their order"))
        }
    }
}

impl From<CborError> for ChunkError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.into())
    }
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TravelsWhole => "the object is small enough to travel whole",
            Self::TooLarge => "larger than an object may be",
            Self::WrongChunkSize => "the chunk size is no power of two within the bounds",
            Self::WrongChunkCount => "the sizes give another number of chunks",
            Self::RangeOutOfBounds => "the range is not within the object",
            Self::NoSuchChunk => "the manifest has no such chunk",
            Self::WrongLength => "the chunk has another length",
            Self::WrongDigest => "the chunk's bytes have another hash",
            Self::WrongChunkObject => "the chunk's object has another identity",
            Self::WrongOrder => "chunks are missing or out of order",
            Self::WrongObject => "the chunks make another object",
            Self::Malformed(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for ChunkError {}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::crypto::role::Node;
    use crate::crypto::sign::SigningKey;
    use crate::ids::ZoneId;
    use crate::object::Signed;
    use crate::random::Entropy;
    use crate::time::UnixTime;
    use crate::zone::{Label, Level};

    const OBJECT_BYTES: usize = 3 * MAX_WHOLE_BYTES / 2;

    fn key() -> ObjectIdKey {
        ObjectIdKey::from_bytes([9; 32].into())
    }

    /// An object with `size` bytes of content.
    fn object(size: usize) -> StoredObject {
        let mut entropy = Entropy::from_seed(&[1; 32].into());
        let mut bytes = vec![0; size];
        entropy.fill(&mut bytes);
        let zone = ZoneId::new("z:private").unwrap();
        let label = Label::trusted(Level::PRIVATE);
        let header = Header::new(&RawChunk::SCHEMA, &zone, UnixTime::from_secs(7), label, None)
            .with_refs([ObjectId::from_bytes([1; 32])]);
        Object { header, body: RawChunk { bytes: ByteString(bytes) } }.store().unwrap()
    }

    /// An object, its manifest, and its chunks as stored.
    fn cut() -> (StoredObject, ChunkManifest, Vec<StoredObject>) {
        let object = object(OBJECT_BYTES);
        let (manifest, chunks) = ChunkManifest::cut(&object, CHUNK_BYTES, &key()).unwrap();
        (object, manifest, chunks.iter().map(|chunk| chunk.store().unwrap()).collect())
    }

    fn bytes_of(chunks: &[StoredObject]) -> Vec<Vec<u8>> {
        chunks.iter().map(|chunk| chunk.open::<RawChunk>().unwrap().body.bytes.0).collect()
    }

    //= docs/spec/symbols.md#chunks
    #[test]
    fn chunks_make_the_object_again() {
        let (object, manifest, chunks) = cut();
        assert_eq!((chunks.len(), manifest.total_len()), (7, object.to_bytes().unwrap().len() as u64));
        for (index, chunk) in chunks.iter().enumerate() {
            assert!(chunk.to_bytes().unwrap().len() <= MAX_WHOLE_BYTES, "a chunk travels whole");
            assert!(manifest.open(index, chunk, &key()).is_ok());
            let (made, whole) = (&chunk.header, &object.header);
            assert_eq!(
                (&made.zone_id, &made.provenance, made.created_at),
                (&whole.zone_id, &whole.provenance, whole.created_at)
            );
            assert!(made.refs.is_empty());
        }
        let bytes = bytes_of(&chunks);
        let verified =
            || bytes.iter().enumerate().map(|(index, bytes)| manifest.verify(index, bytes).unwrap());
        assert_eq!(manifest.join(verified(), &key()), Ok(object));
        let wrong_order = Err(ChunkError::WrongOrder);
        assert_eq!(manifest.join(verified().skip(1), &key()), wrong_order);
        assert_eq!(manifest.join(verified().take(6), &key()), wrong_order);
        assert_eq!(manifest.join(verified().chain(verified().take(1)), &key()), wrong_order);
        assert_eq!(manifest.join([], &key()), wrong_order);
    }

    #[test]
    fn a_signed_manifest_reads_back_and_names_its_chunks() {
        let (object, manifest, _) = cut();
        let signer = SigningKey::<Node>::generate(&mut Entropy::from_seed(&[2; 32].into()));
        let signed = Object::sign(manifest.header(&object.header), manifest.clone(), &signer).unwrap();
        let stored = StoredObject::from_bytes(&signed.store().unwrap().to_bytes().unwrap()).unwrap();
        assert_eq!(stored.open::<Signed<ChunkManifest>>().unwrap().body.fields, manifest);
        let chunks: Vec<_> = manifest.chunks().iter().map(|chunk| chunk.object_id).collect();
        assert_eq!(stored.header.refs, chunks);
    }

    #[test]
    fn a_range_is_read_from_the_chunks_it_touches() {
        let (object, manifest, chunks) = cut();
        let (whole, bytes) = (object.to_bytes().unwrap(), bytes_of(&chunks));
        let end = whole.len() as u64;
        for range in [0..1, 262_143..262_145, 300_000..900_000, end - 1..end, 0..end, 5..5, end..end] {
            let mut read = Vec::new();
            for piece in manifest.pieces(range.clone()).unwrap() {
                let chunk = manifest.verify(piece.index, &bytes[piece.index]).unwrap();
                read.extend_from_slice(&chunk.bytes()[piece.within]);
            }
            assert_eq!(read, whole[range.start as usize..range.end as usize], "{range:?}");
        }
        assert_eq!(manifest.pieces(262_143..262_145).unwrap().count(), 2);
        for (start, stop) in [(1, 0), (0, end + 1), (u64::MAX, u64::MAX), (end + 1, end + 1)] {
            assert_eq!(manifest.pieces(start..stop).map(|_| ()), Err(ChunkError::RangeOutOfBounds));
        }
    }

    #[test]
    fn a_chunk_that_is_another_is_refused_by_name() {
        let (_, manifest, chunks) = cut();
        let bytes = bytes_of(&chunks);
        let mut bent = bytes[1].clone();
        bent[9] ^= 1;
        assert_eq!(manifest.verify(1, &bent), Err(ChunkError::WrongDigest));
        assert_eq!(manifest.verify(1, &bytes[2]), Err(ChunkError::WrongDigest));
        assert_eq!(manifest.verify(1, &bytes[1][1..]), Err(ChunkError::WrongLength));
        assert_eq!(manifest.verify(6, &bytes[0]), Err(ChunkError::WrongLength), "the last is shorter");
        assert_eq!(manifest.verify(7, &bytes[0]), Err(ChunkError::NoSuchChunk));
        assert_eq!(manifest.open(1, &chunks[2], &key()), Err(ChunkError::WrongChunkObject));
        assert_eq!(manifest.open(7, &chunks[2], &key()), Err(ChunkError::NoSuchChunk));
        let mut other_time = chunks[1].clone();
        other_time.header.created_at = UnixTime::from_secs(8);
        assert_eq!(manifest.open(1, &other_time, &key()), Err(ChunkError::WrongChunkObject));
    }

    /// A manifest that names chunks of its own making and the identity of another object.
    #[test]
    fn chunks_of_another_object_are_not_given_out() {
        let (object, manifest, chunks) = cut();
        let other = ObjectId::from_bytes([5; 32]);
        let entries = manifest.chunks().to_vec();
        let lying = ChunkManifest::new(other, manifest.total_len(), CHUNK_BYTES, entries).unwrap();
        let bytes = bytes_of(&chunks);
        let verified = bytes.iter().enumerate().map(|(index, bytes)| lying.verify(index, bytes).unwrap());
        assert_eq!(lying.join(verified, &key()), Err(ChunkError::WrongObject));
        assert_ne!(object.id(&key()), Ok(other));
    }

    #[test]
    fn what_cannot_be_cut_is_refused_by_name() {
        let small = object(MAX_WHOLE_BYTES / 2);
        assert_eq!(
            ChunkManifest::cut(&small, CHUNK_BYTES, &key()).map(|_| ()),
            Err(ChunkError::TravelsWhole)
        );
        let large = object(OBJECT_BYTES);
        for size in [0, 1, CHUNK_BYTES + 1, MAX_CHUNK_BYTES * 2, u32::MAX] {
            let refused = ChunkManifest::cut(&large, size, &key()).map(|_| ());
            assert_eq!(refused, Err(ChunkError::WrongChunkSize), "{size}");
        }
        let new = |total, size, count| {
            let chunk = Chunk { object_id: ObjectId::default(), digest: Digest::default() };
            ChunkManifest::new(ObjectId::default(), total, size, vec![chunk; count]).map(|_| ())
        };
        assert_eq!(new(MAX_OBJECT_BYTES as u64 + 1, MAX_CHUNK_BYTES, 129), Err(ChunkError::TooLarge));
        assert_eq!(new(MAX_OBJECT_BYTES as u64, MAX_CHUNK_BYTES, 128), Ok(()));
        assert_eq!(new(u64::MAX, MAX_CHUNK_BYTES, 0), Err(ChunkError::TooLarge));
        assert_eq!(new(MAX_WHOLE_BYTES as u64 + 1, CHUNK_BYTES, 4), Err(ChunkError::WrongChunkCount));
    }
}
