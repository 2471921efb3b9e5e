//! Receipts: the signed records of decisions and of calls' ends.

use fcp_api::routes::{GetReceipt, ListReceipts};
use fcp_api::types::{ErrorBody, ReceiptList, ReceiptView};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::{AnyObject, DecisionReceipt, Object, OperationIntent, OperationReceipt, Signed};

use super::access::absent;
use super::calls::usage;
use super::history::{cut, page};
use super::mount::{Ask, Serve};
use crate::daemon::App;

fn none(id: ObjectId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no receipt {id}"))
        .next("`fwc receipts list` lists the receipts")
}

fn ended(
    id: ObjectId,
    receipt: Object<Signed<OperationReceipt>>,
    intent: Object<Signed<OperationIntent>>,
) -> ReceiptView {
    let (fields, intended) = (receipt.body.fields, intent.body.fields);
    ReceiptView::Operation {
        receipt_id: id,
        call_id: fields.call_id,
        intent_id: fields.intent,
        call_digest: intended.call_digest,
        agent: intended.principal,
        zone: intent.header.zone_id,
        connector: intended.connector,
        operation: intended.operation,
        standing_approval: intended.standing_approval,
        outcome: fields.outcome,
        effect: fields.effect,
        code: fields.error,
        message: fields.message,
        output_digest: fields.output_digest,
        label: fields.output_label,
        usage: usage(&fields.usage),
        code_digest: intended.code_digest,
        executed_at: fields.executed_at,
        node: fields.executed_by,
        signed_by: receipt.body.signer,
    }
}

fn decided(id: ObjectId, decision: Object<Signed<DecisionReceipt>>) -> ReceiptView {
    let fields = decision.body.fields;
    ReceiptView::Decision {
        receipt_id: id,
        call_id: fields.call_id,
        agent: fields.principal,
        zone: decision.header.zone_id,
        connector: fields.connector,
        operation: fields.operation,
        verdict: fields.verdict,
        check: fields.check,
        code: fields.code,
        rule: fields.rule,
        evidence: fields.evidence,
        decided_at: fields.decided_at,
        node: fields.decided_by,
        signed_by: decision.body.signer,
    }
}

/// A receipt, read.
///
/// # Errors
/// [`Code::NotFound`], also for an object that is no receipt.
pub(super) async fn view(app: &App, id: ObjectId) -> Result<ReceiptView, ErrorBody> {
    let object = app.load(id).await.map_err(|error| absent(error, none(id)))?;
    if let AnyObject::DecisionReceipt(decision) = object {
        return Ok(decided(id, decision));
    }
    let AnyObject::OperationReceipt(receipt) = object else { return Err(none(id)) };
    let AnyObject::OperationIntent(intent) = app.load(receipt.body.fields.intent).await? else {
        return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{id} names no intent")));
    };
    Ok(ended(id, receipt, intent))
}

impl Serve for ListReceipts {
    async fn serve(ask: Ask<Self>) -> Result<ReceiptList, ErrorBody> {
        let (before, limit) = page(ask.query.after.as_deref(), ask.query.limit)?;
        ask.caller.names(&ask.app, ask.query.agent.as_ref(), None).await?;
        let (ids, next) = {
            let records = ask.app.records();
            let seen = |(_, (_, call)): &(u64, &(ObjectId, CallId))| {
                records.call(call).is_some_and(|call| {
                    ask.caller.sees(&call.principal)
                        && ask.query.agent.as_ref().is_none_or(|it| call.principal == *it)
                        && ask.query.connector.as_ref().is_none_or(|it| call.connector == *it)
                })
            };
            cut(records.receipts.newest(before).filter(seen), limit, |(id, _)| *id)
        };
        let mut receipts = Vec::with_capacity(ids.len());
        for id in ids {
            receipts.push(view(&ask.app, id).await?);
        }
        Ok(ReceiptList { receipts, next })
    }
}

impl Serve for GetReceipt {
    async fn serve(ask: Ask<Self>) -> Result<ReceiptView, ErrorBody> {
        let id: ObjectId = ask.path(0)?;
        let view = view(&ask.app, id).await?;
        let (ReceiptView::Operation { agent, .. } | ReceiptView::Decision { agent, .. }) = &view;
        if ask.caller.sees(agent) { Ok(view) } else { Err(none(id)) }
    }
}
