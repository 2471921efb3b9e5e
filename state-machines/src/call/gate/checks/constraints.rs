//! Check 11: the token's constraints permit the call.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::token::constraints::CallFacts;

use super::{Constrained, Installed, Shaped};
use crate::call::gate::{Denial, GrantFacts, SlotFacts};

//= docs/spec/gate.md#11-constraints
pub(super) fn check(shaped: Shaped<'_>) -> Result<Constrained<'_>, Denial> {
    let (facts, input) = (shaped.facts, shaped.input);
    let named = || shaped.claims.grant_object_ids.iter().filter_map(|id| facts.grants.get(id));
    let most = |used: fn(&GrantFacts) -> u64| named().map(used).max().unwrap_or(0);
    let credentials: Vec<_> = input.credentials.iter().cloned().collect();
    let call = CallFacts {
        resources: &input.resources,
        credentials: &credentials,
        input: &input.json,
        bytes: input.canonical.len() as u64,
        calls_used: most(|grant| grant.calls_used),
        bytes_used: most(|grant| grant.bytes_used),
        now: shaped.now,
    };
    shaped
        .claims
        .constraints
        .permits(&call)
        .map_err(|denial| Denial::new(GateCheck::Constraints, denial.code(), denial.to_string()))?;
    slot_filled(&input.slot)?;
    Ok(Constrained { before: shaped })
}

/// The token covers every resource and every credential of the call. What it does not cover is not named: nobody has
/// proved the holder's key yet.
//= docs/spec/sessions.md#calls-outside-a-session
pub(super) fn covered(installed: &Installed<'_>) -> Result<(), Denial> {
    let (input, bounds) = (installed.input, &installed.claims.constraints);
    let denied = |code: Code| Err(Denial::new(GateCheck::Constraints, code, code.meaning()));
    if input.resources.iter().any(|resource| bounds.permits_resource(resource).is_err()) {
        return denied(Code::ResourceNotAllowed);
    }
    if !input.credentials.is_subset(&bounds.credential_allow) {
        return denied(Code::CredentialNotAllowed);
    }
    Ok(())
}

/// The credential that the operation needs is there. It comes after the constraints, so that nobody learns which
/// credentials exist beyond those that the grant allows.
pub(super) fn slot_filled(slot: &SlotFacts) -> Result<(), Denial> {
    let denied = |code, rule| Err(Denial::new(GateCheck::Constraints, code, rule));
    match slot {
        SlotFacts::Filled => Ok(()),
        SlotFacts::Empty(slot) => {
            denied(Code::CredentialMissing, format!("no such credential fills the slot `{slot}`"))
        }
        SlotFacts::Several(slot) => {
            denied(Code::Ambiguous, format!("several credentials fill the slot `{slot}`; name one"))
        }
        SlotFacts::NotAllowed(slot) => {
            let rule = format!("no credential that is allowed fills the slot `{slot}`");
            denied(Code::CredentialNotAllowed, rule)
        }
    }
}
