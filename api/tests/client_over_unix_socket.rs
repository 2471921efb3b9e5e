//! The client against a double on a unix socket: slow, closing early, sending garbage or too much.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fcp_api::client::{Client, Target};
use fcp_api::limits::MAX_ANSWER_BYTES;
use fcp_api::routes::{
    GetHealth, GetOperation, InvokeOperation, ListApprovals, LockOperator, OpenContext, PreflightOperation,
};
use fcp_api::secret::Secret;
use fcp_api::types::{
    ApprovalQuery, ApprovalStatus, CallRequest, HealthStatus, Invoke, Nothing,
    OpenContext as OpenContextRequest, Preflight, Source,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const HEALTH: &str = r#"{"status":"ready","version":"1","api":["v1"],"pid":7,"problems":[],"meta":{"source":"node-local","at":5}}"#;

/// What the double does with one request.
#[derive(Clone)]
enum Act {
    /// Answers with a status and a JSON body, and keeps the connection.
    Answer(u16, String),
    /// Writes these bytes, and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection without a byte.
    Close,
    /// Answers, then closes the connection.
    AnswerAndClose(String),
    /// Never answers.
    Hang,
}

/// A double that does one act a request, the last one over and over.
struct Double {
    _folder: tempfile::TempDir,
    path: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Double {
    fn start(acts: Vec<Act>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fcp.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (seen, opened) = (requests.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                serve(stream, &acts, &seen).await;
            }
        });
        Self { _folder: folder, path, requests, connections }
    }

    fn client(&self) -> Client {
        Client::new(Target::Unix(self.path.clone()))
    }

    fn request(&self, index: usize) -> String {
        self.requests.lock().unwrap()[index].clone()
    }
}

async fn serve(mut stream: UnixStream, acts: &[Act], seen: &Mutex<Vec<String>>) {
    loop {
        let Some(request) = read_request(&mut stream).await else { return };
        let act = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            acts[(seen.len() - 1).min(acts.len() - 1)].clone()
        };
        let (bytes, keep) = match act {
            Act::Answer(status, body) => (http(status, &body), true),
            Act::AnswerAndClose(body) => (http(200, &body), false),
            Act::Raw(bytes) => (bytes, false),
            Act::Close => return,
            Act::Hang => std::future::pending().await,
        };
        // A client that gives up early closes its end: nothing to do about it here.
        if stream.write_all(&bytes).await.is_err() || !keep {
            return;
        }
    }
}

async fn read_request(stream: &mut UnixStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn http(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn invoke() -> Invoke {
    Invoke {
        call: CallRequest {
            connector: ConnectorId::new("github").unwrap(),
            operation: OperationId::new("github.issues.create").unwrap(),
            input: serde_json::json!({"title": "x"}),
            handles: Default::default(),
            zone: None,
            credential: None,
            idempotency_key: None,
        },
        options: Default::default(),
        holder_proof: None,
    }
}

#[tokio::test]
async fn an_answer_is_read_and_the_connection_kept() {
    let double = Double::start(vec![Act::Answer(200, HEALTH.into())]);
    let mut client = double.client();
    for _ in 0..3 {
        let reply = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap();
        assert_eq!((reply.body.status, reply.meta.source), (HealthStatus::Ready, Source::NodeLocal));
    }
    assert_eq!(double.connections.load(Ordering::SeqCst), 1);
    assert_eq!(client.daemon_pid().await.unwrap(), i32::try_from(std::process::id()).unwrap());
    assert!(double.request(0).starts_with("GET /v1/health HTTP/1.1\r\n"));
}

#[tokio::test]
async fn sessions_bearers_paths_queries_and_bodies_are_sent_as_the_contract_says() {
    let double = Double::start(vec![Act::Answer(404, "{}".into())]);
    let mut client = double.client();
    client.set_session(Some(Secret::new("5e".repeat(32))));
    client.set_operator(Some(Secret::new("0b".repeat(32))));
    client.get::<GetOperation>(&["a/b", "c d"], &Nothing {}).await.unwrap_err();
    let query = ApprovalQuery {
        agent: None,
        status: Some(ApprovalStatus::Pending),
        after: Some("x&y".into()),
        limit: Some(2),
    };
    client.get::<ListApprovals>(&[], &query).await.unwrap_err();
    client.send::<InvokeOperation>(&[], &invoke()).await.unwrap_err();
    let first = double.request(0);
    assert!(first.starts_with("GET /v1/connectors/a%2Fb/operations/c%20d HTTP/1.1"), "{first}");
    assert!(first.contains(&format!("x-fcp-session: {}\r\n", "5e".repeat(32))), "{first}");
    assert!(first.contains(&format!("authorization: Bearer {}\r\n", "0b".repeat(32))), "{first}");
    assert!(double.request(1).starts_with("GET /v1/approvals?after=x%26y&limit=2&status=pending HTTP"));
    let third = double.request(2);
    assert!(third.starts_with("POST /v1/invoke HTTP") && third.contains("content-type: application/json"));
    let (_, body) = third.split_once("\r\n\r\n").unwrap();
    assert_eq!(fcp_api::body::read::<Invoke>(body.as_bytes(), 4096).unwrap(), invoke());
}

#[tokio::test]
async fn the_daemons_failures_arrive_whole() {
    let body = r#"{"code":"FCP-3002","name":"rate_limited","message":"A rate pool is used up.","retryable":true,
        "retry_after_ms":1500,"next":"wait","why":"pool calls","detail":{"check":"rates","needs":[]}}"#;
    let double = Double::start(vec![Act::Answer(429, body.into())]);
    let error = double.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!((error.code, error.retry_after_ms), (Code::RateLimited, Some(1500)));
    assert_eq!(error.why.as_deref(), Some("pool calls"));
    assert_eq!(error.denial().unwrap().check.as_str(), "rates");
}

#[tokio::test]
async fn a_code_of_a_newer_daemon_is_named() {
    let body =
        r#"{"code":"FCP-9876","name":"new","message":"Something new.","retryable":true,"next":"wait"}"#;
    let double = Double::start(vec![Act::Answer(400, body.into())]);
    let error = double.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(error.code, Code::VersionUnsupported);
    assert!(error.why.unwrap().contains("FCP-9876"));
}

#[tokio::test]
async fn nothing_listening_is_unreachable_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(Target::Unix(folder.path().join("none.sock")));
    let error = client.send::<InvokeOperation>(&[], &invoke()).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::DaemonUnreachable, true));
    assert!(error.why.unwrap().contains("none.sock"));
}

//= docs/spec/api.md#lost-answers
#[tokio::test]
async fn a_daemon_that_closes_without_a_byte_leaves_a_call_unknown() {
    let double = Double::start(vec![Act::Close]);
    let mut client = double.client();
    let error = client.send::<InvokeOperation>(&[], &invoke()).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::OutcomeUnknown, false));
    let request = OpenContextRequest { agent: PrincipalId::new("mail").unwrap(), reason: None };
    let error = client.send::<OpenContext>(&[], &request).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::DaemonUnreachable, false));
    let error = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::DaemonUnreachable, true));
    assert_eq!(double.requests.lock().unwrap().len(), 3, "nothing is sent twice");
}

//= docs/spec/api.md#lost-answers
#[tokio::test]
async fn an_answer_cut_short_is_no_answer() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"status\":".to_vec();
    let double = Double::start(vec![Act::Raw(cut)]);
    let error = double.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(error.code, Code::DaemonUnreachable);
    let error = double.client().send::<InvokeOperation>(&[], &invoke()).await.unwrap_err();
    assert_eq!(error.code, Code::OutcomeUnknown);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_opened_again() {
    let double = Double::start(vec![Act::AnswerAndClose(HEALTH.into())]);
    let mut client = double.client();
    let mut answered = 0;
    for _ in 0..20 {
        // A close that crosses the request is unanswered; one seen before it is not.
        match client.get::<GetHealth>(&[], &Nothing {}).await {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error.code, Code::DaemonUnreachable),
        }
        tokio::task::yield_now().await;
    }
    assert!(answered >= 10, "{answered}");
}

#[tokio::test]
async fn a_slow_daemon_is_given_up() {
    let double = Double::start(vec![Act::Hang]);
    let mut client = double.client();
    client.set_timeout(Duration::from_millis(30));
    let error = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(error.code, Code::DaemonUnreachable);
    assert!(error.why.unwrap().contains("no answer within"));
}

#[tokio::test]
async fn garbage_is_not_taken_for_an_answer() {
    for bytes in [
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0; 4096],
        http(200, "<html>"),
        http(200, "{}"),
        http(200, r#"{"status":"ready","status":"ready"}"#),
        http(200, &HEALTH.replace("\"at\":5", "\"at\":\"5\"")),
        http(200, &HEALTH.replace("\"at\":5", "\"at\":5e400")),
        http(502, "bad gateway"),
        http(403, r#"{"code":3001}"#),
        http(302, ""),
    ] {
        let double = Double::start(vec![Act::Raw(bytes.clone())]);
        let error = double.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
        assert_eq!(error.code, Code::DaemonUnreachable, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_refused_unread() {
    let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_ANSWER_BYTES + 1);
    let mut bytes = declared.into_bytes();
    bytes.resize(bytes.len() + MAX_ANSWER_BYTES + 1, b' ');
    let double = Double::start(vec![Act::Raw(bytes)]);
    let error = double.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(error.code, Code::InputTooLarge);
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_not_sent() {
    let double = Double::start(vec![Act::Hang]);
    let mut request = invoke();
    request.call.input = serde_json::Value::String("x".repeat(9 << 20));
    let error = double.client().send::<InvokeOperation>(&[], &request).await.unwrap_err();
    assert_eq!(error.code, Code::InputTooLarge);
    assert!(double.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_is_no_header_is_refused_unsent() {
    let double = Double::start(vec![Act::Hang]);
    let mut client = double.client();
    client.set_session(Some(Secret::new("line\nbreak")));
    let error = client.send::<LockOperator>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(error.code, Code::Unauthenticated);
    let preflight = Preflight {
        connector: ConnectorId::new("a").unwrap(),
        operation: OperationId::new("a.b").unwrap(),
        zone: None,
        holder_proof: None,
    };
    assert!(client.send::<PreflightOperation>(&[], &preflight).await.is_err());
    assert!(double.requests.lock().unwrap().is_empty());
}
