//! Check 13: a person agreed where one must.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, GateCheck};
use fcp_proto_core::zone::Approval;

use super::{Approved, Constrained, Flowing, standing_approval as standing};
use crate::call::gate::{ApprovalFacts, Denial, Facts, OperationFacts, ZoneFacts};

//= docs/spec/gate.md#13-approval
pub(super) fn check(flowing: Flowing<'_>) -> Result<Approved<'_>, Denial> {
    named_serve(&flowing)?;
    let mut kinds = flowing.kinds.clone();
    let mut approvals = flowing.approvals.clone();
    let mut standing_approval = None;
    if needed(flowing.zone, flowing.operation) {
        match agreed(&flowing)? {
            Agreed::ToThis(approval) => _ = approvals.insert(approval),
            Agreed::Beforehand(grant) => standing_approval = Some(grant),
        }
        kinds.insert(ApprovalKind::Execution);
    }
    match flowing.facts.approvals_named.difference(&approvals).next() {
        None => Ok(Approved { before: flowing, kinds, approvals, standing_approval }),
        Some(id) => Err(denial(Code::Conflict, format!("the call does not need the approval {id}"))),
    }
}

/// How a person agreed to a call.
enum Agreed {
    /// To this very call, by an approval that it spends.
    ToThis(ObjectId),
    /// To calls like it, by the standing approval of this grant.
    Beforehand(ObjectId),
}

/// An approval of this very call comes first: it is spent, and none is left over that nobody thinks of any more.
fn agreed(flowing: &Flowing<'_>) -> Result<Agreed, Denial> {
    let sought = find(flowing, ApprovalKind::Execution);
    if let Sought::Usable(id) = sought {
        return Ok(Agreed::ToThis(id));
    }
    let beforehand = standing::find(flowing);
    match (sought, beforehand) {
        (_, Ok(Some(grant))) => Ok(Agreed::Beforehand(grant)),
        // What was decided over this very call says more than what was agreed to of others.
        (Sought::Unusable(id, code), _) => {
            Err(denial(code, format!("the decision {id}: {}", code.meaning())))
        }
        (_, Err((grant, fault))) => {
            let rule = format!("the standing approval of the grant {grant} is of no use: {fault}");
            Err(Denial { standing: Some(fault), ..denial(Code::ApprovalRequired, rule) })
        }
        (_, Ok(None)) => Err(denial(Code::ApprovalRequired, Code::ApprovalRequired.meaning())),
    }
}

/// Each approval that the call names can serve it. One of another call is told as one that nobody knows, so that nobody
/// learns which exist.
fn named_serve(flowing: &Flowing<'_>) -> Result<(), Denial> {
    for id in &flowing.facts.approvals_named {
        let known = flowing.facts.approvals.iter().find(|approval| approval.id == *id);
        let serves = known.map_or(Err(Code::ApprovalMismatch), |approval| usable(flowing, approval));
        serves.map_err(|code| {
            denial(code, format!("the approval {id} is of no use here: {}", code.meaning()))
        })?;
    }
    Ok(())
}

/// Whether the call itself needs a person's word. Author and owner may each demand it, and neither takes it from the other.
pub(super) fn needed(zone: &ZoneFacts, operation: &OperationFacts) -> bool {
    let by_author = match operation.approval {
        Approval::None | Approval::Policy => false,
        Approval::Interactive | Approval::ElevationToken => true,
    };
    by_author || operation.tier >= zone.policy.approval_from
}

/// What a search for an approval found.
pub(super) enum Sought {
    /// One that serves.
    Usable(ObjectId),
    /// Only some that do not; the first of them, and why it does not.
    Unusable(ObjectId, Code),
    /// None of that kind.
    None,
}

/// The first approval of `kind` that serves this call; of those that it names, if it names any.
pub(super) fn find(constrained: &Constrained<'_>, kind: ApprovalKind) -> Sought {
    let Facts { approvals, approvals_named, .. } = constrained.facts;
    let offered = |id: &ObjectId| approvals_named.is_empty() || approvals_named.contains(id);
    let of_kind = approvals.iter().filter(|approval| approval.kinds.contains(&kind) && offered(&approval.id));
    let mut first_fault = None;
    for approval in of_kind {
        match usable(constrained, approval) {
            Ok(()) => return Sought::Usable(approval.id),
            Err(code) => first_fault = first_fault.or(Some((approval.id, code))),
        }
    }
    first_fault.map_or(Sought::None, |(id, code)| Sought::Unusable(id, code))
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

fn denial(code: Code, rule: impl Into<String>) -> Denial {
    Denial::new(GateCheck::Approval, code, rule)
}
