//! Check 13, beforehand: the standing approval of a grant, which spares its calls a person's word of their own.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{Digest, ObjectId};
use fcp_proto_core::object::StandingApproval;

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
    if !flowing.facts.approvals_named.is_empty() {
        Some("the call names the approvals that it is made on")
    } else if !flowing.kinds.is_empty() {
        Some("where its values come from or go needs a person each time")
    } else if is_denied(flowing) {
        Some("a person denied this input")
    } else {
        None
    }
}

/// Whether a person denied a call with this input, under whatever idempotency key.
//= docs/spec/gate.md#denials
fn is_denied(flowing: &Flowing<'_>) -> bool {
    let input = input_digest(flowing);
    flowing.facts.denials.iter().any(|denial| {
        let this = denial.input_digest.is_none_or(|denied| denied == input);
        this && !denial.revoked && flowing.now < denial.expires_at
    })
}

fn input_digest(flowing: &Flowing<'_>) -> Digest {
    hash::digest(flowing.input.canonical.as_bytes())
}

fn fault_of(flowing: &Flowing<'_>, known: &GrantFacts, given: &StandingApproval) -> Option<&'static str> {
    let StandingApproval { interface_hash, code_digest, .. } = given;
    let connector = flowing.connector;
    if !known.approver_valid {
        Some("whoever signed it may not approve")
    } else if *interface_hash != connector.interface_hash || *code_digest != connector.code_digest {
        Some("the connector is no longer the one that it was given for")
    } else if given.input_digest.is_some_and(|digest| digest != input_digest(flowing)) {
        Some("it is for another input")
    } else {
        None
    }
}
