//! Document to value.

use fcp_proto_core::limits::MAX_DEPTH;

use super::header::{Field, Header, find_unquoted, split_cells};
use super::lines::{Line, Lines};
use super::scalar::{read, read_quoted};
use super::{Delimiter, Mode, ToonError, ToonRule};
use crate::output::value::{Object, Value};

/// The value of `document`, at most `max_bytes` long, whose levels are `indent` spaces.
pub(crate) fn decode(
    document: &str,
    indent: usize,
    mode: Mode,
    max_bytes: usize,
) -> Result<Value, ToonError> {
    if document.len() > max_bytes {
        return Err(ToonError { rule: ToonRule::TooLarge, line: 1, column: 1 });
    }
    let lines = Lines::split(document, indent, mode)?;
    let mut reader = Reader { lines, mode, at: 0 };
    let value = reader.root()?;
    match reader.peek() {
        Some(line) => Err(line.error(line.text, ToonRule::TrailingLines)),
        None => Ok(value),
    }
}

/// What a line that may be a member turns out to be.
enum Member<'a> {
    /// `key: rest`.
    Plain { key: String, rest: &'a str },
    /// `key[N]…: rest`.
    Array { key: String, header: Header, rest: &'a str },
}

struct Reader<'a> {
    lines: Lines<'a>,
    mode: Mode,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<Line<'a>> {
        self.lines.content.get(self.at).copied()
    }

    /// The next line if it is at `depth`, nothing if the scope ends before it.
    fn next_at(&self, depth: usize) -> Result<Option<Line<'a>>, ToonError> {
        match self.peek() {
            Some(line) if line.depth > depth => Err(line.error(line.text, ToonRule::OverIndented)),
            Some(line) if depth > MAX_DEPTH => Err(line.error(line.text, ToonRule::TooDeep)),
            next => Ok(next.filter(|line| line.depth == depth)),
        }
    }

    /// §5: a keyless header, a lone scalar, or the members of an object.
    fn root(&mut self) -> Result<Value, ToonError> {
        let Some(line) = self.next_at(0)? else { return Ok(Value::Object(Object::default())) };
        if line.text == "[]" {
            self.at += 1;
            return Ok(Value::Array(Vec::new()));
        }
        if line.text.starts_with('[') {
            match Header::read(line.text) {
                Ok((header, rest)) => {
                    self.at += 1;
                    return self.array(&header, rest, line, 0);
                }
                Err(rule) if self.mode == Mode::Strict => return Err(line.error(line.text, rule)),
                Err(_) => {}
            }
        }
        if self.lines.content.len() == 1 && is_scalar(line.text) {
            self.at += 1;
            return scalar(line.text, line);
        }
        self.members(Vec::new(), 0).map(Value::Object)
    }

    /// The members at `depth`, behind those in `entries`.
    fn members(
        &mut self,
        mut entries: Vec<(String, Value, Line<'a>)>,
        depth: usize,
    ) -> Result<Object, ToonError> {
        while let Some(line) = self.next_at(depth)? {
            self.at += 1;
            let (key, value) = self.member(line.text, line, depth)?;
            entries.push((key, value, line));
        }
        self.object(entries)
    }

    fn object(&self, entries: Vec<(String, Value, Line<'_>)>) -> Result<Object, ToonError> {
        let places: Vec<Line<'_>> = entries.iter().map(|(_, _, line)| *line).collect();
        let entries = entries.into_iter().map(|(key, value, _)| (key, value)).collect();
        match self.mode {
            Mode::Strict => {
                Object::new(entries).map_err(|at| places[at].error(places[at].text, ToonRule::DuplicateKey))
            }
            Mode::Lenient => Ok(Object::last_wins(entries)),
        }
    }

    /// The member written in `text`, a part of `line`, and what belongs to it below `depth`.
    fn member(&mut self, text: &'a str, line: Line<'a>, depth: usize) -> Result<(String, Value), ToonError> {
        match read_member(text, self.mode).map_err(|rule| line.error(text, rule))? {
            Member::Array { key, header, rest } => Ok((key, self.array(&header, rest, line, depth)?)),
            Member::Plain { key, rest: "" } => Ok((key, Value::Object(self.members(Vec::new(), depth + 1)?))),
            Member::Plain { key, rest: "[]" } => Ok((key, Value::Array(Vec::new()))),
            Member::Plain { key, rest } => Ok((key, scalar(rest, line)?)),
        }
    }

    /// What `header` opens at `depth`; `rest` stands behind its colon.
    fn array(
        &mut self,
        header: &Header,
        rest: &'a str,
        line: Line<'a>,
        depth: usize,
    ) -> Result<Value, ToonError> {
        if header.has_duplicate_field() && self.mode == Mode::Strict {
            return Err(line.error(line.text, ToonRule::DuplicateKey));
        }
        if !rest.is_empty() && !header.fields.is_empty() {
            return Err(line.error(rest, ToonRule::InlineContent));
        }
        let first = self.at;
        let (value, count) = if header.keyed {
            let object = self.keyed_rows(header, depth + 1)?;
            (Value::Object(object.0), object.1)
        } else {
            let items = if !rest.is_empty() {
                split_cells(rest, header.delimiter)
                    .into_iter()
                    .map(|cell| scalar(cell, line))
                    .collect::<Result<_, _>>()?
            } else if header.fields.is_empty() {
                self.list(depth + 1)?
            } else {
                self.rows(header, depth + 1)?
            };
            let count = items.len();
            (Value::Array(items), count)
        };
        if self.mode == Mode::Strict {
            self.check_blank_lines(first)?;
            if count != header.length {
                return Err(line.error(line.text, ToonRule::CountMismatch));
            }
        }
        Ok(value)
    }

    /// No blank line between the line at index `first` and the last one taken.
    fn check_blank_lines(&self, first: usize) -> Result<(), ToonError> {
        let taken = self.lines.content.get(first..self.at).unwrap_or_default();
        let (Some(from), Some(to)) = (taken.first(), taken.last()) else { return Ok(()) };
        match self.lines.blank_between(from.number, to.number) {
            Some(line) => Err(ToonError { rule: ToonRule::BlankLine, line, column: 1 }),
            None => Ok(()),
        }
    }

    /// The items of a list at `depth` (§9.4).
    fn list(&mut self, depth: usize) -> Result<Vec<Value>, ToonError> {
        let mut items = Vec::new();
        while let Some(line) = self.next_at(depth)? {
            let item = match line.text.strip_prefix('-') {
                Some("") => "",
                Some(item) if item.starts_with(' ') => item.trim_start_matches(' '),
                Some(_) | None => return Err(line.error(line.text, ToonRule::ExpectedItem)),
            };
            self.at += 1;
            items.push(self.item(item, line, depth)?);
        }
        Ok(items)
    }

    fn item(&mut self, text: &'a str, line: Line<'a>, depth: usize) -> Result<Value, ToonError> {
        if text.is_empty() {
            return Ok(Value::Object(Object::default()));
        }
        if text == "[]" {
            return Ok(Value::Array(Vec::new()));
        }
        if text.starts_with('[') {
            match Header::read(text) {
                Ok((header, rest)) if header.fields.is_empty() => {
                    return self.array(&header, rest, line, depth);
                }
                Ok(_) => return Err(line.error(text, ToonRule::KeylessHeader)),
                Err(rule) if self.mode == Mode::Strict => return Err(line.error(text, rule)),
                Err(_) => {}
            }
        }
        if is_scalar(text) {
            return scalar(text, line);
        }
        let (key, value) = self.member(text, line, depth + 1)?;
        self.members(vec![(key, value, line)], depth + 1).map(Value::Object)
    }

    /// The rows of a table at `depth` (§9.3).
    fn rows(&mut self, header: &Header, depth: usize) -> Result<Vec<Value>, ToonError> {
        let mut rows = Vec::new();
        while let Some(line) = self.next_at(depth)? {
            let cell_end = find_unquoted(line.text, header.delimiter.char(), header.delimiter);
            let colon = find_unquoted(line.text, ':', header.delimiter);
            if colon.is_some_and(|colon| cell_end.is_none_or(|end| colon < end)) {
                // Not a row but a member, which has no place at this depth.
                return Err(line.error(line.text, ToonRule::OverIndented));
            }
            self.at += 1;
            rows.push(Value::Object(self.row(line.text, header, line)?));
        }
        Ok(rows)
    }

    /// The rows of a keyed object at `depth` (§9.5), and how many there were.
    fn keyed_rows(&mut self, header: &Header, depth: usize) -> Result<(Object, usize), ToonError> {
        let mut entries = Vec::new();
        while let Some(line) = self.next_at(depth)? {
            self.at += 1;
            match read_key(line.text) {
                Ok((key, cells)) => {
                    let row = self.row(cells.trim_start_matches(' '), header, line)?;
                    entries.push((key, Value::Object(row), line));
                }
                Err(ToonRule::MissingColon) if self.mode == Mode::Lenient => {}
                Err(rule) => return Err(line.error(line.text, rule)),
            }
        }
        let count = entries.len();
        Ok((self.object(entries)?, count))
    }

    fn row(&self, text: &'a str, header: &Header, line: Line<'a>) -> Result<Object, ToonError> {
        let cells = if text.is_empty() { Vec::new() } else { split_cells(text, header.delimiter) };
        if cells.len() != Field::width(&header.fields) {
            return Err(line.error(text, ToonRule::WidthMismatch));
        }
        self.fill(&header.fields, &mut cells.into_iter(), line)
    }

    /// The object of `fields` with the next of `cells`, depth first.
    fn fill(
        &self,
        fields: &[Field],
        cells: &mut std::vec::IntoIter<&'a str>,
        line: Line<'a>,
    ) -> Result<Object, ToonError> {
        let mut entries = Vec::with_capacity(fields.len());
        for field in fields {
            let value = if field.group.is_empty() {
                scalar(cells.next().unwrap_or_default(), line)?
            } else {
                Value::Object(self.fill(&field.group, cells, line)?)
            };
            entries.push((field.key.clone(), value, line));
        }
        self.object(entries)
    }
}

/// The scalar in `token`, a part of `line`.
fn scalar(token: &str, line: Line<'_>) -> Result<Value, ToonError> {
    read(token).map_err(|rule| line.error(token, rule))
}

/// Whether a line or item is a scalar rather than a member: nothing follows its quoted token, or it has no colon.
fn is_scalar(text: &str) -> bool {
    if !text.starts_with('"') {
        return !text.contains(':');
    }
    match read_quoted(text) {
        Ok((_, rest)) => !rest.starts_with([':', '[']),
        // Reading it as a scalar names the defect.
        Err(_) => true,
    }
}

/// The key before the first colon outside of quotes, and what follows the colon.
fn read_key(text: &str) -> Result<(String, &str), ToonRule> {
    if text.starts_with('"') {
        let (key, rest) = read_quoted(text)?;
        return match rest.strip_prefix(':') {
            Some(rest) => Ok((key, rest)),
            None if rest.is_empty() => Err(ToonRule::MissingColon),
            None => Err(ToonRule::AfterQuote),
        };
    }
    let colon = find_unquoted(text, ':', Delimiter::Comma).ok_or(ToonRule::MissingColon)?;
    Ok((text[..colon].trim_end_matches(' ').to_owned(), &text[colon + 1..]))
}

/// The member written in `text`.
fn read_member(text: &str, mode: Mode) -> Result<Member<'_>, ToonRule> {
    if let Some((key, bracket)) = header_candidate(text)? {
        let quoted = text.starts_with('"');
        let header = if quoted || !(key.is_empty() || key.ends_with(' ')) {
            Header::read(bracket)
        } else if key.is_empty() {
            Err(ToonRule::KeylessHeader)
        } else {
            Err(ToonRule::MalformedHeader)
        };
        match header {
            Ok((header, rest)) => return Ok(Member::Array { key, header, rest }),
            Err(rule) if mode == Mode::Strict || quoted => return Err(rule),
            Err(_) => {}
        }
    }
    if mode == Mode::Strict && (text == "-" || text.starts_with("- ")) {
        return Err(ToonRule::MissingColon);
    }
    let (key, rest) = read_key(text)?;
    Ok(Member::Plain { key, rest: rest.trim_start_matches(' ') })
}

/// The key before a bracket and the text from the bracket on, if `text` may be an array's header: its bracket stands
/// before any colon.
fn header_candidate(text: &str) -> Result<Option<(String, &str)>, ToonRule> {
    if text.starts_with('"') {
        let (key, rest) = read_quoted(text)?;
        return Ok(rest.starts_with('[').then_some((key, rest)));
    }
    let Some(bracket) = text.find('[') else { return Ok(None) };
    if text[..bracket].contains(':') || !text[bracket..].contains(':') {
        return Ok(None);
    }
    Ok(Some((text[..bracket].to_owned(), &text[bracket..])))
}
