//! Calls that ask for a person's word.

use alloc::boxed::Box;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ObjectId};
use fcp_proto_core::object::{
    ApprovalRequest, AuditEventKind, Body, CallRecord, Header, Object, TraceContext,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::super::ledger::{self, Unit, Unstorable};
use super::super::waiting::MAX_REQUEST_SECS;
use super::super::{Answer, CallRequest, Failure, FiledApproval, Node, RequestId, SchemaCheck, Then};
use crate::call::gate::{self, Decision, Facts};
use crate::persist::Class;
use crate::trust::audit::Entry;

use super::{call_record, unstorable};

impl Node {
    //= docs/spec/calls.md#approvals
    pub(in crate::node) fn file_approval(
        &mut self,
        request: RequestId,
        call: &CallRequest,
        note: Option<String>,
        valid_secs: u64,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let (prepared, decision) = self.judge(call, now, schema)?;
        let facts = &prepared.facts;
        let missing = match decision {
            Decision::Denied(denial) if denial.check >= fcp_proto_core::object::GateCheck::Flow => {
                denial.code
            }
            Decision::Denied(denial) => {
                return Err(Failure { check: Some(denial.check), ..Failure::new(denial.code, denial.rule) });
            }
            Decision::Authorized(_) | Decision::Replay(_) => {
                return Err(Failure::new(Code::Conflict, "the call needs no approval now"));
            }
        };
        let kinds = gate::approvals_needed(facts);
        let (Ok(input), Some(connector), false) = (&facts.input, &facts.connector, kinds.is_empty()) else {
            return Err(Failure::new(Code::Conflict, "no approval would permit this call"));
        };
        self.check_waiting(&facts.principal)?;
        let call_id = CallId::from_bytes(self.entropy.bytes());
        let fields = |record| ApprovalRequest {
            request: record,
            call_digest: input.call_digest,
            interface_hash: connector.interface_hash,
            code_digest: connector.code_digest,
            label_digest: facts.flow.label_digest,
            kinds,
            missing,
            note,
            requested_at: now.unix,
            expires_at: now.unix.saturating_add(valid_secs.clamp(1, MAX_REQUEST_SECS)),
        };
        let mut unit = Unit::new(Class::Normal);
        let filed = self.write_request(&mut unit, call_id, facts, call.trace.as_ref(), fields, now.unix);
        let (id, object) = filed.map_err(unstorable)?;
        self.filings.admit(&facts.principal, &unit, now.unix)?;
        let answer = Answer::Filed(FiledApproval { id, request: object.body.fields.clone() });
        unit.then(Then::Apply(id, Box::new(object.into())));
        unit.then(Then::Answer(request, Ok(Box::new(answer))));
        self.commit(unit);
        Ok(())
    }

    fn write_request(
        &self,
        unit: &mut Unit<Then>,
        call_id: CallId,
        facts: &Facts,
        trace: Option<&TraceContext>,
        fields: impl FnOnce(ObjectId) -> ApprovalRequest,
        now: UnixTime,
    ) -> Result<(ObjectId, Object<fcp_proto_core::object::Signed<ApprovalRequest>>), Unstorable> {
        let (zone, principal) = (&facts.zone_id, Some(facts.principal.clone()));
        let body = call_record(call_id, facts, trace).ok_or(Unstorable::NoZoneKey)?;
        let label = facts.flow.context.clone();
        let header = Header::new(&<CallRecord as Body>::SCHEMA, zone, now, label, principal.clone());
        let called = Object { header, body };
        let record = unit.store(&called, &self.keys)?;
        // Whoever denies the request denies what it asks for, so that is known with it.
        unit.then(Then::Apply(record, Box::new(called.into())));
        let mut header = ledger::own_header::<ApprovalRequest>(zone, now).with_refs([record]);
        header.provenance.origin_principal = principal;
        let object = ledger::sign(header, fields(record), &self.keys.signing)?;
        let id = unit.store(&object, &self.keys)?;
        let entry = Entry::new(AuditEventKind::ApprovalRequested, facts.principal.as_str()).about(id);
        unit.audit(zone, entry);
        Ok((id, object))
    }
}
