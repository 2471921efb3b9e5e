//! What the owner is asked to sign, for a membership to change.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::{
    DeviceEnrolment, FaultModel, Header, Membership, NodeAttestation, Object, ObjectIdKey, OwnerSuccession,
    RevocationObject, RevocationScope, Signed, SignedBody,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, default_level};

use super::directory::{Parts, is_revoked};
use super::{Directory, LineError, Roster, Seat};
use crate::trust::quorum::overlap;

/// A member as the owner signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub attestation: Object<Signed<NodeAttestation>>,
    /// What it may hold and keep.
    pub enrolment: Object<Signed<DeviceEnrolment>>,
}

/// What a membership comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The one before, of the same owner's key.
    Previous(Box<Object<Signed<Membership>>>),
    /// None: a takeover or a recovery, where the owner vouches that no device of before goes on.
    Anew {
        /// The epoch.
        epoch: u64,
    },
}

/// A membership to be signed, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The header to sign.
    pub header: Header,
    /// The membership to sign.
    pub membership: Membership,
    line: Vec<Object<Signed<OwnerSuccession>>>,
    previous: Option<Box<Object<Signed<Membership>>>>,
    attestations: Vec<Object<Signed<NodeAttestation>>>,
    enrolments: Vec<Object<Signed<DeviceEnrolment>>>,
}

/// Why a membership is not to be signed yet, or at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftError {
    /// There is no membership in force here, a newer one is being stored, or two contradict each other.
    NotInForce,
    /// The one in force is not yet at a quorum of the members.
    NotSpread,
    /// Leases of earlier epochs go on until then.
    NotBefore(UnixTime),
    /// This member would come although it, or a key of it, is revoked: what was removed does not come back.
    Revoked(NodeId),
    /// The members of now and then could decide without knowing of each other: fewer at a time.
    NoOverlap,
    /// The succession does not follow.
    Line(LineError),
    /// The epochs are used up.
    EpochsExhausted,
    /// A part of it has no encoding.
    NotEncodable,
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInForce => f.write_str("no membership is in force here"),
            Self::NotSpread => f.write_str("the members do not have the last change yet"),
            Self::NotBefore(at) => write!(f, "leases of before the last change go on until {}", at.as_secs()),
            Self::Revoked(node) => write!(f, "{node} or a key of it is revoked"),
            Self::NoOverlap => f.write_str("too many members would come or go at once"),
            Self::Line(error) => error.fmt(f),
            Self::EpochsExhausted => f.write_str("there are no further epochs"),
            Self::NotEncodable => f.write_str("it has no encoding"),
        }
    }
}

impl core::error::Error for DraftError {}

impl Draft {
    /// The membership of `members` that comes after `basis`.
    ///
    /// # Errors
    /// [`DraftError::EpochsExhausted`], [`DraftError::NotEncodable`].
    pub fn new(
        basis: Basis,
        line: Vec<Object<Signed<OwnerSuccession>>>,
        members: impl IntoIterator<Item = Member>,
        fault_model: FaultModel,
        (zone, ids): (&ZoneId, &ObjectIdKey),
        now: UnixTime,
    ) -> Result<Self, DraftError> {
        let (epoch, previous) = match basis {
            Basis::Previous(previous) => (previous.body.fields.epoch.checked_add(1), Some(previous)),
            Basis::Anew { epoch } => (Some(epoch), None),
        };
        // Leases have no tokens beyond (docs/spec/leases.md#tokens).
        let epoch = epoch.filter(|epoch| *epoch <= u64::from(u32::MAX));
        let epoch = epoch.ok_or(DraftError::EpochsExhausted)?;
        let (attestations, enrolments): (Vec<_>, Vec<_>) =
            members.into_iter().map(|member| (member.attestation, member.enrolment)).unzip();
        let parts = Parts {
            line: &line,
            previous: previous.as_deref(),
            attestations: &attestations,
            enrolments: &enrolments,
        };
        let refs = parts.names(ids).ok_or(DraftError::NotEncodable)?;
        let label = Label::trusted(default_level(zone));
        let header = Header::new(&Membership::SCHEMA, zone, now, label, None).with_refs(refs);
        let nodes = attestations.iter().map(|it| it.body.fields.node_id.clone()).collect();
        let membership = Membership { epoch, nodes, fault_model };
        Ok(Self { header, membership, line, previous, attestations, enrolments })
    }

    /// The directory, once the owner has signed `header` and `membership`.
    pub fn signed(self, membership: Object<Signed<Membership>>) -> Directory {
        let Self { line, previous, attestations, enrolments, .. } = self;
        Directory { line, previous, membership, attestations, enrolments }
    }
}

impl Roster {
    /// The next membership: the members of now but those in `without` and those that are revoked, and `newcomers`, who
    /// also take the places of members of their names.
    ///
    /// # Errors
    /// Why it is not to be signed.
    //= docs/spec/membership.md#one-after-the-other
    pub fn draft(
        &self,
        newcomers: Vec<Member>,
        without: &BTreeSet<NodeId>,
        seat: &Seat<'_>,
        now: UnixTime,
    ) -> Result<Draft, DraftError> {
        let directory = self.directory().ok_or(DraftError::NotInForce)?;
        if self.halted.is_some() || self.storing.is_some() {
            return Err(DraftError::NotInForce);
        }
        let settled = self.settles_at().ok_or(DraftError::NotSpread)?;
        if now < settled {
            return Err(DraftError::NotBefore(settled));
        }
        let members = self.members_after(newcomers, without, seat, now)?;
        let basis = Basis::Previous(Box::new(directory.membership.clone()));
        let draft = self.after(basis, directory.line.clone(), members, seat, now)?;
        let known = overlap(&directory.membership.body.fields, &draft.membership);
        if known { Ok(draft) } else { Err(DraftError::NoOverlap) }
    }

    /// The next membership, although a quorum of the members of now may be lost, does not have theirs, or has two that
    /// contradict each other: the owner vouches that whom it leaves out decides nothing any more. With `succession`, whose
    /// epoch it has, it is the next key's; then `newcomers`, signed by that key, are all of its members.
    ///
    /// # Errors
    /// Why it is not to be signed.
    //= docs/spec/membership.md#takeover
    pub fn take_over(
        &self,
        succession: Option<Object<Signed<OwnerSuccession>>>,
        newcomers: Vec<Member>,
        without: &BTreeSet<NodeId>,
        seat: &Seat<'_>,
        now: UnixTime,
    ) -> Result<Draft, DraftError> {
        let directory = self.directory().ok_or(DraftError::NotInForce)?;
        let next = self.epoch().checked_add(1).ok_or(DraftError::EpochsExhausted)?;
        let mut members = self.members_after(newcomers, without, seat, now)?;
        let (mut line, mut epoch) = (directory.line.clone(), next);
        if let Some(succession) = succession {
            epoch = next.max(succession.body.fields.epoch);
            line.push(succession);
            let next = self.line().extended(&line).map_err(DraftError::Line)?;
            members.retain(|_, member| next.signed(&member.attestation));
        }
        self.after(Basis::Anew { epoch }, line, members, seat, now)
    }

    fn members_after(
        &self,
        newcomers: Vec<Member>,
        without: &BTreeSet<NodeId>,
        seat: &Seat<'_>,
        now: UnixTime,
    ) -> Result<BTreeMap<NodeId, Member>, DraftError> {
        let revoked = |it: &Member| is_revoked(&it.attestation.body.fields, seat.revoked, now);
        if let Some(back) = newcomers.iter().find(|it| revoked(it)) {
            return Err(DraftError::Revoked(back.name().clone()));
        }
        let mut members = BTreeMap::new();
        let stay = self.directory().into_iter().flat_map(Directory::members).filter(|it| !revoked(it));
        for member in stay.chain(newcomers) {
            members.insert(member.name().clone(), member);
        }
        members.retain(|node, _| !without.contains(node));
        Ok(members)
    }

    fn after(
        &self,
        basis: Basis,
        line: Vec<Object<Signed<OwnerSuccession>>>,
        members: BTreeMap<NodeId, Member>,
        seat: &Seat<'_>,
        now: UnixTime,
    ) -> Result<Draft, DraftError> {
        let membership = &self.directory().ok_or(DraftError::NotInForce)?.membership;
        let place = (&membership.header.zone_id, seat.ids);
        Draft::new(basis, line, members.into_values(), membership.body.fields.fault_model, place, now)
    }
}

impl Member {
    /// Its name.
    pub const fn name(&self) -> &NodeId {
        &self.attestation.body.fields.node_id
    }
}

impl Directory {
    /// The members as the owner signed them.
    fn members(&self) -> impl Iterator<Item = Member> {
        self.attestations.iter().filter_map(|attestation| {
            let own = |it: &&Object<Signed<DeviceEnrolment>>| {
                it.body.fields.node_id == attestation.body.fields.node_id
            };
            let enrolment = self.enrolments.iter().find(own)?.clone();
            Some(Member { attestation: attestation.clone(), enrolment })
        })
    }
}

/// What a removal begins with: the revocations of a device's name and of its keys, for ever, to be signed by the owner
/// or an operator who may revoke. With them the device is out; all else is [`Upkeep`](super::Upkeep).
//= docs/spec/membership.md#removal
pub fn removal(device: &NodeAttestation, reason: &str, now: UnixTime) -> [RevocationObject; 2] {
    let of = |scope, targets| RevocationObject {
        scope,
        targets,
        reason: String::from(reason),
        effective_at: now,
        expires_at: None,
    };
    let bytes = |bytes: &[u8]| ByteString(bytes.to_vec());
    let keys = [device.signing_key.key_id(), device.issuance_key.key_id()];
    [
        of(RevocationScope::NodeAttestation, vec![bytes(device.node_id.as_str().as_bytes())]),
        of(RevocationScope::IssuerKey, keys.iter().map(|key| bytes(key.as_bytes())).collect()),
    ]
}

/// The epoch of a mesh that is made anew from the phrase alone: the time, which is above every epoch that was reached
/// by counting, however many there were.
//= docs/spec/membership.md#cold-recovery
pub const fn recovery_epoch(now: UnixTime) -> u64 {
    now.as_secs()
}
