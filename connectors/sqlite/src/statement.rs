//! `sqlite.query` and `sqlite.execute`: one statement, its values bound, its rows within bounds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fcp_proto_core::error::Code;
use fcp_sdk::{Call, Error, Outcome};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, Row, Statement};
use serde_json::{Value, json};

use crate::guard::{self, Purpose, failed};

/// Most rows without a limit from the caller.
const DEFAULT_ROWS: usize = 200;

/// Most rows of any answer; the schema refuses larger limits already.
const MAX_ROWS: usize = 10_000;

/// Largest answer, in bytes of values.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Runs one statement that reads.
pub(crate) fn query(path: &str, call: &Call) -> Result<Outcome, Error> {
    let mut connection = guard::open(path, Purpose::Read, call)?;
    guard::confine(&mut connection, Purpose::Read)?;
    let mut statement = prepare(&connection, call)?;
    let rows = rows(&mut statement, call)?;
    Ok(Outcome::read(rows.into_output()))
}

/// Runs one statement that changes rows, in a transaction of its own.
pub(crate) fn execute(path: &str, call: &Call) -> Result<Outcome, Error> {
    let mut connection = guard::open(path, Purpose::Write, call)?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| failed(&error))?;
    guard::confine(&mut connection, Purpose::Write)?;
    // Whatever fails before the commit leaves no effect: closing the connection rolls back.
    let changed = change(&connection, call)?;
    guard::release(&mut connection)?;
    connection.execute_batch("COMMIT").map_err(|error| failed(&error).with_unknown_effect())?;
    Ok(Outcome::made(changed))
}

fn change(connection: &Connection, call: &Call) -> Result<Value, Error> {
    let before = connection.total_changes();
    let mut statement = prepare(connection, call)?;
    if statement.readonly() {
        return Err(Error::new(Code::InputInvalid, "the statement changes nothing; use sqlite.query"));
    }
    let rows = rows(&mut statement, call)?;
    drop(statement);
    let changes = connection.total_changes() - before;
    let most = call.input["max_changes"].as_u64();
    if most.is_some_and(|most| changes > most) {
        let message = format!("the statement would change {changes} rows; nothing was changed");
        return Err(Error::new(Code::Conflict, message));
    }
    let mut output = json!({ "changes": changes, "last_insert_rowid": connection.last_insert_rowid() });
    if let (Value::Object(output), false) = (&mut output, rows.columns.is_empty()) {
        output.insert("returned".into(), rows.into_output());
    }
    Ok(output)
}

fn prepare<'c>(connection: &'c Connection, call: &Call) -> Result<Statement<'c>, Error> {
    let sql = call.input["sql"].as_str().unwrap_or_default();
    let mut statement = connection.prepare(sql).map_err(|error| failed(&error))?;
    bind(&mut statement, call)?;
    Ok(statement)
}

/// Binds `params` by position and `content` by name; every placeholder must get a value, every value a placeholder.
fn bind(statement: &mut Statement<'_>, call: &Call) -> Result<(), Error> {
    let invalid = |message: String| Err(Error::new(Code::InputInvalid, message));
    let mut bound = vec![false; statement.parameter_count()];
    for (index, value) in call.input["params"].as_array().into_iter().flatten().enumerate() {
        match bound.get_mut(index) {
            Some(slot) if statement.parameter_name(index + 1).is_none_or(|name| name.starts_with('?')) => {
                *slot = true;
            }
            Some(_) | None => return invalid(format!("there is no placeholder for params[{index}]")),
        }
        statement.raw_bind_parameter(index + 1, sql_value(value)?).map_err(|error| failed(&error))?;
    }
    for (name, value) in call.input["content"].as_object().into_iter().flatten() {
        let index = statement.parameter_index(&format!(":{name}")).map_err(|error| failed(&error))?;
        let Some(index) = index else { return invalid(format!("there is no placeholder :{name}")) };
        bound[index - 1] = true;
        statement.raw_bind_parameter(index, sql_value(value)?).map_err(|error| failed(&error))?;
    }
    match bound.iter().position(|bound| !bound) {
        None => Ok(()),
        Some(at) => {
            let name = statement.parameter_name(at + 1).unwrap_or("?").to_owned();
            invalid(format!("the placeholder {} ({name}) gets no value", at + 1))
        }
    }
}

/// A JSON value as SQLite's; `{"base64": …}` is a blob.
fn sql_value(value: &Value) -> Result<Sql, Error> {
    let invalid = |message: &str| Error::new(Code::InputInvalid, message);
    Ok(match value {
        Value::Null => Sql::Null,
        Value::Bool(bit) => Sql::Integer((*bit).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Sql::Integer(integer),
            (None, Some(real)) if !number.is_u64() => Sql::Real(real),
            (None, _) => return Err(invalid("a number is beyond SQLite's 64-bit integers")),
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Object(fields) => match (fields.get("base64").and_then(Value::as_str), fields.len()) {
            (Some(text), 1) => Sql::Blob(STANDARD.decode(text).map_err(|_| invalid("a blob is no base64"))?),
            _ => return Err(invalid("an object must be {\"base64\": …}")),
        },
        Value::Array(_) => return Err(invalid("an array cannot be bound")),
    })
}

/// Rows within the bounds.
struct Rows {
    columns: Vec<String>,
    rows: Vec<Value>,
    truncated: bool,
}

impl Rows {
    fn into_output(self) -> Value {
        json!({ "columns": self.columns, "rows": self.rows, "truncated": self.truncated })
    }
}

fn rows(statement: &mut Statement<'_>, call: &Call) -> Result<Rows, Error> {
    let asked =
        call.input["limit"].as_u64().map_or(DEFAULT_ROWS, |limit| usize::try_from(limit).unwrap_or(MAX_ROWS));
    let limit = asked.min(MAX_ROWS);
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let (width, writes) = (columns.len(), !statement.readonly());
    let mut found = Rows { columns, rows: Vec::new(), truncated: false };
    let mut bytes = 0;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| interrupted(call, &error))? {
        if found.truncated {
            // A write must run to its end, whatever becomes of the rows it returns.
            continue;
        }
        let cells = cells(row, width, &mut bytes).map_err(|error| failed(&error))?;
        if found.rows.len() >= limit || bytes > MAX_ANSWER_BYTES {
            found.truncated = true;
            if !writes {
                break;
            }
            continue;
        }
        found.rows.push(cells);
    }
    Ok(found)
}

fn cells(row: &Row<'_>, width: usize, bytes: &mut usize) -> rusqlite::Result<Value> {
    let mut cells = Vec::with_capacity(width);
    for index in 0..width {
        let cell = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => integer.into(),
            // JSON has no infinities; SQLite has no NaN.
            ValueRef::Real(real) => serde_json::Number::from_f64(real).map_or(Value::Null, Value::Number),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
            ValueRef::Blob(blob) => json!({ "base64": STANDARD.encode(blob) }),
        };
        *bytes += match &cell {
            Value::String(text) => text.len(),
            Value::Object(_) => cell["base64"].as_str().map_or(0, str::len),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => 8,
        };
        cells.push(cell);
    }
    Ok(Value::Array(cells))
}

/// An interruption is the caller's cancellation or the end of the call's time.
fn interrupted(call: &Call, error: &rusqlite::Error) -> Error {
    let mut error = failed(error);
    if error.code == Code::ConnectorTimeout && call.cancel.is_cancelled() {
        error = Error::new(Code::Cancelled, "the call was cancelled");
    }
    error
}
