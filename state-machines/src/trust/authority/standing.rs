//! How the keys of operators stand: which of them can act.

use fcp_proto_core::ids::{KeyId, PrincipalId};
use fcp_proto_core::object::{OperatorDelegation, RevocationScope};
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
