//! The interface hash: BLAKE3 over the canonical CBOR of everything in a manifest that bears on security.
//! Spec: `docs/spec/manifest.md#interface-hash`.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde_json::{Map as JsonMap, Value as Json};

use super::Document;
use super::check::Broken;
use crate::encoding::cbor::{self, Map, Value};
use crate::ids::Digest;

/// Separates this hash from every other use of BLAKE3.
const DOMAIN: &[u8] = b"FCP-INTERFACE-V1";

/// Tables and fields that advise, name or tune, and therefore stay out of the hash.
const OUTSIDE: [&str; 3] = ["manifest", "rate_limits", "lifecycle"];
const OUTSIDE_CONNECTOR: [&str; 4] = ["name", "version", "description", "publisher"];
const OUTSIDE_OPERATION: [&str; 2] = ["hints", "rate_pools"];

/// The hash of a checked document.
pub(super) fn hash(document: &Document) -> Result<Digest, Broken> {
    let unhashable = |_| Broken::new("operations", "holds a value that has no canonical form");
    let json = serde_json::to_value(document).map_err(|error| Broken::new("", error.to_string()))?;
    let view = security_view(json);
    let bytes = to_cbor(&view).and_then(|view| cbor::encode(&view)).map_err(unhashable)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN).update(&bytes);
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

fn security_view(document: Json) -> Json {
    let Json::Object(mut tables) = document else { return document };
    tables.retain(|name, _| !OUTSIDE.contains(&name.as_str()));
    if let Some(Json::Object(connector)) = tables.get_mut("connector") {
        connector.retain(|name, _| !OUTSIDE_CONNECTOR.contains(&name.as_str()));
    }
    if let Some(Json::Object(operations)) = tables.get_mut("operations") {
        for operation in operations.values_mut() {
            if let Json::Object(fields) = operation {
                fields.retain(|name, _| !OUTSIDE_OPERATION.contains(&name.as_str()));
            }
        }
    }
    Json::Object(tables)
}

/// JSON as canonical CBOR: integers as integers, other numbers as floats.
fn to_cbor(json: &Json) -> Result<Value<'_>, cbor::CborError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(bit) => Value::Bool(*bit),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(n), _, _) => Value::Unsigned(n),
            (None, Some(n), _) => Value::integer(n),
            (None, None, Some(n)) => Value::Float(n),
            (None, None, None) => return Err(cbor::CborError::NonFiniteFloat),
        },
        Json::String(text) => Value::Text(text.into()),
        Json::Array(items) => Value::Array(items.iter().map(to_cbor).collect::<Result<_, _>>()?),
        Json::Object(fields) => Value::Map(object(fields)?),
    })
}

fn object(fields: &JsonMap<alloc::string::String, Json>) -> Result<Map<'_>, cbor::CborError> {
    let entries: Result<Vec<_>, _> =
        fields.iter().map(|(name, value)| Ok((Value::Text(name.into()), to_cbor(value)?))).collect();
    Map::new(entries?)
}
