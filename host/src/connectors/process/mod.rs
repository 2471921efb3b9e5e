//! One life of a connector's process: made, read, written, ended. Source: docs/spec/connectors.md#process.
//!
//! A task owns the process and says what becomes of it: `SpawnFailed`, or `Spawned`, any number of messages, and
//! `Exited` as the last word, after everything the process had written was read and after it is known which lines
//! never reached it.

mod reader;
mod writer;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use fcp_proto_core::ids::CallId;
use fcp_state_machines::call::supervisor::{ExitStatus, Process, SpawnError};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, sleep, timeout};

use super::protocol::{Incoming, Violation};
use super::shared::Shared;
use super::{launch::Installation, launch::Program, walls};
use crate::egress::{EgressClient, Identity};
use crate::process_log;
use crate::sandbox::{
    CodeError, CodeImage, Ending, PropertyReport, Refusal, SandboxError, SandboxedChild, SandboxedProcess,
};
pub(super) use writer::Line;

/// What a process's task says.
#[derive(Debug)]
pub(super) enum Event {
    /// It runs.
    Spawned { report: Box<PropertyReport>, launcher: Option<u32> },
    /// It could not be made.
    SpawnFailed { error: SpawnError, message: String },
    /// It wrote a message.
    Said(Incoming),
    /// It broke the protocol; nothing it writes is read any more.
    Broke(Violation),
    /// It is gone. These calls provably never reached it.
    Exited { status: ExitStatus, unwritten: Vec<CallId> },
}

/// An event and the life it belongs to.
pub(super) type Told = (Process, Event);

/// The keeper's hold on a process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Link {
    lines: Option<mpsc::UnboundedSender<Line>>,
    kill: watch::Sender<bool>,
}

impl Link {
    /// Queues a line. False if the process takes none any more.
    pub(super) fn write(&self, line: Line) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.send(line).is_ok())
    }

    /// Ends its input after what is queued.
    pub(super) fn close_input(&mut self) {
        self.lines = None;
    }

    /// Ends it and everything in its sandbox.
    pub(super) fn kill(&self) {
        self.kill.send_replace(true);
    }
}

/// What a process is made from.
pub(super) struct Start {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Identity,
    pub(super) installation: Arc<Installation>,
    /// Egress, if the connector has a way to the network.
    pub(super) egress: Option<EgressClient>,
    pub(super) process: Process,
    pub(super) events: mpsc::Sender<Told>,
}

impl Start {
    /// Makes the process on a task of its own.
    pub(super) fn spawn(self) -> Link {
        let (lines, queue) = mpsc::unbounded_channel();
        let (kill, killed) = watch::channel(false);
        tokio::spawn(self.run(queue, killed));
        Link { lines: Some(lines), kill }
    }

    async fn run(self, queue: mpsc::UnboundedReceiver<Line>, killed: watch::Receiver<bool>) {
        // A keeper that is gone has dropped its link, which kills; nobody hears the event then.
        match self.make().await {
            Err((error, message)) => {
                drop(self.events.send((self.process, Event::SpawnFailed { error, message })).await);
            }
            Ok(child) => self.live(child, queue, killed).await,
        }
    }

    async fn make(&self) -> Result<SandboxedChild, (SpawnError, String)> {
        let passing = |message: String| (SpawnError::Resources, message);
        // Looked at anew for each process: a link or a folder may have been put in the place of another since.
        let (manifest, config) = (&self.installation.manifest, &self.installation.config);
        walls::check_paths(manifest, config, &self.shared.off_limits)
            .map_err(|message| (SpawnError::Sandbox, message))?;
        let code = self.code().await.map_err(refused)?;
        let mut theirs = None;
        if let Some(egress) = &self.egress {
            let (connector, ours) = socket().map_err(|error| passing(error.to_string()))?;
            let attached = egress.attach_connector(self.identity.clone(), ours).await;
            attached.map_err(|error| passing(error.to_string()))?;
            theirs = Some(connector);
        }
        let spec = walls::spec(&self.installation, self.shared.limits.file_size_mib);
        self.shared.sandbox.start(&spec, &code, theirs).await.map_err(refused)
    }

    /// The sealed program, loaded once a digest.
    async fn code(&self) -> Result<CodeImage, SandboxError> {
        let (shared, installation) = (Arc::clone(&self.shared), Arc::clone(&self.installation));
        let digest = *installation.code_digest.as_bytes();
        let sealed = tokio::task::spawn_blocking(move || {
            shared.images.get(digest, || match &installation.program {
                Program::Engine => std::fs::read(&shared.engine),
                Program::File(path) => std::fs::read(path),
                Program::Bytes(bytes) => Ok(bytes.to_vec()),
            })
        });
        let sealed = sealed.await.map_err(|error| CodeError::System(std::io::Error::other(error)))?;
        Ok(sealed?)
    }

    async fn live(
        self,
        child: SandboxedChild,
        queue: mpsc::UnboundedReceiver<Line>,
        mut killed: watch::Receiver<bool>,
    ) {
        let SandboxedChild { streams, mut process, report } = child;
        let launcher = process.launcher_id();
        let spawned = Event::Spawned { report: Box::new(report), launcher };
        drop(self.events.send((self.process, spawned)).await);
        let (over, ended) = watch::channel(false);
        let writing = tokio::spawn(writer::write(streams.stdin, queue, ended));
        let (reads, mut closed) = watch::channel(());
        let reading = tokio::spawn(reader::read(streams.stdout, self.process, self.events.clone(), reads));
        let Identity { connector, zone, .. } = self.identity.clone();
        let logging = tokio::spawn(process_log::capture(streams.stderr, move |line, dropped| {
            tracing::info!(%connector, %zone, dropped, line, "connector log");
        }));
        let status = tokio::select! {
            () = told_to_die(&mut killed) => kill(&mut process).await,
            ending = process.wait() => exit_status(ending),
            () = mute(&mut closed) => {
                drop(self.events.send((self.process, Event::Broke(Violation::OutputClosed))).await);
                kill(&mut process).await
            }
        };
        over.send_replace(true);
        let unwritten = writing.await.unwrap_or_default();
        // Everything in the sandbox is gone, so both streams are at their end; the bound is for a kernel that errs.
        let read = timeout(LAST_WORDS, async { (reading.await, logging.await) }).await;
        if read.is_err() {
            tracing::warn!(connector = %self.identity.connector, "the streams of a gone process do not end");
        }
        drop(self.events.send((self.process, Event::Exited { status, unwritten })).await);
    }
}

/// Returns at the keeper's word, or at its end.
async fn told_to_die(killed: &mut watch::Receiver<bool>) {
    killed.wait_for(|killed| *killed).await.ok();
}

/// Returns when the process's output was closed and it lives on all the same.
async fn mute(closed: &mut watch::Receiver<()>) {
    // An error is the end of the reader, which is what is waited for.
    while closed.changed().await.is_ok() {}
    sleep(OUTPUT_GRACE).await;
}

async fn kill(process: &mut SandboxedProcess) -> ExitStatus {
    exit_status(process.kill().await)
}

fn exit_status(ending: Result<Ending, SandboxError>) -> ExitStatus {
    match ending {
        Ok(Ending::Exited(code)) => ExitStatus::Code(code),
        Ok(Ending::Signalled(signal)) => ExitStatus::Signal(signal),
        Ok(Ending::LifelineClosed) => ExitStatus::Signal(SIGKILL),
        Err(error) => {
            tracing::warn!(%error, "how a connector ended is not known");
            ExitStatus::Signal(SIGKILL)
        }
    }
}

/// The two ends of a connector's descriptor 3: its own and egress's.
fn socket() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// What a failed start means to the supervisor: what a repetition cannot cure stops at once.
fn refused(error: SandboxError) -> (SpawnError, String) {
    let kind = match &error {
        SandboxError::Refused(Refusal::Unattainable(_) | Refusal::Spec(_)) => SpawnError::Sandbox,
        SandboxError::Code(CodeError::DigestMismatch | CodeError::NotSealed)
        | SandboxError::Refused(Refusal::Code(_)) => SpawnError::CodeMismatch,
        SandboxError::LauncherMissing(_)
        | SandboxError::Code(CodeError::System(_))
        | SandboxError::Refused(Refusal::Version(_) | Refusal::Malformed(_) | Refusal::Failed { .. })
        | SandboxError::LauncherFailed(_)
        | SandboxError::System(..) => SpawnError::Resources,
    };
    (kind, error.to_string())
}

const SIGKILL: i32 = 9;

/// For the end of the streams of a process that is gone. Chosen: far above what a loaded machine needs.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// From the end of a process's output to its own end. Chosen: a program that ends closes its output a moment before.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);
