//! Repair that the caller asked for: damaged segments are kept aside, and rewritten with what stands, each loss in
//! its place for ever.
//!
//! //= docs/spec/journal.md#quarantine

use std::path::Path;

use super::format::{Header, HomeId, Kind, SegmentKey, encode_frame, read_frame};
use super::scan::{JournalScan, Piece, Segment, path_of, segment_name};
use crate::storage::atomic_file;
use crate::storage::error::{Step, StorageError};
use crate::storage::files::{Files, StoredFile};

/// Rewrites every damaged segment of `scan`, after copying it to `quarantine`.
pub(crate) fn repair(
    files: &dyn Files,
    journal: &Path,
    quarantine: &Path,
    scan: &JournalScan,
) -> Result<(), StorageError> {
    files.create_dir(quarantine).map_err(StorageError::io(Step::Create, quarantine))?;
    if let Some(parent) = quarantine.parent() {
        files.sync_dir(parent).map_err(StorageError::io(Step::Sync, parent))?;
    }
    let mut next = 1;
    for segment in &scan.segments {
        if segment.damaged || segment.file.is_none() {
            if let Some(file) = &segment.file {
                keep_aside(files, journal, quarantine, segment, &**file)?;
            }
            next = rewrite(files, journal, segment, scan.home, segment.first.max(next))?;
        }
    }
    Ok(())
}

/// Copies a segment to the first free name in `quarantine`.
fn keep_aside(
    files: &dyn Files,
    journal: &Path,
    quarantine: &Path,
    segment: &Segment,
    file: &dyn StoredFile,
) -> Result<(), StorageError> {
    let source = path_of(journal, segment.number);
    let taken = files.list(quarantine).map_err(StorageError::io(Step::List, quarantine))?;
    let name = segment_name(segment.number);
    let free = (1u64..).map(|copy| format!("{name}.{copy}")).find(|name| !taken.contains(name));
    let target = quarantine.join(free.unwrap_or(name));
    let length = file.length().map_err(StorageError::io(Step::Read, &source))?;
    atomic_file::replace(files, &target, |temporary, copy| {
        let mut buffer = vec![0; COPY_BYTES];
        let mut offset = 0;
        while offset < length {
            let size = usize::try_from(length - offset).unwrap_or(usize::MAX).min(COPY_BYTES);
            file.read_at(&mut buffer[..size], offset).map_err(StorageError::io(Step::Read, &source))?;
            copy.write_at(&buffer[..size], offset).map_err(StorageError::io(Step::Write, temporary))?;
            offset += size as u64;
        }
        Ok(())
    })
}

/// Writes the segment anew from its pieces; the sequence number after it.
fn rewrite(
    files: &dyn Files,
    journal: &Path,
    segment: &Segment,
    home: HomeId,
    first: u64,
) -> Result<u64, StorageError> {
    let path = path_of(journal, segment.number);
    let key = SegmentKey::new(home, segment.number);
    let header = Header { home, number: segment.number, first, revision: segment.revision.saturating_add(1) };
    let mut next = first;
    atomic_file::replace(files, &path, |temporary, target| {
        let mut bytes = header.encode().to_vec();
        let mut offset = 0;
        for piece in &segment.pieces {
            let place = offset + bytes.len() as u64;
            match *piece {
                Piece::Lost(last) => {
                    encode_frame(&mut bytes, &key, place, (Kind::Lost, last, next - 1), &[]);
                    next = last + 1;
                }
                Piece::Frame(from) => {
                    let frame = read_again(segment, &key, from, &path)?;
                    let (kind, sequence) = (frame.head.kind, frame.head.sequence);
                    let records = frame.into_records();
                    encode_frame(&mut bytes, &key, place, (kind, sequence, next - 1), &records);
                    next = sequence + 1;
                }
            }
            if bytes.len() >= COPY_BYTES {
                target.write_at(&bytes, offset).map_err(StorageError::io(Step::Write, temporary))?;
                offset += bytes.len() as u64;
                bytes.clear();
            }
        }
        target.write_at(&bytes, offset).map_err(StorageError::io(Step::Write, temporary))
    })?;
    Ok(next)
}

fn read_again(
    segment: &Segment,
    key: &SegmentKey,
    offset: u64,
    path: &Path,
) -> Result<super::format::Frame, StorageError> {
    let file = segment.file.as_ref().ok_or(StorageError::Unreadable)?;
    let length = file.length().map_err(StorageError::io(Step::Read, path))?;
    read_frame(&**file, key, offset, length)
        .map_err(StorageError::io(Step::Read, path))?
        .ok_or(StorageError::Unreadable)
}

/// How much is copied at a time.
const COPY_BYTES: usize = 1024 * 1024;
