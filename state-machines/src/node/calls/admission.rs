//! From decision to dispatch.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::{
    ApprovalKind, AuditEventKind, Body, CallRecord, GateCheck, Header, Object, OperationIntent, TraceContext,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::super::facts::Prepared;
use super::super::ledger::{self, Unit, Unstorable};
use super::super::{
    Answer, BoundCall, CallRequest, Dispatch, Failure, Node, Outcome, Output, Refusal, RequestId,
    SchemaCheck, Then,
};
use crate::call::gate::{self, Authorized, Decision, Facts};
use crate::call::rates;
use crate::persist::Class;
use crate::trust::audit::Entry;

use super::ending::RECEIPT_BYTES;
use super::{Call, call_record, internal, stored_demands, unstorable};

impl Node {
    pub(in crate::node) fn invoke(
        &mut self,
        request: RequestId,
        call: &CallRequest,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let judged = self.judge(call, now, schema)?;
        self.carry_out(request, Unit::new(Class::Normal), call, judged, now)
    }

    /// Does what was decided; an intent goes into `unit`.
    pub(in crate::node) fn carry_out(
        &mut self,
        request: RequestId,
        unit: Unit<Then>,
        call: &CallRequest,
        (prepared, decision): (Prepared, Decision),
        now: Now,
    ) -> Result<(), Failure> {
        match decision {
            Decision::Authorized(authorized) => {
                self.admit_call(request, unit, call, prepared, *authorized, now)
            }
            Decision::Replay(receipt) => self.replay_call(request, &prepared.facts, receipt),
            Decision::Denied(denial) => {
                self.deny(request, &prepared.facts, &denial, call.trace.as_ref(), now)
            }
        }
    }

    pub(in crate::node) fn simulate(
        &mut self,
        request: RequestId,
        call: &CallRequest,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let (prepared, decision) = self.judge(call, now, schema)?;
        let (refused, replay, standing_approval) = match decision {
            Decision::Authorized(authorized) => (None, None, *authorized.standing_approval()),
            Decision::Replay(receipt) => (None, Some(receipt), None),
            Decision::Denied(denial) => (Some(Refusal::from(denial)), None, None),
        };
        let approvals = gate::approvals_needed(&prepared.facts).into_iter().collect();
        // An earlier check refuses before the caller is proved, or before it is known what the call touches.
        let known = refused.as_ref().is_none_or(|refusal| refusal.check >= GateCheck::Constraints);
        let input = prepared.facts.input.as_ref().ok().filter(|_| known);
        let bound = input.map(|input| BoundCall {
            call_digest: input.call_digest,
            input_label: gate::input_label(&prepared.facts),
        });
        self.answer(request, Ok(Answer::Simulated { refused, replay, approvals, standing_approval, bound }));
        Ok(())
    }

    /// The decision and what it spends are one step: from here on nothing else can spend it.
    //= docs/spec/calls.md#order
    fn admit_call(
        &mut self,
        request: RequestId,
        unit: Unit<Then>,
        call: &CallRequest,
        prepared: Prepared,
        authorized: Authorized,
        now: Now,
    ) -> Result<(), Failure> {
        let call_id = CallId::from_bytes(self.entropy.bytes());
        let fits = prepared.fits.ok_or_else(|| internal("an authorized call without room in its pools"))?;
        //= docs/spec/gate.md#deciding-and-spending
        let reservation =
            self.rates.reserve(fits, now).map_err(|_| internal("room in the pools vanished"))?;
        let mut unit = unit.claiming(RECEIPT_BYTES);
        let intent = self
            .write_intent(
                &mut unit,
                call_id,
                &prepared.facts,
                &authorized,
                &reservation,
                call.trace.as_ref(),
                now.unix,
            )
            .map_err(unstorable)?;
        let scope = prepared.fresh.as_ref().map(|fresh| fresh.scope().clone());
        if let Some(fresh) = prepared.fresh {
            self.keys_used
                .begin(fresh, intent, now)
                .map_err(|_| internal("the idempotency key was taken meanwhile"))?;
        }
        for approval in authorized.approvals() {
            self.approvals.spend(approval, intent);
        }
        for grant in authorized.grants() {
            self.grant_use.entry(*grant).or_default().add_call();
        }
        self.audit_admission(&mut unit, call_id, intent, &authorized, call.trace.as_ref());
        unit.then(Then::Dispatch(call_id));
        self.commit(unit);
        let entry = Call {
            request,
            intent,
            token_id: authorized.seal().token_id,
            holder_keys: self.authority.keys_of(authorized.principal()).collect(),
            scope,
            reservation: Some(reservation),
            keep: call.keep,
            timeout_ms: self.timeout_ms(&authorized, call.deadline_ms),
            declared: self.declared_output(&authorized),
            trace: call.trace.clone(),
            began: now.mono,
            cancelled: false,
            dispatched: false,
            ended: None,
            word: prepared.word,
            authorized,
        };
        self.calls.insert(call_id, entry);
        Ok(())
    }

    /// The operation's own bound, the settings' and the caller's, whichever is shortest.
    fn timeout_ms(&self, authorized: &Authorized, deadline_ms: Option<u64>) -> u64 {
        let operation = self
            .catalog
            .get(authorized.connector())
            .and_then(|it| it.manifest.operation(authorized.operation()));
        let bound = operation.map_or(0, |operation| u64::from(operation.timeout_ms));
        let bound = bound.min(self.limits.call_secs.saturating_mul(1_000));
        deadline_ms.map_or(bound, |wished| wished.min(bound))
    }

    #[allow(clippy::too_many_arguments, reason = "an intent is made from all that was decided, once")]
    fn write_intent(
        &self,
        unit: &mut Unit<Then>,
        call_id: CallId,
        facts: &Facts,
        authorized: &Authorized,
        reservation: &rates::Reservation,
        trace: Option<&TraceContext>,
        now: UnixTime,
    ) -> Result<ObjectId, Unstorable> {
        let record = call_record(call_id, facts, trace).ok_or(Unstorable::NoZoneKey)?;
        let zone = authorized.zone();
        let label = authorized.input_label().clone();
        let principal = Some(authorized.principal().clone());
        let header = Header::new(&<CallRecord as Body>::SCHEMA, zone, now, label.clone(), principal);
        let record = unit.store(&Object { header, body: record }, &self.keys)?;
        let fields = OperationIntent {
            call_id,
            request: record,
            call_digest: *authorized.call_digest(),
            principal: authorized.principal().clone(),
            connector: authorized.connector().clone(),
            operation: authorized.operation().clone(),
            token_id: authorized.seal().token_id,
            grants: authorized.grants().clone(),
            approvals: authorized.approvals().clone(),
            standing_approval: *authorized.standing_approval(),
            idempotency_key: authorized.idempotency_key().clone(),
            idempotency_expires_at: None,
            reservations: stored_demands(reservation)?,
            input_label: label,
            revocation_seq: authorized.seal().revocation_seq,
            interface_hash: *authorized.interface_hash(),
            code_digest: *authorized.code_digest(),
            lease_seq: *authorized.lease_seq(),
            planned_at: now,
            planned_by: self.node_id.clone(),
        };
        let header = ledger::own_header::<OperationIntent>(zone, now).with_refs([record]);
        unit.store(&ledger::sign(header, fields, &self.keys.signing)?, &self.keys)
    }

    //= docs/spec/audit.md#what-is-told
    fn audit_admission(
        &self,
        unit: &mut Unit<Then>,
        call_id: CallId,
        intent: ObjectId,
        authorized: &Authorized,
        trace: Option<&TraceContext>,
    ) {
        let entry = |kind| Entry {
            connector: Some(authorized.connector().clone()),
            operation: Some(authorized.operation().clone()),
            call_id: Some(call_id),
            token_id: Some(authorized.seal().token_id),
            trace: trace.cloned(),
            ..Entry::new(kind, authorized.principal().as_str()).about(intent)
        };
        let mut dispatched = entry(AuditEventKind::CallDispatched);
        let beforehand = |grant: &ObjectId| format!("approved beforehand by the grant {grant}");
        dispatched.detail = authorized.standing_approval().as_ref().map(beforehand);
        unit.audit(authorized.zone(), dispatched);
        for credential in authorized.credentials() {
            unit.audit(authorized.zone(), entry(AuditEventKind::SecretAccess).saying(credential.as_str()));
        }
        for kind in authorized.kinds() {
            match kind {
                ApprovalKind::Execution => {}
                ApprovalKind::Elevation => {
                    unit.audit(authorized.zone(), entry(AuditEventKind::ElevationGranted))
                }
                ApprovalKind::Declassification => {
                    unit.audit(authorized.zone(), entry(AuditEventKind::DeclassificationGranted));
                }
            }
        }
    }

    /// The intent is durable: if what it rests on still stands, and nobody cancelled, the call goes out.
    //= docs/spec/calls.md#order
    pub(in crate::node) fn dispatch(&mut self, call_id: CallId, now: Now) {
        let Some(call) = self.calls.get(&call_id) else { return };
        let stopped = if call.cancelled {
            Some((Code::Cancelled, "cancelled before it was dispatched".to_string()))
        } else {
            self.changed(call, now.unix)
        };
        if let Some((code, message)) = stopped {
            self.handle_outcome(call_id, Outcome::NotDelivered { code, message }, now);
            return;
        }
        let credentials = self.credential_records(&call.authorized);
        let Some(call) = self.calls.get_mut(&call_id) else { return };
        call.dispatched = true;
        self.outputs.push_back(Output::Dispatch(Box::new(Dispatch {
            call_id,
            intent: call.intent,
            authorized: call.authorized.clone(),
            credentials,
            timeout_ms: call.timeout_ms,
            trace: call.trace.clone(),
        })));
    }

    /// Why a call that was decided may not leave any more, if it may not.
    //= docs/spec/revocation.md#effect
    fn changed(&self, call: &Call, now: UnixTime) -> Option<(Code, String)> {
        if let Some(code) = self.revoked_now(call, now) {
            return Some((code, code.meaning().to_string()));
        }
        let facts = self.standing_facts(&call.authorized, call.word(), now);
        let denial = gate::recheck(&call.authorized, &facts, now).err()?;
        Some((denial.code, denial.rule))
    }

    fn credential_records(&self, authorized: &Authorized) -> Vec<fcp_proto_core::object::CredentialRecord> {
        let named =
            |record: &&crate::node::Credential| authorized.credentials().contains(&record.record.credential);
        self.catalog.credentials().filter(named).map(|it| it.record.clone()).collect()
    }

    /// The disk refused a call's intent: nothing of it exists, and what it took is given back.
    pub(in crate::node) fn abandon_call(&mut self, call_id: CallId, code: Code, now: Now) {
        let Some(mut call) = self.calls.remove(&call_id) else { return };
        if let Some(reservation) = call.reservation.take() {
            self.undo(&call, reservation, now);
        }
        if let Some(scope) = &call.scope {
            self.failed |= self.keys_used.release(scope, call.intent).is_err();
        }
        self.answer(call.request, Err(Failure::new(code, code.meaning())));
    }
}
