//! A small mesh of checkpoints: a machine a member, a disk that is written when the test says so, messages that arrive
//! when it says so, members whose chains are cut or forked.

mod model;
mod paths;
mod witnesses;
mod world;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{
    AuditHead, FaultModel, Header, LeasePurpose, Membership, Object, ObjectIdKey, SignedBody,
};
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_proto_core::zone::{Label, Level};
use zeroize::Zeroizing;

use super::*;
use crate::trust::lease::{self, Subject};
use crate::trust::quorum::Electorate;

const EPOCH: u64 = 3;
/// When the tests begin.
const START: u64 = 1_000_000;

fn node(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn key(i: usize) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([u8::try_from(i + 1).unwrap(); 32]))
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn ids() -> ObjectIdKey {
    ObjectIdKey::from_bytes([7; 32].into())
}

fn subject() -> ObjectId {
    ObjectId::from_bytes([1; 32])
}

fn at(seconds: u64) -> Now {
    let since = seconds.saturating_sub(START);
    Now { mono: Instant::from_nanos(since * 1_000_000_000), unix: UnixTime::from_secs(seconds) }
}

fn electorate(n: usize, epoch: u64, fault_model: FaultModel) -> Electorate {
    let keys: BTreeMap<_, _> = (0..n).map(|i| (node(i), key(i).verifying_key())).collect();
    let membership = Membership { epoch, nodes: keys.keys().cloned().collect(), fault_model };
    Electorate::new(&membership, &keys).unwrap()
}

fn terms(n: usize) -> Terms {
    Terms { current: electorate(n, EPOCH, FaultModel::Crash), past: BTreeMap::new() }
}

fn facts() -> ZoneFacts {
    ZoneFacts {
        definition: subject(),
        policy: ObjectId::from_bytes([2; 32]),
        key_manifest: None,
        revocation: None,
        freshness_secs: 300,
    }
}

/// A head of the chain of member `i`, whose event is told apart by `story`.
fn head(i: usize, seq: u64, story: u8, seconds: u64) -> SignedHead {
    let mut event = [story; 32];
    event[..8].copy_from_slice(&seq.to_le_bytes());
    event[8] = u8::try_from(i).unwrap();
    let fields = AuditHead { node_id: node(i), head_event: ObjectId::from_bytes(event), head_seq: seq };
    let at = UnixTime::from_secs(seconds);
    let header = Header::new(&AuditHead::SCHEMA, &zone(), at, Label::trusted(Level::WORK), None);
    Object::sign(header, fields, &key(i)).unwrap()
}

/// A lease to coordinate, with a token of `epoch`, signed by all `n`.
fn lease(i: usize, n: usize, epoch: u64, token: u64) -> Object<Certified<Lease>> {
    let proposal = lease::Proposal {
        subject: Subject { zone: zone(), object: subject() },
        holder: node(i),
        token: (epoch << 32) + token,
        purpose: LeasePurpose::CoordinatorElection,
        created_at: UnixTime::from_secs(START),
        ttl_secs: 300,
    };
    let mut lease = proposal.object();
    for k in 0..n {
        let vote = lease.vote(&node(k), UnixTime::from_secs(START), &key(k)).unwrap();
        lease.body.quorum_signatures.insert(vote).unwrap();
    }
    lease
}
