//! The SQLite connector's process.

use std::process::ExitCode;

use fcp_connector_sqlite::Sqlite;
use fcp_sdk::Blocking;

fn main() -> ExitCode {
    match fcp_sdk::run::<Blocking<Sqlite>>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fcp-connector-sqlite: {error}");
            ExitCode::FAILURE
        }
    }
}
