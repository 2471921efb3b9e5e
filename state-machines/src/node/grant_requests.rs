//! Principals that ask for a grant.

use alloc::boxed::Box;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{AnyObject, AuditEventKind, ConnectorInstall, GrantRequest};
use fcp_proto_core::time::Now;

use super::calls::unstorable;
use super::ledger::{self, Unit};
use super::request::GrantWish;
use super::waiting::MAX_REQUEST_SECS;
use super::{Answer, Failure, Installed, Node, RequestId, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;

impl Node {
    /// Files what a principal wishes for; it gives nothing by itself.
    //= docs/spec/authority.md#asking-for-a-grant
    pub(super) fn file_grant_request(
        &mut self,
        request: RequestId,
        wish: GrantWish,
        now: Now,
    ) -> Result<(), Failure> {
        let session = self.sessions.get(wish.session, &wish.binding, now.unix);
        let session =
            session.ok_or_else(|| Failure::new(Code::Unauthenticated, Code::Unauthenticated.meaning()))?;
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        self.check_reader(&principal, &zone, now.unix)?;
        let ConnectorInstall { interface_hash, code_digest, .. } =
            self.check_wish(&wish, &principal, &zone)?.install;
        let fields = GrantRequest {
            principal: principal.clone(),
            connector: wish.connector,
            operations: wish.operations,
            constraints: wish.constraints,
            lifetime_secs: wish.lifetime_secs,
            note: wish.note,
            requested_at: now.unix,
            expires_at: now.unix.saturating_add(wish.valid_secs.clamp(1, MAX_REQUEST_SECS)),
            interface_hash: Some(interface_hash),
            code_digest: Some(code_digest),
        };
        let mut unit = Unit::new(Class::Normal);
        let header = ledger::own_header::<GrantRequest>(&zone, now.unix);
        let object = ledger::sign(header, fields, &self.keys.signing).map_err(unstorable)?;
        let id = unit.store(&object, &self.keys).map_err(unstorable)?;
        self.filings.admit(&principal, &unit, now.unix)?;
        unit.audit(&zone, Entry::new(AuditEventKind::ApprovalRequested, principal.as_str()).about(id));
        unit.then(Then::Apply(id, Box::new(object.into())));
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.commit(unit);
        Ok(())
    }

    /// What grants, their requests and the ends of roles change here.
    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else is no leave to call")]
    pub(super) fn apply_leave(&mut self, id: ObjectId, object: &AnyObject) {
        match object {
            AnyObject::GrantRequest(it) => {
                let (zone, fields) = (it.header.zone_id.clone(), it.body.fields.clone());
                let key = self.authority.principal(&fields.principal).map(|known| known.key_id);
                self.grant_requests.apply_request(id, zone, key, fields);
            }
            AnyObject::Grant(it) => {
                if let Some(request) = &it.body.fields.request {
                    self.grant_requests.decide(request, id);
                }
            }
            AnyObject::GrantDenial(it) => self.grant_requests.decide(&it.body.fields.request, id),
            // Each call is judged on its grants as they are: a token on a lost one serves nobody, and need not be kept.
            AnyObject::RoleWithdrawal(_) => self.sessions.forget_tokens(),
            _ => {}
        }
    }

    /// The connector that is wished for, if the wish makes sense.
    fn check_wish(
        &self,
        wish: &GrantWish,
        principal: &PrincipalId,
        zone: &ZoneId,
    ) -> Result<&Installed, Failure> {
        let connector = &wish.connector;
        let installed = self.catalog.get(connector).ok_or_else(|| {
            Failure::new(Code::ConnectorUnknown, alloc::format!("{connector} is not installed"))
        })?;
        if !installed.install.zones.contains(zone) {
            let rule = alloc::format!("{connector} is not bound to {zone}");
            return Err(Failure::new(Code::ConnectorNotInZone, rule));
        }
        let unknown = |id: &&OperationId| installed.manifest.operation(id).is_none();
        if let Some(id) = wish.operations.iter().find(unknown) {
            let rule = alloc::format!("{connector} has no operation {id}");
            return Err(Failure::new(Code::OperationUnknown, rule));
        }
        if wish.operations.is_empty() || wish.constraints.is_empty() {
            return Err(Failure::new(Code::ConstraintsEmpty, "empty means none, and nobody asks for none"));
        }
        let most = self.authority.zone(zone).map_or(0, |(_, policy)| policy.max_grant_secs);
        if wish.lifetime_secs == 0 || wish.lifetime_secs > most {
            let rule =
                alloc::format!("a grant of this zone lives 1 to {most} s, not {} s", wish.lifetime_secs);
            return Err(Failure::new(Code::OutOfRange, rule));
        }
        self.check_waiting(principal)?;
        Ok(installed)
    }
}
