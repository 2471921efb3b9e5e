//! What the signature of a head is worth at its place: by the keys as they were then.

use alloc::vec::Vec;

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{AuditHead, Object, RevocationObject, Signed};
use fcp_proto_core::time::UnixTime;

use crate::trust::authority::Authority;
use crate::trust::revocation::Revocations;

/// What a head's signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It verifies, by a key that was not revoked when it was appended.
    Signed,
    /// It verifies, and the key was revoked before.
    Revoked,
    /// It does not verify.
    Unsigned,
}

/// How far a journal was read, and what was revoked up to there. A head says itself when it was made; where it stands, it
/// does not, so the place of the revocation decides.
#[derive(Debug)]
pub struct Place<'a> {
    authority: &'a Authority,
    /// What the node knows to be revoked: what stands in the journal and is not among it has no force.
    known: &'a Revocations,
    revoked: Revocations,
    coming: Vec<(ObjectId, RevocationObject)>,
    latest: UnixTime,
}

impl<'a> Place<'a> {
    /// The beginning of the journal of a node that knows all this.
    pub fn new(authority: &'a Authority, known: &'a Revocations) -> Self {
        let (revoked, coming) = (Revocations::default(), Vec::new());
        Self { authority, known, revoked, coming, latest: UnixTime::default() }
    }

    /// Something that the node made at `at` stands here.
    pub fn passes(&mut self, at: UnixTime) {
        self.latest = self.latest.max(at);
    }

    /// A revocation stands here. The heads of its own batch are the last that the revoked key signs.
    pub fn revocation(&mut self, id: ObjectId, revocation: &RevocationObject) {
        if self.known.knows(&id) {
            self.coming.push((id, revocation.clone()));
        }
    }

    /// A batch ends here.
    pub fn batch_ends(&mut self) {
        for (id, revocation) in self.coming.drain(..) {
            self.revoked.apply(id, &revocation);
        }
    }

    /// What the signature of a head that stands here is worth.
    //= docs/spec/audit.md#a-revoked-node
    pub fn seal(&self, head: &Object<Signed<AuditHead>>) -> Seal {
        if self.authority.check(head, &Revocations::default()).is_err() {
            return Seal::Unsigned;
        }
        let now = self.latest.max(head.header.created_at);
        let word = self.authority.node(head.body.signer);
        if word.is_some_and(|word| self.authority.is_attestation_revoked(word, &self.revoked, now)) {
            Seal::Revoked
        } else {
            Seal::Signed
        }
    }
}
