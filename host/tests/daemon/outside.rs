//! Calls outside a session: a token and its holder's proof, over the real socket.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fcp_api::client::Client;
use fcp_api::hex::Hex;
use fcp_api::routes::{
    CloseSession, FileRequest, InvokeOperation, IssueChallenge, MintTokens, PreflightOperation, PrepareCall,
    Revoke, SimulateCall,
};
use fcp_api::secret::Secret;
use fcp_api::types::{
    self, ApprovalStatus, CallRequest, ErrorBody, HandleInput, HolderProof, Invoke, KeyProof, MintedToken,
    Nothing,
};
use fcp_proto_core::crypto::proof::CallProof;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId};
use fcp_proto_core::object::{CallDigestInput, GateCheck, RevocationScope};
use serde_json::json;

use crate::world::{Bot, World, call};

async fn mint(agent: &mut Client, operations: &[&str]) -> Result<Vec<MintedToken>, ErrorBody> {
    let operations = operations.iter().map(|name| OperationId::new(*name).unwrap()).collect();
    Ok(agent.send::<MintTokens>(&[], &types::MintTokens { operations }).await?.body.tokens)
}

/// The proof of `bot` that it makes `call` with `token`, changed before it is signed.
async fn prove(
    client: &mut Client,
    bot: &Bot,
    token: &Secret,
    call: &CallRequest,
    change: impl FnOnce(&mut CallProof),
) -> HolderProof {
    let request = types::PrepareCall { token: token.clone(), call: call.clone() };
    let prepared = client.send::<PrepareCall>(&[], &request).await.unwrap().body;
    let mut statement = CallProof {
        call_digest: prepared.call_digest,
        token_id: prepared.token_id,
        node_id: prepared.node,
        audience: prepared.zone,
        challenge: prepared.challenge.0,
    };
    change(&mut statement);
    let signature = statement.sign(&bot.key).unwrap();
    HolderProof { token: token.clone(), proof: KeyProof { challenge: prepared.challenge, signature } }
}

async fn simulate(client: &mut Client, call: &Invoke, proof: HolderProof) -> Result<(), Code> {
    let request = Invoke { holder_proof: Some(proof), ..call.clone() };
    match client.send::<SimulateCall>(&[], &request).await {
        Ok(answer) if answer.body.allowed => Ok(()),
        Ok(answer) => Err(answer.body.code.unwrap()),
        Err(failure) => Err(failure.code),
    }
}

fn mine() -> Invoke {
    call("notes.get", json!({ "note": "mine" }), None)
}

/// A world whose agent has a token and whose stranger has no session.
async fn outside() -> (World, Client, Secret) {
    let mut world = World::new().await;
    let token = mint(&mut world.agent, &["notes.get", "notes.put"]).await.unwrap().remove(0).token;
    let stranger = world.daemon.client();
    (world, stranger, token)
}

#[tokio::test]
async fn a_token_and_a_proof_call_where_no_session_is() {
    let (world, mut client, token) = outside().await;
    drop(world.agent);
    let call = mine();
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    assert_eq!(simulate(&mut client, &call, proof).await, Ok(()));

    let other = mine_not();
    let prepare = types::PrepareCall { token: token.clone(), call: other.call.clone() };
    let refused = client.send::<PrepareCall>(&[], &prepare).await.unwrap_err();
    assert_eq!(refused.code, Code::ResourceNotAllowed);
    assert!(!format!("{refused:?}").contains("yours"), "nobody has proved a key yet");
    let digest = covered(&world.bot, &other.call, "notes:note/yours").digest().unwrap();
    let proof = prove(&mut client, &world.bot, &token, &call.call, |it| it.call_digest = digest).await;
    let request = Invoke { holder_proof: Some(proof), ..other };
    let refused = client.send::<InvokeOperation>(&[], &request).await.unwrap_err();
    let denial = refused.denial().unwrap();
    assert_eq!((refused.code, denial.check), (Code::ResourceNotAllowed, GateCheck::Constraints));
    assert!(denial.decision_id.is_some(), "the refusal is on record");
    let command = denial.command.unwrap();
    assert_eq!(command, "fwc request notes.get --grant 1h --allow notes:note/yours");

    let empty = CallRequest { input: json!({}), ..mine().call };
    let proof = prove(&mut client, &world.bot, &token, &empty, |_| {}).await;
    let CallRequest { connector, operation, zone, .. } = empty;
    let request = types::Preflight { connector, operation, zone, holder_proof: Some(proof) };
    assert!(client.send::<PreflightOperation>(&[], &request).await.unwrap().body.allowed);
}

/// What the digest of a call of the agent covers, as the agent can make it that knows what the call touches.
fn covered(bot: &Bot, call: &CallRequest, resource: &str) -> CallDigestInput {
    CallDigestInput {
        format: 1,
        zone: bot.zone.clone(),
        principal: bot.name.clone(),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        input: serde_json::to_string(&call.input).unwrap(),
        resources: [resource.to_owned()].into(),
        credentials: std::collections::BTreeSet::new(),
        idempotency_key: call.idempotency_key.clone(),
    }
}

fn mine_not() -> Invoke {
    call("notes.get", json!({ "note": "yours" }), None)
}

#[tokio::test]
async fn a_write_outside_a_session_waits_for_a_person_like_any_other() {
    let (world, mut client, token) = outside().await;
    let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
    let proof = prove(&mut client, &world.bot, &token, &write.call, |_| {}).await;
    let request = Invoke { holder_proof: Some(proof), ..write.clone() };
    let refused = client.send::<InvokeOperation>(&[], &request).await.unwrap_err();
    assert_eq!(refused.code, Code::ApprovalRequired);
    let proof = prove(&mut client, &world.bot, &token, &write.call, |_| {}).await;
    let request = types::FileRequest { call: write.call, note: None, holder_proof: Some(proof) };
    let filed = client.send::<FileRequest>(&[], &request).await.unwrap().body;
    assert_eq!((filed.status, filed.agent), (ApprovalStatus::Pending, world.bot.name));
}

//= docs/spec/sessions.md#calls-outside-a-session
#[tokio::test]
async fn a_proof_serves_one_call_once() {
    let (world, mut client, token) = outside().await;
    let (call, other) = (mine(), mine_not());
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    assert_eq!(simulate(&mut client, &call, proof.clone()).await, Ok(()));
    assert_eq!(simulate(&mut client, &call, proof).await, Err(Code::ChallengeInvalid), "it was used");
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    assert_eq!(simulate(&mut client, &other, proof.clone()).await, Err(Code::HolderProofInvalid));
    assert_eq!(simulate(&mut client, &call, proof).await, Err(Code::ChallengeInvalid), "it was tried");
    let mut proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    let fresh = client.send::<IssueChallenge>(&[], &Nothing {}).await.unwrap().body.challenge;
    proof.proof.challenge = fresh;
    assert_eq!(simulate(&mut client, &call, proof).await, Err(Code::HolderProofInvalid));
    let mut proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    proof.proof.challenge = Hex([7; 32]);
    assert_eq!(simulate(&mut client, &call, proof).await, Err(Code::ChallengeInvalid), "nobody gave it");
}

#[tokio::test]
async fn a_proof_is_of_the_tokens_holder_on_this_node_in_this_zone() {
    let (mut world, mut client, token) = outside().await;
    let call = mine();
    let changes: [fn(&mut CallProof); 3] = [
        |it| it.node_id = "another".parse().unwrap(),
        |it| it.audience = "z:private".parse().unwrap(),
        |it| it.token_id = fcp_proto_core::ids::TokenId::from_bytes([1; 16]),
    ];
    for change in changes {
        let proof = prove(&mut client, &world.bot, &token, &call.call, change).await;
        assert_eq!(simulate(&mut client, &call, proof).await, Err(Code::HolderProofInvalid));
    }
    let eve = Bot::new("eve");
    eve.enrol(&mut world.operator).await.unwrap();
    let proof = prove(&mut client, &eve, &token, &call.call, |_| {}).await;
    let request = Invoke { holder_proof: Some(proof), ..call.clone() };
    let refused = client.send::<InvokeOperation>(&[], &request).await.unwrap_err();
    assert_eq!(refused.code, Code::HolderProofInvalid);
    assert_eq!(refused.denial().map(|denial| denial.check), Some(GateCheck::Holder));

    let elsewhere = CallRequest { zone: Some("z:private".parse().unwrap()), ..call.call.clone() };
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    let elsewhere = Invoke { call: elsewhere, ..call };
    assert_eq!(simulate(&mut client, &elsewhere, proof).await, Err(Code::TokenZoneMismatch));
}

#[tokio::test]
async fn what_is_no_good_token_is_refused_with_its_code() {
    let (world, mut client, token) = outside().await;
    let call = mine();
    let bytes = BASE64_STANDARD.decode(token.expose()).unwrap();
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        Secret::new(BASE64_STANDARD.encode(bytes))
    };
    // The key id is the eight bytes after the algorithm, at the beginning; the signature is the end.
    let key_id = bytes.windows(2).position(|pair| pair == [0x04, 0x48]).unwrap() + 2;
    for (bad, code) in [
        (Secret::new("no token"), Code::TokenMalformed),
        (Secret::new(""), Code::TokenMalformed),
        (Secret::new(BASE64_STANDARD.encode(&bytes[..bytes.len() - 1])), Code::TokenMalformed),
        (changed(bytes.len() - 1), Code::TokenSignatureInvalid),
        (changed(key_id), Code::TokenIssuerUnknown),
    ] {
        let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
        let bad = HolderProof { token: bad, ..proof };
        assert_eq!(simulate(&mut client, &call, bad.clone()).await, Err(code));
        let prepare = types::PrepareCall { token: bad.token, call: call.call.clone() };
        let refused = client.send::<PrepareCall>(&[], &prepare).await.unwrap_err();
        assert_eq!(refused.code, code, "nothing is told to who has no token");
        assert!(refused.why.is_some_and(|why| !why.is_empty()), "{code}");
        assert!(refused.next.contains("fwc token mint"), "{code}: {}", refused.next);
    }
}

#[tokio::test]
async fn revocations_reach_tokens_that_left_the_node() {
    let (mut world, mut client, token) = outside().await;
    let spare = mint(&mut world.agent, &["notes.get"]).await.unwrap().remove(0);
    let call = mine();
    for (target, token, code) in [
        (spare.token_id.to_string(), &spare.token, Code::TokenRevoked),
        (world.grant.grant_id.to_string(), &token, Code::GrantRevoked),
    ] {
        let proof = prove(&mut client, &world.bot, token, &call.call, |_| {}).await;
        let revoke = types::Revoke {
            scope: RevocationScope::Capability,
            target,
            reason: "a test".into(),
            unknown: false,
            confirmed: false,
        };
        world.operator.send::<Revoke>(&[], &revoke).await.unwrap();
        assert_eq!(simulate(&mut client, &call, proof).await, Err(code));
    }
    let refused = mint(&mut world.agent, &["notes.get"]).await.unwrap_err();
    assert_eq!(refused.code, Code::OperationNotGranted, "no token is minted from a revoked grant");
    let refused = world.agent.send::<InvokeOperation>(&[], &call).await.unwrap_err();
    let denial = refused.denial().unwrap();
    assert_eq!((refused.code, denial.check), (Code::GrantRevoked, GateCheck::Grants));
    assert!(denial.rule.unwrap().contains(&world.grant.grant_id.to_string()));
    assert_eq!(denial.command.unwrap(), "fwc request notes.get --grant 1h --allow notes:note/mine");
}

//= docs/spec/sessions.md#calls-outside-a-session
#[tokio::test]
async fn who_shows_neither_session_nor_token_is_nobody() {
    let (mut world, mut client, token) = outside().await;
    let call = mine();
    let nobody = client.send::<InvokeOperation>(&[], &call).await.unwrap_err();
    assert_eq!(nobody.code, Code::Unauthenticated);
    let minting = mint(&mut client, &["notes.get"]).await.unwrap_err();
    assert_eq!(minting.code, Code::Unauthenticated, "tokens are minted in a session");
    let none: &[&str] = &[];
    for operations in [none, &["notes.get"; 65]] {
        assert_eq!(mint(&mut world.agent, operations).await.unwrap_err().code, Code::OutOfRange);
    }
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    let both = Invoke { holder_proof: Some(proof), ..call.clone() };
    let both = world.agent.send::<InvokeOperation>(&[], &both).await.unwrap_err();
    assert_eq!(both.code, Code::InputInvalid, "one or the other");
    let handle = HandleInput { handle: ObjectId::from_bytes([1; 32]), pointer: None };
    let filled = CallRequest { handles: [("/note".into(), handle)].into(), ..call.call };
    let prepare = types::PrepareCall { token, call: filled };
    let refused = client.send::<PrepareCall>(&[], &prepare).await.unwrap_err();
    assert_eq!(refused.code, Code::InputInvalid, "a digest must not tell of a kept result");
}

#[tokio::test]
async fn a_token_outlives_the_session_that_minted_it() {
    let mut world = World::new().await;
    let mut other = world.daemon.client();
    let opened = world.bot.open(&mut other).await.unwrap();
    let token = mint(&mut other, &["notes.get"]).await.unwrap().remove(0).token;
    other.send::<CloseSession>(&[&opened.session_id.to_string()], &Nothing {}).await.unwrap();
    let call = mine();
    let mut client = world.daemon.client();
    let proof = prove(&mut client, &world.bot, &token, &call.call, |_| {}).await;
    assert_eq!(simulate(&mut client, &call, proof).await, Ok(()));
    let inspect = types::InspectToken { token };
    let report = world.agent.send::<fcp_api::routes::InspectToken>(&[], &inspect).await.unwrap().body;
    assert_eq!(report.status, types::TokenVerdict::Valid);
    assert_eq!(report.operations, [OperationId::new("notes.get").unwrap()]);
}
