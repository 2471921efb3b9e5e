//! What recovery hands over: the journal's batches in order, read one at a time, and what recovery had to do.

use std::path::PathBuf;
use std::sync::Arc;

use fcp_state_machines::persist::{Batch, Class, Space};

use super::format::{Frame, HEADER_BYTES, Header, HomeId, Kind, SegmentKey, read_frame};
use super::scan::{Torn, path_of, segment_name};
use crate::storage::error::{Damage, DamageKind, Lost, Step, StorageError};
use crate::storage::files::{Files, StoredFile};

/// The recovered journal: what recovery did, and, as an iterator, every batch in order.
///
/// It reads as it goes, so it may be kept while the store is in use: it ends where the journal ended at the opening.
#[derive(Debug)]
pub struct Recovered {
    /// The torn tail that was cut, if there was one.
    pub torn: Option<Torn>,
    /// The damage that was repaired now, because the caller asked for it.
    pub repaired: Vec<Damage>,
    /// Every loss that was ever accepted in this journal.
    pub lost: Vec<Lost>,
    /// The sequence number of the last batch; zero when there is none.
    pub last_sequence: u64,
    pub(crate) frames: FrameReader,
}

/// One recovered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its sequence number.
    pub sequence: u64,
    /// The batch, whole.
    pub batch: Batch,
}

impl Iterator for Recovered {
    type Item = Result<Replayed, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        next_batch(&mut self.frames)
    }
}

/// Every batch of the journal in order, up to where it ended when this was made.
#[derive(Debug)]
pub struct Batches(pub(crate) FrameReader);

impl Iterator for Batches {
    type Item = Result<Replayed, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        next_batch(&mut self.0)
    }
}

/// The next frame that is a batch.
fn next_batch(frames: &mut FrameReader) -> Option<Result<Replayed, StorageError>> {
    loop {
        match frames.next()? {
            Ok((_, frame)) => {
                let sequence = frame.head.sequence;
                let class: Class = match frame.head.kind {
                    Kind::Batch(class) => class,
                    Kind::Lost => continue,
                };
                let batch = Batch { class, space: Space::default(), records: frame.into_records() };
                return Some(Ok(Replayed { sequence, batch }));
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Reads verified frames in order, from a place to the journal's end. After an error it ends.
#[derive(Debug)]
pub(crate) struct FrameReader {
    files: Arc<dyn Files>,
    directory: PathBuf,
    home: HomeId,
    /// Number and end of the segments still to read, last first.
    segments: Vec<(u64, u64)>,
    offset: u64,
    open: Option<(Arc<dyn StoredFile>, SegmentKey)>,
}

impl std::fmt::Debug for HomeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever knows it could write bytes that pass for frames, so it is shown nowhere.
        f.write_str("HomeId(..)")
    }
}

impl std::fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SegmentKey(..)")
    }
}

impl FrameReader {
    /// A reader of `segments` (number and end, ascending), from byte `offset` of the first.
    pub(crate) fn new(
        files: Arc<dyn Files>,
        directory: PathBuf,
        home: HomeId,
        mut segments: Vec<(u64, u64)>,
        offset: u64,
    ) -> Self {
        segments.reverse();
        Self { files, directory, home, segments, offset: offset.max(HEADER_BYTES), open: None }
    }

    /// The header is not needed to read what follows; whoever reads everything again shall hear of it all the same.
    fn check_header(&self, file: &dyn StoredFile, number: u64) -> Result<(), StorageError> {
        let path = path_of(&self.directory, number);
        let mut bytes = [0; HEADER_BYTES as usize];
        file.read_at(&mut bytes, 0).map_err(StorageError::io(Step::Read, &path))?;
        match Header::decode(&bytes) {
            Ok(header) if header.home == self.home && header.number == number => Ok(()),
            Ok(_) | Err(_) => {
                let file = segment_name(number);
                let damage = Damage { file, offset: 0, kind: DamageKind::Header, lost: None };
                Err(StorageError::Corrupt(vec![damage]))
            }
        }
    }

    fn read(&mut self, number: u64, end: u64) -> Result<Frame, StorageError> {
        let path = path_of(&self.directory, number);
        let (file, key) = match &self.open {
            Some(open) => open,
            None => {
                let file = self.files.open(&path).map_err(StorageError::io(Step::Open, &path))?;
                self.check_header(&*file, number)?;
                self.open.insert((file, SegmentKey::new(self.home, number)))
            }
        };
        read_frame(&**file, key, self.offset, end)
            .map_err(StorageError::io(Step::Read, &path))?
            .ok_or(StorageError::Unreadable)
    }
}

impl Iterator for FrameReader {
    type Item = Result<(u64, Frame), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let &(number, end) = self.segments.last()?;
            if self.offset >= end {
                self.segments.pop();
                self.offset = HEADER_BYTES;
                self.open = None;
                continue;
            }
            let outcome = self.read(number, end).map(|frame| (number, frame));
            match &outcome {
                Ok((_, frame)) => self.offset = frame.end,
                Err(_) => self.segments.clear(),
            }
            return Some(outcome);
        }
    }
}
