//! What the other members know of this member's own chain: whether it still reaches as far as they have seen it.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::NodeId;

use super::proof::{SignedHead, is_signed_by};
use crate::trust::quorum::Electorate;

/// Whether this member's chain ends where the others have seen it end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Fewer than a quorum have answered since the start.
    Unconfirmed,
    /// A quorum has seen it reach no further.
    Confirmed,
    /// It was seen to reach this far, and does not: it was cut, or restored from an old copy.
    RolledBack(Box<SignedHead>),
}

/// One member's own chain in one zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    head: Option<SignedHead>,
    /// Who said, about some head since the start, that it knows of none later.
    confirmed_by: BTreeSet<NodeId>,
    lost: Option<Box<SignedHead>>,
}

impl Own {
    /// The chain ends here now. What was lost must be caught up with first.
    ///
    /// # Errors
    /// The head up to which the chain must be restored, unless it is this one.
    //= docs/spec/checkpoints.md#return
    pub(super) fn moved_to(&mut self, head: &SignedHead) -> Result<(), Box<SignedHead>> {
        if let Some(lost) = &self.lost
            && lost.body.fields != head.body.fields
        {
            return Err(lost.clone());
        }
        self.lost = None;
        self.head = Some(head.clone());
        Ok(())
    }

    pub(super) fn on_seen(&mut self, from: &NodeId) {
        self.confirmed_by.insert(from.clone());
    }

    /// A witness holds a head of ours that is later than what we told it. Whether that is news.
    //= docs/spec/checkpoints.md#return
    pub(super) fn on_behind(&mut self, known: &SignedHead, me: &NodeId, key: &VerifyingKey<Node>) -> bool {
        let (seq, ours) = (known.body.fields.head_seq, known.body.fields.node_id == *me);
        let reached = self.head.as_ref().or(self.lost.as_deref()).map(|head| head.body.fields.head_seq);
        let further = reached.is_none_or(|reached| seq > reached)
            && self.lost.as_ref().is_none_or(|lost| seq > lost.body.fields.head_seq);
        if ours && further && is_signed_by(known, key) {
            self.confirmed_by.clear();
            self.lost = Some(Box::new(known.clone()));
            return true;
        }
        false
    }

    //= docs/spec/checkpoints.md#return
    pub(super) fn place(&self, me: &NodeId, electorate: &Electorate) -> Place {
        if let Some(lost) = &self.lost {
            return Place::RolledBack(lost.clone());
        }
        let others = self.confirmed_by.iter().filter(|node| *node != me && electorate.has(node)).count();
        let have = others + usize::from(electorate.has(me));
        if have >= electorate.quorum() { Place::Confirmed } else { Place::Unconfirmed }
    }
}
