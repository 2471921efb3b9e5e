//! Files and directories below roots that the owner approved.
//!
//! A root is opened once, when the connector starts. Every path is resolved by the kernel from there, beneath the root
//! and without following a symbolic link (`place`); only regular files are read, and a file is replaced whole or not
//! at all.

mod place;
mod read;
mod write;

#[cfg(test)]
mod tests;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::Manifest;
use fcp_sdk::{BlockingConnector, Call, Error, Health, Outcome, Setup};
use serde_json::Value;

use place::{Access, Roots};

/// The manifest is part of the program.
const MANIFEST: &str = include_str!("../manifest.toml");

/// The connector: its opened roots.
#[derive(Debug)]
pub struct Filesystem {
    roots: Roots,
}

impl BlockingConnector for Filesystem {
    fn manifest() -> Result<Manifest, Error> {
        Setup::parse_manifest(MANIFEST)
    }

    fn start(setup: Setup) -> Result<Self, Error> {
        let paths = |name: &str| -> Vec<String> {
            let listed = setup.config[name].as_array().into_iter().flatten();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let roots = Roots::open(&[
            (Access::ReadWrite, paths("roots")),
            (Access::ReadOnly, paths("read_only_roots")),
        ])?;
        Ok(Self { roots })
    }

    fn invoke(&self, call: Call) -> Result<Outcome, Error> {
        let path = |field: &str| call.input[field].as_str().unwrap_or_default().to_owned();
        match call.operation.as_str() {
            "filesystem.roots" => self.roots.describe(),
            "filesystem.list" => read::list(&self.roots.find(&path("path"))?, &call),
            "filesystem.stat" => read::stat(&self.roots.find(&path("path"))?),
            "filesystem.read" => read::read(&self.roots.find(&path("path"))?, &call),
            "filesystem.search" => read::search(&self.roots.find(&path("path"))?, &call),
            "filesystem.write" => write::write(&self.roots.find(&path("path"))?, &call),
            "filesystem.mkdir" => write::mkdir(&self.roots.find(&path("path"))?),
            "filesystem.move" => {
                write::rename(&self.roots.find(&path("from"))?, &self.roots.find(&path("to"))?)
            }
            "filesystem.remove" => write::remove(&self.roots.find(&path("path"))?),
            _ => Err(Error::new(Code::OperationUnknown, "the connector has no such operation")),
        }
    }

    fn health(&self) -> Health {
        match self.roots.probe() {
            Ok(()) => Health::ready(),
            Err(error) => Health::error(error.message),
        }
    }
}
