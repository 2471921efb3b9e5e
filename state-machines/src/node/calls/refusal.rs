//! Calls that are refused, and calls that were made before.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use fcp_proto_core::crypto::hash;
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
        if !denial.is_receipted() || !self.refusals.admit(&facts.principal, now.unix) {
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
        let (record, left_out) = match call_record(call_id, facts, trace) {
            Some(body) => {
                let (label, principal) = (facts.flow.context.clone(), Some(facts.principal.clone()));
                let header = Header::new(&<CallRecord as Body>::SCHEMA, zone, now, label, principal);
                let called = Object { header, body };
                let record = unit.store_within(&called, &self.keys, MAX_RECORD_BYTES)?;
                (record, if record.is_none() { digest_of(&called.body.input) } else { String::new() })
            }
            None => (None, String::new()),
        };
        let fields = DecisionReceipt {
            call_id,
            request: record,
            verdict: Verdict::Deny,
            check: Some(denial.check),
            code: Some(denial.code),
            rule: Some(cut(&denial.rule).to_owned() + &left_out),
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

/// What is kept of an input that is too long to be kept with its refusal.
//= docs/spec/calls.md#refusals
fn digest_of(input: &str) -> String {
    let digest = hash::digest(input.as_bytes());
    format!(" (the input of {} bytes is not kept; its BLAKE3 is {digest})", input.len())
}

/// What is kept of a rule: it may quote the input.
fn cut(rule: &str) -> &str {
    let end = (0..=MAX_RULE_BYTES.min(rule.len())).rev().find(|end| rule.is_char_boundary(*end));
    rule.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The longest record of a refused call that is kept. Chosen: what a person would look at.
const MAX_RECORD_BYTES: usize = 4 * 1024;

/// The longest rule of a refusal that is kept. Chosen.
const MAX_RULE_BYTES: usize = 1024;
