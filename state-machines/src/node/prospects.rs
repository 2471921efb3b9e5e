//! What a grant is good for now, for those who look after grants.

use alloc::format;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId, PrincipalId};
use fcp_proto_core::object::{GateCheck, Grantee, RevocationScope};
use fcp_proto_core::time::UnixTime;

use super::revoked::Rests;
use super::{Node, Refusal};
use crate::call::gate::{self, ProspectFacts, RevocationFacts, SlotFacts};
use crate::trust::authority::KnownGrant;

impl Node {
    /// Why no call at all could be made on a grant now, whatever its token and input, if none could: of all whom it is for
    /// and all that it gives, the refusal that comes latest. How fresh the knowledge of revocations is, is not asked.
    //= docs/spec/authority.md#grants
    pub fn grant_obstacle(&self, id: &ObjectId, known: &KnownGrant, now: UnixTime) -> Option<Refusal> {
        let callers = self.callers(known);
        let pairs =
            callers.iter().flat_map(|caller| known.grant.operations.iter().map(move |it| (*caller, it)));
        let refusals = pairs.map(|(caller, operation)| self.refusal(id, known, caller, operation, now));
        let refusals: Option<Vec<_>> = refusals.collect();
        refusals
            .map(|all| all.into_iter().max_by_key(|refusal| refusal.check).unwrap_or_else(|| nobody(known)))
    }

    /// Those whom a grant is for; of a role, the members that could use it.
    fn callers<'a>(&'a self, known: &'a KnownGrant) -> Vec<&'a PrincipalId> {
        let enrolled_there = |member: &&PrincipalId| {
            self.authority.principal(member).is_some_and(|enrolled| enrolled.zone == known.zone)
        };
        match &known.grant.grantee {
            Grantee::Principal(principal) => Vec::from([principal]),
            Grantee::Role(role) => self.authority.members(role).filter(enrolled_there).collect(),
        }
    }

    /// Why this caller could make no call of the operation on the grant, if it could not.
    fn refusal(
        &self,
        id: &ObjectId,
        known: &KnownGrant,
        principal: &PrincipalId,
        operation: &OperationId,
        now: UnixTime,
    ) -> Option<Refusal> {
        let Some(enrolled) = self.authority.principal(principal) else { return Some(nobody(known)) };
        let grant = self.known_facts(id, known, principal, now);
        let zone = self.zone_facts(&known.zone);
        let connector = self.connector_facts(&known.grant.connector, operation, &known.zone);
        let key = self.keys.issuance.key_id();
        let issuer_key = self.revocations.is_revoked(RevocationScope::IssuerKey, key.as_bytes(), now);
        let revocation = RevocationFacts {
            issuer_key,
            node: self.is_revoked(now),
            ..self.revocation_facts(&known.grant.connector, &known.zone, principal, now)
        };
        let facts = ProspectFacts {
            grant_id: id,
            grant: &grant,
            principal,
            principal_zone: &enrolled.zone,
            operation_id: operation,
            zone: zone.as_ref(),
            connector: connector.as_ref(),
            revocation: &revocation,
            slot: &self.slot_on(known, operation),
        };
        let mut denial = gate::could_serve(&facts, now).err()?;
        let connector = Some(&known.grant.connector);
        let rests = Rests { connector, zone: &known.zone, principal, token: None };
        self.say_what_is_revoked(&mut denial, &rests, now);
        Some(Refusal::from(denial))
    }

    /// Whether calls of an operation that are made on the grant can have the credential that it needs.
    fn slot_on(&self, known: &KnownGrant, operation: &OperationId) -> SlotFacts {
        let connector = &known.grant.connector;
        let manifest = self.catalog.get(connector).map(|installed| &installed.manifest);
        let slot = manifest.and_then(|it| it.operation(operation)?.auth.as_deref());
        let Some(slot) = slot else { return SlotFacts::Filled };
        let stored = self.catalog.credentials_for(connector, &known.zone, slot);
        let allowed = &known.grant.constraints.credential_allow;
        if stored.iter().any(|it| allowed.contains(&it.record.credential)) {
            SlotFacts::Filled
        } else if stored.is_empty() {
            SlotFacts::Empty(slot.into())
        } else {
            SlotFacts::NotAllowed(slot.into())
        }
    }
}

/// There is nobody whom the grant is for.
fn nobody(known: &KnownGrant) -> Refusal {
    let who = match &known.grant.grantee {
        Grantee::Principal(principal) => format!("called {principal}"),
        Grantee::Role(role) => format!("with the role {role}"),
    };
    Refusal {
        check: GateCheck::Grants,
        code: Code::GrantPrincipalMismatch,
        rule: format!("no agent {who} is enrolled in {}", known.zone),
        retry_after_ms: None,
    }
}
