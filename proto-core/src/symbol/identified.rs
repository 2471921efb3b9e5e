//! An object together with its bytes and its identity.

use alloc::vec::Vec;

use crate::encoding::cbor::{CborError, ShapeError};
use crate::ids::ObjectId;
use crate::object::{ObjectIdKey, StoredObject};

/// An object, its bytes, and the identity that was computed from them.
///
/// It is what an encoder takes and a decoder gives, so that nothing is sent or handed on under another object's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifiedObject {
    id: ObjectId,
    object: StoredObject,
    bytes: Vec<u8>,
}

impl IdentifiedObject {
    /// `object` and its identity under its zone's `key`.
    ///
    /// # Errors
    /// What makes the object impossible to encode.
    pub fn new(object: StoredObject, key: &ObjectIdKey) -> Result<Self, CborError> {
        Ok(Self { id: object.id(key)?, bytes: object.to_bytes()?, object })
    }

    /// The object that `bytes` are, and its identity under its zone's `key`.
    ///
    /// # Errors
    /// What makes `bytes` no canonical stored object.
    pub fn from_bytes(bytes: Vec<u8>, key: &ObjectIdKey) -> Result<Self, ShapeError> {
        let object = StoredObject::from_bytes(&bytes)?;
        Ok(Self { id: object.id(key)?, object, bytes })
    }

    /// The identity.
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// The object.
    pub const fn object(&self) -> &StoredObject {
        &self.object
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The object and its bytes.
    pub fn into_parts(self) -> (StoredObject, Vec<u8>) {
        (self.object, self.bytes)
    }
}
