//! What persons agreed to, and whether their word counts now.

use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, Digest, KeyId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{ApprovalDecision, OperatorRight, RevocationScope};
use fcp_proto_core::time::UnixTime;

use super::Node;
use crate::call::gate::{ApprovalFacts, DenialFacts};
use crate::trust::authority::{Duty, KnownGrant};

impl Node {
    /// Whether this key may approve now.
    pub(super) fn may_approve(&self, signer: KeyId, now: UnixTime) -> bool {
        let duty = Duty::Operator(OperatorRight::Approve);
        self.authority.key_for(signer, duty, now, &self.revocations).is_ok()
    }

    /// The decisions over this very call. A denial was taken from one who might approve, and that is enough: what a person
    /// forbade is not permitted by the end of that person's key.
    //= docs/spec/gate.md#denials
    pub(super) fn approval_facts(&self, call_digest: &Digest, now: UnixTime) -> Vec<ApprovalFacts> {
        let decided = self.approvals.over(call_digest);
        decided
            .map(|(id, decided)| ApprovalFacts {
                id: *id,
                signer_valid: decided.token.decision == ApprovalDecision::Deny
                    || self.may_approve(decided.signer, now),
                revoked: self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now),
                decision: decided.token.decision,
                kinds: decided.token.kinds.clone(),
                call_digest: decided.token.call_digest,
                interface_hash: decided.token.interface_hash,
                code_digest: decided.token.code_digest,
                label_digest: decided.token.label_digest,
                expires_at: decided.token.expires_at,
                used: decided.spent_by.is_some(),
            })
            .collect()
    }

    /// The denials of calls of an operation that `principal` asked for in `zone`.
    //= docs/spec/gate.md#denials
    pub(super) fn denial_facts(
        &self,
        principal: &PrincipalId,
        zone: &ZoneId,
        connector: &ConnectorId,
        operation: &OperationId,
        now: UnixTime,
    ) -> Vec<DenialFacts> {
        let denials = self.approvals.denials(principal, zone, connector, operation);
        denials
            .map(|(id, decided, input_digest)| DenialFacts {
                id: *id,
                revoked: self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now),
                input_digest,
                expires_at: decided.token.expires_at,
            })
            .collect()
    }

    /// Why the standing approval of a grant would spare no call anything now, if it has one and it would not.
    //= docs/spec/gate.md#standing-approvals
    pub fn standing_obstacle(&self, known: &KnownGrant, now: UnixTime) -> Option<(Code, &'static str)> {
        let given = known.grant.standing_approval.as_ref()?;
        if !self.may_approve(known.signer, now) {
            Some((Code::ApprovalInvalid, "whoever signed it may not approve any more"))
        } else if !self.catalog.is_as_approved(&known.grant.connector, given) {
            let why = "the connector, or its configuration, is no longer the one that it was given for";
            Some((Code::ConnectorChanged, why))
        } else {
            None
        }
    }
}
