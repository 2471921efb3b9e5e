//! Answers and failures to the texts of both output streams. Nothing here touches a stream.

use super::answer::{Answer, Failure, TableSpec};
use super::console::{Format, Surface};
use super::page::{self, Block, Content};
use super::table::{self, Style};
use super::text::{reveal, wrap};
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
            for row in page::rows(answer).unwrap_or_else(|| vec![&answer.data]) {
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
            let (_, texts) = page::cells(&[&units::for_people(&answer.data)], Some(columns));
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

/// CSV or TSV: the rows, or the data as a single one. What is no record becomes one with the column `value`.
fn records(answer: &Answer, format: Format, surface: &Surface, rendered: &mut Rendered) {
    let visible = |value: &Value| match surface.stdout_terminal {
        true => value.map_text(&|text| reveal(text).into_owned()),
        false => value.clone(),
    };
    let values: Vec<Object> = page::rows(answer)
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

/// What people see, in blocks, with the source below.
fn table_answer(answer: &Answer, surface: &Surface) -> String {
    let style = surface.stdout_style();
    let mut parts: Vec<String> =
        page::blocks(answer).iter().map(|block| on_terminal(block, surface)).collect();
    parts.push(style.dim(&format!("source: {}", answer.source.as_str())) + "\n");
    parts.join("\n")
}

fn on_terminal(block: &Block<'_>, surface: &Surface) -> String {
    let style = surface.stdout_style();
    let text = match &block.content {
        Content::Rows { rows, spec } => table_of(rows, *spec, surface),
        Content::Pairs(pairs) => {
            let shown =
                pairs.iter().map(|(name, value)| (reveal(name).into_owned(), reveal(value).into_owned()));
            table::pairs(&shown.collect::<Vec<_>>(), surface.width, style)
        }
        Content::Sentences(sentences) => sentences.iter().map(|it| bullet(&reveal(it), surface)).collect(),
    };
    match &block.title {
        Some(title) => format!("{}\n{text}", style.bold(&reveal(title))),
        None => text,
    }
}

/// A sentence behind a mark, so that no text of others begins a line.
fn bullet(sentence: &str, surface: &Surface) -> String {
    let width = surface.width.map_or(usize::MAX, |width| width.saturating_sub(2));
    wrap(sentence, width).join("\n  ").replacen("", "- ", 1) + "\n"
}

/// Rows as people see them: in columns; where their identifiers leave no room, with those below each row; where even that
/// is too wide, as records.
fn table_of(rows: &[&Value], spec: Option<&TableSpec>, surface: &Surface) -> String {
    let style = surface.stdout_style();
    let (mut columns, cells) = page::cells(rows, spec);
    columns.iter_mut().for_each(|column| column.title = reveal(&column.title).into_owned());
    let cells: Vec<Vec<String>> =
        cells.iter().map(|row| row.iter().map(|cell| reveal(cell).into_owned()).collect()).collect();
    if rows.is_empty() {
        return style.dim("(none)") + "\n";
    }
    let lifted = table::lifted(&columns, &cells, surface.width);
    if let Some(lifted) = lifted {
        return table::table(&columns, &cells, &lifted, surface.width, style);
    }
    let record = |row: &Vec<String>| {
        let titles = columns.iter().map(|column| column.title.clone());
        table::pairs(&titles.zip(row.iter().cloned()).collect::<Vec<_>>(), surface.width, style)
    };
    cells.iter().map(record).collect::<Vec<_>>().join("\n")
}

fn markdown_answer(answer: &Answer) -> String {
    let mut parts: Vec<String> = page::blocks(answer).iter().map(in_markdown).collect();
    parts.push(format!("source: {}\n", answer.source.as_str()));
    parts.join("\n")
}

fn in_markdown(block: &Block<'_>) -> String {
    let text = match &block.content {
        Content::Rows { rows, .. } if rows.is_empty() => "(none)\n".to_owned(),
        Content::Rows { rows, spec } => {
            let (columns, cells) = page::cells(rows, *spec);
            let (titles, right): (Vec<String>, Vec<bool>) =
                columns.into_iter().map(|column| (column.title, column.right)).unzip();
            markdown::table(&titles, &cells, &right)
        }
        Content::Pairs(pairs) => {
            let rows: Vec<_> = pairs.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
            markdown::table(&["field".to_owned(), "value".to_owned()], &rows, &[false, false])
        }
        Content::Sentences(sentences) => {
            sentences.iter().map(|sentence| format!("- {}\n", markdown::escape(sentence))).collect()
        }
    };
    match &block.title {
        Some(title) => format!("**{}**\n\n{text}", markdown::escape(title)),
        None => text,
    }
}
