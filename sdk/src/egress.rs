//! The client of the egress proxy: HTTP/2 over the one socket that the sandbox leaves open.
//!
//! A request carries its call's handle and the credential slot it wants; the credential itself never comes here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use fcp_proto_core::error::Code;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::Error;
use crate::call::UsageCounter;

/// Carries the call's handle.
pub(crate) const HANDLE_HEADER: HeaderName = HeaderName::from_static("x-fcp-egress-handle");
/// Names the credential slot wanted.
pub(crate) const CREDENTIAL_HEADER: HeaderName = HeaderName::from_static("x-fcp-credential");
/// Marks an answer as egress's own refusal and names its code.
pub(crate) const ERROR_HEADER: HeaderName = HeaderName::from_static("x-fcp-egress-error");

/// Largest refusal that is read for its message.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// The way to the network.
#[derive(Clone)]
pub struct Egress {
    sender: SendRequest<Full<Bytes>>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Egress(..)")
    }
}

/// A call's permission to send, dead when the call ends.
pub(crate) struct Handle(Zeroizing<String>);

impl Handle {
    pub(crate) fn new(hex: String) -> Result<Self, Error> {
        let hex = Zeroizing::new(hex);
        let mut bytes = Zeroizing::new([0; 32]);
        if hex::decode_to_slice(hex.as_bytes(), bytes.as_mut_slice()).is_err() {
            return Err(Error::new(Code::InputInvalid, "`egress_handle` must be 64 hexadecimal digits"));
        }
        Ok(Self(hex))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// An answer of the service, its body still to come.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    usage: Arc<UsageCounter>,
}

impl Response {
    /// The whole body, of at most `max` bytes.
    ///
    /// # Errors
    /// [`Code::EgressTooLarge`] beyond that, [`Code::UpstreamFailed`] if it breaks off; the effect is unknown.
    pub async fn collect(mut self, max: usize) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len().saturating_add(chunk.len()) > max {
                let message = format!("the answer is larger than {max} bytes");
                return Err(Error::new(Code::EgressTooLarge, message).with_unknown_effect());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The next part of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Code::UpstreamFailed`] if it breaks off; the effect is unknown.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|_| {
                Error::new(Code::UpstreamFailed, "the answer broke off").with_unknown_effect()
            })?;
            if let Ok(data) = frame.into_data() {
                self.usage.received.fetch_add(data.len() as u64, Ordering::Relaxed);
                return Ok(Some(data));
            }
        }
    }

    /// A header's value, if it is there and is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Egress {
    /// A client over `stream`; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Code::EgressUnavailable`] if the other side does not speak HTTP/2.
    pub async fn over<S>(stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = |error: hyper::Error| Error::new(Code::EgressUnavailable, error.to_string());
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(broken)?;
        // Its end shows in every later `send`.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Self { sender })
    }

    pub(crate) async fn send(
        &self,
        mut request: Request<Bytes>,
        handle: &Handle,
        credential: Option<&str>,
        usage: Arc<UsageCounter>,
    ) -> Result<Response, Error> {
        let invalid = |_| Error::new(Code::Internal, "a handle or slot that is no header value");
        let mut value = HeaderValue::from_str(&handle.0).map_err(invalid)?;
        value.set_sensitive(true);
        request.headers_mut().insert(HANDLE_HEADER, value);
        if let Some(slot) = credential {
            request.headers_mut().insert(CREDENTIAL_HEADER, HeaderValue::from_str(slot).map_err(invalid)?);
        }
        let mut sender = self.sender.clone();
        let gone = |_| Error::new(Code::EgressUnavailable, "the egress proxy is gone");
        sender.ready().await.map_err(gone)?;
        let answer = sender.send_request(request.map(Full::new)).await.map_err(|error| {
            let failed = Error::new(Code::EgressUnavailable, error.to_string());
            if error.is_canceled() { failed } else { failed.with_unknown_effect() }
        })?;
        let (head, body) = answer.into_parts();
        let response = Response { status: head.status, headers: head.headers, body, usage };
        match response.headers.get(ERROR_HEADER).cloned() {
            None => Ok(response),
            Some(code) => Err(refusal(&code, response).await),
        }
    }
}

/// What egress says about a request that it did not carry out.
async fn refusal(code: &HeaderValue, response: Response) -> Error {
    let code = code.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(Code::EgressUnavailable);
    let body = response.collect(MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = body.get("message").and_then(serde_json::Value::as_str).unwrap_or(code.meaning());
    let error = Error::new(code, message);
    if reached_the_service(code) { error.with_unknown_effect() } else { error }
}

/// Whether a refusal of this code can follow a request that the service got.
fn reached_the_service(code: Code) -> bool {
    matches!(
        code,
        Code::EgressTooLarge
            | Code::EgressRedirectDenied
            | Code::EgressUnavailable
            | Code::UpstreamTimeout
            | Code::UpstreamFailed
            | Code::ConnectorTimeout
            | Code::Internal
    )
}
