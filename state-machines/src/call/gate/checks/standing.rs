//! Whether a decision still stands when its call is about to leave: what can have changed since is looked at again.

use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use fcp_proto_core::time::UnixTime;

use super::zone_policy::Subject;
use super::{approval, grants, standing_approval, zone_policy};
use crate::call::gate::{Authorized, ConnectorFacts, Denial, OperationFacts, StandingFacts, ZoneFacts};

//= docs/spec/gate.md#deciding-and-spending
pub(crate) fn check(authorized: &Authorized, facts: &StandingFacts, now: UnixTime) -> Result<(), Denial> {
    for id in authorized.grants() {
        let Some(known) = facts.grants.get(id) else {
            return Err(grants::denial(Code::GrantMissing, format!("the grant {id} does not exist")));
        };
        grants::live(authorized.zone(), id, known, now)?;
    }
    in_time(authorized, now)?;
    let operation = facts.connector.as_ref().and_then(|connector| connector.operation.as_ref());
    let zone = permitted(authorized, facts, operation)?;
    let operation = same_connector(authorized, facts.connector.as_ref())?;
    if !facts.credentials_stored {
        let code = Code::CredentialMissing;
        return Err(Denial::new(GateCheck::Constraints, code, "its credential was removed meanwhile"));
    }
    let needed = approval::needed(zone, operation);
    approved(authorized, facts, needed, now)
        .map_err(|(code, rule)| Denial::new(GateCheck::Approval, code, rule))
}

/// The word that a person must give was given, and still counts. That of a grant ends with the grant, which is looked at
/// above.
fn approved(
    authorized: &Authorized,
    facts: &StandingFacts,
    needed: bool,
    now: UnixTime,
) -> Result<(), (Code, String)> {
    if needed && !authorized.kinds().contains(&ApprovalKind::Execution) {
        return Err((Code::ApprovalRequired, Code::ApprovalRequired.meaning().into()));
    }
    if let Some(grant) = authorized.standing_approval() {
        beforehand(facts, grant)?;
        if let Some(denial) = standing_approval::denied(&facts.denials, authorized.input(), now) {
            let rule = format!("a person denied this input meanwhile, by {denial}");
            return Err((Code::ApprovalDenied, rule));
        }
    }
    match authorized.seal().approvals_end {
        Some(end) if now >= end => Err((Code::ApprovalExpired, format!("the approval ended at {end}"))),
        Some(_) | None => Ok(()),
    }
}

/// The standing approval that spared the call one still counts. Interface and code are those that were decided upon.
fn beforehand(facts: &StandingFacts, grant: &ObjectId) -> Result<(), (Code, String)> {
    let known = facts.grants.get(grant);
    if !known.is_some_and(|known| known.approver_valid) {
        let rule =
            format!("whoever signed the standing approval of the grant {grant} may not approve any more");
        return Err((Code::ApprovalInvalid, rule));
    }
    let given = known.and_then(|known| known.grant.standing_approval.as_ref());
    let as_given = given
        .zip(facts.connector.as_ref())
        .is_some_and(|(given, now)| given.is_for_config(&now.config_digest));
    if as_given {
        return Ok(());
    }
    let rule = format!("the connector was configured anew since the standing approval of the grant {grant}");
    Err((Code::Conflict, rule))
}

/// The token that it was decided on is not over, and neither is the time that its constraints leave.
fn in_time(authorized: &Authorized, now: UnixTime) -> Result<(), Denial> {
    let seal = authorized.seal();
    if now >= seal.token_ends {
        let rule = format!("the token, or its issuer's attestation, ended at {}", seal.token_ends);
        return Err(Denial::new(GateCheck::TokenBinding, Code::TokenExpired, rule));
    }
    match seal.constraints_end {
        Some(end) if now >= end => {
            let rule = format!("the constraints ended at {end}");
            Err(Denial::new(GateCheck::Constraints, Code::GrantExpired, rule))
        }
        Some(_) | None => Ok(()),
    }
}

/// The zone permits it as it is now, and trusts and holds no less secret than when it was decided.
fn permitted<'a>(
    authorized: &Authorized,
    facts: &'a StandingFacts,
    operation: Option<&OperationFacts>,
) -> Result<&'a ZoneFacts, Denial> {
    let denied = |code, rule| Denial::new(GateCheck::ZonePolicy, code, rule);
    let principal_zone = facts.principal_zone.as_ref();
    let principal_zone =
        principal_zone.ok_or_else(|| denied(Code::ZoneMismatch, "the principal is enrolled no more"))?;
    let subject = Subject {
        zone_id: authorized.zone(),
        principal: authorized.principal(),
        principal_zone,
        connector_id: authorized.connector(),
        operation_id: authorized.operation(),
        operation,
        token_secs: authorized.seal().token_secs,
    };
    let known = authorized.grants().iter().map(|id| facts.grants.get(id));
    let zone = zone_policy::permits(facts.zone.as_ref(), &subject, known)?;
    if (zone.integrity, zone.confidentiality) != authorized.seal().levels {
        return Err(denied(Code::ZonePolicyDenied, "the zone's levels were changed meanwhile"));
    }
    Ok(zone)
}

/// The connector is the one that was decided upon, and calls may reach it.
fn same_connector<'a>(
    authorized: &Authorized,
    connector: Option<&'a ConnectorFacts>,
) -> Result<&'a OperationFacts, Denial> {
    let denied = |code: Code| Denial::new(GateCheck::Binding, code, code.meaning());
    let connector = connector.ok_or_else(|| denied(Code::ConnectorUnknown))?;
    if !connector.enabled {
        return Err(denied(Code::ConnectorDisabled));
    }
    if !connector.zones.contains(authorized.zone()) {
        return Err(denied(Code::ConnectorNotInZone));
    }
    let same = connector.interface_hash == *authorized.interface_hash()
        && connector.code_digest == *authorized.code_digest();
    if !same {
        let rule = "the connector was replaced meanwhile";
        return Err(Denial::new(GateCheck::Binding, Code::Conflict, rule));
    }
    connector.operation.as_ref().ok_or_else(|| denied(Code::OperationUnknown))
}
