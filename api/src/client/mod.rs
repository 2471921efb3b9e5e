//! The client: one connection to the daemon, reused while it lasts, because an operator's key is open for the
//! connection that opened it.
//!
//! A request that could not be sent is [`Code::DaemonUnreachable`] and may be repeated. One that was sent and not
//! answered may have been done: a call is then [`Code::OutcomeUnknown`], and nothing that changes something is called
//! retryable.

mod connection;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use fcp_proto_core::error::Code;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use self::connection::{Answer, Connection, Failed};
use crate::body;
use crate::headers;
use crate::limits::MAX_ANSWER_BYTES;
use crate::query;
use crate::routes::{DOCUMENT_PATH, Endpoint, GetHealth, InvokeOperation, Method, Route};
use crate::secret::Secret;
use crate::types::{ErrorBody, Nothing, Reply};

/// How long to wait for an answer when the caller does not say. Chosen: longer than any route but a call or a long
/// poll takes on a slow disk, passphrase stretching included.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the daemon listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// On a unix socket.
    Unix(PathBuf),
    /// On TCP.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Admits the caller.
        admission: Secret,
    },
}

impl core::fmt::Display for Target {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp { address, .. } => address.fmt(f),
        }
    }
}

/// A client of one daemon.
#[derive(Debug)]
pub struct Client {
    target: Target,
    timeout: Duration,
    session: Option<Secret>,
    operator: Option<Secret>,
    connection: Option<Connection>,
}

impl Client {
    /// A client of the daemon at `target`; it connects with its first request.
    pub const fn new(target: Target) -> Self {
        Self { target, timeout: DEFAULT_TIMEOUT, session: None, operator: None, connection: None }
    }

    /// Where the daemon listens.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Waits so long for each answer from now on.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Speaks as the agent of `session` from now on.
    pub fn set_session(&mut self, session: Option<Secret>) {
        self.session = session;
    }

    /// Speaks as the operator of `bearer` from now on.
    pub fn set_operator(&mut self, bearer: Option<Secret>) {
        self.operator = bearer;
    }

    /// Whether the client speaks as an operator.
    pub const fn is_operator(&self) -> bool {
        self.operator.is_some()
    }

    /// The process at the other end of the unix socket, as the kernel says.
    ///
    /// # Errors
    /// [`Code::DaemonUnreachable`] if nothing listens there; [`Code::NotFound`] over TCP, where nobody knows.
    pub async fn daemon_pid(&mut self) -> Result<i32, ErrorBody> {
        self.connect().await?;
        self.connection.as_ref().and_then(|connection| connection.peer_pid).ok_or_else(|| {
            ErrorBody::new(Code::NotFound).because("over TCP the daemon's process is not known")
        })
    }

    /// Calls a route that takes a query.
    ///
    /// # Errors
    /// What the daemon refuses, or why it cannot be asked.
    pub async fn get<E>(&mut self, path: &[&str], query: &E::Query) -> Result<Reply<E::Answer>, ErrorBody>
    where
        E: Endpoint<Request = Nothing>,
    {
        self.call::<E>(path, query, &Nothing {}).await
    }

    /// Calls a route that takes a body.
    ///
    /// # Errors
    /// What the daemon refuses, or why it cannot be asked.
    pub async fn send<E>(
        &mut self,
        path: &[&str],
        request: &E::Request,
    ) -> Result<Reply<E::Answer>, ErrorBody>
    where
        E: Endpoint<Query = Nothing>,
    {
        self.call::<E>(path, &Nothing {}, request).await
    }

    /// The OpenAPI document.
    ///
    /// # Errors
    /// What the daemon refuses, or why it cannot be asked.
    pub async fn document(&mut self) -> Result<Value, ErrorBody> {
        let route = Route { name: "GetDocument", path: DOCUMENT_PATH, ..GetHealth::ROUTE };
        let answer = self.exchange(&route, DOCUMENT_PATH.into(), Bytes::new()).await?;
        read_answer(&answer, body::read)
    }

    async fn call<E: Endpoint>(
        &mut self,
        path: &[&str],
        query: &E::Query,
        request: &E::Request,
    ) -> Result<Reply<E::Answer>, ErrorBody> {
        let route = E::ROUTE;
        let mut uri = route.fill(path).ok_or_else(|| {
            ErrorBody::new(Code::Internal).because(format!("{} takes other path parameters", route.name))
        })?;
        let query = query::write(query)?;
        if !query.is_empty() {
            uri = format!("{uri}?{query}");
        }
        let bytes = if route.method == Method::Get { Bytes::new() } else { body::write(request)? };
        if bytes.len() > route.max_request_bytes {
            let why =
                format!("the request has {} bytes, at most {} fit", bytes.len(), route.max_request_bytes);
            return Err(ErrorBody::new(Code::InputTooLarge).because(why));
        }
        let answer = self.exchange(&route, uri, bytes).await?;
        read_answer(&answer, body::read)
    }

    async fn exchange(&mut self, route: &Route, uri: String, bytes: Bytes) -> Result<Answer, ErrorBody> {
        let request = self.request(route, uri, bytes)?;
        let sent = tokio::time::timeout(self.timeout, self.deliver(request)).await;
        let failed = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failed)) => failed,
            Err(_) => Failed::Unanswered(format!("no answer within {} s", self.timeout.as_secs_f32())),
        };
        self.connection = None;
        Err(self.failure(route, failed))
    }

    /// Sends on the open connection, or on a new one if the daemon had closed it before it took the request.
    async fn deliver(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let mut request = request;
        if let Some(connection) = &mut self.connection {
            match connection.exchange(request, MAX_ANSWER_BYTES).await {
                Err(Failed::NotTaken(back, _)) => request = *back,
                other => return other,
            }
        }
        let mut connection = Connection::open(&self.target).await?;
        let answer = connection.exchange(request, MAX_ANSWER_BYTES).await;
        self.connection = Some(connection);
        answer
    }

    /// Gives up the connection, with whatever is under way on it; the next request opens another.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn connect(&mut self) -> Result<(), ErrorBody> {
        if self.connection.is_none() {
            let opened = Connection::open(&self.target).await;
            self.connection = Some(opened.map_err(|failed| self.failure(&GetHealth::ROUTE, failed))?);
        }
        Ok(())
    }

    fn request(&self, route: &Route, uri: String, bytes: Bytes) -> Result<Request<Full<Bytes>>, ErrorBody> {
        let mut request = Request::builder()
            .method(http::Method::from(route.method))
            .uri(uri)
            .header("host", "fcp")
            .header("accept", "application/json");
        if !bytes.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(session) = &self.session {
            request = request.header(headers::SESSION, secret_header(session.expose())?);
        }
        if let Some(operator) = &self.operator {
            request = request
                .header(headers::AUTHORIZATION, secret_header(&format!("Bearer {}", operator.expose()))?);
        }
        if let Target::Tcp { admission, .. } = &self.target {
            request = request.header(headers::ADMISSION, secret_header(admission.expose())?);
        }
        request
            .body(Full::new(bytes))
            .map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))
    }

    fn failure(&self, route: &Route, failed: Failed) -> ErrorBody {
        match failed {
            Failed::Unreachable(why) | Failed::NotTaken(_, why) => {
                ErrorBody::new(Code::DaemonUnreachable).because(format!("{}: {why}", self.target))
            }
            Failed::TooLarge => ErrorBody::new(Code::InputTooLarge)
                .because(format!("the daemon's answer exceeds {MAX_ANSWER_BYTES} bytes"))
                .next("ask for less at once; what was asked for may have been done"),
            Failed::Unanswered(why) => unanswered(route, &format!("{}: {why}", self.target)),
        }
    }
}

/// A request was sent and not answered.
//= docs/spec/api.md#lost-answers
fn unanswered(route: &Route, why: &str) -> ErrorBody {
    if route.name == InvokeOperation::ROUTE.name {
        return ErrorBody::new(Code::OutcomeUnknown)
            .because(format!("the daemon took the call and its answer was lost ({why})"))
            .next("`fwc history` shows what became of it; never repeat it blindly");
    }
    let mut failure = ErrorBody::new(Code::DaemonUnreachable);
    if route.method == Method::Get {
        return failure.because(why);
    }
    failure.retryable = false;
    failure
        .because(format!("the daemon took the request and its answer was lost ({why})"))
        .next("look at the present state before you repeat it: it may have been done")
}

fn secret_header(text: &str) -> Result<HeaderValue, ErrorBody> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ErrorBody::new(Code::Unauthenticated).because("the session's text is not one that the daemon issued")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a success by `read`, and anything else as the failure it is.
fn read_answer<T>(
    answer: &Answer,
    read: impl Fn(&[u8], usize) -> Result<T, ErrorBody>,
) -> Result<T, ErrorBody> {
    if answer.status.is_success() {
        return read(&answer.body, MAX_ANSWER_BYTES).map_err(|error| not_understood(answer.status, &error));
    }
    match body::read::<ErrorBody>(&answer.body, MAX_ANSWER_BYTES) {
        Ok(failure) => Err(failure),
        Err(error) => Err(foreign_failure(answer).unwrap_or_else(|| not_understood(answer.status, &error))),
    }
}

/// A failure whose code this release does not know.
fn foreign_failure(answer: &Answer) -> Option<ErrorBody> {
    let value: Value = body::read(&answer.body, MAX_ANSWER_BYTES).ok()?;
    let code = value.get("code")?.as_str()?;
    let message = value.get("message")?.as_str()?;
    Some(
        ErrorBody::new(Code::VersionUnsupported)
            .because(format!("the daemon reports {code}, which this release does not know: {message}")),
    )
}

fn not_understood(status: StatusCode, error: &ErrorBody) -> ErrorBody {
    let why = error.why.as_deref().unwrap_or(&error.message);
    let mut failure = ErrorBody::new(Code::DaemonUnreachable).because(format!(
        "something answers with HTTP status {} and a body that is not this contract's: {why}",
        status.as_u16()
    ));
    failure.retryable = false;
    failure.next("check that the socket is the daemon's, and that `fwc` and the daemon are of one release")
}
