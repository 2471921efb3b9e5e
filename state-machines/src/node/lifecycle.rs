//! Sessions, contexts, revocations that bite, and what becomes of refused or failed batches.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::crypto::proof::{ChannelBinding, SessionProof};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, AuditEventKind, Body, ContextEntry, ContextOpened, Header, Object, RevocationObject,
    RevocationScope,
};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::zone::Label;

use super::calls::{Call, unstorable};
use super::ledger::{self, Unit, Unstorable};
use super::{Answer, Catalog, Failure, Node, Output, RequestId, SessionId, SessionRequest, Then};
use crate::persist::{BatchToken, Class};
use crate::trust::audit::Entry;

/// Refusals that are not written one by one.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    uncounted: u64,
    receipted: BTreeMap<PrincipalId, (UnixTime, u64)>,
}

impl Refusals {
    /// Counts one that is not written.
    pub(super) fn count(&mut self) {
        self.uncounted = self.uncounted.saturating_add(1);
    }

    /// Whether a refusal of this principal, of about `bytes`, is still written by itself.
    pub(super) fn admit(&mut self, principal: &PrincipalId, bytes: usize, now: UnixTime) -> bool {
        let (since, written) = self.receipted.entry(principal.clone()).or_insert((now, 0));
        if now.saturating_since(*since) >= REFUSAL_WINDOW_SECS {
            (*since, *written) = (now, 0);
        }
        *written = written.saturating_add(1 + bytes as u64 / REFUSAL_BYTES);
        *written <= MAX_REFUSALS
    }

    fn take(&mut self) -> u64 {
        core::mem::take(&mut self.uncounted)
    }
}

/// Signed refusals of one principal in [`REFUSAL_WINDOW_SECS`]; the rest is counted. Chosen.
const MAX_REFUSALS: u64 = 100;
/// A refusal counts once more for each so many bytes of its input. Chosen.
const REFUSAL_BYTES: u64 = 32 * 1024;
/// See [`MAX_REFUSALS`].
const REFUSAL_WINDOW_SECS: u64 = 10;

/// A kept result that someone wants to read.
pub(super) struct KeptRead {
    pub result: ObjectId,
    pub zone: ZoneId,
    pub principal: PrincipalId,
    pub label: Label,
}

impl Node {
    /// Begins to serve: tells the chain.
    pub fn start(&mut self, now: Now) {
        let now = self.advance(now);
        self.draw_replayed(0, now);
        let mut unit = Unit::new(Class::Reserved);
        unit.audit(&owner_zone(), Entry::new(AuditEventKind::NodeStarted, self.node_id.as_str()));
        self.commit(unit);
        self.seal(now);
    }

    /// Stops in order: tells the chain; the request is answered when all is durable.
    pub fn stop(&mut self, request: RequestId, now: Now) {
        let now = self.advance(now);
        self.tell_refusals();
        let mut unit = Unit::new(Class::Reserved);
        unit.audit(&owner_zone(), Entry::new(AuditEventKind::NodeStopped, self.node_id.as_str()));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        self.seal(now);
    }

    /// What must be done now and then: forget what has ended, and tell the chain of counted refusals.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.advance(now);
        self.sessions.retain(now.unix, |_| false);
        self.keys_used.expire(now);
        self.rates.sweep(now);
        self.approvals.expire(now.unix);
        self.grant_requests.expire(now.unix);
        self.tell_refusals();
        self.seal(now);
    }

    fn tell_refusals(&mut self) {
        let count = self.refusals.take();
        if count > 0 && self.authority.owner().is_some() {
            let mut unit = Unit::new(Class::Normal);
            let entry = Entry::new(AuditEventKind::CallsRefused, self.node_id.as_str());
            unit.audit(&owner_zone(), entry.saying(alloc::format!("{count} refused without a receipt")));
            self.commit(unit);
        }
    }

    //= docs/spec/sessions.md#opening
    pub(super) fn open_session(
        &mut self,
        id: RequestId,
        request: &SessionRequest,
        now: Now,
    ) -> Result<(), Failure> {
        let refused = |code: Code| Failure::new(code, code.meaning());
        let known = self.authority.principal(&request.principal).cloned();
        let Some(known) = known else {
            self.refusals.count();
            return Err(refused(Code::Unauthenticated));
        };
        if self.revocations.is_revoked(RevocationScope::IssuerKey, known.key_id.as_bytes(), now.unix) {
            self.refusals.count();
            return Err(refused(Code::IssuerKeyRevoked));
        }
        let proof = SessionProof {
            principal_id: request.principal.clone(),
            node_id: self.node_id.clone(),
            channel_binding: request.binding,
            challenge: request.challenge,
        };
        if proof.verify(&known.enrolment.public_key, &request.proof).is_err() {
            self.refusals.count();
            return Err(refused(Code::HolderProofInvalid));
        }
        let expires_at = now.unix.saturating_add(self.session_secs);
        let session = self.sessions.open(
            request.principal.clone(),
            known.key_id,
            known.zone.clone(),
            request.binding,
            expires_at,
            &mut self.entropy,
        );
        let mut unit = Unit::new(Class::Normal);
        unit.audit(&known.zone, Entry::new(AuditEventKind::SessionOpened, request.principal.as_str()));
        let answer = Answer::Session {
            id: session,
            principal: request.principal.clone(),
            zone: known.zone,
            expires_at,
        };
        unit.then(Then::Answer(id, Ok(Box::new(answer))));
        self.commit(unit);
        Ok(())
    }

    pub(super) fn close_session(&mut self, id: RequestId, session: SessionId) -> Result<(), Failure> {
        let closed = self.sessions.close(session);
        let closed = closed.ok_or_else(|| Failure::new(Code::NotFound, "there is no such session"))?;
        let mut unit = Unit::new(Class::Normal);
        unit.audit(&closed.zone, Entry::new(AuditEventKind::SessionClosed, closed.principal.as_str()));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        Ok(())
    }

    pub(super) fn open_context(
        &mut self,
        id: RequestId,
        principal: &PrincipalId,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let known = self.authority.principal(principal);
        let zone =
            known.ok_or_else(|| Failure::new(Code::NotFound, "there is no such principal"))?.zone.clone();
        let fresh = self.fresh_label(&zone);
        let body = self.contexts.begin(principal, &fresh);
        let body = body.ok_or_else(|| Failure::new(Code::Conflict, "a context is being opened already"))?;
        let header = Header::new(
            &<ContextOpened as Body>::SCHEMA,
            &zone,
            now.unix,
            ledger::own_label(&zone),
            Some(principal.clone()),
        );
        let object = Object { header, body };
        let mut unit = Unit::new(Class::Normal);
        let stored = unit.store(&object, &self.keys).map_err(unstorable)?;
        unit.audit(
            &zone,
            Entry::new(AuditEventKind::ContextOpened, actor).about(stored).saying(principal.as_str()),
        );
        unit.then(Then::Apply(stored, Box::new(object.into())));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Admitted(stored)))));
        self.commit(unit);
        Ok(())
    }

    pub(super) fn read_kept(
        &mut self,
        id: RequestId,
        session: SessionId,
        binding: &ChannelBinding,
        read: &KeptRead,
        now: Now,
    ) -> Result<(), Failure> {
        let session = self.sessions.get(session, binding, now.unix);
        let session =
            session.ok_or_else(|| Failure::new(Code::Unauthenticated, Code::Unauthenticated.meaning()))?;
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        if principal != read.principal || zone != read.zone {
            return Err(Failure::new(Code::NotFound, "there is no such result"));
        }
        if let Some(code) = self.reader_revoked(&principal, &zone, now.unix) {
            return Err(Failure::new(code, code.meaning()));
        }
        let mut unit = Unit::new(Class::Normal);
        self.join(&mut unit, &principal, &zone, &read.label, read.result, now.unix).map_err(unstorable)?;
        unit.audit(&zone, Entry::new(AuditEventKind::ResultRead, principal.as_str()).about(read.result));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Readable))));
        self.commit(unit);
        Ok(())
    }

    /// Makes what is read part of the reader's context, in the same unit as its being shown.
    //= docs/spec/labels.md#contexts
    pub(super) fn join(
        &mut self,
        unit: &mut Unit<Then>,
        principal: &PrincipalId,
        zone: &ZoneId,
        label: &Label,
        cause: ObjectId,
        now: UnixTime,
    ) -> Result<(), Unstorable> {
        let fresh = self.fresh_label(zone);
        self.contexts.show(principal, label);
        unit.then(Then::Seen(principal.clone()));
        let Some(body) = self.contexts.joining(principal, &fresh, label, cause) else { return Ok(()) };
        let header = Header::new(
            &<ContextEntry as Body>::SCHEMA,
            zone,
            now,
            ledger::own_label(zone),
            Some(principal.clone()),
        );
        unit.store(&Object { header: header.with_refs([cause]), body: body.clone() }, &self.keys)?;
        // From now on, not only once durable: a call decided meanwhile must already be judged by it.
        self.contexts.apply_entry(&body);
        Ok(())
    }

    pub(super) fn record(&mut self, id: RequestId, zone: &ZoneId, entry: Entry) -> Result<(), Failure> {
        if !self.keys.zones.contains_key(zone) {
            return Err(unstorable(Unstorable::NoZoneKey));
        }
        let mut unit = Unit::new(Class::Normal);
        unit.audit(zone, entry);
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        Ok(())
    }

    /// What rests on something revoked ends at once.
    //= docs/spec/revocation.md#effect
    pub(super) fn drop_revoked(&mut self, revocation: &RevocationObject, now: UnixTime) {
        if revocation.scope == RevocationScope::Capability {
            for target in &revocation.targets {
                if let Ok(bytes) = <[u8; 32]>::try_from(target.0.as_slice()) {
                    self.sessions.forget_grant(&ObjectId::from_bytes(bytes));
                }
            }
        }
        let (authority, revocations) = (&self.authority, &self.revocations);
        self.sessions.retain(now, |session| {
            authority.principal(&session.principal).is_none_or(|known| {
                revocations.is_revoked(RevocationScope::IssuerKey, known.key_id.as_bytes(), now)
            })
        });
        let doomed: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| call.is_dispatched() && self.revoked_now(call, now).is_some())
            .map(|(id, _)| *id)
            .collect();
        self.outputs.extend(doomed.into_iter().map(Output::Cancel));
    }

    /// Why a call may no longer go on, if it may not.
    pub(super) fn revoked_now(&self, call: &Call, now: UnixTime) -> Option<Code> {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let object = |id: &ObjectId| revoked(RevocationScope::Capability, id.as_bytes());
        let key = |key: KeyId| revoked(RevocationScope::IssuerKey, key.as_bytes());
        if revoked(RevocationScope::Capability, call.token_id().as_bytes()) {
            return Some(Code::TokenRevoked);
        }
        if call.grants().iter().any(object) {
            return Some(Code::GrantRevoked);
        }
        let granted = |id| self.authority.grant_by_id(id).is_some_and(|grant| key(grant.signer));
        if call.grants().iter().any(granted) {
            return Some(Code::GrantIssuerInvalid);
        }
        let approved = |id| object(id) || self.approvals.decision(id).is_some_and(|it| key(it.signer));
        if call.approvals().iter().any(approved) {
            return Some(Code::ApprovalInvalid);
        }
        if key(self.keys.issuance.key_id()) {
            return Some(Code::IssuerKeyRevoked);
        }
        self.reader_revoked(call.principal(), call.zone(), now)
            .or_else(|| self.connector_revoked(call.connector(), now).then_some(Code::ConnectorRevoked))
    }

    /// Why a principal may no longer see anything here, if it may not.
    pub(super) fn reader_revoked(&self, reader: &PrincipalId, zone: &ZoneId, now: UnixTime) -> Option<Code> {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let mut keys = self.authority.keys_of(reader);
        if keys.all(|key| revoked(RevocationScope::IssuerKey, key.as_bytes())) {
            return Some(Code::IssuerKeyRevoked);
        }
        if revoked(RevocationScope::NodeAttestation, self.node_id.as_str().as_bytes()) {
            return Some(Code::NodeRevoked);
        }
        let zone = self.keys.zones.get(zone)?.key_id();
        revoked(RevocationScope::ZoneKey, zone.as_bytes()).then_some(Code::ZoneKeyRevoked)
    }

    /// A unit is durable: what waited for it happens.
    //= docs/spec/audit.md#fail-closed
    pub(super) fn follow(&mut self, then: Then, now: Now) {
        match then {
            Then::Apply(id, object) => {
                self.landed(&object);
                self.apply(id, &object, now);
            }
            Then::Dispatch(call_id) if self.failed => {
                let failure = Failure::new(Code::StoreFailed, Code::StoreFailed.meaning());
                self.answer_call(call_id, Err(failure));
            }
            Then::Dispatch(call_id) => self.dispatch(call_id, now),
            Then::Forget(call_id) => {
                self.calls.remove(&call_id);
            }
            Then::Settle(intent, settlement, effect) => {
                self.apply_settlement(intent, settlement, effect, now)
            }
            Then::Seen(principal) => self.contexts.seen(&principal),
            Then::Chain => {}
            Then::Answer(request, answer) => self.outputs.push_back(Output::Answer { request, answer }),
        }
    }

    /// A unit was refused because of `code`: nothing of it exists.
    //= docs/spec/calls.md#batches
    pub(super) fn abandon(&mut self, then: Then, code: Code, now: Now) {
        match then {
            Then::Answer(request, answer) => self.answer(request, Err(lost(&answer, code))),
            Then::Dispatch(call_id) => self.abandon_call(call_id, code, now),
            Then::Forget(call_id) => {
                // The call happened and its receipt could not be stored: it must not look as if it had not.
                self.failed = true;
                self.calls.remove(&call_id);
            }
            Then::Settle(intent, ..) => self.settling_failed(&intent),
            Then::Seen(principal) => self.contexts.seen(&principal),
            // It bites here and would not after a restart; and what follows would name a link that does not exist.
            Then::Chain => self.failed = true,
            Then::Apply(id, object) => self.forgo(&id, &object),
        }
    }

    /// Nobody knows what is durable: everything that waits is answered with that, and the node takes no more.
    //= docs/spec/calls.md#batches
    pub(super) fn fail(&mut self, token: BatchToken) {
        self.failed = true;
        let waiting = self.ledger.complete(token).into_iter().chain(self.ledger.drain());
        let waiting: Vec<_> = waiting.collect();
        self.give_up(waiting);
    }

    /// Answers what waits for something that will not become durable.
    pub(super) fn give_up(&mut self, waiting: Vec<Then>) {
        for then in waiting {
            match then {
                Then::Answer(request, answer) => {
                    self.answer(request, Err(lost(&answer, Code::StoreFailed)));
                }
                Then::Dispatch(call_id) => {
                    self.answer_call(
                        call_id,
                        Err(Failure::new(Code::StoreFailed, Code::StoreFailed.meaning())),
                    );
                }
                Then::Forget(call_id) => {
                    self.calls.remove(&call_id);
                }
                Then::Apply(..) | Then::Settle(..) | Then::Seen(_) | Then::Chain => {}
            }
        }
    }

    /// Gives force to an object that is durable.
    pub(super) fn apply(&mut self, id: ObjectId, object: &AnyObject, now: Now) {
        self.authority.apply(id, object);
        self.apply_leave(id, object);
        match object {
            AnyObject::Enrolment(it) => {
                // Whoever proved another key, or for another zone, is not this principal any more.
                let (enrolled, zone) = (&it.body.fields, &it.header.zone_id);
                self.sessions.retain(now.unix, |session| {
                    session.principal == enrolled.principal
                        && (session.key != enrolled.public_key.key_id() || session.zone != *zone)
                });
            }
            AnyObject::ApprovalRequest(it) => {
                let principal = it.header.provenance.origin_principal.clone();
                if let Some(principal) = principal {
                    let fields = it.body.fields.clone();
                    self.approvals.apply_request(id, it.header.zone_id.clone(), principal, fields);
                }
            }
            AnyObject::ApprovalToken(it) => {
                self.approvals.apply_decision(id, it.body.signer, it.body.fields.clone());
            }
            AnyObject::ConnectorInstall(it) => {
                if let Ok(installed) = Catalog::read(id, &it.body.fields, it.header.created_at) {
                    self.define_pools(&installed, now);
                    self.sessions.forget_tokens();
                    self.catalog.put(installed);
                    self.outputs.push_back(Output::Reconfigured(it.body.fields.connector.clone()));
                }
            }
            AnyObject::ConnectorState(it) => {
                self.catalog.apply_state(&it.body.fields, it.header.created_at);
                self.outputs.push_back(Output::Reconfigured(it.body.fields.connector.clone()));
            }
            AnyObject::OwnerException(it) => {
                self.catalog.apply_exception(id, &it.body.fields);
                self.outputs.push_back(Output::Reconfigured(it.body.fields.connector.clone()));
            }
            AnyObject::CredentialRecord(it) => {
                self.catalog.apply_credential(&it.header.zone_id, &it.body.fields);
                // What a process was started with names the record before.
                self.outputs.push_back(Output::Reconfigured(it.body.fields.connector.clone()));
            }
            AnyObject::ZonePolicy(it) => {
                self.sessions.forget_tokens();
                self.define_budgets(&it.header.zone_id, &it.body.fields, now);
            }
            AnyObject::ContextOpened(it) => self.contexts.apply_opened(&it.body),
            AnyObject::ContextEntry(it) => self.contexts.apply_entry(&it.body),
            AnyObject::OwnerRoot(_)
            | AnyObject::OperatorDelegation(_)
            | AnyObject::NodeAttestation(_)
            | AnyObject::Membership(_)
            | AnyObject::ZoneDefinition(_)
            | AnyObject::Role(_)
            | AnyObject::RoleAssignment(_)
            | AnyObject::RoleWithdrawal(_)
            | AnyObject::Grant(_)
            | AnyObject::GrantRequest(_)
            | AnyObject::GrantDenial(_)
            | AnyObject::Revocation(_)
            | AnyObject::RevocationEvent(_)
            | AnyObject::RevocationHead(_)
            | AnyObject::CredentialTest(_)
            | AnyObject::CallRecord(_)
            | AnyObject::OperationIntent(_)
            | AnyObject::OperationReceipt(_)
            | AnyObject::DecisionReceipt(_)
            | AnyObject::Settlement(_)
            | AnyObject::AuditEvent(_)
            | AnyObject::AuditHead(_)
            | AnyObject::KeptResult(_) => {}
        }
    }
}

/// What is said in place of an answer that did not become durable. A call that was made does not look as if it had not
/// been: its intent has no receipt, so its outcome is unknown.
fn lost(answer: &Result<Box<Answer>, Box<Failure>>, code: Code) -> Failure {
    match answer.as_deref() {
        Ok(Answer::Called(call)) => Failure {
            call_id: Some(call.call_id),
            ..Failure::new(Code::OutcomeUnknown, "the call ended, and its receipt could not be stored")
        },
        Ok(_) | Err(_) => Failure::new(code, code.meaning()),
    }
}

/// The zone whose chain tells of the node itself.
pub(super) fn owner_zone() -> ZoneId {
    ZoneId::new("z:owner").unwrap_or_else(|_| unreachable!("a well-known zone is well-formed"))
}
