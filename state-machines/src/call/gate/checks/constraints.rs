//! Check 11: the token's constraints permit the call.

use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::object::GateCheck;
use fcp_proto_core::token::constraints::CallFacts;

use super::{Constrained, Shaped};
use crate::call::gate::{Denial, GrantFacts};

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
    match shaped.claims.constraints.permits(&call) {
        Ok(()) => Ok(Constrained { before: shaped }),
        Err(denial) => Err(Denial::new(GateCheck::Constraints, denial.code(), denial.to_string())),
    }
}
