//! Why storage did not open or did not answer, with the one map to the error registry.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fcp_proto_core::error::Code;

/// Why storage could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// Another process holds the home.
    Locked {
        /// The other process, if it has written its number.
        pid: Option<u32>,
    },
    /// A newer release wrote this file.
    TooNew {
        /// The file.
        file: String,
        /// The format version it carries.
        version: u32,
    },
    /// A file belongs to another home.
    ForeignHome {
        /// The file.
        file: String,
    },
    /// Stored data is damaged; nothing was changed.
    Corrupt(
        /// Every damage found, in the order of the journal.
        Vec<Damage>,
    ),
    /// The operating system refused a step.
    Io {
        /// What was being done.
        step: Step,
        /// The file or directory it was done to.
        path: PathBuf,
        /// What the system answered.
        kind: io::ErrorKind,
    },
    /// An object was stored and cannot be read back whole.
    Unreadable,
    /// A committed repair did not yield a sound journal.
    RepairFailed(
        /// What is still damaged.
        Vec<Damage>,
    ),
    /// A thread of the store ended by a defect of ours.
    Defect,
    /// Storage was closed.
    Closed,
}

/// The step of file work that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creating a directory or file.
    Create,
    /// Opening a file.
    Open,
    /// Listing a directory.
    List,
    /// Taking the lock.
    Lock,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Flushing to the disk.
    Sync,
    /// Cutting a file to a length.
    Truncate,
    /// Reserving space.
    Allocate,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Reading or writing the index.
    Index,
    /// Starting a thread.
    Spawn,
    /// Asking the system for entropy.
    Entropy,
}

/// One damaged place of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file's name.
    pub file: String,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub kind: DamageKind,
    /// The sequence numbers that cannot be read, if any are known to be missing.
    pub lost: Option<Lost>,
}

/// A run of batches that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first sequence number lost.
    pub first: u64,
    /// The last sequence number lost.
    pub last: u64,
}

/// What is wrong at a place of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The segment's header does not verify.
    Header,
    /// A frame does not verify, and it was durable once.
    Frame,
    /// Sequence numbers are skipped.
    Gap,
    /// A sequence number appears a second time.
    Duplicate,
    /// A segment is missing.
    MissingSegment,
    /// The index has seen batches beyond the journal's end.
    MissingTail,
}

impl StorageError {
    /// The error that `step` on `path` met.
    pub(crate) fn io(step: Step, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { step, path: path.as_ref().to_owned(), kind: error.kind() }
    }

    /// The registry's code for this error.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => Code::HomeLocked,
            Self::TooNew { .. } => Code::HomeTooNew,
            Self::ForeignHome { .. } | Self::Corrupt(_) | Self::Unreadable | Self::RepairFailed(_) => {
                Code::StoreCorrupt
            }
            Self::Io { step: Step::Create | Step::Open | Step::List | Step::Lock, kind, .. } => {
                code_of(*kind)
            }
            Self::Io { kind, .. } if no_space(*kind) => Code::StoreFull,
            Self::Io { .. } => Code::StoreFailed,
            Self::Defect => Code::Internal,
            Self::Closed => Code::Draining,
        }
    }
}

/// The registry's code for what the system answers where a file is to be opened or made: that something else stands there, or
/// that whoever asks may not, is no fault of the disk.
pub fn code_of(kind: io::ErrorKind) -> Code {
    use io::ErrorKind::{
        AlreadyExists, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem,
    };
    if no_space(kind) {
        Code::StoreFull
    } else if matches!(kind, PermissionDenied | ReadOnlyFilesystem) {
        Code::FileForbidden
    } else if matches!(kind, IsADirectory | NotADirectory | AlreadyExists | InvalidInput | NotFound) {
        Code::StoreCorrupt
    } else {
        Code::StoreFailed
    }
}

/// Whether the system says that the disk, or the owner's share of it, is full.
pub(crate) fn no_space(kind: io::ErrorKind) -> bool {
    kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { pid: Some(pid) } => write!(f, "the home is used by process {pid}"),
            Self::Locked { pid: None } => f.write_str("the home is used by another process"),
            Self::TooNew { file, version } => {
                write!(f, "{file} has format version {version}, written by a newer release")
            }
            Self::ForeignHome { file } => write!(f, "{file} belongs to another home"),
            Self::Corrupt(damages) => list(f, "the journal is damaged", damages),
            Self::RepairFailed(damages) => list(f, "the journal is damaged even after repair", damages),
            Self::Io { step, path, kind } => write!(f, "{step:?} of {} failed: {kind}", path.display()),
            Self::Unreadable => f.write_str("a stored object cannot be read back"),
            Self::Defect => f.write_str("a thread of the store ended by a defect"),
            Self::Closed => f.write_str("storage is closed"),
        }
    }
}

impl std::error::Error for StorageError {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Header => "the header does not verify",
            DamageKind::Frame => "a durable frame does not verify",
            DamageKind::Gap => "sequence numbers are skipped",
            DamageKind::Duplicate => "a sequence number is repeated",
            DamageKind::MissingSegment => "the segment is missing",
            DamageKind::MissingTail => "the journal ends before what was indexed",
        };
        write!(f, "{} at byte {}: {what}", self.file, self.offset)?;
        match self.lost {
            Some(Lost { first, last }) => write!(f, " (batches {first} to {last} lost)"),
            None => Ok(()),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, damages: &[Damage]) -> fmt::Result {
    f.write_str(title)?;
    for (position, damage) in damages.iter().enumerate() {
        write!(f, "{} {damage}", if position == 0 { ":" } else { ";" })?;
    }
    Ok(())
}
