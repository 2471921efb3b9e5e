//! Zones and their policies.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Schema, SignedBody};
use crate::cbor_map;
use crate::ids::KeyId;
use crate::zone::{Level, Risk, SafetyTier};

cbor_map! {
    /// The zone of the header; signed by the owner or, if it names no key, an operator with `zones`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZoneDefinition {
        /// How far what the zone itself says is trusted.
        pub integrity: Level,
        /// How secret what the zone holds may be.
        pub confidentiality: Level,
        /// What it is for.
        pub description: String,
        /// The key that names the zone's objects from here on; absent for the zone's first.
        pub key: Option<ZoneKeyGeneration>,
    }
}

cbor_map! {
    /// One of the keys that name a zone's objects, one after another.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ZoneKeyGeneration {
        /// Which, from 1; the zone's first key is 0 and is named by no definition.
        pub generation: u64,
        /// The key's id.
        pub key_id: KeyId,
    }
}

impl ZoneDefinition {
    /// Which of the zone's keys serves.
    pub fn generation(&self) -> u64 {
        self.key.map_or(0, |it| it.generation)
    }

    /// Whether this definition may stand behind `before`: the first names no key, each later one the same or the next.
    //= docs/spec/authority.md#another-key-of-a-zone
    pub fn follows(&self, before: Option<&Self>) -> bool {
        before.map_or(self.key.is_none(), |before| {
            self.key == before.key || before.generation().checked_add(1) == Some(self.generation())
        })
    }

    /// The key that it names and `before` did not.
    pub fn another_key(&self, before: Option<&Self>) -> Option<KeyId> {
        self.key.filter(|key| before.and_then(|it| it.key) != Some(*key)).map(|it| it.key_id)
    }
}

cbor_map! {
    /// A ceiling over a period.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Budget {
        /// Its name within the policy.
        pub name: String,
        /// `calls`, `requests` or `bytes`.
        pub unit: String,
        /// How many a period.
        pub amount: u64,
        /// The period in seconds.
        pub period_secs: u64,
    }
}

cbor_map! {
    /// What may happen in the header's zone; signed by the owner or an operator with `zones`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ZonePolicy {
        /// Rises by one with every change.
        pub version: u64,
        /// Connectors that may be called, `*` for any; empty means none.
        pub connectors: Vec<String>,
        /// Operations that may not, exact or ending in `*`.
        pub denied_operations: Vec<String>,
        /// The highest risk that may be called.
        pub max_risk: Risk,
        /// The highest tier that may be called.
        pub max_tier: SafetyTier,
        /// From this tier on, an operation needs approval, whatever its author declares.
        pub approval_from: SafetyTier,
        /// The longest life of a capability token.
        pub max_token_secs: u64,
        /// The longest life of a grant.
        pub max_grant_secs: u64,
        /// Ceilings over all calls in the zone.
        pub budgets: Vec<Budget>,
    }
}

impl SignedBody for ZoneDefinition {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "ZoneDefinition", version: "1.0.0" };
}

impl SignedBody for ZonePolicy {
    const SCHEMA: Schema = Schema { namespace: "fcp.zone", name: "ZonePolicy", version: "1.0.0" };
}
