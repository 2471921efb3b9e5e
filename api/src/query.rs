//! Query strings: strict reading for the daemon, writing for the client, and the escaping both need.

use std::collections::BTreeMap;

use fcp_proto_core::error::Code;
use serde::Serialize;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::body::shape_code;
use crate::types::ErrorBody;

/// Longest query string that is read, in bytes. Chosen: every parameter at its longest.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Reads a query string without its `?`; a parameter that is unknown or stands twice is refused.
///
/// # Errors
/// The failure to answer with.
pub fn read<T: DeserializeOwned>(query: &str) -> Result<T, ErrorBody> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(ErrorBody::new(Code::InputTooLarge).because("the query string is too long"));
    }
    let mut fields = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (unescape(key)?, unescape(value)?);
        if fields.insert(key.clone(), Text(value)).is_some() {
            let why = format!("the parameter {key:?} stands twice");
            return Err(ErrorBody::new(Code::DuplicateKey).because(why));
        }
    }
    let fields: MapDeserializer<'_, _, serde::de::value::Error> = MapDeserializer::new(fields.into_iter());
    T::deserialize(fields).map_err(|error| {
        let why = error.to_string();
        ErrorBody::new(shape_code(&why)).because(why)
    })
}

/// Writes the fields of `value`, absent ones left out; empty if there is none.
///
/// # Errors
/// [`Code::Internal`] if `value` is not an object of plain values, which is a defect of the caller.
pub fn write<T: Serialize>(value: &T) -> Result<String, ErrorBody> {
    let defect = |why: &str| ErrorBody::new(Code::Internal).because(why);
    let value = serde_json::to_value(value).map_err(|error| defect(&error.to_string()))?;
    let fields = value.as_object().ok_or_else(|| defect("a query must be an object"))?;
    let mut query = String::new();
    for (key, value) in fields {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::Bool(bit) => bit.to_string(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                return Err(defect("a query holds plain values only"));
            }
        };
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&escape(key));
        query.push('=');
        query.push_str(&escape(&text));
    }
    Ok(query)
}

/// Escapes everything but the unreserved characters of RFC 3986 §2.3: fit for a path segment and for a query.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Undoes [`escape`]; a plus sign is a plus sign.
///
/// # Errors
/// [`Code::MalformedInput`] for an incomplete escape or for bytes that are not UTF-8.
pub fn unescape(text: &str) -> Result<String, ErrorBody> {
    let malformed = |why: &str| ErrorBody::new(Code::MalformedInput).because(why);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits =
                [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
            let [Some(high), Some(low)] = digits else {
                return Err(malformed("a percent sign is not followed by two hexadecimal digits"));
            };
            bytes.extend(u8::try_from(high * 16 + low));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("an escaped text is not UTF-8"))
}

/// A parameter's text, which is a number or truth value where one is expected.
#[derive(Debug)]
struct Text(String);

impl<'de> IntoDeserializer<'de> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Forwards the named number types: the text is parsed as that type, or refused.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)+) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let parsed = self.0.parse::<$type>();
            visitor.$visit(parsed.map_err(|_| serde::de::Error::custom(format!("{:?} is not a number in range", self.0)))?)
        }
    )+ };
}

impl<'de> Deserializer<'de> for Text {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(serde::de::Error::custom(format!("{other:?} is neither true nor false"))),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i64 visit_i64 i64,
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
