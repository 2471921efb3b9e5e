//! Check 8: the connector and the operation exist here, for this zone, and the token carries what the operation needs.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Installed, Permitted};
use crate::call::gate::Denial;

//= docs/spec/gate.md#8-binding
pub(super) fn check(permitted: Permitted<'_>) -> Result<Installed<'_>, Denial> {
    let facts = permitted.facts;
    let denied = |code, rule| Err(Denial::new(GateCheck::Binding, code, rule));
    let Some(connector) = &facts.connector else {
        return denied(Code::ConnectorUnknown, format!("{} is not installed", facts.connector_id));
    };
    if !connector.enabled {
        return denied(Code::ConnectorDisabled, format!("{} is disabled", facts.connector_id));
    }
    if !connector.zones.contains(&facts.zone_id) {
        return denied(
            Code::ConnectorNotInZone,
            format!("{} is not bound to {}", facts.connector_id, facts.zone_id),
        );
    }
    let Some(operation) = &connector.operation else {
        return denied(
            Code::OperationUnknown,
            format!("{} has no {}", facts.connector_id, facts.operation_id),
        );
    };
    let carried = permitted.claims.grants.iter().any(|entry| {
        entry.capability == operation.capability
            && entry.operation.as_ref().is_none_or(|named| *named == facts.operation_id)
    });
    if !carried {
        return denied(Code::CapabilityMissing, format!("the token does not carry {}", operation.capability));
    }
    Ok(Installed { before: permitted, connector, operation })
}
