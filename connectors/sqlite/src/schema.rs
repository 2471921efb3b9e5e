//! `sqlite.tables` and `sqlite.schema`: what there is to ask. Runs statements of our own only.

use fcp_proto_core::error::Code;
use fcp_sdk::{Call, Error, Outcome};
use rusqlite::{Connection, Row};
use serde_json::{Value, json};

use crate::guard::{self, Purpose, failed};

const TABLES: &str = "SELECT name, type FROM sqlite_schema \
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT 2000";
const DEFINITION: &str = "SELECT name, type, sql FROM sqlite_schema \
    WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1)";
const INDEXES: &str = "SELECT name, \"unique\" FROM pragma_index_list(?1)";
const FOREIGN_KEYS: &str = "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1)";

/// Lists tables and views.
pub(crate) fn tables(path: &str, call: &Call) -> Result<Outcome, Error> {
    let connection = guard::open(path, Purpose::Read, call)?;
    let tables = gather(&connection, TABLES, None, |row| {
        Ok(json!({ "name": row.get::<_, String>(0)?, "type": row.get::<_, String>(1)? }))
    })?;
    Ok(Outcome::read(json!({ "tables": tables })))
}

/// Describes one table or view.
pub(crate) fn describe(path: &str, call: &Call) -> Result<Outcome, Error> {
    let connection = guard::open(path, Purpose::Read, call)?;
    let name = call.input["table"].as_str().unwrap_or_default();
    let mut found = gather(&connection, DEFINITION, Some(name), |row| {
        Ok(json!({
            "name": row.get::<_, String>(0)?,
            "type": row.get::<_, String>(1)?,
            "sql": row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        }))
    })?;
    let Some(mut output) = found.pop() else {
        return Err(Error::new(Code::NotFound, "the database has no such table or view"));
    };
    output["columns"] = gather(&connection, COLUMNS, Some(name), |row| {
        Ok(json!({
            "name": row.get::<_, String>(0)?,
            "type": row.get::<_, String>(1)?,
            "not_null": row.get::<_, bool>(2)?,
            "default": row.get::<_, Option<String>>(3)?,
            "primary_key": row.get::<_, i64>(4)? > 0,
        }))
    })?
    .into();
    output["indexes"] = gather(&connection, INDEXES, Some(name), |row| {
        Ok(json!({ "name": row.get::<_, String>(0)?, "unique": row.get::<_, bool>(1)? }))
    })?
    .into();
    output["foreign_keys"] = gather(&connection, FOREIGN_KEYS, Some(name), |row| {
        let to = row.get::<_, Option<String>>(2)?;
        Ok(json!({ "column": row.get::<_, String>(0)?, "table": row.get::<_, String>(1)?, "references": to }))
    })?
    .into();
    Ok(Outcome::read(output))
}

fn gather(
    connection: &Connection,
    sql: &str,
    name: Option<&str>,
    each: impl FnMut(&Row<'_>) -> rusqlite::Result<Value>,
) -> Result<Vec<Value>, Error> {
    let mut statement = connection.prepare(sql).map_err(|error| failed(&error))?;
    let rows = statement.query_map(rusqlite::params_from_iter(name), each).map_err(|error| failed(&error))?;
    rows.collect::<Result<_, _>>().map_err(|error| failed(&error))
}
