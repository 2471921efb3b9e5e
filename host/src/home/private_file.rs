//! Files and folders that must be ours, and for us alone.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fcp_runtime_tokio::storage::atomic_file;
use fcp_runtime_tokio::storage::files::Files;
use zeroize::Zeroizing;

use super::HomeError;

/// Largest file that is read whole. Chosen: a ceremony's record is some 10 KiB.
pub const MAX_PRIVATE_FILE: u64 = 1024 * 1024;

/// What a path must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
}

/// Checks that `path` is of its kind and no link, belongs to this process's user, and is open to nobody else.
///
/// # Errors
/// The first of these that does not hold.
pub fn check_private(path: &Path, kind: Kind) -> Result<(), HomeError> {
    let metadata = path.symlink_metadata().map_err(|error| match (error.kind(), kind) {
        (io::ErrorKind::NotFound, Kind::Folder) => HomeError::Missing(path.to_owned()),
        (io::ErrorKind::NotFound, Kind::File) => HomeError::FileMissing(path.to_owned()),
        _ => HomeError::io("examine", path)(error),
    })?;
    let fits = match kind {
        Kind::Folder => metadata.is_dir(),
        Kind::File => metadata.is_file(),
    };
    if !fits {
        return Err(HomeError::wrong_kind(path));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(HomeError::ForeignOwner { path: path.to_owned(), uid: metadata.uid() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HomeError::OpenToOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Reads a file that must be ours alone.
///
/// # Errors
/// As [`check_private`]; [`HomeError::FileTooLarge`]; what the system answers.
pub fn read_private(files: &dyn Files, path: &Path) -> Result<Zeroizing<Vec<u8>>, HomeError> {
    check_private(path, Kind::File)?;
    let file = files.open(path).map_err(HomeError::io("open", path))?;
    let length = file.length().map_err(HomeError::io("read", path))?;
    if length > MAX_PRIVATE_FILE {
        return Err(HomeError::FileTooLarge(path.to_owned()));
    }
    let length = usize::try_from(length).map_err(|_| HomeError::FileTooLarge(path.to_owned()))?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    file.read_at(&mut bytes, 0).map_err(HomeError::io("read", path))?;
    Ok(bytes)
}

/// Removes every temporary file that a crash left in a folder, whatever file it was for.
///
/// # Errors
/// What the system answers.
pub fn remove_all_leftovers(files: &dyn Files, folder: &Path) -> Result<(), HomeError> {
    for name in files.list(folder).map_err(HomeError::io("list", folder))? {
        let base = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new"));
        if let Some((base, _)) = base.and_then(|base| base.rsplit_once('.')) {
            atomic_file::remove_leftovers(files, &folder.join(base))?;
        }
    }
    Ok(())
}
