//! The manifest's own closed vocabularies; risk, tier, idempotency, approval and taints are the [zone](crate::zone)'s.
//! Spec: `docs/spec/manifest.md#vocabularies`.

use crate::cbor_enum;
use crate::zone::{Level, SafetyTier};

cbor_enum! {
    /// What runs a connector's operations.
    pub enum Runtime {
        /// The declarative engine, from the manifest alone.
        Declarative = "declarative",
        /// The package's own executable.
        Native = "native",
    }
}

cbor_enum! {
    /// When a process that nobody waits for is started again after it ended.
    pub enum Restart {
        /// After every end, a clean one included.
        Always = "always",
        /// After every failure.
        OnFailure = "on_failure",
        /// After an end by a signal.
        OnCrash = "on_crash",
        /// Only when a call demands it.
        Never = "never",
    }
}

cbor_enum! {
    /// What a connector is for; a hint to people and search, never to a decision.
    pub enum Archetype {
        /// Reads and writes messages.
        Messaging = "messaging",
        /// Reads and writes documents and knowledge.
        Knowledge = "knowledge",
        /// Steers a service.
        Operational = "operational",
        /// Keeps data.
        Storage = "storage",
        /// Yields events as they come.
        Streaming = "streaming",
    }
}

cbor_enum! {
    /// How fresh the revocation head must be.
    pub enum Freshness {
        /// The newest head this node has.
        BestEffort = "best_effort",
        /// A certified head within the bound, or no call.
        Strict = "strict",
    }
}

impl Freshness {
    /// What a tier demands: only safe operations may rest on an old head.
    pub const fn demanded_by(tier: SafetyTier) -> Self {
        match tier {
            SafetyTier::Safe => Self::BestEffort,
            SafetyTier::Risky | SafetyTier::Dangerous | SafetyTier::Critical | SafetyTier::Forbidden => {
                Self::Strict
            }
        }
    }
}

cbor_enum! {
    /// What an input field does.
    pub enum Role {
        /// It decides what happens and to what; needs integrity.
        Control = "control",
        /// It is carried along; needs an audience that may see it.
        Content = "content",
    }
}

cbor_enum! {
    /// How far the author of an output is trusted.
    pub enum Trust {
        /// A stranger wrote it.
        Untrusted = "untrusted",
        /// As `z:public`.
        Public = "public",
        /// As `z:community`.
        Community = "community",
        /// As `z:work`.
        Work = "work",
        /// As `z:private`.
        Private = "private",
        /// As the owner.
        Owner = "owner",
        /// As the zone of the call.
        Zone = "zone",
    }
}

impl Trust {
    /// The integrity, in a call whose zone has the level `zone`.
    pub const fn level(self, zone: Level) -> Level {
        match self {
            Self::Untrusted => Level::NONE,
            Self::Public => Level::PUBLIC,
            Self::Community => Level::COMMUNITY,
            Self::Work => Level::WORK,
            Self::Private => Level::PRIVATE,
            Self::Owner => Level::OWNER,
            Self::Zone => zone,
        }
    }
}

cbor_enum! {
    /// Who may see something: an output's confidentiality, or an input's audience.
    pub enum Reach {
        /// Everyone.
        Public = "public",
        /// As `z:community`.
        Community = "community",
        /// As `z:work`.
        Work = "work",
        /// As `z:private`.
        Private = "private",
        /// The owner.
        Owner = "owner",
        /// As the zone of the call.
        Zone = "zone",
    }
}

impl Reach {
    /// The confidentiality, in a call whose zone has the level `zone`.
    pub const fn level(self, zone: Level) -> Level {
        match self {
            Self::Public => Level::PUBLIC,
            Self::Community => Level::COMMUNITY,
            Self::Work => Level::WORK,
            Self::Private => Level::PRIVATE,
            Self::Owner => Level::OWNER,
            Self::Zone => zone,
        }
    }
}
