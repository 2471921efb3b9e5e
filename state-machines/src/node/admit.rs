//! Takes what the owner and the operators sign.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::limits::TOKEN_SKEW_SECS;
use fcp_proto_core::object::{
    AnyObject, AuditEventKind, Grant, Object, ObjectIdKey, RevocationEvent, RevocationHead, RevocationObject,
    Signed,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::authorize::authorize;
use super::calls::unstorable;
use super::content::Content;
use super::ledger::{self, Unit, Unstorable};
use super::{Answer, Failure, Node, Output, RequestId, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;
use crate::trust::authority::Authority;

impl Node {
    pub(super) fn admit(
        &mut self,
        request: RequestId,
        object: AnyObject,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let id = self.judge_object(&object, &self.authority, now.unix)?;
        if let AnyObject::Revocation(revocation) = &object {
            self.remember_taken(id, &object);
            return self.admit_revocation(request, revocation, actor, now);
        }
        self.take_in(request, Answer::Admitted(id), alloc::vec![(id, object)], actor)
    }

    /// Takes all of `objects` in one batch, or none. Each makes sense if those before it do; whose key may sign is judged
    /// by what is in force already.
    //= docs/spec/authority.md#taking-objects
    pub(super) fn admit_together(
        &mut self,
        request: RequestId,
        objects: Vec<AnyObject>,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let mut authority = self.authority.clone();
        let mut taken: Vec<(ObjectId, AnyObject)> = Vec::new();
        for object in objects {
            if matches!(object, AnyObject::Revocation(_)) {
                return Err(Failure::new(Code::NotPermitted, "a revocation waits for nothing else"));
            }
            let id = self.judge_object(&object, &authority, now.unix)?;
            if taken.iter().any(|(other, _)| *other == id) {
                return Err(Failure::new(Code::Conflict, "the same object stands in it twice"));
            }
            authority.apply(id, &object);
            taken.push((id, object));
        }
        if taken.is_empty() {
            return Err(Failure::new(Code::MissingField, "it holds no object"));
        }
        let ids = taken.iter().map(|(id, _)| *id).collect();
        self.take_in(request, Answer::AdmittedTogether(ids), taken, actor)
    }

    /// Whether an object may come in; its name if so. `authority` is what would be in force when it is taken.
    pub(super) fn judge_object(
        &self,
        object: &AnyObject,
        authority: &Authority,
        now: UnixTime,
    ) -> Result<ObjectId, Failure> {
        check_time(object.header().created_at, now)?;
        let signer = authorize(object, &self.authority, &self.revocations, Some(now))?;
        Content { node: self, authority, now }.check(object)?;
        if signer.is_some_and(|key| self.changing.contains(&key)) {
            return Err(Failure::new(
                Code::Conflict,
                "the rights of the key that signed it are being changed",
            ));
        }
        if matches!(object, AnyObject::ZoneDefinition(it) if self.defining.contains(&it.header.zone_id)) {
            return Err(Failure::new(Code::Conflict, "the zone is being defined"));
        }
        self.name_of_new(object, now)
    }

    /// Makes objects that were judged durable, all in one batch; they take force with it.
    fn take_in(
        &mut self,
        request: RequestId,
        answer: Answer,
        objects: Vec<(ObjectId, AnyObject)>,
        actor: &str,
    ) -> Result<(), Failure> {
        let mut unit = Unit::new(Class::Normal);
        for (id, object) in &objects {
            store_any(&mut unit, object, self).map_err(unstorable)?;
            let (kind, detail) = described(object);
            let mut entry = Entry::new(kind, actor).about(*id);
            entry.detail = detail;
            unit.audit(&object.header().zone_id, entry);
        }
        for (id, object) in objects {
            self.remember_taken(id, &object);
            self.hold(id, &object);
            unit.then(Then::Apply(id, Box::new(object)));
        }
        unit.then(Then::Answer(request, Ok(Box::new(answer))));
        self.commit(unit);
        Ok(())
    }

    /// An object that was taken, or is being taken, does not come in again: sent once more, an old one would undo a newer.
    fn name_of_new(&self, object: &AnyObject, now: UnixTime) -> Result<ObjectId, Failure> {
        let unencodable = |error| unstorable(Unstorable::Encoding(error));
        let keys =
            self.keys.zones.get(&object.header().zone_id).ok_or(Unstorable::NoZoneKey).map_err(unstorable)?;
        let stored = object.store().map_err(unencodable)?;
        // Taken under an earlier key of its zone, it was taken all the same.
        for name in keys.names(&stored) {
            if self.taken.get(&name.map_err(unencodable)?).is_some_and(|until| now <= *until) {
                return Err(Failure::new(Code::Conflict, "this very object was taken before"));
            }
        }
        stored.id(keys.serving()).map_err(unencodable)
    }

    /// Holds a key that a zone is about to be defined with. It serves a zone that has none; else it waits until a definition
    /// names it.
    pub(super) fn hold_zone_key(
        &mut self,
        request: RequestId,
        zone: ZoneId,
        key: ObjectIdKey,
    ) -> Result<(), Failure> {
        match self.keys.zones.get_mut(&zone) {
            Some(keys) => keys.hold(key),
            None => {
                self.keys.zones.insert(zone, key.into());
            }
        }
        self.answer(request, Ok(Answer::Done));
        Ok(())
    }

    /// Remembers an object from outside for as long as its time would let it in again.
    pub(super) fn remember_taken(&mut self, id: ObjectId, object: &AnyObject) {
        self.taken.insert(id, object.header().created_at.saturating_add(TOKEN_SKEW_SECS));
    }

    /// What must not happen while the object is on its way to the disk.
    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else stands in nobody's way")]
    fn hold(&mut self, id: ObjectId, object: &AnyObject) {
        match object {
            AnyObject::OperatorDelegation(it) => {
                self.changing.insert(it.body.fields.public_key.key_id());
            }
            AnyObject::ZoneDefinition(it) => {
                self.defining.insert(it.header.zone_id.clone());
            }
            AnyObject::ApprovalToken(it) => self.approvals.hold(&it.body.fields.approval_request, id),
            AnyObject::GrantDenial(it) => self.grant_requests.decide(&it.body.fields.request, id),
            AnyObject::Grant(Object {
                body: Signed { fields: Grant { request: Some(request), .. }, .. },
                ..
            }) => {
                self.grant_requests.decide(request, id);
            }
            _ => {}
        }
    }

    /// The object is no longer on its way: it is durable, or it never will be.
    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else stands in nobody's way")]
    pub(super) fn landed(&mut self, object: &AnyObject) {
        match object {
            AnyObject::OwnerRoot(_) => self.founding = false,
            AnyObject::OperatorDelegation(it) => {
                self.changing.remove(&it.body.fields.public_key.key_id());
            }
            AnyObject::ZoneDefinition(it) => {
                self.defining.remove(&it.header.zone_id);
            }
            _ => {}
        }
    }

    /// The object was not stored: it may be sent again.
    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else leaves nothing behind")]
    pub(super) fn forgo(&mut self, id: &ObjectId, object: &AnyObject) {
        self.landed(object);
        self.taken.remove(id);
        match object {
            AnyObject::ApprovalToken(it) => self.approvals.release(&it.body.fields.approval_request, id),
            AnyObject::GrantDenial(it) => self.grant_requests.release(&it.body.fields.request, id),
            AnyObject::Grant(Object {
                body: Signed { fields: Grant { request: Some(request), .. }, .. },
                ..
            }) => {
                self.grant_requests.release(request, id);
            }
            AnyObject::ContextOpened(it) => self.contexts.abandon(&it.body.principal),
            _ => {}
        }
    }

    /// Takes all that a ceremony made, as one: the owner's key first, then what hangs from it.
    ///
    /// # Errors
    /// Why the objects found no home; then nothing was taken.
    //= docs/spec/authority.md#the-ceremonys-objects
    pub fn found(&mut self, request: RequestId, objects: Vec<AnyObject>, now: Now) -> Result<(), Failure> {
        let now = self.advance(now);
        if self.failed {
            return Err(Failure::new(Code::StoreFailed, Code::StoreFailed.meaning()));
        }
        if self.founding || self.authority.owner().is_some() {
            return Err(Failure::new(Code::CeremonyDone, Code::CeremonyDone.meaning()));
        }
        let mut unit = Unit::new(Class::Normal);
        let mut authority = Authority::default();
        let mut first = None;
        for object in objects {
            authorize(&object, &authority, &self.revocations, None)?;
            let id = store_any(&mut unit, &object, self).map_err(unstorable)?;
            authority.apply(id, &object);
            first.get_or_insert((id, object.header().zone_id.clone()));
            unit.then(Then::Apply(id, Box::new(object)));
        }
        let (id, zone) = first
            .ok_or_else(|| Failure::new(Code::MissingField, "a ceremony makes at least the owner's key"))?;
        unit.audit(&zone, Entry::new(AuditEventKind::CeremonyCompleted, "owner").about(id));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Done))));
        self.founding = true;
        self.commit(unit);
        self.seal(now);
        Ok(())
    }

    /// A revocation bites before it is durable, and may use the space kept for it.
    //= docs/spec/revocation.md#effect
    fn admit_revocation(
        &mut self,
        request: RequestId,
        revocation: &Object<Signed<RevocationObject>>,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let mut unit = Unit::new(Class::Reserved);
        let zone = revocation.header.zone_id.clone();
        let (id, link) = self.link_revocation(&mut unit, revocation, &zone, now.unix).map_err(unstorable)?;
        let fields = &revocation.body.fields;
        self.revocations.apply(id, fields);
        self.revocations
            .apply_event(link.0, &link.1)
            .map_err(|_| Failure::new(Code::Internal, "the chain moved"))?;
        let head = self.revocations.head(now.unix);
        let header = ledger::own_header::<RevocationHead>(&zone, now.unix);
        let head = ledger::sign(header, head, &self.keys.signing).map_err(unstorable)?;
        unit.store(&head, &self.keys).map_err(unstorable)?;
        self.revocations.apply_head(&head.body.fields);
        self.drop_revoked(fields, now.unix);
        let entry = Entry::new(AuditEventKind::RevocationIssued, actor).about(id);
        unit.audit(&zone, entry.saying(alloc::format!("{}: {}", fields.scope, fields.reason)));
        unit.then(Then::Chain);
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.withdraw_unsigned(now);
        self.commit(unit);
        self.outputs.push_back(Output::Revoked(Box::new(fields.clone())));
        Ok(())
    }

    /// What still waits and was signed by a key that is revoked now is refused: the journal must not tell of it after the
    /// revocation.
    fn withdraw_unsigned(&mut self, now: Now) {
        let (authority, revocations) = (&self.authority, &self.revocations);
        let gone = self.ledger.withdraw(|then| match then {
            Then::Apply(_, object) => authorize(object, authority, revocations, Some(now.unix)).is_err(),
            Then::Dispatch(_)
            | Then::Ended(..)
            | Then::Answer(..)
            | Then::Settle(..)
            | Then::Seen(_)
            | Then::Chain
            | Then::Rekeyed(_) => false,
        });
        for then in gone {
            self.abandon(then, Code::IssuerKeyRevoked, now);
        }
    }

    fn link_revocation(
        &self,
        unit: &mut Unit<Then>,
        revocation: &Object<Signed<RevocationObject>>,
        zone: &ZoneId,
        now: UnixTime,
    ) -> Result<(ObjectId, (ObjectId, RevocationEvent)), Unstorable> {
        let id = unit.store(revocation, &self.keys)?;
        let event = self.revocations.event(id, now);
        let header = ledger::own_header::<RevocationEvent>(zone, now).with_refs([id]);
        let object = ledger::sign(header, event.clone(), &self.keys.signing)?;
        Ok((id, (unit.store(&object, &self.keys)?, event)))
    }
}

/// An object from outside is made now, give or take the skew of a clock.
pub(super) fn check_time(created_at: UnixTime, now: UnixTime) -> Result<(), Failure> {
    let skew = created_at.saturating_since(now).max(now.saturating_since(created_at));
    if skew > TOKEN_SKEW_SECS {
        return Err(Failure::new(
            Code::OutOfRange,
            alloc::format!("it was made at {created_at}, and now is {now}"),
        ));
    }
    Ok(())
}

/// What the audit chain says of an admitted object.
#[allow(clippy::wildcard_enum_match_arm, reason = "everything else is authority, and says its schema")]
fn described(object: &AnyObject) -> (AuditEventKind, Option<alloc::string::String>) {
    let named = |name: &str| Some(name.to_string());
    match object {
        AnyObject::ApprovalToken(it) => {
            (AuditEventKind::ApprovalDecided, named(it.body.fields.decision.as_str()))
        }
        AnyObject::GrantDenial(_) => (AuditEventKind::ApprovalDecided, named("deny")),
        AnyObject::ConnectorInstall(it) => {
            (AuditEventKind::ConnectorInstalled, named(it.body.fields.connector.as_str()))
        }
        AnyObject::ConnectorState(it) => {
            (AuditEventKind::ConnectorChanged, named(it.body.fields.connector.as_str()))
        }
        AnyObject::OwnerException(it) => {
            (AuditEventKind::ExceptionRecorded, named(it.body.fields.connector.as_str()))
        }
        AnyObject::CredentialRecord(it) if it.body.fields.removed => {
            (AuditEventKind::SecretRemoved, named(it.body.fields.credential.as_str()))
        }
        AnyObject::CredentialRecord(it) => {
            (AuditEventKind::SecretStored, named(it.body.fields.credential.as_str()))
        }
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "everything else is authority, and says its schema"
        )]
        other => (AuditEventKind::AuthorityChanged, Some(other.header().schema.to_string())),
    }
}

/// Adds any object to a unit.
pub(super) fn store_any(
    unit: &mut Unit<Then>,
    object: &AnyObject,
    node: &Node,
) -> Result<ObjectId, Unstorable> {
    unit.store_encoded(&object.store()?, &node.keys)
}
