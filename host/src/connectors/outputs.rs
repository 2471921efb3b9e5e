//! Outputs against what their operations declare. Source: docs/spec/connectors.md#outputs.

use std::collections::BTreeMap;

use fcp_proto_core::ids::OperationId;
use fcp_proto_core::manifest::Manifest;
use jsonschema::Validator;
use serde_json::Value;

/// Compiles a schema of a manifest.
///
/// # Errors
/// Why it is none.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    // Without its default features the crate has no resolver that could reach a file or the network.
    jsonschema::draft202012::options().build(schema).map_err(|error| error.to_string())
}

/// The output schemas of one manifest, each compiled once; one that does not compile says why.
#[derive(Debug, Default)]
pub(super) struct OutputSchemas(BTreeMap<OperationId, Result<Validator, String>>);

impl OutputSchemas {
    /// Of every operation.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let each =
            manifest.operations.iter().map(|(id, operation)| (id.clone(), compile(&operation.output.schema)));
        Self(each.collect())
    }

    /// The operation's schema.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn get(&self, operation: &OperationId) -> Result<&Validator, String> {
        match self.0.get(operation) {
            Some(Ok(schema)) => Ok(schema),
            Some(Err(why)) => Err(format!("the output schema of {operation}: {why}")),
            None => Err(format!("there is no operation {operation}")),
        }
    }

    /// Whether an output fits.
    ///
    /// # Errors
    /// The part of the schema that it breaks. Nothing of the output is in the words, for they are the host's own.
    pub(super) fn check(&self, operation: &OperationId, output: &str) -> Result<(), String> {
        let schema = self.get(operation)?;
        let output = serde_json::from_str(output).map_err(|_| "the output is no JSON".to_owned())?;
        match schema.iter_errors(&output).next() {
            None => Ok(()),
            Some(error) => Err(format!("the output breaks {} of its schema", error.schema_path())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misfit_is_told_by_the_schema_and_not_by_the_output() {
        let id: OperationId = "notes.get".parse().unwrap();
        let schema = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
        let schemas = OutputSchemas(BTreeMap::from([(id.clone(), compile(&schema))]));
        assert_eq!(schemas.check(&id, r#"{"a":1}"#), Ok(()));
        let why = schemas.check(&id, r#"{"do evil":"and this"}"#).unwrap_err();
        assert!(why.contains("/additionalProperties/type"), "{why}");
        assert!(!why.contains("evil") && !why.contains("this\""), "{why}");
        assert!(schemas.check(&"notes.other".parse().unwrap(), "{}").is_err(), "undeclared");
    }

    #[test]
    fn a_schema_that_is_none_admits_nothing() {
        let id: OperationId = "notes.get".parse().unwrap();
        let schemas = OutputSchemas(BTreeMap::from([(id.clone(), compile(&json!({ "type": "thing" })))]));
        assert!(schemas.get(&id).is_err());
        assert!(schemas.check(&id, "{}").is_err());
    }
}
