//! CSV as records (RFC 4180): a header, then one object a record.

use fcp_proto_core::error::Code;
use fcp_proto_core::limits::MAX_LINE_BYTES;

use super::lines::Lines;
use crate::output::value::{Object, Value};
use crate::output::{Failure, csv};

/// One cell as written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cell {
    text: String,
    quoted: bool,
}

/// The records of a CSV input.
pub(super) struct CsvRecords<'a> {
    lines: Lines<'a>,
    columns: Vec<String>,
}

impl<'a> CsvRecords<'a> {
    /// Reads the header from `lines`.
    pub(super) fn new(mut lines: Lines<'a>) -> Result<Self, Failure> {
        let header = record(&mut lines, 0)?.unwrap_or_default();
        let columns: Vec<String> = header.into_iter().map(|cell| cell.text).collect();
        let mut seen = std::collections::BTreeSet::new();
        match columns.iter().find(|column| !seen.insert(*column)) {
            Some(twice) => Err(lines.error(
                Code::DuplicateKey,
                1,
                &format!("the column {twice:?} occurs twice in the header"),
            )),
            None => Ok(Self { lines, columns }),
        }
    }

    fn object(&self, cells: Vec<Cell>) -> Result<Value, Failure> {
        let (found, expected) = (cells.len(), self.columns.len());
        if found != expected {
            let why = format!("the record has {found} cells and the header {expected}");
            return Err(self.lines.error(Code::MalformedInput, 1, &why));
        }
        let values = cells.into_iter().map(|cell| csv::typed(&cell.text, cell.quoted));
        Object::new(self.columns.iter().cloned().zip(values).collect())
            .map(Value::Object)
            .map_err(|_| self.lines.error(Code::DuplicateKey, 1, "a column occurs twice"))
    }
}

impl Iterator for CsvRecords<'_> {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match record(&mut self.lines, self.columns.len()) {
            Ok(cells) => Some(self.object(cells?)),
            Err(failure) => Some(Err(failure)),
        }
    }
}

/// The cells of the next record. An empty line is a record of one empty cell where there is one column, and nothing
/// elsewhere.
fn record(lines: &mut Lines<'_>, columns: usize) -> Result<Option<Vec<Cell>>, Failure> {
    let mut parser = Parser::default();
    let mut bytes = 0;
    while let Some(line) = lines.next()? {
        let line = if lines.number() == 1 { line.strip_prefix('\u{feff}').unwrap_or(&line) } else { &line };
        if parser.place == Place::RecordStart
            && line.trim_end_matches(['\r', '\n']).is_empty()
            && columns != 1
        {
            continue;
        }
        bytes += line.len();
        if bytes > MAX_LINE_BYTES {
            return Err(lines.error(Code::InputTooLarge, 1, "the record is too long"));
        }
        for (at, c) in line.chars().enumerate() {
            parser.take(c).map_err(|why| lines.error(Code::MalformedInput, at + 1, why))?;
        }
        if parser.place != Place::Quoted {
            return parser.end().map(Some).map_err(|why| lines.error(Code::MalformedInput, 1, why));
        }
    }
    match parser.place {
        Place::Quoted => {
            Err(lines.error(Code::MalformedInput, 1, "the record's last quoted cell is not closed"))
        }
        Place::RecordStart | Place::CellStart | Place::Bare | Place::Closed | Place::Return | Place::End => {
            Ok(None)
        }
    }
}

/// Where the parser is within a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first character.
    #[default]
    RecordStart,
    /// Behind a comma.
    CellStart,
    /// In a cell without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind what may be a closing quote.
    Closed,
    /// Behind a carriage return, which only a line break may follow.
    Return,
    /// Behind the line break.
    End,
}

#[derive(Default)]
struct Parser {
    place: Place,
    cell: Cell,
    cells: Vec<Cell>,
}

impl Parser {
    fn take(&mut self, c: char) -> Result<(), &'static str> {
        self.place = match (self.place, c) {
            (Place::Quoted, '"') => Place::Closed,
            (Place::Quoted, c) => self.push(c, Place::Quoted),
            (Place::Closed, '"') => self.push('"', Place::Quoted),
            (Place::RecordStart | Place::CellStart, '"') => {
                self.cell.quoted = true;
                Place::Quoted
            }
            (Place::Return, '\n') => Place::End,
            (Place::Return, _) => return Err("a carriage return must be quoted or end the line"),
            (Place::End, _) => return Err("something follows the line break"),
            (Place::RecordStart | Place::CellStart | Place::Bare | Place::Closed, ',') => {
                self.cells.push(std::mem::take(&mut self.cell));
                Place::CellStart
            }
            (Place::RecordStart | Place::CellStart | Place::Bare | Place::Closed, '\r') => Place::Return,
            (Place::RecordStart | Place::CellStart | Place::Bare | Place::Closed, '\n') => Place::End,
            (Place::Closed, _) => return Err("something follows the closing quote"),
            (Place::Bare, '"') => {
                return Err("a quote must stand at the beginning of its cell or be doubled inside quotes");
            }
            (Place::RecordStart | Place::CellStart | Place::Bare, c) => self.push(c, Place::Bare),
        };
        Ok(())
    }

    fn push(&mut self, c: char, place: Place) -> Place {
        self.cell.text.push(c);
        place
    }

    /// The cells, the last one included.
    fn end(mut self) -> Result<Vec<Cell>, &'static str> {
        if self.place == Place::Return {
            return Err("a carriage return must be quoted or end the line");
        }
        self.cells.push(self.cell);
        Ok(self.cells)
    }
}
