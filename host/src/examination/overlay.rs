//! The home's files with every change kept in memory: what opens a home for good opens it here, and nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fcp_runtime_tokio::storage::files::{Files, Held, Lock, StoredFile};
use rustix::fs::OFlags;

/// A file system that is read from the disk and written to in memory.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Files that were opened, made or, without one, removed.
    files: BTreeMap<PathBuf, Option<Arc<OverlaidFile>>>,
    /// Folders that were made.
    folders: BTreeSet<PathBuf>,
    /// Files that were made anew.
    made: BTreeSet<PathBuf>,
}

impl Overlay {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether whoever opened the home made this file anew.
    pub(super) fn made(&self, path: &Path) -> bool {
        self.lock().made.contains(path)
    }
}

impl State {
    fn open(&mut self, path: &Path) -> io::Result<Arc<OverlaidFile>> {
        match self.files.get(path) {
            Some(Some(file)) => Ok(Arc::clone(file)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                // Never through a link that someone put in a file's place.
                let mut options = OpenOptions::new();
                options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
                let file = Arc::new(OverlaidFile(Mutex::new(Content::Disk(options.open(path)?))));
                self.files.insert(path.to_owned(), Some(Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

impl Files for Overlay {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if !path.is_dir() {
            self.lock().folders.insert(path.to_owned());
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let mut names = BTreeSet::new();
        match std::fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && state.folders.contains(path) => {}
            Err(error) => return Err(error),
            Ok(entries) => {
                for entry in entries {
                    names.extend(entry?.file_name().into_string().ok());
                }
            }
        }
        for (file, content) in state.files.iter().filter(|(file, _)| file.parent() == Some(path)) {
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
            match content {
                Some(_) => drop(names.insert(name.to_owned())),
                None => drop(names.remove(name)),
            }
        }
        Ok(names.into_iter().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = self.lock();
        if state.open(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(OverlaidFile(Mutex::new(Content::Memory(Vec::new()))));
        state.files.insert(path.to_owned(), Some(Arc::clone(&file)));
        state.made.insert(path.to_owned());
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        Ok(self.lock().open(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.open(from)?;
        state.files.insert(from.to_owned(), None);
        state.files.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.open(path)?;
        state.files.insert(path.to_owned(), None);
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Lock> {
        Ok(Lock::Held(Box::new(NoLock)))
    }
}

/// Stands for the lock of a home that nobody else sees.
#[derive(Debug)]
struct NoLock;

impl Held for NoLock {}

/// A file, on the disk until it is written to.
#[derive(Debug)]
struct OverlaidFile(Mutex<Content>);

#[derive(Debug)]
enum Content {
    Disk(File),
    Memory(Vec<u8>),
}

impl OverlaidFile {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the content, which is in memory from then on.
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut content = self.lock();
        if let Content::Disk(file) = &*content {
            let mut bytes = vec![0; size(file.metadata()?.len())?];
            file.read_exact_at(&mut bytes, 0)?;
            *content = Content::Memory(bytes);
        }
        if let Content::Memory(bytes) = &mut *content {
            change(bytes);
        }
        Ok(())
    }
}

fn size(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl StoredFile for OverlaidFile {
    fn length(&self) -> io::Result<u64> {
        match &*self.lock() {
            Content::Disk(file) => Ok(file.metadata()?.len()),
            Content::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &*self.lock() {
            Content::Disk(file) => file.read_exact_at(buffer, offset),
            Content::Memory(bytes) => {
                let from = size(offset)?;
                let read = bytes.get(from..from.saturating_add(buffer.len()));
                buffer.copy_from_slice(read.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        let from = size(offset)?;
        let end = from.checked_add(written.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.change(|bytes| {
            bytes.resize(bytes.len().max(end), 0);
            bytes[from..end].copy_from_slice(written);
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = size(length)?;
        self.change(|bytes| bytes.resize(length, 0))
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_the_disk_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), b"first").unwrap();
        std::fs::write(path("b"), b"second").unwrap();
        let overlay = Overlay::default();
        let file = overlay.open(&path("a")).unwrap();
        file.write_at(b"!!", 4).unwrap();
        let again = overlay.open(&path("a")).unwrap();
        let mut bytes = [0; 6];
        again.read_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes, again.length().unwrap()), (b"firs!!", 6));
        assert_eq!(again.read_at(&mut bytes, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        overlay.remove(&path("b")).unwrap();
        assert!(overlay.open(&path("b")).is_err() && overlay.remove(&path("b")).is_err());
        overlay.create(&path("c")).unwrap().write_at(b"third", 0).unwrap();
        assert!(overlay.create(&path("a")).is_err() && overlay.made(&path("c")));
        overlay.rename(&path("c"), &path("d")).unwrap();
        overlay.create_dir(&path("folder")).unwrap();
        assert!(overlay.list(&path("folder")).unwrap().is_empty() && overlay.list(&path("nothing")).is_err());
        assert_eq!(overlay.list(folder.path()).unwrap(), ["a", "d"]);
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(std::fs::read(path("a")).unwrap(), b"first");
    }
}
