//! What agents may not: what is an operator's, and what is another agent's.

use fcp_api::client::Client;
use fcp_api::routes::{
    Access, CancelCall, Endpoint, Explain, FileRequest, GetApproval, GetCall, GetGrantRequest, GetReceipt,
    GetResult, GetStatus, InvokeOperation, ListApprovals, ListCalls, ListReceipts, ROUTES,
};
use fcp_api::types::{self, ErrorBody, HistoryQuery, Nothing};
use fcp_proto_core::error::Code;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::world::{Bot, World, call};

//= docs/spec/api.md#who-may-call
#[tokio::test]
async fn an_agents_session_opens_nothing_that_is_an_operators() {
    let mut world = World::new().await;
    let mut other = world.daemon.client();
    let session = world.bot.open(&mut other).await.unwrap().session;
    let operators: Vec<_> = ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Operator | Access::OperatorWith(_)))
        .collect();
    assert!(operators.iter().any(|route| route.name == "Shutdown") && operators.len() > 20);
    for route in operators {
        let path = route.fill(&vec!["x"; route.parameters().count()]).unwrap();
        let method = route.method.as_str();
        for bearer in [String::new(), format!("authorization: Bearer {}\r\n", "0b".repeat(32))] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: fcp\r\nx-fcp-session: {}\r\n{bearer}connection: close\r\n\
                 content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}",
                session.expose()
            );
            let mut stream = UnixStream::connect(world.daemon.socket()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 401"), "{method} {path}: {answer}");
        }
    }
    world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap();
}

/// What an agent is told of an id, without the id.
async fn told<E>(client: &mut Client, id: &str) -> (Code, Option<String>, String)
where
    E: Endpoint<Query = Nothing, Request = Nothing>,
{
    let error: ErrorBody = match client.send::<E>(&[id], &Nothing {}).await {
        Ok(_) => panic!("{} shows {id}", E::ROUTE.name),
        Err(error) => error,
    };
    let without = |text: &str| text.replace(id, "ID");
    (error.code, error.why.as_deref().map(without), without(&error.next))
}

/// The answers over another's thing and over nothing are the same.
async fn alike<E: Endpoint<Query = Nothing, Request = Nothing>>(client: &mut Client, theirs: &str) {
    let nobodys = "5c".repeat(theirs.len() / 2);
    let (theirs, nobodys) = (told::<E>(client, theirs).await, told::<E>(client, &nobodys).await);
    assert_eq!((theirs.0, &theirs), (Code::NotFound, &nobodys), "{}", E::ROUTE.name);
}

//= docs/spec/api.md#who-may-call
#[tokio::test]
async fn what_is_anothers_is_told_as_what_does_not_exist() {
    let mut world = World::new().await;
    let other = call("notes.get", json!({ "note": "yours" }), None);
    world.agent.send::<InvokeOperation>(&[], &other).await.unwrap_err();
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    // The program of this connector is none: the call ends with a receipt.
    world.agent.send::<InvokeOperation>(&[], &mine).await.unwrap_err();
    let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
    let request = types::FileRequest { call: write.call, note: None, holder_proof: None };
    let filed = world.agent.send::<FileRequest>(&[], &request).await.unwrap().body.request_id.to_string();
    let calls = world.agent.get::<ListCalls>(&[], &HistoryQuery::default()).await.unwrap().body.calls;

    let (eve, mut stranger) = (Bot::new("eve"), world.daemon.client());
    eve.enrol(&mut world.operator).await.unwrap();
    eve.open(&mut stranger).await.unwrap();
    let history = HistoryQuery { agent: Some(world.bot.name.clone()), ..HistoryQuery::default() };
    assert_eq!(stranger.get::<ListCalls>(&[], &history).await.unwrap().body.calls, []);
    // An operator is told that there is no such agent; from an agent's session nobody looks the same as anybody else.
    let nobody = HistoryQuery { agent: Some("nobody".parse().unwrap()), ..HistoryQuery::default() };
    assert_eq!(stranger.get::<ListCalls>(&[], &nobody).await.unwrap().body.calls, []);
    let nowhere = HistoryQuery { zone: Some("z:nope".parse().unwrap()), ..HistoryQuery::default() };
    for unknown in [nobody, nowhere] {
        let refused = world.operator.get::<ListCalls>(&[], &unknown).await.unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        assert!(refused.next.contains("fwc agent list") || refused.next.contains("fwc zones list"));
    }
    let receipts = types::ReceiptQuery { agent: Some("nobody".parse().unwrap()), ..Default::default() };
    assert!(stranger.get::<ListReceipts>(&[], &receipts).await.unwrap().body.receipts.is_empty());
    assert_eq!(world.operator.get::<ListReceipts>(&[], &receipts).await.unwrap_err().code, Code::NotFound);
    let receipts = types::ReceiptQuery { agent: Some(world.bot.name.clone()), ..Default::default() };
    assert!(stranger.get::<ListReceipts>(&[], &receipts).await.unwrap().body.receipts.is_empty());
    let approvals = stranger.get::<ListApprovals>(&[], &Default::default()).await.unwrap().body;
    assert!(approvals.approvals.is_empty());

    assert!(calls.iter().any(|it| it.receipt_id.is_some()) && calls.len() == 2, "{calls:?}");
    for made in calls {
        let id = made.call_id.to_string();
        alike::<GetCall>(&mut stranger, &id).await;
        alike::<CancelCall>(&mut stranger, &id).await;
        alike::<Explain>(&mut stranger, &id).await;
        for record in [made.decision_id, made.receipt_id].into_iter().flatten() {
            alike::<Explain>(&mut stranger, &record.to_string()).await;
            alike::<GetReceipt>(&mut stranger, &record.to_string()).await;
            alike::<GetResult>(&mut stranger, &record.to_string()).await;
        }
    }
    alike::<Explain>(&mut stranger, &filed).await;
    alike::<GetApproval>(&mut stranger, &filed).await;
    alike::<GetGrantRequest>(&mut stranger, &filed).await;
    alike::<Explain>(&mut stranger, &world.grant.grant_id.to_string()).await;
}
