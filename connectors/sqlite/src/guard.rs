//! Opens connections that can do what an operation needs and no more.

use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_sdk::{Call, Error};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads rows.
    Read,
    /// Inserts, updates and deletes rows.
    Write,
}

/// Longest statement, in bytes.
const MAX_SQL_BYTES: i32 = 100_000;

/// Largest value or row, in bytes; also what a function may build in memory.
const MAX_VALUE_BYTES: i32 = 8 * 1024 * 1024;

/// Virtual-machine steps between two looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 2_000;

/// Longest wait for another writer.
const MAX_BUSY: Duration = Duration::from_secs(5);

/// Functions that reach beyond the database, or take pointers.
const FORBIDDEN_FUNCTIONS: [&str; 5] = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"];

/// A connection for one call, before its authorizer.
pub(crate) fn open(path: &str, purpose: Purpose, call: &Call) -> Result<Connection, Error> {
    let mut connection = open_plain(path, purpose)?;
    let patience = call.remaining().min(MAX_BUSY);
    connection.busy_timeout(patience).map_err(|error| failed(&error))?;
    let (cancel, deadline) = (call.cancel.clone(), call.deadline);
    // An interrupt also ends a long sort or a commit that waits; the handler runs on this thread.
    connection
        .progress_handler(
            STEPS_BETWEEN_CHECKS,
            Some(move || cancel.is_cancelled() || deadline.elapsed() > Duration::ZERO),
        )
        .map_err(|error| failed(&error))?;
    Ok(connection)
}

/// Whether the database can be read at all.
pub(crate) fn probe(path: &str) -> Result<(), Error> {
    let connection = open_plain(path, Purpose::Read)?;
    let count = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    count.map(drop).map_err(|error| failed(&error))
}

fn open_plain(path: &str, purpose: Purpose) -> Result<Connection, Error> {
    let access = match purpose {
        Purpose::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // Neither URI names nor symbolic links: the path is the file that the owner approved.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(&error))?;
    harden(&connection).map_err(|error| failed(&error))?;
    Ok(connection)
}

fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 200)?;
    connection.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)?;
    Ok(())
}

/// From here on the connection prepares only what `purpose` allows.
pub(crate) fn confine(connection: &mut Connection, purpose: Purpose) -> Result<(), Error> {
    let hook = move |context: AuthContext<'_>| {
        if allows(purpose, &context.action) { Authorization::Allow } else { Authorization::Deny }
    };
    connection.authorizer(Some(hook)).map_err(|error| failed(&error))
}

/// Lifts the authorizer, for the connector's own statements.
pub(crate) fn release(connection: &mut Connection) -> Result<(), Error> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(|error| failed(&error))
}

/// The allow-list. SQLite's enum may grow; what is not named here is refused.
#[expect(clippy::wildcard_enum_match_arm, reason = "an allow-list refuses whatever it does not name")]
fn allows(purpose: Purpose, action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !FORBIDDEN_FUNCTIONS.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => purpose == Purpose::Write && !is_internal(table_name),
        _ => false,
    }
}

/// Tables that hold the schema and SQLite's own state.
fn is_internal(table: &str) -> bool {
    table.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("sqlite_"))
}

/// What a failure of SQLite means for the caller.
pub(crate) fn failed(error: &rusqlite::Error) -> Error {
    let code = match error.sqlite_error_code() {
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => Code::InputInvalid,
        Some(ErrorCode::OperationInterrupted) => Code::ConnectorTimeout,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Code::ConnectorUnavailable,
        Some(ErrorCode::ConstraintViolation) => Code::Conflict,
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => Code::Exhausted,
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::NotADatabase) => {
            Code::ConnectorUnavailable
        }
        Some(
            ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange | ErrorCode::Unknown,
        ) => Code::InputInvalid,
        // A text without any statement.
        Some(ErrorCode::ApiMisuse) => Code::InputInvalid,
        Some(_) => Code::ConnectorFailed,
        // Errors of the binding itself: wrong number of parameters, several statements, no statement.
        None => Code::InputInvalid,
    };
    Error::new(code, error.to_string())
}
