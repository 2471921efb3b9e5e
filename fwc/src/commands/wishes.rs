//! Grants that agents ask for: filing, showing and deciding them. They stand in the list of `approvals`, for a person
//! decides them in one place.

use std::cmp::Reverse;

use fcp_api::client::Client;
use fcp_api::routes::{ApproveGrantRequest, DenyGrantRequest, FileGrantRequest, GetGrantRequest};
use fcp_api::types::{
    self, ApprovalList, ApprovalStatus, ApproveGrant, Deny, Nothing, Reply, WishedOperation,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::token::constraints::Constraints;
use serde_json::{Value, json};

use super::approvals::{ApproveArgs, Request, confirm};
use super::grant::shown;
use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, usage};

/// `fwc request --grant`.
///
/// # Errors
/// What is missing or malformed; what the daemon refuses.
pub(super) async fn file(
    args: &Request,
    constraints: Option<Constraints>,
    lifetime: Lifetime,
    context: &mut Context,
) -> Result<Outcome> {
    let call = &args.call;
    if call.input.is_given() || call.zone.is_some() || call.idempotency_key.is_some() {
        return Err(usage("--grant asks for leave to call an operation in your own zone; it takes no input"));
    }
    if args.token.token_file.is_some() {
        return Err(usage("--grant is asked for in a session; leave --token out"));
    }
    let constraints = constraints.ok_or_else(|| {
        Failure::new(Code::ConstraintsEmpty)
            .because("no bound was given, and a grant without bounds permits nothing")
            .next("say which resources: --allow PATTERN, or --allow '*' for everything")
    })?;
    let (connector, operation) = call.operation.resolve()?;
    let operations = std::iter::once(operation).chain(args.also.iter().cloned()).collect();
    let (lifetime_secs, note) = (lifetime.as_secs(), args.note.clone());
    let request = types::FileGrantRequest { connector, operations, constraints, lifetime_secs, note };
    let reply = context.as_agent().await?.send::<FileGrantRequest>(&[], &request).await?;
    let next = format!("fwc approvals show {}", reply.body.request_id);
    Ok(Answer::of(reply)?.next(next).into())
}

/// Shows a request, if it is one for a grant.
///
/// # Errors
/// `before`, if it is none of either kind.
pub(super) async fn show(client: &mut Client, id: &str, before: Failure) -> Result<Outcome> {
    let found = find(client, id, before).await?;
    let told = found.body.obstacle.map(|code| {
        format!(
            "nobody can grant it any more ({code}: {}); `fwc approvals deny {id}` answers it, and {} asks again",
            code.meaning(),
            found.body.agent
        )
    });
    Ok(told.into_iter().fold(Answer::of(found)?, Answer::note).into())
}

async fn find(client: &mut Client, id: &str, before: Failure) -> Result<Reply<types::GrantRequestView>> {
    if before.code != Code::NotFound {
        return Err(before);
    }
    client.get::<GetGrantRequest>(&[id], &Nothing {}).await
}

/// Makes the grant that is asked for, or a narrower one.
///
/// # Errors
/// `before`, if it is none of either kind; what the daemon refuses.
pub(super) async fn approve(
    client: &mut Client,
    id: &str,
    args: &ApproveArgs,
    before: Failure,
) -> Result<Outcome> {
    let asked = find(client, id, before).await?.body;
    if args.grant.is_some() || !args.kind.is_empty() || args.note.is_some() {
        return Err(usage("this asks for a grant: --for, --only and bounds make it narrower"));
    }
    if !args.yes {
        confirm(&asked, id, None)?;
    }
    let request = ApproveGrant {
        operations: Some(args.only.clone()).filter(|only| !only.is_empty()),
        constraints: args.constraints.read()?,
        lifetime_secs: args.lifetime.map(Lifetime::as_secs),
    };
    shown(client.send::<ApproveGrantRequest>(&[id], &request).await?)
}

/// Denies a request for a grant.
///
/// # Errors
/// `before`, if it is none of either kind; what the daemon refuses.
pub(super) async fn deny(client: &mut Client, id: &str, request: &Deny, before: Failure) -> Result<Outcome> {
    if before.code != Code::NotFound {
        return Err(before);
    }
    Ok(Answer::of(client.send::<DenyGrantRequest>(&[id], request).await?)?.into())
}

/// The highest tier of what is wished for. Of what no installed connector has, nothing is known.
fn tier(operations: &[WishedOperation]) -> Value {
    let tiers: Option<Vec<_>> = operations.iter().map(|wished| wished.tier).collect();
    tiers.map_or_else(|| json!("not installed"), |tiers| json!(tiers.into_iter().max()))
}

/// Requests of both kinds in one table: what waits first, the newest of it first.
///
/// # Errors
/// [`Code::Internal`] for an answer without a JSON form, which is a defect.
pub(super) fn table(reply: &Reply<ApprovalList>) -> Result<Answer> {
    let list = &reply.body;
    let calls = list.approvals.iter().map(|it| {
        let row = json!({
            "request_id": it.request_id, "for": "a call", "status": it.status, "agent": it.agent,
            "operations": it.operation, "tier": it.tier, "requested_at": it.requested_at,
        });
        ((it.status != ApprovalStatus::Pending, Reverse(it.requested_at)), row)
    });
    let grants = list.grant_requests.iter().map(|it| {
        let operations: Vec<_> = it.operations.iter().map(|wished| &wished.operation).collect();
        let row = json!({
            "request_id": it.request_id, "for": "a grant", "status": it.status, "agent": it.agent,
            "operations": operations, "tier": tier(&it.operations),
            "requested_at": it.requested_at,
        });
        ((it.status != ApprovalStatus::Pending, Reverse(it.requested_at)), row)
    });
    let mut rows: Vec<_> = calls.chain(grants).collect();
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let columns = [
        ("request_id", "REQUEST"),
        ("for", "FOR"),
        ("status", "STATUS"),
        ("agent", "AGENT"),
        ("operations", "OPERATIONS"),
        ("tier", "TIER"),
    ];
    let body = json!({ "requests": rows, "next": list.next });
    Ok(Answer::local(&body, reply.meta.source)?.table("requests", &columns))
}
