//! Check 7: the zone permits it.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{GateCheck, ZonePolicy};
use fcp_proto_core::zone::SafetyTier;

use super::{Granted, Permitted};
use crate::call::gate::{Denial, GrantFacts, OperationFacts, ZoneFacts};

//= docs/spec/gate.md#7-zone-policy
pub(super) fn check(granted: Granted<'_>) -> Result<Permitted<'_>, Denial> {
    let facts = granted.facts;
    let claims = granted.claims;
    let subject = Subject {
        zone_id: &facts.zone_id,
        principal: &facts.principal,
        principal_zone: &facts.principal_zone,
        connector_id: &facts.connector_id,
        operation_id: &facts.operation_id,
        operation: facts.connector.as_ref().and_then(|connector| connector.operation.as_ref()),
        token_secs: claims.expires.saturating_since(claims.issued_at),
    };
    let grants = claims.grant_object_ids.iter().map(|id| facts.grants.get(id));
    let zone = permits(facts.zone.as_ref(), &subject, grants)?;
    Ok(Permitted { before: granted, zone })
}

/// What a zone's policy speaks about.
pub(super) struct Subject<'a> {
    pub zone_id: &'a ZoneId,
    pub principal: &'a PrincipalId,
    pub principal_zone: &'a ZoneId,
    pub connector_id: &'a ConnectorId,
    pub operation_id: &'a OperationId,
    pub operation: Option<&'a OperationFacts>,
    /// How long the token lives, from its making to its end.
    pub token_secs: u64,
}

/// Whether the zone is there and permits it.
pub(super) fn permits<'a, 'g>(
    zone: Option<&'a ZoneFacts>,
    subject: &Subject<'_>,
    grants: impl Iterator<Item = Option<&'g GrantFacts>>,
) -> Result<&'a ZoneFacts, Denial> {
    let Some(zone) = zone else {
        return Err(denial(Code::ZoneUnknown, format!("there is no zone {}", subject.zone_id)));
    };
    if subject.principal_zone != subject.zone_id {
        let Subject { principal, principal_zone, zone_id, .. } = subject;
        let rule = format!("{principal} belongs to {principal_zone}, not to {zone_id}");
        return Err(denial(Code::ZoneMismatch, rule));
    }
    names_permitted(subject, &zone.policy)?;
    lives_permitted(subject, grants, &zone.policy)?;
    if let Some(operation) = subject.operation {
        within_ceilings(operation, &zone.policy)?;
    }
    Ok(zone)
}

fn names_permitted(subject: &Subject<'_>, policy: &ZonePolicy) -> Result<(), Denial> {
    let (connector, operation) = (subject.connector_id.as_str(), subject.operation_id.as_str());
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

fn lives_permitted<'g>(
    subject: &Subject<'_>,
    mut grants: impl Iterator<Item = Option<&'g GrantFacts>>,
    policy: &ZonePolicy,
) -> Result<(), Denial> {
    if subject.token_secs > policy.max_token_secs {
        return Err(denial(Code::ZonePolicyDenied, "the token lives longer than the zone permits"));
    }
    let too_long = |known: Option<&GrantFacts>| {
        let secs = known.map(|it| it.grant.expires_at.saturating_since(it.grant.not_before));
        secs.is_none_or(|secs| secs > policy.max_grant_secs)
    };
    if grants.any(too_long) {
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
