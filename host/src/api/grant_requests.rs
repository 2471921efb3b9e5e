//! Grants that agents ask for, and what the person decides.

use fcp_api::routes::{ApproveGrantRequest, DenyGrantRequest, FileGrantRequest, GetGrantRequest};
use fcp_api::types::{
    ApprovalStatus, ApproveGrant, Denied, ErrorBody, GrantRequestView, GrantView, WishedOperation,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId};
use fcp_proto_core::object::{AnyObject, Grant, GrantDenial, GrantRequest, Grantee, Object, Signed};
use fcp_state_machines::node::{Answer, Catalog, GrantWish, Request};

use super::approvals::{entry, none};
use super::denial::failed;
use super::grants::{capabilities, view_of};
use super::mount::{Ask, Serve};
use super::sign::{admit, unexpected};
use super::waiting::{check_void, stands};
use crate::daemon::{App, ApprovalEntry};

/// How long a request waits for a person, in seconds. Chosen: a day.
const WAITS_SECS: u64 = 86_400;

async fn load(app: &App, id: ObjectId) -> Result<Object<Signed<GrantRequest>>, ErrorBody> {
    let Ok(AnyObject::GrantRequest(request)) = app.load(id).await else { return Err(none(id)) };
    Ok(request)
}

/// What the person said who denied a request.
async fn denial_note(app: &App, id: ObjectId) -> Result<Option<String>, ErrorBody> {
    let AnyObject::GrantDenial(denial) = app.load(id).await? else {
        return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{id} is no denial")));
    };
    Ok(denial.body.fields.note)
}

/// A request in full, and whether anybody could still grant it.
///
/// # Errors
/// [`Code::NotFound`], or what of it cannot be read.
pub(super) async fn view(app: &App, entry: &ApprovalEntry) -> Result<GrantRequestView, ErrorBody> {
    let asked = load(app, entry.id).await?.body.fields;
    let decision_note = match (entry.grant, entry.decision) {
        (None, Some(denied)) => denial_note(app, denied.id).await?,
        (Some(_), _) | (None, None) => None,
    };
    let (filed, status) = (asked.clone(), stands(app, entry).await?);
    let looked = app.query(move |node, _| {
        let manifest = node.catalog().get(&filed.connector).map(|installed| &installed.manifest);
        let described = |operation: &OperationId| {
            let found = manifest.and_then(|manifest| manifest.operation(operation));
            WishedOperation {
                operation: operation.clone(),
                description: found.map(|found| found.description.clone()),
                tier: found.map(|found| found.safety),
            }
        };
        (filed.operations.iter().map(described).collect(), obstacle(node.catalog(), &filed))
    });
    let (operations, obstacle) = looked.await?;
    Ok(GrantRequestView {
        request_id: entry.id,
        status,
        agent: asked.principal,
        zone: entry.zone.clone(),
        connector: asked.connector,
        operations,
        constraints: asked.constraints,
        lifetime_secs: asked.lifetime_secs,
        note: asked.note,
        requested_at: asked.requested_at,
        expires_at: entry.expires_at,
        obstacle: obstacle.filter(|_| status == ApprovalStatus::Pending),
        grant_id: entry.grant,
        decision_note,
    })
}

/// Why a request that waits can be granted by nobody any more.
//= docs/spec/authority.md#asking-for-a-grant
fn obstacle(catalog: &Catalog, asked: &GrantRequest) -> Option<Code> {
    match catalog.get(&asked.connector) {
        None => Some(Code::ConnectorUnknown),
        Some(_) if catalog.is_as_filed(asked) => None,
        Some(_) => Some(Code::ConnectorChanged),
    }
}

impl Serve for FileGrantRequest {
    async fn serve(ask: Ask<Self>) -> Result<GrantRequestView, ErrorBody> {
        let Ask { app, body, caller, peer, .. } = ask;
        let agent = caller.as_agent()?;
        if body.note.as_ref().is_some_and(|note| note.len() > 4096) {
            return Err(ErrorBody::new(Code::InputTooLarge).because("a note has at most 4096 bytes"));
        }
        let wish = GrantWish {
            session: agent.session,
            binding: app.binding(peer.uid),
            connector: body.connector,
            operations: body.operations.into_iter().collect(),
            constraints: body.constraints,
            lifetime_secs: body.lifetime_secs,
            note: body.note,
            valid_secs: WAITS_SECS,
        };
        match app.ask(Request::FileGrantRequest(Box::new(wish))).await {
            Ok(Answer::Admitted(id)) => {
                let entry = entry(&app, id)?;
                view(&app, &entry).await
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

impl Serve for GetGrantRequest {
    async fn serve(ask: Ask<Self>) -> Result<GrantRequestView, ErrorBody> {
        let id = ask.path(0)?;
        let entry = entry(&ask.app, id)?;
        if !ask.caller.sees(&entry.principal) {
            return Err(none(id));
        }
        view(&ask.app, &entry).await
    }
}

impl Serve for ApproveGrantRequest {
    async fn serve(ask: Ask<Self>) -> Result<GrantView, ErrorBody> {
        let id = ask.path(0)?;
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let request = load(&app, id).await?;
        let (zone, asked) = (request.header.zone_id, request.body.fields);
        check_void(&app, id, &asked.principal).await?;
        let ApproveGrant { operations, constraints, lifetime_secs } = body;
        let operations = operations.unwrap_or_else(|| asked.operations.into_iter().collect());
        let grant = Grant {
            grantee: Grantee::Principal(asked.principal),
            capabilities: capabilities(&app, asked.connector.clone(), operations.clone()).await?,
            connector: asked.connector,
            operations: operations.into_iter().collect(),
            constraints: constraints.unwrap_or(asked.constraints),
            not_before: now.unix,
            expires_at: now.unix.saturating_add(lifetime_secs.unwrap_or(asked.lifetime_secs)),
            request: Some(id),
            standing_approval: None,
        };
        let grant = admit(&app, operator, &zone, grant).await?;
        view_of(&app, grant).await
    }
}

impl Serve for DenyGrantRequest {
    async fn serve(ask: Ask<Self>) -> Result<Denied, ErrorBody> {
        let id = ask.path(0)?;
        let operator = ask.caller.as_operator()?;
        let zone = load(&ask.app, id).await?.header.zone_id;
        let denial = GrantDenial { request: id, note: ask.body.note };
        let decision_id = admit(&ask.app, operator, &zone, denial).await?;
        Ok(Denied { request_id: id, decision_id })
    }
}
