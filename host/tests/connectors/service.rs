//! A service over TLS on loopback, with its own certificate authority.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedIssuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What the service is called.
pub(crate) const HOST: &str = "api.notes.example";
/// What it takes as a credential.
pub(crate) const SECRET: &str = "s3cret-Token-that-never-shows-42";

pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    pub(crate) state: Arc<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Method and path of each request that came with the credential.
    seen: Mutex<Vec<String>>,
    arrived: Notify,
    /// Requests that wait for ever and whose client is still there.
    pending: AtomicUsize,
}

/// A request that waits for ever.
struct Waits(Arc<State>);

impl Waits {
    async fn for_ever(state: Arc<State>) -> Response<Full<Bytes>> {
        state.pending.fetch_add(1, Ordering::SeqCst);
        let _waits = Self(state);
        std::future::pending().await
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until nobody waits for an answer any more.
    pub(crate) async fn deserted(&self) {
        while self.pending.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            if self.seen().len() >= count {
                return;
            }
            arrived.await;
        }
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
                    // A client that breaks off is what some tests are about.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { port, ca_pem: ca.pem(), state }
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let authorized =
        head.headers.get("authorization").is_some_and(|value| value == &format!("Bearer {SECRET}"));
    if !authorized {
        return Ok(answer(401, &json!({ "message": "who are you" })));
    }
    state.seen.lock().unwrap().push(format!("{} {}", head.method, head.uri.path()));
    state.arrived.notify_waiters();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(match (head.method.as_str(), body["text"].as_str()) {
        ("POST", Some("refuse")) => answer(422, &json!({ "message": "not that" })),
        ("POST", Some("hang")) => Waits::for_ever(state).await,
        ("GET", _) if head.uri.path().ends_with("/hang") => Waits::for_ever(state).await,
        ("POST", _) => answer(201, &json!({ "id": 7 })),
        _ => answer(200, &json!({ "id": 7, "text": "hello" })),
    })
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap()
}
