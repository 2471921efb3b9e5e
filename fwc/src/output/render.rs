//! Answers and failures to the texts of both output streams. Nothing here touches a stream.

use super::answer::{Answer, Column, Failure, TableSpec};
use super::console::{Format, Surface};
use super::table::{self, Layout, Style};
use super::text::reveal;
use super::toon;
use super::value::{Object, Value};
use super::{csv, json, markdown, units};

/// What goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    /// Data.
    pub(super) stdout: String,
    /// Everything else.
    pub(super) stderr: String,
}

/// `answer` in `format` on `surface`.
pub(super) fn answer(answer: &Answer, format: Format, surface: &Surface) -> Rendered {
    let mut rendered = Rendered::default();
    match format {
        Format::Json => rendered.stdout = document(&answer.envelope(), surface),
        Format::Toon => rendered.stdout = toon_document(&answer.envelope(), surface),
        Format::Jsonl => {
            for row in rows(answer).unwrap_or_else(|| vec![&answer.data]) {
                rendered.stdout.push_str(&(json::to_line(row) + "\n"));
            }
        }
        Format::Csv | Format::Tsv => records(answer, format, surface, &mut rendered),
        Format::Markdown => rendered.stdout = markdown_answer(&in_words(answer)),
        Format::Table => rendered.stdout = table_answer(&in_words(answer), surface),
    }
    if !format.has_envelope() {
        let style = surface.stderr_style();
        if let Some(failure) = &answer.failed {
            rendered.stderr.push_str(&failure_text("failed", failure, style));
        }
        for note in &answer.notes {
            rendered.stderr.push_str(&format!("note: {}\n", reveal(note)));
        }
        for next in &answer.next {
            rendered.stderr.push_str(&format!("next: {}\n", reveal(next)));
        }
        if !format.shows_source() {
            let source = format!("source: {}", answer.source.as_str());
            rendered.stderr.push_str(&(style.dim(&source) + "\n"));
        }
    }
    rendered
}

/// `answer` with its times, lengths and sizes as people read them.
fn in_words(answer: &Answer) -> Answer {
    Answer { data: units::for_people(&answer.data), ..answer.clone() }
}

/// `answer` as one line of a stream: the columns for people, JSON for programs.
pub(super) fn line(answer: &Answer, columns: &TableSpec, format: Format, surface: &Surface) -> String {
    let data = match format {
        Format::Table => {
            let (_, texts) = cells(&[&units::for_people(&answer.data)], Some(columns));
            texts.concat().join("  ")
        }
        Format::Json | Format::Jsonl | Format::Csv | Format::Tsv | Format::Markdown | Format::Toon => {
            json::to_line(&answer.data)
        }
    };
    let visible = format == Format::Table || surface.stdout_terminal;
    if visible { reveal(&data).into_owned() + "\n" } else { data + "\n" }
}

/// `failure` in `format` on `surface`: a document where the format has an envelope, words otherwise.
pub(super) fn failure(failure: &Failure, format: Format, surface: &Surface) -> Rendered {
    let words = failure_text("error", failure, surface.stderr_style());
    let stdout = match format {
        Format::Json => document(&failure.envelope(), surface),
        Format::Toon => toon_document(&failure.envelope(), surface),
        Format::Jsonl => json::to_line(&failure.envelope()) + "\n",
        Format::Csv | Format::Tsv | Format::Markdown | Format::Table => {
            return Rendered { stdout: String::new(), stderr: words };
        }
    };
    // A person who sends the data elsewhere still sees why nothing useful came.
    let seen = surface.stderr_terminal && !surface.stdout_terminal;
    Rendered { stdout, stderr: if seen { words } else { String::new() } }
}

fn failure_text(word: &str, failure: &Failure, style: Style) -> String {
    let head = style.red(&format!("{word} {} {}", failure.code, failure.code.name()));
    let mut out = format!("{head}: {}\n", reveal(&failure.what));
    if !failure.why.is_empty() {
        out.push_str(&format!("  why:  {}\n", reveal(&failure.why)));
    }
    for step in failure.steps() {
        out.push_str(&format!("  next: {}\n", reveal(&step)));
    }
    out
}

fn document(envelope: &Value, surface: &Surface) -> String {
    let text = if surface.stdout_terminal { json::to_pretty(envelope) } else { json::to_line(envelope) };
    text + "\n"
}

/// On a terminal, what TOON cannot escape is made visible; a pipe gets the data as it is.
fn toon_document(envelope: &Value, surface: &Surface) -> String {
    let layout = toon::Layout::default();
    let text = match surface.stdout_terminal {
        true => toon::encode(&envelope.map_text(&|text| reveal(text).into_owned()), layout),
        false => toon::encode(envelope, layout),
    };
    text + "\n"
}

/// The rows of `answer`, if it has some.
fn rows(answer: &Answer) -> Option<Vec<&Value>> {
    let holder = match answer.table.as_ref().and_then(|table| table.rows) {
        Some(member) => answer.data.as_object()?.get(member)?,
        None => &answer.data,
    };
    Some(holder.as_array()?.iter().collect())
}

/// CSV or TSV: the rows, or the data as a single one. What is no record becomes one with the column `value`.
fn records(answer: &Answer, format: Format, surface: &Surface, rendered: &mut Rendered) {
    let visible = |value: &Value| match surface.stdout_terminal {
        true => value.map_text(&|text| reveal(text).into_owned()),
        false => value.clone(),
    };
    let values: Vec<Object> = rows(answer)
        .unwrap_or_else(|| vec![&answer.data])
        .into_iter()
        .map(|row| match visible(row) {
            Value::Object(record) => record,
            other
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Object::default().with("value", other)
            }
        })
        .collect();
    let records: Vec<&Object> = values.iter().collect();
    let columns = csv::columns(&records);
    rendered.stdout = match format {
        Format::Tsv => csv::write_tsv(&columns, &records),
        Format::Csv | Format::Json | Format::Jsonl | Format::Markdown | Format::Table | Format::Toon => {
            csv::write_csv(&columns, &records)
        }
    };
    let formulas = csv::formula_cells(&records);
    if formulas > 0 {
        rendered.stderr.push_str(&format!(
            "note: {formulas} cells begin like a formula; import them into a spreadsheet as text\n"
        ));
    }
}

/// Where the cells of a column come from.
enum Cells {
    /// A path of the table's own columns.
    At(Column),
    /// A member of the rows.
    Member(String),
    /// The row itself, because the rows are no objects.
    Row,
}

impl Cells {
    /// The values of this column in `row`: several where an array is on the way.
    fn of<'a>(&self, row: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::At(column) => column.path.split('.').fold(vec![row], |found, key| {
                let items = found.into_iter().flat_map(|value| match value {
                    Value::Array(items) => items.iter().collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                        vec![value]
                    }
                });
                items.filter_map(|value| value.as_object()?.get(key)).collect()
            }),
            Self::Member(key) => row.as_object().and_then(|row| row.get(key)).into_iter().collect(),
            Self::Row => vec![row],
        }
    }

    fn text(&self, row: &Value) -> String {
        match self.of(row).as_slice() {
            [] => summary(None),
            several => several.iter().map(|value| summary(Some(value))).collect::<Vec<_>>().join(", "),
        }
    }

    fn layout(self, right: bool) -> Layout {
        match self {
            Self::At(column) => {
                Layout { title: column.title.to_owned(), right, whole: column.whole, fixed: false }
            }
            Self::Member(title) => Layout { title, right, whole: false, fixed: false },
            Self::Row => Layout { title: "value".to_owned(), right, whole: true, fixed: false },
        }
    }
}

/// The columns and cells that people see of `rows`; texts are not yet escaped.
fn cells(rows: &[&Value], table: Option<&TableSpec>) -> (Vec<Layout>, Vec<Vec<String>>) {
    let objects: Option<Vec<&Object>> = rows.iter().map(|row| row.as_object()).collect();
    let columns: Vec<Cells> = match (objects, table) {
        (Some(_), Some(table)) if !table.columns.is_empty() => {
            table.columns.iter().copied().map(Cells::At).collect()
        }
        (Some(objects), _) => csv::columns(&objects).into_iter().map(Cells::Member).collect(),
        (None, _) => vec![Cells::Row],
    };
    let texts = rows.iter().map(|row| columns.iter().map(|column| column.text(row)).collect()).collect();
    let is_number = |column: &Cells| {
        let filled: Vec<&Value> =
            rows.iter().flat_map(|row| column.of(row)).filter(|cell| **cell != Value::Null).collect();
        !filled.is_empty() && filled.iter().all(|cell| matches!(cell, Value::Number(_)))
    };
    let right: Vec<bool> = columns.iter().map(is_number).collect();
    let mut layouts: Vec<Layout> =
        columns.into_iter().zip(right).map(|(column, right)| column.layout(right)).collect();
    for (at, layout) in layouts.iter_mut().enumerate() {
        let texts: &Vec<Vec<String>> = &texts;
        layout.fixed = texts.iter().any(|row| is_copied(&row[at]));
    }
    (layouts, texts)
}

/// Whether `cell` is an identifier, which is of use only as a whole.
fn is_copied(cell: &str) -> bool {
    cell.len() >= IDENTIFIER_DIGITS && cell.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The hexadecimal digits of the shortest identifiers.
const IDENTIFIER_DIGITS: usize = 16;

/// A cell in a few words.
fn summary(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => json::to_line(scalar),
        Some(Value::Array(items)) if items.iter().all(Value::is_scalar) => {
            items.iter().map(|item| summary(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Array(items)) => format!("[{} items]", items.len()),
        Some(Value::Object(object)) => format!("{{{} members}}", object.len()),
    }
}

/// Every value below `value` with its path, nothing left out.
fn flatten(path: String, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, member) in object.iter() {
                let plain =
                    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                // A key with other characters is quoted, so that it cannot pose as a path.
                let key = if plain { key.to_owned() } else { json::to_line(&Value::from(key)) };
                flatten(if path.is_empty() { key } else { format!("{path}.{key}") }, member, out);
            }
        }
        Value::Array(items) if !items.iter().all(Value::is_scalar) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, out);
            }
        }
        Value::String(text) => out.push((path, text.clone())),
        Value::Null => out.push((path, "-".to_owned())),
        Value::Array(items) if !items.is_empty() && items.iter().all(is_word) => {
            out.push((path, summary(Some(value))));
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            out.push((path, json::to_line(value)));
        }
    }
}

/// Whether `item` of a list cannot be taken for several.
fn is_word(item: &Value) -> bool {
    match item {
        Value::String(text) => !text.is_empty() && !text.contains([',', ' ', '"']),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// What the data holds besides its rows and sections.
fn besides_rows(answer: &Answer) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let held = |key: &str| {
        let principal = answer.table.as_ref().filter(|_| rows(answer).is_some());
        principal.into_iter().chain(&answer.sections).any(|table| table.rows == Some(key))
    };
    match &answer.data {
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, _)| !held(key));
            let kept = kept.fold(Object::default(), |kept, (key, value)| kept.with(key, value.clone()));
            if !kept.is_empty() || object.is_empty() {
                flatten(String::new(), &kept.into(), &mut pairs);
            }
        }
        Value::Array(_) if rows(answer).is_some() => {}
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            flatten(String::new(), other, &mut pairs);
        }
    }
    pairs
}

/// The sections that hold rows, by the names of their members.
fn sections(answer: &Answer) -> Vec<(&'static str, &TableSpec, Vec<&Value>)> {
    let named = answer.sections.iter().filter_map(|section| {
        let member = section.rows?;
        let rows = answer.data.as_object()?.get(member)?.as_array()?;
        Some((member, section, rows.iter().collect()))
    });
    named.filter(|(_, _, rows): &(_, _, Vec<_>)| !rows.is_empty()).collect()
}

fn shown(cells: Vec<Vec<String>>) -> Vec<Vec<String>> {
    cells.into_iter().map(|row| row.iter().map(|cell| reveal(cell).into_owned()).collect()).collect()
}

/// Rows as people see them.
fn table_of(rows: &[&Value], spec: Option<&TableSpec>, surface: &Surface) -> String {
    let style = surface.stdout_style();
    let (mut layouts, cells) = cells(rows, spec);
    layouts.iter_mut().for_each(|layout| layout.title = reveal(&layout.title).into_owned());
    let cells = shown(cells);
    if rows.is_empty() {
        style.dim("(none)") + "\n"
    } else if table::fits(&layouts, &cells, surface.width) {
        table::table(&layouts, &cells, surface.width, style)
    } else {
        let record = |row: &Vec<String>| {
            let titles = layouts.iter().map(|layout| layout.title.clone());
            table::pairs(&titles.zip(row.iter().cloned()).collect::<Vec<_>>(), surface.width, style)
        };
        cells.iter().map(record).collect::<Vec<_>>().join("\n")
    }
}

fn table_answer(answer: &Answer, surface: &Surface) -> String {
    let style = surface.stdout_style();
    let mut parts = Vec::new();
    parts.extend(rows(answer).map(|rows| table_of(&rows, answer.table.as_ref(), surface)));
    let pairs: Vec<(String, String)> = besides_rows(answer)
        .into_iter()
        .map(|(name, value)| (reveal(&name).into_owned(), reveal(&value).into_owned()))
        .collect();
    if !pairs.is_empty() {
        parts.push(table::pairs(&pairs, surface.width, style));
    }
    for (name, section, rows) in sections(answer) {
        let title = style.bold(name);
        parts.push(format!("{title}\n{}", table_of(&rows, Some(section), surface)));
    }
    parts.push(style.dim(&format!("source: {}", answer.source.as_str())) + "\n");
    parts.join("\n")
}

/// Rows as a Markdown table.
fn markdown_of(rows: &[&Value], spec: Option<&TableSpec>) -> String {
    let (layouts, cells) = cells(rows, spec);
    let (titles, right): (Vec<String>, Vec<bool>) =
        layouts.into_iter().map(|layout| (layout.title, layout.right)).unzip();
    match rows.is_empty() {
        true => "(none)\n".to_owned(),
        false => markdown::table(&titles, &cells, &right),
    }
}

fn markdown_answer(answer: &Answer) -> String {
    let mut parts = Vec::new();
    parts.extend(rows(answer).map(|rows| markdown_of(&rows, answer.table.as_ref())));
    let pairs: Vec<Vec<String>> =
        besides_rows(answer).into_iter().map(|(name, value)| vec![name, value]).collect();
    if !pairs.is_empty() {
        parts.push(markdown::table(&["field".to_owned(), "value".to_owned()], &pairs, &[false, false]));
    }
    for (name, section, rows) in sections(answer) {
        parts.push(format!("**{name}**\n\n{}", markdown_of(&rows, Some(section))));
    }
    parts.push(format!("source: {}\n", answer.source.as_str()));
    parts.join("\n")
}
