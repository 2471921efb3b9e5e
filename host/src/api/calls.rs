//! Making a call, trying one out, asking whether one could be made.

use fcp_api::routes::{InvokeOperation, PreflightOperation, SimulateCall};
use fcp_api::types::{
    CallOptions, CallRequest, CheckResult, CheckStatus, ErrorBody, InvokeAnswer, Need, SimulateAnswer,
    UsageView,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{AnyObject, CallOutcome, GateCheck, OperationReceipt, Usage};
use fcp_state_machines::node::{self, Answer, CallAnswer, Refusal, Request};
use serde_json::{Value, json};

use super::access::Agent;
use super::denial::{self, Asked};
use super::inputs;
use super::mount::{Ask, Serve};
use super::sign::unexpected;
use crate::daemon::App;

/// A caller outside a session is not served by this release.
fn within_a_session(proof: Option<&fcp_api::types::HolderProof>) -> Result<(), ErrorBody> {
    match proof {
        None => Ok(()),
        Some(_) => Err(ErrorBody::new(Code::InputInvalid)
            .because("`holder_proof` is not taken together with a session")
            .next("leave `holder_proof` out: the session proves the holder")),
    }
}

impl Serve for InvokeOperation {
    async fn serve(ask: Ask<Self>) -> Result<InvokeAnswer, ErrorBody> {
        within_a_session(ask.body.holder_proof.as_ref())?;
        let Ask { app, body, caller, peer, trace, .. } = ask;
        let agent = caller.as_agent()?;
        let keep = body.options.keep_result;
        let wanted = body.call.clone();
        let mut call = inputs::call(&app, agent, &peer, body.call, body.options, trace).await?;
        within_limits(&app, &mut call).await?;
        let asked = asked(&call, agent, Some(wanted));
        let binding = call.binding;
        match app.ask(Request::Invoke(call)).await {
            Ok(Answer::Called(answer)) => called(&app, answer),
            Ok(Answer::Replayed { receipt }) => replayed(&app, agent, binding, receipt, keep).await,
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(app.query(move |node, _| denial::refused(node, &failure, &asked)).await?),
        }
    }
}

/// Holds a call to the settings: how many may be under way, and how long one may take.
async fn within_limits(app: &App, call: &mut node::CallRequest) -> Result<(), ErrorBody> {
    let limits = app.config().limits.clone();
    let under_way = app.query(|node, _| node.calls_under_way().count() as u64).await?;
    if under_way >= limits.calls {
        return Err(ErrorBody::new(Code::Exhausted).because("as many calls are under way as limits.calls"));
    }
    let most = limits.call_secs.saturating_mul(1000);
    call.deadline_ms = Some(call.deadline_ms.map_or(most, |wished| wished.min(most)));
    Ok(())
}

fn asked(call: &node::CallRequest, agent: &Agent, wanted: Option<CallRequest>) -> Asked {
    Asked {
        agent: agent.principal.clone(),
        zone: call.zone.clone().unwrap_or_else(|| agent.zone.clone()),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        call: wanted,
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

fn called(app: &App, answer: CallAnswer) -> Result<InvokeAnswer, ErrorBody> {
    let intent = app.records().call(&answer.call_id).and_then(|call| call.intent);
    let intent = intent.ok_or_else(|| super::status::broken("a call that ended has no intent"))?;
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
        CallOutcome::Failed => Err(ended(&answer, None)),
        CallOutcome::Unknown => Err(ended(&answer, Some(Code::OutcomeUnknown))),
    }
}

/// A call that did not succeed: why, what it did, and where that is written.
fn ended(answer: &CallAnswer, code: Option<Code>) -> ErrorBody {
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
    body.detail = Some(Box::new(detail));
    body
}

/// A call that was made before under its key: its receipt, and its output, which joins the caller's context again.
async fn replayed(
    app: &App,
    agent: &Agent,
    binding: [u8; 32],
    receipt_id: ObjectId,
    keep: bool,
) -> Result<InvokeAnswer, ErrorBody> {
    let AnyObject::OperationReceipt(object) = app.load(receipt_id).await? else {
        return Err(super::status::broken("a repeated call's receipt is none"));
    };
    let receipt: OperationReceipt = object.body.fields;
    if receipt.outcome != CallOutcome::Succeeded {
        let answer = CallAnswer {
            call_id: receipt.call_id,
            receipt: receipt_id,
            outcome: receipt.outcome,
            effect: receipt.effect,
            error: receipt.error.zip(receipt.message),
            output: None,
            kept: receipt.result,
            label: receipt.output_label,
            usage: receipt.usage,
        };
        return called(app, answer);
    }
    let output = match receipt.result.filter(|_| !keep) {
        None => None,
        Some(result) => Some(super::results::read(app, agent, binding, result).await?.1),
    };
    Ok(InvokeAnswer {
        call_id: receipt.call_id,
        receipt_id,
        decision_id: receipt.intent,
        output,
        handle: receipt.result,
        label: receipt.output_label,
        effect: receipt.effect,
        usage: usage(&receipt.usage),
        replayed: true,
    })
}

/// What the gate would say.
struct Simulated {
    refused: Option<Refusal>,
    replay: Option<ObjectId>,
    approvals: Vec<fcp_proto_core::object::ApprovalKind>,
    asked: Asked,
}

//= docs/spec/api.md#calls
async fn simulate(
    app: &App,
    call: node::CallRequest,
    agent: &Agent,
    wanted: Option<CallRequest>,
) -> Result<Simulated, ErrorBody> {
    let asked = asked(&call, agent, wanted);
    match app.ask(Request::Simulate(call)).await {
        Ok(Answer::Simulated { refused, replay, approvals }) => {
            Ok(Simulated { refused, replay, approvals, asked })
        }
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => Err(app.query(move |node, _| denial::refused(node, &failure, &asked)).await?),
    }
}

impl Serve for SimulateCall {
    async fn serve(ask: Ask<Self>) -> Result<SimulateAnswer, ErrorBody> {
        within_a_session(ask.body.holder_proof.as_ref())?;
        let Ask { app, body, caller, peer, trace, .. } = ask;
        let agent = caller.as_agent()?;
        let wanted = body.call.clone();
        let call = inputs::call(&app, agent, &peer, body.call, body.options, trace).await?;
        let simulated = simulate(&app, call, agent, Some(wanted)).await?;
        let checks = checks(simulated.refused.as_ref(), simulated.replay.is_some(), false);
        answer(&app, simulated, checks).await
    }
}

impl Serve for PreflightOperation {
    async fn serve(ask: Ask<Self>) -> Result<SimulateAnswer, ErrorBody> {
        within_a_session(ask.body.holder_proof.as_ref())?;
        let Ask { app, body, caller, peer, trace, .. } = ask;
        let agent = caller.as_agent()?;
        let call = CallRequest {
            connector: body.connector,
            operation: body.operation,
            input: Value::Object(serde_json::Map::new()),
            handles: std::collections::BTreeMap::new(),
            zone: body.zone,
            idempotency_key: None,
        };
        let call = inputs::call(&app, agent, &peer, call, CallOptions::default(), trace).await?;
        let mut simulated = simulate(&app, call, agent, None).await?;
        // From here on a verdict would speak of the empty input, which nobody asked about.
        simulated.refused = simulated.refused.filter(|refusal| refusal.check < GateCheck::Idempotency);
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
    let Simulated { refused, approvals, asked, .. } = simulated;
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
        None if kinds.is_empty() => Vec::new(),
        None => vec![Need::Approval { kinds }],
    };
    Ok(SimulateAnswer {
        allowed: code.is_none(),
        code,
        denial,
        checks,
        needs,
        call_digest: None,
        input_label: None,
    })
}
