//! What a person was asked, and what a person gave leave to.

use fcp_api::types::{ApprovalStatus, ErrorBody, ExplainedKind, StandingApprovalView, StandingScope};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::Grantee;

use super::{Story, shown, used_by};
use crate::api::denial::{self, Asked};
use crate::api::{approvals, grants, withdrawn};
use crate::daemon::App;

/// A request, and what became of it.
pub(super) async fn approval(app: &App, id: ObjectId) -> Result<Story, ErrorBody> {
    let entry = app.records().approval(&id).cloned();
    let entry = entry.ok_or_else(|| approvals::none(id))?;
    let view = approvals::view(app, &entry).await?;
    let status = shown(&view.status)?;
    let mut told = vec![
        format!("{} asked for {} in {} at {}.", view.agent, view.operation, view.zone, view.requested_at),
        format!("Without a person it is refused: {}", view.missing.meaning()),
        format!("The request is `{}` until {}.", status.as_str().unwrap_or_default(), view.expires_at),
    ];
    if let (Some(at), Some(who)) = (view.decided_at, &view.decided_by) {
        let note = view.decision_note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        told.push(format!("{who} decided it at {at}{note}."));
    }
    told.extend(
        app.query(move |node, now| node.why_void(&id, now.unix))
            .await?
            .filter(|_| view.status == ApprovalStatus::Void),
    );
    let mut evidence: Vec<_> = view.approval_id.into_iter().chain(view.grant_id).collect();
    let used = used_by(app, &entry);
    let revoked = match view.approval_id {
        Some(id) => withdrawn::revoked(app, move |node| withdrawn::approval(node, &id)).await?,
        None => Vec::new(),
    };
    let code = match view.status {
        _ if !revoked.is_empty() => Some(Code::ApprovalInvalid),
        ApprovalStatus::Used => Some(Code::ApprovalUsed),
        ApprovalStatus::Denied => Some(Code::ApprovalDenied),
        ApprovalStatus::Expired => Some(Code::ApprovalExpired),
        ApprovalStatus::Void => Some(Code::IssuerKeyRevoked),
        ApprovalStatus::Pending => Some(Code::ApprovalRequired),
        ApprovalStatus::Approved => None,
    };
    for (id, sentence) in used.into_iter().chain(revoked) {
        evidence.push(id);
        told.push(sentence);
    }
    let asked = Asked {
        agent: Some(view.agent.clone()),
        zone: Some(view.zone.clone()),
        connector: view.connector.clone(),
        operation: view.operation.clone(),
        call: None,
    };
    let next = code.map(|code| match view.status {
        ApprovalStatus::Pending => format!("fwc approvals approve {id}"),
        ApprovalStatus::Void => format!("fwc approvals deny {id}"),
        ApprovalStatus::Approved
        | ApprovalStatus::Denied
        | ApprovalStatus::Expired
        | ApprovalStatus::Used => denial::named(code.next_step(), &asked),
    });
    Ok(Story {
        kind: ExplainedKind::Approval,
        told,
        code,
        next,
        denial: None,
        evidence,
        object: shown(&view)?,
        call: None,
        owner: Some(entry.principal),
    })
}

/// A grant, and whether it is in force.
pub(super) async fn grant(app: &App, id: ObjectId, grantee: &Grantee) -> Result<Story, ErrorBody> {
    let view = grants::view_of(app, id).await?;
    let (who, owner) = match grantee {
        Grantee::Principal(principal) => (principal.to_string(), Some(principal.clone())),
        Grantee::Role(role) => (format!("everyone with the role {role}"), None),
    };
    let revoked = withdrawn::revoked(app, move |node| withdrawn::grant(node, &id)).await?;
    let now = app.now().unix;
    let code = match revoked.is_empty() {
        false => Some(Code::GrantRevoked),
        true if now < view.not_before || now >= view.expires_at => Some(Code::GrantExpired),
        true => None,
    };
    let standing = match code {
        None => "It is in force",
        Some(_) if revoked.is_empty() => "It is not in force at this time",
        Some(_) => "It is revoked",
    };
    let mut told = vec![
        format!(
            "It gives {who} {} operation(s) of {} in {}, from {} until {}.",
            view.operations.len(),
            view.connector,
            view.zone,
            view.not_before,
            view.expires_at
        ),
        format!("{standing}, and served {} call(s).", view.calls_used),
    ];
    told.extend(view.obstacle.as_ref().map(|it| format!("No call can be made on it now: {}.", it.why)));
    told.extend(view.standing_approval.as_ref().map(beforehand));
    let mut evidence: Vec<_> = view.request_id.into_iter().collect();
    for (revocation, sentence) in revoked {
        evidence.push(revocation);
        told.push(sentence);
    }
    let operation = view.operations.first().filter(|_| code.is_some());
    Ok(Story {
        kind: ExplainedKind::Grant,
        told,
        code,
        next: operation.map(|operation| format!("fwc request {operation} --grant 1h")),
        denial: None,
        evidence,
        object: shown(&view)?,
        call: None,
        owner,
    })
}

/// What a grant's standing approval spares its calls.
fn beforehand(given: &StandingApprovalView) -> String {
    let calls = match given.scope {
        StandingScope::Input => "calls with the very input that was approved",
        StandingScope::Bounds => "every call that its bounds permit",
    };
    match &given.obstacle {
        None => format!("Its standing approval spares {calls} an approval of their own."),
        Some(it) => {
            format!("Its standing approval was for {calls}, and spares none anything now: {}.", it.why)
        }
    }
}
