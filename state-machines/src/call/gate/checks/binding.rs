//! Check 8: the connector and the operation exist here, for this zone, and the token carries what the operation needs.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Installed, Permitted};
use crate::call::gate::{ConnectorFacts, Denial, Facts, OperationFacts};

//= docs/spec/gate.md#8-binding
pub(super) fn check(permitted: Permitted<'_>) -> Result<Installed<'_>, Denial> {
    let facts = permitted.facts;
    let connector = installed(facts)?;
    if !connector.enabled {
        return Err(denial(Code::ConnectorDisabled, format!("{} is disabled", facts.connector_id)));
    }
    if !connector.zones.contains(&facts.zone_id) {
        let rule = format!("{} is not bound to {}", facts.connector_id, facts.zone_id);
        return Err(denial(Code::ConnectorNotInZone, rule));
    }
    let operation = declared(facts)?;
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

fn installed(facts: &Facts) -> Result<&ConnectorFacts, Denial> {
    let unknown = || denial(Code::ConnectorUnknown, format!("{} is not installed", facts.connector_id));
    facts.connector.as_ref().ok_or_else(unknown)
}

/// The operation, if the connector is installed and has it.
pub(super) fn declared(facts: &Facts) -> Result<&OperationFacts, Denial> {
    let rule = || format!("{} has no {}", facts.connector_id, facts.operation_id);
    installed(facts)?.operation.as_ref().ok_or_else(|| denial(Code::OperationUnknown, rule()))
}

fn denial(code: Code, rule: String) -> Denial {
    Denial::new(GateCheck::Binding, code, rule)
}
