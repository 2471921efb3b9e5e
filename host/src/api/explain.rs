//! Why something is as it is, and what would permit it.

use fcp_api::routes::Explain;
use fcp_api::types::{AuditEventView, Denial, ErrorBody, ExplainedKind, Explanation};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId, PrincipalId};
use fcp_proto_core::object::{AnyObject, DecisionReceipt, GateCheck, Grantee};
use fcp_state_machines::node::Refusal;
use serde_json::{Value, json};

use super::denial::{self, Asked};
use super::mount::{Ask, Serve};
use crate::daemon::{App, CallEntry};

/// What an object says, before its events are added.
struct Story {
    kind: ExplainedKind,
    told: Vec<String>,
    code: Option<Code>,
    denial: Option<Denial>,
    evidence: Vec<ObjectId>,
    object: Value,
    call: Option<CallId>,
    owner: Option<PrincipalId>,
}

impl Serve for Explain {
    async fn serve(ask: Ask<Self>) -> Result<Explanation, ErrorBody> {
        let text = ask.path.first().cloned().unwrap_or_default();
        let app = &ask.app;
        let (story, subject) = match (text.parse::<ObjectId>(), text.parse::<CallId>()) {
            (Ok(id), _) => (object(app, id).await?, Some(id)),
            (Err(_), Ok(id)) => (call(app, id).await?, None),
            (Err(_), Err(_)) => {
                let why = "an identifier is 64 hexadecimal digits, or 32 for a call";
                return Err(ErrorBody::new(Code::InvalidName).because(why));
            }
        };
        // An agent learns of its own only; whether anything else exists is not its business.
        if let Some(own) = ask.caller.only()
            && story.owner.as_ref() != Some(own)
        {
            return Err(ErrorBody::new(Code::NotFound).because(format!("there is nothing called {text}")));
        }
        let ids = app.records().events_about(story.call.as_ref(), subject.as_ref());
        let mut events: Vec<AuditEventView> = Vec::with_capacity(ids.len());
        for id in ids {
            events.push(super::audit::event(app, id).await?);
        }
        let needs = story.denial.as_ref().map(|denial| denial.needs.clone()).unwrap_or_default();
        let command = story.denial.as_ref().and_then(|denial| denial.command.clone());
        Ok(Explanation {
            id: text,
            kind: story.kind,
            story: story.told,
            next: command.or_else(|| story.code.map(|code| code.next_step().to_owned())),
            code: story.code,
            denial: story.denial,
            needs,
            evidence: story.evidence,
            events,
            object: story.object,
        })
    }
}

async fn call(app: &App, id: CallId) -> Result<Story, ErrorBody> {
    let entry = app.records().call(&id).cloned();
    let entry =
        entry.ok_or_else(|| ErrorBody::new(Code::NotFound).because(format!("there is no call {id}")))?;
    let of_call = |mut story: Story| {
        story.kind = ExplainedKind::Call;
        story
    };
    match entry.refusal.or(entry.receipt) {
        Some(record) => object(app, record).await.map(of_call),
        None => Ok(running(entry)),
    }
}

/// A call without an end: it runs, or the daemon ended before it did.
fn running(entry: CallEntry) -> Story {
    let told = vec![
        asked_for(&entry),
        format!(
            "It was admitted at {} and has no receipt: it runs, or nobody knows what it did.",
            entry.started_at
        ),
    ];
    Story {
        kind: ExplainedKind::Call,
        told,
        code: None,
        denial: None,
        evidence: entry.intent.into_iter().chain(entry.record).collect(),
        object: json!({ "call_id": entry.call_id, "intent_id": entry.intent }),
        call: Some(entry.call_id),
        owner: Some(entry.principal),
    }
}

fn asked_for(entry: &CallEntry) -> String {
    format!("{} asked for {} in {}.", entry.principal, entry.operation, entry.zone)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "every other object is shown as what it is")]
async fn object(app: &App, id: ObjectId) -> Result<Story, ErrorBody> {
    let object = app.load(id).await?;
    match &object {
        AnyObject::DecisionReceipt(it) => {
            let zone = it.header.zone_id.clone();
            refusal(app, id, zone, &it.body.fields).await
        }
        AnyObject::OperationReceipt(_) => receipt(app, id).await,
        AnyObject::ApprovalRequest(_) => approval(app, id).await,
        AnyObject::ApprovalToken(it) => approval(app, it.body.fields.approval_request).await,
        AnyObject::Grant(it) => grant(app, id, &it.body.fields.grantee).await,
        AnyObject::Revocation(it) => {
            let fields = &it.body.fields;
            let told = format!(
                "{} of {} target(s) from {}: {}",
                fields.scope,
                fields.targets.len(),
                fields.effective_at,
                fields.reason
            );
            Ok(plain(ExplainedKind::Revocation, told, id, &object))
        }
        AnyObject::AuditEvent(it) => {
            let event = &it.body;
            let told = format!("{} was caused by {} at {}.", event.kind, event.actor, event.occurred_at);
            let mut story = plain(ExplainedKind::AuditEvent, told, id, &object);
            story.evidence.extend(event.subject);
            story.code = event.code;
            story.call = event.call_id;
            Ok(story)
        }
        other => {
            let told = format!("It is a record of the type {}.", other.header().schema);
            Ok(plain(ExplainedKind::Object, told, id, &object))
        }
    }
}

fn plain(kind: ExplainedKind, told: String, id: ObjectId, object: &AnyObject) -> Story {
    let header = object.header();
    Story {
        kind,
        told: vec![told],
        code: None,
        denial: None,
        evidence: header.refs.clone(),
        object: json!({
            "id": id,
            "schema": header.schema.to_string(),
            "zone": header.zone_id,
            "created_at": header.created_at,
            "refs": header.refs,
        }),
        call: None,
        owner: header.provenance.origin_principal.clone(),
    }
}

async fn refusal(
    app: &App,
    id: ObjectId,
    zone: fcp_proto_core::ids::ZoneId,
    decision: &DecisionReceipt,
) -> Result<Story, ErrorBody> {
    let check = decision.check.unwrap_or(GateCheck::Decode);
    let code = decision.code.unwrap_or(Code::Internal);
    let rule = decision.rule.clone().unwrap_or_default();
    let asked = Asked {
        agent: Some(decision.principal.clone()),
        zone: Some(zone.clone()),
        connector: decision.connector.clone(),
        operation: decision.operation.clone(),
        call: None,
    };
    let refusal = Refusal { check, code, rule: rule.clone(), retry_after_ms: None };
    let denial = app.query(move |node, _| denial::simulated(node, &refusal, &asked, &[])).await?;
    let told = vec![
        format!(
            "{} asked for {} in {zone} at {}.",
            decision.principal, decision.operation, decision.decided_at
        ),
        format!("The check `{check}` refused it: {} {rule}", code.meaning()),
        "Nothing was sent and nothing was spent.".into(),
    ];
    let view = super::receipts::view(app, id).await?;
    Ok(Story {
        kind: ExplainedKind::Decision,
        told,
        code: Some(code),
        denial: Some(Denial { decision_id: Some(id), ..denial }),
        evidence: decision.evidence.iter().copied().chain(decision.request).collect(),
        object: shown(&view)?,
        call: Some(decision.call_id),
        owner: Some(decision.principal.clone()),
    })
}

async fn receipt(app: &App, id: ObjectId) -> Result<Story, ErrorBody> {
    let view = super::receipts::view(app, id).await?;
    let fcp_api::types::ReceiptView::Operation {
        call_id,
        intent_id,
        agent,
        zone,
        operation,
        outcome,
        effect,
        code,
        message,
        executed_at,
        ..
    } = &view
    else {
        return Err(super::status::broken("a call's receipt is none"));
    };
    let mut told = vec![
        format!("{agent} asked for {operation} in {zone}, and the gate let it pass."),
        format!("It ended at {executed_at} as `{outcome}`; its effect outside is `{effect}`."),
    ];
    if let Some(code) = code {
        told.push(format!("{} {}", code.meaning(), message.as_deref().unwrap_or_default()));
    }
    Ok(Story {
        kind: ExplainedKind::Receipt,
        told,
        code: *code,
        denial: None,
        evidence: vec![*intent_id],
        call: Some(*call_id),
        owner: Some(agent.clone()),
        object: shown(&view)?,
    })
}

async fn approval(app: &App, id: ObjectId) -> Result<Story, ErrorBody> {
    let entry = app.records().approval(&id).cloned();
    let entry =
        entry.ok_or_else(|| ErrorBody::new(Code::NotFound).because(format!("there is no request {id}")))?;
    let view = super::approvals::view(app, &entry).await?;
    let told = vec![
        format!("{} asked for {} in {} at {}.", view.agent, view.operation, view.zone, view.requested_at),
        format!("Without a person it is refused: {}", view.missing.meaning()),
        format!(
            "The request is `{}` until {}.",
            shown(&view.status)?.as_str().unwrap_or_default(),
            view.expires_at
        ),
    ];
    Ok(Story {
        kind: ExplainedKind::Approval,
        told,
        code: None,
        denial: None,
        evidence: view.approval_id.into_iter().chain(view.grant_id).collect(),
        object: shown(&view)?,
        call: None,
        owner: Some(entry.principal),
    })
}

async fn grant(app: &App, id: ObjectId, grantee: &Grantee) -> Result<Story, ErrorBody> {
    let view = super::grants::view_of(app, id).await?;
    let (who, owner) = match grantee {
        Grantee::Principal(principal) => (principal.to_string(), Some(principal.clone())),
        Grantee::Role(role) => (format!("everyone with the role {role}"), None),
    };
    let told = vec![
        format!(
            "It gives {who} {} operation(s) of {} in {}.",
            view.operations.len(),
            view.connector,
            view.zone
        ),
        format!(
            "It is {}, and served {} call(s).",
            if view.live { "live" } else { "not live" },
            view.calls_used
        ),
    ];
    Ok(Story {
        kind: ExplainedKind::Grant,
        told,
        code: None,
        denial: None,
        evidence: view.request_id.into_iter().collect(),
        object: shown(&view)?,
        call: None,
        owner,
    })
}

fn shown<T: serde::Serialize>(value: &T) -> Result<Value, ErrorBody> {
    serde_json::to_value(value).map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))
}
