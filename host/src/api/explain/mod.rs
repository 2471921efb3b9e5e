//! Why something is as it is, and what would permit it.

mod consent;

use fcp_api::routes::Explain;
use fcp_api::types::{AuditEventView, Denial, ErrorBody, ExplainedKind, Explanation};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId, PrincipalId};
use fcp_proto_core::object::{AnyObject, DecisionReceipt, GateCheck};
use fcp_state_machines::node::{Node, Refusal};
use serde_json::{Value, json};

use super::access::absent;
use super::denial::{self, Asked};
use super::mount::{Ask, Serve};
use super::{settlements, withdrawn};
use crate::daemon::{App, ApprovalEntry, CallEntry};

/// What an object says, before its events are added.
struct Story {
    kind: ExplainedKind,
    told: Vec<String>,
    code: Option<Code>,
    /// What would permit it now, where that is more than the code's next step.
    next: Option<String>,
    denial: Option<Denial>,
    evidence: Vec<ObjectId>,
    object: Value,
    call: Option<CallId>,
    owner: Option<PrincipalId>,
}

impl Story {
    /// Adds a sentence, and the command that it leads to.
    fn take(&mut self, more: Option<(String, String)>) {
        if let Some((told, next)) = more {
            self.told.push(told);
            self.next = Some(next);
        }
    }
}

impl Serve for Explain {
    async fn serve(ask: Ask<Self>) -> Result<Explanation, ErrorBody> {
        let text = ask.path.first().cloned().unwrap_or_default();
        let app = &ask.app;
        let none = || ErrorBody::new(Code::NotFound).because(format!("there is nothing called {text}"));
        let (story, subject) = match (text.parse::<ObjectId>(), text.parse::<CallId>()) {
            (Ok(id), _) => (object(app, id).await, Some(id)),
            (Err(_), Ok(id)) => (call(app, id).await, None),
            (Err(_), Err(_)) => {
                let why = "an identifier is 64 hexadecimal digits, or 32 for a call";
                return Err(ErrorBody::new(Code::InvalidName).because(why));
            }
        };
        let story = story.map_err(|error| absent(error, none()))?;
        // An agent learns of its own only; whether anything else exists is not its business.
        if let Some(own) = ask.caller.only()
            && story.owner.as_ref() != Some(own)
            && !reads_grant(app, subject, own).await?
        {
            return Err(none());
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
            next: command.or(story.next).or_else(|| story.code.map(|code| code.next_step().to_owned())),
            code: story.code,
            denial: story.denial,
            needs,
            evidence: story.evidence,
            events,
            object: story.object,
        })
    }
}

/// Whether it is a grant that `own` may read: one that is made for it, by name or by role, or on which a call of it was
/// decided, whatever became of its role since.
async fn reads_grant(app: &App, subject: Option<ObjectId>, own: &PrincipalId) -> Result<bool, ErrorBody> {
    let Some(id) = subject else { return Ok(false) };
    let decided = app.records().decided_on.get(own).is_some_and(|grants| grants.contains(&id));
    let own = own.clone();
    let made_for = app.query(move |node, _| {
        let known = node.authority().grant_by_id(&id)?;
        Some(decided || node.authority().names(&known.grant.grantee, &own))
    });
    Ok(made_for.await?.unwrap_or(false))
}

async fn call(app: &App, id: CallId) -> Result<Story, ErrorBody> {
    let entry = app.records().call(&id).cloned();
    let entry = entry.ok_or_else(|| super::history::none(id))?;
    let of_call = |mut story: Story| {
        story.kind = ExplainedKind::Call;
        story
    };
    match entry.refusal.or(entry.receipt) {
        Some(record) => object(app, record).await.map(of_call),
        None => {
            let settling = match entry.intent {
                Some(intent) => {
                    settlements::told(app, intent, entry.connector.clone(), entry.operation.clone()).await?
                }
                None => None,
            };
            let mut story = running(entry);
            story.take(settling);
            Ok(story)
        }
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
        next: None,
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
        AnyObject::ApprovalRequest(_) => consent::approval(app, id).await,
        AnyObject::ApprovalToken(it) => consent::approval(app, it.body.fields.approval_request).await,
        AnyObject::Grant(it) => consent::grant(app, id, &it.body.fields.grantee).await,
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
        next: None,
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
    let mut told = vec![
        format!(
            "{} asked for {} in {zone} at {}.",
            decision.principal, decision.operation, decision.decided_at
        ),
        format!("The check `{check}` refused it: {}", with_rule(code, &rule)),
        "Nothing was sent and nothing was spent.".into(),
    ];
    let mut evidence: Vec<_> = decision.evidence.iter().copied().chain(decision.request).collect();
    let (ids, sentences): (Vec<_>, Vec<_>) = behind(app, check, decision).await?.into_iter().unzip();
    evidence.extend(ids);
    told.extend(sentences);
    let view = super::receipts::view(app, id).await?;
    Ok(Story {
        kind: ExplainedKind::Decision,
        told,
        code: Some(code),
        next: None,
        denial: Some(Denial { decision_id: Some(id), ..denial }),
        evidence,
        object: shown(&view)?,
        call: Some(decision.call_id),
        owner: Some(decision.principal.clone()),
    })
}

/// What the code means, and the rule if that says more.
fn with_rule(code: Code, rule: &str) -> String {
    if rule.is_empty() || rule == code.meaning() {
        code.meaning().into()
    } else {
        format!("{} {rule}", code.meaning())
    }
}

/// What is behind a refusal by grants or approvals: what revoked them, what used them.
async fn behind(
    app: &App,
    check: GateCheck,
    decision: &DecisionReceipt,
) -> Result<Vec<(ObjectId, String)>, ErrorBody> {
    if check != GateCheck::Approval {
        let grants: Vec<_> = decision.evidence.to_vec();
        let find = move |node: &Node| grants.iter().flat_map(|id| withdrawn::grant(node, id)).collect();
        return withdrawn::revoked(app, find).await;
    }
    let Some(request) = decision.request else { return Ok(Vec::new()) };
    let AnyObject::CallRecord(record) = app.load(request).await? else { return Ok(Vec::new()) };
    let digest = record.body.call_digest;
    let over = app.query(move |node, _| {
        node.approvals()
            .over(&digest)
            .map(|(id, known)| (*id, known.token.approval_request))
            .collect::<Vec<_>>()
    });
    let mut told = Vec::new();
    for (id, request) in over.await? {
        let entry = app.records().approval(&request).cloned();
        told.extend(entry.and_then(|entry| used_by(app, &entry)));
        told.extend(withdrawn::revoked(app, move |node| withdrawn::approval(node, &id)).await?);
    }
    Ok(told)
}

/// The call that used an approval.
fn used_by(app: &App, entry: &ApprovalEntry) -> Option<(ObjectId, String)> {
    let (approval, intent) = (entry.decision?.id, entry.spent_by?);
    let records = app.records();
    let call = records.calls.newest(None).find(|(_, call)| call.intent == Some(intent))?.1;
    let sentence = format!(
        "The call {} of {} used the approval {approval} at {}, by the intent {intent}.",
        call.call_id, call.principal, call.started_at
    );
    Some((intent, sentence))
}

/// Whether a call with this code ended because something that it rests on is revoked.
const fn is_withdrawal(code: Code) -> bool {
    matches!(
        code,
        Code::TokenRevoked
            | Code::GrantRevoked
            | Code::GrantIssuerInvalid
            | Code::ApprovalInvalid
            | Code::IssuerKeyRevoked
            | Code::ConnectorRevoked
    )
}

async fn receipt(app: &App, id: ObjectId) -> Result<Story, ErrorBody> {
    let view = super::receipts::view(app, id).await?;
    let fcp_api::types::ReceiptView::Operation {
        call_id,
        intent_id,
        agent,
        zone,
        connector,
        operation,
        standing_approval,
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
    let mut evidence = vec![*intent_id];
    if let Some(grant) = standing_approval {
        told.insert(
            1,
            format!("A person had agreed beforehand, by the standing approval of the grant {grant}."),
        );
        evidence.push(*grant);
    }
    if let Some(code) = code {
        told.push(with_rule(*code, message.as_deref().unwrap_or_default()));
    }
    if code.is_some_and(is_withdrawal)
        && let AnyObject::OperationIntent(intent) = app.load(*intent_id).await?
    {
        let find = move |node: &Node| withdrawn::of_call(node, &intent.body.fields);
        let (ids, sentences): (Vec<_>, Vec<_>) = withdrawn::revoked(app, find).await?.into_iter().unzip();
        evidence.extend(ids);
        told.extend(sentences);
    }
    let mut story = Story {
        kind: ExplainedKind::Receipt,
        told,
        code: *code,
        next: None,
        denial: None,
        evidence,
        call: Some(*call_id),
        owner: Some(agent.clone()),
        object: shown(&view)?,
    };
    story.take(settlements::told(app, *intent_id, connector.clone(), operation.clone()).await?);
    Ok(story)
}

fn shown<T: serde::Serialize>(value: &T) -> Result<Value, ErrorBody> {
    serde_json::to_value(value).map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))
}
