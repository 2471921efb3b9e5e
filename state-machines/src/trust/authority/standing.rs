//! How keys stand: which of the operators' can act, and whether a node's are revoked.

use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId};
use fcp_proto_core::object::{NodeAttestation, OperatorDelegation, RevocationScope};
use fcp_proto_core::time::UnixTime;

use super::Authority;
use crate::trust::revocation::Revocations;

/// How an operator's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorStanding {
    /// It may sign what its rights permit.
    Live,
    /// Its time has not come.
    Waiting,
    /// Its time is over: the owner ended it, or it had an end.
    Ended,
    /// It is revoked.
    Revoked,
}

impl Authority {
    /// How the key of a delegation stands. A revoked key is that, whatever its time.
    //= docs/spec/authority.md#operators-keys
    pub fn standing(
        &self,
        key: &KeyId,
        delegation: &OperatorDelegation,
        revoked: &Revocations,
        now: UnixTime,
    ) -> OperatorStanding {
        if revoked.is_revoked(RevocationScope::IssuerKey, key.as_bytes(), now) {
            OperatorStanding::Revoked
        } else if delegation.expires_at.is_some_and(|end| end <= now) {
            OperatorStanding::Ended
        } else if now < delegation.not_before {
            OperatorStanding::Waiting
        } else {
            OperatorStanding::Live
        }
    }

    /// The owner's newest word for a node.
    pub fn newest_attestation(&self, name: &NodeId) -> Option<&NodeAttestation> {
        self.nodes.values().filter(|it| it.node_id == *name).max_by_key(|it| it.issued_at)
    }

    /// Whether the owner's word for a node is revoked, by the node's name or by one of its keys that sign.
    pub fn is_attestation_revoked(
        &self,
        word: &NodeAttestation,
        revoked: &Revocations,
        now: UnixTime,
    ) -> bool {
        let key = |key: KeyId| revoked.is_revoked(RevocationScope::IssuerKey, key.as_bytes(), now);
        revoked.is_node_revoked(&word.node_id, word.issued_at, now)
            || key(word.signing_key.key_id())
            || key(word.issuance_key.key_id())
    }

    /// The owner's newest word for an operator, with its key.
    pub fn newest_delegation(&self, name: &PrincipalId) -> Option<(KeyId, &OperatorDelegation)> {
        let own = self.operators.iter().filter(|(_, it)| it.operator == *name);
        own.max_by_key(|(_, it)| it.not_before).map(|(key, it)| (*key, it))
    }

    /// The operators' keys that can act, of all or of one name.
    pub fn live_operators<'a>(
        &'a self,
        name: Option<&'a PrincipalId>,
        revoked: &'a Revocations,
        now: UnixTime,
    ) -> impl Iterator<Item = (KeyId, &'a OperatorDelegation)> {
        let live = move |(key, it): &(&KeyId, &OperatorDelegation)| {
            self.standing(key, it, revoked, now) == OperatorStanding::Live
        };
        let named =
            move |(_, it): &(&KeyId, &OperatorDelegation)| name.is_none_or(|name| it.operator == *name);
        self.operators.iter().filter(named).filter(live).map(|(key, it)| (*key, it))
    }
}
