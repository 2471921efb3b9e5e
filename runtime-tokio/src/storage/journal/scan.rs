//! Reading a whole journal: which frames stand, what is torn, what is damaged.
//!
//! A torn tail and damage look alike; what tells them apart is proof that the bytes were durable once: a later frame
//! that says so (`settled`), a later segment, or the index.
//!
//! //= docs/spec/journal.md#recovery

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{
    Frame, HEADER_BYTES, Header, HeaderError, HomeId, Kind, SegmentKey, find_frame, read_frame,
};
use crate::storage::error::{Damage, DamageKind, Lost, Step, StorageError};
use crate::storage::files::{Files, StoredFile};

/// What the index knows of the journal it was made from.
#[derive(Clone, Copy)]
pub(crate) struct Witness {
    /// The journal.
    pub(crate) home: HomeId,
    /// The last sequence number indexed, which was durable.
    pub(crate) last: u64,
}

/// What a scan found.
pub(crate) struct JournalScan {
    /// The journal's identity.
    pub(crate) home: HomeId,
    /// The segments, by number, without holes; a missing one has no file.
    pub(crate) segments: Vec<Segment>,
    /// What is damaged.
    pub(crate) damages: Vec<Damage>,
    /// The bytes after the last segment's end that were never durable.
    pub(crate) torn: Option<Torn>,
    /// Losses that were accepted earlier.
    pub(crate) lost: Vec<Lost>,
    /// The next sequence number.
    pub(crate) next: u64,
}

/// One segment as the scan found it.
pub(crate) struct Segment {
    /// Its number.
    pub(crate) number: u64,
    /// The sequence number it begins with.
    pub(crate) first: u64,
    /// How often it was rewritten.
    pub(crate) revision: u32,
    /// Where its last frame ends.
    pub(crate) end: u64,
    /// Where the frames begin that no later frame proves durable.
    pub(crate) unsettled: u64,
    /// What stands in it; kept only where a repair may need it.
    pub(crate) pieces: Vec<Piece>,
    /// Whether it must be rewritten by a repair.
    pub(crate) damaged: bool,
    /// The file, unless it is missing.
    pub(crate) file: Option<Arc<dyn StoredFile>>,
}

/// What a repaired segment consists of.
#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// The frame at this offset.
    Frame(u64),
    /// A loss up to and with this sequence number.
    Lost(u64),
}

/// A torn tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment file's name.
    pub file: String,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Reads the whole journal in `directory`. `fresh` is its identity if nothing says otherwise.
pub(crate) fn scan(
    files: &dyn Files,
    directory: &Path,
    witness: Option<Witness>,
    fresh: HomeId,
) -> Result<JournalScan, StorageError> {
    let numbers = segment_numbers(files, directory)?;
    let headers = read_headers(files, directory, &numbers)?;
    let home = agreed_home(&headers)?.or(witness.map(|witness| witness.home)).unwrap_or(fresh);
    // The index of another journal says nothing about this one.
    let witnessed = witness.filter(|witness| witness.home == home).map_or(0, |witness| witness.last);
    let mut scan = JournalScan {
        home,
        segments: Vec::new(),
        damages: Vec::new(),
        torn: None,
        lost: Vec::new(),
        next: 1,
    };
    let last = numbers.last().copied();
    for (number, file, header) in headers {
        scan.note_missing_before(number);
        let path = path_of(directory, number);
        let scanner = Scanner {
            file: &*file,
            key: SegmentKey::new(home, number),
            length: file.length().map_err(StorageError::io(Step::Read, &path))?,
            // Only the last segment can be torn; `None` stands for one that cannot.
            witnessed: (last == Some(number)).then_some(witnessed),
        };
        scan.read_segment(number, header.ok(), &scanner).map_err(StorageError::io(Step::Read, &path))?;
        if let Some(segment) = scan.segments.last_mut() {
            segment.file = Some(file);
        }
    }
    scan.note_missing_tail(witnessed);
    Ok(scan)
}

impl JournalScan {
    /// Notes the segments that are missing before `number`.
    fn note_missing_before(&mut self, number: u64) {
        if let Some(previous) = self.segments.len().checked_sub(2).and_then(|i| self.segments.get_mut(i))
            && !previous.damaged
        {
            previous.pieces = Vec::new();
        }
        for missing in self.segments.len() as u64 + 1..number {
            self.damage(missing, 0, DamageKind::MissingSegment, None);
            self.push_segment(missing, 0);
        }
    }

    /// Notes that the index has seen batches up to `witnessed`.
    fn note_missing_tail(&mut self, witnessed: u64) {
        if witnessed < self.next {
            return;
        }
        if self.segments.is_empty() {
            self.push_segment(1, 0);
        }
        let lost = Lost { first: self.next, last: witnessed };
        if let Some(segment) = self.segments.last_mut() {
            segment.pieces.push(Piece::Lost(witnessed));
            segment.damaged = true;
            let (number, end) = (segment.number, segment.end);
            self.damage(number, end, DamageKind::MissingTail, Some(lost));
        }
        self.next = witnessed + 1;
    }

    fn read_segment(&mut self, number: u64, header: Option<Header>, scanner: &Scanner<'_>) -> io::Result<()> {
        match header {
            Some(header) if header.number == number => {
                self.note_first(number, header.first);
                self.push_segment(number, header.revision);
                if header.first < self.next {
                    self.damage(number, 0, DamageKind::Duplicate, None);
                    self.mark();
                }
            }
            Some(_) | None => {
                self.push_segment(number, 0);
                self.damage(number, 0, DamageKind::Header, None);
                self.mark();
            }
        }
        let mut offset = HEADER_BYTES;
        while offset < scanner.length {
            let frame = match read_frame(scanner.file, &scanner.key, offset, scanner.length)? {
                Some(frame) => frame,
                None if scanner.torn(offset, self.next)? => {
                    let file = segment_name(number);
                    self.torn = Some(Torn { file, offset, bytes: scanner.length - offset });
                    break;
                }
                None => match self.skip_damage(number, offset, scanner)? {
                    Some(frame) => frame,
                    None => break,
                },
            };
            offset = frame.end;
            self.accept(number, &frame);
        }
        Ok(())
    }

    /// Names the damage at `offset` and finds the next whole frame.
    fn skip_damage(&mut self, number: u64, offset: u64, scanner: &Scanner<'_>) -> io::Result<Option<Frame>> {
        let next = find_frame(scanner.file, &scanner.key, offset + 1, scanner.length)?;
        let lost = next.as_ref().and_then(|frame| self.lost_before(frame.head.sequence));
        self.damage(number, offset, DamageKind::Frame, lost);
        self.mark();
        if let Some(Lost { last, .. }) = lost {
            self.piece(Piece::Lost(last));
            self.next = last + 1;
        }
        Ok(next)
    }

    fn accept(&mut self, number: u64, frame: &Frame) {
        let head = &frame.head;
        if head.sequence < self.next {
            self.damage(number, frame.offset, DamageKind::Duplicate, None);
            self.mark();
            return;
        }
        if head.kind == Kind::Lost {
            self.lost.push(Lost { first: self.next, last: head.sequence });
        } else if let Some(lost) = self.lost_before(head.sequence) {
            self.damage(number, frame.offset, DamageKind::Gap, Some(lost));
            self.mark();
            self.piece(Piece::Lost(lost.last));
            self.next = head.sequence;
        }
        if let Some(segment) = self.segments.last_mut() {
            // A frame is settled when a later one says so; all frames of one group say the same.
            if head.settled + 1 == self.next {
                segment.unsettled = frame.offset;
            }
            segment.pieces.push(Piece::Frame(frame.offset));
            segment.end = frame.end;
        }
        self.next = head.sequence + 1;
    }

    /// Compares a segment's first sequence number with what came before; the loss belongs to the segment before.
    fn note_first(&mut self, number: u64, first: u64) {
        if let Some(lost) = self.lost_before(first) {
            match self.segments.last_mut() {
                Some(previous) => {
                    let (number, end) = (previous.number, previous.end);
                    previous.pieces.push(Piece::Lost(lost.last));
                    previous.damaged = true;
                    self.damage(number, end, DamageKind::Gap, Some(lost));
                    self.next = first;
                }
                None => self.damage(number, 0, DamageKind::Gap, Some(lost)),
            }
        }
    }

    fn lost_before(&self, sequence: u64) -> Option<Lost> {
        (sequence > self.next).then(|| Lost { first: self.next, last: sequence - 1 })
    }

    fn push_segment(&mut self, number: u64, revision: u32) {
        self.segments.push(Segment {
            number,
            first: self.next,
            revision,
            end: HEADER_BYTES,
            unsettled: HEADER_BYTES,
            pieces: Vec::new(),
            damaged: false,
            file: None,
        });
    }

    fn piece(&mut self, piece: Piece) {
        if let Some(segment) = self.segments.last_mut() {
            segment.pieces.push(piece);
        }
    }

    fn mark(&mut self) {
        if let Some(segment) = self.segments.last_mut() {
            segment.damaged = true;
        }
    }

    fn damage(&mut self, number: u64, offset: u64, kind: DamageKind, lost: Option<Lost>) {
        self.damages.push(Damage { file: segment_name(number), offset, kind, lost });
    }
}

/// One segment being read.
struct Scanner<'a> {
    file: &'a dyn StoredFile,
    key: SegmentKey,
    length: u64,
    witnessed: Option<u64>,
}

impl Scanner<'_> {
    /// Whether what stands at `offset`, where batch `expected` should, was never durable.
    fn torn(&self, offset: u64, expected: u64) -> io::Result<bool> {
        match self.witnessed {
            None => return Ok(false),
            Some(last) if last >= expected => return Ok(false),
            Some(_) => {}
        }
        let mut from = offset + 1;
        while let Some(frame) = find_frame(self.file, &self.key, from, self.length)? {
            if frame.head.settled >= expected {
                return Ok(false);
            }
            from = frame.end;
        }
        Ok(true)
    }
}

type OpenSegment = (u64, Arc<dyn StoredFile>, Result<Header, HeaderError>);

/// Opens every segment and reads its header.
fn read_headers(
    files: &dyn Files,
    directory: &Path,
    numbers: &[u64],
) -> Result<Vec<OpenSegment>, StorageError> {
    let mut headers = Vec::with_capacity(numbers.len());
    for &number in numbers {
        let path = path_of(directory, number);
        let file = files.open(&path).map_err(StorageError::io(Step::Open, &path))?;
        let mut bytes = [0; HEADER_BYTES as usize];
        let header = match file.read_at(&mut bytes, 0) {
            Ok(()) => Header::decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(HeaderError::Damaged),
            Err(error) => return Err(StorageError::io(Step::Read, &path)(error)),
        };
        if let Err(HeaderError::TooNew(version)) = header {
            return Err(StorageError::TooNew { file: segment_name(number), version });
        }
        headers.push((number, file, header));
    }
    Ok(headers)
}

/// The one home that all whole headers belong to.
fn agreed_home(headers: &[OpenSegment]) -> Result<Option<HomeId>, StorageError> {
    let mut agreed: Option<HomeId> = None;
    for (number, _, header) in headers {
        if let Ok(header) = header {
            if agreed.is_some_and(|home| home != header.home) {
                return Err(StorageError::ForeignHome { file: segment_name(*number) });
            }
            agreed = Some(header.home);
        }
    }
    Ok(agreed)
}

/// The numbers of the segments in `directory`, ascending.
pub(crate) fn segment_numbers(files: &dyn Files, directory: &Path) -> Result<Vec<u64>, StorageError> {
    let names = files.list(directory).map_err(StorageError::io(Step::List, directory))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The file name of segment `number`.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:06}.fcj")
}

/// The path of segment `number` in `directory`.
pub(crate) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(segment_name(number))
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".fcj")?.parse().ok()?;
    ((1..=MAX_SEGMENT).contains(&number) && segment_name(number) == name).then_some(number)
}

/// The highest number of a segment. Chosen: 64 TB of journal; bounds the holes that a stray file can make.
pub(crate) const MAX_SEGMENT: u64 = 1_000_000;
