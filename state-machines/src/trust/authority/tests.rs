use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::object::{RevocationObject, SignedBody};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::zone::Label;

use fcp_proto_core::object::RoleAssignment;

use super::*;

fn key<R: SigningRole>(seed: u8) -> SigningKey<R> {
    SigningKey::generate(&mut Entropy::from_seed(&[seed; 32].into()))
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

fn sign<T: SignedBody, R: SigningRole>(made_at: u64, fields: T, key: &SigningKey<R>) -> Object<Signed<T>> {
    let zone = ZoneId::new("z:owner").unwrap();
    Object::sign(Header::new(&T::SCHEMA, &zone, at(made_at), Label::default(), None), fields, key).unwrap()
}

fn delegation(rights: &[OperatorRight], expires_at: Option<u64>) -> OperatorDelegation {
    OperatorDelegation {
        operator: PrincipalId::new("op").unwrap(),
        public_key: key(2).verifying_key(),
        rights: rights.iter().copied().collect(),
        not_before: at(10),
        expires_at: expires_at.map(at),
    }
}

fn role() -> Role {
    Role { role_id: RoleId::new("reader").unwrap(), description: alloc::string::String::new() }
}

/// An owner and one operator with the right to grant, from 10 to 20.
fn authority() -> Authority {
    let mut authority = Authority::default();
    let owner = key::<role::Owner>(1);
    let root = sign(1, OwnerRoot { home_id: [0; 32], public_key: owner.verifying_key() }, &owner);
    assert_eq!(authority.check_root(&root), Ok(()));
    authority.apply(ObjectId::default(), &AnyObject::from(root));
    let operator = sign(1, delegation(&[OperatorRight::Grant], Some(20)), &owner);
    assert_eq!(authority.check(&operator, &Revocations::default()), Ok(()));
    authority.apply(ObjectId::default(), &AnyObject::from(operator));
    authority
}

#[test]
fn a_root_is_signed_by_itself_and_there_is_one() {
    let owner = key::<role::Owner>(1);
    let fields = OwnerRoot { home_id: [0; 32], public_key: owner.verifying_key() };
    let foreign = sign(1, fields.clone(), &key::<role::Owner>(9));
    assert_eq!(Authority::default().check_root(&foreign), Err(Unauthorized::UnknownSigner));
    let mut forged = sign(1, fields.clone(), &owner);
    forged.body.fields.home_id = [1; 32];
    assert_eq!(Authority::default().check_root(&forged), Err(Unauthorized::Signature));
    assert_eq!(authority().check_root(&sign(1, fields, &owner)), Err(Unauthorized::OwnerExists));
}

//= docs/spec/authority.md#who-signs-what
//= docs/spec/objects.md#signed-bodies
#[test]
fn an_operator_has_its_rights_in_its_time_and_no_others() {
    let (authority, operator, none) = (authority(), key::<role::Operator>(2), Revocations::default());
    let check = |made_at| authority.check(&sign(made_at, role(), &operator), &none);
    assert_eq!(
        [9, 10, 19, 20].map(check),
        [Err(Unauthorized::NoRight), Ok(()), Ok(()), Err(Unauthorized::NoRight)]
    );
    let approval = sign(15, delegation(&[], None), &operator);
    assert_eq!(
        authority.check(&approval, &none),
        Err(Unauthorized::UnknownSigner),
        "only the owner delegates"
    );
    assert_eq!(
        authority.check(&sign(15, role(), &key::<role::Operator>(3)), &none),
        Err(Unauthorized::UnknownSigner)
    );
}

#[test]
fn the_owner_may_sign_what_an_operator_may() {
    let owner = key::<role::Owner>(1);
    assert_eq!(authority().check(&sign(500, role(), &owner), &Revocations::default()), Ok(()));
}

//= docs/spec/authority.md#who-signs-what
//= docs/spec/objects.md#signed-bodies
#[test]
fn a_changed_object_and_a_revoked_key_have_no_force() {
    let (authority, operator) = (authority(), key::<role::Operator>(2));
    let mut object = sign(15, role(), &operator);
    let mut revoked = Revocations::default();
    revoked.apply(
        ObjectId::from_bytes(*Digest::default().as_bytes()),
        &RevocationObject {
            scope: RevocationScope::IssuerKey,
            targets: alloc::vec![ByteString(operator.key_id().as_bytes().to_vec())],
            reason: alloc::string::String::new(),
            effective_at: at(15),
            expires_at: None,
        },
    );
    assert_eq!(authority.check(&object, &revoked), Err(Unauthorized::Revoked));
    let before = sign(14, role(), &operator);
    assert_eq!(authority.check(&before, &revoked), Ok(()), "what it signed before stands");
    object.body.fields.description = "more".into();
    assert_eq!(authority.check(&object, &Revocations::default()), Err(Unauthorized::Signature));
}

#[test]
fn a_role_names_those_to_whom_it_was_given() {
    let (mut authority, owner) = (authority(), key::<role::Owner>(1));
    let assigned =
        RoleAssignment { role_id: RoleId::new("reader").unwrap(), principal: PrincipalId::new("a").unwrap() };
    authority.apply(ObjectId::default(), &AnyObject::from(sign(1, assigned, &owner)));
    let grantee = Grantee::Role(RoleId::new("reader").unwrap());
    let named: BTreeSet<_> = ["a", "b"]
        .into_iter()
        .filter(|it| authority.names(&grantee, &PrincipalId::new(*it).unwrap()))
        .collect();
    assert_eq!(named, ["a"].into());
    let boxed = Box::new(Grantee::Principal(PrincipalId::new("b").unwrap()));
    assert!(authority.names(&boxed, &PrincipalId::new("b").unwrap()));
}
