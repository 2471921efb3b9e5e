//! Check 8: the connector and the operation exist here, for this zone, and the token carries what the operation needs.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, ZoneId};
use fcp_proto_core::object::GateCheck;

use super::{Installed, Permitted};
use crate::call::gate::{ConnectorFacts, Denial, OperationFacts};

//= docs/spec/gate.md#8-binding
pub(super) fn check(permitted: Permitted<'_>) -> Result<Installed<'_>, Denial> {
    let facts = permitted.facts;
    let asked = Asked { connector: &facts.connector_id, operation: &facts.operation_id };
    let (connector, operation) = reachable(facts.connector.as_ref(), asked, &facts.zone_id)?;
    let carried = permitted.claims.grants.iter().any(|entry| {
        entry.capability == operation.capability
            && entry.operation.as_ref().is_none_or(|named| *named == facts.operation_id)
    });
    if !carried {
        let rule = format!("the token does not carry {}", operation.capability);
        return Err(denial(Code::CapabilityMissing, rule));
    }
    Ok(Installed { before: permitted, connector, operation })
}

/// What is asked for, by its names.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub connector: &'a ConnectorId,
    pub operation: &'a OperationId,
}

/// The connector and the operation, if calls from the zone may reach them.
pub(super) fn reachable<'a>(
    connector: Option<&'a ConnectorFacts>,
    asked: Asked<'_>,
    zone: &ZoneId,
) -> Result<(&'a ConnectorFacts, &'a OperationFacts), Denial> {
    let known = installed(connector, asked)?;
    if !known.enabled {
        return Err(denial(Code::ConnectorDisabled, format!("{} is disabled", asked.connector)));
    }
    if !known.zones.contains(zone) {
        let rule = format!("{} is not bound to {zone}", asked.connector);
        return Err(denial(Code::ConnectorNotInZone, rule));
    }
    Ok((known, declared(connector, asked)?))
}

fn installed<'a>(
    connector: Option<&'a ConnectorFacts>,
    asked: Asked<'_>,
) -> Result<&'a ConnectorFacts, Denial> {
    let unknown = || denial(Code::ConnectorUnknown, format!("{} is not installed", asked.connector));
    connector.ok_or_else(unknown)
}

/// The operation, if the connector is installed and has it.
pub(super) fn declared<'a>(
    connector: Option<&'a ConnectorFacts>,
    asked: Asked<'_>,
) -> Result<&'a OperationFacts, Denial> {
    let rule = || format!("{} has no {}", asked.connector, asked.operation);
    installed(connector, asked)?.operation.as_ref().ok_or_else(|| denial(Code::OperationUnknown, rule()))
}

fn denial(code: Code, rule: String) -> Denial {
    Denial::new(GateCheck::Binding, code, rule)
}
