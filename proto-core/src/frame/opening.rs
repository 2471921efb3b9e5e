//! How the messages of a handshake travel, on a stream and in a datagram alike.

use alloc::vec::Vec;
use core::fmt;

use super::layout::{array, u16_at, u32_at};
use crate::error::Code;
use crate::limits::MAX_HANDSHAKE_BYTES;
use crate::session::error::SessionError;
use crate::session::message::{Ack, Hello, HelloRetry, Message};

/// Length of what stands before the message, in bytes.
pub const HEADER_BYTES: usize = 12;

/// What every message begins with.
pub const MAGIC: [u8; 4] = *b"FCPH";

/// The version of the format.
pub const VERSION: u16 = 1;

/// A message of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The first one.
    Hello(Hello),
    /// The answer that asks for a cookie.
    Retry(HelloRetry),
    /// The answer that makes the session.
    Ack(Ack),
}

/// Why bytes are no message of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpeningError {
    /// Shorter than the header, or otherwise long than it says.
    Length {
        /// The length.
        len: usize,
        /// What it would have to be.
        expected: usize,
    },
    /// Begins with something else than `FCPH`.
    InvalidMagic {
        /// What it begins with.
        got: [u8; 4],
    },
    /// A version that this release does not read.
    UnsupportedVersion {
        /// The version.
        got: u16,
    },
    /// A kind that this release does not know, or a reserved byte that is not zero.
    UnknownKind {
        /// Kind and reserved byte.
        got: [u8; 2],
    },
    /// Not a message of the kind.
    Message(SessionError),
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { len, expected } => write!(f, "{len} bytes are there, of {expected}"),
            Self::InvalidMagic { got } => write!(f, "the message begins with {got:02x?}"),
            Self::UnsupportedVersion { got } => write!(f, "version {got} of handshakes is not read"),
            Self::UnknownKind { got } => write!(f, "no message has kind {got:02x?}"),
            Self::Message(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpeningError {}

impl OpeningError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Length { .. } | Self::InvalidMagic { .. } | Self::UnknownKind { .. } => {
                Code::PeerFrameInvalid
            }
            Self::UnsupportedVersion { .. } => Code::VersionUnsupported,
            Self::Message(error) => error.code(),
        }
    }
}

/// Which message stands behind a header.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Hello,
    Retry,
    Ack,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Hello, Self::Retry, Self::Ack];

    /// What stands for it, and the reserved byte behind.
    const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Hello => [1, 0],
            Self::Retry => [2, 0],
            Self::Ack => [3, 0],
        }
    }
}

/// How many bytes follow the header; a reader of a stream reserves none before it knows.
///
/// # Errors
/// The first rule that the header breaks.
//= docs/spec/mesh-sessions.md#carriage
pub fn rest(header: &[u8; HEADER_BYTES]) -> Result<usize, OpeningError> {
    read_header(header).map(|(_, len)| len)
}

/// Which message follows the header, and how many bytes it has.
fn read_header(header: &[u8; HEADER_BYTES]) -> Result<(Kind, usize), OpeningError> {
    let (magic, version, len) = (array(header, 0), u16_at(header, 4), u32_at(header, 8));
    if magic != MAGIC {
        return Err(OpeningError::InvalidMagic { got: magic });
    }
    if version != VERSION {
        return Err(OpeningError::UnsupportedVersion { got: version });
    }
    let got = array(header, 6);
    let kind = Kind::ALL.into_iter().find(|kind| kind.bytes() == got);
    let kind = kind.ok_or(OpeningError::UnknownKind { got })?;
    let (len, max) = (usize::try_from(len).unwrap_or(usize::MAX), MAX_HANDSHAKE_BYTES);
    if len > max {
        return Err(OpeningError::Message(SessionError::TooLong { len, max }));
    }
    Ok((kind, len))
}

impl Opening {
    /// Reads one message.
    ///
    /// # Errors
    /// The first rule that it breaks.
    //= docs/spec/mesh-sessions.md#carriage
    pub fn decode(bytes: &[u8]) -> Result<Self, OpeningError> {
        let len = bytes.len();
        let short = OpeningError::Length { len, expected: HEADER_BYTES };
        let (header, message) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(short)?;
        let (kind, rest) = read_header(header)?;
        let expected = HEADER_BYTES + rest;
        if len != expected {
            return Err(OpeningError::Length { len, expected });
        }
        match kind {
            Kind::Hello => Hello::decode(message).map(Self::Hello),
            Kind::Retry => HelloRetry::decode(message).map(Self::Retry),
            Kind::Ack => Ack::decode(message).map(Self::Ack),
        }
        .map_err(OpeningError::Message)
    }

    /// The message's bytes.
    ///
    /// # Errors
    /// None in practice: every message is small.
    pub fn encode(&self) -> Result<Vec<u8>, SessionError> {
        let (kind, message) = match self {
            Self::Hello(hello) => (Kind::Hello, hello.encode()?),
            Self::Retry(retry) => (Kind::Retry, retry.encode()?),
            Self::Ack(ack) => (Kind::Ack, ack.encode()?),
        };
        let (len, max) = (message.len(), MAX_HANDSHAKE_BYTES);
        let short = u32::try_from(len).ok().filter(|_| len <= max);
        let length = short.ok_or(SessionError::TooLong { len, max })?;
        let version = VERSION.to_le_bytes();
        Ok([&MAGIC[..], &version, &kind.bytes(), &length.to_le_bytes(), &message].concat())
    }
}
