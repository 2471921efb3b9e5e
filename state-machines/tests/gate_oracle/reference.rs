//! The gate's decision, written a second time from `docs/spec/gate.md` alone and sharing no code with the gate.
//!
//! It is as plain as the text: one function a check, in the order of the text. Where the two disagree, one of the three
//! (gate, reference, spec) is wrong.

use std::collections::BTreeSet;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::zone::{Idempotency, SafetyTier};
use fcp_state_machines::call::gate::{
    ConnectorFacts, Facts, GrantFacts, HolderFacts, InputFacts, IssuerFacts, KeyStanding, LeaseFacts,
    OperationFacts, RateFacts, SignatureFacts, SlotFacts, TokenFacts, ZoneFacts,
};

use crate::approvals::{self, Spend};
use crate::bounds::{self, Use};
use crate::flow;

/// What the spec says about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be made, spends these approvals, and is spared one by the standing approval of this grant.
    Allow(BTreeSet<ObjectId>, Option<ObjectId>),
    /// It was made before; this is its receipt.
    Replay(ObjectId),
    /// This check refuses it with this code, and it may pass after so many milliseconds, if that is known.
    Deny(GateCheck, Code, Option<u64>),
}

/// An early end of the walk.
pub(crate) type Step<T = ()> = Result<T, Verdict>;

pub(crate) fn deny<T>(check: GateCheck, code: Code) -> Step<T> {
    Err(Verdict::Deny(check, code, None))
}

fn wait<T>(check: GateCheck, code: Code, milliseconds: Option<u64>) -> Step<T> {
    Err(Verdict::Deny(check, code, milliseconds))
}

pub(crate) fn demand(holds: bool, check: GateCheck, code: Code) -> Step {
    if holds { Ok(()) } else { deny(check, code) }
}

/// What the spec says about `facts` at `now`.
pub(crate) fn reference(facts: &Facts, now: UnixTime) -> Verdict {
    match walk(facts, now.as_secs()) {
        Ok((spent, spared)) => Verdict::Allow(spent, spared),
        Err(end) => end,
    }
}

fn walk(facts: &Facts, now: u64) -> Step<(BTreeSet<ObjectId>, Option<ObjectId>)> {
    let input = decode(facts)?;
    let (claims, issuer) = token_signature(facts, now)?;
    token_binding(facts, claims, issuer, now)?;
    revocation(facts)?;
    holder(facts, claims)?;
    let grants = grants(facts, claims, now)?;
    let zone = zone_policy(facts, claims, &grants)?;
    let (connector, operation) = binding(facts, claims)?;
    idempotency(facts, operation)?;
    demand(facts.schema.is_ok(), GateCheck::Schema, Code::InputInvalid)?;
    constraints(claims, input, &grants, now)?;
    let spend = Spend { facts, input, connector, now };
    let mut spent =
        flow::check(&spend, operation, zone).map_err(|code| Verdict::Deny(GateCheck::Flow, code, None))?;
    let spared = approvals::check(&spend, operation, &zone.policy, claims, &mut spent)?;
    lease(facts, operation, now)?;
    rates(facts)?;
    Ok((spent, spared))
}

// 1

fn decode(facts: &Facts) -> Step<&InputFacts> {
    let input = match &facts.input {
        Ok(input) => input,
        Err(code) => return deny(GateCheck::Decode, *code),
    };
    let printable = |text: &str| text.chars().all(|it| ('!'..='~').contains(&it));
    let key_fits =
        facts.key.as_ref().is_none_or(|key| (1..=255).contains(&key.text.len()) && printable(&key.text));
    demand(key_fits, GateCheck::Decode, Code::OutOfRange)?;
    Ok(input)
}

// 2

fn token_signature(facts: &Facts, now: u64) -> Step<(&Claims, Option<&IssuerFacts>)> {
    match &facts.token {
        TokenFacts::Absent => {
            if facts.holder == HolderFacts::Proved(facts.principal.clone()) {
                no_token(facts, now)?;
                deny(GateCheck::Grants, Code::OperationNotGranted)
            } else {
                deny(GateCheck::Holder, Code::HolderProofMissing)
            }
        }
        TokenFacts::Malformed(code) => deny(GateCheck::TokenSignature, *code),
        TokenFacts::UnknownKey => deny(GateCheck::TokenSignature, Code::TokenIssuerUnknown),
        TokenFacts::Decoded { signature: SignatureFacts::Invalid, .. } => {
            deny(GateCheck::TokenSignature, Code::TokenSignatureInvalid)
        }
        TokenFacts::Decoded { signature: SignatureFacts::Valid, claims, issuer } => {
            Ok((claims, issuer.as_ref()))
        }
    }
}

fn no_token(facts: &Facts, now: u64) -> Step {
    for known in facts.grants.values() {
        let grant = &known.grant;
        if grant.connector != facts.connector_id || !grant.operations.contains(&facts.operation_id) {
            continue;
        }
        in_force(facts, known, now)?;
        if let Some(operation) = known_operation(facts) {
            let given = grant.capabilities.contains(&operation.capability);
            demand(given, GateCheck::Grants, Code::GrantExceeded)?;
        }
    }
    demand(facts.connector.is_some(), GateCheck::Binding, Code::ConnectorUnknown)?;
    demand(known_operation(facts).is_some(), GateCheck::Binding, Code::OperationUnknown)
}

// 3

fn token_binding(facts: &Facts, claims: &Claims, issuer: Option<&IssuerFacts>, now: u64) -> Step {
    let check = GateCheck::TokenBinding;
    demand(claims.zone_id == facts.zone_id, check, Code::TokenZoneMismatch)?;
    let covers =
        |node: &NodeId, it: &IssuerFacts| it.node_id == *node && contains(it.issued_at, it.expires_at, now);
    demand(issuer.is_some_and(|it| covers(&claims.issuer_node, it)), check, Code::TokenIssuerUnknown)?;
    demand(now < claims.expires.as_secs(), check, Code::TokenExpired)?;
    demand(now.saturating_add(300) >= claims.not_before.as_secs(), check, Code::TokenNotYetValid)
}

/// An interval contains its beginning and not its end.
fn contains(from: UnixTime, end: UnixTime, now: u64) -> bool {
    from.as_secs() <= now && now < end.as_secs()
}

// 4

fn revocation(facts: &Facts) -> Step {
    let (check, it) = (GateCheck::Revocation, &facts.revocation);
    demand(!it.token, check, Code::TokenRevoked)?;
    demand(!it.issuer_key, check, Code::IssuerKeyRevoked)?;
    demand(!it.holder_key, check, Code::IssuerKeyRevoked)?;
    demand(!it.node, check, Code::NodeRevoked)?;
    demand(!it.connector, check, Code::ConnectorRevoked)?;
    demand(!it.zone_key, check, Code::ZoneKeyRevoked)?;
    let safe = known_operation(facts).is_some_and(|operation| operation.tier == SafetyTier::Safe);
    demand(safe || it.head_age_secs <= 300, check, Code::RevocationStale)
}

fn known_operation(facts: &Facts) -> Option<&OperationFacts> {
    facts.connector.as_ref()?.operation.as_ref()
}

// 5

fn holder(facts: &Facts, claims: &Claims) -> Step {
    match &facts.holder {
        HolderFacts::Missing => deny(GateCheck::Holder, Code::HolderProofMissing),
        HolderFacts::Invalid => deny(GateCheck::Holder, Code::HolderProofInvalid),
        HolderFacts::Proved(principal) => {
            let both = *principal == claims.principal_id && *principal == facts.principal;
            demand(both, GateCheck::Holder, Code::HolderMismatch)
        }
    }
}

// 6

fn grants<'a>(facts: &'a Facts, claims: &Claims, now: u64) -> Step<Vec<&'a GrantFacts>> {
    let check = GateCheck::Grants;
    demand(!claims.grant_object_ids.is_empty(), check, Code::GrantMissing)?;
    let mut named = Vec::new();
    for id in &claims.grant_object_ids {
        let Some(grant) = facts.grants.get(id) else { return deny(check, Code::GrantMissing) };
        one_grant(facts, claims, grant, now)?;
        named.push(grant);
    }
    let for_this = claims
        .grants
        .iter()
        .any(|entry| entry.operation.is_none() || entry.operation.as_ref() == Some(&facts.operation_id));
    demand(for_this, check, Code::OperationNotGranted)?;
    Ok(named)
}

/// The tests of check 6 that concern the grant alone.
fn in_force(facts: &Facts, known: &GrantFacts, now: u64) -> Step {
    let (check, grant) = (GateCheck::Grants, &known.grant);
    demand(!known.revoked, check, Code::GrantRevoked)?;
    demand(known.signer_valid, check, Code::GrantIssuerInvalid)?;
    demand(known.names_principal, check, Code::GrantPrincipalMismatch)?;
    demand(known.zone_id == facts.zone_id, check, Code::GrantZoneMismatch)?;
    demand(contains(grant.not_before, grant.expires_at, now), check, Code::GrantExpired)
}

fn one_grant(facts: &Facts, claims: &Claims, known: &GrantFacts, now: u64) -> Step {
    let (check, grant) = (GateCheck::Grants, &known.grant);
    in_force(facts, known, now)?;
    demand(grant.connector == facts.connector_id, check, Code::OperationNotGranted)?;
    for entry in &claims.grants {
        let operation = entry.operation.as_ref().is_some_and(|it| grant.operations.contains(it));
        demand(operation && grant.capabilities.contains(&entry.capability), check, Code::GrantExceeded)?;
    }
    demand(bounds::within(&claims.constraints, &grant.constraints), check, Code::GrantExceeded)?;
    demand(claims.expires <= grant.expires_at, check, Code::GrantExceeded)
}

// 7

fn zone_policy<'a>(facts: &'a Facts, claims: &Claims, grants: &[&GrantFacts]) -> Step<&'a ZoneFacts> {
    let check = GateCheck::ZonePolicy;
    let Some(zone) = &facts.zone else { return deny(check, Code::ZoneUnknown) };
    demand(facts.principal_zone == facts.zone_id, check, Code::ZoneMismatch)?;
    let policy = &zone.policy;
    let connectors = policy.connectors.iter().any(|it| matches(it, facts.connector_id.as_str()));
    demand(connectors, check, Code::ZonePolicyDenied)?;
    let denied = policy.denied_operations.iter().any(|it| matches(it, facts.operation_id.as_str()));
    demand(!denied, check, Code::ZonePolicyDenied)?;
    let life = |from: UnixTime, end: UnixTime| end.as_secs().saturating_sub(from.as_secs());
    let token_life = life(claims.issued_at, claims.expires);
    demand(token_life <= policy.max_token_secs, check, Code::ZonePolicyDenied)?;
    for known in grants {
        let grant_life = life(known.grant.not_before, known.grant.expires_at);
        demand(grant_life <= policy.max_grant_secs, check, Code::ZonePolicyDenied)?;
    }
    if let Some(operation) = known_operation(facts) {
        demand(operation.tier != SafetyTier::Forbidden, check, Code::OperationForbidden)?;
        let fits = operation.risk <= policy.max_risk && operation.tier <= policy.max_tier;
        demand(fits, check, Code::RiskAboveCeiling)?;
    }
    Ok(zone)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

// 8

fn binding<'a>(facts: &'a Facts, claims: &Claims) -> Step<(&'a ConnectorFacts, &'a OperationFacts)> {
    let check = GateCheck::Binding;
    let Some(connector) = &facts.connector else { return deny(check, Code::ConnectorUnknown) };
    demand(connector.enabled, check, Code::ConnectorDisabled)?;
    demand(connector.zones.contains(&facts.zone_id), check, Code::ConnectorNotInZone)?;
    let Some(operation) = &connector.operation else { return deny(check, Code::OperationUnknown) };
    let carried = claims.grants.iter().any(|entry| {
        entry.capability == operation.capability
            && entry.operation.as_ref().is_none_or(|it| *it == facts.operation_id)
    });
    demand(carried, check, Code::CapabilityMissing)?;
    Ok((connector, operation))
}

// 9

fn idempotency(facts: &Facts, operation: &OperationFacts) -> Step {
    let check = GateCheck::Idempotency;
    let Some(key) = &facts.key else {
        let needed = operation.idempotency == Idempotency::Strict;
        return demand(!needed, check, Code::IdempotencyKeyRequired);
    };
    match &key.standing {
        KeyStanding::Fresh => Ok(()),
        KeyStanding::Completed(receipt) => Err(Verdict::Replay(*receipt)),
        KeyStanding::OtherCall => deny(check, Code::IdempotencyConflict),
        KeyStanding::InProgress => deny(check, Code::CallInProgress),
        KeyStanding::Unknown(_) => deny(check, Code::OutcomeUnknown),
        KeyStanding::NoRoom { retry_after_ms } => wait(check, Code::Exhausted, *retry_after_ms),
    }
}

// 11

fn constraints(claims: &Claims, input: &InputFacts, grants: &[&GrantFacts], now: u64) -> Step {
    let call = Use {
        resources: &input.resources,
        credentials: &input.credentials,
        input: &input.json,
        bytes: input.canonical.len() as u64,
        calls_before: grants.iter().map(|it| it.calls_used).max().unwrap_or(0),
        bytes_before: grants.iter().map(|it| it.bytes_used).max().unwrap_or(0),
        now,
    };
    if let Err(code) = bounds::permits(&claims.constraints, &call) {
        return deny(GateCheck::Constraints, code);
    }
    match &input.slot {
        SlotFacts::Filled => Ok(()),
        SlotFacts::Empty(_) => deny(GateCheck::Constraints, Code::CredentialMissing),
        SlotFacts::Several(_) => deny(GateCheck::Constraints, Code::Ambiguous),
        SlotFacts::NotAllowed(_) => deny(GateCheck::Constraints, Code::CredentialNotAllowed),
    }
}

// 14 and 15

fn lease(facts: &Facts, operation: &OperationFacts, now: u64) -> Step {
    match facts.lease {
        LeaseFacts::NotNeeded => Ok(()),
        LeaseFacts::Missing => deny(GateCheck::Lease, Code::LeaseRequired),
        LeaseFacts::Superseded => deny(GateCheck::Lease, Code::LeaseSuperseded),
        LeaseFacts::Held { expires_at, .. } => {
            let long_enough = expires_at.as_secs() > now.saturating_add(operation.timeout_secs);
            demand(long_enough, GateCheck::Lease, Code::LeaseExpired)
        }
    }
}

fn rates(facts: &Facts) -> Step {
    match &facts.rates {
        RateFacts::Room => Ok(()),
        RateFacts::Exhausted { .. } => deny(GateCheck::Rates, Code::Exhausted),
        RateFacts::Limited { retry_after_ms, .. } => {
            wait(GateCheck::Rates, Code::RateLimited, *retry_after_ms)
        }
        RateFacts::BudgetExceeded { .. } => deny(GateCheck::Rates, Code::BudgetExceeded),
    }
}
