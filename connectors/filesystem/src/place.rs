//! Where a path leads: a root, and a way below it that the kernel walks without leaving it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fcp_proto_core::error::Code;
use fcp_sdk::{Error, Outcome};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;
use serde_json::json;

/// What may be done below a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    ReadOnly,
    /// Reading and changing.
    ReadWrite,
}

#[derive(Debug)]
struct Root {
    path: String,
    access: Access,
    directory: OwnedFd,
}

/// The approved roots.
#[derive(Debug)]
pub(crate) struct Roots(Vec<Root>);

/// A path below a root.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    root: &'a Root,
    /// The way below the root; empty for the root itself.
    below: String,
}

impl Roots {
    /// Opens every root; a root that is a symbolic link, no directory or absent is refused.
    pub(crate) fn open(wanted: &[(Access, Vec<String>)]) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for (access, paths) in wanted {
            for path in paths {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::open(path.as_str(), flags, Mode::empty()).map_err(|error| {
                    Error::new(Code::ConfigInvalid, format!("the root {path} cannot be opened: {error}"))
                })?;
                let path = path.trim_end_matches('/').to_owned();
                roots.push(Root { path, access: *access, directory });
            }
        }
        if roots.is_empty() {
            return Err(Error::new(Code::ConfigInvalid, "no root is configured"));
        }
        // The longest root goes first, so that a root within a root has its own access.
        roots.sort_by_key(|root| std::cmp::Reverse(root.path.len()));
        Ok(Self(roots))
    }

    /// The place that the absolute `path` names.
    pub(crate) fn find(&self, path: &str) -> Result<Place<'_>, Error> {
        let invalid = |message: &str| Err(Error::new(Code::InputInvalid, message));
        if path.contains('\0') || path.split('/').any(|part| part == "." || part == "..") {
            return invalid("a path must not hold dot segments or NUL");
        }
        let below = |root: &Root| -> Option<String> {
            let rest = path.strip_prefix(root.path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_owned())
        };
        match self.0.iter().find_map(|root| below(root).map(|below| Place { root, below })) {
            Some(place) => Ok(place),
            None => invalid("the path is not below a root that the owner approved"),
        }
    }

    /// Says what the roots are, if all of them are still there.
    pub(crate) fn describe(&self) -> Result<Outcome, Error> {
        self.probe()?;
        let root = |root: &Root| json!({ "path": root.path, "writable": root.access == Access::ReadWrite });
        Ok(Outcome::read(json!({ "roots": self.0.iter().map(root).collect::<Vec<_>>() })))
    }

    /// Whether every root is still there.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        for root in &self.0 {
            if fstat(&root.directory).map_err(failed)?.st_nlink == 0 {
                return Err(Error::new(Code::NotFound, format!("the root {} was removed", root.path)));
            }
        }
        Ok(())
    }
}

/// A directory and the name of an entry in it.
pub(crate) struct Entry<'a> {
    pub(crate) directory: Directory<'a>,
    pub(crate) name: &'a str,
}

/// An opened directory.
pub(crate) enum Directory<'a> {
    Root(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Directory<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

impl Place<'_> {
    /// The absolute path, as it was approved and asked for.
    pub(crate) fn path(&self) -> String {
        match self.below.as_str() {
            "" => self.root.path.clone(),
            below => format!("{}/{below}", self.root.path),
        }
    }

    /// Refuses a place where nothing may be changed.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        match self.root.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Error::new(Code::InputInvalid, "this root is read-only")),
        }
    }

    /// Opens what is there, for `flags`; a place that is neither file nor directory is not opened at all.
    pub(crate) fn open(&self, flags: OFlags) -> Result<(OwnedFd, Stat), Error> {
        let stat = self.stat()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let expected =
            if flags.contains(OFlags::DIRECTORY) { FileType::Directory } else { FileType::RegularFile };
        if kind != expected {
            return Err(wrong_kind(expected));
        }
        // NONBLOCK: should a pipe have taken the file's place since, opening it must not wait.
        let fd = self.resolve(&self.below, flags | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = fstat(&fd).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) == expected {
            Ok((fd, stat))
        } else {
            Err(wrong_kind(expected))
        }
    }

    /// What is there.
    pub(crate) fn stat(&self) -> Result<Stat, Error> {
        let fd = self.resolve(&self.below, OFlags::PATH | OFlags::NOFOLLOW)?;
        fstat(fd).map_err(failed)
    }

    /// The parent directory and the last name; the root itself has neither.
    pub(crate) fn entry(&self) -> Result<Entry<'_>, Error> {
        let (parent, name) = match self.below.rsplit_once('/') {
            Some((parent, name)) => (parent, name),
            None => ("", self.below.as_str()),
        };
        if name.is_empty() {
            return Err(Error::new(Code::InputInvalid, "a root itself cannot be changed"));
        }
        let directory = match parent {
            "" => Directory::Root(self.root.directory.as_fd()),
            parent => Directory::Below(self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY)?),
        };
        Ok(Entry { directory, name })
    }

    fn resolve(&self, below: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        let below = if below.is_empty() { "." } else { below };
        open_beneath(self.root.directory.as_fd(), below, flags).map_err(failed)
    }
}

/// Opens a path that the kernel resolves beneath `directory` without following any link.
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn wrong_kind(expected: FileType) -> Error {
    let what = if expected == FileType::Directory { "directory" } else { "regular file" };
    Error::new(Code::InputInvalid, format!("this is no {what}"))
}

/// What a failure of the kernel means for the caller.
pub(crate) fn failed(error: Errno) -> Error {
    match error {
        Errno::NOENT => Error::new(Code::NotFound, "there is no such file or directory"),
        Errno::LOOP | Errno::XDEV => {
            Error::new(Code::InputInvalid, "the path leads through a symbolic link or out of its root")
        }
        Errno::EXIST => Error::new(Code::Conflict, "something is there already"),
        Errno::NOTEMPTY => Error::new(Code::Conflict, "the directory is not empty"),
        Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG | Errno::INVAL => {
            Error::new(Code::InputInvalid, format!("the path does not fit: {error}"))
        }
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::MFILE => {
            Error::new(Code::Exhausted, format!("the machine refuses: {error}"))
        }
        other => Error::new(Code::ConnectorFailed, format!("the machine refuses: {other}")),
    }
}
