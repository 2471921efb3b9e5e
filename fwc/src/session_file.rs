//! The file that hands an agent's session down to the commands it runs: `FCP_SESSION` holds its path, never the session.

use std::path::{Path, PathBuf};

use fcp_api::body;
use fcp_api::hex::Hex;
use fcp_api::secret::Secret;
use fcp_api::types::SessionOpened;
use fcp_proto_core::ids::{PrincipalId, ZoneId};
use fcp_proto_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{Failure, Result, private_file};

/// The variable that holds the file's path.
pub(crate) const VARIABLE: &str = "FCP_SESSION";

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

    /// Writes it into `folder`, for the owner alone.
    ///
    /// # Errors
    /// What makes the file impossible to write.
    pub(crate) fn store(&self, folder: &Path) -> Result<PathBuf> {
        private_file::create_folder(folder)?;
        let path = folder.join(format!("{}.json", self.session_id));
        private_file::create(&path, &body::write(self)?)?;
        Ok(path)
    }

    /// Reads it.
    ///
    /// # Errors
    /// What makes the file unfit, and that the session is probably over if there is none.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let again = "open a new session with `fwc agent run NAME -- COMMAND`";
        let text = private_file::read(path).map_err(|failure| failure.next(again))?;
        let file: Self = body::read(text.as_bytes(), text.len()).map_err(|failure| failure.next(again))?;
        if file.version == 1 {
            return Ok(file);
        }
        let why = format!("{} is of version {}", path.display(), file.version);
        Err(Failure::new(fcp_proto_core::error::Code::VersionUnsupported).because(why))
    }
}
