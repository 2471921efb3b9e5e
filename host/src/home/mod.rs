//! The home: one folder that holds everything of one FCP node.
//!
//! ```text
//! HOME/config.toml    settings, read at start and on SIGHUP
//!      home.toml      format version, whose home it is; written last, when the ceremony is done
//!      ceremony.cbor  a confirmed ceremony that is not done yet
//!      keys/          wrapped keys            vault/     sealed credentials
//!      journal/       the durable record      index/     rebuilt from the journal at any time
//!      packages/      installed connectors    agents/    agents' own folders
//!      run/fcp.sock   the daemon's socket     connectors/  manifests, for reading without the daemon
//! ```
//!
//! //= docs/spec/home.md

mod config;
mod config_check;
mod error;
mod facts;
#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod lost;
mod misplaced;
mod private_file;
mod room;
#[cfg(test)]
mod tests;

pub use config::{
    Applies, Change, Config, HealthCredential, IDLE_TABLE_REMEDY, Limits, Listen, Log, LogFormat, LogLevel,
    Sessions, Supervision,
};
pub use config_check::ConfigError;
pub use error::HomeError;
pub use misplaced::Misplaced;
pub use private_file::{Kind, MAX_PRIVATE_FILE, check_private, read_private, remove_all_leftovers};
pub(crate) use room::{Cramped, Room};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::{Files, OsFiles};
use fcp_state_machines::trust::ceremony::HomeFacts;

/// The settings.
pub const CONFIG_FILE: &str = "config.toml";
/// Whose home it is.
pub const HOME_FILE: &str = "home.toml";
/// The record of a confirmed ceremony.
pub const CEREMONY_FILE: &str = "ceremony.cbor";

/// Held by the one process that uses the home.
pub(crate) const LOCK_FILE: &str = "lock";

/// The folders of a home.
pub(crate) const FOLDERS: [&str; 7] = ["keys", "vault", "journal", "index", "packages", "agents", "run"];

/// What belongs to the demonstration in a home; it is there before the home is made.
const DEMONSTRATION: &str = "quickstart";

/// Longest path of a unix socket on Linux, its final zero left out. Source: unix(7).
const MAX_SOCKET_PATH: usize = 107;

/// How far a home is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeState {
    /// It has no owner yet.
    New,
    /// A confirmed ceremony must go on.
    HalfMade,
    /// It is made.
    Made(HomeFacts),
}

/// A folder that is a home, checked: ours, for us alone, of a format we read.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    files: Arc<dyn Files>,
}

impl Home {
    /// Makes the folder a home, or completes one that was not made whole. What is there stays as it is.
    ///
    /// # Errors
    /// [`HomeError::NotAHome`] for a folder with other things in it; else as [`Home::open`].
    pub fn create(path: &Path) -> Result<Self, HomeError> {
        Self::create_in(Arc::new(OsFiles), path)
    }

    /// As [`Home::create`], in the given file system.
    ///
    /// # Errors
    /// As [`Home::create`].
    pub fn create_in(files: Arc<dyn Files>, path: &Path) -> Result<Self, HomeError> {
        let home = Self { path: absolute(path)?, files };
        home.check_socket_path()?;
        home.make_folder()?;
        home.check_folder()?;
        // Before its mode: nobody should be told to close a folder that is something else.
        let names = home.list(&home.path)?;
        let demonstration = names == [DEMONSTRATION];
        if !names.is_empty() && !demonstration && !names.iter().any(|name| is_ours(name)) {
            return Err(HomeError::NotAHome(home.path));
        }
        check_private(&home.path, Kind::Folder)?;
        for folder in FOLDERS {
            let folder = home.path.join(folder);
            home.files.create_dir(&folder).map_err(HomeError::io("create", &folder))?;
        }
        home.write_default_config(&names)?;
        home.files.sync_dir(&home.path).map_err(HomeError::io("flush", &home.path))?;
        home.check()?;
        Ok(home)
    }

    /// Opens a folder that [`Home::create`] made.
    ///
    /// # Errors
    /// [`HomeError::Missing`]; what of it is not ours or open to others; [`HomeError::TooNew`] before anything else of a
    /// newer format is judged.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        Self::open_in(Arc::new(OsFiles), path)
    }

    /// As [`Home::open`], in the given file system.
    ///
    /// # Errors
    /// As [`Home::open`].
    pub fn open_in(files: Arc<dyn Files>, path: &Path) -> Result<Self, HomeError> {
        let home = Self { path: absolute(path)?, files };
        home.check_socket_path()?;
        home.check_folder()?;
        check_private(&home.path, Kind::Folder)?;
        if !FOLDERS.iter().any(|folder| home.path.join(folder).is_dir()) {
            return Err(HomeError::Missing(home.path));
        }
        home.check()?;
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system it is in.
    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// The folder of keys.
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// The folder of sealed credentials.
    pub fn vault(&self) -> PathBuf {
        self.path.join("vault")
    }

    /// The folder of installed connectors.
    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// The folder of the installed connectors' manifests, for whoever asks while the daemon is away.
    pub fn manifests(&self) -> PathBuf {
        self.path.join("connectors")
    }

    /// The folder of the agents' own folders.
    pub fn agents(&self) -> PathBuf {
        self.path.join("agents")
    }

    /// The one folder of a home that a connector may be given: the demonstration's data.
    //= docs/spec/connectors.md#walls
    pub fn connector_data(&self) -> PathBuf {
        self.path.join(DEMONSTRATION).join("data")
    }

    /// The folders of a home.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        FOLDERS.iter().map(|folder| self.path.join(folder)).collect()
    }

    /// The daemon's socket, unless the settings say another.
    pub fn socket(&self) -> PathBuf {
        self.path.join("run").join("fcp.sock")
    }

    /// The record of a confirmed ceremony.
    pub fn ceremony_record(&self) -> PathBuf {
        self.path.join(CEREMONY_FILE)
    }

    /// How far it is.
    ///
    /// # Errors
    /// What is wrong with the files that say so.
    pub fn state(&self) -> Result<HomeState, HomeError> {
        if self.has(CEREMONY_FILE)? {
            return Ok(HomeState::HalfMade);
        }
        Ok(self.facts()?.map_or(HomeState::New, HomeState::Made))
    }

    /// Whose home it is, once it is made.
    ///
    /// # Errors
    /// [`HomeError::TooNew`], or what is wrong with the file.
    pub fn facts(&self) -> Result<Option<HomeFacts>, HomeError> {
        if !self.has(HOME_FILE)? {
            return Ok(None);
        }
        let path = self.path.join(HOME_FILE);
        let bytes = read_private(&*self.files, &path)?;
        facts::parse(&path, &bytes).map(Some)
    }

    /// The text that says whose home it is.
    pub(crate) fn facts_text(facts: &HomeFacts) -> String {
        facts::render(facts)
    }

    /// Writes down that the home is made.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_facts(&self, facts: &HomeFacts) -> Result<(), HomeError> {
        let path = self.path.join(HOME_FILE);
        Ok(atomic_file::write_in(&*self.files, &path, Self::facts_text(facts).as_bytes())?)
    }

    /// Reads the settings; those of a fresh home if there is no file.
    ///
    /// # Errors
    /// [`HomeError::Config`] with line and field.
    pub fn config(&self) -> Result<Config, HomeError> {
        if !self.has(CONFIG_FILE)? {
            return Ok(Config::default());
        }
        let path = self.path.join(CONFIG_FILE);
        let bytes = read_private(&*self.files, &path)?;
        let config = Config::parse(&bytes)?;
        config.check_socket(&bytes, &self.socket())?;
        Ok(config)
    }

    /// Whether the file is there.
    pub(crate) fn has(&self, name: &str) -> Result<bool, HomeError> {
        Ok(self.list(&self.path)?.iter().any(|entry| entry == name))
    }

    /// The names in a folder.
    pub(crate) fn list(&self, folder: &Path) -> Result<Vec<String>, HomeError> {
        self.files.list(folder).map_err(HomeError::io("list", folder))
    }

    /// Removes what a crash left half-written. Only for the process that holds the home's lock: what another one writes looks
    /// the same.
    ///
    /// # Errors
    /// What the file system answers.
    //= docs/spec/home.md#the-home
    pub fn remove_leftovers(&self) -> Result<(), HomeError> {
        remove_all_leftovers(&*self.files, &self.path)
    }

    /// Every part is ours and of a format we read.
    //= docs/spec/home.md#the-home
    fn check(&self) -> Result<(), HomeError> {
        self.facts()?;
        if self.has(LOCK_FILE)? {
            check_private(&self.path.join(LOCK_FILE), Kind::File)?;
        }
        for folder in FOLDERS {
            let folder = self.path.join(folder);
            if folder.symlink_metadata().is_ok() {
                check_private(&folder, Kind::Folder)?;
            } else {
                self.files.create_dir(&folder).map_err(HomeError::io("create", &folder))?;
            }
        }
        Ok(())
    }

    /// What stands in the home's place is a folder, where anything does.
    fn check_folder(&self) -> Result<(), HomeError> {
        match self.path.symlink_metadata() {
            Ok(about) if !about.is_dir() => Err(HomeError::no_folder(&self.path)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn make_folder(&self) -> Result<(), HomeError> {
        if self.path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let create = |path: &Path| self.files.create_dir(path).map_err(HomeError::io("create", path));
        let Some(parent) = self.path.parent() else { return create(&self.path) };
        // What stands in the way of a folder above a home is nothing of a home's.
        std::fs::create_dir_all(parent).map_err(|error| HomeError::Io {
            step: "create",
            path: parent.to_owned(),
            kind: error.kind(),
        })?;
        create(&self.path)?;
        self.files.sync_dir(parent).map_err(HomeError::io("flush", parent))
    }

    fn write_default_config(&self, names: &[String]) -> Result<(), HomeError> {
        if names.iter().any(|name| name == CONFIG_FILE) {
            return Ok(());
        }
        let path = self.path.join(CONFIG_FILE);
        Ok(atomic_file::write_in(&*self.files, &path, config::DEFAULT_FILE.as_bytes())?)
    }

    fn check_socket_path(&self) -> Result<(), HomeError> {
        let socket = self.socket();
        if socket.as_os_str().len() > MAX_SOCKET_PATH { Err(HomeError::PathTooLong(socket)) } else { Ok(()) }
    }
}

/// The path from the root, so that a later change of folder means nothing.
fn absolute(path: &Path) -> Result<PathBuf, HomeError> {
    std::path::absolute(path).map_err(HomeError::io("find", path))
}

/// Whether a name is one that only a home has, or that a crash leaves in one.
fn is_ours(name: &str) -> bool {
    let file = |file: &str| name == file || name.starts_with(&format!(".{file}."));
    FOLDERS.contains(&name) || [CONFIG_FILE, HOME_FILE, CEREMONY_FILE].into_iter().any(file)
}
