//! Check 6: the token stands on live grants, and claims no more than they give.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId, ZoneId};
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::time::UnixTime;

use super::{Granted, Held, binding};
use crate::call::gate::{Denial, Facts, GrantFacts, OperationFacts};

//= docs/spec/gate.md#6-grants
pub(super) fn check(held: Held<'_>) -> Result<Granted<'_>, Denial> {
    if held.claims.grant_object_ids.is_empty() {
        return Err(denial(Code::GrantMissing, "the token names no grant"));
    }
    for id in &held.claims.grant_object_ids {
        let Some(known) = held.facts.grants.get(id) else {
            return Err(denial(Code::GrantMissing, format!("the grant {id} does not exist")));
        };
        live(&held.facts.zone_id, id, known, held.now)?;
        contains(&held, id, known)?;
    }
    let operation = &held.facts.operation_id;
    let carried =
        held.claims.grants.iter().any(|entry| entry.operation.as_ref().is_none_or(|it| it == operation));
    if !carried {
        return Err(denial(Code::OperationNotGranted, format!("the token does not carry {operation}")));
    }
    Ok(Granted { before: held })
}

/// Why a principal that holds no token for the operation holds none: what is wrong with the first grant that names the
/// operation and is not in order.
//= docs/spec/gate.md#2-token-signature
pub(super) fn none_held(facts: &Facts, now: UnixTime) -> Denial {
    let named = facts.grants.iter().filter(|(_, known)| {
        known.grant.connector == facts.connector_id && known.grant.operations.contains(&facts.operation_id)
    });
    let faults = |(id, known): (&ObjectId, &GrantFacts)| {
        let operation = facts.connector.as_ref().and_then(|connector| connector.operation.as_ref());
        let capable = |()| capable(&facts.operation_id, operation, id, known);
        live(&facts.zone_id, id, known, now).and_then(capable).err()
    };
    let asked = binding::Asked { connector: &facts.connector_id, operation: &facts.operation_id };
    named.filter_map(faults).next().unwrap_or_else(|| {
        match binding::declared(facts.connector.as_ref(), asked) {
            Ok(_) => {
                let rule = format!("no grant gives {} the operation {}", facts.principal, facts.operation_id);
                denial(Code::OperationNotGranted, rule)
            }
            // What is installed everybody may read, so nobody shall look for a grant of what is not there.
            Err(unknown) => unknown,
        }
    })
}

/// The grant gives the capability that the operation needs.
pub(super) fn capable(
    named: &OperationId,
    operation: Option<&OperationFacts>,
    id: &ObjectId,
    known: &GrantFacts,
) -> Result<(), Denial> {
    match operation.map(|operation| &operation.capability) {
        Some(needed) if !known.grant.capabilities.contains(needed) => {
            let rule = format!("the grant {id} gives {named} without {needed}");
            Err(denial(Code::GrantExceeded, rule))
        }
        Some(_) | None => Ok(()),
    }
}

/// The grant is in force, for this principal, in this zone.
pub(super) fn live(zone: &ZoneId, id: &ObjectId, known: &GrantFacts, now: UnixTime) -> Result<(), Denial> {
    if known.revoked {
        return Err(denial(Code::GrantRevoked, format!("the grant {id} was revoked")));
    }
    if !known.signer_valid {
        return Err(denial(Code::GrantIssuerInvalid, format!("nobody who may grant signed {id}")));
    }
    if !known.names_principal {
        return Err(denial(Code::GrantPrincipalMismatch, format!("the grant {id} is for another")));
    }
    if known.zone_id != *zone {
        return Err(denial(Code::GrantZoneMismatch, format!("the grant {id} is for {}", known.zone_id)));
    }
    if now < known.grant.not_before || now >= known.grant.expires_at {
        return Err(denial(Code::GrantExpired, format!("the grant {id} is not in force at {now}")));
    }
    Ok(())
}

/// The token's connector, operations, constraints and times lie within the grant's.
fn contains(held: &Held<'_>, id: &ObjectId, known: &GrantFacts) -> Result<(), Denial> {
    let (claims, grant) = (held.claims, &known.grant);
    let exceeds = |what: &str| {
        Err(denial(Code::GrantExceeded, format!("the grant {id} does not give the token's {what}")))
    };
    if grant.connector != held.facts.connector_id {
        return Err(denial(Code::OperationNotGranted, format!("the grant {id} is for {}", grant.connector)));
    }
    let operations_within = claims.grants.iter().all(|entry| {
        grant.capabilities.contains(&entry.capability)
            && entry.operation.as_ref().is_some_and(|operation| grant.operations.contains(operation))
    });
    if !operations_within {
        return exceeds("operations");
    }
    if !grant.constraints.contains(&claims.constraints) {
        return exceeds("constraints");
    }
    if claims.expires > grant.expires_at {
        return exceeds("times");
    }
    Ok(())
}

pub(super) fn denial(code: Code, rule: impl Into<alloc::string::String>) -> Denial {
    Denial::new(GateCheck::Grants, code, rule)
}
