//! The fifteen checks, one file each, and the proofs that bind them into one order.

mod approval;
mod binding;
mod constraints;
mod decode;
mod flow;
mod grants;
mod holder;
mod idempotency;
mod lease;
pub(super) mod prospect;
mod rates;
mod revocation;
mod schema;
pub(super) mod standing;
mod standing_approval;
mod token_binding;
mod token_signature;
mod zone_policy;

use alloc::collections::BTreeSet;
use core::ops::Deref;

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::ApprovalKind;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::zone::Label;

use super::authorized::{Authorized, Seal};
use super::denial::Denial;
use super::facts::{ConnectorFacts, Facts, InputFacts, IssuerFacts, OperationFacts, ZoneFacts};

/// How a walk through all checks ends well.
#[allow(clippy::large_enum_variant, reason = "it lives for one match")]
pub(super) enum Passed {
    /// A call to dispatch.
    Spend(Authorized),
    /// A call that was made before; its receipt.
    Replay(ObjectId),
}

/// Declares what each check establishes. A proof holds the proof before it and reads as it does.
macro_rules! proofs {
    ($($(#[$meta:meta])* $name:ident after $before:ident { $($field:ident : $type:ty),* $(,)? })+) => {
        $(
            $(#[$meta])*
            struct $name<'a> { before: $before<'a>, $($field: $type),* }

            impl<'a> Deref for $name<'a> {
                type Target = $before<'a>;

                fn deref(&self) -> &$before<'a> { &self.before }
            }
        )+
    };
}

/// The question: nothing is established yet.
struct Asked<'a> {
    facts: &'a Facts,
    now: UnixTime,
}

proofs! {
    /// 1
    Decoded after Asked { input: &'a InputFacts }
    /// 2
    Signed after Decoded { claims: &'a Claims, issuer: Option<&'a IssuerFacts> }
    /// 3
    Bound after Signed {}
    /// 4
    NotRevoked after Bound {}
    /// 5
    Held after NotRevoked {}
    /// 6
    Granted after Held {}
    /// 7
    Permitted after Granted { zone: &'a ZoneFacts }
    /// 8
    Installed after Permitted { connector: &'a ConnectorFacts, operation: &'a OperationFacts }
    /// 9
    Keyed after Installed {}
    /// 10
    Shaped after Keyed {}
    /// 11
    Constrained after Shaped {}
    /// 12
    Flowing after Constrained { input_label: Label, kinds: BTreeSet<ApprovalKind>, approvals: BTreeSet<ObjectId> }
    /// 13
    Approved after Flowing {
        kinds: BTreeSet<ApprovalKind>,
        approvals: BTreeSet<ObjectId>,
        standing_approval: Option<ObjectId>,
    }
    /// 14
    Leased after Approved { lease_seq: Option<u64> }
    /// 15
    Rated after Leased {}
}

/// Walks all checks in order; the first that refuses ends it.
pub(super) fn all(facts: &Facts, now: UnixTime) -> Result<Passed, Denial> {
    let installed = installed(facts, now)?;
    let keyed = match idempotency::check(installed)? {
        idempotency::Key::New(keyed) => keyed,
        idempotency::Key::Spent(receipt) => return Ok(Passed::Replay(receipt)),
    };
    let constrained = constraints::check(schema::check(keyed)?)?;
    let approved = approval::check(flow::check(constrained)?)?;
    let rated = rates::check(lease::check(approved)?)?;
    Ok(Passed::Spend(authorize(rated)))
}

/// Checks 1 to 8: who asks for what, and whether it exists for him.
fn installed(facts: &Facts, now: UnixTime) -> Result<Installed<'_>, Denial> {
    let signed = token_signature::check(decode::check(Asked { facts, now })?)?;
    let held = holder::check(revocation::check(token_binding::check(signed)?)?)?;
    binding::check(zone_policy::check(grants::check(held)?)?)
}

/// What a person would have to approve, whatever has been approved already.
pub(super) fn approvals_needed(facts: &Facts) -> BTreeSet<ApprovalKind> {
    let (Some(zone), Some(operation)) =
        (&facts.zone, facts.connector.as_ref().and_then(|connector| connector.operation.as_ref()))
    else {
        return BTreeSet::new();
    };
    let mut needed = flow::violations(facts, zone, operation).kinds();
    needed.extend(approval::needed(zone, operation).then_some(ApprovalKind::Execution));
    needed
}

/// Checks 1 to 8 by themselves.
pub(super) fn token_stands(facts: &Facts, now: UnixTime) -> Result<(), Denial> {
    installed(facts, now).map(drop)
}

/// Whether a token lets a call through as far as the token alone decides.
pub(super) fn token_covers(facts: &Facts, now: UnixTime) -> Result<(), Denial> {
    constraints::covered(&installed(facts, now)?)
}

/// The merged label of all inputs.
pub(super) fn input_label(facts: &Facts) -> Label {
    flow::merged(&facts.flow)
}

/// The only place where [`Authorized`] is made.
fn authorize(rated: Rated<'_>) -> Authorized {
    let (facts, input) = (rated.facts, rated.input);
    let approvals = &rated.before.before.approvals;
    let spent = facts.approvals.iter().filter(|approval| approvals.contains(&approval.id));
    Authorized {
        zone: facts.zone_id.clone(),
        principal: facts.principal.clone(),
        connector: facts.connector_id.clone(),
        operation: facts.operation_id.clone(),
        input: input.canonical.clone(),
        call_digest: input.call_digest,
        resources: input.resources.iter().map(|it| it.as_str().into()).collect(),
        credentials: input.credentials.clone(),
        idempotency_key: facts.key.as_ref().map(|key| key.text.clone()),
        interface_hash: rated.connector.interface_hash,
        code_digest: rated.connector.code_digest,
        grants: rated.claims.grant_object_ids.iter().copied().collect(),
        approvals: approvals.clone(),
        standing_approval: rated.standing_approval,
        kinds: rated.before.before.kinds.clone(),
        input_label: rated.input_label.clone(),
        lease_seq: rated.lease_seq,
        seal: Seal {
            revocation_seq: facts.revocation.head_seq,
            checked_at: rated.now,
            token_id: rated.claims.token_id,
            token_secs: rated.claims.expires.saturating_since(rated.claims.issued_at),
            token_ends: rated
                .issuer
                .map_or(rated.claims.expires, |it| it.expires_at.min(rated.claims.expires)),
            constraints_end: rated.claims.constraints.expires,
            approvals_end: spent.map(|approval| approval.expires_at).min(),
            levels: (rated.zone.integrity, rated.zone.confidentiality),
        },
    }
}
