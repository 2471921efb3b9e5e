//! What a control frame carries: a piece of a lane, what a lane has room for, or a word about the session itself.

use alloc::vec::Vec;
use core::fmt;

use super::layout::{array, u64_at};
use crate::error::Code;

/// Longest piece of a message in one frame, in bytes. Chosen: what must wait for a frame waits for no more than this.
pub const MAX_PIECE_BYTES: usize = 16 * 1024;

/// The fixed part before a piece: kind, lane, whether the message ends, position.
const PIECE_HEADER_BYTES: usize = 11;

/// What a frame must hold at least to carry a whole piece.
pub const MAX_CONTENT_BYTES: usize = PIECE_HEADER_BYTES + MAX_PIECE_BYTES;

/// One of the ordered streams of a session. The order is that of their importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What must overtake everything: revocations, fences, halts.
    Urgent,
    /// Calls, leases, votes, audit heads.
    Control,
    /// Summaries and reconciliation.
    Sync,
    /// Symbols and other bulk.
    Bulk,
}

impl Lane {
    /// Every lane, the most important first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::Control, Self::Sync, Self::Bulk];

    /// The byte that stands for the lane.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Urgent => 0,
            Self::Control => 1,
            Self::Sync => 2,
            Self::Bulk => 3,
        }
    }

    fn of(byte: u8) -> Result<Self, ContentError> {
        Self::ALL.into_iter().find(|lane| lane.byte() == byte).ok_or(ContentError::UnknownLane { got: byte })
    }
}

/// Why a node ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It stops, or has nothing more to say.
    Done,
    /// A newer session of the two nodes stands.
    Replaced,
    /// The peer's attestation is no longer good.
    PeerNotTrusted,
    /// The keys reached their bound, and no rekey came about.
    KeysSpent,
    /// The peer broke a rule of the link.
    ProtocolViolation,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Done, Self::Replaced, Self::PeerNotTrusted, Self::KeysSpent, Self::ProtocolViolation];

    /// The byte that stands for the reason.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Replaced => 1,
            Self::PeerNotTrusted => 2,
            Self::KeysSpent => 3,
            Self::ProtocolViolation => 4,
        }
    }

    fn of(byte: u8) -> Result<Self, ContentError> {
        let reason = Self::ALL.into_iter().find(|reason| reason.byte() == byte);
        reason.ok_or(ContentError::UnknownReason { got: byte })
    }
}

/// A piece of a message of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Which lane.
    pub lane: Lane,
    /// How many bytes of the lane stand before the piece.
    pub position: u64,
    /// Whether the message ends with this piece.
    pub last: bool,
    /// The bytes; at least one.
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// How many bytes of the lane stand before what follows the piece.
    pub const fn end(&self) -> u64 {
        // A reader refuses a piece whose end does not fit.
        self.position.saturating_add(self.bytes.len() as u64)
    }
}

/// What a lane's receiver has, and has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which lane.
    pub lane: Lane,
    /// How many bytes of the lane arrived without a gap.
    pub received: u64,
    /// How many bytes of the lane may be sent, from its beginning.
    pub limit: u64,
    /// Whether to send again what comes after `received`.
    pub again: bool,
}

/// The content of one control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A piece of a message.
    Piece(Piece<'a>),
    /// What a lane has room for.
    Window(Window),
    /// An encoded [`RekeyRequest`](crate::session::rekey::RekeyRequest).
    RekeyRequest(&'a [u8]),
    /// An encoded [`RekeyAck`](crate::session::rekey::RekeyAck).
    RekeyAck(&'a [u8]),
    /// The sender ends the session.
    Close(CloseReason),
}

const PIECE: u8 = 1;
const WINDOW: u8 = 2;
const REKEY_REQUEST: u8 = 3;
const REKEY_ACK: u8 = 4;
const CLOSE: u8 = 5;

impl<'a> Content<'a> {
    /// Reads the content of a frame.
    ///
    /// # Errors
    /// The first rule that it breaks.
    //= docs/spec/fcpc.md#content
    pub fn parse(content: &'a [u8]) -> Result<Self, ContentError> {
        let (&kind, rest) = content.split_first().ok_or(ContentError::Empty)?;
        match kind {
            PIECE => piece(rest).map(Self::Piece),
            WINDOW => window(rest).map(Self::Window),
            REKEY_REQUEST => Ok(Self::RekeyRequest(rest)),
            REKEY_ACK => Ok(Self::RekeyAck(rest)),
            CLOSE => {
                let [reason] = exactly::<1>(rest)?;
                CloseReason::of(reason).map(Self::Close)
            }
            got => Err(ContentError::UnknownKind { got }),
        }
    }

    /// Appends the content's bytes to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Piece(piece) => {
                out.extend([PIECE, piece.lane.byte(), u8::from(piece.last)]);
                out.extend(piece.position.to_le_bytes());
                out.extend_from_slice(piece.bytes);
            }
            Self::Window(window) => {
                out.extend([WINDOW, window.lane.byte(), u8::from(window.again)]);
                out.extend(window.received.to_le_bytes());
                out.extend(window.limit.to_le_bytes());
            }
            Self::RekeyRequest(message) => {
                out.push(REKEY_REQUEST);
                out.extend_from_slice(message);
            }
            Self::RekeyAck(message) => {
                out.push(REKEY_ACK);
                out.extend_from_slice(message);
            }
            Self::Close(reason) => out.extend([CLOSE, reason.byte()]),
        }
    }
}

/// Why bytes are no content of a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentError {
    /// There are none.
    Empty,
    /// A kind that this release does not know.
    UnknownKind {
        /// The kind.
        got: u8,
    },
    /// A lane that there is not.
    UnknownLane {
        /// The lane.
        got: u8,
    },
    /// A reason to close that this release does not know.
    UnknownReason {
        /// The reason.
        got: u8,
    },
    /// A truth value that is neither 0 nor 1.
    InvalidFlag {
        /// The value.
        got: u8,
    },
    /// Too few or too many bytes for the kind.
    Length {
        /// The length after the kind.
        len: usize,
    },
    /// A piece that ends beyond the last position that there is.
    PositionOverflow,
    /// A window that ends before what arrived.
    WindowBackwards,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the frame carries nothing"),
            Self::UnknownKind { got } => write!(f, "no content has kind {got}"),
            Self::UnknownLane { got } => write!(f, "there is no lane {got}"),
            Self::UnknownReason { got } => write!(f, "there is no reason {got} to close"),
            Self::InvalidFlag { got } => write!(f, "{got} is neither yes nor no"),
            Self::Length { len } => write!(f, "{len} bytes do not fit this kind of content"),
            Self::PositionOverflow => f.write_str("the piece ends beyond the last position"),
            Self::WindowBackwards => f.write_str("the window ends before what arrived"),
        }
    }
}

impl core::error::Error for ContentError {}

impl ContentError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty
            | Self::UnknownKind { .. }
            | Self::UnknownLane { .. }
            | Self::UnknownReason { .. }
            | Self::InvalidFlag { .. }
            | Self::Length { .. }
            | Self::PositionOverflow
            | Self::WindowBackwards => Code::PeerFrameInvalid,
        }
    }
}

fn piece(rest: &[u8]) -> Result<Piece<'_>, ContentError> {
    let len = rest.len();
    let (fixed, bytes) = rest.split_first_chunk::<10>().ok_or(ContentError::Length { len })?;
    if bytes.is_empty() || bytes.len() > MAX_PIECE_BYTES {
        return Err(ContentError::Length { len });
    }
    let position = u64_at(fixed, 2);
    position.checked_add(bytes.len() as u64).ok_or(ContentError::PositionOverflow)?;
    Ok(Piece { lane: Lane::of(fixed[0])?, last: flag(fixed[1])?, position, bytes })
}

fn window(rest: &[u8]) -> Result<Window, ContentError> {
    let fixed = exactly::<18>(rest)?;
    let (received, limit) = (u64_at(&fixed, 2), u64_at(&fixed, 10));
    if limit < received {
        return Err(ContentError::WindowBackwards);
    }
    Ok(Window { lane: Lane::of(fixed[0])?, again: flag(fixed[1])?, received, limit })
}

fn flag(byte: u8) -> Result<bool, ContentError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        got => Err(ContentError::InvalidFlag { got }),
    }
}

fn exactly<const N: usize>(rest: &[u8]) -> Result<[u8; N], ContentError> {
    if rest.len() == N { Ok(array(rest, 0)) } else { Err(ContentError::Length { len: rest.len() }) }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn emitted(content: Content<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        content.emit(&mut out);
        out
    }

    fn one_of_each() -> Vec<Content<'static>> {
        vec![
            Content::Piece(Piece { lane: Lane::Bulk, position: 7, last: true, bytes: b"word" }),
            Content::Window(Window { lane: Lane::Urgent, received: 5, limit: u64::MAX, again: false }),
            Content::RekeyRequest(b"request"),
            Content::RekeyAck(b"ack"),
            Content::Close(CloseReason::KeysSpent),
        ]
    }

    #[test]
    fn every_kind_reads_back_and_no_byte_of_it_is_ignored() {
        for content in one_of_each() {
            let bytes = emitted(content);
            assert_eq!(Content::parse(&bytes), Ok(content));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert_ne!(Content::parse(&other), Ok(content), "byte {at} of {content:?}");
            }
        }
    }

    //= docs/spec/fcpc.md#content
    #[test]
    fn each_rule_has_its_error() {
        let piece =
            |bytes| Content::Piece(Piece { lane: Lane::Sync, position: u64::MAX - 1, last: false, bytes });
        let long = vec![0; MAX_PIECE_BYTES + 1];
        let backwards = Window { lane: Lane::Sync, received: 2, limit: 1, again: true };
        for (bytes, error) in [
            (vec![], ContentError::Empty),
            (vec![9], ContentError::UnknownKind { got: 9 }),
            (vec![PIECE, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], ContentError::UnknownLane { got: 4 }),
            (vec![PIECE, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1], ContentError::InvalidFlag { got: 2 }),
            (emitted(piece(b"")), ContentError::Length { len: 10 }),
            (emitted(piece(&long)), ContentError::Length { len: 10 + long.len() }),
            (emitted(piece(b"ab")), ContentError::PositionOverflow),
            (emitted(Content::Window(backwards)), ContentError::WindowBackwards),
            (vec![CLOSE], ContentError::Length { len: 0 }),
            (vec![CLOSE, 5], ContentError::UnknownReason { got: 5 }),
            (vec![WINDOW, 0], ContentError::Length { len: 1 }),
        ] {
            assert_eq!(Content::parse(&bytes), Err(error), "{bytes:02x?}");
        }
    }
}
