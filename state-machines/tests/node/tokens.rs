//! Tokens that leave the node, and calls that are made with them outside a session.

use crate::home::{self, Home, agent, everything, operation, succeeded, work, zone};
use fcp_proto_core::crypto::proof::CallProof;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{Enrolment, GateCheck, RevocationScope};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{
    Answer, CallRequest, CalledBy, Failure, HeldToken, MAX_MINTED_OPERATIONS, PartsToProve, Request,
};

const READ: &str = r#"{"note":"a"}"#;

/// A home, and a call of its agent made outside a session.
fn outside(change: impl FnOnce(&mut CallProof)) -> (Home, CallRequest) {
    let (mut home, _) = Home::with_grant();
    let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
    let call = home.outside(home.call("notes.get", READ, None), token.expose(), &home.keys.agent, change);
    (home, call)
}

fn refusal(home: &mut Home, call: CallRequest) -> (Option<GateCheck>, Code) {
    let failure: Failure = home.invoke(call, "{}").expect_err("a refusal");
    (failure.check, failure.code)
}

#[test]
fn a_token_and_a_proof_make_one_call_without_a_session() {
    let (mut home, call) = outside(|_| {});
    home.ask(Request::CloseSession(home.session)).expect("it was open");
    home.invoke(call, "{}").expect("the proof is of the token's holder, for this call");
}

#[test]
fn a_proof_is_for_one_call_with_one_token_on_one_node_in_one_zone() {
    let changes: [fn(&mut CallProof); 5] = [
        |it| it.call_digest = fcp_proto_core::ids::Digest::from_bytes([1; 32]),
        |it| it.token_id = fcp_proto_core::ids::TokenId::from_bytes([1; 16]),
        |it| it.node_id = "node-2".parse().expect("a node"),
        |it| it.audience = zone("z:private"),
        |it| it.challenge = [1; 32],
    ];
    for change in changes {
        let (mut home, call) = outside(change);
        assert_eq!(refusal(&mut home, call), (Some(GateCheck::Holder), Code::HolderProofInvalid));
    }
    let (mut home, mut call) = outside(|_| {});
    if let CalledBy::Token(held) = &mut call.by {
        held.proof = None;
    }
    assert_eq!(refusal(&mut home, call), (Some(GateCheck::Holder), Code::HolderProofMissing));
    let (mut home, call) = outside(|_| {});
    let other = CallRequest { by: call.by, ..home.call("notes.get", r#"{"note":"b"}"#, None) };
    assert_eq!(refusal(&mut home, other), (Some(GateCheck::Holder), Code::HolderProofInvalid));
}

//= docs/spec/gate.md#the-gate
#[test]
fn a_stolen_token_serves_nobody_who_has_another_key() {
    let (mut home, _) = Home::with_grant();
    let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
    let own = SigningKey::generate(&mut Entropy::from_seed(&[9; 32].into()));
    let eve = Enrolment {
        principal: "eve".parse().expect("a principal"),
        public_key: own.verifying_key(),
        key_source: "file".into(),
    };
    home.operate(&work(), eve);
    let call = home.outside(home.call("notes.get", READ, None), token.expose(), &own, |_| {});
    assert_eq!(refusal(&mut home, call), (Some(GateCheck::Holder), Code::HolderProofInvalid));
    let failure = home.outside(home.call("notes.get", READ, None), token.expose(), &own, |_| {});
    let receipt = home.invoke(failure, "{}").expect_err("a refusal").receipt;
    assert!(receipt.is_some(), "whoever shows a stolen token is on record");
}

//= docs/spec/tokens.md#claims
#[test]
fn a_token_of_an_earlier_key_of_the_principal_is_of_no_use() {
    let (mut home, call) = outside(|_| {});
    let other = SigningKey::generate(&mut Entropy::from_seed(&[9; 32].into()));
    let again =
        Enrolment { principal: agent(), public_key: other.verifying_key(), key_source: "file".into() };
    home.operate(&work(), again);
    assert_eq!(refusal(&mut home, call), (Some(GateCheck::Holder), Code::HolderProofInvalid));
}

//= docs/spec/tokens.md#claims
#[test]
fn each_fault_of_a_token_has_its_code() {
    type Change = fn(&mut Claims);
    let cases: [(Change, GateCheck, Code); 7] = [
        (
            |it| it.holder_node = Some("node-2".parse().expect("a node")),
            GateCheck::TokenSignature,
            Code::TokenAudienceMismatch,
        ),
        (
            |it| it.connector_binary = Some(fcp_proto_core::ids::ObjectId::from_bytes([1; 32])),
            GateCheck::TokenSignature,
            Code::TokenAudienceMismatch,
        ),
        (|it| it.instance_id = Some("i".into()), GateCheck::TokenSignature, Code::TokenAudienceMismatch),
        (|it| it.zone_id = zone("z:private"), GateCheck::TokenBinding, Code::TokenZoneMismatch),
        (
            |it| it.issuer_node = "node-2".parse().expect("a node"),
            GateCheck::TokenBinding,
            Code::TokenIssuerUnknown,
        ),
        (
            |it| {
                it.not_before = it.not_before.saturating_add(400);
                it.issued_at = it.not_before;
            },
            GateCheck::TokenBinding,
            Code::TokenNotYetValid,
        ),
        (
            |it| it.constraints = Constraints { max_calls: Some(7), ..everything() },
            GateCheck::Holder,
            Code::HolderProofInvalid,
        ),
    ];
    for (change, check, code) in cases {
        let (mut home, _) = Home::with_grant();
        let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
        let call = home.outside(home.call("notes.get", READ, None), token.expose(), &home.keys.agent, |it| {
            // A wrong zone shows before the proof is looked at; the last case needs a proof that is wrong.
            if code == Code::HolderProofInvalid {
                it.challenge = [1; 32];
            }
        });
        let CalledBy::Token(held) = call.by.clone() else { panic!("a token") };
        let token = home.forge(&held.token, change);
        let forged = CallRequest { by: CalledBy::Token(HeldToken { token, ..held }), ..call };
        assert_eq!(refusal(&mut home, forged), (Some(check), code));
    }
}

//= docs/spec/gate.md#2-token-signature
#[test]
fn bytes_that_are_no_token_of_this_home_are_refused_unread() {
    let (mut home, call) = outside(|_| {});
    let CalledBy::Token(held) = call.by.clone() else { panic!("a token") };
    let mut changed = held.token.clone();
    *changed.last_mut().expect("a signature") ^= 1;
    let foreign = home::mint(home::verified(&held.token, 1), 7);
    for (token, code) in [
        (b"no token".to_vec(), Code::TokenMalformed),
        (Vec::new(), Code::TokenMalformed),
        (changed, Code::TokenSignatureInvalid),
        (foreign, Code::TokenIssuerUnknown),
    ] {
        let by = CalledBy::Token(HeldToken { token, ..held.clone() });
        let call = CallRequest { by, ..call.clone() };
        assert_eq!(refusal(&mut home, call), (Some(GateCheck::TokenSignature), code));
    }
}

#[test]
fn a_token_ends_with_its_time_and_with_whatever_it_rests_on() {
    let (mut home, call) = outside(|_| {});
    home.pass(900);
    assert_eq!(refusal(&mut home, call), (Some(GateCheck::TokenBinding), Code::TokenExpired));

    type Target = fn(&Home, &CallRequest) -> (RevocationScope, Vec<u8>);
    let cases: [(Target, GateCheck, Code); 4] = [
        (
            |home, call| (RevocationScope::Capability, home.token_id(call).as_bytes().to_vec()),
            GateCheck::Revocation,
            Code::TokenRevoked,
        ),
        (
            |home, _| (RevocationScope::IssuerKey, home.node.issuance_key().as_bytes().to_vec()),
            GateCheck::Revocation,
            Code::IssuerKeyRevoked,
        ),
        (
            |home, _| (RevocationScope::IssuerKey, home.keys.agent.key_id().as_bytes().to_vec()),
            GateCheck::Revocation,
            Code::IssuerKeyRevoked,
        ),
        (
            |home, _| {
                let (grant, _) = home.node.authority().grants().next().expect("a grant");
                (RevocationScope::Capability, grant.as_bytes().to_vec())
            },
            GateCheck::Grants,
            Code::GrantRevoked,
        ),
    ];
    for (target, check, code) in cases {
        let (mut home, call) = outside(|_| {});
        let (scope, target) = target(&home, &call);
        home.revoke(scope, &target);
        assert_eq!(refusal(&mut home, call), (Some(check), code));
    }
}

//= docs/spec/sessions.md#minting
#[test]
fn tokens_leave_for_the_named_operations_alone() {
    let (mut home, grant) = Home::with_grant();
    let tokens = home.tokens("notes.get").expect("a grant gives it");
    assert_eq!(tokens.len(), 1, "one a grant");
    assert_eq!((tokens[0].grant, &tokens[0].operations), (grant, &[operation("notes.get")].into()));
    let call =
        home.outside(home.call("notes.comments", READ, None), tokens[0].expose(), &home.keys.agent, |_| {});
    assert_eq!(refusal(&mut home, call), (Some(GateCheck::Grants), Code::OperationNotGranted));
    assert!(!format!("{tokens:?}").contains("bytes"), "a token is not shown");
}

#[test]
fn no_token_leaves_without_a_session_or_a_grant() {
    let mut home = Home::new();
    assert_eq!(home.tokens("notes.get").map_err(|it| it.code), Err(Code::OperationNotGranted));
    home.grant(everything());
    let ask = |binding, operations| Request::MintTokens { session: home.session, binding, operations };
    let elsewhere = ask([8; 32], [operation("notes.get")].into());
    let many = (0..=MAX_MINTED_OPERATIONS).map(|n| operation(&format!("notes.o{n}"))).collect();
    let many = ask(home::BINDING, many);
    assert_eq!(home.ask(elsewhere).map_err(|it| it.code), Err(Code::Unauthenticated));
    assert_eq!(home.ask(many).map_err(|it| it.code), Err(Code::OutOfRange));
}

#[test]
fn keys_and_context_are_the_principals_inside_and_outside_a_session() {
    let (mut home, _) = Home::with_grant();
    let token = home.tokens("notes.touch").expect("a grant gives it").remove(0);
    let inside = home.call("notes.touch", READ, Some("k"));
    let outside = home.outside(inside.clone(), token.expose(), &home.keys.agent, |_| {});
    let Ok(Answer::Called(made)) = home.invoke_with(outside, succeeded("{}")) else { panic!("a call") };
    let again = home.invoke_with(inside, succeeded("{}"));
    assert_eq!(again, Ok(Answer::Replayed { receipt: made.receipt }), "one key, one call");

    let reading = home.tokens("notes.comments").expect("a grant gives it").remove(0);
    let comments = home.call("notes.comments", READ, None);
    let comments = home.outside(comments, reading.expose(), &home.keys.agent, |_| {});
    home.invoke(comments, "{}").expect("a read outside");
    let touch = home.call("notes.touch", READ, None);
    let tainted = home.invoke(touch, "{}").map_err(|it| it.code);
    assert_eq!(tainted.err(), Some(Code::TaintViolation), "what was read outside counts inside");
}

/// What is told to whoever shows a token without a proof.
fn shown(home: &Home, call: CallRequest, token: &[u8]) -> Result<PartsToProve, (Code, String)> {
    let by = CalledBy::Token(HeldToken { token: token.to_vec(), proof: None });
    home.node.parts_to_prove(&CallRequest { by, ..call }, home.now).map_err(|it| (it.code, it.message))
}

//= docs/spec/sessions.md#tokens-that-are-shown
#[test]
fn a_token_that_is_shown_tells_no_more_than_it_covers() {
    let mut home = Home::new();
    home.store_credential("spare");
    let narrow =
        Constraints { resource_allow: vec!["notes:note/a".parse().expect("a pattern")], ..everything() };
    let grant = home.grant(narrow);
    let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
    let ask = |home: &Home, call| shown(home, call, token.expose());
    let call = home.call("notes.get", READ, None);
    let parts = ask(&home, call.clone()).expect("it covers the call");
    assert_eq!(parts.call_digest, home::covered(&call).digest().expect("a digest"));
    assert_eq!(parts.credentials.iter().map(ToString::to_string).collect::<Vec<_>>(), ["main"]);

    let (code, why) = ask(&home, home.call("notes.get", r#"{"note":"b"}"#, None)).expect_err("not covered");
    assert_eq!((code, why.as_str()), (Code::ResourceNotAllowed, Code::ResourceNotAllowed.meaning()));
    let spare = Some("spare".parse().expect("a credential"));
    let (code, why) = ask(&home, CallRequest { credential: spare, ..call.clone() }).expect_err("not covered");
    assert_eq!((code, why.as_str()), (Code::CredentialNotAllowed, Code::CredentialNotAllowed.meaning()));
    let other = home.call("notes.comments", READ, None);
    assert_eq!(ask(&home, other).expect_err("not covered").0, Code::OperationNotGranted);
    let elsewhere = CallRequest { zone: Some(zone("z:private")), ..call.clone() };
    assert_eq!(ask(&home, elsewhere).expect_err("not covered").0, Code::TokenZoneMismatch);
    let empty = ask(&home, home.call("notes.get", "{}", None)).expect("a preflight has no input");
    assert!(empty.resources.is_empty());

    home.revoke(RevocationScope::Capability, grant.as_bytes());
    assert_eq!(ask(&home, call.clone()).expect_err("it is revoked").0, Code::GrantRevoked);
    home.pass(900);
    assert_eq!(ask(&home, call).expect_err("it is over").0, Code::TokenExpired);
}

#[test]
fn a_token_is_judged_by_the_gates_checks_when_it_is_looked_into() {
    type Fault = fn(&mut Home, &[u8]);
    let cases: [(Fault, Option<Code>); 9] = [
        (|_, _| {}, None),
        (|home, _| home.pass(900), Some(Code::TokenExpired)),
        (
            |home, token| {
                let id = home::verified(token, 1).token_id;
                home.revoke(RevocationScope::Capability, id.as_bytes());
            },
            Some(Code::TokenRevoked),
        ),
        (
            |home, _| {
                let key = home.node.issuance_key();
                home.revoke(RevocationScope::IssuerKey, key.as_bytes());
            },
            Some(Code::IssuerKeyRevoked),
        ),
        (
            |home, _| {
                let key = home.keys.agent.key_id();
                home.revoke(RevocationScope::IssuerKey, key.as_bytes());
            },
            Some(Code::IssuerKeyRevoked),
        ),
        (
            |home, _| {
                let key = home.keys.operator.key_id();
                let fields = fcp_proto_core::object::RevocationObject {
                    scope: RevocationScope::IssuerKey,
                    targets: vec![fcp_proto_core::encoding::cbor::ByteString(key.as_bytes().to_vec())],
                    reason: "test".into(),
                    effective_at: home.now.unix,
                    expires_at: None,
                };
                let object = home::sign(&zone("z:owner"), home.now, fields, &home.keys.owner);
                let request = Request::Admit { object: Box::new(object.into()), actor: "owner".into() };
                home.ask(request).expect("the owner may");
            },
            Some(Code::GrantIssuerInvalid),
        ),
        (|home, _| home.revoke(RevocationScope::ConnectorBinary, &[2; 32]), Some(Code::ConnectorRevoked)),
        (|home, _| home.revoke(RevocationScope::NodeAttestation, b"node-1"), Some(Code::NodeRevoked)),
        (
            |home, _| {
                let state = fcp_proto_core::object::ConnectorState {
                    connector: "notes".parse().expect("a connector"),
                    enabled: false,
                    removed: false,
                    reason: None,
                };
                home.operate(&work(), state);
            },
            Some(Code::ConnectorDisabled),
        ),
    ];
    for (fault, code) in cases {
        let (mut home, _) = Home::with_grant();
        let token = home.tokens("notes.get").expect("a grant gives it").remove(0);
        fault(&mut home, token.expose());
        let shown = home.node.inspect_token(token.expose(), home.now).expect("its signature holds");
        assert_eq!(shown.refused.map(|it| it.code), code);
    }
}
