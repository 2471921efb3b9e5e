//! The engine that runs declarative connectors: a manifest says what to send and what to take from the answer, and this
//! is the one audited program that does it. Spec: `docs/spec/manifest.md#http`.
//!
//! ```text
//! input ─► request (template by template) ─► exchange (retry) ─► answer (errors, format) ─► shape ─► output
//!                        ▲                                              │
//!                        └──────────────── pages ◄──────────────────────┘
//! ```

mod answer;
mod exchange;
mod pages;
mod request;
mod shape;
mod stream;

use std::rc::Rc;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{HttpDefaults, Manifest, Operation, Request, ResponseFormat, Runtime};
use fcp_sdk::{Call, Connector, Error, Health, Outcome, Setup};
use serde_json::Value;

/// A declarative connector at work.
#[derive(Debug)]
pub struct Engine {
    manifest: Rc<Manifest>,
    config: Value,
}

/// What one call works with.
#[derive(Clone, Copy)]
struct Task<'a> {
    call: &'a Call,
    operation: &'a Operation,
    request: &'a Request,
    defaults: &'a HttpDefaults,
    config: &'a Value,
}

impl Task<'_> {
    /// The largest answer that is read.
    fn max_response_bytes(&self) -> usize {
        let declared = self.operation.network.as_ref().map_or(0, |network| network.max_response_bytes);
        usize::try_from(declared).unwrap_or(usize::MAX)
    }
}

impl Connector for Engine {
    fn manifest(offered: Option<&str>) -> Result<Manifest, Error> {
        let text = offered.ok_or_else(|| Error::new(Code::ManifestInvalid, "the engine needs a manifest"))?;
        let manifest = Setup::parse_manifest(text)?;
        match manifest.connector.runtime {
            Runtime::Declarative => Ok(manifest),
            Runtime::Native => Err(Error::new(Code::ManifestInvalid, "the manifest is not declarative")),
        }
    }

    async fn start(setup: Setup) -> Result<Self, Error> {
        Ok(Self { manifest: setup.manifest, config: setup.config })
    }

    async fn invoke(&self, call: Call) -> Result<Outcome, Error> {
        let missing = || Error::new(Code::OperationUnknown, "the connector has no such operation");
        let operation = self.manifest.operation(&call.operation).ok_or_else(missing)?;
        let request = operation.http.as_ref().ok_or_else(missing)?;
        let defaults = self.manifest.http.as_ref().ok_or_else(missing)?;
        let task = Task { call: &call, operation, request, defaults, config: &self.config };
        let output = perform(task).await?;
        Ok(if operation.is_read() { Outcome::read(output) } else { Outcome::made(output) })
    }

    async fn health(&self) -> Health {
        Health::ready()
    }
}

async fn perform(task: Task<'_>) -> Result<Value, Error> {
    if let Some(pagination) = &task.request.pagination {
        return pages::collect(task, pagination).await;
    }
    let built = request::build(task, &[])?;
    let response = exchange::send(task, built).await?;
    match task.request.response {
        ResponseFormat::Lines | ResponseFormat::Events => stream::collect(task, response).await,
        ResponseFormat::Json | ResponseFormat::Text | ResponseFormat::Binary | ResponseFormat::Empty => {
            let value = answer::read(task, response).await?;
            Ok(shape::output(&task.request.output, value))
        }
    }
}

#[cfg(test)]
mod tests;
