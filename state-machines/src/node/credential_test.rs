//! One harmless call that an operator makes to see whether a service takes a credential: one call of the connector's health
//! operation, with an empty input and that credential. Spec: `docs/spec/authority.md#testing-a-credential`.

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CredentialId, OperationId};
use fcp_proto_core::manifest::Operation;
use fcp_proto_core::object::{AnyObject, CredentialRecord, CredentialTest, Object, Signed};
use fcp_proto_core::time::Now;
use fcp_proto_core::zone::SafetyTier;

use super::word::{Given, Purpose, Spoken, WordCall};
use super::{Failure, Installed, Node, RequestId, SchemaCheck};

impl Node {
    //= docs/spec/authority.md#testing-a-credential
    pub(super) fn test_credential(
        &mut self,
        request: RequestId,
        test: Object<Signed<CredentialTest>>,
        actor: &str,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let (CredentialTest { operator, credential }, signer) = (test.body.fields.clone(), test.body.signer);
        let spoken = self.hear(AnyObject::from(test), (&operator, signer), actor, now.unix)?;
        let given = self.trial(&spoken, &credential, now)?;
        self.call_by_word(request, spoken, given, Purpose::CredentialTest, now, schema)
    }

    /// The call that tests the credential.
    fn trial(&self, spoken: &Spoken, name: &CredentialId, now: Now) -> Result<Given, Failure> {
        let zone = &spoken.zone;
        let credential =
            self.catalog.credentials().find(|it| it.record.credential == *name && it.zone == *zone);
        let credential = credential.ok_or_else(|| {
            Failure::new(Code::NotFound, alloc::format!("there is no credential {name} in {zone}"))
        })?;
        let (installed, id, operation) = self.health_operation(&credential.record)?;
        let (input, credentials) = (Json::Object(Default::default()), [name.clone()].into());
        spoken.gives(WordCall { installed, id, operation, input, credentials }, now.unix)
    }

    /// The connector's declared health operation, if a credential can be tested with it.
    fn health_operation(
        &self,
        record: &CredentialRecord,
    ) -> Result<(&Installed, &OperationId, &Operation), Failure> {
        let CredentialRecord { connector, slot, .. } = record;
        let installed = self.catalog.get(connector).ok_or_else(|| {
            Failure::new(Code::ConnectorUnknown, alloc::format!("{connector} is not installed"))
        })?;
        let health = installed.manifest.lifecycle.health.as_ref();
        let named = health.and_then(|id| Some((id, installed.manifest.operation(id)?)));
        let (health, operation) = named.ok_or_else(|| {
            let rule = alloc::format!("the manifest of {connector} names no health operation");
            Failure::new(Code::OperationUnknown, rule)
        })?;
        if operation.safety != SafetyTier::Safe {
            return Err(Failure::new(Code::NotPermitted, "the health operation is not safe"));
        }
        if operation.auth.as_deref() != Some(slot.as_str()) {
            let rule = alloc::format!("the health operation {health} does not use the slot `{slot}`");
            return Err(Failure::new(Code::OperationUnknown, rule));
        }
        Ok((installed, health, operation))
    }
}
