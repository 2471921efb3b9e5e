//! A small service of our own: the part of GitHub's REST API (version 2022-11-28, docs.github.com/rest) that the
//! quickstart calls, over real TLS on loopback.
//!
//! ```text
//! egress process ──TLS, own CA──► accept ─► observe (record the request) ─► github (answer from the issues)
//! ```
//!
//! It keeps what it saw, so that the quickstart can show what was and what was not sent: it holds the requests'
//! methods and paths and whether their credential was right, never the credential.

mod certificate;
mod github;
mod issues;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use self::issues::Issues;
pub(crate) use self::issues::{OTHER_REPO, OWNER, REPO, STRANGER_ISSUE};

/// Largest request body. Chosen: above the largest issue that GitHub takes (65,536 characters).
const MAX_BODY_BYTES: usize = 512 * 1024;

/// How long a client may take for its TLS handshake. Chosen: many times one on loopback.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a request's credential was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// There was none.
    Absent,
    /// There was another one than ours.
    Wrong,
    /// It was ours.
    Right,
}

/// What is kept of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its method.
    pub(crate) method: String,
    /// Its path, without the query.
    pub(crate) path: String,
    /// What its credential was.
    pub(crate) authorization: Authorization,
    /// The headers that only we and our egress process may see, and that must have been removed.
    pub(crate) internal_headers: Vec<String>,
}

/// The running service. It ends with [`Service::stop`], or when dropped.
pub(crate) struct Service {
    address: SocketAddr,
    authority_pem: String,
    state: Arc<State>,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

struct State {
    /// The value of `Authorization` that is let in.
    expected: Zeroizing<String>,
    issues: Mutex<Issues>,
    seen: Mutex<Vec<Seen>>,
}

impl Service {
    /// Starts the service on a free port of loopback, with a certificate authority made for it. `token` is the only
    /// credential that it takes.
    ///
    /// # Errors
    /// What the system refuses.
    pub(crate) async fn start(token: &str) -> io::Result<Self> {
        let identity = certificate::make(Ipv4Addr::LOCALHOST.into()).map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let state = Arc::new(State {
            expected: Zeroizing::new(format!("Bearer {token}")),
            issues: Mutex::new(Issues::seeded()),
            seen: Mutex::default(),
        });
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let acceptor = TlsAcceptor::from(identity.config);
        let accepting = tokio::spawn(accept(listener, acceptor, state.clone(), stopped));
        Ok(Self { address, authority_pem: identity.authority_pem, state, stop, accepting })
    }

    /// The URL under which it answers.
    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its address, without the port.
    pub(crate) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    /// Its port.
    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate authority that vouches for it.
    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The requests so far, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// How many issues were opened: the effects of `github.issues.create`.
    pub(crate) fn issues_opened(&self) -> u64 {
        lock(&self.state.issues).opened()
    }

    /// Stops listening and closes every connection.
    ///
    /// # Errors
    /// If the service had ended by a defect.
    pub(crate) async fn stop(self) -> io::Result<()> {
        // It fails only if the task has ended, which the next line tells.
        let _ended = self.stop.send(());
        self.accepting.await.map_err(io::Error::other)
    }
}

/// Takes connections until told to stop; the connections end with it.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut stopped = stopped;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            taken = listener.accept() => match taken {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, acceptor.clone(), state.clone()));
                }
                // Out of descriptors, for example: the next connection may fare better.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Serves one connection. Whoever fails the handshake or breaks off is told nothing and recorded nowhere.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let answer = service_fn(move |request| respond(request, state.clone()));
    let served =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
    drop(served);
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let authorization = authorization(&head.headers, &state.expected);
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        authorization,
        internal_headers: internal_headers(&head.headers),
    };
    lock(&state.seen).push(seen);
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(github::failure(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."));
        }
        Err(_) => return Ok(github::failure(StatusCode::BAD_REQUEST, "Problems reading the request")),
    };
    let request = github::Question {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        authorization,
        body: &body,
    };
    let mut issues = lock(&state.issues);
    Ok(github::answer(&request, &mut issues))
}

fn authorization(headers: &HeaderMap, expected: &str) -> Authorization {
    let mut given = headers.get_all(http::header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (None, _) => Authorization::Absent,
        (Some(value), None) if value.as_bytes() == expected.as_bytes() => Authorization::Right,
        (Some(_), _) => Authorization::Wrong,
    }
}

/// Headers between connector and egress process; a service must see none of them.
fn internal_headers(headers: &HeaderMap) -> Vec<String> {
    headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-fcp-"))
        .map(Into::into)
        .collect()
}

/// A panic elsewhere leaves complete values behind: each change is one assignment or push.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
