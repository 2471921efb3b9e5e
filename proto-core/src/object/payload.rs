//! Payloads bound to their schema: the schema's hash, then canonical CBOR.

use alloc::vec::Vec;

use super::SchemaId;
use crate::encoding::cbor::{self, CborError, ShapeError, ToCbor, Value};
use crate::limits::MAX_OBJECT_BYTES;

/// The length of a schema's hash, which every payload begins with.
pub const SCHEMA_HASH_BYTES: usize = 32;

/// `value` as a payload of `schema`.
///
/// # Errors
/// As [`cbor::encode`]; the limit on size counts the hash.
//= docs/spec/objects.md#payloads
pub fn encode_payload(schema: &SchemaId, value: &impl ToCbor) -> Result<Vec<u8>, CborError> {
    cbor::encode_after(schema.hash().as_bytes().to_vec(), value)
}

/// The data item in a payload of `schema`. The schema is compared before anything else is read.
///
/// # Errors
/// In this order: the payload is too large, has no room for a hash, belongs to another schema, is not canonical.
//= docs/spec/objects.md#payloads
pub fn decode_payload<'a>(schema: &SchemaId, payload: &'a [u8]) -> Result<Value<'a>, ShapeError> {
    if payload.len() > MAX_OBJECT_BYTES {
        return Err(CborError::TooLarge.into());
    }
    let (hash, item) = payload.split_at_checked(SCHEMA_HASH_BYTES).ok_or(ShapeError::SchemaMissing)?;
    if hash != schema.hash().as_bytes() {
        return Err(ShapeError::SchemaMismatch);
    }
    Ok(cbor::decode(item)?)
}
