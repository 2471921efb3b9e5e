//! The witness: how far the chain of every other member was seen to reach, so that none of them can go back.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::ChainEnd;

use super::proof::{HeadProof, SignedHead, is_signed_by};

/// Heads of one chain that are remembered, the newest ones: a fork that was grown further is seen as long as it began
/// among them (chosen: some eight batches, 4 KiB a chain).
pub const RECENT_HEADS: usize = 8;

/// What was seen of the chains of one zone.
#[derive(Clone, Debug)]
pub struct Heads {
    zone: ZoneId,
    seen: BTreeMap<NodeId, BTreeMap<u64, Box<SignedHead>>>,
    proofs: BTreeMap<NodeId, HeadProof>,
}

/// What a head is to one who remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The chain reaches as far as this.
    Reaches,
    /// It was seen to reach further: this is the newest head of it.
    Behind(Box<SignedHead>),
    /// It contradicts one that was seen.
    Contradicts(HeadProof),
    /// The chain is halted, by this proof.
    Halted(HeadProof),
    /// The node did not sign it, or it is of another zone.
    NotTheirs,
}

impl Heads {
    /// The chains of `zone`, of which nothing was seen.
    pub const fn new(zone: ZoneId) -> Self {
        Self { zone, seen: BTreeMap::new(), proofs: BTreeMap::new() }
    }

    /// Remembers what was made durable before a restart, in any order.
    pub fn remember(&mut self, head: &SignedHead) {
        if head.header.zone_id == self.zone && self.contradiction(head).is_none() {
            self.keep(head);
        } else if let Some(proof) = self.contradiction(head) {
            self.halt(proof);
        }
    }

    /// Looks at a head whose node has the key `key`, and remembers it if it is new.
    //= docs/spec/checkpoints.md#witnesses
    pub fn see(&mut self, head: &SignedHead, key: &VerifyingKey<Node>) -> Sighting {
        let node = &head.body.fields.node_id;
        if head.header.zone_id != self.zone || !is_signed_by(head, key) {
            return Sighting::NotTheirs;
        }
        if let Some(proof) = self.proofs.get(node) {
            return Sighting::Halted(proof.clone());
        }
        if let Some(proof) = self.contradiction(head) {
            self.halt(proof.clone());
            return Sighting::Contradicts(proof);
        }
        match self.newest(node) {
            Some(newest) if newest.body.fields.head_seq > head.body.fields.head_seq => {
                Sighting::Behind(Box::new(newest.clone()))
            }
            Some(_) | None => {
                self.keep(head);
                Sighting::Reaches
            }
        }
    }

    /// Halts the chain of the node that `proof` names; whether that is new.
    pub fn halt(&mut self, proof: HeadProof) -> bool {
        let new = !self.proofs.contains_key(proof.liar());
        if new {
            self.proofs.insert(proof.liar().clone(), proof);
        }
        new
    }

    /// The proof that halts the chain of `node`.
    pub fn proof(&self, node: &NodeId) -> Option<&HeadProof> {
        self.proofs.get(node)
    }

    /// The newest head of `node` that was seen.
    pub fn newest(&self, node: &NodeId) -> Option<&SignedHead> {
        self.seen.get(node)?.last_key_value().map(|(_, head)| &**head)
    }

    /// The newest heads of all chains that are not halted.
    pub fn newest_of_all(&self) -> impl Iterator<Item = (&NodeId, &SignedHead)> {
        let going = self.seen.keys().filter(|node| !self.proofs.contains_key(*node));
        going.filter_map(|node| Some((node, self.newest(node)?)))
    }

    /// The remembered head of `node` that ends at `end`.
    pub fn at(&self, node: &NodeId, end: &ChainEnd) -> Option<&SignedHead> {
        let head = &**self.seen.get(node)?.get(&end.seq)?;
        (head.body.fields.head_event == end.head).then_some(head)
    }

    fn contradiction(&self, head: &SignedHead) -> Option<HeadProof> {
        let seen = self.seen.get(&head.body.fields.node_id)?;
        seen.values().find_map(|known| HeadProof::of(known, head))
    }

    fn keep(&mut self, head: &SignedHead) {
        let fields = &head.body.fields;
        let seen = self.seen.entry(fields.node_id.clone()).or_default();
        seen.insert(fields.head_seq, Box::new(head.clone()));
        if seen.len() > RECENT_HEADS {
            seen.pop_first();
        }
    }
}

/// Where `head` says that its chain ends.
pub(super) fn end(head: &SignedHead) -> ChainEnd {
    ChainEnd { head: head.body.fields.head_event, seq: head.body.fields.head_seq }
}
