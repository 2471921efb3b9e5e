//! The header of an FCPS frame, and every rule about a frame's length.

use super::error::FrameError;
use super::flags::Flags;
use super::layout::{array, put, u16_at, u32_at, u64_at};
use crate::crypto::provider::TAG_BYTES;
use crate::ids::{Digest, KeyId, ObjectId};

/// Length of the header, in bytes.
pub const HEADER_BYTES: usize = 114;

/// What a symbol takes besides its own bytes: its number, the number of source symbols, and the tag.
pub const RECORD_OVERHEAD: usize = SYMBOL_AT + TAG_BYTES;

/// Where a record's sealed symbol begins.
pub(super) const SYMBOL_AT: usize = 6;

/// What every frame begins with.
pub const MAGIC: [u8; 4] = *b"FCPS";

/// The version of the format.
pub const VERSION: u16 = 1;

/// What an FCPS frame says before its symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame says of itself.
    pub flags: Flags,
    /// How many symbols follow.
    pub symbol_count: u32,
    /// The object that the symbols are of.
    pub object_id: ObjectId,
    /// The size of each symbol, in bytes.
    pub symbol_size: u16,
    /// The zone key under which the symbols are sealed.
    pub zone_key_id: KeyId,
    /// The hash of the zone's name.
    pub zone_id_hash: Digest,
    /// The epoch of the membership that the sender goes by.
    pub epoch_id: u64,
    /// The sender's start, drawn at random.
    pub sender_instance_id: u64,
    /// The frame's number since that start.
    pub frame_seq: u64,
}

impl Header {
    /// Reads the header of `frame`, and checks that the frame is exactly as long as it says and no longer than `max`.
    ///
    /// # Errors
    /// The first rule that the frame breaks.
    //= docs/spec/fcps.md#lengths
    pub fn parse(frame: &[u8], max: usize) -> Result<Self, FrameError> {
        let len = frame.len();
        if len > max {
            return Err(FrameError::ExceedsMtu { len, max });
        }
        let fixed: &[u8; HEADER_BYTES] =
            frame.first_chunk().ok_or(FrameError::TooShort { len, min: HEADER_BYTES })?;
        let header = Self::fields(fixed)?;
        let expected = header.frame_bytes(u32_at(fixed, 12))?;
        if len != expected {
            return Err(FrameError::FrameSizeMismatch { len, expected });
        }
        Ok(header)
    }

    //= docs/spec/fcps.md#header
    fn fields(fixed: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let (magic, version) = (array(fixed, 0), u16_at(fixed, 4));
        if magic != MAGIC {
            return Err(FrameError::InvalidMagic { got: magic });
        }
        if version != VERSION {
            return Err(FrameError::UnsupportedVersion { got: version });
        }
        let flags = Flags::from_bits(u16_at(fixed, 6));
        Ok(Self {
            flags: flags.map_err(|reason| FrameError::InvalidFlags { reason })?,
            symbol_count: u32_at(fixed, 8),
            object_id: ObjectId::from_bytes(array(fixed, 16)),
            symbol_size: u16_at(fixed, 48),
            zone_key_id: KeyId::from_bytes(array(fixed, 50)),
            zone_id_hash: Digest::from_bytes(array(fixed, 58)),
            epoch_id: u64_at(fixed, 90),
            sender_instance_id: u64_at(fixed, 98),
            frame_seq: u64_at(fixed, 106),
        })
    }

    /// The length of the whole frame, if the header's own length `claimed` is that of its symbols.
    fn frame_bytes(&self, claimed: u32) -> Result<usize, FrameError> {
        let computed = self.payload_bytes()?;
        if claimed != computed {
            return Err(FrameError::LengthMismatch { claimed, computed });
        }
        let length = usize::try_from(computed).ok().and_then(|bytes| bytes.checked_add(HEADER_BYTES));
        length.ok_or(self.overflow())
    }

    /// The length of all symbol records.
    pub(super) fn payload_bytes(&self) -> Result<u32, FrameError> {
        if self.symbol_size == 0 {
            return Err(FrameError::InvalidSymbolSize);
        }
        let record = u32::from(self.symbol_size) + RECORD_OVERHEAD as u32;
        self.symbol_count.checked_mul(record).ok_or(self.overflow())
    }

    fn overflow(&self) -> FrameError {
        FrameError::SymbolCountOverflow { count: self.symbol_count, symbol_size: self.symbol_size }
    }

    /// The length of one symbol's record.
    pub(super) fn record_bytes(&self) -> usize {
        usize::from(self.symbol_size) + RECORD_OVERHEAD
    }

    /// Writes the header, and the length of the records that follow it.
    pub(super) fn emit(&self, payload_bytes: u32, out: &mut [u8]) {
        put(out, 0, &MAGIC);
        put(out, 4, &VERSION.to_le_bytes());
        put(out, 6, &self.flags.bits().to_le_bytes());
        put(out, 8, &self.symbol_count.to_le_bytes());
        put(out, 12, &payload_bytes.to_le_bytes());
        put(out, 16, self.object_id.as_bytes());
        put(out, 48, &self.symbol_size.to_le_bytes());
        put(out, 50, self.zone_key_id.as_bytes());
        put(out, 58, self.zone_id_hash.as_bytes());
        put(out, 90, &self.epoch_id.to_le_bytes());
        put(out, 98, &self.sender_instance_id.to_le_bytes());
        put(out, 106, &self.frame_seq.to_le_bytes());
    }
}
