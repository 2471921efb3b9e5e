//! One call, as the connector sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, OperationId};
use fcp_proto_core::limits::MAX_LINE_BYTES;
use fcp_proto_core::object::Effect;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::egress::{Egress, Handle, Response};
use crate::{Error, protocol};

/// One call of an operation. The host has checked its input against the operation's schema.
#[derive(Debug)]
pub struct Call {
    /// The call's identity.
    pub id: CallId,
    /// The operation.
    pub operation: OperationId,
    /// Its input.
    pub input: Value,
    /// The key under which a repetition has no second effect.
    pub idempotency_key: Option<String>,
    /// W3C `traceparent` of the call.
    pub traceparent: Option<String>,
    /// The credential slots that egress will fill for this call.
    pub credentials: Vec<String>,
    /// When the call must be over.
    pub deadline: Instant,
    /// Tells when nobody wants the answer any more.
    pub cancel: CancelToken,
    /// Tells the caller what happens meanwhile.
    pub progress: Progress,
    pub(crate) egress: Option<(Egress, Handle)>,
    pub(crate) usage: Arc<UsageCounter>,
}

impl Call {
    /// Sends a request through egress, which adds the credential of the slot `credential`.
    ///
    /// The request's URI is absolute. An answer of the service is a [`Response`], whatever its status.
    ///
    /// # Errors
    /// A refusal by egress, a broken connection, the end of the call's time, or its cancellation. The error's effect
    /// says whether the service may have got the request.
    pub async fn send(
        &self,
        request: http::Request<Bytes>,
        credential: Option<&str>,
    ) -> Result<Response, Error> {
        let Some((egress, handle)) = &self.egress else {
            return Err(Error::new(Code::EgressUnavailable, "this call has no way to the network"));
        };
        self.usage.requests.fetch_add(1, Ordering::Relaxed);
        self.usage.sent.fetch_add(request.body().len() as u64, Ordering::Relaxed);
        let exchange = egress.send(request, handle, credential, Arc::clone(&self.usage));
        match self.within(exchange).await {
            Ok(answer) => answer,
            Err(stopped) => Err(stopped.with_unknown_effect()),
        }
    }

    /// Runs `work` until it ends, or the call is cancelled, or its time is over.
    ///
    /// # Errors
    /// [`Code::Cancelled`] or [`Code::ConnectorTimeout`]; the effect is for the caller to say.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(Code::Cancelled, "the call was cancelled")),
            () = tokio::time::sleep_until(self.deadline) => {
                Err(Error::new(Code::ConnectorTimeout, "the call's time is over"))
            }
            result = work => Ok(result),
        }
    }

    /// The time left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs asynchronous work, such as [`Call::send`], from a [`BlockingConnector`](crate::BlockingConnector).
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::runtime::Handle::current().block_on(work)
    }

    /// What the call has used so far.
    pub fn usage(&self) -> Usage {
        self.usage.snapshot()
    }
}

/// A call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The output.
    pub output: Value,
    /// Whether the service changed anything.
    pub effect: Effect,
}

impl Outcome {
    /// The output of something that only read.
    pub const fn read(output: Value) -> Self {
        Self { output, effect: Effect::None }
    }

    /// The output of something that changed the service.
    pub const fn made(output: Value) -> Self {
        Self { output, effect: Effect::Made }
    }
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Requests sent to the service.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes_sent: u64,
    /// Bytes of the answers' bodies.
    pub bytes_received: u64,
}

/// Counts while the call runs.
#[derive(Debug, Default)]
pub(crate) struct UsageCounter {
    pub(crate) requests: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl UsageCounter {
    pub(crate) fn snapshot(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            bytes_sent: self.sent.load(Ordering::Relaxed),
            bytes_received: self.received.load(Ordering::Relaxed),
        }
    }
}

/// Tells a running call that nobody wants its answer any more.
#[derive(Clone, Debug)]
pub struct CancelToken(watch::Receiver<bool>);

impl CancelToken {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether the call was cancelled; may be asked from any thread.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the call is cancelled.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            // The sender is gone: the call cannot be cancelled any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Sends progress notifications of one call.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) call: CallId,
    pub(crate) lines: mpsc::Sender<Vec<u8>>,
}

impl Progress {
    /// Says in words what happens.
    pub async fn message(&self, text: &str) {
        self.notify(json!({ "call_id": self.call, "message": text })).await;
    }

    /// Hands on a part of the output; the final output is still whole.
    pub async fn chunk(&self, chunk: Value) {
        self.notify(json!({ "call_id": self.call, "chunk": chunk })).await;
    }

    async fn notify(&self, params: Value) {
        let line = protocol::line(&json!({ "jsonrpc": "2.0", "method": "progress", "params": params }));
        if line.len() > MAX_LINE_BYTES {
            // Progress is a courtesy; the output, which is larger still, is refused with a reason.
            return;
        }
        // The receiver is gone only when the connector ends, and then nobody waits for progress.
        let _ = self.lines.send(line).await;
    }
}
