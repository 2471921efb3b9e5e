//! Calls that are refused, and calls that were made before.

use alloc::boxed::Box;

use fcp_proto_core::ids::{CallId, ObjectId, ZoneId};
use fcp_proto_core::object::{
    AuditEventKind, Body, CallRecord, DecisionReceipt, Header, Object, TraceContext, Verdict,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::super::ledger::{self, Unit, Unstorable};
use super::super::{Answer, Failure, Node, RequestId, Then};
use crate::call::gate::{Denial, Facts};
use crate::persist::Class;
use crate::trust::audit::Entry;

use super::{call_record, unstorable};

impl Node {
    /// Refusals before the holder is known are counted; later ones are signed and audited, as long as one principal does
    /// not flood.
    //= docs/spec/audit.md#what-is-told
    pub(super) fn deny(
        &mut self,
        request: RequestId,
        facts: &Facts,
        denial: &Denial,
        trace: Option<&TraceContext>,
        now: Now,
    ) -> Result<(), Failure> {
        let call_id = CallId::from_bytes(self.entropy.bytes());
        let mut failure = Failure {
            check: Some(denial.check),
            call_id: Some(call_id),
            retry_after_ms: denial.retry_after_ms,
            ..Failure::new(denial.code, denial.rule.clone())
        };
        let bytes = facts.input.as_ref().map_or(0, |input| input.canonical.len());
        if !denial.is_receipted() || !self.refusals.admit(&facts.principal, bytes, now.unix) {
            self.refusals.count();
            return Err(failure);
        }
        // A zone that does not exist has no chain; its refusals stand in the principal's own.
        let zone = if facts.zone.is_some() { &facts.zone_id } else { &facts.principal_zone };
        let mut unit = Unit::new(Class::Normal);
        let receipt = self
            .write_decision(&mut unit, call_id, zone, facts, denial, trace, now.unix)
            .map_err(unstorable)?;
        failure.receipt = Some(receipt);
        unit.then(Then::Answer(request, Err(Box::new(failure))));
        self.commit(unit);
        Ok(())
    }

    //= docs/spec/calls.md#refusals
    #[allow(clippy::too_many_arguments, reason = "a refusal is told with everything it rests on, once")]
    fn write_decision(
        &self,
        unit: &mut Unit<Then>,
        call_id: CallId,
        zone: &ZoneId,
        facts: &Facts,
        denial: &Denial,
        trace: Option<&TraceContext>,
        now: UnixTime,
    ) -> Result<ObjectId, Unstorable> {
        let record = match call_record(call_id, facts, trace) {
            Some(body) => {
                let label = facts.flow.context.clone();
                let header = Header::new(
                    &<CallRecord as Body>::SCHEMA,
                    zone,
                    now,
                    label,
                    Some(facts.principal.clone()),
                );
                Some(unit.store(&Object { header, body }, &self.keys)?)
            }
            None => None,
        };
        let fields = DecisionReceipt {
            call_id,
            request: record,
            verdict: Verdict::Deny,
            check: Some(denial.check),
            code: Some(denial.code),
            rule: Some(denial.rule.clone()),
            evidence: facts.grants.keys().copied().collect(),
            principal: facts.principal.clone(),
            connector: facts.connector_id.clone(),
            operation: facts.operation_id.clone(),
            decided_at: now,
            decided_by: self.node_id.clone(),
        };
        let header = ledger::own_header::<DecisionReceipt>(zone, now).with_refs(record);
        let receipt = unit.store(&ledger::sign(header, fields, &self.keys.signing)?, &self.keys)?;
        let entry = Entry {
            connector: Some(facts.connector_id.clone()),
            operation: Some(facts.operation_id.clone()),
            call_id: Some(call_id),
            code: Some(denial.code),
            trace: trace.cloned(),
            ..Entry::new(AuditEventKind::CallDenied, facts.principal.as_str()).about(receipt)
        };
        unit.audit(zone, entry.saying(denial.check.as_str()));
        Ok(receipt)
    }

    //= docs/spec/calls.md#repeated-calls
    pub(super) fn replay_call(
        &mut self,
        request: RequestId,
        facts: &Facts,
        receipt: ObjectId,
    ) -> Result<(), Failure> {
        let mut unit = Unit::new(Class::Normal);
        let entry = Entry {
            connector: Some(facts.connector_id.clone()),
            operation: Some(facts.operation_id.clone()),
            ..Entry::new(AuditEventKind::CallReplayed, facts.principal.as_str()).about(receipt)
        };
        unit.audit(&facts.zone_id, entry);
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Replayed { receipt }))));
        self.commit(unit);
        Ok(())
    }
}
