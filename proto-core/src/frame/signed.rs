//! Signed frames: one FCPS frame under a node's signature, while there is no session to authenticate it.

use core::fmt;

use super::error::FrameError;
use super::layout::{array, put, u16_at, u64_at};
use crate::crypto::role::Node;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::error::Code;
use crate::ids::NodeId;
use crate::limits::{MAX_FRAME_BYTES, MAX_ID_BYTES, SESSION_SKEW_SECS};
use crate::time::UnixTime;

/// What a signed frame takes besides its source and its frame.
pub const OVERHEAD: usize = 2 + 8 + 64;

/// A signed frame, of which nothing is authentic yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFrame<'a> {
    /// Who claims to send it.
    pub source: NodeId,
    /// When it was signed.
    pub timestamp: UnixTime,
    /// The signature.
    pub signature: Signature,
    /// The frame.
    frame: &'a [u8],
}

/// Why a signed frame is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedFrameError {
    /// It was signed too long ago, or in the future.
    TimestampSkew {
        /// The difference, in seconds.
        delta: u64,
        /// The largest that is tolerated.
        max: u64,
    },
    /// Its source did not sign it.
    InvalidSignature,
}

impl fmt::Display for SignedFrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimestampSkew { delta, max } => {
                write!(f, "the frame was signed {delta} s from now, of at most {max} s")
            }
            Self::InvalidSignature => f.write_str("the signature does not verify"),
        }
    }
}

impl core::error::Error for SignedFrameError {}

impl SignedFrameError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TimestampSkew { .. } => Code::ClockSuspect,
            Self::InvalidSignature => Code::PeerNotAuthentic,
        }
    }
}

impl<'a> SignedFrame<'a> {
    /// Takes `bytes` apart; `max` is the longest that is taken, all in all.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    //= docs/spec/fcps.md#signed-frames
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Self, FrameError> {
        let len = bytes.len();
        if len > max {
            return Err(FrameError::ExceedsMtu { len, max });
        }
        if len < OVERHEAD {
            return Err(FrameError::TooShort { len, min: OVERHEAD });
        }
        let source_len = usize::from(u16_at(bytes, 0));
        if source_len == 0 {
            return Err(FrameError::SourceIdEmpty);
        }
        if source_len > MAX_ID_BYTES {
            return Err(FrameError::InvalidSourceIdLength { len: source_len, max: MAX_ID_BYTES });
        }
        let min = OVERHEAD + source_len;
        if len < min {
            return Err(FrameError::TooShort { len, min });
        }
        let (source, rest) = bytes[2..].split_at(source_len);
        let source = core::str::from_utf8(source).map_err(|_| FrameError::InvalidUtf8)?;
        Ok(Self {
            source: NodeId::new(source).map_err(FrameError::InvalidSourceId)?,
            timestamp: UnixTime::from_secs(u64_at(rest, 0)),
            signature: Signature::from_bytes(array(rest, 8)),
            frame: check_size(&rest[72..])?,
        })
    }

    /// The frame, if the holder of `key`, which must be the source's, signed it about now.
    ///
    /// # Errors
    /// Why it is not taken.
    //= docs/spec/fcps.md#signed-frames
    pub fn verify(&self, key: &VerifyingKey<Node>, now: UnixTime) -> Result<&'a [u8], SignedFrameError> {
        let delta = now.as_secs().abs_diff(self.timestamp.as_secs());
        if delta > SESSION_SKEW_SECS {
            return Err(SignedFrameError::TimestampSkew { delta, max: SESSION_SKEW_SECS });
        }
        let verified =
            transcript(&self.source, self.timestamp, self.frame, |it| key.verify_parts(it, &self.signature));
        verified.map(|()| self.frame).map_err(|_| SignedFrameError::InvalidSignature)
    }
}

/// Writes `frame`, signed by `source` at `timestamp`, to the beginning of `out`, and gives what was written.
///
/// # Errors
/// [`FrameError::BufferTooSmall`] or [`FrameError::ExceedsMtu`].
pub fn emit<'a>(
    source: &NodeId,
    key: &SigningKey<Node>,
    timestamp: UnixTime,
    frame: &[u8],
    out: &'a mut [u8],
) -> Result<&'a [u8], FrameError> {
    let name = source.as_str().as_bytes();
    let (len, needed) = (out.len(), OVERHEAD + name.len() + check_size(frame)?.len());
    let out = out.get_mut(..needed).ok_or(FrameError::BufferTooSmall { len, needed })?;
    let signature = transcript(source, timestamp, frame, |it| key.sign_parts(it));
    // An identifier has at most 128 bytes.
    put(out, 0, &(name.len() as u16).to_le_bytes());
    put(out, 2, name);
    put(out, 2 + name.len(), &timestamp.as_secs().to_le_bytes());
    put(out, 10 + name.len(), signature.as_bytes());
    put(out, OVERHEAD + name.len(), frame);
    Ok(out)
}

/// Refuses a frame that is longer than any may be, so that its length fits the transcript.
fn check_size(frame: &[u8]) -> Result<&[u8], FrameError> {
    let len = frame.len();
    if len > MAX_FRAME_BYTES { Err(FrameError::ExceedsMtu { len, max: MAX_FRAME_BYTES }) } else { Ok(frame) }
}

/// Gives the parts of what is signed to `act`. The frame is not copied: whoever sends one makes its receiver hash it, and
/// reserve nothing.
fn transcript<T>(source: &NodeId, timestamp: UnixTime, frame: &[u8], act: impl FnOnce(&[&[u8]]) -> T) -> T {
    // An identifier has at most 128 bytes, and a frame's length was checked.
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    let name = source.as_str().as_bytes();
    let time = timestamp.as_secs().to_le_bytes();
    act(&[b"FCP2-FRAME-SIG-V1", &length(name), name, &time, &length(frame), frame])
}
