//! Objects as bytes, and their identity.

use alloc::vec::Vec;

use super::payload::{SCHEMA_HASH_BYTES, decode_payload, encode_payload};
use super::{Header, Schema};
use crate::cbor_map;
use crate::crypto::role;
use crate::crypto::secret::SymmetricKey;
use crate::encoding::cbor::{self, ByteString, CborError, FromCbor, ShapeError, ToCbor};
use crate::ids::ObjectId;

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
        if stored.body.0.len() < SCHEMA_HASH_BYTES {
            Err(ShapeError::SchemaMissing)
        } else if stored.body.0.starts_with(stored.header.schema.hash().as_bytes()) {
            Ok(stored)
        } else {
            Err(ShapeError::SchemaMismatch)
        }
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CborError> {
        cbor::encode(&self.to_cbor())
    }

    /// The object's identity under its zone's key.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    //= docs/spec/objects.md#identity
    pub fn id(&self, key: &ObjectIdKey) -> Result<ObjectId, CborError> {
        let mut named = ID_DOMAIN.to_vec();
        named.extend(self.header.zone_id.as_str().as_bytes());
        named.extend(self.header.schema.hash().as_bytes());
        named.extend(CONTENT_DOMAIN);
        // One piece: BLAKE3 is fastest where it sees everything at once.
        let mut named = cbor::encode_after(named, &self.header.to_cbor())?;
        named.extend(&self.body.0);
        Ok(ObjectId::from_bytes(*blake3::keyed_hash(key.expose(), &named).as_bytes()))
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
