//! What a grant is good for now, for those who look after grants.

use alloc::format;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId, PrincipalId};
use fcp_proto_core::object::{GateCheck, Grantee};
use fcp_proto_core::time::UnixTime;

use super::{Node, Refusal};
use crate::call::gate::{self, ProspectFacts};
use crate::trust::authority::KnownGrant;

impl Node {
    /// Why no call at all could be made on a grant now, whatever its token and input, if none could: of all whom it is for
    /// and all that it gives, the refusal that comes latest.
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
        let facts = ProspectFacts {
            grant_id: id,
            grant: &grant,
            principal,
            principal_zone: &enrolled.zone,
            operation_id: operation,
            zone: zone.as_ref(),
            connector: connector.as_ref(),
            zone_key_revoked: self.is_zone_revoked(&known.zone, now),
        };
        gate::could_serve(&facts, now).err().map(Refusal::from)
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
