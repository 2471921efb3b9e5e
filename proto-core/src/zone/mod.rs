//! Zones and what flows between them: the lattice of labels, where a value came from, and the keys of a zone.
//!
//! Spec: `docs/spec/labels.md`; keys: `docs/spec/sealing.md`.

mod key_ring;
mod label;
mod provenance;
#[cfg(test)]
mod tests;
mod tier;

pub use key_ring::{KeyRingError, RingKey, ZoneKeyRing};
pub use label::{Label, Level, Taint};
pub use provenance::{Adjustment, AdjustmentKind, Crossing, Provenance, Reduction};
pub use tier::{Approval, Idempotency, Risk, SafetyTier};

use crate::ids::ZoneId;

/// The five zones every owner has, most trusted first, with their levels.
pub const WELL_KNOWN: [(&str, Level); 5] = [
    ("z:owner", Level::OWNER),
    ("z:private", Level::PRIVATE),
    ("z:work", Level::WORK),
    ("z:community", Level::COMMUNITY),
    ("z:public", Level::PUBLIC),
];

/// The level of a zone that no definition describes: that of the well-known zones, and the least for any other.
pub fn default_level(zone: &ZoneId) -> Level {
    WELL_KNOWN.iter().find(|(name, _)| *name == zone.as_str()).map_or(Level::PUBLIC, |(_, level)| *level)
}
