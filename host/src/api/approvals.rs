//! Requests that wait for a person, and what the person decides.

use fcp_api::routes::{ApproveRequest, DenyRequest, FileRequest, GetApproval, ListApprovals};
use fcp_api::types::{
    ApprovalList, ApprovalView, Approve, Approved, CallOptions, Denied, ErrorBody, GrantRequestView,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId};
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalRequest, ApprovalToken, CallRecord, Object, Signed,
};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::node::{Answer, Request};

use super::access::Calling;
use super::beforehand::Given;
use super::denial;
use super::grant_requests;
use super::history::limit;
use super::inputs;
use super::mount::{Ask, Serve};
use super::sign::{admit, admit_together, signed, unexpected};
use super::waiting::{Place, check_void, stands, status};
use crate::daemon::{App, ApprovalEntry, AsksFor};

/// How long a request waits for a person, in seconds. Chosen: a day.
const WAITS_SECS: u64 = 86_400;

/// How long an approval can be used unless the person says otherwise, in seconds. Chosen: an hour.
const USABLE_SECS: u64 = 3_600;

pub(super) fn none(id: ObjectId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no request {id}"))
        .next("`fwc approvals list` lists the requests")
}

/// A request and the call that it asks for.
pub(super) type Filed = (Object<Signed<ApprovalRequest>>, Object<CallRecord>);

pub(super) async fn load(app: &App, id: ObjectId) -> Result<Filed, ErrorBody> {
    let AnyObject::ApprovalRequest(request) = app.load(id).await.map_err(|_| none(id))? else {
        return Err(none(id));
    };
    let AnyObject::CallRecord(call) = app.load(request.body.fields.request).await? else {
        return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{id} names no call")));
    };
    Ok((request, call))
}

/// The decision over a request, and who made it.
async fn decision(
    app: &App,
    entry: &ApprovalEntry,
) -> Result<Option<(ApprovalToken, Option<PrincipalId>)>, ErrorBody> {
    let Some(decided) = entry.decision else { return Ok(None) };
    let AnyObject::ApprovalToken(token) = app.load(decided.id).await? else {
        return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{} is no decision", decided.id)));
    };
    let signer = token.body.signer;
    let name =
        app.query(move |node, _| node.authority().operators().get(&signer).map(|it| it.operator.clone()));
    Ok(Some((token.body.fields, name.await?)))
}

/// A request with all its arguments in full.
///
/// # Errors
/// [`Code::NotFound`], or what of it cannot be read.
pub(super) async fn view(app: &App, entry: &ApprovalEntry) -> Result<ApprovalView, ErrorBody> {
    let (request, call) = load(app, entry.id).await?;
    let (decided, status) = (decision(app, entry).await?, stands(app, entry).await?);
    let label = call.header.provenance.label();
    let (asked, call) = (request.body.fields, call.body);
    let (connector, operation) = (call.connector.clone(), call.operation.clone());
    let about = app.query(move |node, _| {
        let operation = node.catalog().get(&connector)?.manifest.operation(&operation)?;
        Some((operation.description.clone(), operation.risk, operation.safety))
    });
    // A connector that is gone can no longer say what its operation did; then the worst is assumed.
    let gone = || {
        let (risk, tier) =
            (fcp_proto_core::zone::Risk::Critical, fcp_proto_core::zone::SafetyTier::Forbidden);
        ("the connector is no longer installed".to_owned(), risk, tier)
    };
    let (description, risk, tier) = about.await?.unwrap_or_else(gone);
    let input = serde_json::from_str(&call.input)
        .map_err(|error| ErrorBody::new(Code::StoreCorrupt).because(error.to_string()))?;
    let approved = entry.decision.filter(|it| it.decision == ApprovalDecision::Approve);
    Ok(ApprovalView {
        request_id: entry.id,
        status,
        agent: entry.principal.clone(),
        zone: entry.zone.clone(),
        connector: call.connector,
        operation: call.operation,
        description,
        risk,
        tier,
        input,
        resources: call.resources.into_iter().collect(),
        credentials: call.credentials.into_iter().collect(),
        idempotency_key: call.idempotency_key,
        call_digest: asked.call_digest,
        interface_hash: asked.interface_hash,
        code_digest: asked.code_digest,
        label_digest: asked.label_digest,
        input_label: label,
        kinds: asked.kinds.into_iter().collect(),
        missing: asked.missing,
        note: asked.note,
        requested_at: asked.requested_at,
        expires_at: approved.map_or(entry.expires_at, |it| it.expires_at),
        decided_at: decided.as_ref().map(|(token, _)| token.decided_at),
        decision_note: decided.as_ref().and_then(|(token, _)| token.note.clone()),
        decided_by: decided.and_then(|(_, name)| name),
        approval_id: approved.map(|it| it.id),
        grant_id: entry.grant,
    })
}

impl Serve for FileRequest {
    async fn serve(ask: Ask<Self>) -> Result<ApprovalView, ErrorBody> {
        let Ask { app, body, caller, peer, trace, now, .. } = ask;
        let calling = Calling::identify(&app, &caller, &peer, body.holder_proof, now).await?;
        if body.note.as_ref().is_some_and(|note| note.len() > 4096) {
            return Err(ErrorBody::new(Code::InputTooLarge).because("a note has at most 4096 bytes"));
        }
        let wanted = body.call.clone();
        let call = inputs::call(&app, &calling, body.call, CallOptions::default(), trace).await?;
        let asked = calling.asked(&call, Some(wanted));
        match app.ask(Request::FileApproval { call, note: body.note, valid_secs: WAITS_SECS }).await {
            Ok(Answer::Filed(filed)) => {
                let entry = entry(&app, filed.id)?;
                view(&app, &entry).await
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(app.query(move |node, _| denial::refused(node, &failure, &asked)).await?),
        }
    }
}

/// A request, as the index knows it.
///
/// # Errors
/// [`Code::NotFound`].
pub(super) fn entry(app: &App, id: ObjectId) -> Result<ApprovalEntry, ErrorBody> {
    app.records().approval(&id).cloned().ok_or_else(|| none(id))
}

/// Requests in full, each kind by itself.
///
/// # Errors
/// What of them cannot be read.
pub(super) async fn views(
    app: &App,
    entries: &[ApprovalEntry],
) -> Result<(Vec<ApprovalView>, Vec<GrantRequestView>), ErrorBody> {
    let (mut approvals, mut grants) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.asks_for {
            AsksFor::Approval => approvals.push(view(app, entry).await?),
            AsksFor::Grant => grants.push(grant_requests::view(app, entry).await?),
        }
    }
    Ok((approvals, grants))
}

impl Serve for ListApprovals {
    async fn serve(ask: Ask<Self>) -> Result<ApprovalList, ErrorBody> {
        let Ask { app, caller, query, now, .. } = ask;
        let (after, limit) = (query.after.as_deref().map(Place::read).transpose()?, limit(query.limit)?);
        caller.names(&app, query.agent.as_ref(), None).await?;
        let void = app.query(|node, now| node.void_requests(now.unix)).await?;
        let mut found: Vec<(Place, ApprovalEntry)> = {
            let records = app.records();
            let own = records.approvals.newest(None).filter(|(_, entry)| {
                caller.sees(&entry.principal) && query.agent.as_ref().is_none_or(|it| entry.principal == *it)
            });
            let placed = own.filter_map(|(number, entry)| {
                let status = status(entry, void.contains(&entry.id), now);
                let place = Place::of(number, entry, status);
                let wanted = query.status.is_none_or(|wanted| status == wanted) && after < Some(place);
                wanted.then(|| (place, entry.clone()))
            });
            placed.collect()
        };
        found.sort_by_key(|(place, _)| *place);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(place, _)| place.mark());
        let entries: Vec<_> = found.into_iter().map(|(_, entry)| entry).collect();
        let (approvals, grant_requests) = views(&app, &entries).await?;
        Ok(ApprovalList { approvals, grant_requests, next })
    }
}

impl Serve for GetApproval {
    async fn serve(ask: Ask<Self>) -> Result<ApprovalView, ErrorBody> {
        let id = ask.path(0)?;
        let entry = entry(&ask.app, id)?;
        if !ask.caller.sees(&entry.principal) {
            return Err(none(id));
        }
        view(&ask.app, &entry).await
    }
}

/// The decision that binds what `asked` names.
fn token(id: ObjectId, asked: &ApprovalRequest, decision: ApprovalDecision, now: UnixTime) -> ApprovalToken {
    ApprovalToken {
        approval_request: id,
        call_digest: asked.call_digest,
        interface_hash: asked.interface_hash,
        code_digest: asked.code_digest,
        label_digest: asked.label_digest,
        kinds: asked.kinds.clone(),
        decision,
        decided_at: now,
        expires_at: now.saturating_add(USABLE_SECS),
        note: None,
    }
}

impl Serve for ApproveRequest {
    async fn serve(ask: Ask<Self>) -> Result<Approved, ErrorBody> {
        let id = ask.path(0)?;
        let operator = ask.caller.as_operator()?;
        let (request, call) = load(&ask.app, id).await?;
        let (zone, asked) = (request.header.zone_id.clone(), request.body.fields);
        let Approve { call_digest, kinds, lifetime_secs, grant, note } = ask.body;
        if call_digest != asked.call_digest {
            let why = format!("the request is for the call {}, not {call_digest}", asked.call_digest);
            return Err(ErrorBody::new(Code::ApprovalMismatch).because(why));
        }
        check_void(&ask.app, id, &call.body.principal).await?;
        let mut token = token(id, &asked, ApprovalDecision::Approve, ask.now.unix);
        if let Some(kinds) = kinds {
            token.kinds = kinds.into_iter().collect();
        }
        if let Some(secs) = lifetime_secs {
            token.expires_at = ask.now.unix.saturating_add(secs);
        }
        token.note = note;
        let (expires_at, approved) = (token.expires_at, token.kinds.clone());
        // The approval and the grant that goes with it, or nothing.
        let mut objects = vec![signed(&ask.app, operator, &zone, token).await?.into()];
        let mut grant_expires_at = None;
        if let Some(standing) = grant {
            let agent = entry(&ask.app, id)?.principal;
            let given = Given { request: id, agent, asked: &asked, kinds: &approved, call: &call };
            let (grant, _) = given.grant(&ask.app, standing, ask.now).await?;
            grant_expires_at = Some(grant.expires_at);
            objects.push(signed(&ask.app, operator, &zone, grant).await?.into());
        }
        let ids = admit_together(&ask.app, operator.operator.as_str(), objects).await?;
        let (approval_id, grant_id) = match ids.as_slice() {
            [approval] => (*approval, None),
            [approval, grant] => (*approval, Some(*grant)),
            _ => return Err(super::status::broken("an approval was not taken as it was sent")),
        };
        Ok(Approved { request_id: id, approval_id, grant_id, grant_expires_at, expires_at })
    }
}

impl Serve for DenyRequest {
    async fn serve(ask: Ask<Self>) -> Result<Denied, ErrorBody> {
        let id = ask.path(0)?;
        let operator = ask.caller.as_operator()?;
        let (request, _) = load(&ask.app, id).await?;
        let mut token = token(id, &request.body.fields, ApprovalDecision::Deny, ask.now.unix);
        token.note = ask.body.note;
        let decision_id = admit(&ask.app, operator, &request.header.zone_id, token).await?;
        Ok(Denied { request_id: id, decision_id })
    }
}
