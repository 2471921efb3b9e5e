//! Array and keyed headers, `key[N]{fields}:`, and the splitting of what follows them (§6, §11).

use super::scalar::{closing_quote, read_quoted};
use super::{Delimiter, ToonRule};

/// What opens an array or a keyed object.
#[derive(Debug)]
pub(super) struct Header {
    /// The declared number of items.
    pub(super) length: usize,
    /// Whether rows carry keys: `[N:]`.
    pub(super) keyed: bool,
    /// What separates cells.
    pub(super) delimiter: Delimiter,
    /// The columns, if it is a table.
    pub(super) fields: Vec<Field>,
}

/// A column, or a group of columns.
#[derive(Debug)]
pub(super) struct Field {
    /// Its key.
    pub(super) key: String,
    /// The columns of a nested object; none for a scalar.
    pub(super) group: Vec<Field>,
}

impl Field {
    /// The number of cells that `fields` take.
    pub(super) fn width(fields: &[Self]) -> usize {
        fields.iter().map(|field| if field.group.is_empty() { 1 } else { Self::width(&field.group) }).sum()
    }

    fn has_duplicate(fields: &[Self]) -> bool {
        let mut keys = std::collections::BTreeSet::new();
        fields.iter().any(|field| !keys.insert(&field.key) || Self::has_duplicate(&field.group))
    }
}

impl Header {
    /// The header at the beginning of `text`, which starts with its bracket, and what follows its colon.
    pub(super) fn read(text: &str) -> Result<(Self, &str), ToonRule> {
        let malformed = ToonRule::MalformedHeader;
        let text = text.strip_prefix('[').ok_or(malformed)?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (length, rest) = text.split_at(digits);
        if length.len() > 1 && length.starts_with('0') {
            return Err(malformed);
        }
        let length = length.parse().map_err(|_| malformed)?;
        let (keyed, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
        let (delimiter, rest) = match rest.chars().next() {
            Some('|') => (Delimiter::Pipe, &rest[1..]),
            Some('\t') => (Delimiter::Tab, &rest[1..]),
            Some(_) | None => (Delimiter::Comma, rest),
        };
        let rest = rest.strip_prefix(']').ok_or(malformed)?;
        let (fields, rest) = match rest.starts_with('{') {
            true => read_fields(rest, delimiter, 0)?,
            false => (Vec::new(), rest),
        };
        let rest = rest.strip_prefix(':').ok_or(malformed)?;
        if keyed && fields.is_empty() {
            return Err(malformed);
        }
        Ok((Self { length, keyed, delimiter, fields }, rest.trim_start_matches(' ')))
    }

    /// Whether one level of fields holds a key twice, which every row would inherit.
    pub(super) fn has_duplicate_field(&self) -> bool {
        Field::has_duplicate(&self.fields)
    }
}

/// The field list that `text` begins with, brace and all, and what follows it.
fn read_fields(text: &str, delimiter: Delimiter, depth: usize) -> Result<(Vec<Field>, &str), ToonRule> {
    if depth > fcp_proto_core::limits::MAX_DEPTH {
        return Err(ToonRule::TooDeep);
    }
    let mut fields = Vec::new();
    let mut rest = text.get(1..).ok_or(ToonRule::MalformedHeader)?;
    loop {
        let (key, after) = read_name(rest, delimiter)?;
        let (group, after) = if after.starts_with('{') {
            read_fields(after, delimiter, depth + 1)?
        } else {
            (Vec::new(), after)
        };
        fields.push(Field { key, group });
        let after = after.trim_start_matches(' ');
        if let Some(end) = after.strip_prefix('}') {
            return Ok((fields, end));
        }
        rest = after.strip_prefix(delimiter.char()).ok_or(ToonRule::MalformedHeader)?;
    }
}

/// The name of one field and what follows it.
fn read_name(text: &str, delimiter: Delimiter) -> Result<(String, &str), ToonRule> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('"') {
        return read_quoted(text);
    }
    let end =
        text.find(|c| c == delimiter.char() || c == '{' || c == '}').ok_or(ToonRule::MalformedHeader)?;
    let name = text[..end].trim_end_matches(' ');
    // Another delimiter than the bracket's means that one of the two is wrong.
    let mixed = Delimiter::ALL.iter().any(|other| name.contains(other.char()));
    if name.is_empty() || mixed {
        return Err(ToonRule::MalformedHeader);
    }
    Ok((name.to_owned(), &text[end..]))
}

/// The first `wanted` outside of quoted tokens. A quote opens a token only where one begins, after a delimiter.
pub(super) fn find_unquoted(text: &str, wanted: char, delimiter: Delimiter) -> Option<usize> {
    let mut at = 0;
    let mut at_start = true;
    while let Some(c) = text[at..].chars().next() {
        if c == wanted {
            return Some(at);
        }
        if at_start && c == '"' {
            at += closing_quote(&text[at..])?;
        }
        at_start = c == delimiter.char() || (at_start && c == ' ');
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// The cells of `text`, without the spaces around them.
pub(super) fn split_cells(text: &str, delimiter: Delimiter) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut rest = text;
    while let Some(at) = find_unquoted(rest, delimiter.char(), delimiter) {
        cells.push(rest[..at].trim_matches(' '));
        rest = &rest[at + 1..];
    }
    cells.push(rest.trim_matches(' '));
    cells
}
