//! FCPC frames: one control object, sealed under the session's context key.

use core::fmt;

use super::layout::{array, put, u16_at, u32_at, u64_at};
use crate::crypto::provider::TAG_BYTES;
use crate::error::Code;
use crate::ids::MeshSessionId;
use crate::session::keys::{KeysSpent, ReceiveKeys, Refused, SendKeys};
use crate::time::Instant;

/// Length of the header, in bytes.
pub const HEADER_BYTES: usize = 36;

/// What a frame takes besides its content.
pub const OVERHEAD: usize = HEADER_BYTES + TAG_BYTES;

/// What every frame begins with.
pub const MAGIC: [u8; 4] = *b"FCPC";

/// The version of the format.
pub const VERSION: u16 = 1;

/// The one combination of flags that is sent and taken: sealed.
pub const FLAGS: u16 = 1;

/// Why bytes are no control frame, why one is not taken, or why one cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// Shorter than header and tag.
    TooShort {
        /// The length.
        len: usize,
        /// The shortest possible.
        min: usize,
    },
    /// Begins with something else than `FCPC`.
    InvalidMagic {
        /// What it begins with.
        got: [u8; 4],
    },
    /// A version that this release does not read.
    UnsupportedVersion {
        /// The version.
        got: u16,
    },
    /// Not sealed, or flags without a meaning.
    InvalidFlags {
        /// The flags.
        bits: u16,
        /// The flags that are taken.
        known: u16,
    },
    /// The frame is not as long as its header says.
    LengthMismatch {
        /// The length of the content that the header claims.
        claimed: u32,
        /// The length of the content that is there.
        actual: usize,
    },
    /// The content is longer than the session takes.
    PayloadTooLarge {
        /// Its length.
        len: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// Belongs to another session, or to another generation of this one.
    OtherSession,
    /// Its number was seen before, is zero, or is too old to tell.
    ReplayRejected {
        /// The number.
        seq: u64,
    },
    /// The peer did not seal it in this direction, with this number.
    NotAuthentic,
    /// The keys are used up.
    Spent(KeysSpent),
    /// The cipher refuses to seal.
    EncryptFailed,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len, min } => write!(f, "the frame has {len} bytes, of at least {min}"),
            Self::InvalidMagic { got } => write!(f, "the frame begins with {got:02x?}"),
            Self::UnsupportedVersion { got } => write!(f, "version {got} of control frames is not read"),
            Self::InvalidFlags { bits, known } => write!(f, "the flags {bits:#06x} are not {known:#06x}"),
            Self::LengthMismatch { claimed, actual } => {
                write!(f, "the header claims {claimed} bytes of content, {actual} are there")
            }
            Self::PayloadTooLarge { len, max } => write!(f, "the content has {len} bytes, of at most {max}"),
            Self::OtherSession => f.write_str("the frame belongs to another session"),
            Self::ReplayRejected { seq } => write!(f, "the frame {seq} was seen before"),
            Self::NotAuthentic => f.write_str("the frame is not authentic"),
            Self::Spent(error) => error.fmt(f),
            Self::EncryptFailed => f.write_str("the frame cannot be sealed"),
        }
    }
}

impl core::error::Error for ControlError {}

impl ControlError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooShort { .. }
            | Self::InvalidMagic { .. }
            | Self::InvalidFlags { .. }
            | Self::LengthMismatch { .. }
            | Self::PayloadTooLarge { .. } => Code::PeerFrameInvalid,
            Self::UnsupportedVersion { .. } => Code::VersionUnsupported,
            Self::OtherSession | Self::Spent(_) => Code::PeerSessionOver,
            Self::ReplayRejected { .. } => Code::PeerReplayed,
            Self::NotAuthentic => Code::PeerNotAuthentic,
            Self::EncryptFailed => Code::Internal,
        }
    }
}

/// What a control frame says before its content. Nothing of it is authentic yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlHeader {
    /// Whose keys seal it.
    pub session_id: MeshSessionId,
    /// Its number.
    pub seq: u64,
    /// The length of the content.
    pub len: u32,
}

impl ControlHeader {
    /// Reads a header; `max` is the longest content that the session takes. A reader of a stream knows from it how many
    /// bytes are to come, and reserves none before.
    ///
    /// # Errors
    /// The first rule that the header breaks.
    //= docs/spec/fcpc.md#frame
    pub fn parse(fixed: &[u8; HEADER_BYTES], max: usize) -> Result<Self, ControlError> {
        let (magic, version, bits) = (array(fixed, 0), u16_at(fixed, 4), u16_at(fixed, 30));
        if magic != MAGIC {
            return Err(ControlError::InvalidMagic { got: magic });
        }
        if version != VERSION {
            return Err(ControlError::UnsupportedVersion { got: version });
        }
        if bits != FLAGS {
            return Err(ControlError::InvalidFlags { bits, known: FLAGS });
        }
        let len = u32_at(fixed, 32);
        match usize::try_from(len) {
            Ok(length) if length <= max => (),
            Ok(_) | Err(_) => return Err(ControlError::PayloadTooLarge { len: len as usize, max }),
        }
        Ok(Self { session_id: MeshSessionId::from_bytes(array(fixed, 6)), seq: u64_at(fixed, 22), len })
    }

    /// How many bytes follow the header: the sealed content and its tag.
    pub fn rest(&self) -> usize {
        (self.len as usize).saturating_add(TAG_BYTES)
    }
}

/// A frame's content, opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// The frame's number.
    pub seq: u64,
    /// The content, in the caller's buffer.
    pub content: &'a mut [u8],
}

/// Seals the content that stands in `frame` between [`HEADER_BYTES`] of room before and [`TAG_BYTES`] of room behind.
///
/// # Errors
/// [`ControlError::TooShort`], [`ControlError::PayloadTooLarge`] or [`ControlError::Spent`].
//= docs/spec/fcpc.md#sealing
pub fn seal(keys: &mut SendKeys, frame: &mut [u8], max: usize, now: Instant) -> Result<(), ControlError> {
    let content = content_bytes(frame)?;
    let too_large = ControlError::PayloadTooLarge { len: content, max };
    let len = u32::try_from(content).map_err(|_| too_large)?;
    if content > max {
        return Err(too_large);
    }
    let seq = keys.next_control(content, now).map_err(ControlError::Spent)?;
    let (header, sealed) = frame.split_at_mut(HEADER_BYTES);
    put(header, 0, &MAGIC);
    put(header, 4, &VERSION.to_le_bytes());
    put(header, 6, keys.session_id().as_bytes());
    put(header, 22, &seq.to_le_bytes());
    put(header, 30, &FLAGS.to_le_bytes());
    put(header, 32, &len.to_le_bytes());
    keys.seal_control(seq, associated(header), sealed).map_err(|_| ControlError::EncryptFailed)
}

/// The content of `frame`, if the peer sealed it in this session and it did not come before.
///
/// # Errors
/// Why it is not taken; the keys then are as they were.
//= docs/spec/fcpc.md#opening
pub fn open<'a>(
    keys: &mut ReceiveKeys,
    frame: &'a mut [u8],
    max: usize,
) -> Result<Control<'a>, ControlError> {
    let actual = content_bytes(frame)?;
    let short = ControlError::TooShort { len: frame.len(), min: OVERHEAD };
    let (fixed, sealed) = frame.split_first_chunk_mut::<HEADER_BYTES>().ok_or(short)?;
    let header = ControlHeader::parse(fixed, max)?;
    if header.len as usize != actual {
        return Err(ControlError::LengthMismatch { claimed: header.len, actual });
    }
    if header.session_id != keys.session_id() {
        return Err(ControlError::OtherSession);
    }
    keys.open_control(header.seq, associated(fixed), sealed).map_err(|refused| match refused {
        Refused::Replayed(replayed) => ControlError::ReplayRejected { seq: replayed.seq },
        Refused::NotAuthentic => ControlError::NotAuthentic,
    })?;
    Ok(Control { seq: header.seq, content: &mut sealed[..actual] })
}

/// The length of the content of a frame of this length.
fn content_bytes(frame: &[u8]) -> Result<usize, ControlError> {
    let len = frame.len();
    len.checked_sub(OVERHEAD).ok_or(ControlError::TooShort { len, min: OVERHEAD })
}

/// Session, number and flags, which stand side by side in the header.
fn associated(header: &[u8]) -> &[u8] {
    &header[6..32]
}
