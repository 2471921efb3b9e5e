//! Objects take force.

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::AnyObject;
use fcp_proto_core::time::Now;

use super::{Catalog, Node, Output};

impl Node {
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
            AnyObject::CallRecord(it) => self.approvals.apply_record(id, &it.body),
            AnyObject::ApprovalRequest(it) => {
                let principal = it.header.provenance.origin_principal.clone();
                if let Some(principal) = principal {
                    let key = self.authority.principal(&principal).map(|known| known.key_id);
                    let (zone, fields) = (it.header.zone_id.clone(), it.body.fields.clone());
                    self.approvals.apply_request(id, zone, (principal, key), fields);
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
            AnyObject::ZoneDefinition(it) => self.serve_zone_key(&it.header.zone_id, &it.body.fields),
            AnyObject::ContextOpened(it) => self.contexts.apply_opened(&it.body),
            AnyObject::ContextEntry(it) => self.contexts.apply_entry(&it.body),
            AnyObject::OwnerRoot(_)
            | AnyObject::OperatorDelegation(_)
            | AnyObject::NodeAttestation(_)
            | AnyObject::Membership(_)
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
            | AnyObject::OutcomeProbe(_)
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
