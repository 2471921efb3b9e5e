//! What scenarios of a few members share: their names, keys and leases, and messages that a schedule delays and loses.

use std::collections::{BTreeMap, VecDeque};

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{Certified, FaultModel, Lease, LeasePurpose, Membership, Object, ObjectIdKey};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::trust::lease::{Proposal, Subject};
use fcp_state_machines::trust::quorum::Electorate;
use zeroize::Zeroizing;

/// How many members a scenario has.
pub(crate) const MEMBERS: usize = 3;

/// When scenarios begin.
pub(crate) const START: u64 = 1_800_000_000;

const EPOCH: u64 = 1;

/// What stays the same for all members.
pub(crate) struct Mesh {
    pub(crate) names: Vec<NodeId>,
    pub(crate) keys: Vec<SigningKey<Node>>,
    pub(crate) zone: ZoneId,
    pub(crate) ids: ObjectIdKey,
    pub(crate) electorate: Electorate,
    /// There was no earlier epoch.
    pub(crate) past: BTreeMap<u64, Electorate>,
    /// What leases are over.
    pub(crate) subject: ObjectId,
    token: u64,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let seed = |i: usize| Zeroizing::new([i as u8 + 1; 32]);
        let names: Vec<_> = (0..MEMBERS).map(|i| NodeId::new(format!("n{i}")).expect("a name")).collect();
        let keys: Vec<SigningKey<Node>> = (0..MEMBERS).map(|i| SigningKey::from_seed(&seed(i))).collect();
        let known = names.iter().cloned().zip(keys.iter().map(SigningKey::verifying_key)).collect();
        let nodes = names.iter().cloned().collect();
        let membership = Membership { epoch: EPOCH, nodes, fault_model: FaultModel::Crash };
        Self {
            names,
            keys,
            zone: ZoneId::new("z:work").expect("a zone"),
            ids: ObjectIdKey::from_bytes([9; 32].into()),
            electorate: Electorate::new(&membership, &known).expect("three members"),
            past: BTreeMap::new(),
            subject: ObjectId::from_bytes([1; 32]),
            token: 0,
        }
    }

    /// Which member has this name.
    pub(crate) fn number(&self, name: &NodeId) -> usize {
        self.names.iter().position(|known| known == name).expect("a member")
    }

    /// The next lease over the subject.
    pub(crate) fn lease(&mut self, holder: usize, purpose: LeasePurpose) -> Object<Certified<Lease>> {
        self.token += 1;
        let proposal = Proposal {
            subject: Subject { zone: self.zone.clone(), object: self.subject },
            holder: self.names[holder].clone(),
            token: (EPOCH << 32) + self.token,
            purpose,
            created_at: UnixTime::from_secs(START),
            ttl_secs: 300,
        };
        let mut lease = proposal.object();
        for (name, key) in self.names.iter().zip(&self.keys) {
            let vote = lease.vote(name, UnixTime::from_secs(START), key).expect("small");
            lease.body.quorum_signatures.insert(vote).expect("one a member");
        }
        lease
    }
}

/// Messages on their way: from, to, what.
pub(crate) type Wire<M> = VecDeque<(usize, usize, M)>;

/// Loses, repeats or delays a message, by a number.
pub(crate) fn disturb<M: Clone>(wire: &mut Wire<M>, how: usize) {
    let Some(first) = wire.pop_front() else { return };
    match how % 3 {
        0 => (),
        1 => {
            wire.push_front(first.clone());
            wire.push_back(first);
        }
        _ => wire.push_back(first),
    }
}
