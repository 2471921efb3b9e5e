//! What must no longer be honoured, and how fresh that knowledge is.
//!
//! Each revocation is a link of one chain; the members certify its head, and a mesh of one certifies itself. A check gives
//! the head's number with its verdict, so that a decision can be sealed to it. Nothing is ever taken out of the chain:
//! an owner restores by revoking with an end. Spec: `docs/spec/revocation.md`.

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{RevocationEvent, RevocationHead, RevocationObject, RevocationScope};
use fcp_proto_core::time::UnixTime;

/// When a target is not to be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    revocation: ObjectId,
    from: UnixTime,
    until: Option<UnixTime>,
}

/// Everything revoked, by scope and target.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    spans: BTreeMap<(RevocationScope, Vec<u8>), Vec<Span>>,
    known: BTreeSet<ObjectId>,
    head: Option<ObjectId>,
    head_seq: u64,
    certified_at: Option<UnixTime>,
}

/// Why a link does not continue the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenLink {
    /// It does not name the link before it.
    WrongPredecessor,
    /// Its number does not follow.
    OutOfSequence,
}

impl Revocations {
    /// The link that puts `revocation` at the end of the chain.
    pub fn event(&self, revocation: ObjectId, now: UnixTime) -> RevocationEvent {
        RevocationEvent { revocation, prev: self.head, seq: self.head_seq, occurred_at: now }
    }

    /// The chain's head, to be certified.
    pub fn head(&self, now: UnixTime) -> RevocationHead {
        RevocationHead { head_event: self.head, head_seq: self.head_seq, as_of: now }
    }

    /// Takes a revocation.
    pub fn apply(&mut self, id: ObjectId, object: &RevocationObject) {
        self.known.insert(id);
        for target in &object.targets {
            let spans = self.spans.entry((object.scope, target.0.clone())).or_default();
            spans.push(Span { revocation: id, from: object.effective_at, until: object.expires_at });
        }
    }

    /// Whether `revocation` was taken.
    pub fn knows(&self, revocation: &ObjectId) -> bool {
        self.known.contains(revocation)
    }

    /// Takes a link.
    ///
    /// # Errors
    /// The rule of the chain that it breaks.
    //= docs/spec/revocation.md#the-chain
    pub fn apply_event(&mut self, id: ObjectId, event: &RevocationEvent) -> Result<(), BrokenLink> {
        if event.prev != self.head {
            return Err(BrokenLink::WrongPredecessor);
        }
        if event.seq != self.head_seq {
            return Err(BrokenLink::OutOfSequence);
        }
        self.head = Some(id);
        self.head_seq += 1;
        Ok(())
    }

    /// Takes a certified head.
    //= docs/spec/revocation.md#the-chain
    pub fn apply_head(&mut self, head: &RevocationHead) {
        if head.head_seq == self.head_seq {
            self.certified_at = self.certified_at.max(Some(head.as_of));
        }
    }

    /// How many links the chain has: what a decision is sealed to.
    pub fn head_seq(&self) -> u64 {
        self.head_seq
    }

    /// Seconds since the head was certified; never certified is for ever ago.
    //= docs/spec/revocation.md#freshness
    pub fn head_age_secs(&self, now: UnixTime) -> u64 {
        self.certified_at.map_or(u64::MAX, |at| now.saturating_since(at))
    }

    /// The revocation that forbids `target` now, if one does.
    //= docs/spec/revocation.md#scopes
    pub fn find(&self, scope: RevocationScope, target: &[u8], now: UnixTime) -> Option<ObjectId> {
        self.span(scope, target, now).map(|span| span.revocation)
    }

    /// Since when the revocation forbids `target` that does so now, if one does.
    pub fn since(&self, scope: RevocationScope, target: &[u8], now: UnixTime) -> Option<UnixTime> {
        self.span(scope, target, now).map(|span| span.from)
    }

    fn span(&self, scope: RevocationScope, target: &[u8], now: UnixTime) -> Option<&Span> {
        let spans = self.spans.get(&(scope, target.to_vec()))?;
        spans.iter().find(|span| span.from <= now && span.until.is_none_or(|until| now < until))
    }

    /// Whether the owner's word for the node `name`, given at `issued_at`, is revoked now: a revocation of a node's name does
    /// not hit what the owner says of the node later.
    //= docs/spec/revocation.md#scopes
    pub fn is_node_revoked(&self, name: &NodeId, issued_at: UnixTime, now: UnixTime) -> bool {
        self.node_spans(name, now).any(|span| issued_at <= span.from)
    }

    /// From when the newest revocation of a node's name is in force: a word for it must be later.
    pub fn node_revoked_from(&self, name: &NodeId, now: UnixTime) -> Option<UnixTime> {
        self.node_spans(name, now).map(|span| span.from).max()
    }

    fn node_spans(&self, name: &NodeId, now: UnixTime) -> impl Iterator<Item = &Span> {
        let spans = self.spans.get(&(RevocationScope::NodeAttestation, name.as_str().as_bytes().to_vec()));
        let in_force = move |span: &&Span| span.from <= now && span.until.is_none_or(|until| now < until);
        spans.into_iter().flatten().filter(in_force)
    }

    /// Whether `target` is revoked now.
    pub fn is_revoked(&self, scope: RevocationScope, target: &[u8], now: UnixTime) -> bool {
        self.find(scope, target, now).is_some()
    }
}
