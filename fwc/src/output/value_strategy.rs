//! Values for property tests.

use proptest::prelude::*;

use super::value::{Object, Value};

/// Any scalar, with strings that are likely to be mistaken for something else.
pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(|n| Value::Number(n.into())),
        prop::num::f64::NORMAL.prop_map(|x| Value::Number(x.try_into().unwrap())),
        string().prop_map(Value::from),
    ]
}

/// Strings with structure, control characters and the looks of other types.
pub(crate) fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \\t\\r\\n\"\\\\,|:;#{}\\[\\]=+@\u{1b}\u{202e}\u{feff}\u{e0041}aé0.e-]{0,8}",
        "-?[0-9]{1,3}(\\.[0-9]{1,2})?",
        "true|false|null|- a|\\[\\]|\\[1\\]: x",
        ".{0,6}",
    ]
}

/// Any value, four levels deep at most, uniform rows included.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let keys = || prop_oneof!["[a-c]", string()];
    scalar().prop_recursive(4, 40, 5, move |inner| {
        let entries = prop::collection::vec((keys(), inner.clone()), 0..5);
        let rows = (prop::collection::btree_set(keys(), 1..4), 1usize..4).prop_flat_map(|(keys, count)| {
            let cells = prop::collection::vec(scalar(), keys.len());
            prop::collection::vec(cells, count).prop_map(move |rows| {
                let row = |cells: Vec<Value>| {
                    Value::Object(Object::new(keys.iter().cloned().zip(cells).collect()).unwrap())
                };
                Value::Array(rows.into_iter().map(row).collect())
            })
        });
        let keyed = (rows.clone(), prop::collection::btree_set(keys(), 4)).prop_map(|(rows, keys)| {
            let rows = rows.as_array().unwrap_or_default().to_vec();
            Value::Object(Object::new(keys.into_iter().zip(rows).collect()).unwrap())
        });
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Array),
            entries.prop_map(|entries| Value::Object(Object::last_wins(entries))),
            rows,
            keyed,
        ]
    })
}

/// `value` with the members of every object in the order of their keys.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(object) => {
            let mut members: Vec<(String, Value)> =
                object.iter().map(|(key, value)| (key.to_owned(), sorted(value.clone()))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Object::new(members).unwrap())
        }
    }
}
