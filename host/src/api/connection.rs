//! One connection: who is at its other end, and one exchange after another.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::error::Code;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use super::listen::{Accepted, Listeners};
use super::{exchange, sessions};
use crate::daemon::App;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// Names the connection within this start of the daemon.
    pub(super) connection: u64,
    /// The user at the other end of a unix socket, as the kernel says; absent over TCP.
    pub(super) uid: Option<u32>,
}

/// How long a caller may take to send the head of a request. Chosen: one that is slower holds a connection for nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Serves connections until the daemon stops and those open have ended.
pub async fn serve(app: Arc<App>, mut listeners: Listeners) {
    let most = usize::try_from(app.config().limits.connections).unwrap_or(usize::MAX);
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let mut draining = app.draining.subscribe();
    let mut connection = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            () = stopping(&mut draining) => break,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the peer was gone already: neither lasts, and neither may end the daemon.
                tracing::warn!(%error, code = %Code::Exhausted, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        connection += 1;
        // The place is taken before the next accept, so that callers wait in the kernel's queue and not in memory.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            admit(&app, connection, accepted).await;
            sessions::connection_ended(&app, connection).await;
            drop(place);
        });
    }
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    // Open connections see `draining` too and end after their exchange; the wait is bounded by the daemon's own.
    drop(tokio::time::timeout(DRAIN_WITHIN, places.acquire_many(most)).await);
}

/// How long open connections may take to end once calls have. Chosen.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Waits until the daemon stops.
async fn stopping(draining: &mut watch::Receiver<bool>) {
    // Without a sender there is no daemon any more.
    drop(draining.wait_for(|draining| *draining).await);
}

async fn admit(app: &Arc<App>, connection: u64, accepted: Accepted) {
    match accepted {
        Accepted::Unix { stream, uid } => {
            let ours = rustix::process::geteuid().as_raw();
            if uid != ours && uid != 0 {
                tracing::warn!(uid, "a connection of another user was refused");
                return;
            }
            run(app, Peer { connection, uid: Some(uid) }, stream).await;
        }
        Accepted::Tcp(stream) => run(app, Peer { connection, uid: None }, stream).await,
    }
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(app: &Arc<App>, peer: Peer, stream: S) {
    let peer = Arc::new(peer);
    let service = service_fn(|request| {
        let (app, peer) = (Arc::clone(app), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(exchange::run(app, peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut draining = app.draining.subscribe();
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stopping(&mut draining) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, connection = peer.connection, "a connection ended");
    }
}
