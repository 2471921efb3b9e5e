//! A service over TLS on loopback that counts what is done to it, and can be told to wait in the middle.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What it takes as a credential.
pub const SECRET: &str = "s3cret-Token-of-the-ledger-7";

/// An entry whose name begins so is answered with the credential that made it, in every form that a service may choose.
pub const ECHO: &str = "echo";
/// As [`ECHO`], with a failure.
pub const FAIL: &str = "fail";

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was heard, and nothing was done yet.
    BeforeEffect,
    /// It was done, and not answered yet.
    AfterEffect,
}

/// Requests from the one with this number on wait at the stage.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    pub from: usize,
    pub stage: Stage,
}

pub struct Service {
    pub port: u16,
    pub ca_pem: String,
    state: Arc<State>,
}

struct State {
    /// The credential that it takes.
    takes: Mutex<String>,
    /// How often each entry was made.
    effects: Mutex<BTreeMap<String, u32>>,
    /// Requests that were heard, and of them those that wait or are being done.
    heard: watch::Sender<(usize, usize)>,
    /// Which wait.
    hold: watch::Sender<Option<Hold>>,
    /// Whether it answers what nobody understands when it is asked for an entry.
    vague: AtomicBool,
}

impl Service {
    pub async fn start() -> Self {
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = rcgen::CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()]).unwrap();
        let certificate = names.signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            takes: Mutex::new(SECRET.into()),
            effects: Mutex::default(),
            heard: watch::Sender::new((0, 0)),
            hold: watch::Sender::new(None),
            vague: AtomicBool::new(false),
        });
        tokio::spawn(accept(listener, Arc::new(config), Arc::clone(&state)));
        Self { port, ca_pem: ca.pem(), state }
    }

    pub fn base_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// From now on it takes this credential and no other.
    pub fn take(&self, secret: &str) {
        secret.clone_into(&mut self.state.takes.lock().unwrap());
    }

    /// From now on it says clearly what there is, or does not.
    pub fn be_vague(&self, vague: bool) {
        self.state.vague.store(vague, Ordering::Relaxed);
    }

    /// How often the entry was made.
    pub fn effects(&self, entry: &str) -> u32 {
        self.state.effects.lock().unwrap().get(entry).copied().unwrap_or_default()
    }

    /// How many requests to make an entry it has heard.
    pub fn heard(&self) -> usize {
        self.state.heard.borrow().0
    }

    /// Waits until so many have been heard.
    pub async fn until_heard(&self, count: usize) {
        self.state.heard.subscribe().wait_for(|(heard, _)| *heard >= count).await.unwrap();
    }

    /// Lets requests wait from now on.
    pub fn hold(&self, hold: Hold) {
        self.state.hold.send_replace(Some(hold));
    }

    /// Lets everything go on that waits, and waits until it is done: what it was told, it does, whoever has gone.
    pub async fn release(&self) {
        self.state.hold.send_replace(None);
        self.state.heard.subscribe().wait_for(|(_, open)| *open == 0).await.unwrap();
    }
}

async fn accept(listener: TcpListener, config: Arc<rustls::ServerConfig>, state: Arc<State>) {
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| respond(request, Arc::clone(&state)));
            // Clients that break off are what these tests are about.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let given = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.strip_prefix("Bearer ").unwrap_or_default();
    if *given != *state.takes.lock().unwrap() {
        return Ok(answer(401, &json!({ "message": format!("who is {given}") })));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(entry) = body["text"].as_str().filter(|_| head.method == "POST") else {
        return Ok(answer(200, &read(head.uri.query(), &state)));
    };
    // A task of its own: the service does what it was asked, also for someone who has gone meanwhile.
    tokio::spawn(make(entry.to_owned(), state)).await.unwrap();
    let echoed = if entry.starts_with(ECHO) || entry.starts_with(FAIL) { forms(given) } else { Vec::new() };
    let status = if entry.starts_with(FAIL) { 500 } else { 201 };
    Ok(answer(status, &json!({ "entry": entry, "echo": echoed })))
}

/// All entries counted, or those of the text that is asked for.
fn read(query: Option<&str>, state: &State) -> Value {
    let effects = state.effects.lock().unwrap();
    let Some(wanted) = query.and_then(|query| query.strip_prefix("text=")) else {
        return json!({ "entries": effects.len() });
    };
    if state.vague.load(Ordering::Relaxed) {
        return json!({ "entries": "some" });
    }
    let spelled = |entry: &str| {
        let mut text = String::new();
        fcp_proto_core::manifest::percent_encode(entry, &mut text);
        text
    };
    let found: Vec<_> = effects.keys().filter(|entry| spelled(entry) == wanted).collect();
    json!({ "entries": found, "complete": true })
}

/// A secret as services write it.
pub fn forms(secret: &str) -> Vec<String> {
    let hex = |upper: bool| {
        let digits =
            secret.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>()
    };
    let percent = secret.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    let base64 =
        [STANDARD.encode(secret), URL_SAFE.encode(secret), STANDARD.encode(format!("user:{secret}"))];
    [secret.to_owned(), hex(false), hex(true), percent.collect()].into_iter().chain(base64).collect()
}

async fn make(entry: String, state: Arc<State>) {
    let mut number = 0;
    state.heard.send_modify(|(heard, open)| {
        *heard += 1;
        *open += 1;
        number = *heard;
    });
    let mut hold = state.hold.subscribe();
    let waits =
        |stage| move |hold: &Option<Hold>| hold.is_none_or(|it| it.stage != stage || number < it.from);
    hold.wait_for(waits(Stage::BeforeEffect)).await.unwrap();
    *state.effects.lock().unwrap().entry(entry).or_default() += 1;
    hold.wait_for(waits(Stage::AfterEffect)).await.unwrap();
    state.heard.send_modify(|(_, open)| *open -= 1);
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap()
}
