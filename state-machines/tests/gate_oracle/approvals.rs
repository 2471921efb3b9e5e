//! Check 13, as plainly as [`crate::reference`].

use std::collections::BTreeSet;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, GateCheck, ZonePolicy};
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::zone::Approval;
use fcp_state_machines::call::gate::{ApprovalFacts, ConnectorFacts, Facts, InputFacts, OperationFacts};

use crate::reference::{Step, demand, deny};

/// Adds what the call spends to what check 12 spent; the grant by whose standing approval it is spared one, if it is.
pub(crate) fn check(
    spend: &Spend<'_>,
    operation: &OperationFacts,
    policy: &ZonePolicy,
    claims: &Claims,
    spent: &mut BTreeSet<ObjectId>,
) -> Step<Option<ObjectId>> {
    let facts = spend.facts;
    for id in &facts.approvals_named {
        let known = facts.approvals.iter().find(|it| it.id == *id);
        if let Some(code) = known.map_or(Some(Code::ApprovalMismatch), |it| spend.fault(it)) {
            return deny(GateCheck::Approval, code);
        }
    }
    let spared = match approval(spend, operation, policy) {
        Ok(id) => {
            spent.extend(id);
            None
        }
        Err(refused) => Some(spend.beforehand(claims, spent).ok_or(refused)?),
    };
    demand(facts.approvals_named.is_subset(spent), GateCheck::Approval, Code::Conflict)?;
    Ok(spared)
}

fn approval(spend: &Spend<'_>, operation: &OperationFacts, policy: &ZonePolicy) -> Step<Option<ObjectId>> {
    let declared = matches!(operation.approval, Approval::Interactive | Approval::ElevationToken);
    if !declared && operation.tier < policy.approval_from {
        return Ok(None);
    }
    match spend.usable(ApprovalKind::Execution) {
        Ok(id) => Ok(Some(id)),
        Err(code) => deny(GateCheck::Approval, code),
    }
}

/// What approvals are compared with.
pub(crate) struct Spend<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) input: &'a InputFacts,
    pub(crate) connector: &'a ConnectorFacts,
    pub(crate) now: u64,
}

impl Spend<'_> {
    /// The first usable approval of the kind, or the fault of the first of the kind.
    pub(crate) fn usable(&self, kind: ApprovalKind) -> Result<ObjectId, Code> {
        let named = &self.facts.approvals_named;
        let offered = |it: &&ApprovalFacts| named.is_empty() || named.contains(&it.id);
        let of_kind = self.facts.approvals.iter().filter(|it| it.kinds.contains(&kind));
        let of_kind: Vec<_> = of_kind.filter(offered).collect();
        match of_kind.iter().find(|it| self.fault(it).is_none()) {
            Some(usable) => Ok(usable.id),
            None => Err(of_kind.first().and_then(|it| self.fault(it)).unwrap_or(Code::ApprovalRequired)),
        }
    }

    fn fault(&self, approval: &ApprovalFacts) -> Option<Code> {
        if !approval.signer_valid || approval.revoked {
            return Some(Code::ApprovalInvalid);
        }
        if approval.decision != ApprovalDecision::Approve {
            return Some(Code::ApprovalDenied);
        }
        let same = approval.call_digest == self.input.call_digest
            && approval.interface_hash == self.connector.interface_hash
            && approval.code_digest == self.connector.code_digest
            && approval.label_digest == self.facts.flow.label_digest;
        if !same {
            return Some(Code::ApprovalMismatch);
        }
        if self.now >= approval.expires_at.as_secs() {
            return Some(Code::ApprovalExpired);
        }
        approval.used.then_some(Code::ApprovalUsed)
    }

    /// The first of the token's grants whose standing approval spares the call one; `spent` is what check 12 spent.
    fn beforehand(&self, claims: &Claims, spent: &BTreeSet<ObjectId>) -> Option<ObjectId> {
        if !spent.is_empty() || !self.facts.approvals_named.is_empty() {
            return None;
        }
        let this_input = hash::digest(self.input.canonical.as_bytes());
        for denial in &self.facts.denials {
            let counts = !denial.revoked && self.now < denial.expires_at.as_secs();
            if counts && (denial.input_digest.is_none() || denial.input_digest == Some(this_input)) {
                return None;
            }
        }
        claims.grant_object_ids.iter().copied().find(|id| self.serves(id))
    }

    fn serves(&self, id: &ObjectId) -> bool {
        let Some(known) = self.facts.grants.get(id) else { return false };
        let Some(standing) = &known.grant.standing_approval else { return false };
        let this_input = hash::digest(self.input.canonical.as_bytes());
        known.approver_valid
            && standing.interface_hash == self.connector.interface_hash
            && standing.code_digest == self.connector.code_digest
            && (standing.config_digest.is_none()
                || standing.config_digest == Some(self.connector.config_digest))
            && (standing.input_digest.is_none() || standing.input_digest == Some(this_input))
    }
}
