//! Takes what the owner and the operators sign.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::limits::TOKEN_SKEW_SECS;
use fcp_proto_core::object::{
    AnyObject, ApprovalToken, AuditEventKind, Grant, Grantee, Object, RevocationEvent, RevocationHead,
    RevocationObject, Signed,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::calls::unstorable;
use super::ledger::{self, Unit, Unstorable};
use super::{Answer, BadInstall, Catalog, Failure, Node, Output, RequestId, Then};
use crate::call::approvals::Undecidable;
use crate::persist::Class;
use crate::trust::audit::Entry;
use crate::trust::authority::{Authority, Signatory, Unauthorized};
use crate::trust::revocation::Revocations;

impl Node {
    pub(super) fn admit(
        &mut self,
        request: RequestId,
        object: AnyObject,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        check_time(object.header().created_at, now.unix)?;
        authorize(&object, &self.authority, &self.revocations)?;
        self.check_content(&object, now.unix)?;
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
        unit.then(Then::Apply(id, Box::new(object)));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.commit(unit);
        Ok(())
    }

    /// Takes all that a ceremony made, as one: the owner's key first, then what hangs from it.
    ///
    /// # Errors
    /// Why the objects found no home; then nothing was taken.
    pub fn found(&mut self, request: RequestId, objects: Vec<AnyObject>, now: Now) -> Result<(), Failure> {
        let now = self.advance(now);
        if self.authority.owner().is_some() {
            return Err(Failure::new(Code::CeremonyDone, Code::CeremonyDone.meaning()));
        }
        let mut unit = Unit::new(Class::Normal);
        let mut authority = Authority::default();
        let mut last = None;
        for object in objects {
            authorize(&object, &authority, &self.revocations)?;
            let id = store_any(&mut unit, &object, self).map_err(unstorable)?;
            authority.apply(id, &object);
            last = Some((id, object.header().zone_id.clone()));
            unit.then(Then::Apply(id, Box::new(object)));
        }
        let (id, zone) = last
            .ok_or_else(|| Failure::new(Code::MissingField, "a ceremony makes at least the owner's key"))?;
        unit.audit(&zone, Entry::new(AuditEventKind::CeremonyCompleted, "owner").about(id));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        self.seal(now);
        Ok(())
    }

    /// A revocation bites before it is durable, and may use the space kept for it.
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
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.commit(unit);
        self.outputs.push_back(Output::Revoked(Box::new(fields.clone())));
        Ok(())
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
    fn check_content(&self, object: &AnyObject, now: UnixTime) -> Result<(), Failure> {
        match object {
            AnyObject::Grant(grant) => self.check_grant(&grant.header.zone_id, &grant.body.fields),
            AnyObject::Enrolment(it) => self.check_zone(&it.header.zone_id),
            AnyObject::ApprovalToken(it) => self.check_decision(&it.body.fields, now),
            AnyObject::ConnectorInstall(it) => {
                Catalog::read(ObjectId::default(), &it.body.fields, now).map(|_| ()).map_err(bad_install)
            }
            AnyObject::ConnectorState(it) => match self.catalog.get(&it.body.fields.connector) {
                Some(_) => Ok(()),
                None => Err(Failure::new(Code::ConnectorUnknown, it.body.fields.connector.to_string())),
            },
            AnyObject::CredentialRecord(it) => self.check_zone(&it.header.zone_id),
            AnyObject::ZonePolicy(it) => {
                let known = self.authority.zone(&it.header.zone_id).map_or(0, |(_, policy)| policy.version);
                if it.body.fields.version > known {
                    Ok(())
                } else {
                    Err(Failure::new(
                        Code::Conflict,
                        alloc::format!("the zone's policy has version {known} already"),
                    ))
                }
            }
            AnyObject::Revocation(it) if it.body.fields.targets.is_empty() => {
                Err(Failure::new(Code::MissingField, "a revocation names at least one target"))
            }
            AnyObject::Revocation(_)
            | AnyObject::ZoneDefinition(_)
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

/// Whether the signature on any signed object gives it force.
pub(super) fn authorize(
    object: &AnyObject,
    authority: &Authority,
    revoked: &Revocations,
) -> Result<(), Failure> {
    fn by<T: Signatory>(
        object: &Object<Signed<T>>,
        authority: &Authority,
        revoked: &Revocations,
    ) -> Result<(), Failure> {
        authority.check(object, revoked).map_err(unauthorized)
    }
    match object {
        AnyObject::OwnerRoot(it) => authority.check_root(it).map_err(unauthorized),
        AnyObject::OperatorDelegation(it) => by(it, authority, revoked),
        AnyObject::NodeAttestation(it) => by(it, authority, revoked),
        AnyObject::Membership(it) => by(it, authority, revoked),
        AnyObject::ZoneDefinition(it) => by(it, authority, revoked),
        AnyObject::ZonePolicy(it) => by(it, authority, revoked),
        AnyObject::Role(it) => by(it, authority, revoked),
        AnyObject::RoleAssignment(it) => by(it, authority, revoked),
        AnyObject::Enrolment(it) => by(it, authority, revoked),
        AnyObject::Grant(it) => by(it, authority, revoked),
        AnyObject::Revocation(it) => by(it, authority, revoked),
        AnyObject::RevocationEvent(it) => by(it, authority, revoked),
        AnyObject::RevocationHead(it) => by(it, authority, revoked),
        AnyObject::ApprovalRequest(it) => by(it, authority, revoked),
        AnyObject::ApprovalToken(it) => by(it, authority, revoked),
        AnyObject::OperationIntent(it) => by(it, authority, revoked),
        AnyObject::OperationReceipt(it) => by(it, authority, revoked),
        AnyObject::DecisionReceipt(it) => by(it, authority, revoked),
        AnyObject::Settlement(it) => by(it, authority, revoked),
        AnyObject::AuditHead(it) => by(it, authority, revoked),
        AnyObject::ConnectorInstall(it) => by(it, authority, revoked),
        AnyObject::ConnectorState(it) => by(it, authority, revoked),
        AnyObject::OwnerException(it) => by(it, authority, revoked),
        AnyObject::CredentialRecord(it) => by(it, authority, revoked),
        AnyObject::CallRecord(_)
        | AnyObject::AuditEvent(_)
        | AnyObject::ContextOpened(_)
        | AnyObject::ContextEntry(_)
        | AnyObject::KeptResult(_) => Ok(()),
    }
}

fn unauthorized(error: Unauthorized) -> Failure {
    let (code, message) = match error {
        Unauthorized::UnknownSigner => (Code::NotPermitted, "no key of this home signed it"),
        Unauthorized::NoRight => (Code::NotPermitted, "the key that signed it does not have the right"),
        Unauthorized::Revoked => (Code::IssuerKeyRevoked, "the key that signed it is revoked"),
        Unauthorized::Signature => (Code::NotPermitted, "its signature does not verify"),
        Unauthorized::OwnerExists => (Code::CeremonyDone, "this home has an owner already"),
    };
    Failure::new(code, message)
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
