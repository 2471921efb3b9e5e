//! Check 13, beforehand: the standing approval of a grant, which spares its calls a person's word of their own.

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::StandingApproval;
use fcp_proto_core::time::UnixTime;

use super::Flowing;
use crate::call::gate::{DenialFacts, GrantFacts, StandingFault};

/// The first of the grants that the call stands on whose standing approval is for it, if one is.
///
/// The grant itself is in force, names the operation and permits the input: earlier checks said so.
///
/// # Errors
/// Why the standing approval that came nearest to it spares the call nothing, and of which grant it is.
//= docs/spec/gate.md#standing-approvals
pub(super) fn find(flowing: &Flowing<'_>) -> Result<Option<ObjectId>, (ObjectId, StandingFault)> {
    let mut nearest: Option<(ObjectId, StandingFault)> = None;
    for id in &flowing.claims.grant_object_ids {
        let known = flowing.facts.grants.get(id);
        let Some((known, given)) = known.and_then(|it| Some((it, it.grant.standing_approval.as_ref()?)))
        else {
            continue;
        };
        let fault = fault_of_call(flowing).or_else(|| fault_of(flowing, known, given));
        let Some(fault) = fault else { return Ok(Some(*id)) };
        if nearest.is_none_or(|(_, before)| fault > before) {
            nearest = Some((*id, fault));
        }
    }
    nearest.map_or(Ok(None), Err)
}

/// Why no standing approval serves this call: whoever gave one had ordinary calls in mind.
fn fault_of_call(flowing: &Flowing<'_>) -> Option<StandingFault> {
    if !flowing.facts.approvals_named.is_empty() {
        Some(StandingFault::Named)
    } else if !flowing.kinds.is_empty() {
        Some(StandingFault::Flow)
    } else {
        denied(&flowing.facts.denials, &flowing.input.canonical, flowing.now).map(StandingFault::Denied)
    }
}

/// The denial of a call with this input, canonical JSON, under whatever idempotency key, if a person denied one.
//= docs/spec/gate.md#denials
pub(super) fn denied(denials: &[DenialFacts], input: &str, now: UnixTime) -> Option<ObjectId> {
    let input = hash::digest(input.as_bytes());
    let counts = denials.iter().find(|denial| {
        let this = denial.input_digest.is_none_or(|denied| denied == input);
        this && !denial.revoked && now < denial.expires_at
    });
    counts.map(|denial| denial.id)
}

fn fault_of(flowing: &Flowing<'_>, known: &GrantFacts, given: &StandingApproval) -> Option<StandingFault> {
    let connector = flowing.connector;
    if !given.is_for_input(&hash::digest(flowing.input.canonical.as_bytes())) {
        Some(StandingFault::Input)
    } else if given.interface_hash != connector.interface_hash || given.code_digest != connector.code_digest {
        Some(StandingFault::Connector)
    } else if !given.is_for_config(&connector.config_digest) {
        Some(StandingFault::Configuration)
    } else if !known.approver_valid {
        Some(StandingFault::Signer)
    } else {
        None
    }
}
