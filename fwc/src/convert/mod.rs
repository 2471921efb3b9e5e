//! `fwc convert`: one data format into another, from a reader to a writer.
//!
//! JSON and TOON are documents of one value, CSV is a table under one header, JSONL is a sequence of lines. An array in a
//! document is the sequence of its items; any other value in a document is a sequence of one. JSONL and CSV to JSONL run
//! record by record at any length. All else is held in memory, up to [`MAX_DOCUMENT_BYTES`], and written whole or not at
//! all: half a document would be none.

mod csv_records;
mod lines;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read as _, Write};

use fcp_proto_core::error::Code;
use fcp_proto_core::limits::MAX_OBJECT_BYTES;

use crate::output::value::{Object, Value};
use crate::output::{Failure, csv, json, toon};
use csv_records::CsvRecords;
use lines::{JsonLines, Lines};

/// Largest input that is held as a whole. As the largest stored object.
pub(crate) const MAX_DOCUMENT_BYTES: usize = MAX_OBJECT_BYTES;

/// A data format that is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// One JSON value.
    Json,
    /// One JSON value a line.
    #[value(alias = "ndjson")]
    Jsonl,
    /// RFC 4180 with a header; quotes carry the types.
    Csv,
    /// TOON 4.1.
    Toon,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Jsonl => "JSONL",
            Self::Csv => "CSV",
            Self::Toon => "TOON",
        }
    }
}

/// Reads `from` and writes `to`.
///
/// # Errors
/// The first defect of the input with its line and column (exit code 5), or why reading or writing stopped.
pub(crate) fn run(
    from: Form,
    to: Form,
    reader: &mut dyn BufRead,
    writer: &mut dyn Write,
) -> Result<(), Failure> {
    let limit = match to {
        Form::Jsonl => None,
        Form::Json | Form::Csv | Form::Toon => Some(MAX_DOCUMENT_BYTES),
    };
    let done = match from {
        Form::Json | Form::Toon => write_value(document(from, reader)?, to, writer),
        Form::Jsonl => write_records(JsonLines::new(Lines::new(reader, from, limit)), to, writer),
        Form::Csv => write_records(CsvRecords::new(Lines::new(reader, from, limit))?, to, writer),
    };
    match done.and_then(|()| writer.flush().map_err(Stop::Write)) {
        Ok(()) => Ok(()),
        // Whoever reads has seen enough, as `head` does.
        Err(Stop::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Write(error)) => Err(unwritable(&error)),
        Err(Stop::Input(failure)) => Err(failure),
    }
}

/// Why a conversion ended early.
enum Stop {
    Input(Failure),
    Write(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Input(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// The one value of a document.
fn document(from: Form, reader: &mut dyn BufRead) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(too_large(from));
    }
    if from == Form::Json {
        return json::read(&bytes, MAX_DOCUMENT_BYTES).map_err(|error| refused(from, error.code(), error));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = before[start..].iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
        refused(from, Code::MalformedInput, format!("line {line}, column {column}: the text is not UTF-8"))
    })?;
    // A text file ends with a line break, which is no part of the document.
    toon::decode(text, toon::Layout::default().indent, toon::Mode::Strict, MAX_DOCUMENT_BYTES)
        .map_err(|error| refused(from, error.code(), error))
}

/// Writes the value of a document.
fn write_value(value: Value, to: Form, writer: &mut dyn Write) -> Result<(), Stop> {
    match to {
        Form::Json => writeln!(writer, "{}", json::to_line(&value))?,
        Form::Toon => writeln!(writer, "{}", toon::encode(&value, toon::Layout::default()))?,
        Form::Jsonl => {
            for record in into_records(value) {
                writeln!(writer, "{}", json::to_line(&record))?;
            }
        }
        Form::Csv => write_csv(&into_records(value), writer)?,
    }
    Ok(())
}

fn into_records(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        single @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            vec![single]
        }
    }
}

/// Writes records: lines as they come, a document when it is whole.
fn write_records(
    records: impl Iterator<Item = Result<Value, Failure>>,
    to: Form,
    writer: &mut dyn Write,
) -> Result<(), Stop> {
    match to {
        Form::Jsonl => {
            for record in records {
                writeln!(writer, "{}", json::to_line(&record?))?;
            }
            Ok(())
        }
        Form::Json | Form::Csv | Form::Toon => {
            write_value(Value::Array(records.collect::<Result<_, _>>()?), to, writer)
        }
    }
}

fn write_csv(values: &[Value], writer: &mut dyn Write) -> Result<(), Stop> {
    let unfit = |at: usize, why: &str| {
        Failure::new(Code::InputInvalid, "cannot write CSV", format!("record {}: {why}", at + 1))
            .next("give an array of objects, or convert to JSONL")
    };
    let mut records: Vec<&Object> = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        match value.as_object() {
            Some(record) if !record.is_empty() => records.push(record),
            Some(_) => return Err(unfit(at, "an object without members has no CSV form").into()),
            None => return Err(unfit(at, "CSV holds objects only").into()),
        }
    }
    writer.write_all(csv::write_csv(&csv::columns(&records), &records).as_bytes())?;
    Ok(())
}

/// The failure of an input that breaks a rule of its format; `why` begins with line and column.
fn refused(form: Form, code: Code, why: impl ToString) -> Failure {
    Failure::new(code, format!("cannot read the {}", form.name()), why.to_string())
}

fn too_large(form: Form) -> Failure {
    refused(form, Code::InputTooLarge, format!("more than {MAX_DOCUMENT_BYTES} bytes"))
        .next("convert from JSONL or CSV to JSONL, which has no limit")
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Code::Internal, "cannot read the input", error.to_string())
        .next("check where the input comes from")
}

fn unwritable(error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::StorageFull { Code::StoreFull } else { Code::Internal };
    Failure::new(code, "cannot write the output", error.to_string()).next("check where the output goes")
}
