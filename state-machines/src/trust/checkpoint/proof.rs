//! Proof that a node told two stories about its audit chain: two heads that it signed.

use alloc::boxed::Box;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{AuditHead, Object, Signed, SignedBody};

/// The end of a node's chain, signed by the node.
pub type SignedHead = Object<Signed<AuditHead>>;

/// What two heads of one node show that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// Two events claim one place, or one event two.
    Forked,
    /// A later head ends earlier: the chain was cut and signed anew.
    WentBack,
}

/// Two heads that no honest node signs both. Whoever has the node's key can verify it, without having seen either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadProof {
    one: Box<SignedHead>,
    other: Box<SignedHead>,
}

impl HeadProof {
    /// The proof that `one` and `other` make, if they contradict each other. Signatures are another question.
    pub fn of(one: &SignedHead, other: &SignedHead) -> Option<Self> {
        breach(one, other).map(|_| Self { one: Box::new(one.clone()), other: Box::new(other.clone()) })
    }

    /// Who signed both.
    pub const fn liar(&self) -> &NodeId {
        &self.one.body.fields.node_id
    }

    /// The two heads.
    pub const fn heads(&self) -> [&SignedHead; 2] {
        [&self.one, &self.other]
    }

    /// What the two heads show, if they contradict each other. Signatures are another question.
    pub fn breach(&self) -> Option<Breach> {
        breach(&self.one, &self.other)
    }

    /// What the liar did, if the two heads contradict each other and `key` signed both.
    //= docs/spec/checkpoints.md#proof
    pub fn verify(&self, key: &VerifyingKey<Node>) -> Option<Breach> {
        let signed = self.heads().into_iter().all(|head| is_signed_by(head, key));
        self.breach().filter(|_| signed)
    }
}

//= docs/spec/checkpoints.md#proof
fn breach(one: &SignedHead, other: &SignedHead) -> Option<Breach> {
    let (a, b) = (&one.body.fields, &other.body.fields);
    if one.header.zone_id != other.header.zone_id || a.node_id != b.node_id {
        return None;
    }
    if (a.head_seq == b.head_seq) != (a.head_event == b.head_event) {
        return Some(Breach::Forked);
    }
    let (low, high) = if a.head_seq < b.head_seq { (one, other) } else { (other, one) };
    let back = low.body.fields.head_seq < high.body.fields.head_seq;
    (back && low.header.created_at > high.header.created_at).then_some(Breach::WentBack)
}

/// Whether `key` signed `object`.
pub(super) fn is_signed_by<T: SignedBody>(object: &Object<Signed<T>>, key: &VerifyingKey<Node>) -> bool {
    let verifies = |bytes: alloc::vec::Vec<u8>| key.verify(&bytes, &object.body.signature).is_ok();
    object.body.signer == key.key_id() && object.signing_bytes().is_ok_and(verifies)
}
