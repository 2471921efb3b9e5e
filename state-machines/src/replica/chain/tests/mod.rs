//! A small mesh of one state: a machine a member, a disk that is written when the test says so, messages that arrive
//! when it says so, and writers that do not know of each other.

mod model;
mod paths;
mod world;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{ConnectorId, NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{FaultModel, LeasePurpose, Membership, ObjectIdKey, StateOwner};
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

use super::*;
use crate::trust::lease::{self, Subject};
use crate::trust::quorum::Electorate;

pub(in crate::replica) const EPOCH: u64 = 3;
pub(in crate::replica) const NOW: UnixTime = UnixTime::from_secs(1_000_000);

pub(in crate::replica) fn node(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

pub(in crate::replica) fn key(i: usize) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([u8::try_from(i + 1).unwrap(); 32]))
}

pub(in crate::replica) fn electorate(members: impl IntoIterator<Item = usize>) -> Electorate {
    let keys: BTreeMap<_, _> = members.into_iter().map(|i| (node(i), key(i).verifying_key())).collect();
    let nodes = keys.keys().cloned().collect();
    let membership = Membership { epoch: EPOCH, nodes, fault_model: FaultModel::Crash };
    Electorate::new(&membership, &keys).unwrap()
}

/// A lease to write, with the signatures of `by`.
pub(in crate::replica) fn lease(
    holder: usize,
    token: u64,
    by: impl IntoIterator<Item = usize>,
) -> Object<Certified<Lease>> {
    let proposal = lease::Proposal {
        subject: Subject { zone: zone(), object: root() },
        holder: node(holder),
        token: (EPOCH << 32) + token,
        purpose: LeasePurpose::ConnectorStateWrite,
        created_at: NOW,
        ttl_secs: 300,
    };
    let mut lease = proposal.object();
    for i in by {
        let vote = lease.vote(&node(i), NOW, &key(i)).unwrap();
        lease.body.quorum_signatures.insert(vote).unwrap();
    }
    lease
}

pub(in crate::replica) fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

pub(in crate::replica) fn ids() -> ObjectIdKey {
    ObjectIdKey::from_bytes([7; 32].into())
}

pub(in crate::replica) fn root() -> ObjectId {
    ObjectId::from_bytes([1; 32])
}

/// All that a seat borrows.
pub(in crate::replica) struct Chair {
    me: NodeId,
    key: SigningKey<Node>,
    zone: ZoneId,
    ids: ObjectIdKey,
    electorate: Electorate,
    past: BTreeMap<u64, Electorate>,
    owner: StateOwner,
}

impl Chair {
    pub(in crate::replica) fn new(i: usize, electorate: Electorate) -> Self {
        let owner = StateOwner { connector_id: ConnectorId::new("fcp.notes").unwrap(), instance_id: None };
        Self { me: node(i), key: key(i), zone: zone(), ids: ids(), electorate, past: BTreeMap::new(), owner }
    }

    pub(in crate::replica) fn seat(&self) -> Seat<'_> {
        Seat {
            me: &self.me,
            key: &self.key,
            zone: &self.zone,
            ids: &self.ids,
            electorate: &self.electorate,
            past: &self.past,
            owner: &self.owner,
            root: root(),
        }
    }
}
