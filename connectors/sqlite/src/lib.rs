//! One SQLite database that the owner approved: reads through a connection that cannot write, writes through one that
//! can change rows and nothing else. Every call runs one bound statement on a connection of its own.
//!
//! Three walls stand between a statement and the machine: the open flags, SQLite's authorizer with an allow-list
//! (`guard`), and the sandbox. Time is bounded by a progress handler, size by limits.

mod guard;
mod schema;
mod statement;

#[cfg(test)]
mod tests;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::Manifest;
use fcp_sdk::{BlockingConnector, Call, Error, Health, Outcome, Setup};

/// The manifest is part of the program.
const MANIFEST: &str = include_str!("../manifest.toml");

/// The connector: a path, opened anew for each call.
#[derive(Debug)]
pub struct Sqlite {
    path: String,
}

impl BlockingConnector for Sqlite {
    fn manifest() -> Result<Manifest, Error> {
        Setup::parse_manifest(MANIFEST)
    }

    fn start(setup: Setup) -> Result<Self, Error> {
        let missing = || Error::new(Code::ConfigInvalid, "the configuration value `database` must be a path");
        let path = setup.config["database"].as_str().ok_or_else(missing)?.to_owned();
        Ok(Self { path })
    }

    fn invoke(&self, call: Call) -> Result<Outcome, Error> {
        match call.operation.as_str() {
            "sqlite.query" => statement::query(&self.path, &call),
            "sqlite.execute" => statement::execute(&self.path, &call),
            "sqlite.tables" => schema::tables(&self.path, &call),
            "sqlite.schema" => schema::describe(&self.path, &call),
            _ => Err(Error::new(Code::OperationUnknown, "the connector has no such operation")),
        }
    }

    fn health(&self) -> Health {
        match guard::probe(&self.path) {
            Ok(()) => Health::ready(),
            Err(error) => Health::error(error.message),
        }
    }
}
