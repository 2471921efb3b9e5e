//! To and from CBOR items, `serde_json` values and typed values.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::{InexactNumber, Json, JsonError, Number, Object, parse};
use crate::encoding::cbor::{FromCbor, Map, ShapeError, ToCbor, Value};
use crate::encoding::named;
use crate::error::Code;

/// Why a text is not the typed value that was expected.
#[derive(Debug)]
pub enum ReadError {
    /// The text is not strict JSON.
    Json(JsonError),
    /// The value is not of the expected type: an unknown or missing field, or another kind of value.
    Shape(serde_json::Error),
}

impl ReadError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::Json(error) => error.code(),
            Self::Shape(_) => Code::InputInvalid,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Shape(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReadError {}

/// Reads a typed value from strict JSON of at most `max_bytes`.
///
/// # Errors
/// What the text or the type refuses.
pub fn parse_as<T: DeserializeOwned>(input: &[u8], max_bytes: usize) -> Result<T, ReadError> {
    let value = parse(input, max_bytes).map_err(ReadError::Json)?;
    named::read(serde_json::Value::from(value)).map_err(ReadError::Shape)
}

impl From<Json> for serde_json::Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bit) => Self::Bool(bit),
            Json::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => Self::from(n),
                (None, Some(n)) => Self::from(n),
                (None, None) => Self::from(number.to_f64()),
            },
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(object) => {
                Self::Object(object.into_entries().into_iter().map(|(k, v)| (k, Self::from(v))).collect())
            }
        }
    }
}

impl TryFrom<serde_json::Value> for Json {
    type Error = InexactNumber;

    fn try_from(value: serde_json::Value) -> Result<Self, InexactNumber> {
        Ok(match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(bit) => Self::Bool(bit),
            serde_json::Value::Number(number) => Self::Number(Number::from_decimal(&number.to_string())?),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => {
                Self::Array(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(map) => {
                let mut object = Object::default();
                for (key, value) in map {
                    object.insert(key, Self::try_from(value)?);
                }
                Self::Object(object)
            }
        })
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(bit) => serializer.serialize_bool(*bit),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => serializer.serialize_u64(n),
                (None, Some(n)) => serializer.serialize_i64(n),
                (None, None) => serializer.serialize_f64(number.to_f64()),
            },
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => serializer.collect_map(object.iter()),
        }
    }
}

impl ToCbor for Json {
    fn to_cbor(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bit) => Value::Bool(*bit),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => Value::Unsigned(n),
                (None, Some(n)) => Value::integer(n),
                (None, None) => Value::Float(number.to_f64()),
            },
            Self::String(text) => text.to_cbor(),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_cbor).collect()),
            Self::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                // The encoding of a text begins with its length, so shorter keys come first.
                members.sort_by_key(|(key, _)| (key.len(), *key));
                let entries = members.into_iter().map(|(k, v)| (k.to_cbor(), v.to_cbor()));
                Value::Map(Map::from_ordered(entries.collect()))
            }
        }
    }
}

impl FromCbor for Json {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(bit) => Self::Bool(bit),
            Value::Unsigned(n) => Self::from(n),
            Value::Negative(n) => Self::from(!i64::try_from(n).map_err(|_| ShapeError::OutOfRange)?),
            Value::Float(x) => Self::Number(Number::try_from(x).map_err(|_| ShapeError::OutOfRange)?),
            Value::Text(text) => Self::String(text.into_owned()),
            Value::Bytes(_) => return Err(ShapeError::WrongType("a JSON value")),
            Value::Array(items) => {
                Self::Array(items.into_iter().map(Self::from_cbor).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let mut object = Object::default();
                for (key, value) in map.into_entries() {
                    object.insert(String::from_cbor(key)?, Self::from_cbor(value)?);
                }
                Self::Object(object)
            }
        })
    }
}

/// For fields of typed values, whose text has already been parsed strictly.
impl<'de> serde::Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(serde_json::Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
