//! Bodies on their way: metered up, checked and handed on down, both with backpressure.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fcp_state_machines::call::egress::Refusal;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::calls::LiveCall;

/// A request's body as the service gets it: no more than the rule permits, no trailers.
pub(crate) enum Upload {
    /// None, as after a redirect.
    Empty,
    /// The connector's.
    Metered(Box<Metered>),
}

/// The connector's body and what is left of its allowance.
pub(crate) struct Metered {
    body: Incoming,
    left: u64,
    call: Arc<LiveCall>,
    exceeded: Arc<AtomicBool>,
}

impl Upload {
    /// The body with its allowance; the flag is raised when it is exceeded.
    pub(crate) fn new(body: Incoming, max_bytes: u64, call: Arc<LiveCall>) -> (Self, Arc<AtomicBool>) {
        let exceeded = Arc::new(AtomicBool::new(false));
        let metered = Metered { body, left: max_bytes, call, exceeded: Arc::clone(&exceeded) };
        (Self::Metered(Box::new(metered)), exceeded)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Metered(metered) => metered.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Metered(metered) => metered.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Metered(metered) => metered.body.size_hint(),
        }
    }
}

impl Metered {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                None => return Poll::Ready(None),
            };
            let Ok(data) = frame.into_data() else { continue };
            let length = data.len() as u64;
            let Some(left) = self.left.checked_sub(length) else {
                self.exceeded.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(io::Error::other(Refusal::RequestTooLarge))));
            };
            self.left = left;
            self.call.record(|report| report.bytes_sent += length);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
}

/// How an answer's body ended.
pub(crate) type Ended = Arc<OnceLock<Result<(), Refusal>>>;

/// An answer's body as the connector gets it. A body that was cut ends in an error, never as if it were whole.
pub(crate) enum Download {
    /// A refusal's own text.
    Whole(Option<Bytes>),
    /// What the exchange hands on.
    Stream(Stream),
}

/// Checked chunks from the exchange.
pub(crate) struct Stream {
    chunks: mpsc::Receiver<Bytes>,
    ended: Ended,
    /// Dropped with the body, which tells the exchange that the connector has gone.
    present: Option<oneshot::Sender<()>>,
}

impl Download {
    /// A body fed by `chunks`; when the feeder is gone, `ended` tells whether it was whole.
    pub(crate) const fn stream(chunks: mpsc::Receiver<Bytes>, ended: Ended) -> Self {
        Self::Stream(Stream { chunks, ended, present: None })
    }

    /// The body, whose end also drops `present`.
    pub(crate) fn awaited_by(mut self, present: oneshot::Sender<()>) -> Self {
        match &mut self {
            Self::Whole(_) => {}
            Self::Stream(stream) => stream.present = Some(present),
        }
        self
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Refusal;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        match &mut *self {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Stream(stream) => stream.poll(context),
        }
    }
}

impl Stream {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        // What was still queued when the call ended badly is not handed on.
        if let Some(Err(refusal)) = self.ended.get() {
            return Poll::Ready(Some(Err(refusal.clone())));
        }
        match ready!(self.chunks.poll_recv(context)) {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None => match self.ended.get() {
                Some(Ok(())) => Poll::Ready(None),
                Some(Err(refusal)) => Poll::Ready(Some(Err(refusal.clone()))),
                None => Poll::Ready(Some(Err(Refusal::UpstreamBroken))),
            },
        }
    }
}
