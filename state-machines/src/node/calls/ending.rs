//! From outcome to receipt.

use alloc::boxed::Box;
use alloc::string::String;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::manifest::Runtime;
use fcp_proto_core::object::{
    AuditEventKind, Body, CallOutcome, ContextEntry, Effect, Header, KeptResult, Object, OperationReceipt,
    Usage,
};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::zone::{Label, Level, Taint};

use super::super::ledger::{self, Unit, Unstorable};
use super::super::{Answer, CallAnswer, Node, Outcome, Then};
use crate::call::gate::Authorized;
use crate::call::rates;
use crate::persist::Class;
use crate::trust::audit::Entry;

use super::{Call, Unsettled, unstorable};

impl Node {
    /// What became of a call.
    pub fn handle_outcome(&mut self, call_id: CallId, outcome: Outcome, now: Now) {
        let now = self.advance(now);
        // Only the first outcome counts: a call without a reservation has ended.
        let ongoing = |call: &Call| call.reservation.is_some();
        let Some(mut call) =
            self.calls.get(&call_id).is_some_and(ongoing).then(|| self.calls.remove(&call_id)).flatten()
        else {
            return;
        };
        let ended = Ended::new(outcome, &call, now);
        call.ended = Some((ended.outcome, ended.effect));
        if let Some(reservation) = call.reservation.take() {
            if ended.delivered {
                self.rates.settle(reservation, rate_usage(&ended.usage), now);
            } else {
                self.undo(&call, reservation, now);
            }
        }
        if let Err(error) = self.write_receipt(call_id, &call, &ended, now) {
            self.failed = true;
            self.answer(call.request, Err(unstorable(error)));
        }
        self.calls.insert(call_id, call);
        self.seal(now);
    }

    /// Gives back what a call took that provably was not delivered.
    pub(super) fn undo(&mut self, call: &Call, reservation: rates::Reservation, now: Now) {
        self.rates.refund(reservation, now);
        self.approvals.refund(&call.intent);
        for grant in call.authorized.grants() {
            if let Some(used) = self.grant_use.get_mut(grant) {
                used.calls = used.calls.saturating_sub(1);
            }
        }
    }

    //= docs/spec/calls.md#order
    fn write_receipt(
        &mut self,
        call_id: CallId,
        call: &Call,
        ended: &Ended,
        now: Now,
    ) -> Result<(), Unstorable> {
        let label = self.output_label(call, ended);
        // Whatever the caller is about to see joins its context first.
        let shown = ended.delivered && !(call.keep && ended.error.is_none());
        let joined = || self.join(call.principal(), call.authorized.zone(), &label, call.intent);
        let entry = shown.then(joined).flatten();
        let draft =
            Draft { call_id, call, ended, label: &label, shown, entry: entry.as_ref(), now: now.unix };
        let whole = self.receipt_unit(&draft, Class::Normal, ended.keeps_output(call))?;
        let bare = self.receipt_unit(&draft, Class::Reserved, false)?;
        if let Some(doubt) = call.doubt().filter(|doubt| doubt.says(ended).is_ok()) {
            self.is_settling(&doubt.intent);
        }
        for grant in call.authorized.grants() {
            if let Some(used) = self.grant_use.get_mut(grant) {
                used.add_bytes(&ended.usage);
            }
        }
        self.commit(whole.or_else(bare));
        Ok(())
    }

    /// The receipt with everything that becomes durable and follows with it.
    //= docs/spec/calls.md#the-room-for-a-receipt
    fn receipt_unit(&self, draft: &Draft<'_>, class: Class, keeps: bool) -> Result<Unit<Then>, Unstorable> {
        let Draft { call_id, call, ended, label, shown, entry, now } = *draft;
        let mut unit = Unit::new(class).releasing(RECEIPT_BYTES);
        let output = ended.output.as_ref().filter(|_| keeps);
        let kept = output.map(|it| self.keep_output(&mut unit, draft, it)).transpose()?;
        let receipt = self.store_receipt(&mut unit, draft, kept)?;
        if shown {
            unit.then(Then::Seen(call.principal().clone()));
        }
        if let Some(entry) = entry {
            let entry = ContextEntry { cause: receipt, ..entry.clone() };
            self.store_entry(&mut unit, call.zone(), entry, now)?;
        }
        self.audit_end(&mut unit, call_id, call, ended, receipt);
        let answer = CallAnswer {
            call_id,
            receipt,
            outcome: ended.outcome,
            effect: ended.effect,
            error: ended.error.clone(),
            output: ended.output.clone().filter(|_| !call.keep),
            kept,
            label: label.clone(),
            usage: ended.usage.clone(),
            retry_after_ms: ended.retry_after_ms,
        };
        unit.then(Then::Ended(call_id, receipt));
        let answer = match self.conclude(&mut unit, call, ended, receipt, now)? {
            Some(verdict) => Answer::Probed { call: answer, verdict },
            None => Answer::Called(answer),
        };
        unit.then(Then::Answer(call.request, Ok(Box::new(answer))));
        Ok(unit)
    }

    fn store_receipt(
        &self,
        unit: &mut Unit<Then>,
        draft: &Draft<'_>,
        kept: Option<ObjectId>,
    ) -> Result<ObjectId, Unstorable> {
        let Draft { call, ended, now, .. } = *draft;
        let message = ended.error.as_ref().map(|(_, message)| message.clone());
        let dropped = kept.is_none() && ended.keeps_output(call);
        let fields = OperationReceipt {
            call_id: draft.call_id,
            intent: call.intent,
            outcome: ended.outcome,
            delivered: ended.delivered,
            effect: ended.effect,
            error: ended.error.as_ref().map(|(code, _)| *code),
            message: message.or_else(|| dropped.then(|| NOT_KEPT.into())),
            output_digest: ended.output.as_ref().map(|output| hash::digest(output.as_bytes())),
            result: kept,
            output_label: draft.label.clone(),
            usage: ended.usage.clone(),
            executed_at: now,
            executed_by: self.node_id.clone(),
        };
        let header = ledger::own_header::<OperationReceipt>(call.zone(), now);
        let header = header.with_refs([call.intent]).with_refs(kept);
        unit.store(&ledger::sign(header, fields, &self.keys.signing)?, &self.keys)
    }

    /// What an operation's output is declared to be, in the zone of the call; nothing could be less trusted than what
    /// nobody declares.
    pub(super) fn declared_output(&self, authorized: &Authorized) -> Label {
        let zone = self.authority.zone(authorized.zone()).map(|(it, _)| it);
        let operation = self
            .catalog
            .get(authorized.connector())
            .and_then(|it| it.manifest.operation(authorized.operation()));
        let (Some(zone), Some(operation)) = (zone, operation) else {
            return Label {
                integrity: Level::NONE,
                confidentiality: Level::OWNER,
                taints: Taint::ALL.iter().copied().collect(),
            };
        };
        Label {
            integrity: operation.output.trust.level(zone.integrity),
            confidentiality: operation.output.confidentiality.level(zone.confidentiality),
            taints: operation.output.taints.clone(),
        }
    }

    /// The label of what came back: as its author is trusted and as secret as it is declared, and no better than what
    /// went in.
    //= docs/spec/labels.md#who-assigns-labels
    fn output_label(&self, call: &Call, ended: &Ended) -> Label {
        let input = call.authorized.input_label();
        if !ended.delivered || self.heard_nothing(&call.authorized, ended) {
            return input.clone();
        }
        call.declared.merge(input)
    }

    /// Whether the call failed before anything from outside came in. Only of the engine can that be known: it reads no
    /// files and keeps nothing of a call for the next. A package's own code can put into the error of a call that
    /// asked nobody what it heard in an earlier one.
    //= docs/spec/labels.md#who-assigns-labels
    fn heard_nothing(&self, authorized: &Authorized, ended: &Ended) -> bool {
        let installed = self.catalog.get(authorized.connector());
        let by_engine = installed.is_some_and(|it| it.manifest.connector.runtime == Runtime::Declarative);
        by_engine && ended.output.is_none() && ended.usage.bytes_received == 0 && ended.usage.requests == 0
    }

    fn keep_output(
        &self,
        unit: &mut Unit<Then>,
        draft: &Draft<'_>,
        output: &str,
    ) -> Result<ObjectId, Unstorable> {
        let Draft { call, label, now, .. } = *draft;
        let principal = call.principal().clone();
        let body = KeptResult {
            call_id: draft.call_id,
            principal: principal.clone(),
            intent: call.intent,
            output: ByteString(output.as_bytes().to_vec()),
        };
        let schema = &<KeptResult as Body>::SCHEMA;
        let header = Header::new(schema, call.zone(), now, label.clone(), Some(principal));
        unit.store(&Object { header: header.with_refs([call.intent]), body }, &self.keys)
    }

    fn audit_end(
        &self,
        unit: &mut Unit<Then>,
        call_id: CallId,
        call: &Call,
        ended: &Ended,
        receipt: ObjectId,
    ) {
        let kind = match ended.outcome {
            CallOutcome::Succeeded | CallOutcome::Failed => AuditEventKind::CallEnded,
            CallOutcome::Unknown => AuditEventKind::CallUnknown,
        };
        let entry = Entry {
            connector: Some(call.authorized.connector().clone()),
            operation: Some(call.authorized.operation().clone()),
            call_id: Some(call_id),
            token_id: Some(call.token_id),
            code: ended.error.as_ref().map(|(code, _)| *code),
            trace: call.trace.clone(),
            ..Entry::new(kind, call.principal().as_str()).about(receipt).saying(ended.effect.as_str())
        };
        unit.audit(call.authorized.zone(), entry);
    }

    /// The receipt is durable: what the idempotency key says from now on, and whether someone must settle the call. A call
    /// that failed without effect may be tried again under its key.
    //= docs/spec/calls.md#outcomes
    pub(in crate::node) fn end_call(&mut self, call_id: CallId, receipt: ObjectId, now: Now) {
        let Some(call) = self.calls.remove(&call_id) else { return };
        let Some((outcome, effect)) = call.ended else { return };
        if effect == Effect::Unknown {
            let unsettled = Unsettled {
                call_id,
                principal: call.principal().clone(),
                zone: call.authorized.zone().clone(),
                scope: call.scope.clone(),
                call_digest: *call.authorized.call_digest(),
                grants: call.grants().clone(),
                since: now.mono,
                settling: false,
            };
            self.unsettled.insert(call.intent, unsettled);
        }
        let Some(scope) = &call.scope else { return };
        let done = match (outcome, effect) {
            (CallOutcome::Unknown, _) | (_, Effect::Unknown) => {
                self.keys_used.mark_unknown(scope, call.intent)
            }
            (CallOutcome::Failed, Effect::None) => self.keys_used.release(scope, call.intent),
            (CallOutcome::Succeeded, _) | (CallOutcome::Failed, Effect::Made) => {
                self.keys_used.complete(scope, call.intent, receipt, now)
            }
        };
        self.failed |= done.is_err();
    }
}

/// What the receipt of a call is made from, in either of its forms.
#[derive(Clone, Copy)]
struct Draft<'a> {
    call_id: CallId,
    call: &'a Call,
    ended: &'a Ended,
    label: &'a Label,
    /// Whether the caller sees anything of it.
    shown: bool,
    /// What its context learns by that.
    entry: Option<&'a ContextEntry>,
    now: UnixTime,
}

/// A call's end.
pub(super) struct Ended {
    delivered: bool,
    pub(super) outcome: CallOutcome,
    effect: Effect,
    pub(super) error: Option<(Code, String)>,
    pub(super) output: Option<String>,
    usage: Usage,
    retry_after_ms: Option<u64>,
}

impl Ended {
    //= docs/spec/calls.md#outcomes
    fn new(outcome: Outcome, call: &Call, now: Now) -> Self {
        let error = |code, message| Some((code, bounded(message)));
        let elapsed = now.mono.saturating_since(call.began).as_millis();
        let timed = |usage: Usage| Usage { duration_ms: u64::try_from(elapsed).unwrap_or(u64::MAX), ..usage };
        let nothing = Usage { requests: 0, bytes_sent: 0, bytes_received: 0, duration_ms: 0 };
        let retry_after_ms = match &outcome {
            Outcome::Failed { effect: Effect::None, retry_after_ms, .. } => *retry_after_ms,
            // Nothing invites to repeat what had, or may have had, an effect.
            Outcome::Failed { .. }
            | Outcome::NotDelivered { .. }
            | Outcome::Succeeded { .. }
            | Outcome::Unknown { .. } => None,
        };
        let (delivered, outcome, effect, error, output, usage) = match outcome {
            Outcome::NotDelivered { code, message } => {
                (false, CallOutcome::Failed, Effect::None, error(code, message), None, nothing)
            }
            Outcome::Succeeded { output, effect, usage } => {
                (true, CallOutcome::Succeeded, effect, None, Some(output), usage)
            }
            //= docs/spec/stdio.md#effects
            // A failure that leaves the effect in doubt is an unknown outcome, whatever the connector calls it.
            Outcome::Failed { code, message, effect: Effect::Unknown, usage, .. }
            | Outcome::Unknown { code, message, usage } => {
                (true, CallOutcome::Unknown, Effect::Unknown, error(code, message), None, usage)
            }
            Outcome::Failed { code, message, effect, usage, .. } => {
                (true, CallOutcome::Failed, effect, error(code, message), None, usage)
            }
        };
        Self { delivered, outcome, effect, error, output, usage: timed(usage), retry_after_ms }
    }

    /// An output is kept if the caller wants it behind a handle, or may ask for it again by its key.
    const fn keeps_output(&self, call: &Call) -> bool {
        self.output.is_some() && (call.keep || call.scope.is_some())
    }
}

/// What a delivered call's usage counts in pools and budgets.
pub(in crate::node) fn rate_usage(usage: &Usage) -> rates::Usage {
    rates::Usage {
        requests: usage.requests.max(1),
        tokens: 0,
        bytes: usage.bytes_sent.saturating_add(usage.bytes_received),
        cost: 0,
    }
}

/// The part of a failure's message that a receipt holds.
fn bounded(mut message: String) -> String {
    let end = (0..=MAX_MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    if message.len() > end {
        message.truncate(end);
    }
    message
}

/// What a receipt says whose output found no room.
const NOT_KEPT: &str = "the output was not kept: the disk is full";

/// The longest message of a failure in a receipt. Chosen: what a connector may say, in characters of four bytes.
const MAX_MESSAGE_BYTES: usize = 4_096;

/// The space that an intent claims for its receipt. Chosen: twice the longest receipt without its output, with its
/// context entry, audit event, head and frame.
pub(super) const RECEIPT_BYTES: u64 = 32 * 1024;
