//! Durable storage: a journal with group commit, and beside it an index that can be rebuilt.
//!
//! ```text
//! home/lock                   held by the one process that uses the home
//! home/journal/000001.fcj …   the journal's segments
//! home/index/objects.redb     where each object stands; may be removed at any time
//! home/quarantine/            damaged segments, kept aside by a repair
//! ```
//!
//! Two threads of its own do the work, so that nothing here rests on a runtime: the *writer* takes every batch that
//! waits, writes them in one piece, flushes once and answers in order; the *indexer* follows behind. The contract
//! with the machines is `fcp_state_machines::persist`.
//!
//! //= docs/spec/journal.md

pub mod atomic_file;
pub mod error;
pub mod files;
mod index;
mod journal;
mod opening;
mod queue;
#[cfg(test)]
mod tests;

pub use index::IndexState;
pub use journal::{Batches, MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Recovered, Replayed, Torn};

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use fcp_proto_core::ids::ObjectId;
use fcp_state_machines::persist::{Batch, Completion, Record};
use tokio::sync::oneshot;

use error::{Step, StorageError};
use files::{Files, Held, OsFiles, StoredFile};
use index::{Answer, Index, Location, Mark};
use journal::format::{HomeId, SegmentKey, read_body};
use journal::replay::FrameReader;
use journal::scan::path_of;
use journal::writer::{Observer, Queued, Writer};
use queue::Queue;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do about damage.
    pub recover: Recover,
    /// A segment that would grow beyond this is followed by a new one.
    pub segment_bytes: u64,
    /// Space set aside so that a full disk still admits reserved batches.
    pub reserve_bytes: u64,
    /// Most batches that may wait for the writer; whoever appends more waits.
    pub queue_batches: usize,
    /// The file system.
    pub files: Arc<dyn Files>,
}

impl Default for Options {
    /// Damage is refused; segments of 64 MiB, 4 MiB in reserve, 4,096 batches waiting. Chosen: the reserve holds some
    /// thousand revocations, the queue a second of appends on a slow disk.
    fn default() -> Self {
        Self {
            recover: Recover::Refuse,
            segment_bytes: 64 * 1024 * 1024,
            reserve_bytes: 4 * 1024 * 1024,
            queue_batches: 4096,
            files: Arc::new(OsFiles),
        }
    }
}

/// What to do when stored data is damaged. A torn tail is not damage: it was never acknowledged, and is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    /// Do not open; say what is damaged and change nothing.
    Refuse,
    /// Keep the damaged segments aside, go on with what stands, and record each loss in the journal for ever.
    Quarantine,
}

/// An open store.
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct Storage {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held until the threads have ended.
    lock: Mutex<Option<Box<dyn Held>>>,
}

/// How a store fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The sequence number of the last durable batch.
    pub last_sequence: u64,
    /// The segment that is written.
    pub segment: u64,
    /// Batches made durable since the opening.
    pub batches: u64,
    /// Flushes that made them durable.
    pub flushes: u64,
    /// Bytes promised by the file system beyond the journal's end; zero where it makes no promises.
    pub reserved_bytes: u64,
    /// Whether a failure has sealed the store.
    pub sealed: bool,
    /// Whether the index answers.
    pub index: IndexState,
    /// Entries that are not in the index's file yet.
    pub index_pending: usize,
}

/// The completion of an append, as a future or by waiting.
#[derive(Debug)]
#[must_use = "nothing may depend on a batch before it is durable"]
pub struct Append(oneshot::Receiver<Completion>);

impl Append {
    /// Waits, blocking this thread. Not for use inside an asynchronous task.
    pub fn wait(self) -> Completion {
        // A writer that ended without answering leaves it unknown what was stored.
        self.0.blocking_recv().unwrap_or(Completion::Failed)
    }
}

impl Future for Append {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Completion::Failed))
    }
}

impl Storage {
    /// Opens the store in the directory `home`, making it if it is not there.
    ///
    /// # Errors
    /// [`StorageError::Locked`] while another process uses it, [`StorageError::TooNew`] for a newer format,
    /// [`StorageError::Corrupt`] naming every damage when [`Recover::Refuse`] is chosen, and what the system answers.
    pub fn open(home: &Path, options: &Options) -> Result<(Self, Recovered), StorageError> {
        opening::open(home, options)
    }

    /// Hands a batch to the writer. Batches become durable in the order of these calls.
    ///
    /// Waits only while the queue is full, for as long as the writer needs for one group.
    pub fn append(&self, batch: Batch) -> Append {
        let (reply, completion) = oneshot::channel();
        self.shared.queue.push(Queued { batch, reply });
        Append(completion)
    }

    /// Reads an object back, checked; `None` if it was never stored. Blocks for the time of two reads.
    ///
    /// # Errors
    /// [`StorageError::Unreadable`] if it was stored and cannot be read back whole.
    pub fn load(&self, id: &ObjectId) -> Result<Option<Record>, StorageError> {
        self.shared.load(id)
    }

    /// Every batch that is durable now, in order, read again from the disk and checked.
    ///
    /// # Errors
    /// What the system answers when a segment cannot be opened.
    pub fn batches(&self) -> Result<Batches, StorageError> {
        Ok(Batches(self.shared.frames()?))
    }

    /// How the store fares.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let (index, index_pending) = shared.index.state();
        let end = shared.end();
        Stats {
            last_sequence: end.sequence,
            segment: end.segment,
            batches: shared.batches.load(Ordering::Relaxed),
            flushes: shared.flushes.load(Ordering::Relaxed),
            reserved_bytes: shared.reserved.load(Ordering::Relaxed),
            sealed: shared.sealed.load(Ordering::Acquire),
            index,
            index_pending,
        }
    }

    /// Writes what waits, answers it, brings the index up to date and gives the home free. Later appends fail.
    ///
    /// # Errors
    /// [`StorageError::Defect`] if a thread of the store ended by one.
    pub fn close(&self) -> Result<(), StorageError> {
        self.shared.queue.close();
        // Held to the end, so that of two who close neither gives the home free before the threads have ended.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        for (position, thread) in threads.drain(..).enumerate() {
            if thread.join().is_err() {
                outcome = Err(StorageError::Defect);
            }
            if position == 0 {
                // The writer has ended, so nothing more comes for the index.
                self.shared.index.close();
            }
        }
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        outcome
    }

    /// Starts the threads.
    fn start(
        shared: Arc<Shared>,
        mut writer: Writer<Arc<Shared>>,
        lock: Box<dyn Held>,
    ) -> Result<Self, StorageError> {
        let storage = Self { shared, threads: Mutex::default(), lock: Mutex::new(Some(lock)) };
        let queue = Arc::clone(&storage.shared);
        let write = spawn("fcp-journal", move || {
            // However this thread ends, nobody waits for it in vain.
            let _end = queue.queue.close_on_drop();
            while let Some(group) = queue.queue.take() {
                writer.commit(group);
            }
        })?;
        storage.threads.lock().unwrap_or_else(PoisonError::into_inner).push(write);
        let indexed = Arc::clone(&storage.shared);
        let index = spawn("fcp-index", move || indexed.index.run())?;
        storage.threads.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        Ok(storage)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// What the threads and the callers share.
#[derive(Debug)]
struct Shared {
    files: Arc<dyn Files>,
    journal: PathBuf,
    home: HomeId,
    queue: Queue,
    index: Index,
    end: Mutex<Mark>,
    /// Segments that are open for loads, by number.
    open_files: Mutex<BTreeMap<u64, Arc<dyn StoredFile>>>,
    batches: AtomicU64,
    flushes: AtomicU64,
    reserved: AtomicU64,
    sealed: AtomicBool,
}

impl Shared {
    fn end(&self) -> Mark {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, id: &ObjectId) -> Result<Option<Record>, StorageError> {
        match self.index.find(id) {
            Answer::At(location) => match self.read(&location) {
                Ok(Some(bytes)) => Ok(Some(Record { id: *id, bytes })),
                // The index may be wrong; the journal knows.
                Ok(None) | Err(_) => {
                    self.search(id)?.map_or(Err(StorageError::Unreadable), |found| Ok(Some(found)))
                }
            },
            Answer::Absent => Ok(None),
            Answer::Unknown => self.search(id),
        }
    }

    fn read(&self, location: &Location) -> Result<Option<Vec<u8>>, StorageError> {
        let path = path_of(&self.journal, location.segment);
        let file = self.open_file(location.segment, &path)?;
        let key = SegmentKey::new(self.home, location.segment);
        read_body(&*file, &key, &location.place).map_err(StorageError::io(Step::Read, &path))
    }

    /// The journal from its beginning to its present end.
    fn frames(&self) -> Result<FrameReader, StorageError> {
        let end = self.end();
        let mut segments = Vec::new();
        for number in 1..=end.segment {
            let path = path_of(&self.journal, number);
            let length =
                self.open_file(number, &path)?.length().map_err(StorageError::io(Step::Read, &path))?;
            segments.push((number, if number == end.segment { end.offset } else { length }));
        }
        Ok(FrameReader::new(Arc::clone(&self.files), self.journal.clone(), self.home, segments, 0))
    }

    /// Looks through the journal for the last record with this id.
    fn search(&self, id: &ObjectId) -> Result<Option<Record>, StorageError> {
        let mut found = None;
        for frame in self.frames()? {
            let records = frame?.1.into_records();
            found = records.into_iter().rfind(|record| record.id == *id).or(found);
        }
        Ok(found)
    }

    fn open_file(&self, number: u64, path: &Path) -> Result<Arc<dyn StoredFile>, StorageError> {
        let mut open = self.open_files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = self.files.open(path).map_err(StorageError::io(Step::Open, path))?;
        if open.len() >= MAX_OPEN_FILES {
            // The oldest segment is the least likely to be asked for again.
            open.pop_first();
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

impl Observer for Arc<Shared> {
    fn durable(&self, records: Vec<Location>, mark: Mark) {
        self.index.add(records, mark);
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    fn flushed(&self, batches: u64, reserved: u64) {
        if batches > 0 {
            self.batches.fetch_add(batches, Ordering::Relaxed);
            self.flushes.fetch_add(1, Ordering::Relaxed);
        }
        self.reserved.store(reserved, Ordering::Relaxed);
    }

    fn sealed(&self, _cause: &StorageError) {
        self.sealed.store(true, Ordering::Release);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StorageError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StorageError::io(Step::Spawn, name))
}

/// Most segments kept open for loads. Chosen: 4 GiB of journal, far below any limit of descriptors.
const MAX_OPEN_FILES: usize = 64;
