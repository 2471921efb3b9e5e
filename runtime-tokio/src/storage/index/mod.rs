//! The index: where each object stands in the journal. It can be rebuilt from the journal at any time, is never on a
//! call's path, and bears witness of how far the journal once reached.
//!
//! ```text
//! writer ──durable──► pending (memory) ──every few thousand──► flushing ──one transaction──► redb
//!                        ▲ load looks here first, then ──────────▲ here, then ────────────────▲ here
//! ```
//!
//! //= docs/spec/journal.md#index

mod backend;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use fcp_proto_core::ids::ObjectId;

use super::error::StorageError;
use super::files::Files;
use super::journal::format::{HomeId, Place};

pub(crate) use table::{Foundation, Table};

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The segment's number.
    pub(crate) segment: u64,
    /// The place in it.
    pub(crate) place: Place,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last sequence number.
    pub(crate) sequence: u64,
    /// The segment it stands in.
    pub(crate) segment: u64,
    /// Where its frame ends.
    pub(crate) offset: u64,
}

/// Whether the index answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It answers.
    Ready,
    /// It could not be read or written; loads search the journal, and the index is tried again later.
    Degraded,
}

/// The index while the store is in use.
pub(crate) struct Index {
    files: Arc<dyn Files>,
    path: PathBuf,
    home: HomeId,
    revisions: u64,
    pending: Mutex<Pending>,
    wake: Condvar,
    /// The table, unless it failed.
    table: RwLock<Option<Table>>,
}

/// What is not in the table yet.
struct Pending {
    entries: BTreeMap<ObjectId, Location>,
    flushing: BTreeMap<ObjectId, Location>,
    mark: Mark,
    /// The number of entries that starts the next flush.
    threshold: usize,
    closed: bool,
}

/// What a look into the index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The object stands there.
    At(Location),
    /// The object was never stored.
    Absent,
    /// The index does not know.
    Unknown,
}

impl Index {
    /// The index over `table`, complete up to `mark`.
    pub(crate) fn new(
        files: Arc<dyn Files>,
        path: PathBuf,
        (home, revisions): (HomeId, u64),
        table: Option<Table>,
        mark: Mark,
    ) -> Self {
        let pending = Pending {
            entries: BTreeMap::new(),
            flushing: BTreeMap::new(),
            mark,
            threshold: FLUSH_ENTRIES,
            closed: false,
        };
        let (pending, wake) = (Mutex::new(pending), Condvar::new());
        Self { files, path, home, revisions, pending, wake, table: RwLock::new(table) }
    }

    /// Takes note of durable records.
    pub(crate) fn add(&self, records: Vec<Location>, mark: Mark) {
        let mut pending = self.pending();
        pending.entries.extend(records.into_iter().map(|location| (location.place.id, location)));
        pending.mark = mark;
        if pending.entries.len() >= pending.threshold {
            self.wake.notify_one();
        }
    }

    /// Where `id` stands.
    pub(crate) fn find(&self, id: &ObjectId) -> Answer {
        {
            let pending = self.pending();
            if let Some(location) = pending.entries.get(id).or_else(|| pending.flushing.get(id)) {
                return Answer::At(*location);
            }
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match table.as_ref().map(|table| table.find(id)) {
            Some(Ok(Some(location))) => Answer::At(location),
            Some(Ok(None)) => Answer::Absent,
            Some(Err(_)) | None => Answer::Unknown,
        }
    }

    /// Whether the index answers, and how many entries wait in memory.
    pub(crate) fn state(&self) -> (IndexState, usize) {
        let ready = self.table.read().unwrap_or_else(PoisonError::into_inner).is_some();
        let pending = self.pending();
        let waiting = pending.entries.len() + pending.flushing.len();
        (if ready { IndexState::Ready } else { IndexState::Degraded }, waiting)
    }

    /// Moves entries from memory to the table until the index is closed.
    pub(crate) fn run(&self) {
        loop {
            let (batch, mark, closed) = self.take();
            if !batch.is_empty() {
                match self.write(&batch, mark) {
                    Ok(()) => self.written(),
                    Err(error) => {
                        tracing::warn!(%error, "the index could not be written; it will be tried again");
                        self.put_back();
                    }
                }
            }
            if closed {
                return;
            }
        }
    }

    /// Asks the index to write what it has and end.
    pub(crate) fn close(&self) {
        self.pending().closed = true;
        self.wake.notify_all();
    }

    /// Waits for enough entries, or the end.
    fn take(&self) -> (BTreeMap<ObjectId, Location>, Mark, bool) {
        let mut pending = self.pending();
        while !pending.closed && pending.entries.len() < pending.threshold {
            pending = self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        pending.flushing = std::mem::take(&mut pending.entries);
        (pending.flushing.clone(), pending.mark, pending.closed)
    }

    fn write(&self, batch: &BTreeMap<ObjectId, Location>, mark: Mark) -> Result<(), StorageError> {
        let foundation = Foundation { home: self.home, revisions: self.revisions, mark };
        if let Some(table) = &*self.table.read().unwrap_or_else(PoisonError::into_inner) {
            return table.write(batch.values().copied(), &foundation);
        }
        let reopened = Table::open(&*self.files, &self.path)?;
        // A table that stands for another state of the journal would answer wrongly; the next opening rebuilds it.
        let fits = reopened.foundation()?.is_some_and(|old| foundation.continues(&old));
        if !fits {
            return Err(StorageError::Unreadable);
        }
        reopened.write(batch.values().copied(), &foundation)?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(reopened);
        Ok(())
    }

    fn written(&self) {
        let mut pending = self.pending();
        pending.flushing = BTreeMap::new();
        pending.threshold = FLUSH_ENTRIES;
    }

    /// After a failure: the entries stay in memory, and the table is opened anew before the next attempt.
    fn put_back(&self) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = None;
        let mut pending = self.pending();
        let mut entries = std::mem::take(&mut pending.flushing);
        entries.append(&mut pending.entries);
        pending.threshold = entries.len() + FLUSH_ENTRIES;
        pending.entries = entries;
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Every change of the guarded value is complete before the lock is given back.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many entries are written in one transaction. Chosen: its flush is shared by so many that it does not show.
const FLUSH_ENTRIES: usize = 4096;

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("path", &self.path).finish_non_exhaustive()
    }
}
