//! A range of bytes of an object that was cut into chunks: only the chunks that it touches are fetched.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ChunkError, ChunkManifest, ObjectIdKey, Piece, StoredObject};
use fcp_proto_core::symbol::IdentifiedObject;

/// A range that is being put together.
#[derive(Debug)]
pub struct RangeFetch {
    manifest: ChunkManifest,
    pieces: Vec<Piece>,
    /// The bytes of pieces that are there and checked, by the index of their chunk.
    found: BTreeMap<usize, Vec<u8>>,
}

impl RangeFetch {
    /// The bytes `range` of the object of `manifest`, which somebody trusted signed.
    ///
    /// # Errors
    /// [`ChunkError::RangeOutOfBounds`].
    //= docs/spec/delivery.md#ranges
    pub fn new(manifest: ChunkManifest, range: Range<u64>) -> Result<Self, ChunkError> {
        let pieces = manifest.pieces(range)?.collect();
        Ok(Self { manifest, pieces, found: BTreeMap::new() })
    }

    /// The chunks that are still to be fetched, in order.
    pub fn missing(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let missing = self.pieces.iter().filter(|piece| !self.found.contains_key(&piece.index));
        missing.filter_map(|piece| self.manifest.chunks().get(piece.index)).map(|chunk| chunk.object_id)
    }

    /// A chunk was fetched. Two chunks with the same bytes are one object, and both are then there.
    ///
    /// # Errors
    /// What it differs in from what the manifest names; nothing of it is used.
    pub fn fetched(&mut self, object: &IdentifiedObject, key: &ObjectIdKey) -> Result<(), ChunkError> {
        let named = |piece: &&Piece| {
            self.manifest.chunks().get(piece.index).is_some_and(|chunk| chunk.object_id == object.id())
        };
        let pieces: Vec<_> = self.pieces.iter().filter(named).cloned().collect();
        if pieces.is_empty() {
            return Err(ChunkError::NoSuchChunk);
        }
        let stored = StoredObject::from_bytes(object.bytes()).map_err(ChunkError::Malformed)?;
        for piece in pieces {
            let chunk = self.manifest.open(piece.index, &stored, key)?;
            let bytes = chunk.body.bytes.0.get(piece.within).ok_or(ChunkError::WrongLength)?;
            self.found.insert(piece.index, bytes.to_vec());
        }
        Ok(())
    }

    /// The bytes, if they are all there.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            bytes.extend_from_slice(self.found.get(&piece.index)?);
        }
        Some(bytes)
    }
}
