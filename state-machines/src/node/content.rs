//! Whether what an object from outside says makes sense here.

use alloc::string::ToString;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId, RoleId, ZoneId};
use fcp_proto_core::limits::MAX_ID_BYTES;
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalToken, ConnectorInstall, ConnectorState, Grant, Grantee, Header,
    NodeAttestation, RevocationObject, RevocationScope, RoleAssignment, RoleWithdrawal, ZoneDefinition,
    ZonePolicy,
};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::zone::{Level, WELL_KNOWN};

use super::{BadInstall, Catalog, Failure, Installed, Node};
use crate::call::approvals::{FiledGrant, Undecidable};
use crate::call::rates::{Holder, Limit, Rates};
use crate::trust::authority::Authority;

/// Judges what objects say.
pub(super) struct Content<'a> {
    /// What is here.
    pub node: &'a Node,
    /// The authority that would be in force when the object is taken.
    pub authority: &'a Authority,
    /// Now.
    pub now: UnixTime,
}

impl Content<'_> {
    /// What an object says must make sense here.
    //= docs/spec/authority.md#taking-objects
    pub(super) fn check(&self, object: &AnyObject) -> Result<(), Failure> {
        match object {
            AnyObject::Grant(it) => {
                self.check_grant(&it.header.zone_id, &it.body.fields)?;
                self.check_standing(&it.header.zone_id, it.body.signer, &it.body.fields)
            }
            AnyObject::GrantDenial(it) => {
                let waiting = self.node.grant_requests.waiting(&it.body.fields.request, self.now);
                waiting.map(|_| ()).map_err(undecidable)
            }
            AnyObject::Enrolment(it) => {
                self.check_zone(&it.header.zone_id)?;
                self.check_name(&it.body.fields.principal)
            }
            AnyObject::ApprovalToken(it) => self.check_decision(&it.body.fields),
            AnyObject::ConnectorInstall(it) => {
                self.check_binary(&it.body.fields)?;
                let read =
                    Catalog::read(ObjectId::default(), &it.body.fields, self.now).map_err(bad_install)?;
                check_pools(&read)
            }
            AnyObject::ConnectorState(it) => self.check_state(&it.body.fields),
            AnyObject::CredentialRecord(it) => self.check_zone(&it.header.zone_id),
            AnyObject::ZonePolicy(it) => self.check_policy(&it.header.zone_id, &it.body.fields),
            AnyObject::Revocation(it) => self.check_revocation(it.body.signer, &it.body.fields),
            AnyObject::ZoneDefinition(it) => self.check_definition(&it.header.zone_id, &it.body.fields),
            AnyObject::RoleAssignment(it) => self.check_assignment(&it.body.fields),
            AnyObject::RoleWithdrawal(it) => self.check_withdrawal(&it.body.fields),
            AnyObject::NodeAttestation(it) => self.check_renewal(&it.header, &it.body.fields),
            AnyObject::OperatorDelegation(it) => match self.authority.principal(&it.body.fields.operator) {
                None => Ok(()),
                Some(_) => Err(Failure::new(Code::Conflict, "an agent has this name")),
            },
            AnyObject::CredentialTest(it) => self.check_zone(&it.header.zone_id),
            AnyObject::OutcomeProbe(it) => self.check_zone(&it.header.zone_id),
            AnyObject::Role(_) | AnyObject::OwnerException(_) => Ok(()),
            AnyObject::OwnerRoot(_)
            | AnyObject::Membership(_)
            | AnyObject::GrantRequest(_)
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

    /// A name speaks for one key holder: what an operator does is never an agent's.
    fn check_name(&self, name: &PrincipalId) -> Result<(), Failure> {
        if self.authority.operators().values().any(|it| it.operator == *name) {
            return Err(Failure::new(Code::Conflict, "an operator has this name"));
        }
        Ok(())
    }

    /// A zone's levels are what its labels rest on: they never change, and none but the owner's zone reaches its height.
    //= docs/spec/authority.md#zones
    fn check_definition(&self, zone: &ZoneId, definition: &ZoneDefinition) -> Result<(), Failure> {
        let ZoneDefinition { integrity, confidentiality, description, key: _ } = definition;
        if description.len() > MAX_TEXT_BYTES {
            return Err(Failure::new(Code::OutOfRange, "the description is too long"));
        }
        let known = self.authority.definition(zone).map(|it| (it.integrity, it.confidentiality));
        let level = WELL_KNOWN.iter().find(|(name, _)| *name == zone.as_str()).map(|(_, level)| *level);
        match known.or(level.map(|level| (level, level))) {
            Some(levels) if levels != (*integrity, *confidentiality) => {
                Err(Failure::new(Code::Conflict, "the levels of a zone never change"))
            }
            None if *integrity.max(confidentiality) >= Level::OWNER => {
                Err(Failure::new(Code::OutOfRange, "only z:owner has the owner's level"))
            }
            Some(_) | None => self.node.check_zone_key(zone, definition, self.authority, self.now),
        }
    }

    //= docs/spec/authority.md#roles
    fn check_assignment(&self, assigned: &RoleAssignment) -> Result<(), Failure> {
        if self.authority.role(&assigned.role_id).is_none() {
            return Err(no_role(&assigned.role_id));
        }
        match self.authority.principal(&assigned.principal) {
            Some(_) => Ok(()),
            None => {
                let why = alloc::format!("there is no agent {}", assigned.principal);
                Err(Failure::new(Code::NotFound, why))
            }
        }
    }

    //= docs/spec/authority.md#roles
    fn check_withdrawal(&self, withdrawn: &RoleWithdrawal) -> Result<(), Failure> {
        let RoleWithdrawal { role_id, principal, .. } = withdrawn;
        if self.authority.role(role_id).is_none() {
            return Err(no_role(role_id));
        }
        match principal {
            Some(principal) if !self.authority.names(&Grantee::Role(role_id.clone()), principal) => {
                let why = alloc::format!("{principal} does not have the role {role_id}");
                Err(Failure::new(Code::NotFound, why))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The owner attests longer what is attested already; nothing else of an attestation changes.
    //= docs/spec/authority.md#renewal
    fn check_renewal(&self, header: &Header, renewed: &NodeAttestation) -> Result<(), Failure> {
        let known = self.authority.node(renewed.signing_key.key_id());
        let known = known.ok_or_else(|| Failure::new(Code::NotFound, "no node has this key"))?;
        if self.authority.is_attestation_revoked(known, &self.node.revocations, self.now) {
            let rule = "the node is revoked, and a longer word for the same keys would not change that";
            return Err(Failure::new(Code::NodeRevoked, rule));
        }
        let same = NodeAttestation { expires_at: known.expires_at, nonce: known.nonce, ..renewed.clone() };
        if same != *known {
            return Err(Failure::new(Code::Conflict, "a renewal changes nothing but the end"));
        }
        let most = header.created_at.saturating_add(MAX_ATTESTATION_SECS);
        if renewed.expires_at <= known.expires_at || renewed.expires_at > most {
            let rule = alloc::format!("it ends after {} and at the latest at {most}", known.expires_at);
            return Err(Failure::new(Code::OutOfRange, rule));
        }
        Ok(())
    }

    fn check_policy(&self, zone: &ZoneId, policy: &ZonePolicy) -> Result<(), Failure> {
        if self.authority.definition(zone).is_none() {
            return Err(Failure::new(Code::ZoneUnknown, alloc::format!("there is no zone {zone}")));
        }
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

    /// What is revoked is neither installed nor enabled: no call would reach it. It is disabled and removed as ever.
    //= docs/spec/authority.md#taking-objects
    fn check_binary(&self, install: &ConnectorInstall) -> Result<(), Failure> {
        match self.node.binary_revoked(install, self.now) {
            Some(rule) => Err(Failure::new(Code::ConnectorRevoked, rule)),
            None => Ok(()),
        }
    }

    fn check_state(&self, state: &ConnectorState) -> Result<(), Failure> {
        let ConnectorState { connector, enabled, removed, .. } = state;
        match self.node.catalog.get(connector) {
            None => Err(Failure::new(Code::ConnectorUnknown, alloc::format!("{connector} is not installed"))),
            Some(installed) if *enabled && !*removed => self.check_binary(&installed.install),
            Some(_) => Ok(()),
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
        self.check_grantee(zone, &grant.grantee)?;
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
        self.check_answer(zone, grant)?;
        grant.request.as_ref().map_or(Ok(()), |request| self.check_asker(request))
    }

    /// Whoever gets a grant exists and calls in its zone: an agent does in no other than its own. A role's members may be of
    /// any zone, and others may come.
    fn check_grantee(&self, zone: &ZoneId, grantee: &Grantee) -> Result<(), Failure> {
        match grantee {
            Grantee::Role(role) => self.authority.role(role).map(|_| ()).ok_or_else(|| no_role(role)),
            Grantee::Principal(principal) => {
                let absent = || Failure::new(Code::NotFound, alloc::format!("there is no agent {principal}"));
                let enrolled = &self.authority.principal(principal).ok_or_else(absent)?.zone;
                if enrolled == zone {
                    return Ok(());
                }
                let rule = alloc::format!("{principal} is enrolled in {enrolled} and calls in no other zone");
                Err(Failure::new(Code::ZoneMismatch, rule))
            }
        }
    }

    /// A standing approval is given over a request for approval, by one who may approve, of the connector as it is.
    //= docs/spec/authority.md#standing-approvals
    fn check_standing(&self, zone: &ZoneId, signer: KeyId, grant: &Grant) -> Result<(), Failure> {
        let Some(standing) = &grant.standing_approval else { return Ok(()) };
        self.node.approvals.check_standing(zone, grant, standing, self.now).map_err(undecidable)?;
        if !self.node.may_approve(signer, self.now) {
            return Err(Failure::new(Code::NotPermitted, "the key that signed the grant may not approve"));
        }
        if self.node.catalog.is_as_approved(&grant.connector, standing) {
            return Ok(());
        }
        let rule = alloc::format!(
            "{} was changed, configured anew or removed after the request was filed",
            grant.connector
        );
        Err(Failure::new(Code::ConnectorChanged, rule))
    }

    /// A grant that says which request it answers does answer it.
    fn check_answer(&self, zone: &ZoneId, grant: &Grant) -> Result<(), Failure> {
        match &grant.request {
            Some(request) if self.node.approvals.request(request).is_none() => {
                let requests = &self.node.grant_requests;
                requests.check_grant(request, zone, grant, self.now).map_err(undecidable)?;
                requests.waiting(request, self.now).map_err(undecidable).and_then(|it| self.check_same(it))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The connector is still what the request was filed for.
    //= docs/spec/authority.md#asking-for-a-grant
    fn check_same(&self, filed: &FiledGrant) -> Result<(), Failure> {
        if self.node.catalog.is_as_filed(&filed.request) {
            return Ok(());
        }
        let connector = &filed.request.connector;
        let rule = alloc::format!("{connector} was changed or removed after the request was filed");
        Err(Failure::new(Code::ConnectorChanged, rule))
    }

    fn check_decision(&self, token: &ApprovalToken) -> Result<(), Failure> {
        self.node.approvals.check_decision(token, self.now).map_err(undecidable)?;
        match token.decision {
            ApprovalDecision::Approve => self.check_asker(&token.approval_request),
            ApprovalDecision::Deny => Ok(()),
        }
    }

    /// Whoever asked is still who asked.
    //= docs/spec/calls.md#void-requests
    fn check_asker(&self, request: &ObjectId) -> Result<(), Failure> {
        let void = self.node.why_void(request, self.now);
        void.map_or(Ok(()), |why| Err(Failure::new(Code::Conflict, why)))
    }
}

fn no_role(role: &RoleId) -> Failure {
    Failure::new(Code::NotFound, alloc::format!("there is no role {role}"))
}

fn undecidable(why: Undecidable) -> Failure {
    let (code, message) = match why {
        Undecidable::Unknown => (Code::NotFound, "there is no such request"),
        Undecidable::Decided => (Code::Conflict, "the request was decided before"),
        Undecidable::Expired => (Code::ApprovalExpired, "the request's time is over"),
        Undecidable::Mismatch => {
            (Code::ApprovalMismatch, "the decision does not bind what the request names, or gives more")
        }
    };
    Failure::new(code, message)
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

/// Targets of one revocation. Chosen: a batch of them fits the space kept for revocations.
const MAX_TARGETS: usize = 1_024;
/// The longest reason of a revocation. Chosen.
const MAX_REASON_BYTES: usize = 4_096;
/// The longest description of a zone. Chosen.
const MAX_TEXT_BYTES: usize = 4_096;
/// The longest that a renewal attests a node for, from when it was signed: a leap year.
pub(super) const MAX_ATTESTATION_SECS: u64 = 366 * 86_400;
