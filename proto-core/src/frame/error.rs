//! Why bytes are no frame.

use core::fmt;

use super::flags::InvalidFlags;
use crate::error::Code;
use crate::ids::IdError;

/// Why bytes are no FCPS frame, signed or not, or why one cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Shorter than the fixed part.
    TooShort {
        /// The length.
        len: usize,
        /// The shortest possible.
        min: usize,
    },
    /// Longer than the caller takes.
    ExceedsMtu {
        /// The length.
        len: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// Begins with something else than `FCPS`.
    InvalidMagic {
        /// What it begins with.
        got: [u8; 4],
    },
    /// A version that this release does not read.
    UnsupportedVersion {
        /// The version.
        got: u16,
    },
    /// The flags contradict each other or are unknown.
    InvalidFlags {
        /// Which rule they break.
        reason: InvalidFlags,
    },
    /// Symbols of no bytes.
    InvalidSymbolSize,
    /// More symbols than a frame's length can count.
    SymbolCountOverflow {
        /// The number of symbols.
        count: u32,
        /// The size of each.
        symbol_size: u16,
    },
    /// The header's length of the symbols is not that of their number and size.
    LengthMismatch {
        /// The length that the header claims.
        claimed: u32,
        /// The length that number and size make.
        computed: u32,
    },
    /// The frame is not as long as its header says.
    FrameSizeMismatch {
        /// The length.
        len: usize,
        /// The length that the header makes.
        expected: usize,
    },
    /// A source that is not UTF-8.
    InvalidUtf8,
    /// A source longer than an identifier.
    InvalidSourceIdLength {
        /// Its length.
        len: usize,
        /// The longest.
        max: usize,
    },
    /// No source.
    SourceIdEmpty,
    /// A source that is no identifier of a node.
    InvalidSourceId(IdError),
    /// The caller's buffer has no room for what is to be written.
    BufferTooSmall {
        /// Its length.
        len: usize,
        /// The length it would need.
        needed: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len, min } => write!(f, "the frame has {len} bytes, of at least {min}"),
            Self::ExceedsMtu { len, max } => write!(f, "the frame has {len} bytes, of at most {max}"),
            Self::InvalidMagic { got } => write!(f, "the frame begins with {got:02x?}"),
            Self::UnsupportedVersion { got } => write!(f, "version {got} of frames is not read"),
            Self::InvalidFlags { reason } => reason.fmt(f),
            Self::InvalidSymbolSize => f.write_str("a symbol has at least one byte"),
            Self::SymbolCountOverflow { count, symbol_size } => {
                write!(f, "{count} symbols of {symbol_size} bytes are too many for a frame")
            }
            Self::LengthMismatch { claimed, computed } => {
                write!(f, "the header claims {claimed} bytes of symbols, which make {computed}")
            }
            Self::FrameSizeMismatch { len, expected } => {
                write!(f, "the frame has {len} bytes, its header says {expected}")
            }
            Self::InvalidUtf8 => f.write_str("the source is not UTF-8"),
            Self::InvalidSourceIdLength { len, max } => {
                write!(f, "the source has {len} bytes, of at most {max}")
            }
            Self::SourceIdEmpty => f.write_str("the frame names no source"),
            Self::InvalidSourceId(error) => write!(f, "the source {error}"),
            Self::BufferTooSmall { len, needed } => {
                write!(f, "the buffer has {len} bytes, {needed} are needed")
            }
        }
    }
}

impl core::error::Error for FrameError {}

impl FrameError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::UnsupportedVersion { .. } => Code::VersionUnsupported,
            Self::BufferTooSmall { .. } => Code::Internal,
            Self::TooShort { .. }
            | Self::ExceedsMtu { .. }
            | Self::InvalidMagic { .. }
            | Self::InvalidFlags { .. }
            | Self::InvalidSymbolSize
            | Self::SymbolCountOverflow { .. }
            | Self::LengthMismatch { .. }
            | Self::FrameSizeMismatch { .. }
            | Self::InvalidUtf8
            | Self::InvalidSourceIdLength { .. }
            | Self::SourceIdEmpty
            | Self::InvalidSourceId(_) => Code::PeerFrameInvalid,
        }
    }
}
