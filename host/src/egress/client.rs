//! The daemon's half of the control socket.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_state_machines::call::egress::{EgressHandle, OpenRefusal, Scope};
use tokio::net::UnixStream;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::calls::lock;
use super::control::{
    Answer, CallReport, FromEgress, Identity, OpenWithSecrets, RefreshedToken, Request, Strays, ToEgress,
    Vitals,
};
use super::framing::{self, FrameReader};

/// Why egress did not do what the daemon asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The process has ended or its socket failed.
    Gone,
    /// There is no such call.
    UnknownCall,
    /// The call was not opened.
    NotOpened(OpenRefusal),
    /// The answer does not fit the request.
    Protocol,
}

impl ClientError {
    /// Its place in the error registry.
    pub const fn code(self) -> Code {
        match self {
            Self::Gone | Self::Protocol => Code::EgressUnavailable,
            Self::UnknownCall => Code::EgressHandleInvalid,
            Self::NotOpened(refusal) => refusal.code(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the egress process does not answer"),
            Self::UnknownCall => f.write_str("egress knows no such call"),
            Self::NotOpened(refusal) => write!(f, "egress does not open the call: {refusal}"),
            Self::Protocol => f.write_str("egress broke its protocol"),
        }
    }
}

impl std::error::Error for ClientError {}

/// Tokens that egress refreshed, each waiting for the daemon's word that it is durable. Whoever reads them must not wait for
/// an answer of egress in between: while there is no place for a token, no answer is read.
pub type Refreshed = mpsc::Receiver<RefreshedToken>;

/// Speaks to the egress process; clones share the socket.
#[derive(Clone)]
pub struct EgressClient(Arc<Inner>);

struct Inner {
    stream: Arc<UnixStream>,
    /// Frames are written whole, one after the other.
    writing: AsyncMutex<()>,
    next: AtomicU64,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
    /// How long the process may take over an answer.
    patience: Duration,
    /// Whether it took longer.
    silent: watch::Sender<bool>,
}

/// Requests without their answer yet; nothing once the process is gone.
type Waiting = Mutex<Option<BTreeMap<u64, oneshot::Sender<Answer>>>>;

impl Drop for Inner {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl EgressClient {
    /// Speaks to the process at the other end of `control`, within a running tokio runtime. Refreshed tokens come
    /// out of the second part; each must be answered by [`EgressClient::acknowledge`].
    ///
    /// # Errors
    /// If the descriptor is no unix socket.
    pub fn connect(control: OwnedFd) -> io::Result<(Self, Refreshed)> {
        Self::connect_within(control, PATIENCE)
    }

    /// As [`EgressClient::connect`], with the time that the process may take over an answer.
    ///
    /// # Errors
    /// If the descriptor is no unix socket.
    pub fn connect_within(control: OwnedFd, patience: Duration) -> io::Result<(Self, Refreshed)> {
        let stream = Arc::new(super::stream(control)?);
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let (sender, refreshed) = mpsc::channel(WAITING_REFRESHES);
        let (reading, answers) = (Arc::clone(&stream), Arc::clone(&waiting));
        let reader = tokio::spawn(async move {
            if let Err(error) = read(&reading, &answers, &sender).await {
                tracing::warn!(%error, "egress control socket failed");
            }
            // Whoever waits or asks from now on learns that the process is gone.
            lock(&answers).take();
        });
        let (writing, next, silent) = (AsyncMutex::new(()), AtomicU64::new(1), watch::Sender::new(false));
        let inner = Inner { stream, writing, next, waiting, reader, patience, silent };
        Ok((Self(Arc::new(inner)), refreshed))
    }

    /// Returns once the process has left a request without an answer for too long. Whoever started it must then end it:
    /// until it is gone nobody can say what it does, and whoever waits for an answer goes on waiting.
    //= docs/spec/egress.md#control
    pub async fn silent(&self) {
        // This client holds the sender.
        drop(self.0.silent.subscribe().wait_for(|silent| *silent).await);
    }

    /// Opens a call.
    ///
    /// # Errors
    /// If egress refuses it or is gone.
    pub async fn open_call(&self, call: OpenWithSecrets) -> Result<(), ClientError> {
        self.done(Request::Open(Box::new(call)), None).await
    }

    /// Ends a call: when this returns its connections are closed and its secrets wiped.
    ///
    /// # Errors
    /// If there is no such call or egress is gone.
    pub async fn close_call(&self, handle: EgressHandle) -> Result<CallReport, ClientError> {
        let answer = self.ask(Request::Close(handle), None).await?;
        let refused = unexpected(&answer);
        if let Answer::Report(report) = answer { Ok(report) } else { Err(refused) }
    }

    /// Serves a connector at its descriptor.
    ///
    /// # Errors
    /// If egress is gone.
    pub async fn attach_connector(&self, identity: Identity, descriptor: OwnedFd) -> Result<(), ClientError> {
        self.done(Request::Attach(identity), Some(descriptor)).await
    }

    /// Ends every call in `scope` sealed before `sequence`, and refuses such calls from now on. When this returns,
    /// their connections are closed.
    ///
    /// # Errors
    /// If egress is gone.
    pub async fn revoke(&self, scope: Scope, sequence: u64) -> Result<Vec<EgressHandle>, ClientError> {
        let answer = self.ask(Request::Revoke { scope, sequence }, None).await?;
        let refused = unexpected(&answer);
        if let Answer::Ended(handles) = answer { Ok(handles) } else { Err(refused) }
    }

    /// Carries a call over to a newer revocation head against which it was checked again.
    ///
    /// # Errors
    /// If there is no such call, it has ended, or egress is gone.
    pub async fn reseal(&self, handle: EgressHandle, seal: u64) -> Result<(), ClientError> {
        self.done(Request::Reseal { handle, seal }, None).await
    }

    /// Says as which generation a refreshed token is durable; it is used only if it is.
    ///
    /// # Errors
    /// If nothing waits for it any more or egress is gone.
    pub async fn acknowledge(&self, refresh: u64, stored: Option<u64>) -> Result<(), ClientError> {
        self.done(Request::Persisted { refresh, stored }, None).await
    }

    /// The requests that named no open call of their connector, counted since this was asked last.
    ///
    /// # Errors
    /// If egress is gone.
    pub async fn strays(&self) -> Result<Vec<Strays>, ClientError> {
        let answer = self.ask(Request::Strays, None).await?;
        let refused = unexpected(&answer);
        if let Answer::Strays(strays) = answer { Ok(strays) } else { Err(refused) }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// If egress is gone.
    pub async fn ping(&self) -> Result<Vitals, ClientError> {
        let answer = self.ask(Request::Ping, None).await?;
        let refused = unexpected(&answer);
        if let Answer::Alive(vitals) = answer { Ok(vitals) } else { Err(refused) }
    }

    /// Asks the process to end.
    ///
    /// # Errors
    /// If it is gone already.
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        self.done(Request::Shutdown, None).await
    }

    async fn done(&self, request: Request, descriptor: Option<OwnedFd>) -> Result<(), ClientError> {
        let answer = self.ask(request, descriptor).await?;
        if matches!(answer, Answer::Done) { Ok(()) } else { Err(unexpected(&answer)) }
    }

    async fn ask(&self, request: Request, descriptor: Option<OwnedFd>) -> Result<Answer, ClientError> {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.0.waiting).as_mut().ok_or(ClientError::Gone)?.insert(id, sender);
        // On its own task: a caller that gives up must not leave half a frame behind.
        let inner = Arc::clone(&self.0);
        let asking = tokio::spawn(async move {
            let frame = ToEgress { id, request };
            let answered = async {
                let turn = inner.writing.lock().await;
                framing::send(&inner.stream, &frame, descriptor.as_ref().map(AsFd::as_fd)).await.ok()?;
                drop(turn);
                receiver.await.ok()
            };
            let mut answered = pin!(answered);
            if let Ok(answer) = tokio::time::timeout(inner.patience, &mut answered).await {
                return answer;
            }
            tracing::error!("the egress process does not answer");
            inner.silent.send_replace(true);
            answered.await
        });
        asking.await.ok().flatten().ok_or(ClientError::Gone)
    }
}

async fn read(
    stream: &UnixStream,
    waiting: &Waiting,
    refreshed: &mpsc::Sender<RefreshedToken>,
) -> io::Result<()> {
    let mut frames = FrameReader::new(stream);
    while let Some(message) = frames.next().await? {
        match message {
            FromEgress::Answer { id, answer } => {
                let waiter = lock(waiting).as_mut().and_then(|waiting| waiting.remove(&id));
                // A caller that gave up needs no answer.
                waiter.map(|waiter| waiter.send(answer));
            }
            // Waits for a place: a token that was rotated for it must not be dropped. Without a reader nothing is
            // acknowledged, and egress gives the refresh up by itself.
            FromEgress::Refreshed(token) => drop(refreshed.send(token).await),
        }
    }
    Ok(())
}

fn unexpected(answer: &Answer) -> ClientError {
    match answer {
        Answer::NotOpened(refusal) => ClientError::NotOpened(*refusal),
        Answer::Unknown => ClientError::UnknownCall,
        Answer::Done | Answer::Report(_) | Answer::Ended(_) | Answer::Strays(_) | Answer::Alive(_) => {
            ClientError::Protocol
        }
    }
}

/// How long the process may take over an answer. Chosen: far above what a busy machine takes, and below what a person or
/// a service manager waits for a revocation or the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refreshed tokens the daemon has not read yet.
const WAITING_REFRESHES: usize = 64;
