//! Calls that were made, newest first.

use std::collections::BTreeSet;

use fcp_api::limits::{DEFAULT_PAGE, MAX_PAGE};
use fcp_api::routes::{CancelCall, GetCall, ListCalls};
use fcp_api::types::{CallView, CancelAnswer, ErrorBody, History, HistoryQuery, Reached};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_state_machines::node::{Answer, Canceller, Request};

use super::access::{Caller, absent};
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::sign::unexpected;
use crate::daemon::CallEntry;

/// How much of a list is wanted at once.
///
/// # Errors
/// [`Code::OutOfRange`].
pub(super) fn limit(wanted: Option<u32>) -> Result<usize, ErrorBody> {
    let limit = wanted.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(
            ErrorBody::new(Code::OutOfRange).because(format!("`limit` is 1 to {MAX_PAGE}, not {limit}"))
        );
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Where a page begins, and how much of it is wanted.
///
/// # Errors
/// [`Code::OutOfRange`], or [`Code::InputInvalid`] for a mark that no answer gave.
pub(super) fn page(after: Option<&str>, wanted: Option<u32>) -> Result<(Option<u64>, usize), ErrorBody> {
    let limit = limit(wanted)?;
    let before = after.map(str::parse).transpose();
    let before =
        before.map_err(|_| ErrorBody::new(Code::InputInvalid).because("`after` is no mark of a page"))?;
    Ok((before, limit))
}

/// One page of what fits, and the mark of the next.
pub(super) fn cut<T, V>(
    mut items: impl Iterator<Item = (u64, T)>,
    limit: usize,
    view: impl Fn(T) -> V,
) -> (Vec<V>, Option<String>) {
    let mut shown = Vec::new();
    let mut last = None;
    for (number, item) in items.by_ref().take(limit) {
        shown.push(view(item));
        last = Some(number);
    }
    let more = items.next().is_some();
    (shown, last.filter(|_| more).map(|number| number.to_string()))
}

fn view(call: &CallEntry) -> CallView {
    CallView {
        call_id: call.call_id,
        agent: call.principal.clone(),
        zone: call.zone.clone(),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        decision_id: call.refusal.or(call.intent),
        receipt_id: call.receipt,
        outcome: call.outcome,
        effect: call.effect,
        code: call.code,
        started_at: call.started_at,
        ended_at: call.ended_at,
    }
}

fn fits(call: &CallEntry, wanted: &HistoryQuery) -> bool {
    wanted.agent.as_ref().is_none_or(|it| call.principal == *it)
        && wanted.connector.as_ref().is_none_or(|it| call.connector == *it)
        && wanted.operation.as_ref().is_none_or(|it| call.operation == *it)
        && wanted.zone.as_ref().is_none_or(|it| call.zone == *it)
        && wanted.outcome.is_none_or(|it| call.outcome == Some(it))
        && wanted.code.is_none_or(|it| call.code == Some(it))
        && wanted.since.is_none_or(|it| it <= call.started_at)
        && wanted.until.is_none_or(|it| call.started_at < it)
}

impl Serve for ListCalls {
    async fn serve(ask: Ask<Self>) -> Result<History, ErrorBody> {
        let (before, limit) = page(ask.query.after.as_deref(), ask.query.limit)?;
        ask.caller.names(&ask.app, ask.query.agent.as_ref(), ask.query.zone.as_ref()).await?;
        let open: BTreeSet<ObjectId> = ask.app.query(|node, _| node.unsettled().copied().collect()).await?;
        let settled = |call: &CallEntry| call.intent.is_none_or(|intent| !open.contains(&intent));
        let records = ask.app.records();
        let seen = |(_, call): &(u64, &CallEntry)| {
            ask.caller.sees(&call.principal)
                && fits(call, &ask.query)
                && ask.query.unsettled.is_none_or(|wanted| settled(call) != wanted)
        };
        let (calls, next) = cut(records.calls.newest(before).filter(seen), limit, view);
        Ok(History { calls, next })
    }
}

/// There is no such call, for this caller.
pub(super) fn none(id: CallId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no call {id}"))
        .next("`fwc history` lists the calls")
}

impl Serve for GetCall {
    async fn serve(ask: Ask<Self>) -> Result<CallView, ErrorBody> {
        let id: CallId = ask.path(0)?;
        let records = ask.app.records();
        let call = records.call(&id).filter(|call| ask.caller.sees(&call.principal));
        call.map(view).ok_or_else(|| none(id))
    }
}

impl Serve for CancelCall {
    async fn serve(ask: Ask<Self>) -> Result<CancelAnswer, ErrorBody> {
        let call_id: CallId = ask.path(0)?;
        let known =
            ask.app.records().call(&call_id).map(|call| (call.principal.clone(), call.ended_at.is_some()));
        if let Some((principal, ended)) = &known {
            if !ask.caller.sees(principal) {
                return Err(none(call_id));
            }
            if *ended {
                return Ok(CancelAnswer { call_id, reached: Reached::TooLate });
            }
        }
        let by = match &ask.caller {
            Caller::Agent(agent) => Canceller::Session(agent.session),
            Caller::Operator(operator) => Canceller::Operator(operator.operator.as_str().to_owned()),
            Caller::Anyone => return Err(none(call_id)),
        };
        let dispatched = ask.app.query(move |node, _| node.is_dispatched(&call_id)).await?;
        match ask.app.ask(Request::Cancel { call_id, by }).await {
            Ok(Answer::Done) if dispatched => Ok(CancelAnswer { call_id, reached: Reached::Connector }),
            Ok(Answer::Done) => Ok(CancelAnswer { call_id, reached: Reached::BeforeDispatch }),
            Ok(other) => Err(unexpected(&other)),
            // It ended between the question and the request.
            Err(failure) if failure.code == Code::NotFound && known.is_some() => {
                Ok(CancelAnswer { call_id, reached: Reached::TooLate })
            }
            Err(failure) => Err(absent(failed(&failure), none(call_id))),
        }
    }
}
