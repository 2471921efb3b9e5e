//! Why a handshake or a rekey does not come about.

use core::fmt;

use crate::encoding::cbor::{CborError, ShapeError};
use crate::error::Code;

/// Why a message of a handshake or a rekey is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The message is longer than any may be.
    TooLong {
        /// Its length.
        len: usize,
        /// The longest.
        max: usize,
    },
    /// The message is not the canonical encoding of its kind.
    Shape(ShapeError),
    /// The hello offers no suite, or more than a hello may.
    SuiteCount(usize),
    /// Sender or recipient is not who it must be here.
    WrongParties,
    /// Sender's and receiver's clocks, or the delay between them, differ too much.
    TimestampSkew {
        /// The difference, in seconds.
        delta: u64,
        /// The largest that is tolerated.
        max: u64,
    },
    /// No suite is offered, accepted and strong enough.
    NoMutualSuite,
    /// The signature is not that of the sender's node key over this message.
    InvalidSignature,
    /// The cookie is absent, or not the one for this hello.
    InvalidCookie,
    /// This hello was answered before.
    DuplicateHelloNonce,
    /// The peer made more hellos within the tolerated skew than are remembered.
    TooManyHellos,
    /// The answer belongs to another hello or rekey request.
    AckMismatch,
    /// The answer names a suite that was not offered.
    AckSuiteNotOffered,
    /// The answer names a suite that is too weak for this node.
    AckSuiteBelowMinimum,
    /// The peer's ephemeral key is a point under which every secret is the same.
    WeakKeyShare,
    /// The rekey belongs to another session, or to another generation of this one.
    OtherSession,
    /// The rekey names another generation than the one that follows.
    WrongGeneration {
        /// The one that follows.
        expected: u32,
        /// The one named.
        got: u32,
    },
    /// The last generation is reached; only a new handshake goes on.
    NoMoreGenerations,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "the message has {len} bytes, of at most {max}"),
            Self::Shape(error) => write!(f, "not a message of its kind: {error}"),
            Self::SuiteCount(count) => write!(f, "the hello offers {count} suites"),
            Self::WrongParties => f.write_str("the message is not between these two nodes"),
            Self::TimestampSkew { delta, max } => {
                write!(f, "the clocks differ by {delta} s, of at most {max} s")
            }
            Self::WrongGeneration { expected, got } => {
                write!(f, "the rekey is to generation {got}, where {expected} follows")
            }
            Self::NoMutualSuite => f.write_str("no suite is offered, accepted and strong enough"),
            Self::InvalidSignature => f.write_str("the signature does not verify"),
            Self::InvalidCookie => f.write_str("the cookie is absent or not the one for this hello"),
            Self::DuplicateHelloNonce => f.write_str("this hello was answered before"),
            Self::TooManyHellos => f.write_str("the peer made too many hellos in a short time"),
            Self::AckMismatch => f.write_str("the answer belongs to another request"),
            Self::AckSuiteNotOffered => f.write_str("the answer names a suite that was not offered"),
            Self::AckSuiteBelowMinimum => f.write_str("the answer names a suite that is too weak"),
            Self::WeakKeyShare => f.write_str("the peer's ephemeral key is a weak point"),
            Self::OtherSession => f.write_str("the rekey belongs to another session"),
            Self::NoMoreGenerations => f.write_str("the last generation of keys is reached"),
        }
    }
}

impl core::error::Error for SessionError {}

impl SessionError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } | Self::Shape(_) | Self::SuiteCount(_) => Code::PeerFrameInvalid,
            Self::WrongParties | Self::InvalidSignature | Self::InvalidCookie | Self::WeakKeyShare => {
                Code::PeerNotAuthentic
            }
            Self::TimestampSkew { .. } => Code::ClockSuspect,
            Self::NoMutualSuite | Self::AckSuiteNotOffered | Self::AckSuiteBelowMinimum => {
                Code::PeerSuiteRefused
            }
            Self::DuplicateHelloNonce => Code::PeerReplayed,
            Self::TooManyHellos => Code::RateLimited,
            Self::AckMismatch
            | Self::OtherSession
            | Self::WrongGeneration { .. }
            | Self::NoMoreGenerations => Code::PeerSessionOver,
        }
    }
}

impl From<ShapeError> for SessionError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

impl From<CborError> for SessionError {
    fn from(error: CborError) -> Self {
        Self::Shape(ShapeError::Cbor(error))
    }
}
