//! How often a zone's key changes, and who changes it.

use core::fmt;

use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::{ZoneKeyAlgorithm, ZoneKeyTerms};
use fcp_proto_core::time::UnixTime;

/// The longest that a key may serve where keys have an end, in seconds (chosen: 90 days, as for shared secrets).
pub const MAX_KEY_SECS: u64 = 7_776_000;
/// The longest overlap of two keys, in seconds (chosen: a day, as for shared secrets).
pub const MAX_OVERLAP_SECS: u64 = 86_400;
/// The most earlier keys that a newcomer may be handed.
pub const MAX_HANDED_OVER: usize = 16;

/// How the keys of a zone change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The owner seals a key to each device, and another when the owner wants to.
    Static,
    /// The same, and each key has an end.
    Epochs(Bounds),
    /// The devices agree on each key in a group, and each renews its own part in it.
    Continuous(Continuous),
}

/// When a key that has an end ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// For how many seconds a key serves at most.
    pub max_key_secs: u64,
    /// For how many seconds what others send under the previous key is still taken.
    pub overlap_secs: u64,
}

/// How a group's keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuous {
    /// How content is encrypted.
    pub algorithm: ZoneKeyAlgorithm,
    /// When a key ends.
    pub bounds: Bounds,
    /// After how many seconds a device renews its part.
    pub update_secs: u64,
    /// How many of the keys before its own a newcomer is handed: none, unless the owner wants history read.
    pub handed_over: usize,
}

/// The numbers are out of their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a zone's keys last and overlap within bounds, and the overlap is the shorter")
    }
}

impl core::error::Error for OutOfBounds {}

impl Mode {
    /// The mode, if its numbers are within bounds.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    //= docs/spec/zone-keys.md#modes
    pub fn check(self) -> Result<Self, OutOfBounds> {
        let sound = match self {
            Self::Static => true,
            Self::Epochs(bounds) => bounds.are_sound(),
            Self::Continuous(it) => {
                it.bounds.are_sound()
                    && (1..=it.bounds.max_key_secs).contains(&it.update_secs)
                    && it.handed_over <= MAX_HANDED_OVER
            }
        };
        if sound { Ok(self) } else { Err(OutOfBounds) }
    }
}

impl Bounds {
    const fn are_sound(self) -> bool {
        self.max_key_secs <= MAX_KEY_SECS
            && self.overlap_secs <= MAX_OVERLAP_SECS
            && self.overlap_secs < self.max_key_secs
    }

    /// Whether a manifest's terms keep to them.
    //= docs/spec/zone-keys.md#epochs
    pub(super) fn hold(self, terms: &ZoneKeyTerms) -> bool {
        let latest = terms.valid_from.saturating_add(self.max_key_secs);
        terms.valid_until.is_some_and(|until| until <= latest) && terms.overlap_secs <= self.overlap_secs
    }

    /// The terms of a key that serves from `valid_from` on.
    pub(super) const fn terms(
        self,
        algorithm: ZoneKeyAlgorithm,
        valid_from: UnixTime,
        prev: Option<KeyId>,
    ) -> ZoneKeyTerms {
        ZoneKeyTerms {
            algorithm,
            valid_from,
            valid_until: Some(valid_from.saturating_add(self.max_key_secs)),
            prev_zone_key_id: prev,
            overlap_secs: self.overlap_secs,
        }
    }
}

/// Whether a key with these terms is in the last quarter of its life at `now`: the next one is due.
pub(super) fn is_ending(terms: &ZoneKeyTerms, now: UnixTime) -> bool {
    let Some(until) = terms.valid_until else { return false };
    let lead = until.saturating_since(terms.valid_from) / 4;
    until.saturating_sub(lead) <= now
}
