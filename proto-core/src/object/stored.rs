//! Objects as bytes, and their identity.

use alloc::vec::Vec;

use super::payload::{SCHEMA_HASH_BYTES, decode_payload, encode_payload};
use super::{Header, Schema};
use crate::cbor_map;
use crate::crypto::hash::Hasher;
use crate::crypto::role;
use crate::crypto::secret::SymmetricKey;
use crate::encoding::cbor::{self, ByteString, CborError, FromCbor, ShapeError, ToCbor};
use crate::ids::ObjectId;
use crate::limits::MAX_OBJECT_BYTES;

/// The domain inside the hashed content (the inner domain is V1, the outer V2).
const CONTENT_DOMAIN: &[u8] = b"FCP2-OBJECT-V1";
/// The domain of the keyed hash.
const ID_DOMAIN: &[u8] = b"FCP2-OBJECT-V2";

/// The secret that names a zone's objects; without it an identity can be neither computed nor checked.
pub type ObjectIdKey = SymmetricKey<role::ObjectId>;

/// A type that can be the body of an object.
pub trait Body: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;

    /// The rules that bind the body to its header, if there are any.
    ///
    /// # Errors
    /// The rule that does not hold.
    fn check_header(&self, _header: &Header) -> Result<(), ShapeError> {
        Ok(())
    }
}

cbor_map! {
    /// An object as stored: the header, and the body's bytes behind its schema's hash.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoredObject {
        /// The header.
        pub header: Header,
        /// The schema's hash, then the body's canonical CBOR.
        pub body: ByteString,
    }
}

impl StoredObject {
    /// Reads a stored object without looking into its body.
    ///
    /// # Errors
    /// What makes `bytes` no canonical stored object; [`ShapeError::SchemaMissing`] or [`ShapeError::SchemaMismatch`] if
    /// the body does not begin with the hash of the header's schema.
    //= docs/spec/objects.md#layout
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShapeError> {
        let stored = Self::from_cbor(cbor::decode(bytes)?)?;
        check_schema(&stored.header, &stored.body.0)?;
        Ok(stored)
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CborError> {
        cbor::encode(self)
    }

    /// The object's identity under its zone's key.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    //= docs/spec/objects.md#identity
    pub fn id(&self, key: &ObjectIdKey) -> Result<ObjectId, CborError> {
        let header = cbor::encode_after(Vec::with_capacity(HEADER_ROOM), &self.header)?;
        Ok(identity(&self.header, &header, &self.body.0, key))
    }

    /// Reads the body as a `T`.
    ///
    /// # Errors
    /// [`ShapeError::SchemaMismatch`] if the object has another schema; else what makes the body no `T`, or the rule
    /// between header and body that does not hold.
    pub fn open<T: Body>(&self) -> Result<Object<T>, ShapeError> {
        let body = T::from_cbor(decode_payload(&T::SCHEMA.id(), &self.body.0)?)?;
        body.check_header(&self.header)?;
        Ok(Object { header: self.header.clone(), body })
    }
}

/// An object with a typed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<T> {
    /// The header.
    pub header: Header,
    /// The body.
    pub body: T,
}

impl<T: Body> Object<T> {
    /// The object as stored.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn store(&self) -> Result<StoredObject, CborError> {
        let body = encode_payload(&T::SCHEMA.id(), &self.body)?;
        Ok(StoredObject { header: self.header.clone(), body: ByteString(body) })
    }
}

/// The header and the identity of the stored object that `bytes` are; its body is only hashed, where it lies.
///
/// # Errors
/// As [`StoredObject::from_bytes`].
pub(crate) fn identify(bytes: &[u8], key: &ObjectIdKey) -> Result<(Header, ObjectId), ShapeError> {
    let Some((body, encoded)) = split(bytes) else {
        // Nothing else is an object; the reader of all says which rule it breaks.
        let stored = StoredObject::from_bytes(bytes)?;
        return Ok((stored.header.clone(), stored.id(key)?));
    };
    let header = Header::from_cbor(cbor::decode(encoded)?)?;
    check_schema(&header, body)?;
    let id = identity(&header, encoded, body, key);
    Ok((header, id))
}

/// The body and the encoded header of a stored object: canonical CBOR leaves one way to lay them out.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = cbor::split_bytes(bytes.strip_prefix(b"\xa2\x64body")?)?;
    (bytes.len() <= MAX_OBJECT_BYTES).then_some((body, rest.strip_prefix(b"\x66header")?))
}

fn check_schema(header: &Header, body: &[u8]) -> Result<(), ShapeError> {
    if body.len() < SCHEMA_HASH_BYTES {
        Err(ShapeError::SchemaMissing)
    } else if body.starts_with(header.schema.hash().as_bytes()) {
        Ok(())
    } else {
        Err(ShapeError::SchemaMismatch)
    }
}

/// The identity of the object with the header whose encoding is `encoded`.
//= docs/spec/objects.md#identity
fn identity(header: &Header, encoded: &[u8], body: &[u8], key: &ObjectIdKey) -> ObjectId {
    let (zone, schema) = (header.zone_id.as_str().as_bytes(), header.schema.hash());
    let parts = [ID_DOMAIN, zone, schema.as_bytes(), CONTENT_DOMAIN, encoded];
    let length = parts.iter().map(|part| part.len()).sum();
    let (early, rest) = body.split_at(WHOLE_TREE.saturating_sub(length).min(body.len()));
    let mut start = Vec::with_capacity(length.saturating_add(early.len()));
    parts.iter().for_each(|part| start.extend(*part));
    start.extend(early);
    // The domain is in the first piece.
    let mut hasher = Hasher::keyed(key.expose(), "");
    hasher.add(&start);
    hasher.add(rest);
    ObjectId::from_bytes(hasher.finish())
}

/// Most headers are shorter, and a vector that does not grow is not copied.
const HEADER_ROOM: usize = 1 << 10;

/// BLAKE3 is as fast in pieces as over the whole if the pieces begin where its trees do, so the first piece is made as
/// long as a tree and the rest of a body is hashed where it lies. Chosen: sixteen of its chunks, as many as the widest
/// processors hash at once.
const WHOLE_TREE: usize = 16 << 10;
