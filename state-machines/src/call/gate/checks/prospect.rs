//! Whether a grant could serve any call at all: what checks 6 to 8 say without a token.

use fcp_proto_core::time::UnixTime;

use super::zone_policy::{self, Subject};
use super::{binding, grants};
use crate::call::gate::{Denial, ProspectFacts};

//= docs/spec/authority.md#grants
pub(crate) fn check(facts: &ProspectFacts<'_>, now: UnixTime) -> Result<(), Denial> {
    let ProspectFacts { grant_id, grant, principal, principal_zone, operation_id, zone, connector } = *facts;
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
    grants::capable(operation_id, Some(operation), grant_id, grant)
}
