//! Strict reading and writing of JSON bodies, the same on both sides.

use bytes::Bytes;
use fcp_proto_core::encoding::json::{self, ReadError};
use fcp_proto_core::error::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::types::ErrorBody;

/// Reads a request's body; an empty one counts as `{}`.
///
/// # Errors
/// The failure to answer with: its code, and the place or field at fault.
pub fn read_request<T: DeserializeOwned>(body: &[u8], max_bytes: usize) -> Result<T, ErrorBody> {
    read(if body.is_empty() { b"{}" } else { body }, max_bytes)
}

/// Reads strict JSON of at most `max_bytes` as a `T`.
///
/// # Errors
/// The failure: its code, and the place or field at fault.
pub fn read<T: DeserializeOwned>(body: &[u8], max_bytes: usize) -> Result<T, ErrorBody> {
    json::parse_as(body, max_bytes).map_err(|error| match &error {
        ReadError::Json(_) => ErrorBody::new(error.code()).because(error.to_string()),
        ReadError::Shape(shape) => {
            let why = shape.to_string();
            ErrorBody::new(shape_code(&why)).because(why)
        }
    })
}

/// Writes a body; its buffer is wiped when the last user lets go, as it may hold a secret.
///
/// # Errors
/// [`Code::Internal`] if the value has no JSON form, which is a defect of the caller.
pub fn write<T: Serialize>(value: &T) -> Result<Bytes, ErrorBody> {
    let text = serde_json::to_vec(value)
        .map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
    Ok(Bytes::from_owner(Zeroizing::new(text)))
}

/// The code of a value of the wrong shape, by the fixed beginnings of serde's messages.
pub(crate) fn shape_code(message: &str) -> Code {
    if message.starts_with("unknown field") {
        Code::UnknownField
    } else if message.starts_with("missing field") {
        Code::MissingField
    } else if message.starts_with("duplicate field") {
        Code::DuplicateKey
    } else {
        Code::InputInvalid
    }
}
