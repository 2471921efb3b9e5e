//! Reads chains from their beginning and names the first bad link.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use fcp_proto_core::ids::{KeyId, NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{AuditEvent, AuditHead};

use super::seal::Seal;

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The object's identity is not that of its content.
    Altered,
    /// The first event of a chain is not number 0, or it names one before it.
    NoBeginning,
    /// A later number stands here, and this one nowhere behind it.
    Missing {
        /// The number that should stand here.
        expected: u64,
    },
    /// A later number stands here, and this one behind it.
    Reordered {
        /// The number that should stand here.
        expected: u64,
    },
    /// Its number was read before.
    Repeated,
    /// It does not name the event before it.
    WrongPredecessor,
    /// It is of another node.
    Foreign,
    /// The head's signature does not verify.
    HeadSignature,
    /// The head names an event that is not the last.
    HeadMismatch,
    /// The chain ends before a head that was known: it was cut or rolled back.
    Truncated {
        /// The number that was known.
        known: u64,
    },
    /// The chain holds another event at the place of a head that was known.
    Forked,
    /// The last events have no signed head.
    Unsealed,
    /// The last events have heads of a key alone that was revoked before them.
    RevokedSigner,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered => f.write_str("its content was altered"),
            Self::NoBeginning => f.write_str("the chain does not begin with number 0"),
            Self::Missing { expected } => write!(f, "number {expected} should stand here and is missing"),
            Self::Reordered { expected } => write!(f, "number {expected} should stand here and comes later"),
            Self::Repeated => f.write_str("its number was read before"),
            Self::WrongPredecessor => f.write_str("it does not name the event before it"),
            Self::Foreign => f.write_str("it belongs to another node"),
            Self::HeadSignature => f.write_str("the head's signature does not verify"),
            Self::HeadMismatch => f.write_str("the head names another event than the last"),
            Self::Truncated { known } => write!(f, "the chain was known to reach number {known}"),
            Self::Forked => f.write_str("another event was known to stand here"),
            Self::Unsealed => f.write_str("no signed head covers it"),
            Self::RevokedSigner => f.write_str(
                "it was appended after the key that signed its head was revoked, and no head of another key covers it",
            ),
        }
    }
}

/// A bad link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The chain's zone.
    pub zone: ZoneId,
    /// The number at which it goes wrong.
    pub seq: u64,
    /// The object found there.
    pub id: Option<ObjectId>,
    /// What is wrong.
    pub fault: Fault,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many events were read.
    pub events: u64,
    /// How many signed heads.
    pub heads: u64,
    /// Each chain's zone and last number.
    pub chains: BTreeMap<ZoneId, u64>,
    /// The first bad link, if there is one.
    pub first_bad: Option<Finding>,
}

#[derive(Clone, Copy)]
struct Read {
    id: ObjectId,
    seq: u64,
    sealed: bool,
    /// Whether a head of a revoked key stands over it.
    void: bool,
}

/// Heads that someone saved earlier: the last event's number and identity, for each zone as many as there are.
pub type Known = BTreeMap<ZoneId, BTreeSet<(u64, ObjectId)>>;

/// Takes events and heads in stored order. Whether an object's identity is right, and what a head's signature is
/// worth ([`Place`](super::Place)), is for the caller to compute, who holds the keys.
pub struct Verifier {
    node_id: NodeId,
    known: Known,
    chains: BTreeMap<ZoneId, Read>,
    /// Whose head was the last of each chain that counts.
    signers: BTreeMap<ZoneId, KeyId>,
    events: u64,
    heads: u64,
    first_bad: Option<Finding>,
}

impl Verifier {
    /// A verifier of the chains of `node_id`; `known` are heads that someone saved earlier.
    pub fn new(node_id: NodeId, known: Known) -> Self {
        Self {
            node_id,
            known,
            chains: BTreeMap::new(),
            signers: BTreeMap::new(),
            events: 0,
            heads: 0,
            first_bad: None,
        }
    }

    /// Reads the next event; `authentic` says whether `id` is the identity of its content.
    pub fn event(&mut self, zone: &ZoneId, id: ObjectId, event: &AuditEvent, authentic: bool) {
        self.events += 1;
        self.came_later(zone, event.seq);
        if let Some(fault) = self.event_fault(zone, id, event, authentic) {
            self.bad(zone, event.seq, Some(id), fault);
        }
        self.chains.insert(zone.clone(), Read { id, seq: event.seq, sealed: false, void: false });
    }

    //= docs/spec/audit.md#verification
    fn event_fault(&self, zone: &ZoneId, id: ObjectId, event: &AuditEvent, authentic: bool) -> Option<Fault> {
        if !authentic {
            return Some(Fault::Altered);
        }
        if event.node_id != self.node_id {
            return Some(Fault::Foreign);
        }
        match self.chains.get(zone) {
            None if event.seq != 0 || event.prev.is_some() => return Some(Fault::NoBeginning),
            Some(last) if event.seq <= last.seq => return Some(Fault::Repeated),
            Some(last) if event.seq - 1 != last.seq => {
                return Some(Fault::Missing { expected: last.seq.saturating_add(1) });
            }
            Some(last) if event.prev != Some(last.id) => return Some(Fault::WrongPredecessor),
            None | Some(_) => {}
        }
        let known = self.known.get(zone).into_iter().flatten();
        let forked = known.into_iter().any(|(seq, known)| *seq == event.seq && *known != id);
        forked.then_some(Fault::Forked)
    }

    /// Reads the next head of the key `signer`; `seal` is what its signature is worth at its place.
    //= docs/spec/audit.md#verification
    pub fn head(&mut self, zone: &ZoneId, head: &AuditHead, signer: KeyId, seal: Seal) {
        self.heads += 1;
        let before = self.signers.get(zone).copied();
        let fault = match self.chains.get_mut(zone) {
            _ if seal == Seal::Unsigned => Some(Fault::HeadSignature),
            // The node's own last key goes on until it has another; of one before that nothing is to come.
            //= docs/spec/audit.md#a-revoked-node
            _ if seal == Seal::Revoked && before.is_some_and(|before| before != signer) => {
                Some(Fault::RevokedSigner)
            }
            _ if head.node_id != self.node_id => Some(Fault::Foreign),
            Some(last) if last.id == head.head_event && last.seq == head.head_seq => {
                last.sealed |= seal == Seal::Signed;
                last.void |= seal == Seal::Revoked;
                None
            }
            Some(_) | None => Some(Fault::HeadMismatch),
        };
        match fault {
            Some(fault) => self.bad(zone, head.head_seq, Some(head.head_event), fault),
            None if seal == Seal::Signed => {
                self.signers.insert(zone.clone(), signer);
            }
            None => {}
        }
    }

    /// What was found, once everything was read.
    pub fn finish(mut self) -> Report {
        let ends: alloc::vec::Vec<_> = self.chains.iter().map(|(zone, last)| (zone.clone(), *last)).collect();
        for (zone, last) in ends {
            if !last.sealed {
                let fault = if last.void { Fault::RevokedSigner } else { Fault::Unsealed };
                self.bad(&zone, last.seq, Some(last.id), fault);
            }
        }
        for (zone, heads) in core::mem::take(&mut self.known) {
            let Some((known, _)) = heads.last().copied() else { continue };
            let reached = self.chains.get(&zone).map(|last| last.seq);
            if reached.is_none_or(|reached| reached < known) {
                self.bad(&zone, reached.map_or(0, |seq| seq + 1), None, Fault::Truncated { known });
            }
        }
        Report {
            events: self.events,
            heads: self.heads,
            chains: self.chains.into_iter().map(|(zone, last)| (zone, last.seq)).collect(),
            first_bad: self.first_bad,
        }
    }

    /// The number that was missed is here after all.
    fn came_later(&mut self, zone: &ZoneId, seq: u64) {
        let missed = self.first_bad.as_mut().filter(|bad| bad.zone == *zone);
        if let Some(bad) = missed.filter(|bad| bad.fault == Fault::Missing { expected: seq }) {
            bad.fault = Fault::Reordered { expected: seq };
        }
    }

    fn bad(&mut self, zone: &ZoneId, seq: u64, id: Option<ObjectId>, fault: Fault) {
        if self.first_bad.is_none() {
            self.first_bad = Some(Finding { zone: zone.clone(), seq, id, fault });
        }
    }
}
