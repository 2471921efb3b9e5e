//! How much harm an operation can do, and what therefore stands before it.

use crate::cbor_enum;

cbor_enum! {
    /// How bad the worst outcome is.
    pub enum Risk {
        /// Nothing is lost.
        Low = "low",
        /// Something must be put right.
        Medium = "medium",
        /// Something of value is lost or exposed.
        High = "high",
        /// It cannot be put right.
        Critical = "critical",
    }
}

cbor_enum! {
    /// How carefully an operation is treated.
    pub enum SafetyTier {
        /// Reads.
        Safe = "safe",
        /// Writes that can be undone.
        Risky = "risky",
        /// Writes that cannot be undone.
        Dangerous = "dangerous",
        /// Writes that reach money, access or other people's property.
        Critical = "critical",
        /// Never permitted.
        Forbidden = "forbidden",
    }
}

cbor_enum! {
    /// What a repeated call does.
    pub enum Idempotency {
        /// It is done again; the operation does not mind, or the caller must not repeat it.
        None = "none",
        /// A key is honoured when the caller gives one.
        BestEffort = "best_effort",
        /// A key is required, and one key has at most one effect.
        Strict = "strict",
    }
}

cbor_enum! {
    /// Who must agree before a call.
    pub enum Approval {
        /// Nobody beyond the grant, as far as its author sees.
        None = "none",
        /// Whom the zone's policy says. It says so of any operation; here the author does not judge.
        Policy = "policy",
        /// A person, for this very call.
        Interactive = "interactive",
        /// A person, and the token that says so raises the integrity of what drives the call.
        ElevationToken = "elevation_token",
    }
}
