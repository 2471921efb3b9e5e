//! The bytes of a segment: header, frames, checksums.
//!
//! //= docs/spec/journal.md#segment-header
//! //= docs/spec/journal.md#frame

use std::io;

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::limits::MAX_OBJECT_BYTES;
use fcp_state_machines::persist::{Batch, Class, Record};

use crate::storage::files::StoredFile;

/// The identity of a home's journal: 32 random bytes, chosen with its first segment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HomeId(pub(crate) [u8; 32]);

/// The key of a segment's checksums, so that bytes of another home, of another segment, or chosen by whoever fills
/// the objects, do not pass for frames.
#[derive(Clone)]
pub(crate) struct SegmentKey([u8; 32]);

/// A segment's header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The journal it belongs to.
    pub(crate) home: HomeId,
    /// The segment's number, from 1.
    pub(crate) number: u64,
    /// The sequence number its first frame has or will have.
    pub(crate) first: u64,
    /// How often a repair has rewritten the segment.
    pub(crate) revision: u32,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// A newer format, with its version.
    TooNew(u32),
    /// Anything else.
    Damaged,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A batch of this class.
    Batch(Class),
    /// The batches up to and with this frame's sequence number were lost and their loss accepted.
    Lost,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What the frame is.
    pub(crate) kind: Kind,
    /// Its sequence number.
    pub(crate) sequence: u64,
    /// The last sequence number that was durable when the frame was written.
    pub(crate) settled: u64,
    /// Number of records.
    count: u32,
    /// Total bytes of the bodies.
    bodies: u64,
    table_sum: [u8; 16],
}

/// One row of a frame's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The object's id.
    pub(crate) id: ObjectId,
    /// The length of its body.
    pub(crate) length: u32,
    sum: [u8; 16],
}

/// A frame that has been read and verified whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it begins in the segment.
    pub(crate) offset: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// Its fixed part.
    pub(crate) head: Head,
    /// Its table.
    pub(crate) entries: Vec<Entry>,
    bodies: Vec<u8>,
}

impl SegmentKey {
    /// The key of segment `number` of `home`.
    pub(crate) fn new(home: HomeId, number: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        hasher.update(&home.0).update(&number.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The checksum of `parts` for the purpose `domain`, cut to `N` bytes.
    fn sum<const N: usize>(&self, domain: u8, parts: &[&[u8]]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[domain]);
        for part in parts {
            hasher.update(part);
        }
        let mut sum = [0; N];
        hasher.finalize_xof().fill(&mut sum);
        sum
    }
}

impl Header {
    /// The header's bytes.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(HEADER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.home.0);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        let sum = SegmentKey::new(self.home, self.number).sum::<16>(DOMAIN_HEADER, &[&bytes]);
        bytes.extend_from_slice(&sum);
        let mut header = [0; HEADER_BYTES as usize];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads a header.
    ///
    /// A version that only a flipped bit makes newer is damage, since the rest verifies as this version.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES as usize]) -> Result<Self, HeaderError> {
        if &bytes[..8] != HEADER_MAGIC {
            return Err(HeaderError::Damaged);
        }
        let header = Self {
            home: HomeId(array(&bytes[16..48])),
            number: u64::from_le_bytes(array(&bytes[48..56])),
            first: u64::from_le_bytes(array(&bytes[56..64])),
            revision: u32::from_le_bytes(array(&bytes[12..16])),
        };
        let expected = header.encode();
        let version = u32::from_le_bytes(array(&bytes[8..12]));
        if bytes == &expected {
            Ok(header)
        } else if version > VERSION && bytes[12..] != expected[12..] {
            Err(HeaderError::TooNew(version))
        } else {
            Err(HeaderError::Damaged)
        }
    }
}

impl Head {
    fn encode(&self, key: &SegmentKey, offset: u64) -> [u8; HEAD_BYTES as usize] {
        let mut bytes = [0; HEAD_BYTES as usize];
        bytes[..4].copy_from_slice(FRAME_MAGIC);
        bytes[4] = match self.kind {
            Kind::Batch(Class::Normal) => 0,
            Kind::Batch(Class::Reserved) => 1,
            Kind::Lost => 2,
        };
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.settled.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.bodies.to_le_bytes());
        bytes[40..56].copy_from_slice(&self.table_sum);
        let sum = key.sum::<8>(DOMAIN_HEAD, &[&offset.to_le_bytes(), &bytes[..56]]);
        bytes[56..].copy_from_slice(&sum);
        bytes
    }

    fn decode(bytes: &[u8; HEAD_BYTES as usize], key: &SegmentKey, offset: u64) -> Option<Self> {
        if &bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let kind = match bytes[4] {
            0 => Kind::Batch(Class::Normal),
            1 => Kind::Batch(Class::Reserved),
            2 => Kind::Lost,
            3.. => return None,
        };
        let head = Self {
            kind,
            sequence: u64::from_le_bytes(array(&bytes[8..16])),
            settled: u64::from_le_bytes(array(&bytes[16..24])),
            count: u32::from_le_bytes(array(&bytes[24..28])),
            bodies: u64::from_le_bytes(array(&bytes[32..40])),
            table_sum: array(&bytes[40..56]),
        };
        let whole = head.encode(key, offset) == *bytes;
        let bounded = head.count as usize <= MAX_BATCH_RECORDS && head.bodies <= MAX_BATCH_BYTES;
        let empty = head.count == 0 && head.bodies == 0;
        (whole && bounded && (empty || head.kind != Kind::Lost)).then_some(head)
    }

    /// The length of the whole frame.
    fn frame_bytes(&self) -> u64 {
        HEAD_BYTES + u64::from(self.count) * ENTRY_BYTES + self.bodies
    }
}

impl Entry {
    fn new(record: &Record, key: &SegmentKey) -> Self {
        let length = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        Self { id: record.id, length, sum: body_sum(key, &record.id, &record.bytes) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.sum);
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            id: ObjectId::from_bytes(array(&bytes[..32])),
            length: u32::from_le_bytes(array(&bytes[32..36])),
            sum: array(&bytes[36..52]),
        }
    }

    /// Whether `body` is what was stored.
    fn matches(&self, key: &SegmentKey, body: &[u8]) -> bool {
        body.len() == self.length as usize && body_sum(key, &self.id, body) == self.sum
    }
}

impl Frame {
    /// Where each record stands.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        places(self.offset, self.entries.iter().map(|entry| (entry.id, entry.length.into())))
    }

    /// The frame's records, in order.
    pub(crate) fn into_records(self) -> Vec<Record> {
        let mut rest = self.bodies.as_slice();
        let mut records = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let (body, after) = rest.split_at(entry.length as usize);
            records.push(Record { id: entry.id, bytes: body.to_vec() });
            rest = after;
        }
        records
    }
}

/// Where one record stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The record's object.
    pub(crate) id: ObjectId,
    /// Where its table entry begins.
    pub(crate) entry: u64,
    /// Where its body begins.
    pub(crate) body: u64,
}

/// Where each record (id and length of its body) of a frame at `offset` stands.
pub(crate) fn places(
    offset: u64,
    records: impl ExactSizeIterator<Item = (ObjectId, u64)>,
) -> impl Iterator<Item = Place> {
    let table = offset + HEAD_BYTES;
    let mut end = table + records.len() as u64 * ENTRY_BYTES;
    records.zip(0u64..).map(move |((id, length), position)| {
        let body = end;
        end += length;
        Place { id, entry: table + position * ENTRY_BYTES, body }
    })
}

/// Whether a batch keeps the bounds of one frame.
pub(crate) fn fits(batch: &Batch) -> bool {
    let bodies: u64 = batch.records.iter().map(|record| record.bytes.len() as u64).sum();
    batch.records.len() <= MAX_BATCH_RECORDS
        && bodies <= MAX_BATCH_BYTES
        && batch.records.iter().all(|record| record.bytes.len() <= MAX_OBJECT_BYTES)
}

/// The length of the frame that `records` make.
pub(crate) fn frame_bytes(records: &[Record]) -> u64 {
    let bodies: u64 = records.iter().map(|record| record.bytes.len() as u64).sum();
    HEAD_BYTES + records.len() as u64 * ENTRY_BYTES + bodies
}

/// Appends to `out` the frame of `records` that will stand at `offset`.
pub(crate) fn encode_frame(
    out: &mut Vec<u8>,
    key: &SegmentKey,
    offset: u64,
    (kind, sequence, settled): (Kind, u64, u64),
    records: &[Record],
) {
    let mut table = Vec::with_capacity(records.len() * ENTRY_BYTES as usize);
    for record in records {
        Entry::new(record, key).encode(&mut table);
    }
    let head = Head {
        kind,
        sequence,
        settled,
        count: u32::try_from(records.len()).unwrap_or(u32::MAX),
        bodies: records.iter().map(|record| record.bytes.len() as u64).sum(),
        table_sum: key.sum(DOMAIN_TABLE, &[&offset.to_le_bytes(), &table]),
    };
    out.extend_from_slice(&head.encode(key, offset));
    out.extend_from_slice(&table);
    for record in records {
        out.extend_from_slice(&record.bytes);
    }
}

/// Reads the frame at `offset` of a file of `length` bytes; `None` if no whole frame stands there.
//= docs/spec/journal.md#checksums
pub(crate) fn read_frame(
    file: &dyn StoredFile,
    key: &SegmentKey,
    offset: u64,
    length: u64,
) -> io::Result<Option<Frame>> {
    let room = length.saturating_sub(offset);
    if room < HEAD_BYTES {
        return Ok(None);
    }
    let mut bytes = [0; HEAD_BYTES as usize];
    file.read_at(&mut bytes, offset)?;
    let Some(head) = Head::decode(&bytes, key, offset).filter(|head| head.frame_bytes() <= room) else {
        return Ok(None);
    };
    let mut table = vec![0; head.count as usize * ENTRY_BYTES as usize];
    file.read_at(&mut table, offset + HEAD_BYTES)?;
    if key.sum::<16>(DOMAIN_TABLE, &[&offset.to_le_bytes(), &table]) != head.table_sum {
        return Ok(None);
    }
    let entries: Vec<Entry> = table.chunks_exact(ENTRY_BYTES as usize).map(Entry::decode).collect();
    let sum: u64 = entries.iter().map(|entry| u64::from(entry.length)).sum();
    if sum != head.bodies {
        return Ok(None);
    }
    let mut bodies = vec![0; sum as usize];
    file.read_at(&mut bodies, offset + HEAD_BYTES + table.len() as u64)?;
    let mut rest = bodies.as_slice();
    for entry in &entries {
        let (body, after) = rest.split_at(entry.length as usize);
        if !entry.matches(key, body) {
            return Ok(None);
        }
        rest = after;
    }
    Ok(Some(Frame { offset, end: offset + head.frame_bytes(), head, entries, bodies }))
}

/// Reads the record at `place`; `None` if it is not there, whole.
pub(crate) fn read_body(
    file: &dyn StoredFile,
    key: &SegmentKey,
    place: &Place,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = [0; ENTRY_BYTES as usize];
    file.read_at(&mut bytes, place.entry)?;
    let entry = Entry::decode(&bytes);
    if entry.id != place.id || entry.length as usize > MAX_OBJECT_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; entry.length as usize];
    file.read_at(&mut bytes, place.body)?;
    Ok(entry.matches(key, &bytes).then_some(bytes))
}

/// Looks for the next whole frame at or after `from`.
pub(crate) fn find_frame(
    file: &dyn StoredFile,
    key: &SegmentKey,
    from: u64,
    length: u64,
) -> io::Result<Option<Frame>> {
    let mut window = vec![0; SEARCH_WINDOW];
    let mut start = from;
    while start + HEAD_BYTES <= length {
        let size = usize::try_from(length - start).unwrap_or(usize::MAX).min(SEARCH_WINDOW);
        file.read_at(&mut window[..size], start)?;
        for (position, candidate) in window[..size].windows(FRAME_MAGIC.len()).enumerate() {
            if candidate == FRAME_MAGIC
                && let Some(frame) = read_frame(file, key, start + position as u64, length)?
            {
                return Ok(Some(frame));
            }
        }
        // Windows overlap, so that a magic across their border is seen.
        start += (size + 1 - FRAME_MAGIC.len()) as u64;
    }
    Ok(None)
}

fn body_sum(key: &SegmentKey, id: &ObjectId, body: &[u8]) -> [u8; 16] {
    key.sum(DOMAIN_BODY, &[id.as_bytes(), &(body.len() as u64).to_le_bytes(), body])
}

/// The array of the same length as `bytes`; callers slice exactly.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// The format version this release writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;

/// Length of a segment's header.
pub(crate) const HEADER_BYTES: u64 = 96;

/// Most records in one batch. Chosen: far above what one call makes; bounds the table to 3.4 MB.
pub const MAX_BATCH_RECORDS: usize = 65_536;

/// Most bytes of bodies in one batch. Chosen: two objects of the largest size.
pub const MAX_BATCH_BYTES: u64 = 2 * MAX_OBJECT_BYTES as u64;

/// Length of a frame's fixed part.
pub(crate) const HEAD_BYTES: u64 = 64;

/// Length of one row of a frame's table.
pub(crate) const ENTRY_BYTES: u64 = 52;

/// How segments begin.
const HEADER_MAGIC: &[u8; 8] = b"FCPJRNL\n";

/// How frames begin.
const FRAME_MAGIC: &[u8; 4] = b"FCJF";

/// The context from which checksum keys are derived.
const KEY_CONTEXT: &str = "fcp journal v1 segment checksums";

/// Domains of the checksums, so that one never stands for another.
const DOMAIN_HEADER: u8 = 1;
const DOMAIN_HEAD: u8 = 2;
const DOMAIN_TABLE: u8 = 3;
const DOMAIN_BODY: u8 = 4;

/// How much is read at a time when looking for a frame.
const SEARCH_WINDOW: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bytes(text: &Value) -> Vec<u8> {
        hex::decode(text.as_str().expect("a text")).expect("hexadecimal")
    }

    fn records(frame: &Value) -> Vec<Record> {
        let one = |it: &Value| Record {
            id: ObjectId::from_bytes(array(&bytes(&it["id"]))),
            bytes: bytes(&it["body"]),
        };
        frame["records"].as_array().expect("records").iter().map(one).collect()
    }

    /// Whoever knows the home's id could write bytes that pass for frames, so nothing shows it.
    //= docs/spec/journal.md#checksums
    #[test]
    fn the_home_id_is_not_printed() {
        let home = HomeId([0xa7; 32]);
        assert_eq!(format!("{home:?}"), "HomeId(..)");
        assert_eq!(format!("{:?}", SegmentKey::new(home, 1)), "SegmentKey(..)");
    }

    /// Another implementation writes the same segments.
    //= docs/spec/journal.md#checksums
    #[test]
    fn segments_are_those_of_the_vectors() {
        let file: Value =
            serde_json::from_str(include_str!("../../../../vectors/node/journal.json")).expect("JSON");
        for case in file["cases"].as_array().expect("cases") {
            let number = |of: &Value, name: &str| of[name].as_u64().expect("a number");
            let header = Header {
                home: HomeId(array(&bytes(&case["home"]))),
                number: number(case, "number"),
                first: number(case, "first"),
                revision: u32::try_from(number(case, "revision")).expect("a revision"),
            };
            let key = SegmentKey::new(header.home, header.number);
            let mut written = header.encode().to_vec();
            for frame in case["frames"].as_array().expect("frames") {
                let kind = match number(frame, "kind") {
                    0 => Kind::Batch(Class::Normal),
                    1 => Kind::Batch(Class::Reserved),
                    2 => Kind::Lost,
                    other => panic!("no kind {other}"),
                };
                let head = (kind, number(frame, "sequence"), number(frame, "settled"));
                let offset = written.len() as u64;
                encode_frame(&mut written, &key, offset, head, &records(frame));
            }
            assert_eq!(hex::encode(&written), case["segment"], "{case}");
        }
    }
}
