//! Why a device's keys of a zone stay as they are.

use core::fmt;

use fcp_proto_core::zone::KeyRingError;

use super::group;

/// Why the machine does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A write is on its way: ask again when it is complete.
    Writing,
    /// A write failed: nothing more until a restart.
    Failed,
    /// The device is not in the group.
    Outside,
    /// The device is in the group already.
    Inside,
    /// There are as many members, commits or keys as there may be.
    Full,
    /// The bytes are more than there may be.
    TooLarge,
    /// MLS refuses it: a signature, a key, an identity, an order.
    Mls,
    /// It ends another epoch than the one that is.
    Epoch(u64),
    /// It was made under another membership.
    Membership(u64),
    /// It takes in who is no member, keeps one, or puts a member out.
    Roster,
    /// Its key would serve longer than the zone's mode allows.
    Bounds,
    /// Its maker has made another one under this membership.
    Twice,
    /// A device that is no member has the newest key, so nothing is sealed under it.
    RemovalDue,
    /// The ring of keys refuses.
    Ring(KeyRingError),
    /// What is to be stored has no encoding.
    NotEncodable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing => f.write_str("a write is on its way"),
            Self::Failed => f.write_str("a write failed: restart"),
            Self::Outside => f.write_str("the device is not in the zone's group"),
            Self::Inside => f.write_str("the device is in the zone's group"),
            Self::Full => f.write_str("there are as many as there may be"),
            Self::TooLarge => f.write_str("there are more bytes than there may be"),
            Self::Mls => f.write_str("it breaks a rule of MLS"),
            Self::Epoch(epoch) => write!(f, "it ends another epoch than {epoch}"),
            Self::Membership(epoch) => write!(f, "it was made under another membership than {epoch}"),
            Self::Roster => f.write_str("the group would not be the members"),
            Self::Bounds => f.write_str("the key would not serve as the zone's mode says"),
            Self::Twice => f.write_str("its maker has made another one"),
            Self::RemovalDue => f.write_str("a device that is no member has the key"),
            Self::Ring(error) => error.fmt(f),
            Self::NotEncodable => f.write_str("what is to be stored has no encoding"),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<group::Refused> for Refusal {
    fn from(_: group::Refused) -> Self {
        Self::Mls
    }
}

impl From<KeyRingError> for Refusal {
    fn from(error: KeyRingError) -> Self {
        Self::Ring(error)
    }
}
