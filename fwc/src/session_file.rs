//! The file that hands an agent's session down to the commands it runs: `FCP_SESSION` holds its path, never the session.
//!
//! The process that opened the session holds a lock on the file. A file without one was left by a process that was killed:
//! its session is over, for the daemon ends it with the connection. It is used by nobody and removed by the next run.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use fcp_api::body;
use fcp_api::hex::Hex;
use fcp_api::secret::Secret;
use fcp_api::types::SessionOpened;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{Failure, Result, file_failure, private_file};

/// The variable that holds the file's path.
pub(crate) const VARIABLE: &str = "FCP_SESSION";

/// Whether the environment tells of a session, whatever has become of it.
pub(crate) fn is_handed_down() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|path| !path.is_empty())
}

/// What the file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionFile {
    /// The format's version: 1.
    pub(crate) version: u32,
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
    /// The session's name.
    pub(crate) session_id: Hex<16>,
    /// The session.
    pub(crate) session: Secret,
    /// The agent.
    pub(crate) agent: PrincipalId,
    /// Its zone.
    pub(crate) zone: ZoneId,
    /// Until when it lasts.
    pub(crate) expires_at: UnixTime,
}

impl SessionFile {
    /// The file's content for a session of the daemon at `socket`.
    pub(crate) fn new(opened: &SessionOpened, socket: PathBuf) -> Self {
        Self {
            version: 1,
            socket,
            session_id: opened.session_id,
            session: opened.session.clone(),
            agent: opened.agent.clone(),
            zone: opened.zone.clone(),
            expires_at: opened.expires_at,
        }
    }

    /// Writes it into `folder`, for the owner alone, and removes what killed processes left there.
    ///
    /// # Errors
    /// What makes the file impossible to write.
    pub(crate) fn store(&self, folder: &Path) -> Result<HandedDown> {
        private_file::create_folder(folder)?;
        let failed = |error: std::io::Error| file_failure("lock", folder, &error);
        // Nobody removes a file between its making and its lock.
        let turn = File::open(folder).map_err(failed)?;
        turn.lock().map_err(failed)?;
        remove_left(folder)?;
        let path = folder.join(format!("{}.json", self.session_id));
        private_file::create(&path, &body::write(self)?)?;
        let lock = File::open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(HandedDown { path, _lock: lock })
    }

    /// Reads it.
    ///
    /// # Errors
    /// What makes the file unfit, and that the session is probably over if there is none.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let again = "open a new session with `fwc agent run NAME -- COMMAND`";
        if is_left(path).unwrap_or(false) {
            let why = format!(
                "the `fwc agent run` that made {} has ended, and its session with it",
                path.display()
            );
            return Err(Failure::new(Code::Unauthenticated).because(why).next(again));
        }
        let text = private_file::read(path).map_err(|failure| failure.next(again))?;
        let file: Self = body::read(text.as_bytes(), text.len()).map_err(|failure| failure.next(again))?;
        if file.version == 1 {
            return Ok(file);
        }
        let why = format!("{} is of version {}", path.display(), file.version);
        Err(Failure::new(Code::VersionUnsupported).because(why))
    }
}

/// A session file in its place, as long as this lives.
pub(crate) struct HandedDown {
    path: PathBuf,
    _lock: File,
}

impl HandedDown {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HandedDown {
    fn drop(&mut self) {
        // If it stays, it is one that nobody holds, and the next run removes it.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Whether nobody holds the session file at `path`.
//= docs/spec/output.md#fwc-agent-run
fn is_left(path: &Path) -> std::io::Result<bool> {
    match File::open(path)?.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove_left(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| file_failure("read", folder, &error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let removed = is_left(&path).and_then(|left| if left { std::fs::remove_file(&path) } else { Ok(()) });
        match removed {
            // Its own process may have removed it in the meantime.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_failure("remove", &path, &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
