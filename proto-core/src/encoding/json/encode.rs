//! Value to canonical text: no white space, keys by code point, shortest numbers, shortest escapes.

use alloc::string::{String, ToString};
use core::fmt;

use super::Json;

impl Json {
    /// The canonical text.
    ///
    /// As RFC 8785, with two differences that its own section 3.2.2.3 warns about: integers beyond 2^53 keep all their
    /// digits, and keys are ordered by code point instead of by UTF-16 unit.
    pub fn to_canonical(&self) -> String {
        self.to_string()
    }
}

/// The canonical text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bit) => bit.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::String(text) => string(text, f),
            Self::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at == 0 { "[" } else { "," })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Object(object) => {
                for (at, (key, value)) in object.iter().enumerate() {
                    f.write_str(if at == 0 { "{" } else { "," })?;
                    string(key, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str(if object.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// `text` in quotes, escaping only what must be (RFC 8785 §3.2.2.2).
fn string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        f.write_str(&text[plain..at])?;
        plain = at + 1;
        match byte {
            b'"' => f.write_str("\\\""),
            b'\\' => f.write_str("\\\\"),
            0x08 => f.write_str("\\b"),
            0x09 => f.write_str("\\t"),
            0x0a => f.write_str("\\n"),
            0x0c => f.write_str("\\f"),
            0x0d => f.write_str("\\r"),
            control => write!(f, "\\u{control:04x}"),
        }?;
    }
    f.write_str(&text[plain..])?;
    f.write_str("\"")
}
