//! The seam to the file system: the few verbs that storage needs, so that a test can fail or tear any of them.

mod os;
#[cfg(test)]
pub(crate) mod simulated;

pub use os::OsFiles;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system.
pub trait Files: Send + Sync + fmt::Debug {
    /// Makes the directory `path`, for its owner alone, unless it exists.
    ///
    /// # Errors
    /// What the system answers.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in the directory `path`, in no order.
    ///
    /// # Errors
    /// What the system answers.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes the file `path`, for its owner alone.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system answers.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;

    /// Opens the existing file `path` for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or what the system answers.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;

    /// Renames `from` to `to`, replacing what was there.
    ///
    /// # Errors
    /// What the system answers.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file `path`.
    ///
    /// # Errors
    /// `NotFound`, or what the system answers.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in the directory `path` durable.
    ///
    /// # Errors
    /// What the system answers; then it is not known which names are durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock `path` for this process, without waiting.
    ///
    /// # Errors
    /// What the system answers; a lock that another holds is no error.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// The answer to an attempt at a lock.
#[derive(Debug)]
pub enum Lock {
    /// The lock is ours until this is dropped.
    Held(Box<dyn Held>),
    /// Another process holds it.
    Busy {
        /// The holder, if it has written its number.
        pid: Option<u32>,
    },
}

/// A lock that is released when it is dropped.
pub trait Held: Send + Sync + fmt::Debug {}

/// An open file.
pub trait StoredFile: Send + Sync + fmt::Debug {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the system answers.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter, or what the system answers.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system answers; then any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets the file's length, giving back any space beyond it.
    ///
    /// # Errors
    /// What the system answers.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Reserves the space up to byte `through` without changing the length.
    ///
    /// # Errors
    /// `StorageFull`, `Unsupported`, or what the system answers.
    fn allocate(&self, through: u64) -> io::Result<()>;

    /// Makes the contents and the length durable.
    ///
    /// # Errors
    /// What the system answers; then nothing is known of what is durable.
    fn sync(&self) -> io::Result<()>;
}
