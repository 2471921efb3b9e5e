//! Devices that ask to be let in: each with an invitation, once, and not for long.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::crypto::role::{Issuance, Node};
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::NodeAttestation;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now};

use super::directory::is_revoked;
use super::{Roster, Seat};

/// How long an invitation is good.
pub const INVITATION: Duration = Duration::from_secs(600);
/// Invitations at one time.
pub const MAX_INVITATIONS: usize = 8;

/// What a device says of itself, over a session that its signing key made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The name that it wants.
    pub node_id: NodeId,
    /// The key of the session.
    pub signing_key: VerifyingKey<Node>,
    /// X25519, for what is sealed to it.
    pub encryption_key: [u8; 32],
    /// For the tokens it mints.
    pub issuance_key: VerifyingKey<Issuance>,
    /// The invitation.
    pub invitation: [u8; 32],
}

/// Why a device is not asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationError {
    /// There is no such invitation, or no longer.
    NotInvited,
    /// Another device has used it.
    Used,
    /// The session is not of the key that it names.
    OtherKey,
    /// The name, or a key, is that of a member.
    Taken,
    /// The name, or a key, is revoked.
    Revoked,
}

impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInvited => "there is no such invitation",
            Self::Used => "another device has used the invitation",
            Self::OtherKey => "the device does not have the key that it names",
            Self::Taken => "a member has this name or key",
            Self::Revoked => "this name or key is revoked",
        })
    }
}

impl core::error::Error for ApplicationError {}

/// The invitations that the owner's device gave in this run, and who used them.
#[derive(Debug, Default)]
pub struct Applications {
    open: BTreeMap<[u8; 32], (Instant, Option<Application>)>,
}

impl Applications {
    /// A fresh invitation, to be brought to the device by the person who has both in hand; none if there are too many.
    //= docs/spec/membership.md#enrolment
    pub fn invite(&mut self, now: Now, entropy: &mut Entropy) -> Option<[u8; 32]> {
        self.expire(now.mono);
        if self.open.len() >= MAX_INVITATIONS {
            return None;
        }
        let invitation = entropy.bytes();
        self.open.insert(invitation, (now.mono.saturating_add(INVITATION), None));
        Some(invitation)
    }

    /// Takes what a device says in a session that `session_key` made. A person is to compare the key before it is
    /// accepted.
    ///
    /// # Errors
    /// Why nobody is asked.
    //= docs/spec/membership.md#enrolment
    pub fn apply(
        &mut self,
        session_key: &VerifyingKey<Node>,
        application: Application,
        roster: &Roster,
        seat: &Seat<'_>,
        now: Now,
    ) -> Result<(), ApplicationError> {
        self.expire(now.mono);
        if application.signing_key != *session_key {
            return Err(ApplicationError::OtherKey);
        }
        let (_, used) = self.open.get_mut(&application.invitation).ok_or(ApplicationError::NotInvited)?;
        if used.as_ref().is_some_and(|first| *first != application) {
            return Err(ApplicationError::Used);
        }
        let attested = application.attestation(now, Duration::ZERO);
        if is_revoked(&attested, seat.revoked, now.unix) {
            return Err(ApplicationError::Revoked);
        }
        let mut members = roster.directory().into_iter().flat_map(|it| &it.attestations);
        if members.any(|member| clash(&attested, &member.body.fields)) {
            return Err(ApplicationError::Taken);
        }
        *used = Some(application);
        Ok(())
    }

    /// The devices that wait for a person.
    pub fn waiting(&self) -> impl Iterator<Item = &Application> {
        self.open.values().filter_map(|(_, application)| application.as_ref())
    }

    /// The attestation that the owner is to sign for the device that used `invitation`, which nobody can use again.
    //= docs/spec/membership.md#enrolment
    pub fn accept(&mut self, invitation: &[u8; 32], life: Duration, now: Now) -> Option<NodeAttestation> {
        self.expire(now.mono);
        let (_, application) = self.open.remove(invitation)?;
        Some(application?.attestation(now, life))
    }

    fn expire(&mut self, now: Instant) {
        self.open.retain(|_, (until, _)| now < *until);
    }
}

impl Application {
    fn attestation(&self, now: Now, life: Duration) -> NodeAttestation {
        NodeAttestation {
            node_id: self.node_id.clone(),
            signing_key: self.signing_key,
            encryption_key: self.encryption_key,
            issuance_key: self.issuance_key,
            tags: Vec::new(),
            issued_at: now.unix,
            expires_at: now.unix.saturating_add(life.as_secs()),
            nonce: self.invitation,
        }
    }
}

/// Whether two devices have a name or a key in common.
fn clash(one: &NodeAttestation, other: &NodeAttestation) -> bool {
    one.node_id == other.node_id
        || one.signing_key == other.signing_key
        || one.encryption_key == other.encryption_key
        || one.issuance_key == other.issuance_key
}
