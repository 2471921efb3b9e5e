//! The rules within and between the objects of a mesh, each on a sound object of the vectors and on one that breaks it.

mod certificate;
mod checkpoint;
mod computation;
mod gossip;
mod lease;
mod secret;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::ShapeError;
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{
    AnyObject, Body, Certified, GossipSummary, Lease, MeshObject, Object, QuorumBody, Signed, StoredObject,
};
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

/// When the objects of the vectors were made.
const MADE: u64 = 1_795_426_200;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(MADE + seconds)
}

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 32])
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("a name")
}

fn key(byte: u8) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([byte; 32]))
}

/// The members of the vectors' mesh.
fn members() -> BTreeMap<NodeId, VerifyingKey<Node>> {
    [("laptop", 3), ("desktop", 11), ("phone", 12)]
        .map(|(name, seed)| (node(name), key(seed).verifying_key()))
        .into()
}

/// The first object of the kind in the vectors.
fn sample<T: Body>() -> Object<T> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/objects/kinds.json");
    let bytes = fs::read(path).expect("the vectors");
    let document = parse(&bytes, bytes.len()).expect("JSON");
    let cases = document.get("cases").and_then(Json::as_array).expect("cases");
    let schema = T::SCHEMA.id().to_string();
    let case = cases.iter().find(|case| case.get("schema").and_then(Json::as_str) == Some(&*schema));
    let hex = case.and_then(|case| case.get("object")).and_then(Json::as_str).expect("an object of the kind");
    StoredObject::from_bytes(&hex::decode(hex).expect("hex")).expect("sound").open().expect("of its kind")
}

/// What a reader says of a sample that `change` changed.
fn after<T: Body>(change: impl FnOnce(&mut Object<T>)) -> Result<(), ShapeError> {
    let mut object = sample();
    change(&mut object);
    object.store().expect("small").open::<T>().map(drop)
}

/// Demands that a reader refuses the changed sample for a rule of its kind.
fn refuses<T: Body>(change: impl FnOnce(&mut Object<T>)) {
    let said = after(change);
    assert!(matches!(said, Err(ShapeError::Invalid(_) | ShapeError::OutOfRange)), "{said:?}");
}

//= docs/spec/objects.md#of-a-mesh
//= docs/spec/objects.md#messages
#[test]
fn a_home_knows_neither_the_objects_of_a_mesh_nor_messages() {
    let lease = sample::<Certified<Lease>>().store().expect("small");
    let unknown = |name: &str| Err(ShapeError::UnknownVariant(name.into()));
    assert_eq!(AnyObject::open(&lease), unknown("fcp.lease:lease@1.0.0"));
    let summary = sample::<Signed<GossipSummary>>().store().expect("small");
    assert_eq!(AnyObject::open(&summary), unknown("fcp.gossip:Summary@2.0.0"));
    let in_mesh = MeshObject::open(&summary);
    assert!(matches!(in_mesh, Err(ShapeError::UnknownVariant(_))), "a message is no object of the mesh");
}

/// The object certified anew by these members.
fn certified<T: QuorumBody + Clone>(
    object: &Object<Certified<T>>,
    by: &[(&str, u8)],
) -> Object<Certified<T>> {
    let mut fresh = Object::uncertified(object.header.clone(), object.body.fields.clone());
    for (name, seed) in by {
        let vote = fresh.vote(&node(name), at(9), &key(*seed)).expect("small");
        fresh.body.quorum_signatures.insert(vote).expect("one a node");
    }
    fresh
}
