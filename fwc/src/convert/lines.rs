//! Bounded lines of an input, and JSONL on top of them.

use std::io::{self, BufRead};

use fcp_proto_core::error::Code;
use fcp_proto_core::limits::MAX_LINE_BYTES;

use super::{Form, refused, too_large, unreadable};
use crate::output::value::Value;
use crate::output::{Failure, json};

/// The lines of an input, none longer than [`MAX_LINE_BYTES`].
pub(super) struct Lines<'a> {
    reader: &'a mut dyn BufRead,
    form: Form,
    /// The number of the last line read, counted from 1.
    number: usize,
    /// Bytes that may still come, if the input as a whole is bounded.
    left: Option<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of `reader`, at most `limit` bytes in all.
    pub(super) fn new(reader: &'a mut dyn BufRead, form: Form, limit: Option<usize>) -> Self {
        Self { reader, form, number: 0, left: limit }
    }

    /// The number of the last line read.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next line with its end, `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let read = io::Read::take(&mut *self.reader, most).read_until(b'\n', &mut bytes);
        if read.map_err(|error| unreadable(&error))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.len() > MAX_LINE_BYTES {
            return Err(self.error(Code::InputTooLarge, 1, "the line is too long"));
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes.len()).ok_or_else(|| too_large(self.form))?;
        }
        match String::from_utf8(bytes) {
            Ok(line) => Ok(Some(line)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..valid).unwrap_or_default();
                let column = before.iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
                Err(self.error(Code::MalformedInput, column, "the text is not UTF-8"))
            }
        }
    }

    /// The failure that the last line has a defect at `column`.
    pub(super) fn error(&self, code: Code, column: usize, why: &str) -> Failure {
        refused(self.form, code, format!("line {}, column {column}: {why}", self.number))
    }
}

/// The values of a JSONL input; blank lines are skipped.
pub(super) struct JsonLines<'a> {
    lines: Lines<'a>,
}

impl<'a> JsonLines<'a> {
    /// The values written in `lines`.
    pub(super) fn new(lines: Lines<'a>) -> Self {
        Self { lines }
    }

    fn value(&self, line: &str) -> Result<Value, Failure> {
        json::read(line.as_bytes(), MAX_LINE_BYTES).map_err(|error| match error {
            json::ReadError::Strict(error) => {
                self.lines.error(error.code(), error.column, &error.rule.to_string())
            }
            json::ReadError::TooDeep => self.lines.error(error.code(), 1, &error.to_string()),
        })
    }
}

impl Iterator for JsonLines<'_> {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next() {
                Ok(line) => line?,
                Err(failure) => return Some(Err(failure)),
            };
            // Without its end, so that a value cut short is reported on this line.
            let line = line.trim_end_matches(['\n', '\r']);
            let line =
                if self.lines.number() == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
            if !line.trim().is_empty() {
                return Some(self.value(line));
            }
        }
    }
}
