//! Strict JSON (RFC 8259): what two parsers could read differently is refused, and one value has one text.
//!
//! Refused beyond the grammar: duplicate keys, lone surrogates, numbers that cannot be kept exactly, and more than the
//! permitted bytes, nesting or values. Canonical text sorts keys by code point and writes each number in its shortest
//! form. Spec: `docs/spec/encoding.md`.

mod convert;
mod encode;
mod number;
mod parse;
mod pointer;
#[cfg(test)]
mod tests;
mod value;

pub use convert::{ReadError, parse_as};
pub use number::{InexactNumber, Number};
pub use parse::parse;
pub use pointer::{Pointer, PointerError};
pub use value::{DuplicateKey, Json, Object};

use core::fmt;

use crate::error::Code;

/// Most values in one document, containers and keys' values included. Chosen: bounds the memory of a parsed document
/// of the largest size to about a hundred MiB.
pub const MAX_VALUES: usize = 1 << 20;

/// Why a text is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The rule that the text breaks.
    pub rule: JsonRule,
    /// The place in bytes from the start.
    pub offset: usize,
    /// The line, counted from 1.
    pub line: usize,
    /// The character within the line, counted from 1.
    pub column: usize,
}

impl JsonError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        match self.rule {
            JsonRule::DuplicateKey => Code::DuplicateKey,
            JsonRule::InexactNumber => Code::InexactNumber,
            JsonRule::TooLarge | JsonRule::TooDeep | JsonRule::TooManyValues => Code::InputTooLarge,
            JsonRule::InvalidUtf8
            | JsonRule::UnexpectedEnd
            | JsonRule::ExpectedValue
            | JsonRule::ExpectedKey
            | JsonRule::ExpectedColon
            | JsonRule::ExpectedCommaOrEnd
            | JsonRule::InvalidNumber
            | JsonRule::InvalidEscape
            | JsonRule::LoneSurrogate
            | JsonRule::ControlCharacter
            | JsonRule::TrailingBytes => Code::MalformedInput,
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.rule)
    }
}

impl core::error::Error for JsonError {}

/// A rule of strict JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonRule {
    /// The text is UTF-8.
    InvalidUtf8,
    /// Every value, string and container is complete.
    UnexpectedEnd,
    /// A value stands where one must.
    ExpectedValue,
    /// A member begins with a string.
    ExpectedKey,
    /// A colon follows a key.
    ExpectedColon,
    /// A comma or the closing bracket follows an item.
    ExpectedCommaOrEnd,
    /// Numbers follow the grammar of RFC 8259 §6.
    InvalidNumber,
    /// Escapes are those of RFC 8259 §7.
    InvalidEscape,
    /// Escaped surrogates come in pairs.
    LoneSurrogate,
    /// Control characters in strings are escaped.
    ControlCharacter,
    /// Nothing but white space follows the value.
    TrailingBytes,
    /// An object holds each key once.
    DuplicateKey,
    /// Every number is kept exactly.
    InexactNumber,
    /// The text is no longer than the caller permits.
    TooLarge,
    /// Nesting stays within [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    TooDeep,
    /// There are at most [`MAX_VALUES`] values.
    TooManyValues,
}

impl fmt::Display for JsonRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::UnexpectedEnd => "the text ends too early",
            Self::ExpectedValue => "a value is expected here",
            Self::ExpectedKey => "a key in double quotes is expected here",
            Self::ExpectedColon => "a colon is expected here",
            Self::ExpectedCommaOrEnd => "a comma or the closing bracket is expected here",
            Self::InvalidNumber => "this is not how JSON writes a number",
            Self::InvalidEscape => "unknown or incomplete escape",
            Self::LoneSurrogate => "half of a surrogate pair",
            Self::ControlCharacter => "control characters in a string must be escaped",
            Self::TrailingBytes => "something follows the value",
            Self::DuplicateKey => "this key occurs twice in its object",
            Self::InexactNumber => "this number cannot be kept exactly",
            Self::TooLarge => "the text is too large",
            Self::TooDeep => "nested too deeply",
            Self::TooManyValues => "too many values",
        })
    }
}
