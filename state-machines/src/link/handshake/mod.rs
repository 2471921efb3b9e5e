//! How a session comes about: the node that asks, and the one that answers.
//!
//! ```text
//!   Dial ── hello ──▶ Responder        a stranger costs a lookup; under load, a cookie first
//!        ◀─ retry ───
//!        ── hello ──▶                  signature, replay
//!   Session ◀─ ack ── Session          confirmed by its first frame
//! ```
//!
//! Spec: docs/spec/mesh-sessions.md.

mod dial;
mod respond;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use fcp_proto_core::session::error::SessionError;

pub use dial::Dial;
pub use respond::{Answer, Responder};

/// Why a message of a handshake is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It breaks a rule.
    Session(SessionError),
    /// Its sender has no attestation that is good now.
    NotTrusted,
    /// Nothing waits for it.
    NothingAsked,
    /// This node answers as many hellos as it can.
    Busy {
        /// When it answers again.
        retry_after: Duration,
    },
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::NotTrusted => f.write_str("the sender has no attestation that is good now"),
            Self::NothingAsked => f.write_str("nothing waits for this answer"),
            Self::Busy { retry_after } => write!(f, "busy; try again in {} ms", retry_after.as_millis()),
        }
    }
}

impl core::error::Error for NotOpened {}
