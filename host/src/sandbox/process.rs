//! One launcher and what runs under it.

use super::{CodeImage, SandboxError};
use fcp_launcher::{Ending, MAX_PACKET, Message, ORDER_VERSION, Order, PropertyReport, SandboxSpec};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    sendmsg, shutdown, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{UnixDatagram, unix::pipe};
use tokio::process::{Child, Command};

/// A program that runs inside its walls.
#[derive(Debug)]
pub struct SandboxedChild {
    /// Its standard streams.
    pub streams: ConnectorStreams,
    /// The process, to be waited for or killed.
    pub process: SandboxedProcess,
    /// How every property of the sandbox is met.
    pub report: PropertyReport,
}

/// The daemon's ends of a program's standard streams.
#[derive(Debug)]
pub struct ConnectorStreams {
    /// What it reads.
    pub stdin: pipe::Sender,
    /// What it answers.
    pub stdout: pipe::Receiver,
    /// What it logs.
    pub stderr: pipe::Receiver,
}

/// The lifeline. Dropping it ends everything in the sandbox.
#[derive(Debug)]
pub struct SandboxedProcess {
    control: UnixDatagram,
    launcher: Child,
    ending: Option<Ending>,
}

impl SandboxedProcess {
    /// Waits until the program has ended, with all it had started. May be cancelled and called again.
    pub async fn wait(&mut self) -> Result<Ending, SandboxError> {
        while self.ending.is_none() {
            match receive(&self.control).await? {
                Some(Message::Ended(ending)) => self.ending = Some(ending),
                Some(Message::Report(_) | Message::Started | Message::Refused(_)) => {
                    return Err(SandboxError::LauncherFailed("spoke out of turn"));
                }
                None => break,
            }
        }
        self.launcher.wait().await.map_err(SandboxError::system("waiting for the launcher"))?;
        self.ending.ok_or(SandboxError::LauncherFailed("ended without saying how the program did"))
    }

    /// Ends everything in the sandbox and waits until it is gone.
    pub async fn kill(&mut self) -> Result<Ending, SandboxError> {
        match shutdown(&self.control, Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => self.wait().await,
            Err(error) => Err(SandboxError::System("closing the lifeline", error.into())),
        }
    }

    /// The launcher's process number, for `status`. Nothing once it was waited for.
    pub fn launcher_id(&self) -> Option<u32> {
        self.launcher.id()
    }
}

/// Everything one start needs.
pub(super) struct Launch<'a> {
    pub(super) launcher: &'a Path,
    pub(super) spec: &'a SandboxSpec,
    pub(super) code: &'a CodeImage,
    pub(super) egress: Option<OwnedFd>,
}

/// The far ends of a program's streams.
struct FarStreams([OwnedFd; 3]);

impl Launch<'_> {
    pub(super) async fn run(self) -> Result<SandboxedChild, SandboxError> {
        let (streams, far) = open_streams().map_err(SandboxError::system("opening the streams"))?;
        let mut process = self.spawn()?;
        self.order(&process.control, far).map_err(SandboxError::system("ordering the sandbox"))?;
        // Descriptors handed over are the sandbox's alone, so that their end is seen when it ends.
        drop(self.egress);
        match tokio::time::timeout(START_TIME, report(&process.control)).await {
            Ok(Ok(report)) => Ok(SandboxedChild { streams, process, report }),
            Ok(Err(error)) => {
                reap(&mut process).await?;
                Err(error)
            }
            Err(_) => {
                reap(&mut process).await?;
                Err(SandboxError::LauncherFailed("did not answer in time"))
            }
        }
    }

    fn spawn(&self) -> Result<SandboxedProcess, SandboxError> {
        let flags = SocketFlags::CLOEXEC;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|error| SandboxError::System("opening the lifeline", error.into()))?;
        rustix::io::ioctl_fionbio(&near, true)
            .map_err(|error| SandboxError::System("opening the lifeline", error.into()))?;
        let launcher = Command::new(self.launcher)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(far))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(SandboxError::system("starting the launcher"))?;
        // Tokio has no type for sockets that keep packets in order; that of datagrams reads them packet by packet too.
        let control =
            UnixDatagram::from_std(near.into()).map_err(SandboxError::system("opening the lifeline"))?;
        Ok(SandboxedProcess { control, launcher, ending: None })
    }

    /// Sends the order. The socket is empty and the packet fits, so it never has to wait.
    fn order(&self, control: &UnixDatagram, far: FarStreams) -> io::Result<()> {
        let order = Order { version: ORDER_VERSION, spec: self.spec.clone(), egress: self.egress.is_some() };
        let packet = serde_json::to_vec(&order)?;
        let streams = far.0.iter().map(AsFd::as_fd);
        let passed: Vec<_> = [self.code.descriptor()]
            .into_iter()
            .chain(streams)
            .chain(self.egress.iter().map(AsFd::as_fd))
            .collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(5))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if packet.len() > MAX_PACKET || !ancillary.push(SendAncillaryMessage::ScmRights(&passed)) {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        sendmsg(control, &[IoSlice::new(&packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Waits for the launcher's report and the start of the program.
async fn report(control: &UnixDatagram) -> Result<PropertyReport, SandboxError> {
    let mut report = None;
    loop {
        match receive(control).await? {
            Some(Message::Report(received)) => report = Some(received),
            Some(Message::Refused(refusal)) => return Err(SandboxError::Refused(refusal)),
            Some(Message::Started) => {
                return report.ok_or(SandboxError::LauncherFailed("started the program without a report"));
            }
            // Inner was killed from outside, by the memory limit for one, before it could tell of a start.
            Some(Message::Ended(_)) => {
                return Err(SandboxError::LauncherFailed("told an end before a start"));
            }
            None => return Err(SandboxError::LauncherFailed("ended without an answer")),
        }
    }
}

/// Closes the lifeline and waits for the launcher, so that nothing is left behind.
async fn reap(process: &mut SandboxedProcess) -> Result<(), SandboxError> {
    match shutdown(&process.control, Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => {}
        Err(error) => return Err(SandboxError::System("closing the lifeline", error.into())),
    }
    process.launcher.wait().await.map_err(SandboxError::system("waiting for the launcher"))?;
    Ok(())
}

/// Receives one message; nothing when the launcher is gone.
async fn receive(control: &UnixDatagram) -> Result<Option<Message>, SandboxError> {
    let mut bytes = vec![0; MAX_PACKET];
    let length = match control.recv(&mut bytes).await {
        Ok(0) => return Ok(None),
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        Err(error) => return Err(SandboxError::System("hearing the launcher", error)),
    };
    let message = serde_json::from_slice(&bytes[..length]);
    message.map(Some).map_err(|_| SandboxError::LauncherFailed("said something that makes no sense"))
}

fn open_streams() -> io::Result<(ConnectorStreams, FarStreams)> {
    let (far_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdout, far_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, far_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let streams = ConnectorStreams {
        stdin: pipe::Sender::from_owned_fd(stdin)?,
        stdout: pipe::Receiver::from_owned_fd(stdout)?,
        stderr: pipe::Receiver::from_owned_fd(stderr)?,
    };
    Ok((streams, FarStreams([far_stdin, far_stdout, far_stderr])))
}

/// How long a start may take; it takes some milliseconds. Chosen: far above what a loaded machine needs.
const START_TIME: Duration = Duration::from_secs(30);
