//! A directory: who the members are, whole, with all that a node needs to believe it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::ids::{KeyId, NodeId, ObjectId};
use fcp_proto_core::object::{
    DeviceEnrolment, Membership, NodeAttestation, Object, ObjectIdKey, OwnerSuccession, RevocationScope,
    Signed, SignedBody,
};
use fcp_proto_core::time::UnixTime;

use super::line::{Line, LineError};
use crate::trust::lease::{CLOCK_BOUND_SECS, MAX_TTL_SECS};
use crate::trust::quorum::{Electorate, ElectorateError, overlap};
use crate::trust::revocation::Revocations;

/// The most members of a mesh (chosen: more devices than a person has; bounds what one directory makes a node verify).
pub const MAX_MEMBERS: usize = 64;
/// How far ahead of a member's time a directory may be dated, in seconds.
pub const MAX_AHEAD_SECS: u64 = 30;
/// How long leases of an epoch may outlive it where the next one does not know of them, in seconds: the longest lease,
/// dated as far ahead as voters take it, and twice the bound of the clocks.
pub const LEASES_OUTLIVE_SECS: u64 = MAX_TTL_SECS + 4 * CLOCK_BOUND_SECS;

/// Who the members are in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The successions of the owner's key, from the first.
    pub line: Vec<Object<Signed<OwnerSuccession>>>,
    /// The membership of the epoch before, if this one follows it.
    pub previous: Option<Box<Object<Signed<Membership>>>>,
    /// The members.
    pub membership: Object<Signed<Membership>>,
    /// Their keys, one a member.
    pub attestations: Vec<Object<Signed<NodeAttestation>>>,
    /// What each may hold and keep, one a member.
    pub enrolments: Vec<Object<Signed<DeviceEnrolment>>>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its keys.
    pub attestation: NodeAttestation,
    /// What it may hold and keep.
    pub enrolment: DeviceEnrolment,
}

/// A directory that was found true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roll {
    pub(super) line: Line,
    pub(super) electorate: Electorate,
    pub(super) devices: BTreeMap<NodeId, Device>,
    /// From when leases are given.
    pub(super) opens_at: UnixTime,
}

/// Why a directory is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// It has too many members.
    TooLarge,
    /// The owner's line does not lead there.
    Line(LineError),
    /// The owner did not sign a part of it, or did before what is signed now counts.
    NotTheOwners,
    /// It does not have exactly the parts that the owner signed as one.
    Parts,
    /// It is dated too far ahead.
    Ahead,
    /// Its epoch is not one of its owner's key, or does not follow the epoch that it says is the one before.
    Epoch,
    /// It does not have exactly one attestation and one enrolment of this member, over the same signing key.
    Incomplete(NodeId),
    /// A member has a key that another has.
    SharedKey(NodeId),
    /// The members could decide nothing.
    Electorate(ElectorateError),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "a mesh has at most {MAX_MEMBERS} members"),
            Self::Line(error) => error.fmt(f),
            Self::NotTheOwners => f.write_str("the owner did not sign all of it"),
            Self::Parts => f.write_str("its parts are not those that belong together"),
            Self::Ahead => f.write_str("it is dated in the future"),
            Self::Epoch => f.write_str("its epoch does not follow"),
            Self::Incomplete(node) => write!(f, "the keys or the rights of the member {node} are not there"),
            Self::SharedKey(node) => write!(f, "the member {node} has a key of another"),
            Self::Electorate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DirectoryError {}

impl Directory {
    /// Its epoch.
    pub const fn epoch(&self) -> u64 {
        self.membership.body.fields.epoch
    }

    /// Whether all of it is true for a node that knows `known` of the owner's line.
    //= docs/spec/membership.md#directories
    pub(super) fn verify(
        &self,
        known: &Line,
        ids: &ObjectIdKey,
        now: UnixTime,
    ) -> Result<Roll, DirectoryError> {
        let membership = &self.membership.body.fields;
        if membership.nodes.len() > MAX_MEMBERS
            || self.attestations.len() > MAX_MEMBERS
            || self.enrolments.len() > MAX_MEMBERS
        {
            return Err(DirectoryError::TooLarge);
        }
        if self.membership.header.created_at > now.saturating_add(MAX_AHEAD_SECS) {
            return Err(DirectoryError::Ahead);
        }
        let line = known.extended(&self.line).map_err(DirectoryError::Line)?;
        let signed = line.signed(&self.membership)
            && self.attestations.iter().all(|it| line.signed(it))
            && self.enrolments.iter().all(|it| line.signed(it));
        if !signed {
            return Err(DirectoryError::NotTheOwners);
        }
        if !self.is_whole(ids) {
            return Err(DirectoryError::Parts);
        }
        if membership.epoch < line.reign().epoch.max(1) {
            return Err(DirectoryError::Epoch);
        }
        let devices = self.devices()?;
        let keys = devices.iter().map(|(node, it)| (node.clone(), it.attestation.signing_key)).collect();
        let electorate = Electorate::new(membership, &keys).map_err(DirectoryError::Electorate)?;
        let opens_at = self.opens_at(&line)?;
        Ok(Roll { line, electorate, devices, opens_at })
    }

    /// Whether its parts are exactly those that its membership refers to: older ones that the owner signed as well must
    /// not stand in their places.
    fn is_whole(&self, ids: &ObjectIdKey) -> bool {
        let parts = Parts {
            line: &self.line,
            previous: self.previous.as_deref(),
            attestations: &self.attestations,
            enrolments: &self.enrolments,
        };
        parts.names(ids).is_some_and(|names| names == self.membership.header.refs)
    }

    /// Each member's attestation and enrolment.
    fn devices(&self) -> Result<BTreeMap<NodeId, Device>, DirectoryError> {
        let nodes = &self.membership.body.fields.nodes;
        let incomplete = |node: &NodeId| DirectoryError::Incomplete(node.clone());
        let mut enrolments = BTreeMap::new();
        for it in &self.enrolments {
            let node = &it.body.fields.node_id;
            if !nodes.contains(node) || enrolments.insert(node, &it.body.fields).is_some() {
                return Err(incomplete(node));
            }
        }
        let (mut devices, mut keys) = (BTreeMap::new(), BTreeSet::new());
        for it in &self.attestations {
            let attestation = it.body.fields.clone();
            let node = attestation.node_id.clone();
            let enrolment = enrolments.remove(&node).ok_or_else(|| incomplete(&node))?.clone();
            if enrolment.signing_key != attestation.signing_key {
                return Err(incomplete(&node));
            }
            if !keys_of(&attestation).into_iter().all(|key| keys.insert(key)) {
                return Err(DirectoryError::SharedKey(node));
            }
            devices.insert(node, Device { attestation, enrolment });
        }
        match nodes.iter().find(|node| !devices.contains_key(*node)) {
            Some(missing) => Err(incomplete(missing)),
            None => Ok(devices),
        }
    }

    /// When the first lease may be voted for: at once where nothing was before, or its quorums know what those before
    /// them promised; otherwise when that is over.
    //= docs/spec/membership.md#opening
    fn opens_at(&self, line: &Line) -> Result<UnixTime, DirectoryError> {
        let made_at = self.membership.header.created_at;
        let next = &self.membership.body.fields;
        let Some(previous) = &self.previous else {
            let first = next.epoch == 1;
            return Ok(if first { made_at } else { made_at.saturating_add(LEASES_OUTLIVE_SECS) });
        };
        if previous.body.fields.epoch.checked_add(1) != Some(next.epoch) {
            return Err(DirectoryError::Epoch);
        }
        if !line.signed(previous) {
            return Err(DirectoryError::NotTheOwners);
        }
        let known = overlap(&previous.body.fields, next);
        Ok(if known { made_at } else { made_at.saturating_add(LEASES_OUTLIVE_SECS) })
    }
}

/// What a membership refers to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) line: &'a [Object<Signed<OwnerSuccession>>],
    pub(super) previous: Option<&'a Object<Signed<Membership>>>,
    pub(super) attestations: &'a [Object<Signed<NodeAttestation>>],
    pub(super) enrolments: &'a [Object<Signed<DeviceEnrolment>>],
}

impl Parts<'_> {
    /// Their names, in the order in which a membership refers to them; none if one has no encoding.
    //= docs/spec/membership.md#directories
    pub(super) fn names(&self, ids: &ObjectIdKey) -> Option<Vec<ObjectId>> {
        fn name<T: SignedBody>(object: &Object<Signed<T>>, ids: &ObjectIdKey) -> Option<ObjectId> {
            object.store().ok()?.id(ids).ok()
        }
        let line = self.line.iter().map(|it| name(it, ids));
        let previous = self.previous.into_iter().map(|it| name(it, ids));
        let attestations = self.attestations.iter().map(|it| name(it, ids));
        let enrolments = self.enrolments.iter().map(|it| name(it, ids));
        line.chain(previous).chain(attestations).chain(enrolments).collect()
    }
}

/// The three keys of a device, as bytes: no other may have one of them, not even for something else.
fn keys_of(attestation: &NodeAttestation) -> [[u8; 32]; 3] {
    [*attestation.signing_key.as_bytes(), attestation.encryption_key, *attestation.issuance_key.as_bytes()]
}

impl Device {
    /// Whether it is a member whose word counts, as far as it is known.
    //= docs/spec/membership.md#eligibility
    pub fn is_eligible(&self, revoked: &Revocations, now: UnixTime) -> bool {
        let (attested, enrolled) = (&self.attestation, &self.enrolment);
        let in_time = attested.issued_at <= now
            && now < attested.expires_at
            && enrolled.issued_at <= now
            && enrolled.expires_at.is_none_or(|end| now < end);
        in_time && !self.is_revoked(revoked, now)
    }

    /// Whether its name or a key of it is revoked.
    pub(super) fn is_revoked(&self, revoked: &Revocations, now: UnixTime) -> bool {
        is_revoked(&self.attestation, revoked, now)
    }
}

/// Whether the name or a key of a device is revoked.
pub(super) fn is_revoked(attestation: &NodeAttestation, revoked: &Revocations, now: UnixTime) -> bool {
    let key_is = |key: KeyId| revoked.is_revoked(RevocationScope::IssuerKey, key.as_bytes(), now);
    let name = attestation.node_id.as_str().as_bytes();
    revoked.is_revoked(RevocationScope::NodeAttestation, name, now)
        || key_is(attestation.signing_key.key_id())
        || key_is(attestation.issuance_key.key_id())
}
