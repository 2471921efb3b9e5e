//! A state with the lease under which it was written, and two that contradict each other.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{
    Certified, Lease, LeasePurpose, Object, ObjectIdKey, Signed, StateObject, StateOwner,
};

use crate::trust::quorum::{Electorate, OfEpoch};

/// Who this member is, and whose state it is.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// This member.
    pub me: &'a NodeId,
    /// Its signing key.
    pub key: &'a SigningKey<Node>,
    /// The zone.
    pub zone: &'a ZoneId,
    /// What names the zone's objects.
    pub ids: &'a ObjectIdKey,
    /// The members.
    pub electorate: &'a Electorate,
    /// The members of earlier epochs, as far as they are known.
    pub past: &'a BTreeMap<u64, Electorate>,
    /// Whose state it is.
    pub owner: &'a StateOwner,
    /// Where the state begins, and what the writer's lease is over.
    pub root: ObjectId,
}

impl Seat<'_> {
    /// The token of `lease` and its holder's key, if the members gave it for writing this state.
    //= docs/spec/replica.md#fencing
    pub(in crate::replica) fn grant(
        &self,
        lease: &Object<Certified<Lease>>,
    ) -> Option<(u64, VerifyingKey<Node>)> {
        self.granted_by(self.electorate, lease)
    }

    /// The same of a lease that the members of its epoch gave, which may be an earlier one: what was made durable then is
    /// still to be read.
    //= docs/spec/replica.md#earlier-epochs
    pub(in crate::replica) fn once_granted(
        &self,
        lease: &Object<Certified<Lease>>,
    ) -> Option<(u64, VerifyingKey<Node>)> {
        let epoch = lease.body.fields.epoch();
        let then = if epoch == self.electorate.epoch() { self.electorate } else { self.past.get(&epoch)? };
        self.granted_by(then, lease)
    }

    fn granted_by(
        &self,
        electorate: &Electorate,
        lease: &Object<Certified<Lease>>,
    ) -> Option<(u64, VerifyingKey<Node>)> {
        let proven = electorate.certify(lease.clone()).ok()?;
        let fields = proven.fields();
        let over = lease.header.zone_id == *self.zone && fields.subject_object_id == self.root;
        let key = electorate.keys().get(&fields.holder)?;
        (over && fields.purpose == LeasePurpose::ConnectorStateWrite).then_some((fields.lease_seq, *key))
    }
}

/// A state and the lease under which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The state.
    pub state: Object<Signed<StateObject>>,
    /// The lease.
    pub lease: Object<Certified<Lease>>,
}

impl Written {
    /// The identity of the state, if the holder of a certified lease over it wrote it under that lease.
    //= docs/spec/replica.md#fencing
    pub fn verify(&self, seat: &Seat<'_>) -> Option<ObjectId> {
        let (_, writer) = seat.once_granted(&self.lease)?;
        let lease_id = self.lease.store().ok()?.id(seat.ids).ok()?;
        self.state.fenced_by(lease_id, &self.lease, &writer).ok()?;
        let signed = self.state.signing_bytes().ok()?;
        let own = self.state.body.fields.owner == *seat.owner;
        let verified = writer.verify(&signed, &self.state.body.signature).is_ok();
        if own && verified { self.id(seat.ids) } else { None }
    }

    /// The identity of the state; none if it has no encoding.
    pub fn id(&self, ids: &ObjectIdKey) -> Option<ObjectId> {
        self.state.store().ok()?.id(ids).ok()
    }

    /// Its number.
    pub const fn seq(&self) -> u64 {
        self.state.body.fields.seq
    }

    /// The fencing token under which it was written.
    pub const fn token(&self) -> u64 {
        self.state.body.fields.lease_seq
    }
}

/// Two states that are not of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFork {
    /// The one.
    pub one: Box<Written>,
    /// The other, in the same place or the one after.
    pub other: Box<Written>,
}

impl StateFork {
    /// The identities of both, if each was written under its lease and they contradict each other.
    //= docs/spec/replica.md#forks
    pub fn verify(&self, seat: &Seat<'_>) -> Option<[ObjectId; 2]> {
        let (one, other) = (self.one.verify(seat)?, self.other.verify(seat)?);
        let same_place = self.one.seq() == self.other.seq() && one != other;
        let skipped = self.one.seq().checked_add(1) == Some(self.other.seq())
            && self.other.state.body.fields.prev != Some(one);
        (same_place || skipped).then_some([one, other])
    }
}
