//! The FCP home: where things lie in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, ZoneId};

use crate::{Failure, Result};

/// Most bytes of the path of a home's socket: what the system's address of one has room for.
//= docs/spec/home.md#the-home
pub(crate) const MAX_SOCKET_PATH: usize = 107;

/// A home's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The home at `given`, or `~/.fcp`.
    ///
    /// # Errors
    /// [`Code::HomeMissing`] if neither is given nor known; [`Code::InputInvalid`] if it cannot be made absolute.
    pub(crate) fn new(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => std::env::home_dir()
                .filter(|home| home.is_absolute())
                .map(|home| home.join(".fcp"))
                .ok_or_else(|| {
                    Failure::new(Code::HomeMissing)
                        .because("there is no HOME to find ~/.fcp in")
                        .next("name the home with --home DIR")
                })?,
        };
        let path = std::path::absolute(&path).map_err(|error| crate::file_failure("find", &path, &error))?;
        Ok(Self(path))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The failure of a home that does not exist.
    pub(crate) fn absent(&self) -> Failure {
        Failure::new(Code::HomeMissing).because(format!("there is no {}", self.0.display()))
    }

    /// Why no daemon of this home can be asked, if that is the home's fault: it does not exist, or is another user's.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        let own = rustix::process::geteuid();
        let place = self.0.display();
        let why = match std::fs::metadata(&self.0) {
            Ok(about) if own.is_root() || about.uid() == own.as_raw() => return None,
            Ok(about) => format!("{place} belongs to the user {}", about.uid()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(self.absent()),
            Err(error) => format!("{place}: {error}"),
        };
        let next = "run the command as the home's user, or with a home of your own: `fwc --home DIR up`";
        Some(Failure::new(Code::FileForbidden).because(why).next(next))
    }

    /// Whether it has an owner, or a ceremony that the next daemon completes by itself.
    pub(crate) fn has_owner(&self) -> bool {
        ["home.toml", "ceremony.cbor"].iter().any(|file| self.0.join(file).exists())
    }

    /// What the daemon makes anew at each start.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("fcp.sock")
    }

    /// What a daemon holds from its start to its end.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// What the daemon prints before its own log is open.
    pub(crate) fn daemon_output(&self) -> PathBuf {
        self.run().join("daemon.log")
    }

    /// Files that hand agents' sessions down.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.run().join("sessions")
    }

    /// Agents' keys.
    pub(crate) fn agents(&self) -> PathBuf {
        self.0.join("agents")
    }

    /// One agent's key.
    pub(crate) fn agent_key(&self, agent: &PrincipalId) -> PathBuf {
        self.agents().join(format!("{agent}.key"))
    }

    /// The key of a zone, which every zone of the home has.
    pub(crate) fn zone_key(&self, zone: &ZoneId) -> PathBuf {
        self.0.join("keys").join(format!("zone.{}.key", zone.as_str().replace(':', "_")))
    }

    /// Whose packages it trusts.
    pub(crate) fn publishers(&self) -> PathBuf {
        self.0.join("publishers.txt")
    }

    /// The manifests of the installed connectors, as the daemon leaves them for reading without it.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.0.join("connectors")
    }
}
