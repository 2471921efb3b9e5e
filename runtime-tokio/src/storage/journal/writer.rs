//! Appending: one thread takes whatever waits, writes it in one piece, flushes once, and answers each in order.
//!
//! //= docs/spec/journal.md#writing

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fcp_state_machines::persist::{Batch, Class, Completion, Refusal};
use tokio::sync::oneshot;

use super::format::{
    HEADER_BYTES, Header, HomeId, Kind, Place, SegmentKey, encode_frame, fits, frame_bytes, places,
};
use super::scan::{MAX_SEGMENT, path_of};
use crate::storage::atomic_file;
use crate::storage::error::{Step, StorageError, no_space};
use crate::storage::files::{Files, StoredFile};
use crate::storage::index::{Location, Mark};

/// A batch on its way to the disk, and where its completion goes.
pub(crate) struct Queued {
    /// The batch.
    pub(crate) batch: Batch,
    /// Its answer.
    pub(crate) reply: oneshot::Sender<Completion>,
}

/// What the writer tells the rest of storage.
pub(crate) trait Observer {
    /// These records are durable, up to `mark`; called before their batches are answered.
    fn durable(&self, records: Vec<Location>, mark: Mark);

    /// One flush made `batches` durable; `reserved` bytes are set aside beyond them.
    fn flushed(&self, batches: u64, reserved: u64);

    /// The store accepts nothing more until it is opened again.
    fn sealed(&self, cause: &StorageError);
}

/// The end of the journal.
pub(crate) struct Writer<O> {
    files: Arc<dyn Files>,
    directory: PathBuf,
    home: HomeId,
    limits: Limits,
    segment: Active,
    /// Bytes that batches have claimed for batches to come.
    claimed: u64,
    /// The next sequence number; every one before it is durable.
    next: u64,
    sealed: bool,
    observer: O,
}

/// Sizes that a caller may choose.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// A segment that would grow beyond this is followed by a new one.
    pub(crate) segment_bytes: u64,
    /// Space set aside for reserved batches.
    pub(crate) reserve_bytes: u64,
}

/// The segment that is written.
pub(crate) struct Active {
    number: u64,
    file: Arc<dyn StoredFile>,
    key: SegmentKey,
    /// Where the next frame goes.
    end: u64,
    /// Up to where the system has promised space.
    allocated: u64,
}

/// Frames that are encoded and not yet written.
#[derive(Default)]
struct Staged {
    bytes: Vec<u8>,
    frames: u64,
    records: Vec<Location>,
    /// What was claimed before them.
    claimed_before: u64,
    /// Replies in order, each with what it will be told if the flush succeeds.
    replies: Vec<(oneshot::Sender<Completion>, Completion)>,
    /// The batches themselves, for the case that they must be written one by one.
    batches: Vec<Batch>,
}

/// Why a batch is not staged.
enum Obstacle {
    Refused(Refusal),
    Broken(StorageError),
}

impl From<StorageError> for Obstacle {
    fn from(error: StorageError) -> Self {
        match &error {
            // These steps come before the rename, so nothing has changed.
            StorageError::Io { step: Step::Create | Step::Allocate | Step::Write, kind, .. }
                if no_space(*kind) =>
            {
                Self::Refused(Refusal::Full)
            }
            StorageError::Io { .. }
            | StorageError::Locked { .. }
            | StorageError::TooNew { .. }
            | StorageError::ForeignHome { .. }
            | StorageError::Corrupt(_)
            | StorageError::RepairFailed(_)
            | StorageError::Unreadable
            | StorageError::Defect
            | StorageError::Closed => Self::Broken(error),
        }
    }
}

impl Active {
    /// The segment `number`, whose frames end at `end`.
    pub(crate) fn new(home: HomeId, number: u64, file: Arc<dyn StoredFile>, end: u64) -> Self {
        Self { number, file, key: SegmentKey::new(home, number), end, allocated: end }
    }
}

impl<O: Observer> Writer<O> {
    /// A writer that continues `segment` with batch `next`.
    pub(crate) fn new(
        files: Arc<dyn Files>,
        directory: PathBuf,
        home: HomeId,
        limits: Limits,
        (segment, next): (Active, u64),
        observer: O,
    ) -> Result<Self, StorageError> {
        let mut writer =
            Self { files, directory, home, limits, segment, claimed: 0, next, sealed: false, observer };
        let end = writer.segment.end;
        match writer.reserve(Class::Reserved, end, 0) {
            // A disk that is full already is no reason not to open.
            Ok(()) | Err(Obstacle::Refused(_)) => {}
            Err(Obstacle::Broken(error)) => return Err(error),
        }
        writer.observer.flushed(0, writer.segment.allocated.saturating_sub(end));
        Ok(writer)
    }

    /// Writes a group of batches and answers each.
    pub(crate) fn commit(&mut self, group: Vec<Queued>) {
        let mut staged = self.nothing_staged();
        for Queued { batch, reply } in group {
            if self.sealed {
                answer(reply, Completion::Failed);
                continue;
            }
            match self.stage(&mut staged, batch) {
                Ok(()) => staged.replies.push((reply, Completion::Durable)),
                Err(Obstacle::Refused(why)) => staged.replies.push((reply, Completion::Refused(why))),
                Err(Obstacle::Broken(error)) => {
                    staged.replies.push((reply, Completion::Failed));
                    self.seal(&error);
                }
            }
        }
        self.flush(&mut staged);
    }

    fn nothing_staged(&self) -> Staged {
        Staged { claimed_before: self.claimed, ..Staged::default() }
    }

    /// Encodes a batch behind those staged, if there is room for it.
    fn stage(&mut self, staged: &mut Staged, batch: Batch) -> Result<(), Obstacle> {
        if !fits(&batch) {
            return Err(Obstacle::Refused(Refusal::TooLarge));
        }
        let size = frame_bytes(&batch.records);
        let staged_end = self.segment.end + staged.bytes.len() as u64;
        let full = staged_end > HEADER_BYTES && staged_end + size > self.limits.segment_bytes;
        if full && self.segment.number < MAX_SEGMENT {
            self.flush(staged);
            if self.sealed {
                return Err(Obstacle::Broken(StorageError::Closed));
            }
            match self.rotate().map_err(Obstacle::from) {
                // Without room for a new segment the present one grows, as far as the disk and the class permit.
                Ok(()) | Err(Obstacle::Refused(_)) => {}
                Err(broken @ Obstacle::Broken(_)) => return Err(broken),
            }
        }
        let offset = self.segment.end + staged.bytes.len() as u64;
        let claimed = self.claimed.saturating_sub(batch.space.releases).saturating_add(batch.space.claims);
        self.reserve(batch.class, offset + size, claimed)?;
        self.claimed = claimed;
        let sequence = self.next + staged.frames;
        let kind = (Kind::Batch(batch.class), sequence, self.next - 1);
        encode_frame(&mut staged.bytes, &self.segment.key, offset, kind, &batch.records);
        let lengths = batch.records.iter().map(|record| (record.id, record.bytes.len() as u64));
        let segment = self.segment.number;
        staged.records.extend(places(offset, lengths).map(|place: Place| Location { segment, place }));
        staged.frames += 1;
        staged.batches.push(batch);
        Ok(())
    }

    /// Makes sure of space up to byte `through` and for what is `claimed` beyond it, and then of the reserve unless the
    /// class may use that.
    //= docs/spec/journal.md#reserved-space
    fn reserve(&mut self, class: Class, through: u64, claimed: u64) -> Result<(), Obstacle> {
        let through = through.saturating_add(claimed);
        let whole = through.saturating_add(self.limits.reserve_bytes);
        if self.segment.allocated >= whole {
            return Ok(());
        }
        let needed = match class {
            Class::Normal => whole,
            Class::Reserved => through,
        };
        for target in [whole + ALLOCATION_STEP, whole, needed] {
            if self.segment.allocated >= target {
                return Ok(());
            }
            match self.segment.file.allocate(target) {
                Ok(()) => {
                    self.segment.allocated = target;
                    return Ok(());
                }
                // Without this service of the file system there is no reserve, and a write may find the disk full.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
                Err(error) if no_space(error.kind()) => {}
                Err(error) => return Err(Obstacle::Broken(self.io(Step::Allocate, error))),
            }
        }
        Err(Obstacle::Refused(Refusal::Full))
    }

    /// Writes what is staged, flushes it, and answers.
    fn flush(&mut self, staged: &mut Staged) {
        let after = self.nothing_staged();
        let staged = std::mem::replace(staged, after);
        if staged.frames > 0 && !self.sealed {
            match self.write(&staged.bytes) {
                Ok(()) => self.settle(&staged),
                Err(error) if matches!(&error, StorageError::Io { step: Step::Write, kind, .. } if no_space(*kind)) =>
                {
                    return self.retreat(staged);
                }
                Err(error) => self.seal(&error),
            }
        }
        for (reply, completion) in staged.replies {
            let completion = match completion {
                Completion::Durable if self.sealed => Completion::Failed,
                Completion::Durable | Completion::Refused(_) | Completion::Failed => completion,
            };
            answer(reply, completion);
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let file = &self.segment.file;
        file.write_at(bytes, self.segment.end).map_err(|error| self.io(Step::Write, error))?;
        file.sync().map_err(|error| self.io(Step::Sync, error))
    }

    /// Counts what was written as durable.
    fn settle(&mut self, staged: &Staged) {
        self.segment.end += staged.bytes.len() as u64;
        self.next += staged.frames;
        let mark = Mark { sequence: self.next - 1, segment: self.segment.number, offset: self.segment.end };
        self.observer.durable(staged.records.clone(), mark);
        self.observer.flushed(staged.frames, self.segment.allocated.saturating_sub(self.segment.end));
    }

    /// The disk was full although space was promised, or could not be: takes the write back and, if it was of more
    /// than one batch, tries them one by one.
    fn retreat(&mut self, staged: Staged) {
        let file = &self.segment.file;
        let end = self.segment.end;
        let cut = file.set_length(end).and_then(|()| file.sync());
        self.segment.allocated = end;
        self.claimed = staged.claimed_before;
        self.observer.flushed(0, 0);
        if let Err(error) = cut {
            let error = self.io(Step::Truncate, error);
            self.seal(&error);
        }
        let alone = staged.frames == 1;
        let mut batches = staged.batches.into_iter();
        for (reply, completion) in staged.replies {
            match completion {
                Completion::Durable if self.sealed => answer(reply, Completion::Failed),
                Completion::Durable if alone => answer(reply, Completion::Refused(Refusal::Full)),
                Completion::Durable => match batches.next() {
                    Some(batch) => self.commit(vec![Queued { batch, reply }]),
                    None => answer(reply, Completion::Failed),
                },
                Completion::Refused(_) | Completion::Failed => answer(reply, completion),
            }
        }
    }

    /// Begins the next segment. Everything written is durable when this is called.
    fn rotate(&mut self) -> Result<(), StorageError> {
        let number = self.segment.number + 1;
        let header = Header { home: self.home, number, first: self.next, revision: 0 };
        let reserve = self.limits.reserve_bytes.saturating_add(self.claimed);
        let (file, allocated) = create_segment(&*self.files, &self.directory, &header, reserve)?;
        let next = Active { allocated, ..Active::new(self.home, number, file, HEADER_BYTES) };
        let full = std::mem::replace(&mut self.segment, next);
        // Gives back the space that was set aside beyond the end of the full segment.
        full.file
            .set_length(full.end)
            .map_err(StorageError::io(Step::Truncate, path_of(&self.directory, full.number)))
    }

    //= docs/spec/journal.md#writing
    fn seal(&mut self, cause: &StorageError) {
        if !self.sealed {
            self.sealed = true;
            tracing::error!(%cause, "the store is sealed until it is opened again");
            self.observer.sealed(cause);
        }
    }

    fn io(&self, step: Step, error: io::Error) -> StorageError {
        StorageError::io(step, path_of(&self.directory, self.segment.number))(error)
    }
}

/// Makes a segment that appears whole or not at all; its file and up to where it has space.
pub(crate) fn create_segment(
    files: &dyn Files,
    directory: &std::path::Path,
    header: &Header,
    reserve: u64,
) -> Result<(Arc<dyn StoredFile>, u64), StorageError> {
    let path = path_of(directory, header.number);
    let mut allocated = HEADER_BYTES;
    atomic_file::replace(files, &path, |temporary, file| {
        match file.allocate(HEADER_BYTES + reserve) {
            Ok(()) => allocated = HEADER_BYTES + reserve,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(StorageError::io(Step::Allocate, temporary)(error)),
        }
        file.write_at(&header.encode(), 0).map_err(StorageError::io(Step::Write, temporary))
    })?;
    let file = files.open(&path).map_err(StorageError::io(Step::Open, &path))?;
    Ok((file, allocated))
}

/// Tells a caller what became of its batch; one that no longer listens has no need to know.
fn answer(reply: oneshot::Sender<Completion>, completion: Completion) {
    if reply.send(completion).is_err() {
        tracing::trace!(?completion, "nobody waits for this batch");
    }
}

/// How much space is asked for at a time beyond what is needed. Chosen: one request a mebibyte.
const ALLOCATION_STEP: u64 = 1024 * 1024;
