//! The way to a service: resolve once, connect to the checked address, TLS of our own, HTTP/1.1 or HTTP/2 by ALPN.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fcp_state_machines::call::egress::{Admitted, Host, Pinned, Refusal, Scheme};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::calls::{LiveCall, lock};
use super::resolve::Resolver;

/// The tasks that drive one exchange's connections. All of them are gone when `end` returns.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<JoinSet<()>>>);

impl Connections {
    /// Stops the tasks, and with them closes the sockets.
    pub(crate) async fn end(&self) {
        loop {
            let mut tasks = std::mem::take(&mut *lock(&self.0));
            if tasks.is_empty() {
                return;
            }
            tasks.shutdown().await;
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Connections {
    fn execute(&self, task: F) {
        lock(&self.0).spawn(task);
    }
}

/// One connection, ready for one request.
pub(crate) enum Sender<B> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>),
}

impl<B> Sender<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends the request and waits for the answer's head.
    pub(crate) async fn send(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }

    /// Whether the request line carries the whole URL.
    pub(crate) const fn wants_absolute(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(_) => true,
        }
    }
}

/// Resolves and connects, within the rule's time for both.
pub(crate) async fn reach<B>(
    resolver: &dyn Resolver,
    call: &LiveCall,
    admitted: Admitted,
    connections: &Connections,
) -> Result<(Pinned, Sender<B>), Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let time = Duration::from_millis(admitted.limits().connect_timeout_ms);
    let work = async {
        let answers = resolve(resolver, call, &admitted).await?;
        let pinned = admitted.pin(&answers)?;
        let sender = connect(&pinned, connections).await?;
        Ok((pinned, sender))
    };
    tokio::time::timeout(time, work).await.unwrap_or(Err(Refusal::ConnectTimeout))
}

/// The certificate authorities of the public web, and those given.
pub(crate) fn root_store<'a>(authorities: impl Iterator<Item = &'a str>) -> Result<RootCertStore, Refusal> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for pem in authorities {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| Refusal::TlsFailed)?;
            roots.add(certificate).map_err(|_| Refusal::TlsFailed)?;
        }
        if roots.len() == before {
            return Err(Refusal::TlsFailed);
        }
    }
    Ok(roots)
}

async fn resolve(
    resolver: &dyn Resolver,
    call: &LiveCall,
    admitted: &Admitted,
) -> Result<Vec<std::net::IpAddr>, Refusal> {
    let Host::Name(name) = &admitted.target().origin.host else {
        return Ok(admitted.literal().into_iter().collect());
    };
    if let Some(answers) = call.resolved(name) {
        return Ok(answers);
    }
    let answers = resolver.resolve(name).await.map_err(|_| Refusal::ResolveFailed)?;
    Ok(call.keep_resolved(name, answers))
}

async fn connect<B>(pinned: &Pinned, connections: &Connections) -> Result<Sender<B>, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (stream, address) = dial(pinned.addresses()).await?;
    match pinned.admitted().target().origin.scheme {
        Scheme::Http => speak_http1(stream, connections).await,
        Scheme::Https => {
            let stream = secure(stream, address, pinned).await?;
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                speak_http2(stream, connections).await
            } else {
                speak_http1(stream, connections).await
            }
        }
    }
}

async fn dial(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Refusal> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            stream.set_nodelay(true).map_err(|_| Refusal::ConnectFailed)?;
            return Ok((stream, *address));
        }
    }
    Err(Refusal::ConnectFailed)
}

async fn secure(
    stream: TcpStream,
    address: SocketAddr,
    pinned: &Pinned,
) -> Result<TlsStream<TcpStream>, Refusal> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Refusal::TlsFailed)?
        .with_root_certificates(root_store(pinned.authorities(address.ip()))?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = match &pinned.admitted().target().origin.host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Refusal::TlsFailed)?,
        Host::Address(address) => ServerName::IpAddress((*address).into()),
    };
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|_| Refusal::TlsFailed)?;
    check_pins(&stream, pinned)?;
    Ok(stream)
}

/// Compares the key of the service's own certificate with the pins (RFC 7469 §2.4, SHA-256 over the SPKI).
fn check_pins(stream: &TlsStream<TcpStream>, pinned: &Pinned) -> Result<(), Refusal> {
    let pins = pinned.admitted().spki_pins();
    if pins.is_empty() {
        return Ok(());
    }
    let certificates = stream.get_ref().1.peer_certificates();
    let own = certificates.and_then(|chain| chain.first()).ok_or(Refusal::PinMismatch)?;
    let parsed = ParsedCertificate::try_from(own).map_err(|_| Refusal::TlsFailed)?;
    let hash: [u8; 32] = Sha256::digest(parsed.subject_public_key_info().as_ref()).into();
    if pins.iter().any(|pin| *pin.as_bytes() == hash) { Ok(()) } else { Err(Refusal::PinMismatch) }
}

async fn speak_http1<S, B>(stream: S, connections: &Connections) -> Result<Sender<B>, Refusal>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handshake = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|_| Refusal::UpstreamBroken)?;
    // How the connection ends is told to the exchange by its own request and body.
    hyper::rt::Executor::execute(connections, async move { drop(connection.await) });
    Ok(Sender::Http1(sender))
}

async fn speak_http2<B>(stream: TlsStream<TcpStream>, connections: &Connections) -> Result<Sender<B>, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = http2::Builder::new(connections.clone());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(WINDOW_BYTES);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|_| Refusal::UpstreamBroken)?;
    hyper::rt::Executor::execute(connections, async move { drop(connection.await) });
    Ok(Sender::Http2(sender))
}

/// Largest answer head. Chosen: above what common services send.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What a service may send ahead of the connector's reading. Chosen: small, since it is memory per request.
const WINDOW_BYTES: u32 = 256 * 1024;
