//! Keeps the indexes.

use fcp_proto_core::ids::{CredentialId, ObjectId, PrincipalId};
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalRequest, ApprovalToken, AuditEvent, CallOutcome, DecisionReceipt,
    Grant, Header, Object, OperationIntent, OperationReceipt, Signed,
};
use fcp_proto_core::time::UnixTime;

use super::{
    ApprovalEntry, AsksFor, CallEntry, ContextEntry, DecisionEntry, EventEntry, HeadEntry, MAX_CAUSES,
    MAX_EVENTS, Made, Records, RevocationEntry, Ring,
};

impl ContextEntry {
    /// Something joined the context of this number.
    fn enter(&mut self, number: u64, cause: ObjectId) {
        if self.number != number {
            return;
        }
        self.entries += 1;
        self.causes.push_back(cause);
        if self.causes.len() > MAX_CAUSES {
            self.causes.pop_front();
        }
    }
}

impl Records {
    /// Takes objects that are durable.
    pub(crate) fn absorb(&mut self, objects: &[(ObjectId, AnyObject)]) {
        for (id, object) in objects {
            self.take(*id, object);
        }
        self.version.send_modify(|version| *version += 1);
    }

    fn take(&mut self, id: ObjectId, object: &AnyObject) {
        let header = object.header();
        let made = Made { id, at: header.created_at };
        match object {
            AnyObject::OperationIntent(it) => self.intent(id, header, &it.body.fields),
            AnyObject::OperationReceipt(it) => self.receipt(id, &it.body.fields),
            AnyObject::DecisionReceipt(it) => self.refusal(id, header, &it.body.fields),
            AnyObject::Settlement(it) => self.settle(&it.body.fields.intent, it.body.fields.effect),
            AnyObject::AuditEvent(it) => self.event(id, header, &it.body),
            AnyObject::AuditHead(it) => {
                let (head, signer) = (&it.body.fields, it.body.signer);
                let entry = HeadEntry { event: head.head_event, seq: head.head_seq, signer };
                self.heads.insert(header.zone_id.clone(), entry);
            }
            AnyObject::ApprovalRequest(it) => self.request(id, it),
            AnyObject::ApprovalToken(it) => self.decision(id, &it.body.fields),
            AnyObject::Grant(it) => self.answer(id, &it.body.fields),
            AnyObject::GrantRequest(it) => {
                let asked = &it.body.fields;
                self.add_request(id, AsksFor::Grant, asked.principal.clone(), header, asked.expires_at);
            }
            AnyObject::GrantDenial(it) => {
                let decision =
                    DecisionEntry { id, decision: ApprovalDecision::Deny, expires_at: header.created_at };
                self.change_approval(&it.body.fields.request, |entry| entry.decision = Some(decision));
            }
            AnyObject::RevocationEvent(it) => {
                let link = &it.body.fields;
                self.revocations.push(RevocationEntry { id: link.revocation, seq: link.seq });
            }
            AnyObject::Enrolment(it) => {
                self.enrolments.insert(it.body.fields.principal.clone(), made);
            }
            AnyObject::ZonePolicy(_) => {
                self.policies.insert(header.zone_id.clone(), made);
            }
            AnyObject::CredentialRecord(it) => {
                self.credential(it.body.fields.credential.clone(), made);
            }
            AnyObject::OwnerException(_) => {
                self.exceptions.insert(id, header.created_at);
            }
            AnyObject::ConnectorInstall(it) => {
                self.installs.insert(it.body.fields.connector.clone(), made);
            }
            AnyObject::CallRecord(it) => {
                self.asked_with = Some((it.body.call_id, it.body.credentials.clone()));
            }
            AnyObject::ContextOpened(it) => {
                let entry = ContextEntry {
                    number: it.body.context,
                    opened_at: header.created_at,
                    ..ContextEntry::default()
                };
                self.contexts.insert(it.body.principal.clone(), entry);
            }
            AnyObject::ContextEntry(it) => {
                let context = self.contexts.entry(it.body.principal.clone()).or_default();
                context.enter(it.body.context, it.body.cause);
            }
            AnyObject::OwnerRoot(_)
            | AnyObject::OperatorDelegation(_)
            | AnyObject::NodeAttestation(_)
            | AnyObject::Membership(_)
            | AnyObject::ConnectorState(_)
            | AnyObject::ZoneDefinition(_)
            | AnyObject::Role(_)
            | AnyObject::RoleAssignment(_)
            | AnyObject::RoleWithdrawal(_)
            | AnyObject::CredentialTest(_)
            | AnyObject::OutcomeProbe(_)
            | AnyObject::Revocation(_)
            | AnyObject::RevocationHead(_)
            | AnyObject::KeptResult(_) => {}
        }
    }

    /// A secret was stored.
    fn credential(&mut self, credential: CredentialId, made: Made) {
        // What was accepted was the secret before; so is what calls under way carry, however they end.
        self.accepted.remove(&credential);
        for used in self.using.values_mut() {
            used.remove(&credential);
        }
        self.credentials.insert(credential, made);
    }

    fn intent(&mut self, id: ObjectId, header: &Header, intent: &OperationIntent) {
        for grant in &intent.grants {
            *self.grant_calls.entry(*grant).or_default() += 1;
        }
        self.decided_on(&intent.principal, intent.grants.iter());
        if let Some((call, credentials)) = self.asked_with.take()
            && call == intent.call_id
            && !credentials.is_empty()
        {
            self.using.insert(call, credentials);
        }
        for approval in &intent.approvals {
            if let Some(request) = self.decisions.get(approval).copied() {
                self.change_approval(&request, |entry| entry.spent_by = Some(id));
            }
        }
        self.add_call(CallEntry {
            call_id: intent.call_id,
            principal: intent.principal.clone(),
            zone: header.zone_id.clone(),
            connector: intent.connector.clone(),
            operation: intent.operation.clone(),
            record: Some(intent.request),
            intent: Some(id),
            refusal: None,
            receipt: None,
            outcome: None,
            effect: None,
            code: None,
            started_at: intent.planned_at,
            ended_at: None,
        });
    }

    fn decided_on<'a>(&mut self, principal: &PrincipalId, grants: impl Iterator<Item = &'a ObjectId>) {
        self.decided_on.entry(principal.clone()).or_default().extend(grants.copied());
    }

    fn refusal(&mut self, id: ObjectId, header: &Header, decision: &DecisionReceipt) {
        self.decided_on(&decision.principal, decision.evidence.iter());
        self.receipts.push(&decision.principal, (id, decision.call_id));
        self.add_call(CallEntry {
            call_id: decision.call_id,
            principal: decision.principal.clone(),
            zone: header.zone_id.clone(),
            connector: decision.connector.clone(),
            operation: decision.operation.clone(),
            record: decision.request,
            intent: None,
            refusal: Some(id),
            receipt: None,
            outcome: None,
            effect: None,
            code: decision.code,
            started_at: decision.decided_at,
            ended_at: None,
        });
    }

    fn add_call(&mut self, call: CallEntry) {
        let (call_id, principal) = (call.call_id, call.principal.clone());
        let (number, gone) = self.calls.push(&principal, call);
        self.call_numbers.insert(call_id, number);
        if let Some(gone) = gone {
            self.call_numbers.remove(&gone.call_id);
        }
    }

    pub(super) fn receipt(&mut self, id: ObjectId, receipt: &OperationReceipt) {
        // A call that asked nobody says nothing of its credentials.
        let used = self.using.remove(&receipt.call_id).unwrap_or_default();
        if receipt.outcome == CallOutcome::Succeeded && receipt.usage.requests > 0 {
            self.accepted.extend(used.into_iter().map(|credential| (credential, receipt.executed_at)));
        }
        let number = self.call_numbers.get(&receipt.call_id).copied();
        let Some(call) = number.and_then(|number| self.calls.get_mut(number)) else { return };
        self.receipts.push(&call.principal, (id, receipt.call_id));
        call.receipt = Some(id);
        call.outcome = Some(receipt.outcome);
        call.effect = Some(receipt.effect);
        call.code = receipt.error;
        call.ended_at = Some(receipt.executed_at);
    }

    fn settle(&mut self, intent: &ObjectId, effect: fcp_proto_core::object::Effect) {
        let number = self.calls.newest(None).find(|(_, call)| call.intent.as_ref() == Some(intent));
        let number = number.map(|(number, _)| number);
        if let Some(call) = number.and_then(|number| self.calls.get_mut(number)) {
            call.effect = Some(effect);
        }
    }

    fn event(&mut self, id: ObjectId, header: &Header, event: &AuditEvent) {
        let chain = self.chains.entry(header.zone_id.clone()).or_insert_with(|| Ring::new(MAX_EVENTS));
        chain.push(EventEntry {
            id,
            kind: event.kind,
            call_id: event.call_id,
            subject: event.subject,
            actor: event.actor.clone(),
        });
    }

    fn request(&mut self, id: ObjectId, object: &Object<Signed<ApprovalRequest>>) {
        let Some(principal) = object.header.provenance.origin_principal.clone() else { return };
        let expires_at = object.body.fields.expires_at;
        self.add_request(id, AsksFor::Approval, principal, &object.header, expires_at);
    }

    fn add_request(
        &mut self,
        id: ObjectId,
        asks_for: AsksFor,
        principal: PrincipalId,
        header: &Header,
        expires_at: UnixTime,
    ) {
        self.approval_changes += 1;
        let waiting = self.waiting.entry(principal.clone()).or_default();
        waiting.retain(|_, end| header.created_at < *end);
        let turn = waiting.len() as u64;
        waiting.insert(id, expires_at);
        let entry = ApprovalEntry {
            id,
            asks_for,
            principal: principal.clone(),
            zone: header.zone_id.clone(),
            expires_at,
            turn,
            decision: None,
            spent_by: None,
            grant: None,
            changed: self.approval_changes,
        };
        let (number, gone) = self.approvals.push(&principal, entry);
        self.approval_numbers.insert(id, number);
        if let Some(gone) = gone {
            self.approval_numbers.remove(&gone.id);
            gone.decision.and_then(|decision| self.decisions.remove(&decision.id));
        }
    }

    /// A grant that names a request: it goes with an approval, or it is what was asked for.
    fn answer(&mut self, id: ObjectId, grant: &Grant) {
        let Some(request) = grant.request else { return };
        let approved =
            DecisionEntry { id, decision: ApprovalDecision::Approve, expires_at: grant.expires_at };
        self.change_approval(&request, |entry| {
            entry.grant = Some(id);
            match entry.asks_for {
                AsksFor::Approval => {}
                AsksFor::Grant => entry.decision = Some(approved),
            }
        });
    }

    fn decision(&mut self, id: ObjectId, token: &ApprovalToken) {
        self.decisions.insert(id, token.approval_request);
        let decision = DecisionEntry { id, decision: token.decision, expires_at: token.expires_at };
        self.change_approval(&token.approval_request, |entry| entry.decision = Some(decision));
    }

    fn change_approval(&mut self, request: &ObjectId, change: impl FnOnce(&mut ApprovalEntry)) {
        let number = self.approval_numbers.get(request).copied();
        let Some(entry) = number.and_then(|number| self.approvals.get_mut(number)) else { return };
        change(entry);
        self.approval_changes += 1;
        entry.changed = self.approval_changes;
        if entry.decision.is_some() {
            self.waiting.get_mut(&entry.principal).and_then(|waiting| waiting.remove(request));
        }
    }
}
