//! Check 13, beforehand: the standing approval of a grant, which spares its calls a person's word of their own.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalDecision, StandingApproval};

use super::Flowing;
use crate::call::gate::GrantFacts;

/// The first of the grants that the call stands on whose standing approval is for it, if one is.
///
/// The grant itself is in force, names the operation and permits the input: earlier checks said so.
///
/// # Errors
/// Why the first standing approval that there is spares the call nothing.
//= docs/spec/gate.md#standing-approvals
pub(super) fn find(flowing: &Flowing<'_>) -> Result<Option<ObjectId>, String> {
    let mut first_fault = None;
    for id in &flowing.claims.grant_object_ids {
        let known = flowing.facts.grants.get(id);
        let Some((known, given)) = known.and_then(|it| Some((it, it.grant.standing_approval.as_ref()?)))
        else {
            continue;
        };
        let fault = fault_of_call(flowing).or_else(|| fault_of(flowing, known, given));
        let Some(why) = fault else { return Ok(Some(*id)) };
        first_fault
            .get_or_insert_with(|| format!("the standing approval of the grant {id} is of no use: {why}"));
    }
    first_fault.map_or(Ok(None), Err)
}

/// Why no standing approval serves this call: whoever gave one had ordinary calls in mind.
fn fault_of_call(flowing: &Flowing<'_>) -> Option<&'static str> {
    let denied = flowing.facts.approvals.iter().any(|it| {
        it.decision == ApprovalDecision::Deny && it.signer_valid && !it.revoked && flowing.now < it.expires_at
    });
    if !flowing.facts.approvals_named.is_empty() {
        Some("the call names the approvals that it is made on")
    } else if !flowing.kinds.is_empty() {
        Some("where its values come from or go needs a person each time")
    } else if denied {
        Some("a person denied this very call")
    } else {
        None
    }
}

fn fault_of(flowing: &Flowing<'_>, known: &GrantFacts, given: &StandingApproval) -> Option<&'static str> {
    let StandingApproval { interface_hash, code_digest, input_digest } = given;
    let connector = flowing.connector;
    if !known.approver_valid {
        Some("whoever signed it may not approve")
    } else if *interface_hash != connector.interface_hash || *code_digest != connector.code_digest {
        Some("the connector is no longer the one that it was given for")
    } else if input_digest.is_some_and(|digest| digest != hash::digest(flowing.input.canonical.as_bytes())) {
        Some("it is for another input")
    } else {
        None
    }
}
