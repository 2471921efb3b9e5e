//! What the output takes from an answer: JSON pointers in which `*` stands for every element.

use fcp_proto_core::manifest::Shape;
use serde_json::{Map, Value, json};

/// The output of an answer that is not paginated.
pub(crate) fn output(shape: &Shape, answer: Value) -> Value {
    let beside = beside(shape, &answer);
    let root = match &shape.root {
        None => answer,
        Some(root) => pointer(&answer, root).unwrap_or(Value::Null),
    };
    let mut output = match root {
        Value::Array(items) => wrapped(shape, items),
        Value::Object(fields) => element(shape, Value::Object(fields)),
        Value::Null => json!({}),
        scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => json!({ wrap(shape): scalar }),
    };
    if let Value::Object(fields) = &mut output {
        fields.extend(beside);
    }
    output
}

/// The output of a paginated list.
pub(crate) fn list(shape: &Shape, first_page: &Value, items: Vec<Value>, truncated: bool) -> Value {
    let mut output = wrapped(shape, items);
    if let Value::Object(fields) = &mut output {
        fields.insert("truncated".into(), truncated.into());
        fields.extend(beside(shape, first_page));
    }
    output
}

/// The value at `pointer`; a `*` segment gathers what its rest finds in every element. Null counts as absent.
pub(crate) fn pointer(value: &Value, pointer: &str) -> Option<Value> {
    if pointer.is_empty() {
        return Some(value.clone()).filter(|value| !value.is_null());
    }
    let rest = pointer.strip_prefix('/')?;
    let (segment, tail) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if segment == "*" {
        let items = value.as_array()?;
        return Some(Value::Array(items.iter().filter_map(|item| self::pointer(item, tail)).collect()));
    }
    let key = segment.replace("~1", "/").replace("~0", "~");
    let next = match value {
        Value::Object(fields) => fields.get(&key)?,
        Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    self::pointer(next, tail)
}

fn wrapped(shape: &Shape, items: Vec<Value>) -> Value {
    let items: Vec<Value> = items.into_iter().map(|item| element(shape, item)).collect();
    json!({ wrap(shape): items })
}

fn wrap(shape: &Shape) -> &str {
    shape.wrap.as_deref().unwrap_or("items")
}

fn element(shape: &Shape, item: Value) -> Value {
    if shape.fields.is_empty() {
        return item;
    }
    let taken = |(name, at): (&String, &String)| pointer(&item, at).map(|value| (name.clone(), value));
    Value::Object(shape.fields.iter().filter_map(taken).collect())
}

fn beside(shape: &Shape, answer: &Value) -> Map<String, Value> {
    let taken = |(name, at): (&String, &String)| pointer(answer, at).map(|value| (name.clone(), value));
    shape.beside.iter().filter_map(taken).collect()
}
