//! A small mesh of leases: three machines a member, a disk that is written when the test says so, messages that arrive
//! when it says so, clocks that are off by as much as it says.

mod coordinating;
mod holding;
mod model;
mod paths;
mod votes;
mod world;

use alloc::collections::BTreeMap;
use alloc::format;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{FaultModel, Membership};
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

use super::*;

const EPOCH: u64 = 3;
/// What all tokens of the epoch are above.
const FLOOR: u64 = EPOCH << 32;

fn node(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn key(i: usize) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([u8::try_from(i + 1).unwrap(); 32]))
}

fn term_of(n: usize, epoch: u64, fault_model: FaultModel) -> Term {
    let keys: BTreeMap<_, _> = (0..n).map(|i| (node(i), key(i).verifying_key())).collect();
    let membership = Membership { epoch, nodes: keys.keys().cloned().collect(), fault_model };
    Term { electorate: Electorate::new(&membership, &keys).unwrap(), opens_at: UnixTime::from_secs(0) }
}

fn term(n: usize) -> Term {
    term_of(n, EPOCH, FaultModel::Crash)
}

fn subject() -> Subject {
    Subject { zone: ZoneId::new("z:work").unwrap(), object: ObjectId::from_bytes([9; 32]) }
}
