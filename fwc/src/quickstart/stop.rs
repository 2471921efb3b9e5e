//! The end: whatever the quickstart started is stopped, however it went.

use std::process::Child;
use std::time::Duration;

use fcp_proto_core::error::Code;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::story::{Stage, Told};
use crate::{Failure, Result, internal};

/// How long the daemon has to end by itself. Chosen: many times what it needs without open calls.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The running daemon. Dropped without having been asked to end, as by a panic, it is killed with all it started.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Takes charge of the process, which leads a process group of its own.
    pub(super) const fn new(child: Child) -> Self {
        Self(child)
    }

    /// The process.
    pub(super) const fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.0.try_wait(), pid_of(&self.0)) {
            // There is nobody left to tell if this fails.
            let _failed = kill_process_group(pid, Signal::KILL).err();
            let _failed = self.0.wait().err();
        }
    }
}

/// Stops the daemon and the service, and returns what was told and what came of the stopping.
pub(super) async fn everything(stage: Stage) -> (Told, Result<String>) {
    let Stage { owner, agent, daemon, service, told, .. } = stage;
    // The operator's key and the agent's session close with their connections.
    drop((owner, agent));
    let daemon = match daemon {
        Some(mut daemon) => end(daemon.child()).await.map(|how| format!("the daemon {how}")),
        None => Ok("no daemon was running".into()),
    };
    let service = match service {
        Some(service) => service.stop().await.map_err(|error| internal(&format!("the service: {error}"))),
        None => Ok(()),
    };
    (told, daemon.and_then(|detail| service.map(|()| detail)))
}

/// Asks the daemon to end; ends its whole process group if it does not, which is then a failure.
async fn end(child: &mut Child) -> Result<String> {
    let pid = pid_of(child)?;
    if let Some(status) = look(child)? {
        return Err(Failure::new(Code::DaemonUnreachable)
            .because(format!("the daemon had ended by itself ({status})"))
            .next("read run/daemon.log in the home"));
    }
    kill_process(pid, Signal::TERM).map_err(|error| internal(&format!("signalling the daemon: {error}")))?;
    for _ in 0..PATIENCE.as_millis().div_ceil(LOOK.as_millis()) {
        match look(child)? {
            Some(status) if status.success() => return Ok("ended by itself when asked".into()),
            Some(status) => {
                return Err(internal(&format!("the daemon ended badly when asked to stop ({status})")));
            }
            None => tokio::time::sleep(LOOK).await,
        }
    }
    kill_process_group(pid, Signal::KILL)
        .map_err(|error| internal(&format!("killing the daemon: {error}")))?;
    child.wait().map_err(|error| internal(&format!("the daemon is lost: {error}")))?;
    Err(internal(&format!("the daemon did not end within {} s and was killed", PATIENCE.as_secs())))
}

fn pid_of(child: &Child) -> Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| internal("the daemon has no process id"))
}

fn look(child: &mut Child) -> Result<Option<std::process::ExitStatus>> {
    child.try_wait().map_err(|error| internal(&format!("the daemon is lost: {error}")))
}
