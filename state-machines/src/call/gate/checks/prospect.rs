//! Whether a grant could serve any call at all: check 4 but for freshness, checks 6 to 8 without a token, and check 11 of the
//! calls made on it and of the credentials that it takes.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::time::UnixTime;

use super::zone_policy::{self, Subject};
use super::{binding, constraints, grants, revocation};
use crate::call::gate::{Denial, ProspectFacts};

//= docs/spec/authority.md#grants
pub(crate) fn check(facts: &ProspectFacts<'_>, now: UnixTime) -> Result<(), Denial> {
    let ProspectFacts { grant_id, grant, principal, principal_zone, operation_id, zone, connector, .. } =
        *facts;
    revocation::stands(facts.revocation, principal)?;
    grants::live(&grant.zone_id, grant_id, grant, now)?;
    let operation = connector.and_then(|it| it.operation.as_ref());
    let subject = Subject {
        zone_id: &grant.zone_id,
        principal,
        principal_zone,
        connector_id: &grant.grant.connector,
        operation_id,
        operation,
        // The node mints none that lives longer than the policy permits.
        token_secs: 0,
    };
    zone_policy::permits(zone, &subject, core::iter::once(Some(grant)))?;
    let asked = binding::Asked { connector: &grant.grant.connector, operation: operation_id };
    let (_, operation) = binding::reachable(connector, asked, &grant.zone_id)?;
    grants::capable(operation_id, Some(operation), grant_id, grant)?;
    match grant.grant.constraints.max_calls {
        Some(most) if grant.calls_used >= u64::from(most) => {
            let rule = format!("its {most} calls are used up");
            Err(Denial::new(GateCheck::Constraints, Code::CallLimitReached, rule))
        }
        Some(_) | None => constraints::slot_filled(facts.slot),
    }
}
