//! Value to document.

use super::scalar::{write, write_key};
use super::{Delimiter, Layout};
use crate::output::value::{Index, Object, Value};

/// The document of `value`, without a line break at its end.
pub(crate) fn encode(value: &Value, layout: Layout) -> String {
    let mut writer = Writer { layout, out: String::new() };
    match value {
        Value::Object(object) => match keyed_fields(object) {
            Some(fields) => writer.keyed(object, &fields, 0),
            None => writer.members(object, 0),
        },
        Value::Array(items) if items.is_empty() => writer.out.push_str("[]"),
        Value::Array(items) => match tabular_fields(items) {
            Some(fields) => writer.tabular(items, &fields, 0),
            None => writer.array(items, 0),
        },
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            write(scalar, layout.delimiter, &mut writer.out)
        }
    }
    writer.out
}

/// A column: a scalar, or a group of columns of uniform nested objects (§9.3).
struct Field<'a> {
    key: &'a str,
    group: Vec<Field<'a>>,
}

/// The fields of `items` if they are uniform non-empty objects.
fn tabular_fields(items: &[Value]) -> Option<Vec<Field<'_>>> {
    let rows: Vec<&Object> = items.iter().map(Value::as_object).collect::<Option<_>>()?;
    uniform_fields(&rows)
}

/// The fields of the values of `object` if it has at least two and they are uniform non-empty objects (§9.5).
fn keyed_fields(object: &Object) -> Option<Vec<Field<'_>>> {
    let rows: Vec<&Object> = object.iter().map(|(_, value)| value.as_object()).collect::<Option<_>>()?;
    if rows.len() < 2 { None } else { uniform_fields(&rows) }
}

/// The fields of `rows` in the order of the first one, if all have the same keys, each column being all scalars or
/// all uniform objects.
fn uniform_fields<'a>(rows: &[&'a Object]) -> Option<Vec<Field<'a>>> {
    let first = rows.first().filter(|first| !first.is_empty())?;
    if rows.iter().any(|row| row.len() != first.len()) {
        return None;
    }
    let members: Vec<Index<'_>> = rows.iter().map(|row| row.index()).collect();
    let mut fields = Vec::with_capacity(first.len());
    for (key, sample) in first.iter() {
        let column: Vec<&Value> = members.iter().map(|row| row.get(key)).collect::<Option<_>>()?;
        let group = if sample.is_scalar() {
            if !column.iter().all(|cell| cell.is_scalar()) {
                return None;
            }
            Vec::new()
        } else {
            let objects: Vec<&Object> = column.iter().map(|cell| cell.as_object()).collect::<Option<_>>()?;
            uniform_fields(&objects)?
        };
        fields.push(Field { key, group });
    }
    Some(fields)
}

struct Writer {
    layout: Layout,
    out: String,
}

impl Writer {
    fn delimiter(&self) -> Delimiter {
        self.layout.delimiter
    }

    fn line(&mut self, depth: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', depth * self.layout.indent));
    }

    fn members(&mut self, object: &Object, depth: usize) {
        for (key, value) in object.iter() {
            self.line(depth);
            self.member(key, value, depth);
        }
    }

    /// The member whose line has begun, with what belongs to it one level below `depth`.
    fn member(&mut self, key: &str, value: &Value, depth: usize) {
        write_key(key, &mut self.out);
        match value {
            Value::Array(items) if items.is_empty() => self.out.push_str(": []"),
            Value::Array(items) => match tabular_fields(items) {
                Some(fields) => self.tabular(items, &fields, depth),
                None => self.array(items, depth),
            },
            Value::Object(object) => match keyed_fields(object) {
                Some(fields) => self.keyed(object, &fields, depth),
                None => {
                    self.out.push(':');
                    self.members(object, depth + 1);
                }
            },
            scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                self.out.push_str(": ");
                write(scalar, self.delimiter(), &mut self.out);
            }
        }
    }

    /// Header and items of an array that is no table: inline if all are scalars, otherwise a list (§9.1, §9.4).
    fn array(&mut self, items: &[Value], depth: usize) {
        self.header(items.len(), "", &[]);
        if items.iter().all(Value::is_scalar) {
            for (at, item) in items.iter().enumerate() {
                self.out.push(if at == 0 { ' ' } else { self.delimiter().char() });
                write(item, self.delimiter(), &mut self.out);
            }
        } else {
            for item in items {
                self.line(depth + 1);
                self.out.push('-');
                self.item(item, depth + 1);
            }
        }
    }

    /// What follows the hyphen of a list item at `depth` (§10).
    fn item(&mut self, item: &Value, depth: usize) {
        match item {
            Value::Object(object) => {
                for (at, (key, value)) in object.iter().enumerate() {
                    if at == 0 {
                        self.out.push(' ');
                    } else {
                        self.line(depth + 1);
                    }
                    self.member(key, value, depth + 1);
                }
            }
            Value::Array(items) => {
                self.out.push(' ');
                self.array(items, depth);
            }
            scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                self.out.push(' ');
                write(scalar, self.delimiter(), &mut self.out);
            }
        }
    }

    fn tabular(&mut self, items: &[Value], fields: &[Field<'_>], depth: usize) {
        self.header(items.len(), "", fields);
        for row in items.iter().filter_map(Value::as_object) {
            self.line(depth + 1);
            self.cells(row, fields, true);
        }
    }

    fn keyed(&mut self, object: &Object, fields: &[Field<'_>], depth: usize) {
        self.header(object.len(), ":", fields);
        for (key, row) in object.iter().filter_map(|(key, value)| value.as_object().map(|row| (key, row))) {
            self.line(depth + 1);
            write_key(key, &mut self.out);
            self.out.push_str(": ");
            self.cells(row, fields, true);
        }
    }

    /// The cells of `row`, depth first.
    fn cells(&mut self, row: &Object, fields: &[Field<'_>], mut first: bool) {
        let members = row.index();
        for field in fields {
            match members.get(field.key) {
                Some(Value::Object(nested)) => self.cells(nested, &field.group, first),
                Some(scalar) => {
                    if !first {
                        self.out.push(self.layout.delimiter.char());
                    }
                    write(scalar, self.layout.delimiter, &mut self.out);
                }
                None => {}
            }
            first = false;
        }
    }

    /// `[N]{fields}:`, with the keyed mark behind the length.
    fn header(&mut self, length: usize, mark: &str, fields: &[Field<'_>]) {
        self.out.push_str(&format!("[{length}{mark}{}]", self.delimiter().symbol()));
        self.fields(fields);
        self.out.push(':');
    }

    fn fields(&mut self, fields: &[Field<'_>]) {
        for (at, field) in fields.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { self.delimiter().char() });
            write_key(field.key, &mut self.out);
            self.fields(&field.group);
        }
        if !fields.is_empty() {
            self.out.push('}');
        }
    }
}
