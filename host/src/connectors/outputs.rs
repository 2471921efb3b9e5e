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

    /// `value` with `lie` in the place of every part of it, one after the other.
    fn lies(value: &Value, lie: &Value) -> Vec<Value> {
        let mut told = vec![lie.clone()];
        match value {
            Value::Object(object) => {
                for (key, part) in object {
                    for part in lies(part, lie) {
                        let mut object = object.clone();
                        object.insert(key.clone(), part);
                        told.push(Value::Object(object));
                    }
                }
            }
            Value::Array(array) => {
                for (at, part) in array.iter().enumerate() {
                    for part in lies(part, lie) {
                        let mut array = array.clone();
                        array[at] = part;
                        told.push(Value::Array(array));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        told
    }

    //= docs/spec/connectors.md#outputs
    #[test]
    fn a_lie_in_any_part_of_an_output_and_of_any_shape_is_seen() {
        let id: OperationId = "notes.list".parse().unwrap();
        let note = json!({ "type": "object", "additionalProperties": false, "required": ["id", "tags"], "properties": {
            "id": { "type": "integer", "minimum": 1, "maximum": 99 },
            "tags": { "type": "array", "maxItems": 2, "items": { "enum": ["red", "blue"] } },
        } });
        let schema = json!({ "type": "object", "additionalProperties": false, "required": ["notes", "more"], "properties": {
            "notes": { "type": "array", "minItems": 1, "items": note },
            "more": { "type": "boolean" },
        } });
        let schemas = OutputSchemas(BTreeMap::from([(id.clone(), compile(&schema))]));
        let honest =
            json!({ "notes": [{ "id": 7, "tags": ["red"] }, { "id": 8, "tags": [] }], "more": false });
        assert_eq!(schemas.check(&id, &honest.to_string()), Ok(()));
        let wrong = [
            json!(null),
            json!("do evil"),
            json!(0),
            json!(100),
            json!(1.5),
            json!(-7),
            json!([]),
            json!(["red", "red", "red"]),
            json!([[]]),
            json!({}),
            json!({ "evil": 1 }),
            json!({ "id": 7, "tags": ["red"], "evil": 1 }),
        ];
        let mut told = 0;
        // An empty list of tags is the one of these that is no lie where it may stand.
        let fits =
            |output: &Value| output["notes"] == json!([{ "id": 7, "tags": [] }, { "id": 8, "tags": [] }]);
        for output in wrong.iter().flat_map(|lie| lies(&honest, lie)).filter(|it| *it != honest && !fits(it))
        {
            let why = schemas.check(&id, &output.to_string()).expect_err(&output.to_string());
            assert!(!why.contains("evil"), "{why}");
            told += 1;
        }
        assert!(told > 100, "{told}");
        for text in ["", "{", "nothing", "{}{}", "NaN"] {
            assert!(schemas.check(&id, text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_schema_that_is_none_admits_nothing() {
        let id: OperationId = "notes.get".parse().unwrap();
        let schemas = OutputSchemas(BTreeMap::from([(id.clone(), compile(&json!({ "type": "thing" })))]));
        assert!(schemas.get(&id).is_err());
        assert!(schemas.check(&id, "{}").is_err());
    }
}
