//! The structural rules of JSON schemas.

use alloc::vec::Vec;

use serde_json::Value;

use super::{Checked, require};

/// The structural rules of a schema; whether it is valid JSON schema is for the validator that compiles it.
pub(super) fn check_schema(path: &str, schema: &Value, input: bool) -> Checked {
    require(path, schema.is_object(), "must be a table")?;
    check_references_are_local(path, schema, 0)?;
    if !input {
        return Ok(());
    }
    require(path, schema.get("type") == Some(&"object".into()), "must have type = \"object\"")?;
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    require(path, closed, "must have additionalProperties = false")?;
    let properties = schema.get("properties").and_then(Value::as_object);
    let named = |name: &Value| {
        name.as_str().is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)))
    };
    let required = schema.get("required").map_or(Some(&[][..]), |list| list.as_array().map(Vec::as_slice));
    let sound = required.is_some_and(|names| names.iter().all(named));
    require(path, sound, "requires a property that it does not declare")
}

pub(super) fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

/// The names of the properties that must be there.
pub(super) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    required(schema).any(|required| required == name)
}

fn check_references_are_local(path: &str, schema: &Value, depth: usize) -> Checked {
    require(path, depth < 32, "is nested too deeply")?;
    match schema {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(items) => {
            items.iter().try_for_each(|item| check_references_are_local(path, item, depth + 1))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let local = name != "$ref" || value.as_str().is_none_or(|target| target.starts_with('#'));
            require(path, local, "refers to a schema elsewhere")?;
            // TOML's date-times arrive as a map with this private key, and have no place in JSON.
            require(path, !name.starts_with("$__toml"), "holds a date-time, which JSON does not have")?;
            check_references_are_local(path, value, depth + 1)
        }),
    }
}
