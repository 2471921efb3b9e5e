//! Making a call, trying one out, asking whether one could be made.

use fcp_api::routes::{InvokeOperation, PreflightOperation, SimulateCall};
use fcp_api::types::{
    CallOptions, CallRequest, CheckResult, CheckStatus, ErrorBody, InvokeAnswer, Need, SimulateAnswer,
    UsageView,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{CallOutcome, GateCheck, Usage};
use fcp_state_machines::node::{self, Answer, BoundCall, CallAnswer, Refusal, Request};
use serde_json::{Value, json};

use super::access::Calling;
use super::denial::{self, Asked};
use super::inputs;
use super::mount::{Ask, Serve};
use super::replays;
use super::sign::unexpected;
use crate::daemon::{App, CallEntry};

impl Serve for InvokeOperation {
    async fn serve(ask: Ask<Self>) -> Result<InvokeAnswer, ErrorBody> {
        let Ask { app, body, caller, peer, trace, now, .. } = ask;
        let calling = Calling::identify(&app, &caller, &peer, body.holder_proof, now).await?;
        let keep = body.options.keep_result;
        let wanted = body.call.clone();
        let call = inputs::call(&app, &calling, body.call, body.options, trace).await?;
        let asked = calling.asked(&call, Some(wanted));
        match app.ask(Request::Invoke(call)).await {
            Ok(Answer::Called(answer)) => called(&app, answer),
            Ok(Answer::Replayed { receipt }) => replays::answer(&app, &calling, receipt, keep).await,
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(app.query(move |node, _| denial::refused(node, &failure, &asked)).await?),
        }
    }
}

/// What a call used, as the contract shows it.
pub(super) fn usage(usage: &Usage) -> UsageView {
    UsageView {
        requests: usage.requests,
        bytes_sent: usage.bytes_sent,
        bytes_received: usage.bytes_received,
        duration_ms: usage.duration_ms,
    }
}

pub(super) fn called(app: &App, answer: CallAnswer) -> Result<InvokeAnswer, ErrorBody> {
    let record = app.records().call(&answer.call_id).and_then(|call| Some((call.intent?, made(call))));
    let (intent, asked) = record.ok_or_else(|| super::status::broken("a call that ended has no intent"))?;
    let output = answer.output.as_deref().map(serde_json::from_str).transpose();
    let output = output.map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
    match answer.outcome {
        CallOutcome::Succeeded => Ok(InvokeAnswer {
            call_id: answer.call_id,
            receipt_id: answer.receipt,
            decision_id: intent,
            output,
            handle: answer.kept,
            label: answer.label,
            effect: answer.effect,
            usage: usage(&answer.usage),
            replayed: false,
        }),
        CallOutcome::Failed => Err(ended(&answer, None, &asked)),
        CallOutcome::Unknown => Err(ended(&answer, Some(Code::OutcomeUnknown), &asked)),
    }
}

/// A call that was made, as the lists know it.
fn made(call: &CallEntry) -> Asked {
    Asked {
        agent: Some(call.principal.clone()),
        zone: Some(call.zone.clone()),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        call: None,
    }
}

/// A call that did not succeed: why, what it did, and where that is written.
fn ended(answer: &CallAnswer, code: Option<Code>, asked: &Asked) -> ErrorBody {
    let cause = answer.error.as_ref().map(|(cause, _)| *cause);
    let mut body = ErrorBody::new(code.or(cause).unwrap_or(Code::ConnectorFailed));
    if let Some((_, message)) = &answer.error {
        body = body.because(message.clone());
    }
    let detail = json!({
        "call_id": answer.call_id,
        "receipt_id": answer.receipt,
        "outcome": answer.outcome,
        "effect": answer.effect,
        "cause": cause,
        "handle": answer.kept,
    });
    body.retry_after_ms = answer.retry_after_ms;
    body.detail = Some(Box::new(detail));
    let next = denial::named(&body.next, asked).replace("ID", &answer.call_id.to_string());
    denial::with_reason(body, asked).next(next)
}

/// What the gate would say.
struct Simulated {
    refused: Option<Refusal>,
    replay: Option<ObjectId>,
    approvals: Vec<fcp_proto_core::object::ApprovalKind>,
    standing_approval: Option<ObjectId>,
    bound: Option<BoundCall>,
    asked: Asked,
}

//= docs/spec/api.md#calls
async fn simulate(
    app: &App,
    calling: &Calling,
    call: node::CallRequest,
    wanted: Option<CallRequest>,
) -> Result<Simulated, ErrorBody> {
    let asked = calling.asked(&call, wanted);
    match app.ask(Request::Simulate(call)).await {
        Ok(Answer::Simulated { refused, replay, approvals, standing_approval, bound }) => {
            Ok(Simulated { refused, replay, approvals, standing_approval, bound, asked })
        }
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => Err(app.query(move |node, _| denial::refused(node, &failure, &asked)).await?),
    }
}

impl Serve for SimulateCall {
    async fn serve(ask: Ask<Self>) -> Result<SimulateAnswer, ErrorBody> {
        let Ask { app, body, caller, peer, trace, now, .. } = ask;
        let calling = Calling::identify(&app, &caller, &peer, body.holder_proof, now).await?;
        let wanted = body.call.clone();
        let call = inputs::call(&app, &calling, body.call, body.options, trace).await?;
        let simulated = simulate(&app, &calling, call, Some(wanted)).await?;
        let checks = checks(simulated.refused.as_ref(), simulated.replay.is_some(), false);
        answer(&app, simulated, checks).await
    }
}

impl Serve for PreflightOperation {
    async fn serve(ask: Ask<Self>) -> Result<SimulateAnswer, ErrorBody> {
        let Ask { app, body, caller, peer, trace, now, .. } = ask;
        let calling = Calling::identify(&app, &caller, &peer, body.holder_proof, now).await?;
        let call = CallRequest {
            connector: body.connector,
            operation: body.operation,
            input: Value::Object(serde_json::Map::new()),
            handles: std::collections::BTreeMap::new(),
            zone: body.zone,
            credential: None,
            idempotency_key: None,
        };
        let call = inputs::call(&app, &calling, call, CallOptions::default(), trace).await?;
        let mut simulated = simulate(&app, &calling, call, None).await?;
        // From here on a verdict would speak of the empty input, which nobody asked about.
        simulated.refused = simulated.refused.filter(|refusal| refusal.check < GateCheck::Idempotency);
        simulated.bound = None;
        let checks = checks(simulated.refused.as_ref(), false, true);
        answer(&app, simulated, checks).await
    }
}

fn checks(refused: Option<&Refusal>, replay: bool, without_input: bool) -> Vec<CheckResult> {
    let status = |check: GateCheck| match refused {
        Some(refusal) if check == refusal.check => CheckStatus::Refused,
        Some(refusal) if check > refusal.check => CheckStatus::NotReached,
        Some(_) | None if replay && check > GateCheck::Idempotency => CheckStatus::NotReached,
        Some(_) | None if without_input && check >= GateCheck::Idempotency => CheckStatus::NeedsInput,
        Some(_) | None => CheckStatus::Passed,
    };
    let result = |check: &GateCheck| {
        let code = refused.filter(|refusal| refusal.check == *check).map(|refusal| refusal.code);
        CheckResult { check: *check, status: status(*check), code }
    };
    GateCheck::ALL.iter().map(result).collect()
}

async fn answer(
    app: &App,
    simulated: Simulated,
    checks: Vec<CheckResult>,
) -> Result<SimulateAnswer, ErrorBody> {
    let Simulated { refused, approvals, standing_approval, bound, asked, .. } = simulated;
    let (call_digest, input_label) = bound.map(|it| (it.call_digest, it.input_label)).unzip();
    let code = refused.as_ref().map(|refusal| refusal.code);
    let kinds = approvals.clone();
    let denial = match refused {
        None => None,
        Some(refusal) => {
            Some(app.query(move |node, _| denial::simulated(node, &refusal, &asked, &approvals)).await?)
        }
    };
    let needs = match &denial {
        Some(denial) => denial.needs.clone(),
        None if kinds.is_empty() || standing_approval.is_some() => Vec::new(),
        None => vec![Need::Approval { kinds }],
    };
    let allowed = code.is_none();
    Ok(SimulateAnswer { allowed, code, denial, checks, needs, standing_approval, call_digest, input_label })
}
