//! Check 7: the zone permits it.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::{GateCheck, ZonePolicy};
use fcp_proto_core::zone::SafetyTier;

use super::{Granted, Permitted};
use crate::call::gate::{Denial, Facts, OperationFacts};

//= docs/spec/gate.md#7-zone-policy
pub(super) fn check(granted: Granted<'_>) -> Result<Permitted<'_>, Denial> {
    let facts = granted.facts;
    let Some(zone) = &facts.zone else {
        return Err(denial(Code::ZoneUnknown, format!("there is no zone {}", facts.zone_id)));
    };
    if facts.principal_zone != facts.zone_id {
        let rule =
            format!("{} belongs to {}, not to {}", facts.principal, facts.principal_zone, facts.zone_id);
        return Err(denial(Code::ZoneMismatch, rule));
    }
    names_permitted(facts, &zone.policy)?;
    lives_permitted(&granted, &zone.policy)?;
    if let Some(operation) = facts.connector.as_ref().and_then(|connector| connector.operation.as_ref()) {
        within_ceilings(operation, &zone.policy)?;
    }
    Ok(Permitted { before: granted, zone })
}

fn names_permitted(facts: &Facts, policy: &ZonePolicy) -> Result<(), Denial> {
    let (connector, operation) = (facts.connector_id.as_str(), facts.operation_id.as_str());
    if !policy.connectors.iter().any(|pattern| matches(pattern, connector)) {
        return Err(denial(
            Code::ZonePolicyDenied,
            format!("the zone does not permit the connector {connector}"),
        ));
    }
    if policy.denied_operations.iter().any(|pattern| matches(pattern, operation)) {
        return Err(denial(Code::ZonePolicyDenied, format!("the zone denies the operation {operation}")));
    }
    Ok(())
}

fn lives_permitted(granted: &Granted<'_>, policy: &ZonePolicy) -> Result<(), Denial> {
    let claims = granted.claims;
    if claims.expires.saturating_since(claims.issued_at) > policy.max_token_secs {
        return Err(denial(Code::ZonePolicyDenied, "the token lives longer than the zone permits"));
    }
    let too_long = |id| {
        let grant = granted.facts.grants.get(id).map(|known| &known.grant);
        grant.is_none_or(|grant| grant.expires_at.saturating_since(grant.not_before) > policy.max_grant_secs)
    };
    if claims.grant_object_ids.iter().any(too_long) {
        return Err(denial(Code::ZonePolicyDenied, "a grant lives longer than the zone permits"));
    }
    Ok(())
}

fn within_ceilings(operation: &OperationFacts, policy: &ZonePolicy) -> Result<(), Denial> {
    if operation.tier == SafetyTier::Forbidden {
        return Err(denial(Code::OperationForbidden, Code::OperationForbidden.meaning()));
    }
    if operation.risk > policy.max_risk || operation.tier > policy.max_tier {
        let rule = format!(
            "the operation is {} and of {} risk; the zone permits {} and {}",
            operation.tier, operation.risk, policy.max_tier, policy.max_risk
        );
        return Err(denial(Code::RiskAboveCeiling, rule));
    }
    Ok(())
}

/// Whether `pattern` is `name`, or its part before a final `*` opens `name`.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn denial(code: Code, rule: impl Into<alloc::string::String>) -> Denial {
    Denial::new(GateCheck::ZonePolicy, code, rule)
}
