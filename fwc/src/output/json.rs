//! JSON in and out, with the order of members kept.
//!
//! Written text is plain JSON; characters that a terminal acts on or a reader cannot see are escaped, which changes no
//! value and makes the text safe to show.

use std::fmt;

use fcp_proto_core::encoding::json::{self, Json, JsonError};
use fcp_proto_core::error::Code;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::text::is_hidden;
use super::value::{Object, Value};

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It breaks a rule of strict JSON.
    Strict(JsonError),
    /// It is nested more deeply than members can be kept in order.
    TooDeep,
}

impl ReadError {
    /// The registered code of this failure.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Strict(error) => error.code(),
            Self::TooDeep => Code::InputTooLarge,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strict(error) => error.fmt(f),
            Self::TooDeep => f.write_str("nested too deeply"),
        }
    }
}

/// The value written in `input`, at most `max_bytes` long, under all rules of strict JSON.
///
/// Strict parsing decides about validity and values; a second walk over the same text takes the order of keys from it.
pub(crate) fn read(input: &[u8], max_bytes: usize) -> Result<Value, ReadError> {
    let strict = json::parse(input, max_bytes).map_err(ReadError::Strict)?;
    let mut walk = serde_json::Deserializer::from_slice(input);
    // The text is known to be valid, so only the walk's own bound on nesting (127 levels) is left to fail.
    InOrder(&strict).deserialize(&mut walk).map_err(|_| ReadError::TooDeep)
}

/// Rebuilds a parsed value in the order of its text.
struct InOrder<'a>(&'a Json);

impl<'de> DeserializeSeed<'de> for InOrder<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, walk: D) -> Result<Value, D::Error> {
        let scalar = match self.0 {
            Json::Array(_) => return walk.deserialize_seq(self),
            Json::Object(_) => return walk.deserialize_map(self),
            Json::Null => Value::Null,
            Json::Bool(bit) => Value::Bool(*bit),
            Json::Number(number) => Value::Number(*number),
            Json::String(text) => Value::String(text.clone()),
        };
        serde::Deserialize::deserialize(walk).map(|_: IgnoredAny| scalar)
    }
}

impl<'de> Visitor<'de> for InOrder<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the container that was parsed here")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut walk: A) -> Result<Value, A::Error> {
        let parsed = self.0.as_array().unwrap_or_default();
        let mut items = Vec::with_capacity(parsed.len());
        for item in parsed {
            let next = walk.next_element_seed(InOrder(item))?;
            items.push(next.ok_or_else(|| A::Error::custom("fewer items than parsed"))?);
        }
        // Lets the walk see the end of the array.
        match walk.next_element::<IgnoredAny>()? {
            None => Ok(Value::Array(items)),
            Some(_) => Err(A::Error::custom("more items than parsed")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut walk: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = walk.next_key::<String>()? {
            let parsed = self.0.get(&key).ok_or_else(|| A::Error::custom("a key that was not parsed"))?;
            let value = walk.next_value_seed(InOrder(parsed))?;
            entries.push((key, value));
        }
        Object::new(entries).map(Value::Object).map_err(|_| A::Error::custom("a key that occurs twice"))
    }
}

/// `value` on one line.
pub(crate) fn to_line(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, &mut out);
    out
}

/// `value` with one member or item a line, indented by two spaces a level.
pub(crate) fn to_pretty(value: &Value) -> String {
    let mut out = String::new();
    write(value, Some(0), &mut out);
    out
}

/// Appends `value`; `level` is the depth of indentation, or `None` for one line.
fn write(value: &Value, level: Option<usize>, out: &mut String) {
    let inner = level.map(|level| level + 1);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bit) => out.push_str(if *bit { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(object) if object.is_empty() => out.push_str("{}"),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                break_line(inner, out);
                write(item, inner, out);
            }
            break_line(level, out);
            out.push(']');
        }
        Value::Object(object) => {
            for (at, (key, member)) in object.iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                break_line(inner, out);
                write_string(key, out);
                out.push_str(if inner.is_some() { ": " } else { ":" });
                write(member, inner, out);
            }
            break_line(level, out);
            out.push('}');
        }
    }
}

fn break_line(level: Option<usize>, out: &mut String) {
    if let Some(level) = level {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

fn write_string(text: &str, out: &mut String) {
    quote(text, is_hidden, out);
}

/// `text` between quotes, with escapes for what JSON demands and for what `hides`.
pub(super) fn quote(text: &str, hides: impl Fn(char) -> bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if hides(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
