//! One Ed25519 key of which no device has more than a share: FROST (RFC 9591) with distributed key generation.
//!
//! Messages are bytes in and bytes out; sending them, and proving who sent them, is the caller's. Whatever a participant
//! sends that is wrong is refused with its index. The signature that comes out is an ordinary Ed25519 signature of the
//! owner. Spec: `docs/spec/sealing.md#threshold-signatures`.
//!
//! ```text
//! ceremony   begin_keygen ──► commitments, to all ──► Committed::receive ──► a share each, sealed ──► Dealt::receive
//!            begin_refresh ─┘                                                                       ──► KeyShare
//! signing    commit ──► commitments, to the coordinator ──► SigningRequest ──► sign ──► aggregate ──► Signature
//! ```

mod ceremony;
mod curve;
mod message;
mod share;
mod sign;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

pub use self::ceremony::{Committed, Dealt, begin_keygen, begin_refresh};
pub use self::share::{GroupKey, KeyShare};
pub use self::sign::{SigningNonces, SigningRequest, commit};

/// What names one ceremony: fresh entropy that all its participants agreed on.
pub type CeremonyId = [u8; 32];

/// Messages by the participant that is proven to have sent them.
pub type Received<T> = BTreeMap<u8, T>;

/// A message that only its recipient may read.
pub type SecretMessage = Zeroizing<Vec<u8>>;

/// What a participant did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrostFault {
    /// What it sent is no such message.
    Malformed,
    /// What it sent is of another ceremony, or of another generation of the key.
    OtherCeremony,
    /// What it sent names another sender, or another recipient.
    Misaddressed,
    /// It did not prove that it knows the secret it committed to.
    ProofOfKnowledge,
    /// The share it dealt does not lie on the polynomial it committed to.
    DealtShare,
    /// Its signature share is wrong.
    SignatureShare,
}

/// Why a ceremony or a signing stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrostError {
    /// A threshold is 2 to the number of participants, of which there are at most 255, the own one among them.
    Quorum,
    /// Nothing came from this participant.
    Missing(u8),
    /// Something came from one that does not take part.
    Uninvited(u8),
    /// These participants misbehaved.
    Misbehaved {
        /// What they did.
        fault: FrostFault,
        /// Who they are.
        culprits: Vec<u8>,
    },
    /// This participant says that it heard other commitments. One of those who committed told two stories, or it lies
    /// itself; the messages that each signed for the transport show who.
    HeardOtherwise(u8),
    /// A stored share, group key or request is not one.
    Malformed,
    /// The share is of another generation or group than the request.
    OtherGeneration,
    /// The nonces are not those that the request holds for this participant.
    OtherNonces,
    /// What came out does not verify, and nobody in particular is to blame.
    Unusable,
}

impl FrostError {
    fn misbehaved(culprit: u8, fault: FrostFault) -> Self {
        Self::Misbehaved { fault, culprits: vec![culprit] }
    }
}

impl fmt::Display for FrostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "sent something that cannot be read",
            Self::OtherCeremony => "sent something of another ceremony",
            Self::Misaddressed => "sent something under another name or for another",
            Self::ProofOfKnowledge => "did not prove that it knows its secret",
            Self::DealtShare => "dealt a wrong share",
            Self::SignatureShare => "made a wrong signature share",
        })
    }
}

impl fmt::Display for FrostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quorum => f.write_str("a threshold is 2 to the number of participants, at most 255"),
            Self::Missing(index) => write!(f, "nothing came from participant {index}"),
            Self::Uninvited(index) => write!(f, "participant {index} does not take part"),
            Self::Misbehaved { fault, culprits } => {
                for (at, culprit) in culprits.iter().enumerate() {
                    write!(f, "{} {culprit}", if at == 0 { "participant" } else { "," })?;
                }
                write!(f, " {fault}")
            }
            Self::HeardOtherwise(index) => write!(f, "participant {index} heard other commitments"),
            Self::Malformed => f.write_str("no share, group key or request"),
            Self::OtherGeneration => f.write_str("the share is of another generation or group"),
            Self::OtherNonces => f.write_str("the request holds other nonces"),
            Self::Unusable => f.write_str("what came out does not verify"),
        }
    }
}

impl core::error::Error for FrostError {}
