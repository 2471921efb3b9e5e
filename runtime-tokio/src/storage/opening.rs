//! Opening a store: lock, recover the journal, bring the index up to date, start.
//!
//! //= docs/spec/journal.md#recovery

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use super::error::{Damage, Step, StorageError};
use super::files::{Files, Held, Lock};
use super::index::{Foundation, Index, Location, Mark, Table};
use super::journal::format::{HEADER_BYTES, Header, HomeId};
use super::journal::repair::repair;
use super::journal::replay::{FrameReader, Recovered};
use super::journal::scan::{JournalScan, Segment, Torn, Witness, path_of, scan};
use super::journal::writer::{Active, Limits, Writer, create_segment};
use super::queue::Queue;
use super::{Options, Recover, Shared, Storage};

/// See [`Storage::open`].
pub(super) fn open(home: &Path, options: &Options) -> Result<(Storage, Recovered), StorageError> {
    let files = &options.files;
    let (journal, index) = (home.join("journal"), home.join("index"));
    make_dir(&**files, home)?;
    let lock = take_lock(&**files, home)?;
    make_dir(&**files, &journal)?;
    make_dir(&**files, &index)?;
    remove_leftovers(&**files, &journal)?;

    let index_path = index.join("objects.redb");
    let table = open_table(&**files, &index_path);
    let (mut state, repaired) = recover(home, options, table.as_ref().map(|(_, foundation)| *foundation))?;
    if state.segments.is_empty() {
        state.segments.push(first_segment(&**files, &journal, state.home)?);
    }
    let active = settle_tail(&journal, &state)?;
    let found = Found { files, journal: &journal, index_path: &index_path, state: &state };
    let index = found.build_index(table)?;
    let recovered = found.recovered(repaired);

    let shared = Arc::new(Shared {
        files: Arc::clone(files),
        journal: journal.clone(),
        home: state.home,
        queue: Queue::new(options.queue_batches),
        index,
        end: Mutex::new(end_of(&state)),
        open_files: Mutex::default(),
        batches: AtomicU64::new(0),
        flushes: AtomicU64::new(0),
        reserved: AtomicU64::new(0),
        sealed: AtomicBool::new(false),
    });
    let limits = Limits { segment_bytes: options.segment_bytes, reserve_bytes: options.reserve_bytes };
    let files = Arc::clone(files);
    let tail = (active, state.next);
    let writer = Writer::new(files, journal, state.home, limits, tail, Arc::clone(&shared))?;
    Ok((Storage::start(shared, writer, lock)?, recovered))
}

/// Makes a directory whose name is durable.
fn make_dir(files: &dyn Files, path: &Path) -> Result<(), StorageError> {
    files.create_dir(path).map_err(StorageError::io(Step::Create, path))?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => files.sync_dir(parent).map_err(StorageError::io(Step::Sync, parent)),
        None => Ok(()),
    }
}

//= docs/spec/journal.md#files
fn take_lock(files: &dyn Files, home: &Path) -> Result<Box<dyn Held>, StorageError> {
    let path = home.join("lock");
    match files.lock(&path).map_err(StorageError::io(Step::Lock, &path))? {
        Lock::Held(held) => Ok(held),
        Lock::Busy { pid } => Err(StorageError::Locked { pid }),
    }
}

/// Removes files that were being made when a crash came; none of them was ever part of the journal.
fn remove_leftovers(files: &dyn Files, journal: &Path) -> Result<(), StorageError> {
    for name in files.list(journal).map_err(StorageError::io(Step::List, journal))? {
        if name.starts_with('.') && name.ends_with(".new") {
            let path = journal.join(name);
            files.remove(&path).map_err(StorageError::io(Step::Remove, &path))?;
        }
    }
    Ok(())
}

/// The index's table, if it is there, whole and says what it stands for.
fn open_table(files: &dyn Files, path: &Path) -> Option<(Table, Foundation)> {
    let opened = Table::open(files, path).and_then(|table| Ok((table.foundation()?, table)));
    match opened {
        Ok((Some(foundation), table)) => Some((table, foundation)),
        Ok((None, _)) => None,
        Err(error) => {
            tracing::warn!(%error, "the index cannot be read and will be rebuilt");
            None
        }
    }
}

/// Scans the journal and, if the caller wants it, repairs it; what was repaired.
fn recover(
    home: &Path,
    options: &Options,
    foundation: Option<Foundation>,
) -> Result<(JournalScan, Vec<Damage>), StorageError> {
    let files = &*options.files;
    let journal = home.join("journal");
    let witness = foundation.map(|known| Witness { home: known.home, last: known.mark.sequence });
    let mut fresh = HomeId([0; 32]);
    getrandom::fill(&mut fresh.0)
        .map_err(|error| StorageError::io(Step::Entropy, home)(io::Error::other(error)))?;
    let state = scan(files, &journal, witness, fresh)?;
    if state.damages.is_empty() {
        return Ok((state, Vec::new()));
    }
    match options.recover {
        Recover::Refuse => Err(StorageError::Corrupt(state.damages)),
        Recover::Quarantine => {
            repair(files, &journal, &home.join("quarantine"), &state)?;
            let again = scan(files, &journal, witness, fresh)?;
            if again.damages.is_empty() {
                Ok((again, state.damages))
            } else {
                Err(StorageError::RepairFailed(again.damages))
            }
        }
    }
}

/// Makes the first segment of a new journal. It sets no space aside: the writer does.
fn first_segment(files: &dyn Files, journal: &Path, home: HomeId) -> Result<Segment, StorageError> {
    let header = Header { home, number: 1, first: 1, revision: 0 };
    let (file, _) = create_segment(files, journal, &header, 0)?;
    Ok(Segment {
        number: 1,
        first: 1,
        revision: 0,
        end: HEADER_BYTES,
        unsettled: HEADER_BYTES,
        pieces: Vec::new(),
        damaged: false,
        file: Some(file),
    })
}

/// Cuts the torn tail and makes what stands durable.
///
/// Frames that no later frame proves durable are written again in place before the flush: after a flush that failed
/// the system may hold their bytes in memory, show them, and never write them.
fn settle_tail(journal: &Path, state: &JournalScan) -> Result<Active, StorageError> {
    let segment = state.segments.last().ok_or(StorageError::Unreadable)?;
    let file = segment.file.as_ref().ok_or(StorageError::Unreadable)?;
    let path = path_of(journal, segment.number);
    if let Some(Torn { file: name, offset, bytes }) = &state.torn {
        tracing::warn!(file = %name, offset, bytes, "a torn tail was cut from the journal");
        file.set_length(*offset).map_err(StorageError::io(Step::Truncate, &path))?;
    }
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = segment.unsettled;
    while offset < segment.end {
        let size = usize::try_from(segment.end - offset).unwrap_or(usize::MAX).min(COPY_BYTES);
        file.read_at(&mut buffer[..size], offset).map_err(StorageError::io(Step::Read, &path))?;
        file.write_at(&buffer[..size], offset).map_err(StorageError::io(Step::Write, &path))?;
        offset += size as u64;
    }
    file.sync().map_err(StorageError::io(Step::Sync, &path))?;
    Ok(Active::new(state.home, segment.number, Arc::clone(file), segment.end))
}

fn end_of(state: &JournalScan) -> Mark {
    let (segment, offset) = state.segments.last().map_or((1, HEADER_BYTES), |last| (last.number, last.end));
    Mark { sequence: state.next - 1, segment, offset }
}

/// What recovery found, for what is built on it.
struct Found<'a> {
    files: &'a Arc<dyn Files>,
    journal: &'a Path,
    index_path: &'a Path,
    state: &'a JournalScan,
}

impl Found<'_> {
    fn foundation(&self, mark: Mark) -> Foundation {
        let revisions = self.state.segments.iter().map(|segment| u64::from(segment.revision)).sum();
        Foundation { home: self.state.home, revisions, mark }
    }

    /// Continues the table, or rebuilds it. A disk that does not let it be written is no reason not to open: loads
    /// then search the journal.
    fn build_index(&self, table: Option<(Table, Foundation)>) -> Result<Index, StorageError> {
        let now = self.foundation(end_of(self.state));
        let kept = table.filter(|(_, old)| now.continues(old) && self.stands(old.mark));
        let from = kept.as_ref().map_or(Mark { sequence: 0, segment: 1, offset: 0 }, |(_, old)| old.mark);
        let table = match kept {
            Some((table, _)) => Ok(table),
            None => self.new_table(),
        };
        let table = match table {
            Ok(table) => self.catch_up(&table, from).map(|outcome| match outcome {
                Ok(()) => Some(table),
                Err(error) => not_indexed(&error),
            })?,
            Err(error) => not_indexed(&error),
        };
        let identity = (now.home, now.revisions);
        Ok(Index::new(Arc::clone(self.files), self.index_path.to_owned(), identity, table, now.mark))
    }

    /// Whether a mark of the index names a place of this journal.
    fn stands(&self, mark: Mark) -> bool {
        self.state.segments.iter().any(|segment| segment.number == mark.segment && mark.offset <= segment.end)
    }

    fn new_table(&self) -> Result<Table, StorageError> {
        match self.files.remove(self.index_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io(Step::Remove, self.index_path)(error));
            }
            Err(_) | Ok(()) => {}
        }
        Table::open(&**self.files, self.index_path)
    }

    /// Indexes what stands after `from`. The outer error is the journal's, the inner one the table's.
    fn catch_up(&self, table: &Table, from: Mark) -> Result<Result<(), StorageError>, StorageError> {
        let segments = self.ends().into_iter().filter(|(number, _)| *number >= from.segment).collect();
        let mut waiting: Vec<Location> = Vec::new();
        let mut reached = from;
        for frame in self.reader(segments, from.offset) {
            let (segment, frame) = frame?;
            waiting.extend(frame.places().map(|place| Location { segment, place }));
            reached = Mark { sequence: frame.head.sequence, segment, offset: frame.end };
            if waiting.len() >= CATCH_UP_ENTRIES
                && let Err(error) = table.write(waiting.drain(..), &self.foundation(reached))
            {
                return Ok(Err(error));
            }
        }
        if waiting.is_empty() && reached == from && from.sequence > 0 {
            return Ok(Ok(()));
        }
        Ok(table.write(waiting.into_iter(), &self.foundation(reached)))
    }

    fn recovered(&self, repaired: Vec<Damage>) -> Recovered {
        Recovered {
            torn: self.state.torn.clone(),
            repaired,
            lost: self.state.lost.clone(),
            last_sequence: self.state.next - 1,
            frames: self.reader(self.ends(), 0),
        }
    }

    fn ends(&self) -> Vec<(u64, u64)> {
        self.state.segments.iter().map(|segment| (segment.number, segment.end)).collect()
    }

    fn reader(&self, segments: Vec<(u64, u64)>, offset: u64) -> FrameReader {
        let files = Arc::clone(self.files);
        FrameReader::new(files, self.journal.to_owned(), self.state.home, segments, offset)
    }
}

fn not_indexed(error: &StorageError) -> Option<Table> {
    tracing::warn!(%error, "the index cannot be written; loads search the journal");
    None
}

/// How much is copied at a time.
const COPY_BYTES: usize = 1024 * 1024;

/// How many entries are written at a time while the index catches up.
const CATCH_UP_ENTRIES: usize = 16 * 1024;
