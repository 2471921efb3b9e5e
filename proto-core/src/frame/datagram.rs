//! The datagram around an FCPS frame: which session, which number, and the session's MAC.

use core::fmt;

use super::layout::{array, put, u64_at};
use crate::crypto::provider::Tag;
use crate::error::Code;
use crate::ids::MeshSessionId;
use crate::session::keys::{KeysSpent, ReceiveKeys, Refused, SendKeys};
use crate::time::Instant;

/// Length of what stands before the frame, in bytes.
pub const PREFIX_BYTES: usize = 40;

/// Why a datagram is not taken, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramError {
    /// Shorter than the prefix.
    TooShort {
        /// The length.
        len: usize,
        /// The shortest possible.
        min: usize,
    },
    /// Longer than the session takes.
    TooLarge {
        /// The length.
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
    /// The peer did not send it in this direction, with this number.
    NotAuthentic,
    /// The keys are used up.
    Spent(KeysSpent),
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len, min } => write!(f, "the datagram has {len} bytes, of at least {min}"),
            Self::TooLarge { len, max } => write!(f, "the datagram has {len} bytes, of at most {max}"),
            Self::OtherSession => f.write_str("the datagram belongs to another session"),
            Self::ReplayRejected { seq } => write!(f, "the datagram {seq} was seen before"),
            Self::NotAuthentic => f.write_str("the datagram is not authentic"),
            Self::Spent(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DatagramError {}

impl DatagramError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooShort { .. } | Self::TooLarge { .. } => Code::PeerFrameInvalid,
            Self::OtherSession | Self::Spent(_) => Code::PeerSessionOver,
            Self::ReplayRejected { .. } => Code::PeerReplayed,
            Self::NotAuthentic => Code::PeerNotAuthentic,
        }
    }
}

/// A datagram's parts, of which nothing is authentic yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Whose keys authenticate it.
    pub session_id: MeshSessionId,
    /// Its number.
    pub seq: u64,
    /// Its tag.
    pub mac: Tag,
    /// The frame.
    pub frame: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Takes `bytes` apart; `max` is the longest datagram that the session takes.
    ///
    /// # Errors
    /// [`DatagramError::TooShort`] or [`DatagramError::TooLarge`].
    //= docs/spec/fcps.md#datagrams
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Self, DatagramError> {
        let len = bytes.len();
        if len > max {
            return Err(DatagramError::TooLarge { len, max });
        }
        let short = DatagramError::TooShort { len, min: PREFIX_BYTES };
        let (prefix, frame) = bytes.split_first_chunk::<PREFIX_BYTES>().ok_or(short)?;
        Ok(Self {
            session_id: MeshSessionId::from_bytes(array(prefix, 0)),
            seq: u64_at(prefix, 16),
            mac: array(prefix, 24),
            frame,
        })
    }
}

/// Writes the prefix in front of the frame that stands in `datagram` from [`PREFIX_BYTES`] on. It is at most `max` bytes
/// long, and no longer than the peer takes.
///
/// # Errors
/// [`DatagramError::TooShort`], [`DatagramError::TooLarge`] or [`DatagramError::Spent`].
pub fn seal(keys: &mut SendKeys, datagram: &mut [u8], max: usize, now: Instant) -> Result<(), DatagramError> {
    let frame = Datagram::parse(datagram, max.min(keys.datagram_bytes()))?.frame;
    let (seq, tag) = keys.authenticate(frame, now).map_err(DatagramError::Spent)?;
    put(datagram, 0, keys.session_id().as_bytes());
    put(datagram, 16, &seq.to_le_bytes());
    put(datagram, 24, &tag);
    Ok(())
}

/// The frame in `datagram`, if the peer sent it in this session and it did not come before.
///
/// # Errors
/// Why it is not taken; the keys then are as they were.
//= docs/spec/fcps.md#datagrams
pub fn open<'a>(
    keys: &mut ReceiveKeys,
    datagram: &'a mut [u8],
    max: usize,
) -> Result<&'a mut [u8], DatagramError> {
    let parts = Datagram::parse(datagram, max)?;
    if parts.session_id != keys.session_id() {
        return Err(DatagramError::OtherSession);
    }
    keys.check_datagram(parts.seq, parts.frame, &parts.mac).map_err(|refused| match refused {
        Refused::Replayed(replayed) => DatagramError::ReplayRejected { seq: replayed.seq },
        Refused::NotAuthentic => DatagramError::NotAuthentic,
    })?;
    Ok(&mut datagram[PREFIX_BYTES..])
}
