//! Check 13: a person agreed where one must.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, GateCheck};
use fcp_proto_core::zone::Approval;

use super::{Approved, Constrained, Flowing};
use crate::call::gate::{ApprovalFacts, Denial, OperationFacts, ZoneFacts};

//= docs/spec/gate.md#13-approval
pub(super) fn check(flowing: Flowing<'_>) -> Result<Approved<'_>, Denial> {
    let mut kinds = flowing.kinds.clone();
    let mut approvals = flowing.approvals.clone();
    if needed(flowing.zone, flowing.operation) {
        match find(&flowing, ApprovalKind::Execution) {
            Sought::Usable(id) => {
                kinds.insert(ApprovalKind::Execution);
                approvals.insert(id);
            }
            Sought::None => return Err(denial(Code::ApprovalRequired)),
            Sought::Unusable(code) => return Err(denial(code)),
        }
    }
    Ok(Approved { before: flowing, kinds, approvals })
}

/// Whether the call itself needs a person's word.
pub(super) fn needed(zone: &ZoneFacts, operation: &OperationFacts) -> bool {
    match operation.approval {
        Approval::None => false,
        Approval::Policy => operation.tier >= zone.policy.approval_from,
        Approval::Interactive | Approval::ElevationToken => true,
    }
}

/// What a search for an approval found.
pub(super) enum Sought {
    /// One that serves.
    Usable(ObjectId),
    /// Only some that do not; why the first of them does not.
    Unusable(Code),
    /// None of that kind.
    None,
}

/// The first approval of `kind` that serves this call.
pub(super) fn find(constrained: &Constrained<'_>, kind: ApprovalKind) -> Sought {
    let of_kind = constrained.facts.approvals.iter().filter(|approval| approval.kinds.contains(&kind));
    let mut first_fault = None;
    for approval in of_kind {
        match usable(constrained, approval) {
            Ok(()) => return Sought::Usable(approval.id),
            Err(code) => first_fault = first_fault.or(Some(code)),
        }
    }
    first_fault.map_or(Sought::None, Sought::Unusable)
}

fn usable(constrained: &Constrained<'_>, approval: &ApprovalFacts) -> Result<(), Code> {
    if !approval.signer_valid || approval.revoked {
        return Err(Code::ApprovalInvalid);
    }
    if approval.decision == ApprovalDecision::Deny {
        return Err(Code::ApprovalDenied);
    }
    let for_this = approval.call_digest == constrained.input.call_digest
        && approval.interface_hash == constrained.connector.interface_hash
        && approval.code_digest == constrained.connector.code_digest
        && approval.label_digest == constrained.facts.flow.label_digest;
    if !for_this {
        return Err(Code::ApprovalMismatch);
    }
    if constrained.now >= approval.expires_at {
        return Err(Code::ApprovalExpired);
    }
    if approval.used {
        return Err(Code::ApprovalUsed);
    }
    Ok(())
}

fn denial(code: Code) -> Denial {
    Denial::new(GateCheck::Approval, code, code.meaning())
}
