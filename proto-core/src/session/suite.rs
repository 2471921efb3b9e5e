//! Suites: how datagrams of a session are authenticated. Both agree by X25519 and derive by HKDF-SHA256.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::crypto::provider::{Mac, Provider};
use crate::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};

/// A suite that this release knows. The order is that of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// HMAC-SHA256, cut to 128 bits.
    HmacSha256,
    /// BLAKE3 in keyed mode, cut to 128 bits.
    Blake3,
}

impl Suite {
    /// Every suite, the faster first: at 1,024 bytes HMAC-SHA256 with hardware takes half of BLAKE3's time.
    pub const ALL: &'static [Self] = &[Self::HmacSha256, Self::Blake3];

    /// The suite's number on the wire.
    pub const fn id(self) -> SuiteId {
        match self {
            Self::HmacSha256 => SuiteId(1),
            Self::Blake3 => SuiteId(2),
        }
    }

    pub(super) fn mac(self, provider: &dyn Provider, key: &[u8; 32]) -> Box<dyn Mac> {
        match self {
            Self::HmacSha256 => provider.hmac_sha256(key),
            Self::Blake3 => provider.blake3(key),
        }
    }
}

/// A suite's number on the wire, known to this release or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuiteId(u8);

impl SuiteId {
    /// The number `id`.
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The suite of this number, if this release knows it.
    pub fn suite(self) -> Option<Suite> {
        Suite::ALL.iter().copied().find(|suite| suite.id() == self)
    }
}

/// Which suites a node takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuitePolicy {
    /// The suites, the preferred one first.
    pub preference: Vec<Suite>,
    /// The weakest that is good enough.
    pub floor: Suite,
}

impl Default for SuitePolicy {
    fn default() -> Self {
        Self { preference: Suite::ALL.to_vec(), floor: Suite::HmacSha256 }
    }
}

impl SuitePolicy {
    /// The suites to offer.
    pub(super) fn offer(&self) -> Vec<SuiteId> {
        self.accepted().map(Suite::id).collect()
    }

    /// The first of this node's suites that is strong enough and among those offered.
    //= docs/spec/mesh-sessions.md#suites
    pub fn select(&self, offered: &[SuiteId]) -> Option<Suite> {
        self.accepted().find(|suite| offered.contains(&suite.id()))
    }

    fn accepted(&self) -> impl Iterator<Item = Suite> {
        self.preference.iter().copied().filter(|suite| *suite >= self.floor)
    }
}

impl ToCbor for SuiteId {
    fn to_cbor(&self) -> Value<'_> {
        Value::Unsigned(u64::from(self.0))
    }
}

impl FromCbor for SuiteId {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        u8::try_from(u64::from_cbor(value)?).map(Self).map_err(|_| ShapeError::OutOfRange)
    }
}

impl ToCbor for Suite {
    fn to_cbor(&self) -> Value<'_> {
        Value::Unsigned(self.id().0.into())
    }
}

impl FromCbor for Suite {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        SuiteId::from_cbor(value)?.suite().ok_or(ShapeError::Invalid("no suite has this number"))
    }
}
