//! An object together with its bytes and its identity.

use alloc::vec::Vec;

use crate::encoding::cbor::{CborError, ShapeError};
use crate::ids::ObjectId;
use crate::object::{Header, ObjectIdKey, StoredObject, identify};

/// An object's bytes, its header, and the identity that was computed from them.
///
/// It is what an encoder takes and a decoder gives, so that nothing is sent or handed on under another object's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifiedObject {
    id: ObjectId,
    header: Header,
    bytes: Vec<u8>,
}

impl IdentifiedObject {
    /// `object` and its identity under its zone's `key`.
    ///
    /// # Errors
    /// What makes the object impossible to encode.
    pub fn new(object: StoredObject, key: &ObjectIdKey) -> Result<Self, CborError> {
        Ok(Self { id: object.id(key)?, bytes: object.to_bytes()?, header: object.header })
    }

    /// The object that `bytes` are, and its identity under its zone's `key`.
    ///
    /// # Errors
    /// What makes `bytes` no canonical stored object.
    pub fn from_bytes(bytes: Vec<u8>, key: &ObjectIdKey) -> Result<Self, ShapeError> {
        let (header, id) = identify(&bytes, key)?;
        Ok(Self { id, header, bytes })
    }

    /// The identity.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes, which [`StoredObject::from_bytes`] reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
