//! The flags of an FCPS frame.

use core::fmt;
use core::ops::BitOr;

/// What an FCPS frame says of itself. Only [`Flags::from_bits`] reads what others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(u16);

/// Declares the flags: one row a bit.
macro_rules! flags {
    ($($(#[$meta:meta])* $name:ident = $bit:literal;)+) => {
        impl Flags {
            $($(#[$meta])* pub const $name: Self = Self(1 << $bit);)+

            /// Every bit that has a meaning.
            pub const KNOWN: Self = Self($(1 << $bit)|+);
        }
    };
}

//= docs/spec/fcps.md#flags
flags! {
    /// The sender waits for an acknowledgement.
    REQUIRES_ACK = 0;
    /// The object is compressed (zstd).
    COMPRESSED = 1;
    /// The symbols are sealed.
    ENCRYPTED = 2;
    /// The frame answers a request.
    RESPONSE = 3;
    /// The frame tells of a failure.
    ERROR = 4;
    /// The frame belongs to a stream.
    STREAMING = 5;
    /// The stream ends with this frame.
    STREAM_END = 6;
    /// The object carries a capability token.
    HAS_CAP_TOKEN = 7;
    /// The object crosses from one zone to another.
    ZONE_CROSSING = 8;
    /// The frame goes before others.
    PRIORITY = 9;
    /// The symbols are RaptorQ's.
    RAPTORQ = 10;
    /// The object is one of the control plane.
    CONTROL_PLANE = 11;
}

impl Default for Flags {
    /// Sealed symbols of RaptorQ.
    fn default() -> Self {
        Self::ENCRYPTED | Self::RAPTORQ
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Flags {
    /// The flags of a header.
    ///
    /// # Errors
    /// Which rule the bits break.
    pub const fn from_bits(bits: u16) -> Result<Self, InvalidFlags> {
        let flags = Self(bits);
        match flags.check() {
            Ok(()) => Ok(flags),
            Err(rule) => Err(rule),
        }
    }

    /// The bits in a header.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether the flags may stand together.
    //= docs/spec/fcps.md#flags
    pub(super) const fn check(self) -> Result<(), InvalidFlags> {
        if self.0 & !Self::KNOWN.0 != 0 {
            Err(InvalidFlags::Unknown)
        } else if self.contains(Self::ERROR) && self.contains(Self::RESPONSE) {
            Err(InvalidFlags::ErrorWithResponse)
        } else if self.contains(Self::STREAM_END) && !self.contains(Self::STREAMING) {
            Err(InvalidFlags::EndWithoutStream)
        } else {
            Ok(())
        }
    }
}

/// Which rule flags break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidFlags {
    /// A bit that has no meaning.
    Unknown,
    /// Both `ERROR` and `RESPONSE`.
    ErrorWithResponse,
    /// `STREAM_END` without `STREAMING`.
    EndWithoutStream,
}

impl fmt::Display for InvalidFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "a flag that has no meaning is set",
            Self::ErrorWithResponse => "a frame is not both an error and a response",
            Self::EndWithoutStream => "a frame ends no stream if it belongs to none",
        })
    }
}

impl core::error::Error for InvalidFlags {}
