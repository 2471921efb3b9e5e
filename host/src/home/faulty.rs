//! The real file system with one step that goes wrong, for tests.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fcp_runtime_tokio::storage::files::{Files, Lock, OsFiles, StoredFile};

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done, and what follows works again.
    Once,
    /// The process stops before it: nothing further is done.
    StopBefore,
    /// The process stops amid it: half of a write is there, any other step is done.
    StopAmid,
}

/// Every fault.
pub(crate) const FAULTS: [Fault; 3] = [Fault::Once, Fault::StopBefore, Fault::StopAmid];

/// The file system.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    steps: Arc<AtomicU64>,
    at: u64,
    fault: Fault,
    refuses: Arc<AtomicBool>,
}

impl Faulty {
    /// One whose step `at`, counted from 0, goes wrong.
    pub(crate) fn new(at: u64, fault: Fault) -> Self {
        Self { steps: Arc::default(), at, fault, refuses: Arc::default() }
    }

    /// One that works while it is not told to [`refuse`](Self::refuse).
    pub(crate) fn sound() -> Self {
        Self::new(u64::MAX, Fault::Once)
    }

    /// From now on it takes no change, or every one again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Whether the step was reached.
    pub(crate) fn happened(&self) -> bool {
        self.steps.load(Ordering::SeqCst) > self.at
    }

    fn step<T>(&self, whole: impl FnOnce() -> Result<T>, amid: impl FnOnce() -> Result<()>) -> Result<T> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::other("refused"));
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            _ if step < self.at => whole(),
            Fault::Once if step > self.at => whole(),
            Fault::StopAmid if step == self.at => amid().and(Err(Error::other("stopped amid"))),
            Fault::Once | Fault::StopBefore | Fault::StopAmid => Err(Error::other("stopped")),
        }
    }

    fn wrap(&self, file: Arc<dyn StoredFile>) -> Arc<dyn StoredFile> {
        Arc::new(FaultyFile { disk: self.clone(), file })
    }
}

impl Files for Faulty {
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.step(|| OsFiles.create_dir(path), || OsFiles.create_dir(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        OsFiles.list(path)
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn StoredFile>> {
        self.step(|| OsFiles.create(path).map(|file| self.wrap(file)), || OsFiles.create(path).map(|_| ()))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn StoredFile>> {
        OsFiles.open(path).map(|file| self.wrap(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(|| OsFiles.rename(from, to), || OsFiles.rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.step(|| OsFiles.remove(path), || OsFiles.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.step(|| OsFiles.sync_dir(path), || Ok(()))
    }

    fn lock(&self, path: &Path) -> Result<Lock> {
        OsFiles.lock(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Faulty,
    file: Arc<dyn StoredFile>,
}

impl StoredFile for FaultyFile {
    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let half = &bytes[..bytes.len() / 2];
        self.disk.step(|| self.file.write_at(bytes, offset), || self.file.write_at(half, offset))
    }

    fn set_length(&self, length: u64) -> Result<()> {
        self.disk.step(|| self.file.set_length(length), || self.file.set_length(length))
    }

    fn allocate(&self, through: u64) -> Result<()> {
        self.disk.step(|| self.file.allocate(through), || self.file.allocate(through))
    }

    fn sync(&self) -> Result<()> {
        self.disk.step(|| self.file.sync(), || Ok(()))
    }
}
