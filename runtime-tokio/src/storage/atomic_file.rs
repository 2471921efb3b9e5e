//! Files that are replaced whole: whoever reads one, even after a crash, sees the old contents or the new, never a mix.
//!
//! The new contents go to a temporary file beside the old one, are flushed, renamed over it, and the directory is
//! flushed. Files are for their owner alone (0600). For the vault, the configuration and the ceremony's progress.

use std::path::{Path, PathBuf};

use super::error::{Step, StorageError};
use super::files::{Files, OsFiles, StoredFile};

/// Replaces the file `path` by `bytes`, durably.
///
/// # Errors
/// [`StorageError::Io`] naming the step; before the rename the old contents stand, at and after it either may.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    write_in(&OsFiles, path, bytes)
}

/// As [`write()`], in the given file system.
///
/// # Errors
/// As [`write()`].
pub fn write_in(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    replace(files, path, |temporary, file| {
        file.write_at(bytes, 0).map_err(StorageError::io(Step::Write, temporary))
    })
}

/// Removes temporary files that a crash left beside `path`.
///
/// # Errors
/// [`StorageError::Io`] naming the step.
pub fn remove_leftovers(files: &dyn Files, path: &Path) -> Result<(), StorageError> {
    let (directory, name) = split(path)?;
    let prefix = format!(".{name}.");
    for entry in files.list(&directory).map_err(StorageError::io(Step::List, &directory))? {
        let unique = entry.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(SUFFIX));
        if unique.is_some_and(|unique| unique.len() == 16 && unique.bytes().all(|b| b.is_ascii_hexdigit())) {
            let leftover = directory.join(&entry);
            files.remove(&leftover).map_err(StorageError::io(Step::Remove, &leftover))?;
        }
    }
    Ok(())
}

/// Replaces the file `path` by what `fill` writes into a new file, durably.
pub(crate) fn replace(
    files: &dyn Files,
    path: &Path,
    fill: impl FnOnce(&Path, &dyn StoredFile) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let (directory, name) = split(path)?;
    let unique = getrandom::u64()
        .map_err(|error| StorageError::io(Step::Entropy, path)(std::io::Error::other(error)))?;
    let temporary = directory.join(format!(".{name}.{unique:016x}{SUFFIX}"));
    let file = files.create(&temporary).map_err(StorageError::io(Step::Create, &temporary))?;
    let filled = fill(&temporary, &*file)
        .and_then(|()| file.sync().map_err(StorageError::io(Step::Sync, &temporary)))
        .and_then(|()| files.rename(&temporary, path).map_err(StorageError::io(Step::Rename, path)));
    if let Err(error) = filled {
        if let Err(second) = files.remove(&temporary) {
            tracing::warn!(file = %temporary.display(), %second, "a temporary file could not be removed");
        }
        return Err(error);
    }
    files.sync_dir(&directory).map_err(StorageError::io(Step::Sync, &directory))
}

/// The directory and the name of `path`.
fn split(path: &Path) -> Result<(PathBuf, &str), StorageError> {
    let invalid = || StorageError::Io {
        step: Step::Create,
        path: path.to_owned(),
        kind: std::io::ErrorKind::InvalidFilename,
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    let directory = path.parent().ok_or_else(invalid)?;
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    Ok((directory.to_owned(), name))
}

/// How temporary files end.
const SUFFIX: &str = ".new";
