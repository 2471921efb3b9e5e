//! Calls that are cancelled, and outcomes that are settled.

use alloc::boxed::Box;
use alloc::string::ToString;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::{AuditEventKind, Effect, Settlement};
use fcp_proto_core::time::{Now, UnixTime};

use super::super::ledger::{self, Unit, Unstorable};
use super::super::{Answer, Canceller, Failure, Node, Output, RequestId, Then};
use crate::call::idempotency::{self};
use crate::persist::Class;
use crate::trust::audit::Entry;

use super::{Settling, Unsettled, unstorable};

impl Node {
    //= docs/spec/calls.md#cancellation
    pub(in crate::node) fn cancel(
        &mut self,
        request: RequestId,
        call_id: CallId,
        by: &Canceller,
    ) -> Result<(), Failure> {
        let unknown = || Failure::new(Code::NotFound, alloc::format!("no call {call_id} is under way"));
        let call = self.calls.get_mut(&call_id).ok_or_else(unknown)?;
        let actor = match by {
            Canceller::Operator(name) => name.clone(),
            Canceller::Session(session) => {
                let principal =
                    self.sessions.principal(*session).filter(|it| *it == call.authorized.principal());
                principal.ok_or_else(unknown)?.to_string()
            }
        };
        if core::mem::replace(&mut call.cancelled, true) {
            self.answer(request, Ok(Answer::Done));
            return Ok(());
        }
        let (zone, dispatched) = (call.authorized.zone().clone(), call.dispatched);
        if dispatched {
            self.outputs.push_back(Output::Cancel(call_id));
        }
        let mut unit = Unit::new(Class::Reserved);
        let entry = Entry { call_id: Some(call_id), ..Entry::new(AuditEventKind::CallCancelled, actor) };
        unit.audit(&zone, entry);
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        Ok(())
    }

    //= docs/spec/calls.md#unknown-outcomes
    pub(in crate::node) fn settle(
        &mut self,
        request: RequestId,
        settling: Settling,
        now: Now,
    ) -> Result<(), Failure> {
        let (intent, effect) = (settling.intent, settling.effect);
        let known = self.unsettled.get(&intent).filter(|it| !it.settling);
        let unsettled =
            known.ok_or_else(|| Failure::new(Code::NotFound, "no such intent waits for a settlement"))?;
        if effect == Effect::Unknown {
            return Err(Failure::new(Code::OutOfRange, "a settlement says `made` or `none`"));
        }
        let mut unit = Unit::new(Class::Normal);
        let id = self.store_settlement(&mut unit, unsettled, settling, None, now.unix).map_err(unstorable)?;
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.is_settling(&intent);
        self.commit(unit);
        Ok(())
    }

    /// The settlement with what becomes durable and follows with it; `proof` is the receipt that it rests on.
    pub(super) fn store_settlement(
        &self,
        unit: &mut Unit<Then>,
        unsettled: &Unsettled,
        settling: Settling,
        proof: Option<ObjectId>,
        now: UnixTime,
    ) -> Result<ObjectId, Unstorable> {
        let Settling { intent, effect, settled_by, note, actor } = settling;
        let fields = Settlement { intent, effect, settled_by, note, settled_at: now };
        let header = ledger::own_header::<Settlement>(&unsettled.zone, now);
        let header = header.with_refs([intent]).with_refs(proof);
        let id = unit.store(&ledger::sign(header, fields, &self.keys.signing)?, &self.keys)?;
        let entry = Entry {
            call_id: Some(unsettled.call_id),
            ..Entry::new(AuditEventKind::CallSettled, actor).about(id).saying(effect.as_str())
        };
        unit.audit(&unsettled.zone, entry);
        unit.then(Then::Settle(intent, id, effect));
        Ok(id)
    }

    /// A settlement is on its way to the disk: no other is made.
    pub(super) fn is_settling(&mut self, intent: &ObjectId) {
        if let Some(unsettled) = self.unsettled.get_mut(intent) {
            unsettled.settling = true;
        }
    }

    /// A settlement was not stored: the outcome is as unknown as before.
    pub(in crate::node) fn settling_failed(&mut self, intent: &ObjectId) {
        if let Some(unsettled) = self.unsettled.get_mut(intent) {
            unsettled.settling = false;
        }
    }

    pub(in crate::node) fn apply_settlement(
        &mut self,
        intent: ObjectId,
        settlement: ObjectId,
        effect: Effect,
        now: Now,
    ) {
        let Some(unsettled) = self.unsettled.remove(&intent) else { return };
        let Some(scope) = unsettled.scope else { return };
        let how = if effect == Effect::Made {
            idempotency::Settlement::Made { receipt: settlement }
        } else {
            idempotency::Settlement::NotMade
        };
        self.failed |= self.keys_used.settle(&scope, intent, how, now).is_err();
    }

    pub(in crate::node) fn answer_call(&mut self, call_id: CallId, answer: Result<Answer, Failure>) {
        if let Some(call) = self.calls.remove(&call_id) {
            self.answer(call.request, answer);
        }
    }
}
