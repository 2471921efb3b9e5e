//! What a person says of a call of which nobody knows what it did.

use fcp_api::routes::SettleCall;
use fcp_api::types::{ErrorBody, Settle, Settled};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::{Effect, SettledBy};
use fcp_state_machines::node::{Answer, Request};

use super::denial::failed;
use super::mount::{Ask, Serve};
use super::sign::unexpected;
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
                Ok(Settled { call_id, intent_id: intent, settlement_id, effect })
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}
