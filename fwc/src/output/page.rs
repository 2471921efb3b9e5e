//! What people see of an answer, in blocks: its rows, its plain members as names and values, then whatever has parts of its
//! own below its name. A member's shape decides which it is, so that no command can forget one.

use super::answer::{Answer, Column, TableSpec};
use super::table::{ABSENT, Layout, Room, is_identifier};
use super::value::{Object, Value};
use super::{csv, json};

/// A part of an answer.
pub(super) struct Block<'a> {
    /// The member that it is; none for what needs no name.
    pub(super) title: Option<String>,
    /// What stands in it.
    pub(super) content: Content<'a>,
}

/// What stands in a block.
pub(super) enum Content<'a> {
    /// Records, in columns.
    Rows {
        /// The records.
        rows: Vec<&'a Value>,
        /// The columns that were chosen; none for all.
        spec: Option<&'a TableSpec>,
    },
    /// Names and their values.
    Pairs(Vec<(String, String)>),
    /// Sentences.
    Sentences(Vec<&'a str>),
}

/// The blocks of `answer`, from top to bottom.
//= docs/spec/output.md#formats
pub(super) fn blocks(answer: &Answer) -> Vec<Block<'_>> {
    let principal = rows(answer);
    let has_rows = principal.is_some();
    let mut blocks: Vec<Block<'_>> = principal
        .map(|rows| Block { title: None, content: Content::Rows { rows, spec: answer.table.as_ref() } })
        .into_iter()
        .collect();
    let (mut plain, mut below) = (Vec::new(), Vec::new());
    match &answer.data {
        Value::Object(object) => {
            let held = answer.table.as_ref().and_then(|table| table.rows).filter(|_| has_rows);
            let shown = |key: &str| Some(key) != held && !answer.hidden.contains(&key);
            for (key, member) in object.iter().filter(|(key, _)| shown(key)) {
                // Beside rows, what is absent is a cursor that says that nothing follows.
                if !(has_rows && *member == Value::Null) {
                    place(answer, &name_of(key), key, member, &mut plain, &mut below);
                }
            }
            if object.is_empty() {
                flatten(String::new(), &answer.data, &mut plain);
            }
        }
        Value::Array(_) if has_rows => {}
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            flatten(String::new(), other, &mut plain);
        }
    }
    if !plain.is_empty() {
        blocks.push(Block { title: None, content: Content::Pairs(plain) });
    }
    blocks.extend(below);
    blocks
}

/// Puts a member where its shape belongs: among the plain ones, or below under its own name.
fn place<'a>(
    answer: &'a Answer,
    path: &str,
    key: &str,
    member: &'a Value,
    plain: &mut Vec<(String, String)>,
    below: &mut Vec<Block<'a>>,
) {
    let mut titled = |content| below.push(Block { title: Some(path.to_owned()), content });
    match member {
        Value::Array(items) if items.is_empty() => {
            // A section without rows is left out; a list without items is told.
            let is_section = answer.sections.iter().any(|section| section.rows == Some(key));
            plain.extend((!is_section).then(|| (path.to_owned(), ABSENT.to_owned())));
        }
        Value::Array(items) => {
            let spec = answer.sections.iter().find(|section| section.rows == Some(key));
            if let Some(rows) = spec.map(|_| items.iter().collect()).or_else(|| flat_records(member)) {
                titled(Content::Rows { rows, spec });
            } else if let Some(sentences) = sentences(items) {
                titled(Content::Sentences(sentences));
            } else {
                flatten(path.to_owned(), member, plain);
            }
        }
        Value::Object(object) if !object.is_empty() => {
            let mut own = Vec::new();
            let at = below.len();
            for (inner, value) in object.iter() {
                // Records and sentences inside a member, such as those of an output, have a name of their own too.
                let rows = flat_records(value).map(|rows| Content::Rows { rows, spec: None });
                let inside = rows.or_else(|| sentences(value.as_array()?).map(Content::Sentences));
                match inside {
                    Some(content) => {
                        let title = Some(format!("{path}.{}", name_of(inner)));
                        below.push(Block { title, content });
                    }
                    None => flatten(name_of(inner), value, &mut own),
                }
            }
            if !own.is_empty() {
                below.insert(at, Block { title: Some(path.to_owned()), content: Content::Pairs(own) });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            flatten(path.to_owned(), member, plain);
        }
    }
}

/// The items of a list of records that columns show whole: few enough to stand beside one another.
fn flat_records(value: &Value) -> Option<Vec<&Value>> {
    let is_flat = |value: &Value| match value {
        Value::Array(items) => items.iter().all(is_word),
        Value::Object(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    let is_record = |item: &Value| {
        let record = item.as_object();
        record.is_some_and(|record| !record.is_empty() && record.iter().all(|(_, value)| is_flat(value)))
    };
    let items = value.as_array().filter(|items| !items.is_empty() && items.iter().all(is_record))?;
    let records: Vec<&Object> = items.iter().filter_map(Value::as_object).collect();
    (csv::columns(&records).len() <= MOST_COLUMNS).then(|| items.iter().collect())
}

/// The texts of a list that is more than words.
fn sentences(items: &[Value]) -> Option<Vec<&str>> {
    if items.iter().all(is_word) {
        return None;
    }
    items
        .iter()
        .map(|item| match item {
            Value::String(text) => Some(text.as_str()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        })
        .collect()
}

/// The rows of `answer`, if it has some.
pub(super) fn rows(answer: &Answer) -> Option<Vec<&Value>> {
    let holder = match answer.table.as_ref().and_then(|table| table.rows) {
        Some(member) => answer.data.as_object()?.get(member)?,
        None => &answer.data,
    };
    Some(holder.as_array()?.iter().collect())
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

    fn layout(self, is_first: bool, right: bool) -> Layout {
        match self {
            Self::At(column) => {
                Layout { title: column.title.to_owned(), right, room: room(column, is_first) }
            }
            // Nobody chose these, so nothing of them may be lost, and no part of a text begins a line.
            Self::Member(title) => Layout { title, right, room: Room::Fixed },
            Self::Row => Layout { title: "value".to_owned(), right, room: Room::Fixed },
        }
    }
}

/// The columns and cells that people see of `rows`; texts are not yet escaped.
pub(super) fn cells(rows: &[&Value], table: Option<&TableSpec>) -> (Vec<Layout>, Vec<Vec<String>>) {
    let objects: Option<Vec<&Object>> = rows.iter().map(|row| row.as_object()).collect();
    let columns: Vec<Cells> = match (objects, table) {
        (Some(_), Some(table)) if !table.columns.is_empty() => {
            table.columns.iter().copied().map(Cells::At).collect()
        }
        (Some(objects), _) => csv::columns(&objects).into_iter().map(Cells::Member).collect(),
        (None, _) => vec![Cells::Row],
    };
    let texts: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| column.text(row)).collect()).collect();
    let is_number = |column: &Cells| {
        let filled: Vec<&Value> =
            rows.iter().flat_map(|row| column.of(row)).filter(|cell| **cell != Value::Null).collect();
        !filled.is_empty() && filled.iter().all(|cell| matches!(cell, Value::Number(_)))
    };
    let right: Vec<bool> = columns.iter().map(is_number).collect();
    let layouts = columns.into_iter().zip(right).enumerate();
    let mut layouts: Vec<Layout> =
        layouts.map(|(at, (column, right))| column.layout(at == 0, right)).collect();
    for (at, layout) in layouts.iter_mut().enumerate() {
        let mut column = texts.iter().map(|row| row[at].as_str());
        if column.clone().any(is_identifier) {
            layout.room = Room::Identifier;
        } else if column.any(is_time) {
            layout.room = Room::Fixed;
        }
    }
    (layouts, texts)
}

/// What becomes of the long cells of a chosen column: one that says which row it is stays whole, and so does every name.
//= docs/spec/output.md#formats
fn room(column: Column, is_first: bool) -> Room {
    let member = column.path.rsplit('.').next().unwrap_or_default();
    let gives_way = matches!(column.room, Room::Cut | Room::Wrapped);
    if is_first && column.room == Room::Cut {
        Room::Fixed
    } else if gives_way && NAMES.contains(&member) {
        Room::Names
    } else {
        column.room
    }
}

/// Members that hold names which another command takes.
const NAMES: [&str; 20] = [
    "actor",
    "agent",
    "agents",
    "connector",
    "connectors",
    "credentials",
    "file",
    "grant",
    "host",
    "members",
    "network",
    "node",
    "operation",
    "operations",
    "property",
    "role",
    "slot",
    "targets",
    "zone",
    "zones",
];

/// Whether `cell` is a point in time, as people are shown it.
fn is_time(cell: &str) -> bool {
    let fits = |(shape, byte): (u8, u8)| if shape == b'0' { byte.is_ascii_digit() } else { shape == byte };
    cell.len() == TIME.len() && TIME.bytes().zip(cell.bytes()).all(fits)
}

/// The shape of a point in time, a `0` for any digit.
const TIME: &str = "0000-00-00T00:00:00Z";

/// A cell in a few words.
fn summary(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => ABSENT.to_owned(),
        Some(Value::Array(items)) if items.is_empty() => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => json::to_line(scalar),
        Some(Value::Array(items)) if items.iter().all(Value::is_scalar) => {
            items.iter().map(|item| summary(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Array(items)) => format!("[{} items]", items.len()),
        Some(Value::Object(object)) => format!("{{{} members}}", object.len()),
    }
}

/// `key` as part of a path; one with other characters is quoted, so that it cannot pose as a path.
fn name_of(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if plain { key.to_owned() } else { json::to_line(&Value::from(key)) }
}

/// Every value below `value` with its path, nothing left out. What lies below a long path is shown as JSON: a path is said
/// again for each value below it.
fn flatten(path: String, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Array(_) | Value::Object(_) if path.len() > MOST_PATH => {
            out.push((path, json::to_line(value)))
        }
        Value::Object(object) if !object.is_empty() => {
            for (key, member) in object.iter() {
                let key = name_of(key);
                flatten(if path.is_empty() { key } else { format!("{path}.{key}") }, member, out);
            }
        }
        Value::Array(items) if !items.iter().all(Value::is_scalar) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, out);
            }
        }
        Value::String(text) => out.push((path, text.clone())),
        Value::Null => out.push((path, ABSENT.to_owned())),
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

/// The most columns of a table that nobody chose columns for; records of more members are shown a value a line. Chosen: more
/// than a terminal has room for, and few enough that the cells of a list without common members stay few.
const MOST_COLUMNS: usize = 32;

/// The longest path, in bytes, that is gone on from. Chosen: no schema that ships leads to one.
const MOST_PATH: usize = 200;
