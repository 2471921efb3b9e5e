//! Strict reading and writing of JSON bodies, the same on both sides.

use bytes::Bytes;
use fcp_proto_core::encoding::json::{self, ReadError};
use fcp_proto_core::encoding::named;
use fcp_proto_core::error::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Deserializer, Track};
use zeroize::Zeroizing;

use crate::types::ErrorBody;

/// Reads a request's body; an empty one counts as `{}`.
///
/// # Errors
/// The failure to answer with: its code, and the place or field at fault.
//= docs/spec/api.md#bodies
pub fn read_request<T: DeserializeOwned>(body: &[u8], max_bytes: usize) -> Result<T, ErrorBody> {
    read(if body.is_empty() { b"{}" } else { body }, max_bytes)
}

/// Reads strict JSON of at most `max_bytes` as a `T`.
///
/// # Errors
/// The failure: its code, and the place or field at fault.
pub fn read<T: DeserializeOwned>(body: &[u8], max_bytes: usize) -> Result<T, ErrorBody> {
    let json = json::parse(body, max_bytes).map_err(|error| {
        let error = ReadError::Json(error);
        ErrorBody::new(error.code()).because(error.to_string())
    })?;
    let mut track = Track::new();
    let value = serde_json::Value::from(json);
    named::read(Deserializer::new(value, &mut track)).map_err(|shape| {
        let (why, place) = (shape.to_string(), track.path().to_string());
        let code = shape_code(&why);
        // These name the field themselves; the place is what they miss it in.
        let named = matches!(code, Code::UnknownField | Code::MissingField | Code::DuplicateKey);
        let whole = place == "." || place == "?";
        ErrorBody::new(code).because(if named || whole { why } else { format!("{place}: {why}") })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AddGrant, Invoke};

    fn refused<T: DeserializeOwned>(body: &str) -> (Code, String) {
        let refused = read_request::<T>(body.as_bytes(), 1 << 20).map(|_| ()).unwrap_err();
        (refused.code, refused.why.unwrap_or_default().into())
    }

    //= docs/spec/api.md#bodies
    #[test]
    fn a_value_that_does_not_fit_is_refused_with_the_place_of_its_field() {
        let name = "holds a character that is not allowed";
        let (code, why) = refused::<AddGrant>(r#"{"zone":"z:wo rk"}"#);
        assert_eq!((code, why), (Code::InputInvalid, format!("zone: {name}")));
        let (code, why) = refused::<AddGrant>(r#"{"operations":["notes.get","no tes"]}"#);
        assert_eq!((code, why), (Code::InputInvalid, format!("operations[1]: {name}")));
        let (code, why) = refused::<Invoke>(r#"{"call":{"connector":"a b"}}"#);
        assert_eq!((code, why), (Code::InputInvalid, format!("call.connector: {name}")));
        let (code, why) = refused::<Invoke>("[]");
        assert!(code == Code::InputInvalid && why.starts_with("invalid type: sequence"), "{why}");
    }

    #[test]
    fn what_names_its_field_itself_says_it_once() {
        let (code, why) = refused::<Invoke>(r#"{"call":{}}"#);
        assert_eq!((code, why.as_str()), (Code::MissingField, "missing field `connector`"));
        let (code, why) = refused::<Invoke>(r#"{"speed":1}"#);
        assert!(code == Code::UnknownField && why.starts_with("unknown field `speed`"), "{why}");
    }
}
