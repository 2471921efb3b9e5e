//! Which grant a call stands on, and what is said when none permits it.

use crate::bounds::credential;
use crate::home::{self, Home, everything, grant_fields, operation, work, zone};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, RoleId};
use fcp_proto_core::object::{
    AnyObject, ConnectorState, Enrolment, GateCheck, Grant, Grantee, RevocationScope, Role, RoleAssignment,
    StoredObject,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{Failure, MAX_CANDIDATES, Request};
use proptest::prelude::*;

fn on(pattern: &str) -> Constraints {
    Constraints { resource_allow: vec![pattern.parse().expect("a pattern")], ..everything() }
}

fn read(note: &str) -> String {
    format!(r#"{{"note":"{note}"}}"#)
}

fn refused(home: &mut Home, note: &str) -> Failure {
    home.invoke(home.call("notes.get", &read(note), None), "{}").expect_err("a refusal")
}

fn stored(home: &Home, id: ObjectId) -> AnyObject {
    let record = home.journal.iter().find(|record| record.id == id).expect("it is stored");
    StoredObject::from_bytes(&record.bytes).and_then(|it| AnyObject::open(&it)).expect("an object")
}

/// The grants that the intent of the newest call names.
fn stood_on(home: &Home) -> Vec<ObjectId> {
    let opened = home.journal.iter().rev().filter_map(|record| {
        StoredObject::from_bytes(&record.bytes).and_then(|it| AnyObject::open(&it)).ok()
    });
    let mut intents = opened.filter_map(|object| {
        let AnyObject::OperationIntent(intent) = object else { return None };
        Some(intent.body.fields.grants.into_iter().collect())
    });
    intents.next().expect("an intent")
}

#[test]
fn a_narrow_grant_hides_no_broad_one_whatever_their_order() {
    // Ids are hashes, so over several homes both orders occur.
    let mut orders = [false; 2];
    for n in 0..12 {
        let mut home = Home::new();
        home.pass(n);
        let narrow = home.grant(on("notes:note/a"));
        let broad = home.grant(everything());
        orders[usize::from(narrow < broad)] = true;
        home.invoke(home.call("notes.get", &read("b"), None), "{}").expect("the broad one permits it");
        assert_eq!(stood_on(&home), [broad]);
        home.invoke(home.call("notes.get", &read("a"), None), "{}").expect("both permit it");
        assert_eq!(stood_on(&home), [narrow.min(broad)], "the first that permits it");
    }
    assert_eq!(orders, [true; 2]);
}

//= docs/spec/sessions.md#minting
#[test]
fn grants_lend_each_other_nothing() {
    let mut home = Home::new();
    home.grant(Constraints { credential_allow: Default::default(), ..everything() });
    home.grant(on("notes:note/a"));
    assert_eq!(refused(&mut home, "b").check, Some(GateCheck::Constraints));
}

#[test]
fn only_the_grant_that_is_stood_on_is_charged() {
    let mut home = Home::new();
    let limited = home.grant(Constraints { max_calls: Some(1), ..everything() });
    home.pass(1);
    let other = home.grant(Constraints { max_calls: Some(1), ..everything() });
    for grant in [limited.min(other), limited.max(other)] {
        home.invoke(home.call("notes.get", &read("a"), None), "{}").expect("one call of each");
        assert_eq!(stood_on(&home), [grant]);
    }
    assert_eq!(refused(&mut home, "a").code, Code::CallLimitReached);
}

#[test]
fn of_several_refusals_the_latest_is_told_and_its_grant_named() {
    let mut home = Home::new();
    // Refused by its life (check 7), and by its resources (check 11).
    home.grant(everything());
    home.operate(&work(), fcp_proto_core::object::ZonePolicy { max_grant_secs: 3_000, ..home::policy(2) });
    let fields = grant_fields(on("notes:note/a"), home.now);
    let short = home.operate(&work(), Grant { expires_at: home.now.unix.saturating_add(3_000), ..fields });
    let refusal = refused(&mut home, "b");
    assert_eq!((refusal.check, refusal.code), (Some(GateCheck::Constraints), Code::ResourceNotAllowed));
    let AnyObject::DecisionReceipt(receipt) = stored(&home, refusal.receipt.expect("a receipt")) else {
        panic!("a decision")
    };
    assert_eq!(receipt.body.fields.evidence.into_iter().collect::<Vec<_>>(), [short]);
}

fn enrol(home: &mut Home, place: &str) {
    let public_key = home.keys.agent.verifying_key();
    let fields = Enrolment { principal: home::agent(), public_key, key_source: "file".into() };
    home.operate(&zone(place), fields);
}

//= docs/spec/authority.md#taking-objects
#[test]
fn an_agent_gets_no_grant_in_a_zone_that_it_does_not_call_in() {
    let mut home = Home::new();
    let fields = grant_fields(everything(), home.now);
    let refused = home.try_operate(&zone("z:private"), fields.clone()).expect_err("it is of z:work");
    assert_eq!(refused.code, Code::ZoneMismatch);
    assert!(refused.message.contains("z:work"), "{}", refused.message);
    home.operate(&work(), fields);
}

//= docs/spec/authority.md#grants
#[test]
fn a_grant_that_no_call_can_be_made_on_says_why() {
    let mut home = Home::new();
    let readers: RoleId = "readers".parse().expect("a name");
    home.operate(&zone("z:owner"), Role { role_id: readers.clone(), description: String::new() });
    let to_role = Grant { grantee: Grantee::Role(readers.clone()), ..grant_fields(everything(), home.now) };
    let (own, shared) = (home.grant(everything()), home.operate(&work(), to_role.clone()));
    let private = home.operate(&zone("z:private"), to_role);
    let obstacle = |home: &Home, id: &ObjectId| {
        let known = home.node.authority().grant_by_id(id).expect("a grant");
        home.node.grant_obstacle(id, known, home.now.unix).map(|it| it.code)
    };
    assert_eq!(obstacle(&home, &own), None);
    assert_eq!(obstacle(&home, &shared), Some(Code::GrantPrincipalMismatch), "nobody has the role");
    home.operate(&zone("z:owner"), RoleAssignment { role_id: readers, principal: home::agent() });
    assert_eq!(obstacle(&home, &shared), None);
    assert_eq!(obstacle(&home, &private), Some(Code::GrantPrincipalMismatch), "none of its members is there");
    let connector = "notes".parse().expect("a connector");
    home.operate(&work(), ConnectorState { connector, enabled: false, removed: false, reason: None });
    assert_eq!(obstacle(&home, &own), Some(Code::ConnectorDisabled));
}

//= docs/spec/authority.md#grants
#[test]
fn a_grant_whose_holder_connector_or_device_is_revoked_says_so() {
    let agent = |home: &Home| home.keys.agent.verifying_key().key_id().as_bytes().to_vec();
    type Target = fn(&Home) -> Vec<u8>;
    let cases: [(RevocationScope, Target, Code, &str); 5] = [
        (RevocationScope::IssuerKey, agent, Code::IssuerKeyRevoked, "the key of ada"),
        (RevocationScope::ConnectorBinary, |_| vec![2; 32], Code::ConnectorRevoked, "the code 0202"),
        (RevocationScope::ConnectorBinary, |_| vec![1; 32], Code::ConnectorRevoked, "the package 0101"),
        (RevocationScope::NodeAttestation, |_| b"node-1".to_vec(), Code::NodeRevoked, "the node node-1"),
        (
            RevocationScope::ZoneKey,
            |home| home.node.zone_key(&work()).expect("a key").key_id().as_bytes().to_vec(),
            Code::ZoneKeyRevoked,
            "the key of z:work",
        ),
    ];
    for (scope, target, code, called) in cases {
        let (mut home, grant) = Home::with_grant();
        let obstacle = |home: &Home| {
            let known = home.node.authority().grant_by_id(&grant).expect("a grant");
            home.node.grant_obstacle(&grant, known, home.now.unix)
        };
        assert_eq!(obstacle(&home), None);
        let target = target(&home);
        home.revoke(scope, &target);
        let refusal = obstacle(&home).expect("it serves no more");
        assert_eq!((refusal.check, refusal.code), (GateCheck::Revocation, code));
        let since = format!("is revoked in the scope {scope} since {}", home.now.unix);
        assert!(refusal.rule.starts_with(called) && refusal.rule.ends_with(&since), "{}", refusal.rule);
    }
}

//= docs/spec/authority.md#grants
#[test]
fn a_grant_whose_credentials_are_not_stored_says_so() {
    let (mut home, grant) = Home::with_grant();
    let obstacle = |home: &Home| {
        let known = home.node.authority().grant_by_id(&grant).expect("a grant");
        home.node.grant_obstacle(&grant, known, home.now.unix).map(|it| it.code)
    };
    assert_eq!(obstacle(&home), None);
    home.operate(&work(), credential("main", true));
    assert_eq!(obstacle(&home), Some(Code::CredentialMissing), "nothing fills the slot");
    home.operate(&work(), credential("other", false));
    assert_eq!(obstacle(&home), Some(Code::CredentialNotAllowed), "the grant takes another alone");
    home.pass(1);
    home.operate(&work(), credential("main", false));
    assert_eq!(obstacle(&home), None);
}

#[test]
fn what_became_of_the_grant_is_told_to_whom_it_named() {
    type Prepare = fn(&mut Home) -> ObjectId;
    let cases: [(Prepare, Code); 4] = [
        (
            |home| {
                let id = home.grant(everything());
                home.revoke(RevocationScope::Capability, id.as_bytes());
                id
            },
            Code::GrantRevoked,
        ),
        (
            |home| {
                let id = home.grant(everything());
                home.pass(3_600);
                id
            },
            Code::GrantExpired,
        ),
        (
            |home| {
                // It was given when the agent belonged there.
                enrol(home, "z:private");
                let fields = grant_fields(everything(), home.now);
                let id = home.operate(&zone("z:private"), fields);
                home.pass(1);
                enrol(home, "z:work");
                home.session = home.open_session();
                id
            },
            Code::GrantZoneMismatch,
        ),
        (
            |home| {
                let fields = grant_fields(everything(), home.now);
                let capabilities = ["notes.write".parse().expect("a capability")].into();
                home.operate(&work(), Grant { capabilities, ..fields })
            },
            Code::GrantExceeded,
        ),
    ];
    for (prepare, expected) in cases {
        let mut home = Home::new();
        let grant = prepare(&mut home);
        let refusal = refused(&mut home, "a");
        assert_eq!((refusal.check, refusal.code), (Some(GateCheck::Grants), expected));
        assert!(refusal.message.contains(&grant.to_string()), "{}", refusal.message);
        let AnyObject::DecisionReceipt(receipt) = stored(&home, refusal.receipt.expect("a receipt")) else {
            panic!("a decision")
        };
        assert!(receipt.body.fields.evidence.contains(&grant));
        home.restart();
        assert_eq!(refused(&mut home, "a").code, expected, "it is known after a restart");
    }
}

#[test]
fn of_grants_that_are_no_longer_in_force_the_newest_is_told_of() {
    let mut home = Home::new();
    home.grant(everything());
    home.pass(3_600);
    let newest = home.grant(everything());
    home.revoke(RevocationScope::Capability, newest.as_bytes());
    let refusal = refused(&mut home, "a");
    assert_eq!(refusal.code, Code::GrantRevoked);
    assert!(refusal.message.contains(&newest.to_string()));
}

#[test]
fn a_grant_of_another_or_of_another_operation_is_told_to_nobody() {
    let mut home = Home::new();
    let eve = Enrolment {
        principal: "eve".parse().expect("a principal"),
        public_key: SigningKey::generate(&mut Entropy::from_seed(&[9; 32].into())).verifying_key(),
        key_source: "file".into(),
    };
    let grantee = Grantee::Principal(eve.principal.clone());
    home.operate(&work(), eve);
    let fields = grant_fields(everything(), home.now);
    let of_another = Grant { grantee, ..fields.clone() };
    for fields in [of_another, Grant { operations: [operation("notes.put")].into(), ..fields }] {
        let other = home.operate(&work(), fields);
        home.revoke(RevocationScope::Capability, other.as_bytes());
        let refusal = refused(&mut home, "a");
        assert_eq!(refusal.code, Code::OperationNotGranted);
        assert!(!refusal.message.contains(&other.to_string()));
    }
}

#[test]
fn newer_grants_than_fit_are_not_tried_and_take_nothing_away() {
    let mut home = Home::new();
    home.grant(on("notes:note/old"));
    home.pass(1);
    for n in 0..MAX_CANDIDATES - 1 {
        home.grant(on(&format!("notes:note/{n}")));
    }
    home.pass(1);
    home.grant(on("notes:note/new"));
    home.invoke(home.call("notes.get", &read("old"), None), "{}").expect("the oldest is among them");
    let refusal = refused(&mut home, "new");
    assert_eq!(refusal.code, Code::ResourceNotAllowed);
    assert!(refusal.message.contains("1 newer grants were not tried"), "{}", refusal.message);
}

fn constraints() -> impl Strategy<Value = Constraints> {
    let pattern = prop::sample::select(vec!["*", "notes:note/a", "notes:note/b", "notes:note/**"]);
    (pattern, prop::option::of(0_u32..3), prop::option::of(0_u64..30), any::<bool>()).prop_map(
        |(pattern, max_calls, max_bytes, with_credential)| Constraints {
            max_calls,
            max_bytes,
            credential_allow: if with_credential {
                everything().credential_allow
            } else {
                Default::default()
            },
            ..on(pattern)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_grant_never_refuses_what_was_permitted(
        before in prop::collection::vec(constraints(), 0..4),
        another in constraints(),
        note in prop::sample::select(vec!["a", "b", "c"]),
        calls in 0_usize..3,
    ) {
        let mut home = Home::new();
        for constraints in before {
            // A grant like another of the same second would be the same object.
            home.pass(1);
            home.grant(constraints);
        }
        for _ in 0..calls {
            let _spent = home.invoke(home.call("notes.get", &read(note), None), "{}");
        }
        let call = home.call("notes.get", &read(note), None);
        let permitted = home.simulate(call.clone()).is_ok();
        home.pass(1);
        home.grant(another);
        prop_assert!(!permitted || home.simulate(call).is_ok());
    }
}

fn allowing(credentials: &[&str]) -> Constraints {
    let credential_allow = credentials.iter().map(|it| it.parse().expect("a credential")).collect();
    Constraints { credential_allow, ..everything() }
}

/// What comes of a call that names no account, where `main` and `spare` fill the slot.
fn account(grants: &[&[&str]]) -> Result<Vec<String>, Code> {
    let mut home = Home::new();
    home.store_credential("spare");
    for (n, allowed) in (0..).zip(grants) {
        home.pass(n);
        home.grant(allowing(allowed));
    }
    let call = home.call("notes.get", &read("a"), None);
    home.send(Request::Invoke(call));
    home.run();
    match home.dispatched.pop_front() {
        Some(call) => Ok(call.authorized.credentials().iter().map(ToString::to_string).collect()),
        None => Err(home.answers.pop_last().expect("an answer").1.expect_err("a refusal").code),
    }
}

#[test]
fn the_only_account_that_a_grant_allows_need_not_be_named() {
    assert_eq!(account(&[&["main"]]), Ok(vec!["main".into()]));
    assert_eq!(account(&[&["spare"]]), Ok(vec!["spare".into()]));
    assert_eq!(account(&[&["spare"], &["spare"]]), Ok(vec!["spare".into()]));
    assert_eq!(account(&[&["main", "spare"]]), Err(Code::Ambiguous));
    assert_eq!(
        account(&[&["main"], &["spare"]]),
        Err(Code::Ambiguous),
        "no order of grants chooses an account"
    );
    assert_eq!(account(&[&[]]), Err(Code::CredentialNotAllowed));
    assert_eq!(account(&[&["elsewhere"]]), Err(Code::CredentialNotAllowed));
}

#[test]
fn a_token_narrows_the_accounts_to_its_own() {
    let mut home = Home::new();
    home.store_credential("spare");
    home.grant(allowing(&["main"]));
    let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
    home.pass(1);
    home.grant(allowing(&["spare"]));
    let call = home.call("notes.get", &read("a"), None);
    let outside = home.outside(call.clone(), token.expose(), &home.keys.agent, |_| {});
    home.invoke(outside, "{}").expect("the token is for one account");
    assert_eq!(home.invoke(call, "{}").map_err(|it| it.code).err(), Some(Code::Ambiguous));
}
