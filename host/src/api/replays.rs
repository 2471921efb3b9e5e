//! Calls that were made before under their key: what is stored of them is the answer, and joins the caller's context again.

use fcp_api::types::{ErrorBody, InvokeAnswer};
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{
    AnyObject, CallOutcome, Object, OperationIntent, OperationReceipt, Settlement, Signed, Usage,
};
use fcp_state_machines::node::CallAnswer;

use super::access::Calling;
use super::{calls, results};
use crate::daemon::App;

/// The answer that the stored receipt gives, or the settlement that stands for one.
///
/// # Errors
/// What the call failed with, if it did.
//= docs/spec/api.md#calls
pub(super) async fn answer(
    app: &App,
    calling: &Calling,
    id: ObjectId,
    keep: bool,
) -> Result<InvokeAnswer, ErrorBody> {
    let stored = app.load(id).await?;
    if let AnyObject::Settlement(object) = stored {
        return settled(app, id, &object).await;
    }
    let AnyObject::OperationReceipt(object) = stored else {
        return Err(super::status::broken("a repeated call's receipt is none"));
    };
    ended(app, calling, (id, object), keep).await
}

async fn ended(
    app: &App,
    calling: &Calling,
    (id, object): (ObjectId, Object<Signed<OperationReceipt>>),
    keep: bool,
) -> Result<InvokeAnswer, ErrorBody> {
    let (zone, receipt) = (object.header.zone_id, object.body.fields);
    if receipt.outcome != CallOutcome::Succeeded {
        // What the failure says came from outside as an output does. Outside a session nothing can join the context, and
        // so it is not told there.
        let message = match calling.session() {
            Some((agent, binding)) => {
                results::join(app, agent, *binding, id, zone, receipt.output_label.clone()).await?;
                receipt.message
            }
            None => receipt.error.map(|code| code.meaning().into()),
        };
        let answer = CallAnswer {
            call_id: receipt.call_id,
            receipt: id,
            outcome: receipt.outcome,
            effect: receipt.effect,
            error: receipt.error.zip(message),
            output: None,
            kept: receipt.result,
            label: receipt.output_label,
            usage: receipt.usage,
            // What was asked for then is over, or nobody knows when it began.
            retry_after_ms: None,
        };
        return calls::called(app, answer);
    }
    // A kept result is read in a session: outside one it stays behind its handle.
    let output = match (receipt.result.filter(|_| !keep), calling.session()) {
        (None, _) | (_, None) => None,
        (Some(result), Some((agent, binding))) => Some(results::read(app, agent, *binding, result).await?.1),
    };
    Ok(InvokeAnswer {
        call_id: receipt.call_id,
        receipt_id: id,
        decision_id: receipt.intent,
        output,
        handle: receipt.result,
        label: receipt.output_label,
        effect: receipt.effect,
        usage: calls::usage(&receipt.usage),
        replayed: true,
    })
}

/// A call whose outcome nobody knew until it was settled: it was made, and nothing came back that could be shown.
async fn settled(
    app: &App,
    id: ObjectId,
    object: &Object<Signed<Settlement>>,
) -> Result<InvokeAnswer, ErrorBody> {
    let settlement = &object.body.fields;
    let AnyObject::OperationIntent(intent) = app.load(settlement.intent).await? else {
        return Err(super::status::broken("a settlement is of no intent"));
    };
    let intent = intent.body.fields;
    // The outcome that was settled has a receipt of its own, unless the node died before it could be written.
    let receipt = app.records().call(&intent.call_id).and_then(|call| call.receipt);
    let mut used = Usage { requests: 0, bytes_sent: 0, bytes_received: 0, duration_ms: 0 };
    if let Some(receipt) = receipt
        && let AnyObject::OperationReceipt(object) = app.load(receipt).await?
    {
        used = object.body.fields.usage;
    }
    Ok(of_settlement(id, settlement, intent, &used))
}

fn of_settlement(
    id: ObjectId,
    settlement: &Settlement,
    intent: OperationIntent,
    used: &Usage,
) -> InvokeAnswer {
    InvokeAnswer {
        call_id: intent.call_id,
        receipt_id: id,
        decision_id: settlement.intent,
        output: None,
        handle: None,
        label: intent.input_label,
        effect: settlement.effect,
        usage: calls::usage(used),
        replayed: true,
    }
}

#[cfg(test)]
mod tests {
    use fcp_proto_core::ids::{CallId, Digest, TokenId};
    use fcp_proto_core::object::{Effect, SettledBy};
    use fcp_proto_core::time::UnixTime;
    use fcp_proto_core::zone::Label;

    use super::*;

    //= docs/spec/api.md#calls
    #[test]
    fn a_settlement_answers_as_a_call_that_was_made_and_shows_nothing() {
        let at = UnixTime::from_secs(1_800_000_000);
        let intent = OperationIntent {
            call_id: CallId::from_bytes([1; 16]),
            request: ObjectId::from_bytes([2; 32]),
            call_digest: Digest::from_bytes([3; 32]),
            principal: "ada".parse().unwrap(),
            connector: "notes".parse().unwrap(),
            operation: "notes.put".parse().unwrap(),
            token_id: TokenId::from_bytes([4; 16]),
            grants: [].into(),
            approvals: [].into(),
            standing_approval: None,
            idempotency_key: Some("k".into()),
            idempotency_expires_at: None,
            reservations: Vec::new(),
            input_label: Label::default(),
            revocation_seq: 0,
            interface_hash: Digest::from_bytes([5; 32]),
            code_digest: Digest::from_bytes([6; 32]),
            lease_seq: None,
            planned_at: at,
            planned_by: "node".parse().unwrap(),
        };
        let settlement = Settlement {
            intent: ObjectId::from_bytes([7; 32]),
            effect: Effect::Made,
            settled_by: SettledBy::Operator,
            note: None,
            settled_at: at,
        };
        let used = Usage { requests: 1, bytes_sent: 2, bytes_received: 3, duration_ms: 4 };
        let id = ObjectId::from_bytes([8; 32]);
        let answer = of_settlement(id, &settlement, intent, &used);
        assert_eq!((answer.receipt_id, answer.decision_id), (id, settlement.intent));
        assert_eq!((answer.effect, answer.replayed), (Effect::Made, true));
        assert_eq!((answer.output, answer.handle), (None, None));
    }
}
