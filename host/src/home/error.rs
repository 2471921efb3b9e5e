//! Why a folder is no home for us.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fcp_api::shell::quoted;
use fcp_proto_core::error::Code;
use fcp_runtime_tokio::storage::error::{StorageError, code_of};

use super::{ConfigError, Misplaced};

/// Why a folder or file is of no use to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeError {
    /// There is no home.
    Missing(PathBuf),
    /// The folder holds other things and nothing of a home.
    NotAHome(PathBuf),
    /// A newer release wrote it.
    TooNew {
        /// The file that says so.
        file: PathBuf,
        /// Its format version.
        version: u64,
    },
    /// Another user owns it.
    ForeignOwner {
        /// What.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// Others than its owner may read or change it.
    OpenToOthers {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The home's place is a link or holds no folder.
    NoFolder {
        /// The place.
        path: PathBuf,
        /// The folder that a link leads to.
        leads_to: Option<PathBuf>,
    },
    /// It is a link or another thing than it must be.
    WrongKind {
        /// Its place.
        path: PathBuf,
        /// What stands there.
        found: Misplaced,
    },
    /// A file is not there.
    FileMissing(PathBuf),
    /// `home.toml` is gone from a home that was made.
    FactsLost {
        /// The file.
        file: PathBuf,
        /// The command that writes it again, if the journal tells what it said.
        remedy: Option<String>,
    },
    /// A file is larger than any of its kind.
    FileTooLarge(PathBuf),
    /// A file is not what it should be.
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file that the settings name has no token that could admit callers.
    BadToken {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The socket's path would be longer than the system takes.
    PathTooLong(PathBuf),
    /// The settings do not follow their schema.
    Config(ConfigError),
    /// The system refused a step.
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system answered.
        kind: io::ErrorKind,
    },
    /// Storage could not write.
    Storage(StorageError),
}

impl HomeError {
    /// The error that a step on a path met.
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let (path, kind) = (path.to_owned(), error.kind());
            Self::in_the_way(&path, kind).unwrap_or(Self::Io { step, path, kind })
        }
    }

    /// The error of a place in which something else stands than must.
    pub(crate) fn wrong_kind(path: &Path) -> Self {
        let found = Misplaced::at(path).unwrap_or(Misplaced::OtherKind);
        Self::WrongKind { path: path.to_owned(), found }
    }

    /// The error of a home's place in which no folder stands.
    pub(crate) fn no_folder(path: &Path) -> Self {
        let leads_to = match Misplaced::at(path) {
            Some(Misplaced::LinkToFolder(target)) => Some(target),
            Some(Misplaced::LinkToFile(_) | Misplaced::LinkToNothing | Misplaced::OtherKind) | None => None,
        };
        Self::NoFolder { path: path.to_owned(), leads_to }
    }

    /// What stands at `path`, where that is why the system refuses a step.
    fn in_the_way(path: &Path, kind: io::ErrorKind) -> Option<Self> {
        let is_of_kind = matches!(
            kind,
            io::ErrorKind::AlreadyExists
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidInput
        );
        let found = Misplaced::at(path)?;
        // A link is not followed, whatever the system calls that.
        let stands_there = is_of_kind || found != Misplaced::OtherKind;
        stands_there.then(|| Self::WrongKind { path: path.to_owned(), found })
    }

    /// The registered code of this failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::HomeMissing,
            Self::NotAHome(_) | Self::NoFolder { .. } => Code::Conflict,
            Self::TooNew { .. } => Code::HomeTooNew,
            Self::ForeignOwner { .. } | Self::OpenToOthers { .. } => Code::FileForbidden,
            Self::WrongKind { .. }
            | Self::FileMissing(_)
            | Self::FactsLost { .. }
            | Self::FileTooLarge(_)
            | Self::Damaged { .. } => Code::StoreCorrupt,
            Self::BadToken { .. } => Code::ConfigInvalid,
            Self::PathTooLong(_) => Code::OutOfRange,
            Self::Config(error) => error.code(),
            Self::Io { kind, .. } => code_of(*kind),
            Self::Storage(error) => error.code(),
        }
    }

    /// Where it is, if it is a file's or folder's.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing(path)
            | Self::NotAHome(path)
            | Self::TooNew { file: path, .. }
            | Self::ForeignOwner { path, .. }
            | Self::OpenToOthers { path, .. }
            | Self::NoFolder { path, .. }
            | Self::WrongKind { path, .. }
            | Self::FileMissing(path)
            | Self::FactsLost { file: path, .. }
            | Self::FileTooLarge(path)
            | Self::Damaged { file: path, .. }
            | Self::BadToken { file: path, .. }
            | Self::PathTooLong(path)
            | Self::Io { path, .. } => Some(path),
            Self::Config(_) | Self::Storage(_) => None,
        }
    }

    /// What to do next, where it is more than the code's own advice.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NotAHome(_) | Self::NoFolder { leads_to: None, .. } => {
                Some("choose an empty folder, or one that does not exist yet: `fwc --home DIR up`".into())
            }
            Self::NoFolder { leads_to: Some(folder), .. } => {
                Some(format!("name the folder itself: `fwc --home {} up`", shown(folder)))
            }
            Self::ForeignOwner { uid, .. } => Some(format!("run as the user {uid}, or choose another home")),
            Self::OpenToOthers { path, .. } => {
                let mode = if path.is_dir() { 700 } else { 600 };
                Some(format!("`chmod {mode} {}`", shown(path)))
            }
            Self::WrongKind { path, found } => Some(found.remedy(path)),
            Self::PathTooLong(_) => Some("choose a home with a shorter path".into()),
            Self::FileMissing(path) | Self::Damaged { file: path, .. } => {
                Some(format!("restore {} from a backup", path.display()))
            }
            Self::BadToken { file, .. } => Some(format!(
                "`(umask 077; od -An -vtx1 -N32 /dev/urandom | tr -d ' \\n' > {})`, and give callers what it holds",
                file.display()
            )),
            Self::FactsLost { file, remedy } => {
                let restore = || format!("restore {} from a backup", file.display());
                Some(remedy.clone().unwrap_or_else(restore))
            }
            Self::Io { path, kind, .. } | Self::Storage(StorageError::Io { path, kind, .. }) => {
                of_kind(path, *kind)
            }
            Self::Missing(_)
            | Self::TooNew { .. }
            | Self::FileTooLarge(_)
            | Self::Config(_)
            | Self::Storage(_) => None,
        }
    }
}

/// What puts right what the system answered to a step on a path.
fn of_kind(path: &Path, kind: io::ErrorKind) -> Option<String> {
    let (place, name) = (shown(path), path.display());
    if kind == io::ErrorKind::ReadOnlyFilesystem {
        Some(remedy_of_reading_only(path))
    } else if kind == io::ErrorKind::PermissionDenied {
        Some(format!("`ls -ld {place}` shows whose it is and who may use it; run as that user"))
    } else if matches!(kind, io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) {
        Some(format!("a part of the path of {name} is no folder: choose another with `fwc --home DIR up`"))
    } else {
        None
    }
}

/// What makes a file system writable that is mounted for reading only.
pub(super) fn remedy_of_reading_only(path: &Path) -> String {
    // What could not be made is not there to be asked about.
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let mounted = format!("\"$(findmnt -n -o TARGET --target {})\"", shown(there));
    format!("mount what holds it for writing: `mount -o remount,rw {mounted}`")
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

impl fmt::Display for HomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "there is no FCP home at {}", path.display()),
            Self::NotAHome(path) => write!(f, "{} is not empty and no FCP home", path.display()),
            Self::TooNew { file, version } => {
                write!(f, "{} has format version {version}, written by a newer release", file.display())
            }
            Self::ForeignOwner { path, uid } => write!(f, "{} belongs to the user {uid}", path.display()),
            Self::OpenToOthers { path, mode } => {
                write!(f, "{} is open to other users (mode {mode:04o})", path.display())
            }
            Self::NoFolder { path, leads_to: Some(folder) } => {
                write!(f, "{} is a link to {}, and a home is no link", path.display(), folder.display())
            }
            Self::NoFolder { path, leads_to: None } => write!(f, "{} is no folder", path.display()),
            Self::WrongKind { path, found } => write!(f, "{} {found}", path.display()),
            Self::FileMissing(path) => write!(f, "{} is missing", path.display()),
            Self::FactsLost { file, .. } => {
                write!(f, "{} is missing, and the home has keys or records of an owner", file.display())
            }
            Self::FileTooLarge(path) => write!(f, "{} is too large", path.display()),
            Self::Damaged { file, reason } => write!(f, "{} is damaged: {reason}", file.display()),
            Self::BadToken { file, reason } => {
                write!(f, "`listen.tcp_token_file` in config.toml: {} {reason}", file.display())
            }
            Self::PathTooLong(path) => {
                write!(f, "the socket's path {} is longer than the system takes", path.display())
            }
            Self::Config(error) => error.fmt(f),
            Self::Io { step, path, kind } => write!(f, "cannot {step} {}: {kind}", path.display()),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HomeError {}

impl From<StorageError> for HomeError {
    fn from(error: StorageError) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "no other error is of a file's own")]
        match error {
            StorageError::Io { path, kind, .. } if Self::in_the_way(&path, kind).is_some() => {
                Self::wrong_kind(&path)
            }
            error => Self::Storage(error),
        }
    }
}

impl From<ConfigError> for HomeError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
