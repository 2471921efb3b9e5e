//! Objects: what is read is written as the same bytes and reads back as the same value.
//!
//! Bytes that are no object seldom become one by chance. The structured target therefore begins with a sound object of some
//! kind, one of `vectors/objects`, and edits it item by item.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use fcp_proto_core::encoding::cbor::{self, ByteString, Map, ToCbor, Value};
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::object::{
    AnyObject, GossipMessage, MeshObject, SCHEMA_HASH_BYTES, StoredObject, SymbolMessage, encode_payload,
};

/// The most edits of one object.
const MAX_EDITS: usize = 8;

/// What becomes of one item of an object.
#[derive(Arbitrary, Clone, Debug)]
enum Edit {
    /// It becomes a number.
    Number(u64),
    /// It becomes a number below zero.
    Below(u64),
    /// It becomes a byte string.
    Bytes(Vec<u8>),
    /// It becomes a text.
    Text(String),
    /// It becomes true or false.
    Bool(bool),
    /// It becomes null.
    Null,
    /// It goes.
    Remove,
    /// It stands there twice, if it is in an array.
    Double,
    /// It becomes a copy of another item.
    Copy(u16),
}

/// A kind of object and what becomes of it.
#[derive(Arbitrary, Debug)]
struct Plan {
    kind: u8,
    edits: Vec<(u16, Edit)>,
}

/// A sound object of every kind, taken apart: its header, and its body's fields.
fn samples() -> &'static [(Value<'static>, Value<'static>)] {
    static SAMPLES: OnceLock<Vec<(Value<'static>, Value<'static>)>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let text = include_str!("../../vectors/objects/kinds.json");
        let document = parse(text.as_bytes(), text.len()).expect("the vectors are JSON");
        let cases = document.get("cases").and_then(Json::as_array).expect("cases");
        let bytes = |case: &Json| hex::decode(case.get("object").and_then(Json::as_str).expect("an object"));
        cases.iter().map(|case| apart(&bytes(case).expect("hexadecimal"))).collect()
    })
}

fn apart(bytes: &[u8]) -> (Value<'static>, Value<'static>) {
    let stored = StoredObject::from_bytes(bytes).expect("a sound object");
    let body = cbor::decode(&stored.body.0[SCHEMA_HASH_BYTES..]).expect("a sound body");
    (stored.header.to_cbor().into_owned(), body.into_owned())
}

/// A sound object of some kind, and edits of it.
pub(crate) fn edits(input: &[u8]) {
    if let Ok(plan) = Plan::arbitrary(&mut Unstructured::new(input)) {
        run(&plan);
    }
}

/// Whether the edited object is accepted.
fn run(plan: &Plan) -> bool {
    let samples = samples();
    let (header, body) = &samples[usize::from(plan.kind) % samples.len()];
    let schema = header_schema(header);
    let mut object = Value::Array(vec![header.clone(), body.clone()]);
    for (place, edit) in plan.edits.iter().take(MAX_EDITS) {
        // The root itself stays: it is no part of the object.
        let mut place = 1 + usize::from(*place) % (count(&object) - 1).max(1);
        let copied = if let Edit::Copy(other) = edit { item(&object, usize::from(*other)) } else { None };
        object = edited(object, &mut place, edit, copied.as_ref()).pop().expect("the root stays");
    }
    let Value::Array(parts) = object else { return false };
    let Ok([header, body]) = <[Value; 2]>::try_from(parts) else { return false };
    let Ok(body) = encode_payload(&schema, &body) else { return false };
    let body = ByteString(body);
    let Ok(map) =
        Map::new(vec![(Value::Text("header".into()), header), (Value::Text("body".into()), body.to_cbor())])
    else {
        return false;
    };
    cbor::encode(&Value::Map(map)).is_ok_and(|bytes| is_read(&bytes))
}

fn header_schema(header: &Value) -> fcp_proto_core::object::SchemaId {
    let Value::Map(map) = header else { panic!("a header is a map") };
    cbor::FromCbor::from_cbor(map.get("schema").expect("a schema").clone()).expect("a sound schema")
}

/// How many items there are, keys of maps not counted.
fn count(value: &Value) -> usize {
    1 + children(value).map(count).sum::<usize>()
}

fn children<'a>(value: &'a Value<'_>) -> Box<dyn Iterator<Item = &'a Value<'a>> + 'a> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Map(map) => Box::new(map.entries().iter().map(|(_, value)| value)),
        Value::Unsigned(_)
        | Value::Negative(_)
        | Value::Bytes(_)
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Null
        | Value::Float(_) => Box::new(std::iter::empty()),
    }
}

/// The item at `place` in order of reading, counted round.
fn item(root: &Value<'_>, place: usize) -> Option<Value<'static>> {
    let mut left = place % count(root);
    let mut stack = vec![root];
    while let Some(value) = stack.pop() {
        if left == 0 {
            return Some(value.clone().into_owned());
        }
        left -= 1;
        let mut below: Vec<_> = children(value).collect();
        below.reverse();
        stack.extend(below);
    }
    None
}

/// What stands where `value` stood after the edit at `place`: nothing, one item or two.
fn edited<'a>(
    value: Value<'a>,
    place: &mut usize,
    edit: &Edit,
    copied: Option<&Value<'a>>,
) -> Vec<Value<'a>> {
    let here = *place == 0;
    *place = place.wrapping_sub(1);
    if here {
        return match edit {
            Edit::Number(n) => vec![Value::Unsigned(*n)],
            Edit::Below(n) => vec![Value::Negative(*n)],
            Edit::Bytes(bytes) => vec![Value::Bytes(bytes.clone().into())],
            Edit::Text(text) => vec![Value::Text(text.clone().into())],
            Edit::Bool(bit) => vec![Value::Bool(*bit)],
            Edit::Null => vec![Value::Null],
            Edit::Remove => vec![],
            Edit::Double => vec![value.clone(), value],
            Edit::Copy(_) => copied.cloned().into_iter().collect(),
        };
    }
    vec![match value {
        Value::Array(items) => {
            Value::Array(items.into_iter().flat_map(|item| edited(item, place, edit, copied)).collect())
        }
        Value::Map(map) => {
            let entries = map.into_entries().into_iter();
            let entries =
                entries.filter_map(|(key, value)| Some((key, edited(value, place, edit, copied).pop()?)));
            Value::Map(Map::new(entries.collect()).expect("the keys are the same"))
        }
        leaf @ (Value::Unsigned(_)
        | Value::Negative(_)
        | Value::Bytes(_)
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Null
        | Value::Float(_)) => leaf,
    }]
}

/// A stored object of any kind.
pub(crate) fn stored(input: &[u8]) {
    is_read(input);
}

/// Whether the bytes are an object of some set; if so, they are written again and read back.
fn is_read(input: &[u8]) -> bool {
    let Ok(stored) = StoredObject::from_bytes(input) else { return false };
    assert_eq!(stored.to_bytes().as_deref(), Ok(input));
    let home = round_trip(&stored, AnyObject::open, AnyObject::store);
    let mesh = round_trip(&stored, MeshObject::open, MeshObject::store);
    let gossip = round_trip(&stored, GossipMessage::open, GossipMessage::store);
    let symbols = round_trip(&stored, SymbolMessage::open, SymbolMessage::store);
    let sets = [home, mesh, gossip, symbols].into_iter().filter(|opened| *opened).count();
    assert!(sets <= 1, "a schema belongs to one set");
    sets == 1
}

fn round_trip<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug, F: std::fmt::Debug + PartialEq>(
    stored: &StoredObject,
    open: fn(&StoredObject) -> Result<T, E>,
    store: fn(&T) -> Result<StoredObject, F>,
) -> bool {
    let Ok(object) = open(stored) else { return false };
    let again = store(&object);
    assert_eq!(again.as_ref(), Ok(stored), "decoding and encoding give the same bytes");
    assert_eq!(open(&again.expect("stored")).ok(), Some(object), "encoding and decoding give the same value");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_nobody_edits_is_accepted() {
        for kind in 0..samples().len() {
            let kind = u8::try_from(kind).expect("few kinds");
            assert!(run(&Plan { kind, edits: Vec::new() }), "kind {kind}");
        }
    }

    /// Every item of every kind, with every edit: some are accepted, and these come back as they were.
    #[test]
    fn every_edit_of_every_kind_is_refused_or_comes_back() {
        let edits = [
            Edit::Number(1),
            Edit::Number(u64::MAX),
            Edit::Below(0),
            Edit::Bytes(vec![1; 32]),
            Edit::Text("z:work".into()),
            Edit::Bool(true),
            Edit::Null,
            Edit::Remove,
            Edit::Double,
            Edit::Copy(3),
        ];
        for (kind, (header, body)) in samples().iter().enumerate() {
            let kind = u8::try_from(kind).expect("few kinds");
            let (mut accepted, mut refused) = (0, 0);
            for place in 0..count(header) + count(body) {
                let place = u16::try_from(place).expect("few items");
                for edit in &edits {
                    let counter = if run(&Plan { kind, edits: vec![(place, edit.clone())] }) {
                        &mut accepted
                    } else {
                        &mut refused
                    };
                    *counter += 1;
                }
            }
            assert!(accepted > 0 && refused > 0, "kind {kind}: {accepted} accepted, {refused} refused");
        }
    }
}
