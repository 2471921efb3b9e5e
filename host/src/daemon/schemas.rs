//! Checks inputs against their operations' schemas, each compiled once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{ConnectorId, OperationId};
use fcp_proto_core::manifest::Manifest;
use fcp_state_machines::node::{Node, SchemaCheck};
use jsonschema::Validator;

use crate::connectors::compile_schema;

/// The compiled schemas of one connector's operations; one that does not compile says why.
type Compiled = BTreeMap<OperationId, Result<Validator, String>>;

/// The compiled schemas of all operations installed.
#[derive(Clone, Debug, Default)]
pub struct Schemas(Arc<RwLock<BTreeMap<ConnectorId, Compiled>>>);

impl Schemas {
    /// Compiles what is installed of a connector now; nothing if it is gone.
    pub fn refresh(&self, node: &Node, connector: &ConnectorId) {
        let compiled = node.catalog().get(connector).map(|installed| compile(&installed.manifest));
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match compiled {
            Some(compiled) => all.insert(connector.clone(), compiled),
            None => all.remove(connector),
        };
    }
}

/// Whether every schema of a manifest compiles.
///
/// # Errors
/// The operation whose schema does not, and why.
pub fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    for (id, operation) in &manifest.operations {
        compile_schema(&operation.input.schema).map_err(|why| format!("{id}: the input schema: {why}"))?;
        compile_schema(&operation.output.schema).map_err(|why| format!("{id}: the output schema: {why}"))?;
    }
    Ok(())
}

fn compile(manifest: &Manifest) -> Compiled {
    let inputs = manifest.operations.iter();
    inputs.map(|(id, operation)| (id.clone(), compile_schema(&operation.input.schema))).collect()
}

impl SchemaCheck for Schemas {
    fn check(&self, connector: &ConnectorId, operation: &OperationId, input: &Json) -> Result<(), String> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // The gate says by itself that a connector or operation does not exist.
        let Some(compiled) = all.get(connector).and_then(|operations| operations.get(operation)) else {
            return Ok(());
        };
        let validator = compiled.as_ref().map_err(|why| format!("the operation's schema: {why}"))?;
        let value = serde_json::Value::from(input.clone());
        let first = validator.iter_errors(&value).next();
        first.map_or(Ok(()), |error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the input".to_owned() } else { place };
            Err(format!("{place}: {}", error.masked()))
        })
    }
}
