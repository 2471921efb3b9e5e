//! Points in time for people: the contract's seconds since 1970 as dates.

use fcp_proto_core::time::UnixTime;

use super::value::{Object, Value};

/// Members that hold a point in time besides those whose names end in `_at`.
const NAMES: [&str; 5] = ["as_of", "at", "not_before", "since", "until"];

/// Members whose content is not the contract's but a service's, a connector's or an agent's: it stays as it is.
const FOREIGN: [&str; 8] =
    ["config", "detail", "hints", "input", "input_schema", "object", "output", "output_schema"];

/// `value` with every point in time that the contract names written as RFC 3339 in UTC.
pub(super) fn for_people(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        Value::Array(items) => Value::Array(items.iter().map(for_people).collect()),
        Value::Object(object) => object
            .iter()
            .fold(Object::default(), |made, (key, member)| made.with(key, shown(key, member)))
            .into(),
    }
}

fn shown(key: &str, member: &Value) -> Value {
    if FOREIGN.contains(&key) {
        return member.clone();
    }
    match member {
        Value::Number(number) if key.ends_with("_at") || NAMES.contains(&key) => match number.as_u64() {
            Some(seconds) => UnixTime::from_secs(seconds).to_string().into(),
            None => member.clone(),
        },
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => for_people(member),
    }
}
