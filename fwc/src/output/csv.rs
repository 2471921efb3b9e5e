//! Records as CSV (RFC 4180) and tab-separated lines.
//!
//! CSV has no types, so quotes carry them: a bare cell that is exactly the text of a JSON number, `true` or `false` is that
//! value, a bare empty cell is `null`, and everything else is a string; the writer quotes a string that would be taken
//! for one of these. Scalars therefore come back as they were, and a foreign `007` or `1.50` stays text. Arrays and
//! objects are written as JSON text and come back as that text.
//!
//! Cells are written as they are: a spreadsheet may run a cell that begins with `=`, `+`, `-` or `@` as a formula, and
//! changing it here would falsify the data. [`formula_cells`] counts them so that the reader can be told.

use fcp_proto_core::encoding::json::Number;

use super::json;
use super::value::{Object, Value};

/// Ends a record (RFC 4180 §2).
const RECORD_END: &str = "\r\n";

/// Every key of `records`, in the order of first appearance.
pub(crate) fn columns(records: &[&Object]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let keys = records.iter().flat_map(|record| record.iter().map(|(key, _)| key));
    keys.filter(|key| seen.insert(*key)).map(str::to_owned).collect()
}

/// The CSV document of `records`, header first; nothing at all if there are no columns.
pub(crate) fn write_csv(columns: &[String], records: &[&Object]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let header = columns.iter().map(|key| quoted_if(key, needs_quotes(key) || key.is_empty()));
    let mut out = header.collect::<Vec<_>>().join(",") + RECORD_END;
    for record in records {
        let members = record.index();
        let cells = columns.iter().map(|key| members.get(key).map(csv_cell).unwrap_or_default());
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push_str(RECORD_END);
    }
    out
}

/// The same as tab-separated lines, with backslash escapes for tab, line break, carriage return and backslash.
pub(crate) fn write_tsv(columns: &[String], records: &[&Object]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let header = columns.iter().map(|key| tsv_text(key));
    let mut out = header.collect::<Vec<_>>().join("\t") + "\n";
    for record in records {
        let members = record.index();
        let cells =
            columns.iter().map(|key| members.get(key).map(|it| tsv_text(&plain(it))).unwrap_or_default());
        out.push_str(&cells.collect::<Vec<_>>().join("\t"));
        out.push('\n');
    }
    out
}

/// How many strings among the cells of `records` a spreadsheet may take for a formula.
pub(crate) fn formula_cells(records: &[&Object]) -> usize {
    let is_formula = |value: &Value| matches!(value, Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']));
    records.iter().map(|record| record.iter().filter(|(_, value)| is_formula(value)).count()).sum()
}

/// The value that a cell of a CSV document stands for.
pub(crate) fn typed(text: &str, quoted: bool) -> Value {
    match text {
        _ if quoted => Value::from(text),
        "" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => exact_number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

/// The number whose one text is `text`.
fn exact_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number =
        Number::from_decimal(text).ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    (number.to_string() == text).then_some(number)
}

fn csv_cell(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let mistaken = !matches!(typed(text, false), Value::String(_));
            quoted_if(text, mistaken || needs_quotes(text))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => plain(value),
        Value::Array(_) | Value::Object(_) => quoted_if(&json::to_line(value), true),
    }
}

/// The text of a cell without any quoting.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => json::to_line(value),
    }
}

/// A byte-order mark is quoted because a reader would drop it at the beginning of a document.
fn needs_quotes(text: &str) -> bool {
    text.contains(['"', ',', '\r', '\n', '\u{feff}'])
}

fn quoted_if(text: &str, quotes: bool) -> String {
    if quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn tsv_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
