//! Takes what the owner and the operators sign.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::limits::{MAX_ID_BYTES, TOKEN_SKEW_SECS};
use fcp_proto_core::object::{
    AnyObject, ApprovalToken, AuditEventKind, Grant, Grantee, Object, RevocationEvent, RevocationHead,
    RevocationObject, RevocationScope, Signed, ZonePolicy,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::authorize::authorize;
use super::calls::unstorable;
use super::ledger::{self, Unit, Unstorable};
use super::{Answer, BadInstall, Catalog, Failure, Installed, Node, Output, RequestId, Then};
use crate::call::approvals::Undecidable;
use crate::call::rates::{Holder, Limit, Rates};
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
        check_time(object.header().created_at, now.unix)?;
        let signer = authorize(&object, &self.authority, &self.revocations, Some(now.unix))?;
        self.check_content(&object, now.unix)?;
        if signer.is_some_and(|key| self.changing.contains(&key)) {
            return Err(Failure::new(
                Code::Conflict,
                "the rights of the key that signed it are being changed",
            ));
        }
        self.take_once(&object, now.unix)?;
        if let AnyObject::Revocation(revocation) = object {
            return self.admit_revocation(request, &revocation, actor, now);
        }
        let mut unit = Unit::new(Class::Normal);
        let id = store_any(&mut unit, &object, self).map_err(unstorable)?;
        let zone = object.header().zone_id.clone();
        let (kind, detail) = described(&object);
        let mut entry = Entry::new(kind, actor).about(id);
        entry.detail = detail;
        unit.audit(&zone, entry);
        self.hold(id, &object);
        unit.then(Then::Apply(id, Box::new(object)));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.commit(unit);
        Ok(())
    }

    /// An object that was taken, or is being taken, does not come in again: sent once more, an old one would undo a newer.
    fn take_once(&mut self, object: &AnyObject, now: UnixTime) -> Result<(), Failure> {
        let key =
            self.keys.zones.get(&object.header().zone_id).ok_or(Unstorable::NoZoneKey).map_err(unstorable)?;
        let id = object
            .store()
            .and_then(|stored| stored.id(key))
            .map_err(Unstorable::Encoding)
            .map_err(unstorable)?;
        self.taken.retain(|_, until| now <= *until);
        if self.taken.contains_key(&id) {
            return Err(Failure::new(Code::Conflict, "this very object was taken before"));
        }
        self.remember_taken(id, object);
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
            AnyObject::ApprovalToken(it) => self.approvals.hold(&it.body.fields.approval_request, id),
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
            | Then::Chain => false,
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

    /// What an object says must make sense here.
    //= docs/spec/authority.md#taking-objects
    fn check_content(&self, object: &AnyObject, now: UnixTime) -> Result<(), Failure> {
        match object {
            AnyObject::Grant(grant) => self.check_grant(&grant.header.zone_id, &grant.body.fields),
            AnyObject::Enrolment(it) => self.check_zone(&it.header.zone_id),
            AnyObject::ApprovalToken(it) => self.check_decision(&it.body.fields, now),
            AnyObject::ConnectorInstall(it) => {
                let read = Catalog::read(ObjectId::default(), &it.body.fields, now).map_err(bad_install)?;
                check_pools(&read)
            }
            AnyObject::ConnectorState(it) => match self.catalog.get(&it.body.fields.connector) {
                Some(_) => Ok(()),
                None => Err(Failure::new(Code::ConnectorUnknown, it.body.fields.connector.to_string())),
            },
            AnyObject::CredentialRecord(it) => self.check_zone(&it.header.zone_id),
            AnyObject::ZonePolicy(it) => self.check_policy(&it.header.zone_id, &it.body.fields),
            AnyObject::Revocation(it) => self.check_revocation(it.body.signer, &it.body.fields),
            AnyObject::ZoneDefinition(_)
            | AnyObject::Role(_)
            | AnyObject::RoleAssignment(_)
            | AnyObject::OwnerException(_)
            | AnyObject::OperatorDelegation(_) => Ok(()),
            AnyObject::OwnerRoot(_)
            | AnyObject::NodeAttestation(_)
            | AnyObject::Membership(_)
            | AnyObject::RevocationEvent(_)
            | AnyObject::RevocationHead(_)
            | AnyObject::ApprovalRequest(_)
            | AnyObject::CallRecord(_)
            | AnyObject::OperationIntent(_)
            | AnyObject::OperationReceipt(_)
            | AnyObject::DecisionReceipt(_)
            | AnyObject::Settlement(_)
            | AnyObject::AuditEvent(_)
            | AnyObject::AuditHead(_)
            | AnyObject::ContextOpened(_)
            | AnyObject::ContextEntry(_)
            | AnyObject::KeptResult(_) => {
                Err(Failure::new(Code::NotPermitted, "such an object is not taken from outside"))
            }
        }
    }

    fn check_policy(&self, zone: &ZoneId, policy: &ZonePolicy) -> Result<(), Failure> {
        let known = self.authority.zone(zone).map_or(0, |(_, policy)| policy.version);
        if known.checked_add(1) != Some(policy.version) {
            let rule = alloc::format!("the zone's policy has version {known}; the next is one more");
            return Err(Failure::new(Code::Conflict, rule));
        }
        // A budget that could not be counted would bound nothing.
        let mut scratch = Rates::new();
        for budget in &policy.budgets {
            let bad =
                |why: &str| Failure::new(Code::OutOfRange, alloc::format!("budget `{}`: {why}", budget.name));
            let unit = budget.unit.parse().map_err(|_| bad("there is no such unit"))?;
            let limit = Limit::budget(Holder::Zone(zone.clone()), unit, budget.amount, budget.period_secs);
            scratch.set_limit(limit, Now::default()).map_err(|error| bad(&error.to_string()))?;
        }
        if scratch.limits().count() != policy.budgets.len() {
            return Err(Failure::new(Code::OutOfRange, "two budgets have one unit and one period"));
        }
        Ok(())
    }

    fn check_revocation(&self, signer: KeyId, revocation: &RevocationObject) -> Result<(), Failure> {
        if revocation.targets.is_empty() {
            return Err(Failure::new(Code::MissingField, "a revocation names at least one target"));
        }
        let named = |length: usize| match revocation.scope {
            RevocationScope::Capability => length == 16 || length == 32,
            RevocationScope::IssuerKey | RevocationScope::ZoneKey => length == 8,
            RevocationScope::ConnectorBinary => length == 32,
            RevocationScope::NodeAttestation => (1..=MAX_ID_BYTES).contains(&length),
        };
        if !revocation.targets.iter().all(|target| named(target.0.len())) {
            return Err(Failure::new(Code::OutOfRange, "a target is not what its scope names"));
        }
        if revocation.targets.len() > MAX_TARGETS || revocation.reason.len() > MAX_REASON_BYTES {
            return Err(Failure::new(
                Code::OutOfRange,
                "it names too many targets, or its reason is too long",
            ));
        }
        let owner = self.authority.owner().map(|owner| owner.public_key.key_id());
        let of_owner = |target: &ByteString| owner.is_some_and(|key| target.0 == key.as_bytes());
        let takes_owner =
            revocation.scope == RevocationScope::IssuerKey && revocation.targets.iter().any(of_owner);
        if takes_owner && owner != Some(signer) {
            return Err(Failure::new(Code::NotPermitted, "only the owner revokes the owner's key"));
        }
        Ok(())
    }

    fn check_zone(&self, zone: &ZoneId) -> Result<(), Failure> {
        match self.authority.zone(zone) {
            Some(_) => Ok(()),
            None => Err(Failure::new(Code::ZoneUnknown, alloc::format!("there is no zone {zone}"))),
        }
    }

    fn check_grant(&self, zone: &ZoneId, grant: &Grant) -> Result<(), Failure> {
        self.check_zone(zone)?;
        let known = match &grant.grantee {
            Grantee::Principal(principal) => self.authority.principal(principal).is_some(),
            Grantee::Role(role) => self.authority.roles().any(|known| known.role_id == *role),
        };
        if !known {
            return Err(Failure::new(Code::NotFound, "the grantee does not exist"));
        }
        if grant.operations.is_empty() || grant.capabilities.is_empty() || grant.constraints.is_empty() {
            return Err(Failure::new(
                Code::ConstraintsEmpty,
                "a grant names operations, capabilities and constraints; empty means none",
            ));
        }
        let most = self.authority.zone(zone).map_or(0, |(_, policy)| policy.max_grant_secs);
        let life = grant.expires_at.saturating_since(grant.not_before);
        if life == 0 || life > most {
            let rule = alloc::format!("a grant of this zone lives 1 to {most} s, not {life} s");
            return Err(Failure::new(Code::OutOfRange, rule));
        }
        Ok(())
    }

    fn check_decision(&self, token: &ApprovalToken, now: UnixTime) -> Result<(), Failure> {
        let (code, message) = match self.approvals.check_decision(token, now) {
            Ok(_) => return Ok(()),
            Err(Undecidable::Unknown) => (Code::NotFound, "there is no such request"),
            Err(Undecidable::Decided) => (Code::Conflict, "the request was decided before"),
            Err(Undecidable::Expired) => (Code::ApprovalExpired, "the request's time is over"),
            Err(Undecidable::Mismatch) => {
                (Code::ApprovalMismatch, "the decision does not bind what the request names")
            }
        };
        Err(Failure::new(code, message))
    }
}

/// A pool that could not be counted would bound nothing.
fn check_pools(installed: &Installed) -> Result<(), Failure> {
    let mut scratch = Rates::new();
    for pool in &installed.manifest.rate_limits.pools {
        let defined = Limit::declared(&installed.install.connector, pool)
            .is_ok_and(|limit| scratch.set_limit(limit, Now::default()).is_ok());
        if !defined {
            return Err(Failure::new(Code::ManifestInvalid, "a rate pool cannot be counted"));
        }
    }
    Ok(())
}

/// An object from outside is made now, give or take the skew of a clock.
fn check_time(created_at: UnixTime, now: UnixTime) -> Result<(), Failure> {
    let skew = created_at.saturating_since(now).max(now.saturating_since(created_at));
    if skew > TOKEN_SKEW_SECS {
        return Err(Failure::new(
            Code::OutOfRange,
            alloc::format!("it was made at {created_at}, and now is {now}"),
        ));
    }
    Ok(())
}

fn bad_install(bad: BadInstall) -> Failure {
    match bad {
        BadInstall::Manifest(place) => Failure::new(Code::ManifestInvalid, place),
        BadInstall::Mismatch => {
            Failure::new(Code::PackageInvalid, "the manifest is not the one that it names")
        }
        BadInstall::Config(place) => Failure::new(Code::InputInvalid, place),
        BadInstall::Zone(zone) => {
            Failure::new(Code::ConnectorNotInZone, alloc::format!("the manifest does not permit {zone}"))
        }
    }
}

/// What the audit chain says of an admitted object.
#[allow(clippy::wildcard_enum_match_arm, reason = "everything else is authority, and says its schema")]
fn described(object: &AnyObject) -> (AuditEventKind, Option<alloc::string::String>) {
    let named = |name: &str| Some(name.to_string());
    match object {
        AnyObject::ApprovalToken(it) => {
            (AuditEventKind::ApprovalDecided, named(it.body.fields.decision.as_str()))
        }
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
fn store_any(unit: &mut Unit<Then>, object: &AnyObject, node: &Node) -> Result<ObjectId, Unstorable> {
    unit.store_encoded(&object.store()?, &node.keys)
}

/// Targets of one revocation. Chosen: a batch of them fits the space kept for revocations.
const MAX_TARGETS: usize = 1_024;
/// The longest reason of a revocation. Chosen.
const MAX_REASON_BYTES: usize = 4_096;
