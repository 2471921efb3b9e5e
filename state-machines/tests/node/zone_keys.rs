//! A zone whose key is revoked gets another from the owner, and never an earlier one back.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::{
    AnyObject, Object, RevocationScope, Role, Signed, StoredObject, ZoneDefinition, ZoneKeyGeneration,
};
use fcp_state_machines::node::{Answer, Failure, ReplayError, Request};
use fcp_state_machines::persist::{Completion, Record, Refusal};

use crate::home::{Home, later_zone_key, sign, work};

const READ: &str = r#"{"note":"a"}"#;

fn code(result: Result<impl std::fmt::Debug, Failure>) -> Code {
    result.expect_err("a refusal").code
}

fn serving(home: &Home) -> KeyId {
    home.node.zone_key(&work()).expect("a key").key_id()
}

fn revoke_key(home: &mut Home, key: KeyId) {
    home.revoke(RevocationScope::ZoneKey, key.as_bytes());
}

fn key(generation: u8) -> KeyId {
    later_zone_key(generation).key_id()
}

/// The definition of z:work with this key.
fn naming(home: &Home, key: Option<(u64, KeyId)>) -> ZoneDefinition {
    let key = key.map(|(generation, key_id)| ZoneKeyGeneration { generation, key_id });
    ZoneDefinition { key, ..home.node.authority().definition(&work()).expect("a zone").clone() }
}

fn admission(object: Object<Signed<ZoneDefinition>>) -> Request {
    Request::Admit { object: Box::new(object.into()), actor: "owner".into() }
}

/// Has the owner name a key of z:work.
fn name(home: &mut Home, generation: u64, key: KeyId) -> Result<Answer, Failure> {
    let object = sign(&work(), home.now, naming(home, Some((generation, key))), &home.keys.owner);
    home.ask(admission(object))
}

/// A home whose z:work is on its second key.
fn rekeyed() -> Home {
    let (mut home, _) = Home::with_grant();
    let first = serving(&home);
    revoke_key(&mut home, first);
    name(&mut home, 1, key(1)).expect("the owner may");
    home
}

fn call(home: &mut Home) -> Result<(), Failure> {
    let call = home.call("notes.get", READ, None);
    home.invoke(call, "{}").map(|_| ())
}

fn definitions(home: &Home) -> Vec<Record> {
    let is_one = |record: &&Record| {
        let stored = StoredObject::from_bytes(&record.bytes).expect("a stored object");
        let opened = AnyObject::open(&stored).expect("a known kind");
        matches!(opened, AnyObject::ZoneDefinition(it) if it.header.zone_id == work())
    };
    home.journal.iter().filter(is_one).cloned().collect()
}

//= docs/spec/authority.md#another-key-of-a-zone
#[test]
fn calls_go_on_under_the_next_key_and_what_was_stored_keeps_its_name() {
    let (mut home, grant) = Home::with_grant();
    call(&mut home).expect("the zone has its first key");
    let mut before = serving(&home);
    for generation in [1, 2] {
        revoke_key(&mut home, before);
        assert_eq!(code(call(&mut home)), Code::ZoneKeyRevoked);
        name(&mut home, generation.into(), key(generation)).expect("the owner may");
        let seen = home.journal.len();
        call(&mut home).expect("the zone has another key");
        for record in &home.journal[seen..] {
            let stored = StoredObject::from_bytes(&record.bytes).expect("a stored object");
            assert_eq!(stored.header.zone_id, work());
            assert_eq!(
                stored.id(&later_zone_key(generation)),
                Ok(record.id),
                "it bears a name of the new key"
            );
        }
        home.restart();
        assert_eq!(serving(&home), key(generation));
        assert!(home.node.authority().grant_by_id(&grant).is_some(), "a grant keeps its name");
        call(&mut home).expect("a restarted node has the key too");
        let now = home.now.unix;
        assert!(home.node.revocations().is_revoked(RevocationScope::ZoneKey, before.as_bytes(), now));
        assert!(!home.node.is_zone_revoked(&work(), now));
        before = serving(&home);
    }
}

//= docs/spec/authority.md#another-key-of-a-zone
#[test]
fn nobody_but_the_owner_names_a_key_and_no_other_than_the_next() {
    let (mut home, _) = Home::with_grant();
    let first = serving(&home);
    assert_eq!(code(name(&mut home, 1, key(1))), Code::Conflict, "the key is not revoked");
    revoke_key(&mut home, first);
    let next = naming(&home, Some((1, key(1))));
    let operator = sign(&work(), home.now, next, &home.keys.operator);
    assert_eq!(code(home.ask(admission(operator))), Code::NotPermitted);
    let strange = KeyId::from_bytes([9; 8]);
    for (generation, key) in [(0, key(1)), (2, key(1)), (u64::MAX, key(1)), (1, strange)] {
        assert_eq!(code(name(&mut home, generation, key)), Code::Conflict, "{generation} {key}");
    }
    revoke_key(&mut home, key(2));
    for revoked in [first, key(2)] {
        assert_eq!(code(name(&mut home, 1, revoked)), Code::ZoneKeyRevoked);
    }
    assert_eq!(code(call(&mut home)), Code::ZoneKeyRevoked, "nothing of this brought it back");
    name(&mut home, 1, key(1)).expect("the owner may");
    call(&mut home).expect("the zone has another key");
}

//= docs/spec/authority.md#another-key-of-a-zone
#[test]
fn there_is_no_way_back_to_an_earlier_key() {
    let mut home = rekeyed();
    home.pass(1);
    assert_eq!(code(name(&mut home, 2, key(2))), Code::Conflict, "the key that serves is not revoked");
    let back = naming(&home, None);
    let by_operator = sign(&work(), home.now, back.clone(), &home.keys.operator);
    assert_eq!(code(home.ask(admission(by_operator))), Code::Conflict);
    let by_owner = sign(&work(), home.now, back, &home.keys.owner);
    assert_eq!(code(home.ask(admission(by_owner))), Code::Conflict);
    revoke_key(&mut home, key(1));
    name(&mut home, 2, key(2)).expect("the owner may");
    for generation in [1, 3] {
        assert_eq!(code(name(&mut home, generation, key(1))), Code::Conflict, "{generation}");
    }
    assert_eq!(serving(&home), key(2));
    // Nor by a journal in which an old definition stands once more.
    let [first, second, _] = &definitions(&home)[..] else { panic!("three definitions") };
    assert_eq!(home.replays(&home.journal), Ok(()));
    for old in [first, second] {
        let again: Vec<_> = home.journal.iter().chain([old]).cloned().collect();
        assert_eq!(home.replays(&again), Err(ReplayError::BrokenChain { id: old.id }));
    }
    let skipped: Vec<_> = home.journal.iter().filter(|it| it.id != second.id).cloned().collect();
    assert!(
        matches!(home.replays(&skipped), Err(ReplayError::Altered { .. })),
        "a key names nothing before its time"
    );
}

//= docs/spec/authority.md#replay-at-a-start
#[test]
fn a_journal_whose_later_key_is_not_there_is_not_taken() {
    let mut home = rekeyed();
    let stored = definitions(&home).pop().expect("the definition that names it");
    let strange = home.altered(&stored, |object| {
        let AnyObject::ZoneDefinition(it) = object else { panic!("a definition") };
        let key = ZoneKeyGeneration { generation: 1, key_id: KeyId::from_bytes([9; 8]) };
        let fields = ZoneDefinition { key: Some(key), ..it.body.fields };
        AnyObject::from(sign(&work(), home.now, fields, &home.keys.owner)).store().expect("it encodes")
    });
    let at = home.journal.iter().position(|it| it.id == stored.id).expect("its place");
    home.journal[at] = strange.clone();
    let missing = ReplayError::NoKey { id: strange.id, zone: work(), key: Some(KeyId::from_bytes([9; 8])) };
    assert_eq!(home.replays(&home.journal), Err(missing));
}

//= docs/spec/authority.md#taking-objects
#[test]
fn what_was_taken_under_the_key_before_is_not_taken_again() {
    let (mut home, _) = Home::with_grant();
    let role = Role { role_id: "reader".parse().expect("a role"), description: String::new() };
    let taken = AnyObject::from(sign(&work(), home.now, role, &home.keys.operator));
    let request =
        |object: &AnyObject| Request::Admit { object: Box::new(object.clone()), actor: "op".into() };
    home.ask(request(&taken)).expect("it is new");
    let first = serving(&home);
    revoke_key(&mut home, first);
    name(&mut home, 1, key(1)).expect("the owner may");
    assert_eq!(code(home.ask(request(&taken))), Code::Conflict);
    home.restart();
    assert_eq!(code(home.ask(request(&taken))), Code::Conflict, "nor after a restart");
}

#[test]
fn one_definition_of_a_zone_is_on_its_way_at_a_time() {
    let (mut home, _) = Home::with_grant();
    let first = serving(&home);
    revoke_key(&mut home, first);
    home.disk_answers = false;
    let mut send = |generation| {
        let object = sign(&work(), home.now, naming(&home, Some((1, key(generation)))), &home.keys.owner);
        let id = home.send(admission(object));
        home.run();
        id
    };
    let (one, other) = (send(1), send(2));
    assert_eq!(code(home.take(other)), Code::Conflict);
    home.disk(Completion::Refused(Refusal::Full));
    assert!(home.take(one).is_err());
    assert_eq!(serving(&home), first, "what is not stored does not serve");
    home.disk_answers = true;
    name(&mut home, 1, key(2)).expect("the next try");
    assert_eq!(serving(&home), key(2));
}
