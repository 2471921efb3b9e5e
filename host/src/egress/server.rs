//! The control loop, and the connectors' connections.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Environment;
use super::calls::Calls;
use super::control::{Answer, FromEgress, Identity, OpenWithSecrets, Request, ToEgress, Vitals};
use super::exchange::{self, Shared};
use super::framing::{self, FrameReader};
use super::oauth::RefreshDesk;

/// Serves the daemon until it closes the socket or asks for the end.
pub(crate) async fn serve(control: UnixStream, environment: Arc<Environment>) -> io::Result<()> {
    let (outbox, mut inbox) = mpsc::channel(OUTBOX_FRAMES);
    let desk = Arc::new(RefreshDesk::new(Arc::clone(&environment), outbox.clone()));
    let shared = Arc::new(Shared { environment, calls: Calls::default(), desk: Arc::clone(&desk) });
    let mut listening = pin!(listen(&control, shared, outbox));
    let ended = loop {
        tokio::select! {
            biased;
            Some(message) = inbox.recv() => framing::send(&control, &message, None).await?,
            ended = &mut listening => break ended,
        }
    };
    // What the services rotate just now is handed on before the end.
    let mut fetched = pin!(tokio::time::timeout(LAST_FETCHES, desk.fetched()));
    loop {
        tokio::select! {
            biased;
            Some(message) = inbox.recv() => framing::send(&control, &message, None).await?,
            _ = &mut fetched => break,
        }
    }
    inbox.close();
    while let Some(message) = inbox.recv().await {
        framing::send(&control, &message, None).await?;
    }
    ended
}

async fn listen(
    control: &UnixStream,
    shared: Arc<Shared>,
    outbox: mpsc::Sender<FromEgress>,
) -> io::Result<()> {
    let mut frames = FrameReader::new(control);
    // Dropped at the end, which closes every connection.
    let mut connectors = JoinSet::new();
    while let Some(ToEgress { id, request }) = frames.next().await? {
        while connectors.try_join_next().is_some() {}
        let last = matches!(request, Request::Shutdown);
        let answer = match request {
            Request::Open(message) => open(&shared, *message),
            Request::Close(handle) => {
                shared.calls.close(&handle).await.map_or(Answer::Unknown, Answer::Report)
            }
            Request::Attach(identity) => attach(&mut connectors, &shared, identity, frames.take_descriptor()),
            Request::Revoke { scope, sequence } => Answer::Ended(shared.calls.revoke(scope, sequence).await),
            Request::Reseal { handle, seal } => known(shared.calls.reseal(&handle, seal)),
            Request::Persisted { refresh, stored } => known(shared.desk.persisted(refresh, stored)),
            Request::Strays => Answer::Strays(shared.calls.take_strays()),
            Request::Ping => Answer::Alive(Vitals { calls: shared.calls.count() }),
            Request::Shutdown => Answer::Done,
        };
        let sent = outbox.send(FromEgress::Answer { id, answer }).await;
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        if last {
            break;
        }
    }
    Ok(())
}

fn known(known: bool) -> Answer {
    if known { Answer::Done } else { Answer::Unknown }
}

fn open(shared: &Shared, message: OpenWithSecrets) -> Answer {
    shared.calls.open(message).map_or_else(Answer::NotOpened, |()| Answer::Done)
}

/// Serves a connector on its descriptor. What comes in is that connector's in that zone, whatever it says.
fn attach(
    connectors: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    identity: Identity,
    descriptor: Option<OwnedFd>,
) -> Answer {
    // A descriptor that is no socket is as good as none.
    let Some(Ok(stream)) = descriptor.map(super::stream) else { return Answer::Unknown };
    let (shared, identity) = (Arc::clone(shared), Arc::new(identity));
    connectors.spawn(async move {
        let whose = Arc::clone(&identity);
        let service = service_fn(move |request| {
            let answer = exchange::answer(Arc::clone(&shared), Arc::clone(&identity), request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_REQUESTS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::info!(connector = %whose.connector, zone = %whose.zone, %error, "connector connection ended");
        }
    });
    Answer::Done
}

/// How long refreshes that are under way may hold up the end. Chosen: less than the daemon waits for it.
const LAST_FETCHES: Duration = Duration::from_secs(4);

/// Frames to the daemon that may wait. Chosen: one for each request under way and a few refreshes.
const OUTBOX_FRAMES: usize = 64;

/// Requests of one connector at once. Chosen: above what a connector fans out to.
const MAX_CONCURRENT_REQUESTS: u32 = 64;

/// Largest request head.
const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// What a connector may send ahead of the service's reading, for one request.
const WINDOW_BYTES: u32 = 256 * 1024;

/// The same for all its requests together.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
