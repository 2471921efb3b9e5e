//! One connection: who is at its other end, and one exchange after another.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::error::Code;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::heads::InWords;
use super::listen::{Accepted, Listeners};
use super::places::{Place, Places};
use super::{exchange, sessions};
use crate::daemon::{App, Origin};

/// Who is at the other end of a connection, and its place.
#[derive(Debug)]
pub(super) struct Peer {
    /// Names the connection within this start of the daemon.
    pub(super) connection: u64,
    /// Whose it is, as the kernel says.
    pub(super) origin: Origin,
    /// The user at the other end of a unix socket; absent over TCP.
    pub(super) uid: Option<u32>,
    /// Its place among the connections.
    pub(super) place: Place,
}

/// Serves connections until the daemon stops and those open have ended.
pub async fn serve(app: Arc<App>, mut listeners: Listeners) {
    let places = Arc::new(Places::default());
    let mut open = JoinSet::new();
    let mut draining = app.draining.subscribe();
    let mut connection = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            Some(_) = open.join_next() => continue,
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
        admit(&app, &places, connection, accepted, &mut open);
        // Whoever gave its place away closes before more are taken.
        tokio::task::yield_now().await;
    }
    // Open connections see `draining` too and end after their exchange; the wait is bounded by the daemon's own.
    let ended = async { while open.join_next().await.is_some() {} };
    drop(tokio::time::timeout(DRAIN_WITHIN, ended).await);
    open.detach_all();
}

/// How long open connections may take to end once calls have. Chosen.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How many places anybody's exchanges have.
pub(super) fn most(app: &App) -> usize {
    usize::try_from(app.config().limits.connections).unwrap_or(usize::MAX)
}

/// Waits until the daemon stops.
async fn stopping(draining: &mut watch::Receiver<bool>) {
    // Without a sender there is no daemon any more.
    drop(draining.wait_for(|draining| *draining).await);
}

/// Gives a connection a place, and serves it.
fn admit(app: &Arc<App>, places: &Arc<Places>, connection: u64, accepted: Accepted, open: &mut JoinSet<()>) {
    let (origin, uid) = match &accepted {
        Accepted::Unix { uid, pid, .. } => (Origin::Process { uid: *uid, pid: *pid }, Some(*uid)),
        Accepted::Tcp(_) => (Origin::Tcp, None),
    };
    if uid.is_some_and(|uid| uid != rustix::process::geteuid().as_raw() && uid != 0) {
        tracing::warn!(uid, "a connection of another user was refused");
        return;
    }
    let Some(place) = places.take(connection, origin, most(app)) else {
        tracing::warn!(code = %Code::Exhausted, ?origin, "there is no place for a connection");
        return;
    };
    let (app, peer) = (Arc::clone(app), Peer { connection, origin, uid, place });
    open.spawn(async move {
        match accepted {
            Accepted::Unix { stream, .. } => run(&app, peer, stream).await,
            Accepted::Tcp(stream) => run(&app, peer, stream).await,
        }
        sessions::connection_ended(&app, connection).await;
    });
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(app: &Arc<App>, peer: Peer, stream: S) {
    let peer = Arc::new(peer);
    let service = service_fn(|request| {
        let (app, peer) = (Arc::clone(app), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(exchange::run(app, peer, request).await) }
    });
    let served = protocol().serve_connection(TokioIo::new(InWords::new(stream)), service);
    tokio::pin!(served);
    let mut draining = app.draining.subscribe();
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = peer.place.lost() => return,
        () = stopping(&mut draining) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, connection = peer.connection, "a connection ended");
    }
}

/// How requests are read.
fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    // The place has the time of a head: this one would end the resting connection of an open session too.
    protocol.header_read_timeout(None).max_headers(64);
    protocol
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};
    use std::time::Instant;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::rt::{Sleep, Timer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Counts how often it is asked for time.
    #[derive(Clone, Debug, Default)]
    struct Asked(Arc<AtomicUsize>);

    /// A time that is never over.
    struct Never;

    impl Future for Never {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    impl Sleep for Never {}

    impl Timer for Asked {
        fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(Never)
        }

        fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
            self.sleep(Duration::ZERO)
        }
    }

    //= docs/spec/api.md#room
    #[tokio::test]
    async fn the_protocol_has_no_time_of_its_own_for_a_connection_that_rests() {
        let (mut caller, server) = tokio::io::duplex(1024);
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let asked = Asked::default();
        let mut timed = protocol();
        timed.timer(asked.clone());
        tokio::spawn(timed.serve_connection(TokioIo::new(server), service));
        for _ in 0..2 {
            caller.write_all(b"GET / HTTP/1.1\r\nhost: fcp\r\n\r\n").await.unwrap();
            let mut answer = [0; 1024];
            let length = caller.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        }
        assert_eq!(asked.0.load(Ordering::Relaxed), 0, "a session may be open on it");
    }
}
