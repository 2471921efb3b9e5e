//! Objects: every kind, its identity and its signatures; schemas, payloads, zones.

use std::collections::BTreeSet;
use std::fs;

use fcp_proto_core::crypto::hash::{schema_prefix, zone_id_hash};
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{Signature, SigningKey, signing_bytes};
use fcp_proto_core::encoding::cbor::{self, FromCbor, MapBuilder, Value};
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, GossipMessage, MeshObject, NodeSignature, ObjectIdKey, SchemaId, SignatureSet, StoredObject,
    SymbolMessage, decode_payload, encode_payload,
};
use zeroize::Zeroizing;

use super::{Case, LARGEST, root};

/// What an object must be: itself again after reading, known by its identity, and signed by the keys of the case.
pub(super) fn kind(case: &Case<'_>) {
    let bytes = case.bytes("object");
    let stored = StoredObject::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    assert_eq!(stored.to_bytes(), Ok(bytes), "{}", case.place);
    assert_eq!(stored.header.schema.to_string(), case.text("schema"), "{}", case.place);
    let again = match case.text("set") {
        "home" => AnyObject::open(&stored).map(|object| object.store()),
        "mesh" => MeshObject::open(&stored).map(|object| object.store()),
        "gossip" => GossipMessage::open(&stored).map(|object| object.store()),
        "symbols" => SymbolMessage::open(&stored).map(|object| object.store()),
        other => panic!("{}: {other}", case.place),
    };
    assert_eq!(again, Ok(Ok(stored.clone())), "{}", case.place);
    let key = ObjectIdKey::from_bytes(Zeroizing::new(case.array("object_id_key")));
    let id = stored.id(&key).map(|id| *id.as_bytes());
    assert_eq!(id, Ok(case.array("object_id")), "{}", case.place);
    signatures(case, &stored);
}

/// The error of an object that is refused, without what it says besides its name.
//= docs/spec/objects.md#layout
//= docs/spec/kinds.md#kinds-of-objects
pub(super) fn kind_reject(case: &Case<'_>) {
    let bytes = case.bytes("object");
    let opened = StoredObject::from_bytes(&bytes).and_then(|stored| match case.text("set") {
        "home" => AnyObject::open(&stored).map(drop),
        "mesh" => MeshObject::open(&stored).map(drop),
        "gossip" => GossipMessage::open(&stored).map(drop),
        "symbols" => SymbolMessage::open(&stored).map(drop),
        other => panic!("{}: {other}", case.place),
    });
    let error = opened.map_err(|error| format!("{error:?}").split('(').next().map(String::from));
    assert_eq!(error, Err(Some(case.text("error").into())), "{}", case.place);
}

pub(super) fn identifier(case: &Case<'_>) {
    let text = case.text("text");
    let taken = match case.text("kind") {
        "name" => NodeId::new(text).map(|id| id.to_string()),
        "zone" => ZoneId::new(text).map(|id| id.to_string()),
        other => panic!("{}: {other}", case.place),
    };
    let error = taken.map_err(|error| format!("{error:?}"));
    assert_eq!(
        error,
        case.optional("error").map_or(Ok(text.into()), |name| Err(name.into())),
        "{}",
        case.place
    );
}

/// Takes the field `name` out of a body.
fn take<T: FromCbor>(fields: &mut Vec<(Value<'_>, Value<'_>)>, name: &str) -> T {
    let at = fields.iter().position(|(key, _)| *key == Value::Text(name.into())).expect("the field");
    T::from_cbor(fields.remove(at).1).expect("its type")
}

fn signatures(case: &Case<'_>, stored: &StoredObject) {
    let Value::Map(body) = cbor::decode(&stored.body.0[32..]).expect("canonical") else { panic!("a map") };
    let mut fields = body.into_entries();
    let text = stored.header.schema.signing_text();
    let mut view = MapBuilder::default();
    view.field("header", &stored.header);
    if case.optional("transcript").is_some() {
        let key = SigningKey::<Node>::from_seed(&Zeroizing::new(case.array("signer_seed")));
        let signature: Signature = take(&mut fields, "signature");
        let verified = key.verifying_key().verify(&case.bytes("transcript"), &signature);
        assert_eq!(verified, Ok(()), "{}", case.place);
    } else if case.optional("signer_seed").is_some() {
        let key = SigningKey::<Node>::from_seed(&Zeroizing::new(case.array("signer_seed")));
        let (signer, signature): (KeyId, Signature) =
            (take(&mut fields, "signer"), take(&mut fields, "signature"));
        assert_eq!(signer, key.key_id(), "{}", case.place);
        view.field("signer", &signer);
        view.item("fields", Value::Map(cbor::Map::new(fields).expect("a map")));
        let message = signing_bytes(&text, &view.finish()).expect("small");
        assert_eq!(key.verifying_key().verify(&message, &signature), Ok(()), "{}", case.place);
    } else if let Some(voters) = case.fields.get("voters").and_then(Json::as_array) {
        let set: SignatureSet = take(&mut fields, "quorum_signatures");
        assert_eq!(set.as_slice().len(), voters.len(), "{}", case.place);
        let fields = Value::Map(cbor::Map::new(fields).expect("a map"));
        for voter in voters {
            let name = voter.get("node_id").and_then(Json::as_str).expect("a name");
            let seed = voter.get("seed").and_then(Json::as_str).expect("a seed");
            let seed = hex::decode(seed).expect("hex").try_into().expect("32 bytes");
            let by_name = |it: &&NodeSignature| it.node_id.as_str() == name;
            let NodeSignature { node_id, signature, signed_at } =
                set.as_slice().iter().find(by_name).expect("signed");
            let mut view = MapBuilder::default();
            view.field("header", &stored.header);
            view.field("fields", &fields);
            view.field("node_id", node_id);
            view.field("signed_at", signed_at);
            let message = signing_bytes(&text, &view.finish()).expect("small");
            let key = SigningKey::<Node>::from_seed(&Zeroizing::new(seed)).verifying_key();
            assert_eq!(key.verify(&message, signature), Ok(()), "{}", case.place);
        }
    }
}

#[test]
fn every_kind_has_a_vector() {
    let bytes = fs::read(root().join("objects/kinds.json")).expect("the file");
    let document = parse(&bytes, LARGEST).expect("JSON");
    let cases = document.get("cases").and_then(Json::as_array).expect("cases");
    let told = cases.iter().map(|case| {
        let text = |name| case.get(name).and_then(Json::as_str).expect("a text").to_owned();
        (text("set"), text("schema"))
    });
    let sets = [
        ("home", AnyObject::SCHEMAS),
        ("mesh", MeshObject::SCHEMAS),
        ("gossip", GossipMessage::SCHEMAS),
        ("symbols", SymbolMessage::SCHEMAS),
    ];
    let known = sets.iter().flat_map(|(set, schemas)| {
        schemas.iter().map(|schema| (String::from(*set), schema.id().to_string()))
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
}

fn schema_id(fields: &Json) -> SchemaId {
    let text = |name| fields.get(name).and_then(Json::as_str).expect("a text").to_owned();
    SchemaId { namespace: text("namespace"), name: text("name"), version: text("version") }
}

pub(super) fn schema(case: &Case<'_>) {
    let schema = schema_id(case.fields);
    assert_eq!(schema.hash().as_bytes(), &case.array("hash"), "{}", case.place);
    assert_eq!(schema.signing_text(), case.text("signing_text"), "{}", case.place);
    assert_eq!(schema_prefix(&schema.signing_text()), case.array("signing_prefix"), "{}", case.place);
}

pub(super) fn zone(case: &Case<'_>) {
    let zone = ZoneId::new(case.text("zone")).expect("a zone");
    assert_eq!(zone_id_hash(&zone).as_bytes(), &case.array("hash"), "{}", case.place);
}

pub(super) fn payload(case: &Case<'_>) {
    let schema = schema_id(case.fields.get("schema").expect("a schema"));
    let payload = case.bytes("payload");
    let item = decode_payload(&schema, &payload).expect("a payload");
    assert_eq!(cbor::encode(&item), Ok(case.bytes("item")), "{}", case.place);
    assert_eq!(encode_payload(&schema, &item), Ok(case.bytes("payload")), "{}", case.place);
}

//= docs/spec/objects.md#payloads
pub(super) fn payload_reject(case: &Case<'_>) {
    let schema = schema_id(case.fields.get("schema").expect("a schema"));
    let payload = case.bytes("payload");
    let error = decode_payload(&schema, &payload).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}
