//! A daemon, a connector and services around a real egress process: real sockets, real TLS, names that resolve as told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fcp_host::egress::{EgressClient, Identity, OpenWithSecrets, Refreshed, Secret, SecretValue, SlotSecret};
use fcp_proto_core::ids::{CallId, ConnectorId, CredentialId, OperationId, ZoneId};
use fcp_state_machines::call::egress::credential::{CredentialGrant, Injection};
use fcp_state_machines::call::egress::{
    EgressException, EgressHandle, EgressRule, Limits, Method, OpenCall, Transport,
};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::server::TlsStream;

use crate::process::{BLOCK, Process};

pub(crate) const SECRET: &str = "s3cret-Token/with+signs=42";
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) fn text(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// A body of what comes out of a channel, each in its own frame.
pub(crate) struct Chunks(pub(crate) tokio::sync::mpsc::Receiver<Vec<u8>>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(hyper::body::Frame::data(part.into()))))
    }
}

/// What a service saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// A service with its own certificate authority.
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    pub(crate) spki: [u8; 32],
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) connections: Arc<AtomicU64>,
    /// Connections open now.
    pub(crate) open: Arc<AtomicU64>,
}

pub(crate) type Answerer = Arc<dyn Fn(&Seen) -> Response<Body> + Send + Sync>;

impl Service {
    /// Serves `names` over TLS on loopback, with these ALPN protocols.
    pub(crate) async fn start(names: &[&str], alpn: &[&str], answer: Answerer) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let log = seen.clone();
        let service = Self::by_hand(names, alpn, move |stream| {
            let (answer, seen) = (answer.clone(), log.clone());
            async move {
                let service = service_fn(move |request| respond(request, answer.clone(), seen.clone()));
                let served = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                drop(served);
            }
        });
        Self { seen, ..service.await }
    }

    /// Accepts connections for `names` over TLS on loopback; what is said over them is another's.
    pub(crate) async fn by_hand<F: Future<Output = ()> + Send>(
        names: &[&str],
        alpn: &[&str],
        serve: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
    ) -> Self {
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("params");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("key")).expect("authority");
        let key = KeyPair::generate().expect("key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate =
            rcgen::CertificateParams::new(names).expect("params").signed_by(&key, &ca).expect("certificate");
        let parsed = rustls::server::ParsedCertificate::try_from(certificate.der()).expect("certificate");
        let spki = sha256(parsed.subject_public_key_info().as_ref());
        let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("port");
        let service = Self {
            port: listener.local_addr().expect("address").port(),
            ca_pem: ca.pem(),
            spki,
            seen: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls(certificate.der(), &key, alpn)));
        let (connections, open) = (service.connections.clone(), service.open.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, open, serve) = (acceptor.clone(), open.clone(), serve.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    open.fetch_add(1, Ordering::SeqCst);
                    serve(stream).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        service
    }

    /// Waits until no connection is open any more.
    pub(crate) async fn deserted(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }
}

fn tls(certificate: &CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> rustls::ServerConfig {
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)
        .expect("config");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

async fn respond(
    request: Request<Incoming>,
    answer: Answerer,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let request = Seen { method: head.method.to_string(), target, headers: head.headers, body };
    seen.lock().expect("lock").push(request.clone());
    Ok(answer(&request))
}

/// A listener that must see nothing.
pub(crate) struct Canary {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicU64>,
}

impl Canary {
    /// Listens at one port of every address that leads to this machine alone.
    pub(crate) async fn start() -> Self {
        let first = TcpListener::bind((LOOPBACK, 0)).await.expect("port");
        let port = first.local_addr().expect("address").port();
        let mut listeners = vec![first];
        for address in ["127.0.0.2", "127.1.2.3", "::1"] {
            let address: IpAddr = address.parse().expect("address");
            // Not every machine has IPv6, and a port may be taken there: the first hears most.
            listeners.extend(TcpListener::bind((address, port)).await);
        }
        let canary = Self { port, connections: Arc::default() };
        for listener in listeners {
            let connections = canary.connections.clone();
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    connections.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        canary
    }

    /// Nobody ever came.
    pub(crate) fn saw_nothing(&self) {
        assert_eq!(self.connections.load(Ordering::SeqCst), 0, "a canary was reached");
    }
}

/// Names and what they resolve to, answer by answer; the last repeats.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    answers: BTreeMap<String, Vec<Vec<IpAddr>>>,
    asked: Vec<String>,
}

/// A name that nobody ever answers for.
pub(crate) const NEVER_ANSWERED: &str = "never-answered.example.com";

/// A name whose resolution blocks a thread of egress for ever.
pub(crate) const BLOCKING: &str = "blocking.example.com";

impl Names {
    pub(crate) fn set(&self, name: &str, answers: Vec<Vec<IpAddr>>) {
        self.0.lock().expect("lock").answers.insert(name.to_owned(), answers);
    }

    /// How often a name was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.0.lock().expect("lock").asked.iter().filter(|asked| *asked == name).count()
    }

    /// What is said of a name, an address a line.
    fn answer(&self, name: &str) -> String {
        let mut table = self.0.lock().expect("lock");
        table.asked.push(name.to_owned());
        let Some(answers) = table.answers.get_mut(name) else { return String::new() };
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        answer.iter().map(|address| format!("{address}\n")).collect()
    }

    /// Answers the egress process.
    async fn serve(self, listener: UnixListener) {
        let mut unanswered = Vec::new();
        while let Ok((mut egress, _)) = listener.accept().await {
            let mut name = String::new();
            let asked = egress.read_to_string(&mut name).await;
            if asked.is_err() || name == NEVER_ANSWERED {
                unanswered.push(egress);
                continue;
            }
            let answer = if name == BLOCKING { BLOCK.to_owned() } else { self.answer(&name) };
            // An egress that has gone needs no answer.
            drop(egress.write_all(answer.as_bytes()).await);
        }
    }
}

/// An egress process, the daemon's client of it, and the resolver's table.
pub(crate) struct World {
    pub(crate) client: EgressClient,
    pub(crate) refreshed: Refreshed,
    pub(crate) names: Names,
    pub(crate) process: Process,
    handles: AtomicU64,
    /// Where the process asks for names.
    _place: tempfile::TempDir,
}

/// The wall clock of the tests.
pub(crate) const NOW: u64 = 1_800_000_000;

/// How long a process that is not meant to fall silent may take over an answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_patience(PATIENCE).await
    }

    pub(crate) async fn with_patience(patience: Duration) -> Self {
        let names = Names::default();
        let place = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(place.path().join("names")).expect("a socket");
        tokio::spawn(names.clone().serve(listener));
        let (process, control) = Process::asking(&place.path().join("names"));
        let (client, refreshed) = EgressClient::connect_within(control, patience).expect("client");
        Self { client, refreshed, names, process, handles: AtomicU64::new(1), _place: place }
    }

    /// A connector's end of its descriptor 3.
    pub(crate) async fn attach(&self, connector: &str, zone: &str) -> tokio::net::UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let identity =
            Identity { connector: connector.parse().expect("id"), zone: zone.parse().expect("zone") };
        self.client.attach_connector(identity, theirs.into()).await.expect("attached");
        ours.set_nonblocking(true).expect("nonblocking");
        tokio::net::UnixStream::from_std(ours).expect("stream")
    }

    pub(crate) async fn connector(&self, connector: &str, zone: &str) -> Connector {
        let stream = TokioIo::new(self.attach(connector, zone).await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("handshake");
        tokio::spawn(connection);
        Connector { sender }
    }

    /// A call of github in z:work to `api.example.com` at the service's port.
    pub(crate) fn call(&self, service: &Service) -> OpenWithSecrets {
        let host = "api.example.com";
        self.names.set(host, vec![vec![LOOPBACK]]);
        let mut handle = [0xa5; 32];
        handle[..8].copy_from_slice(&self.handles.fetch_add(1, Ordering::SeqCst).to_le_bytes());
        OpenWithSecrets {
            open: OpenCall {
                handle: EgressHandle::from_bytes(handle),
                call: CallId::from_bytes([1; 16]),
                connector: ConnectorId::new("github").expect("id"),
                zone: ZoneId::new("z:work").expect("zone"),
                operation: OperationId::new("github.issues.list").expect("id"),
                rules: vec![rule(host, service.port)],
                exceptions: vec![exception(host, service)],
                credentials: vec![grant("main", Injection::Bearer)],
                deadline_ms: 60_000,
                seal: 10,
            },
            secrets: vec![secret("main", SECRET)],
        }
    }

    pub(crate) async fn open(&self, call: OpenWithSecrets) -> EgressHandle {
        let handle = call.open.handle;
        self.client.open_call(call).await.expect("opened");
        handle
    }
}

pub(crate) fn rule(host: &str, port: u16) -> EgressRule {
    EgressRule {
        hosts: vec![host.parse().expect("host")],
        ports: vec![port],
        methods: vec![Method::Get, Method::Post],
        paths: ["/", "/{rest*}"].map(|path| path.parse().expect("path")).to_vec(),
        limits: Limits {
            max_request_bytes: 1 << 20,
            max_response_bytes: 1 << 20,
            max_redirects: 3,
            dns_max_ips: 8,
            connect_timeout_ms: 20_000,
            total_timeout_ms: 50_000,
            idle_timeout_ms: 40_000,
        },
        spki_pins: Vec::new(),
    }
}

pub(crate) fn exception(host: &str, service: &Service) -> EgressException {
    EgressException {
        host: host.parse().expect("host"),
        cidr: "127.0.0.0/8".parse().expect("cidr"),
        port: service.port,
        transport: Transport::Tls,
        ca_pem: Some(service.ca_pem.clone()),
    }
}

pub(crate) fn grant(slot: &str, injection: Injection) -> CredentialGrant {
    CredentialGrant {
        slot: slot.to_owned(),
        credential: CredentialId::new(slot).expect("id"),
        injection,
        allowed_hosts: vec!["api.example.com".parse().expect("host")],
    }
}

pub(crate) fn secret(slot: &str, value: &str) -> SlotSecret {
    SlotSecret { slot: slot.to_owned(), secret: SecretValue::Fixed(Secret::new(value.to_owned())) }
}

/// A change to a call.
pub(crate) type Limit = fn(&mut OpenCall);

/// A connector's end of its descriptor 3.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) sender: hyper::client::conn::http2::SendRequest<Body>,
}

/// An answer as the connector gets it.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    /// The body up to its end or its cut.
    pub(crate) body: Vec<u8>,
    /// Whether it was cut.
    pub(crate) cut: bool,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The reason of a refusal.
    pub(crate) fn refusal(&self) -> Option<String> {
        let code = self.header("x-fcp-egress-error")?;
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("a refusal is JSON");
        assert_eq!(body["code"], code);
        Some(body["reason"].as_str().expect("reason").to_owned())
    }

    pub(crate) fn contains(&self, needle: &str) -> bool {
        let in_headers = self
            .headers
            .values()
            .any(|value| value.as_bytes().windows(needle.len()).any(|part| part == needle.as_bytes()));
        in_headers || self.body.windows(needle.len()).any(|part| part == needle.as_bytes())
    }
}

impl Connector {
    pub(crate) async fn send(&self, request: Request<Body>) -> Got {
        let mut sender = self.sender.clone();
        match sender.send_request(request).await {
            Ok(response) => read(response).await,
            // An answer cut at its first byte: the head may be lost with it.
            Err(error) => {
                assert!(!error.is_closed(), "the connection is gone: {error}");
                Got { status: 0, headers: http::HeaderMap::new(), body: Vec::new(), cut: true }
            }
        }
    }

    pub(crate) async fn get(&self, handle: EgressHandle, url: &str, slot: Option<&str>) -> Got {
        self.send(get(handle, url, slot)).await
    }
}

pub(crate) fn get(handle: EgressHandle, url: &str, slot: Option<&str>) -> Request<Body> {
    let mut request = Request::get(url).header("x-fcp-egress-handle", handle.to_string());
    if let Some(slot) = slot {
        request = request.header("x-fcp-credential", slot);
    }
    request.body(text("")).expect("request")
}

pub(crate) async fn read(response: Response<Incoming>) -> Got {
    let (head, mut body) = response.into_parts();
    let mut got = Got { status: head.status.as_u16(), headers: head.headers, body: Vec::new(), cut: false };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => got.body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                got.cut = true;
                break;
            }
        }
    }
    got
}
