//! TOON (Token-Oriented Object Notation) 4.1: the line-based form of JSON that agents read with the fewest tokens.
//!
//! ```text
//! servers[2]{name,port}:      an array of uniform objects is a table
//!   alpha,8080
//!   beta,9090
//! tags[2]: a,b                an array of scalars stands on one line
//! limits[2:]{max}:            so is an object of uniform objects, with a key before each row
//!   bytes: 10
//!   calls: 3
//! ```
//!
//! Why this is our own and not a library: `docs/design/toon.md`. Section numbers are those of the TOON specification.

mod decode;
mod encode;
#[cfg(test)]
mod fixtures;
mod header;
mod lines;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

use std::fmt;

use fcp_proto_core::error::Code;

/// What separates cells and inline items (§11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// `,`, which no header names.
    #[default]
    Comma,
    /// `|`.
    Pipe,
    /// A tab.
    Tab,
}

impl Delimiter {
    /// All of them.
    const ALL: [Self; 3] = [Self::Comma, Self::Pipe, Self::Tab];

    /// The character itself.
    pub(crate) const fn char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Pipe => '|',
            Self::Tab => '\t',
        }
    }

    /// What a header writes behind the length.
    const fn symbol(self) -> &'static str {
        match self {
            Self::Comma => "",
            Self::Pipe => "|",
            Self::Tab => "\t",
        }
    }
}

/// What a decoder does with a defect that the specification allows to be read in one way (§14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Refuses it.
    #[default]
    Strict,
    /// Reads on: counts are not checked, the last of equal keys counts, a malformed header is a key.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "published fixtures demand it; nothing of ours reads so")
    )]
    Lenient,
}

/// How a document is laid out (§13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Spaces of one level.
    pub(crate) indent: usize,
    /// What separates cells; decoding takes it from each header instead.
    pub(crate) delimiter: Delimiter,
}

impl Default for Layout {
    fn default() -> Self {
        Self { indent: 2, delimiter: Delimiter::default() }
    }
}

/// Why a document is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToonError {
    /// The rule that it breaks.
    pub(crate) rule: ToonRule,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The character within the line, counted from 1.
    pub(crate) column: usize,
}

impl ToonError {
    /// The registered code of this failure.
    pub(crate) const fn code(&self) -> Code {
        match self.rule {
            ToonRule::DuplicateKey => Code::DuplicateKey,
            ToonRule::InexactNumber => Code::InexactNumber,
            ToonRule::TooDeep | ToonRule::TooLarge => Code::InputTooLarge,
            ToonRule::TabIndent
            | ToonRule::UnevenIndent
            | ToonRule::OverIndented
            | ToonRule::BlankLine
            | ToonRule::UnterminatedString
            | ToonRule::InvalidEscape
            | ToonRule::AfterQuote
            | ToonRule::MissingColon
            | ToonRule::MalformedHeader
            | ToonRule::KeylessHeader
            | ToonRule::InlineContent
            | ToonRule::ExpectedItem
            | ToonRule::CountMismatch
            | ToonRule::WidthMismatch
            | ToonRule::TrailingLines => Code::MalformedInput,
        }
    }
}

impl fmt::Display for ToonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.rule)
    }
}

/// A rule of TOON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToonRule {
    /// Indentation is of spaces (§12).
    TabIndent,
    /// Indentation is whole levels (§12).
    UnevenIndent,
    /// A line is at most one level deeper than what opens its scope (§12).
    OverIndented,
    /// No blank line stands inside an array or a keyed object (§12).
    BlankLine,
    /// A quoted token is closed on its line (§7.1).
    UnterminatedString,
    /// Escapes are `\\ \" \n \r \t \uXXXX`, the last never a surrogate (§7.1).
    InvalidEscape,
    /// Nothing follows a closing quote but what the position permits (§7.4).
    AfterQuote,
    /// A member has a colon (§8).
    MissingColon,
    /// A header is `key[N]{fields}:` (§6).
    MalformedHeader,
    /// A header without a key stands only at the root or as an item of a list (§6).
    KeylessHeader,
    /// Rows do not stand on the line of their header (§6).
    InlineContent,
    /// An item of a list begins with a hyphen (§9.4).
    ExpectedItem,
    /// As many items follow as the header says (§14.1).
    CountMismatch,
    /// A row has as many cells as the header has fields (§14.1).
    WidthMismatch,
    /// The root spans the whole document (§5).
    TrailingLines,
    /// An object holds each key once (§14.3).
    DuplicateKey,
    /// Every number is kept exactly. Ours, as in strict JSON.
    InexactNumber,
    /// Nesting stays within [`MAX_DEPTH`](fcp_proto_core::limits::MAX_DEPTH). Ours.
    TooDeep,
    /// The document is no longer than the caller permits. Ours.
    TooLarge,
}

impl fmt::Display for ToonRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TabIndent => "indentation must be of spaces",
            Self::UnevenIndent => "indentation is not a whole number of levels",
            Self::OverIndented => "the line is indented deeper than its place permits",
            Self::BlankLine => "blank line inside an array",
            Self::UnterminatedString => "the quoted string is not closed on its line",
            Self::InvalidEscape => "unknown or incomplete escape",
            Self::AfterQuote => "something follows the closing quote",
            Self::MissingColon => "a colon is missing after the key",
            Self::MalformedHeader => "malformed array header",
            Self::KeylessHeader => "an array header without a key cannot stand here",
            Self::InlineContent => "a header with fields takes its rows on the lines below",
            Self::ExpectedItem => "an item beginning with a hyphen is expected here",
            Self::CountMismatch => "the number of items is not the one that the header declares",
            Self::WidthMismatch => "the number of cells is not that of the header's fields",
            Self::TrailingLines => "something follows the end of the document",
            Self::DuplicateKey => "this key occurs twice in its object",
            Self::InexactNumber => "this number cannot be kept exactly",
            Self::TooDeep => "nested too deeply",
            Self::TooLarge => "the document is too large",
        })
    }
}
