//! The real file system.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};
use rustix::io::{Errno, retry_on_intr};

use super::{Files, Held, Lock, StoredFile};

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

/// Directories of a home are for its owner alone.
const DIRECTORY_MODE: u32 = 0o700;

/// Files of a home are for its owner alone.
const FILE_MODE: u32 = 0o600;

impl Files for OsFiles {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            // Storage writes only ASCII names; a name that is not text is not one of its files.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        Ok(Arc::new(OsFile(open_file(&mut existing(), path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = open_file(existing().create(true).mode(FILE_MODE), path)?;
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
                Ok(Lock::Held(Box::new(OsLock { _file: file })))
            }
            Err(Errno::WOULDBLOCK) => Ok(Lock::Busy { pid: holder(&file)? }),
            Err(error) => Err(error.into()),
        }
    }
}

/// How a file that is ours is opened: never through a link that someone put in its place, nor waiting for the other end of a
/// pipe.
fn existing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

/// Opens what must be a regular file; a link and what is of another kind are refused alike.
fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let is_link = |error: &io::Error| error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    match options.open(path) {
        Err(error) if is_link(&error) => Err(io::ErrorKind::InvalidInput.into()),
        Err(error) => Err(error),
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The process number that the holder of a lock wrote into it.
fn holder(file: &File) -> io::Result<Option<u32>> {
    let mut text = [0; 16];
    let read = file.read_at(&mut text, 0)?;
    Ok(std::str::from_utf8(&text[..read]).ok().and_then(|text| text.trim().parse().ok()))
}

/// A file whose lock ends when it is closed.
#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl Held for OsLock {}

#[derive(Debug)]
struct OsFile(File);

impl StoredFile for OsFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn allocate(&self, through: u64) -> io::Result<()> {
        retry_on_intr(|| fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, through)).map_err(io::Error::from)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
