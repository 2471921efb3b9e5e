use alloc::collections::BTreeSet;
use alloc::string::ToString;

use super::*;
use crate::crypto::role;
use crate::crypto::sign::SigningKey;
use crate::encoding::cbor::{self, ShapeError, ToCbor};
use crate::ids::{ObjectId, PrincipalId, RoleId, ZoneId};
use crate::random::Entropy;
use crate::time::UnixTime;
use crate::zone::{Label, Level};

fn role() -> Object<Signed<Role>> {
    let fields = Role { role_id: RoleId::new("reader").unwrap(), description: "reads".into() };
    Object::sign(header(&<Role as SignedBody>::SCHEMA), fields, &key()).unwrap()
}

fn key() -> SigningKey<role::Owner> {
    SigningKey::generate(&mut Entropy::from_seed(&[1; 32].into()))
}

fn header(schema: &Schema) -> Header {
    let zone = ZoneId::new("z:work").unwrap();
    Header::new(schema, &zone, UnixTime::from_secs(1), Label::trusted(Level::WORK), None)
        .with_refs([ObjectId::from_bytes([1; 32])])
}

#[test]
fn objects_read_back_and_keep_their_identity() {
    let object = role();
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let stored = object.store().unwrap();
    let again = StoredObject::from_bytes(&stored.to_bytes().unwrap()).unwrap();
    assert_eq!(again.open::<Signed<Role>>().as_ref(), Ok(&object));
    assert_eq!(again.id(&key), stored.id(&key));
    assert_ne!(
        again.id(&ObjectIdKey::from_bytes([8; 32].into())),
        stored.id(&key),
        "the key names the object"
    );
    assert_eq!(AnyObject::open(&again), Ok(AnyObject::from(object)));
}

#[test]
fn a_changed_header_or_body_is_another_object() {
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let id = |object: &Object<Signed<Role>>| object.store().unwrap().id(&key).unwrap();
    let (mut other_header, mut other_body) = (role(), role());
    other_header.header.created_at = UnixTime::from_secs(2);
    other_body.body.fields.description = "writes".into();
    assert_eq!(BTreeSet::from([id(&role()), id(&other_header), id(&other_body)]).len(), 3);
    assert_ne!(role().signing_bytes(), other_header.signing_bytes(), "the signature covers the header");
}

//= docs/spec/objects.md#layout
#[test]
fn another_schema_is_refused_by_name() {
    let mut stored = role().store().unwrap();
    assert_eq!(stored.open::<ContextOpened>(), Err(ShapeError::SchemaMismatch));
    stored.header.schema.version = "9.0.0".into();
    assert_eq!(AnyObject::open(&stored), Err(ShapeError::UnknownVariant("fcp.grant:Role@9.0.0".into())));
    assert_eq!(
        StoredObject::from_bytes(&stored.to_bytes().unwrap()),
        Err(ShapeError::SchemaMismatch),
        "the body still begins with the old hash"
    );
}

//= docs/spec/objects.md#identity
#[test]
fn an_identity_is_the_same_from_bytes_and_from_the_object() {
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let mut stored = role().store().unwrap();
    // Bodies that end within the first piece that is hashed, at its end, and far behind it.
    for more in [0, 1_000, 60_000, 70_000, 300_000] {
        stored.body.0.resize(stored.body.0.len() + more, 7);
        let header = cbor::encode(&stored.header).unwrap();
        let hash = stored.header.schema.hash();
        let named =
            [b"FCP2-OBJECT-V2", &b"z:work"[..], hash.as_bytes(), b"FCP2-OBJECT-V1", &header, &stored.body.0];
        let id = ObjectId::from_bytes(*blake3::keyed_hash(&[9; 32], &named.concat()).as_bytes());
        assert_eq!(stored.id(&key), Ok(id));
        assert_eq!(identify(&stored.to_bytes().unwrap(), &key), Ok((stored.header.clone(), id)));
    }
}

#[test]
fn what_is_no_object_has_no_identity_and_the_same_fault() {
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let bytes = role().store().unwrap().to_bytes().unwrap();
    let mut inputs = alloc::vec![[&bytes[..], &[0]].concat(), bytes[1..].to_vec(), alloc::vec![0xa0]];
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        inputs.extend([bytes[..at].to_vec(), bent]);
    }
    for input in inputs {
        let read = StoredObject::from_bytes(&input).map(|it| (it.header.clone(), it.id(&key).unwrap()));
        assert_eq!(identify(&input, &key), read, "{input:02x?}");
    }
}

#[test]
fn schemas_are_unique() {
    let names: BTreeSet<_> = AnyObject::SCHEMAS.iter().map(|schema| schema.id().to_string()).collect();
    assert_eq!(names.len(), AnyObject::SCHEMAS.len());
}

#[test]
fn a_grantee_is_one_thing() {
    let principal = Grantee::Principal(PrincipalId::new("a").unwrap());
    assert_eq!(<Grantee as cbor::FromCbor>::from_cbor(principal.to_cbor()), Ok(principal));
    let empty = cbor::MapBuilder::default().finish();
    assert!(<Grantee as cbor::FromCbor>::from_cbor(empty).is_err());
}
