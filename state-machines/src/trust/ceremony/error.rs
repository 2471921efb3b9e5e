//! Why a ceremony does not begin, does not go on, or is not confirmed.

use core::fmt;

use fcp_proto_core::crypto::wrap::WrapError;
use fcp_proto_core::encoding::cbor::{CborError, ShapeError};
use fcp_proto_core::error::Code;

/// Why a ceremony does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginError {
    /// The home has an owner.
    OwnerExists,
    /// A confirmed ceremony was interrupted: it must go on, not begin anew.
    MustResume,
    /// Keys are stored, and nothing says whose they are; they are not overwritten.
    StrayKeys,
    /// The passphrase is shorter than [`MIN_PASSPHRASE_BYTES`](super::MIN_PASSPHRASE_BYTES).
    PassphraseTooShort,
    /// A key cannot be wrapped.
    Wrap(WrapError),
    /// An object cannot be encoded.
    Encoding(CborError),
}

/// Why a record is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// A newer release wrote it.
    TooNew(u64),
    /// It is damaged.
    Damaged(ShapeError),
    /// Its checksum does not fit.
    Checksum,
    /// It names a file that no ceremony makes.
    FileName,
    /// It does not begin with the owner's root.
    NoRoot,
    /// The node has another owner.
    OtherOwner,
}

/// Why words prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// Other words were asked for.
    NotAsked,
    /// The word at this place is another; names how many answers are left.
    WrongWord {
        /// The first place that is wrong.
        place: u8,
        /// How often it may be tried again.
        left: u32,
    },
    /// The time to confirm is over.
    Expired,
    /// Too many wrong answers, or the time is over: it must begin anew.
    Void,
    /// It was confirmed before.
    AlreadyConfirmed,
}

impl BeginError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::OwnerExists => Code::CeremonyDone,
            Self::MustResume => Code::Conflict,
            Self::StrayKeys => Code::StoreCorrupt,
            Self::PassphraseTooShort => Code::OutOfRange,
            Self::Wrap(error) => error.code(),
            Self::Encoding(_) => Code::Internal,
        }
    }
}

impl ResumeError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooNew(_) => Code::HomeTooNew,
            Self::Damaged(_) | Self::Checksum | Self::FileName | Self::NoRoot => Code::StoreCorrupt,
            Self::OtherOwner => Code::CeremonyDone,
        }
    }
}

impl AnswerError {
    /// The registered code of this failure.
    pub const fn code(self) -> Code {
        match self {
            Self::NotAsked | Self::WrongWord { .. } => Code::InputInvalid,
            Self::Expired | Self::Void => Code::ChallengeInvalid,
            Self::AlreadyConfirmed => Code::Conflict,
        }
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerExists => f.write_str("this home has an owner already"),
            Self::MustResume => {
                f.write_str("a confirmed ceremony was interrupted; it goes on at the next start")
            }
            Self::StrayKeys => f.write_str("keys are stored here and nothing says whose they are"),
            Self::PassphraseTooShort => {
                write!(f, "a passphrase has at least {} bytes", super::MIN_PASSPHRASE_BYTES)
            }
            Self::Wrap(error) => write!(f, "a key cannot be wrapped: {error}"),
            Self::Encoding(error) => write!(f, "an object cannot be encoded: {error}"),
        }
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooNew(version) => {
                write!(f, "the ceremony's record has format version {version}, written by a newer release")
            }
            Self::Damaged(error) => write!(f, "the ceremony's record is damaged: {error}"),
            Self::Checksum => f.write_str("the ceremony's record is damaged: its checksum does not fit"),
            Self::FileName => f.write_str("the ceremony's record names a file that no ceremony makes"),
            Self::NoRoot => f.write_str("the ceremony's record does not begin with the owner's root"),
            Self::OtherOwner => f.write_str("the ceremony's record is of another owner than this home's"),
        }
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("exactly the words asked for must be repeated, each once"),
            Self::WrongWord { place, left } => {
                write!(f, "word {place} is not the one shown; {left} more answers are taken")
            }
            Self::Expired => f.write_str("the time to confirm the phrase is over; begin the ceremony anew"),
            Self::Void => f.write_str("this ceremony was given up; begin it anew"),
            Self::AlreadyConfirmed => f.write_str("the phrase was confirmed before"),
        }
    }
}

impl core::error::Error for BeginError {}
impl core::error::Error for ResumeError {}
impl core::error::Error for AnswerError {}

impl From<WrapError> for BeginError {
    fn from(error: WrapError) -> Self {
        Self::Wrap(error)
    }
}

impl From<CborError> for BeginError {
    fn from(error: CborError) -> Self {
        Self::Encoding(error)
    }
}

impl From<ShapeError> for ResumeError {
    fn from(error: ShapeError) -> Self {
        Self::Damaged(error)
    }
}
