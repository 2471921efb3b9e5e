//! Who listens where a home's daemon would, when nobody answers there: the home's lock says whether a daemon runs.

use std::fs::{OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use fcp_api::client::Client;
use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use rustix::fs::OFlags;

use crate::Failure;
use crate::home::Home;

/// How long a daemon may take to say how it is. Chosen: many times what one under load takes, and less than patience.
//= docs/spec/api.md#transport
pub(crate) const PROBE: Duration = Duration::from_secs(10);

/// How long the kernel may take to let somebody in. Chosen: it takes nothing where there is room.
const LET_IN: Duration = Duration::from_secs(1);

/// Who listens on the socket of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Nobody.
    Nobody,
    /// The home's daemon: a process holds the lock.
    Daemon,
    /// Somebody else: no daemon of the home runs.
    Stranger {
        /// The process, as the kernel says.
        pid: i32,
    },
}

impl Listener {
    /// Looks, after nobody answered. The lock is asked only where somebody listens, so that the question never stands in the
    /// way of a daemon that is about to take it.
    pub(crate) async fn find(client: &mut Client, home: &Home) -> Self {
        client.hang_up();
        let connected = tokio::time::timeout(LET_IN, client.daemon_pid()).await;
        client.hang_up();
        match connected {
            Ok(Ok(_)) | Err(_) if is_held(&home.lock()) => Self::Daemon,
            Ok(Ok(pid)) => Self::Stranger { pid },
            // What lets nobody connect is not named by the kernel.
            Err(_) => Self::Stranger { pid: 0 },
            Ok(Err(_)) => Self::Nobody,
        }
    }

    /// `failure` of a daemon that does not answer, with what leads on from it.
    pub(crate) fn explain(&self, failure: Failure, home: &Home) -> Failure {
        match self {
            // What was sent and not answered may have been done, and its own step says so.
            Self::Nobody => failure,
            Self::Daemon if !failure.retryable => failure,
            Self::Daemon => failure.next(
                "`fwc status` again in a moment: the daemon runs and may be busy; `fwc down` stops it, and then `fwc up` starts it",
            ),
            Self::Stranger { pid } => stranger(*pid, &home.socket()),
        }
    }
}

/// The failure of a socket on which something else listens.
fn stranger(pid: i32, socket: &Path) -> Failure {
    let process = match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("the process {pid} ({})", name.trim_end()),
        Err(_) => "another process".to_owned(),
    };
    let why = format!("no daemon of this home runs, and {process} listens on {}", socket.display());
    let next = format!("end that process, or `rm {}`; then `fwc up`", quoted(&socket.to_string_lossy()));
    Failure::new(Code::AddressInUse).because(why).next(next)
}

/// Whether a process holds the lock, as a daemon does from its start to its end.
fn is_held(lock: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(lock) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use fcp_api::client::Target;

    use super::*;

    //= docs/spec/api.md#transport
    #[tokio::test]
    async fn the_lock_tells_a_silent_daemon_from_a_stranger() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(Some(folder.path())).unwrap();
        let mut client = Client::new(Target::Unix(home.socket()));
        assert_eq!(Listener::find(&mut client, &home).await, Listener::Nobody);
        std::fs::create_dir(home.run()).unwrap();
        let _silent = std::os::unix::net::UnixListener::bind(home.socket()).unwrap();
        let pid = std::process::id().cast_signed();
        let found = Listener::find(&mut client, &home).await;
        assert_eq!(found, Listener::Stranger { pid }, "there is no lock");
        let failure = found.explain(Failure::new(Code::DaemonUnreachable), &home);
        assert_eq!(failure.code, Code::AddressInUse);
        assert!(failure.why.unwrap().contains(&format!("process {pid} (")), "it is named");
        assert!(failure.next.contains("`rm ") && failure.next.contains("fcp.sock`"), "{}", failure.next);
        let lock = std::fs::File::create(home.lock()).unwrap();
        assert_eq!(Listener::find(&mut client, &home).await, Listener::Stranger { pid });
        lock.lock().unwrap();
        let found = Listener::find(&mut client, &home).await;
        assert_eq!(found, Listener::Daemon);
        let failure = found.explain(Failure::new(Code::DaemonUnreachable), &home);
        assert!(failure.code == Code::DaemonUnreachable && failure.next.contains("`fwc down`"));
    }
}
