//! JSON pointers (RFC 6901).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::Json;
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use crate::limits::MAX_DEPTH;

/// A path into a JSON value, such as `/repo/name`; the empty text is the whole value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerError {
    /// A pointer is empty or begins with a slash.
    MissingSlash,
    /// A tilde is followed by 0 or 1.
    InvalidEscape,
    /// No value is nested that deeply.
    TooDeep,
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingSlash => "a JSON pointer must be empty or begin with \"/\"",
            Self::InvalidEscape => "in a JSON pointer \"~\" must be followed by 0 or 1",
            Self::TooDeep => "the JSON pointer has too many steps",
        })
    }
}

impl core::error::Error for PointerError {}

impl Pointer {
    /// The pointer spelled `text`.
    ///
    /// # Errors
    /// The rule of RFC 6901 §3 that `text` breaks.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        let steps: Vec<String> = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescape).collect::<Result<_, _>>()?,
            None if text.is_empty() => Vec::new(),
            None => return Err(PointerError::MissingSlash),
        };
        if steps.len() > MAX_DEPTH {
            return Err(PointerError::TooDeep);
        }
        Ok(Self { text: text.into(), steps })
    }

    /// The pointer's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The steps, unescaped.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    pub(super) fn resolve<'a>(&self, value: &'a Json) -> Option<&'a Json> {
        self.steps.iter().try_fold(value, |at, step| match at {
            Json::Object(object) => object.get(step),
            Json::Array(items) => items.get(index(step)?),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        })
    }
}

/// An array index is digits without leading zeros (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    if plain { step.parse().ok() } else { None }
}

fn unescape(step: &str) -> Result<String, PointerError> {
    let mut out = String::with_capacity(step.len());
    let mut parts = step.split('~');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.as_bytes().first() {
            Some(b'0') => out.push('~'),
            Some(b'1') => out.push('/'),
            Some(_) | None => return Err(PointerError::InvalidEscape),
        }
        out.push_str(&part[1..]);
    }
    Ok(out)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        Self::new(text)
    }
}

impl serde::Serialize for Pointer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Pointer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl ToCbor for Pointer {
    fn to_cbor(&self) -> Value<'_> {
        self.text.to_cbor()
    }
}

impl FromCbor for Pointer {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let text = String::from_cbor(value)?;
        Self::new(&text).map_err(|_| ShapeError::Invalid("not a JSON pointer"))
    }
}
