//! What a call did of which nobody knows it: a person says so, or the service is asked.

use fcp_api::routes::{ProbeCall, SettleCall};
use fcp_api::types::{ErrorBody, Settle, Settled};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, ObjectId, OperationId};
use fcp_proto_core::object::{AnyObject, Effect, OutcomeProbe};
use fcp_state_machines::node::{Answer, DoubtfulCall, Request, Verdict};

use super::denial::failed;
use super::mount::{Ask, Serve};
use super::sign::{signed, unexpected};
use crate::daemon::App;

/// The call and its intent, by the id of either, or of its receipt.
fn named(app: &App, text: &str) -> Result<(CallId, ObjectId), ErrorBody> {
    let records = app.records();
    let call = text.parse::<CallId>().ok().and_then(|id| records.call(&id));
    let call = call.or_else(|| {
        let id: ObjectId = text.parse().ok()?;
        let is_named = |(_, call): &(u64, &crate::daemon::CallEntry)| {
            call.intent == Some(id) || call.receipt == Some(id)
        };
        records.calls.newest(None).find(is_named).map(|(_, call)| call)
    });
    let found = call.and_then(|call| Some((call.call_id, call.intent?)));
    found.ok_or_else(|| {
        ErrorBody::new(Code::NotFound)
            .because(format!("{text:?} is no call that was made, and no intent or receipt of one"))
            .next("`fwc history --unknown` names the calls that wait")
    })
}

impl Serve for SettleCall {
    async fn serve(ask: Ask<Self>) -> Result<Settled, ErrorBody> {
        let text: String = ask.path(0)?;
        let Settle { happened, note } = ask.body;
        let operator = ask.caller.as_operator()?;
        if note.is_empty() || note.len() > 4096 {
            let why = "`note` says how it is known, in 1 to 4096 bytes";
            return Err(ErrorBody::new(Code::OutOfRange).because(why));
        }
        let (call_id, intent) = named(&ask.app, &text)?;
        let effect = if happened { Effect::Made } else { Effect::None };
        let request = Request::Settle {
            intent,
            effect,
            note: Some(note),
            actor: operator.operator.as_str().to_owned(),
        };
        match ask.app.ask(request).await {
            Ok(Answer::Admitted(settlement_id)) => {
                Ok(Settled { call_id, intent_id: intent, settlement_id, effect, probe_receipt_id: None })
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

/// The call in doubt, from the journal.
async fn doubtful(app: &App, intent: ObjectId) -> Result<DoubtfulCall, ErrorBody> {
    let broken =
        |id| ErrorBody::new(Code::StoreCorrupt).because(format!("{id} is another object than it was"));
    let AnyObject::OperationIntent(stored) = app.load(intent).await? else { return Err(broken(intent)) };
    let record = stored.body.fields.request;
    let AnyObject::CallRecord(record) = app.load(record).await? else { return Err(broken(record)) };
    Ok(DoubtfulCall { intent: stored, record })
}

impl Serve for ProbeCall {
    //= docs/spec/calls.md#probing
    async fn serve(ask: Ask<Self>) -> Result<Settled, ErrorBody> {
        let text: String = ask.path(0)?;
        let Ask { app, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let (call_id, intent) = named(&app, &text)?;
        let doubtful = Box::new(doubtful(&app, intent).await?);
        let fields = OutcomeProbe { operator: operator.operator.clone(), intent };
        let probe = Box::new(signed(&app, operator, &doubtful.intent.header.zone_id, fields).await?);
        let actor = operator.operator.as_str().to_owned();
        let by_hand = format!(
            "look at the service, then `fwc settle {intent} --happened --note TEXT`, or with --did-not"
        );
        match app.ask(Request::ProbeOutcome { probe, doubtful, actor }).await {
            Ok(Answer::Probed { call, verdict: Verdict::Settled { settlement, effect } }) => Ok(Settled {
                call_id,
                intent_id: intent,
                settlement_id: settlement,
                effect,
                probe_receipt_id: Some(call.receipt),
            }),
            Ok(Answer::Probed { call, verdict: Verdict::Unclear(why) }) => {
                Err(ErrorBody::new(Code::OutcomeUnknown)
                    .because(format!("{why}; the receipt {} tells of the read", call.receipt))
                    .next(by_hand))
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) if failure.code == Code::Conflict => {
                Err(failed(&failure).next("ask again in a second"))
            }
            Err(failure) => Err(failed(&failure).next(by_hand)),
        }
    }
}

/// What is told of a call that waits to be settled: the read that its connector declares to show what it did, and the
/// command that says so then.
//= docs/spec/calls.md#unknown-outcomes
pub(super) async fn told(
    app: &App,
    intent: ObjectId,
    connector: ConnectorId,
    operation: OperationId,
) -> Result<Option<(String, String)>, ErrorBody> {
    let asked = app.query(move |node, _| {
        node.unsettled().find(|it| **it == intent)?;
        let installed = node.catalog().get(&connector);
        let operation = installed.and_then(|it| it.manifest.operation(&operation));
        let by_hand = format!("fwc settle {intent} --happened --note TEXT");
        Some(match operation.and_then(|it| Some((it.probe.as_ref()?, it.settling.is_some()))) {
            Some((probe, true)) => {
                let told =
                    format!("{probe} is the read that shows what it did, and its answer can settle it.");
                (told, format!("fwc settle {intent} --probe"))
            }
            Some((probe, false)) => (format!("{probe} is the read that shows what it did."), by_hand),
            None => {
                let told = "Its connector declares no read that shows what it did: look at the service.";
                (told.into(), by_hand)
            }
        })
    });
    asked.await
}
