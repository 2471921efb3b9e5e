//! One harmless call that an operator makes to see whether a service takes a credential.
//!
//! It is a call like any other: the gate decides, an intent stands before it and a receipt after it. What an agent's call
//! rests on a grant for, this rests on the operator's signed word for: one call of the connector's health operation, with
//! an empty input and that credential, within a minute. Spec: `docs/spec/authority.md#testing-a-credential`.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::manifest::Operation;
use fcp_proto_core::object::{
    AnyObject, AuditEventKind, CredentialRecord, CredentialTest, Grant, Grantee, Object, Signed,
};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::ResourcePattern;
use fcp_proto_core::zone::SafetyTier;

use super::caller::{Caller, How, Word};
use super::calls::unstorable;
use super::ledger::Unit;
use super::tokens::ReadToken;
use super::{CallRequest, CalledBy, Failure, Installed, Node, RequestId, SchemaCheck};
use crate::persist::Class;
use crate::trust::audit::Entry;
use crate::trust::authority::KnownGrant;

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
        let operator = test.body.fields.operator.clone();
        let signer = test.body.signer;
        let object = AnyObject::from(test);
        let id = self.judge_object(&object, &self.authority, now.unix)?;
        let mut unit = Unit::new(Class::Normal);
        super::admit::store_any(&mut unit, &object, self).map_err(unstorable)?;
        self.remember_taken(id, &object);
        let AnyObject::CredentialTest(test) = &object else { return Ok(()) };
        let zone = test.header.zone_id.clone();
        let (call, grant) = self.probe(id, test, now.unix)?;
        let token = self.probe_token(id, &grant, signer, test, now.unix)?;
        let known = KnownGrant { grant, zone: zone.clone(), signer, created_at: test.header.created_at };
        let mut entry = Entry::new(AuditEventKind::AuthorityChanged, actor).about(id);
        entry.detail = Some(object.header().schema.to_string());
        unit.audit(&zone, entry);
        let how = How::Word(token, Box::new(Word { id, known }));
        let judged = self.judge_of(&call, Caller { principal: operator, zone, how }, now, schema)?;
        self.carry_out(request, unit, &call, judged, now)
    }

    /// The call that tests the credential, and what the operator's word gives, as a grant that exists for this decision
    /// alone.
    fn probe(
        &self,
        id: ObjectId,
        test: &Object<Signed<CredentialTest>>,
        now: UnixTime,
    ) -> Result<(CallRequest, Grant), Failure> {
        let (name, zone) = (&test.body.fields.credential, &test.header.zone_id);
        let credential =
            self.catalog.credentials().find(|it| it.record.credential == *name && it.zone == *zone);
        let credential = credential.ok_or_else(|| {
            Failure::new(Code::NotFound, alloc::format!("there is no credential {name} in {zone}"))
        })?;
        let (installed, health, operation) = self.health_operation(&credential.record)?;
        let texts = operation.resources(&serde_json::Value::from(empty()), &installed.config);
        let invalid = |why: &dyn ToString| Failure::new(Code::ConfigInvalid, why.to_string());
        let resources = texts.map_err(|error| invalid(&error))?;
        let patterns = resources.iter().map(|text| ResourcePattern::new(text)).collect::<Result<_, _>>();
        let grant = Grant {
            grantee: Grantee::Principal(test.body.fields.operator.clone()),
            connector: credential.record.connector.clone(),
            capabilities: [operation.capability.clone()].into(),
            operations: [health.clone()].into(),
            constraints: Constraints {
                resource_allow: patterns.map_err(|error| invalid(&error))?,
                credential_allow: [name.clone()].into(),
                max_calls: Some(1),
                ..Constraints::default()
            },
            not_before: now,
            expires_at: now.saturating_add(TEST_SECS),
            request: None,
        };
        Ok((probe_call(id, &credential.record, zone, health), grant))
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

    /// A token over that grant; the gate reads it back as it would a stranger's, and nobody else ever sees it.
    fn probe_token(
        &mut self,
        id: ObjectId,
        grant: &Grant,
        signer: KeyId,
        test: &Object<Signed<CredentialTest>>,
        now: UnixTime,
    ) -> Result<ReadToken, Failure> {
        let zone = test.header.zone_id.clone();
        let most = self.authority.zone(&zone).map_or(0, |(_, policy)| policy.max_token_secs);
        let carried = |(capability, operation): (&_, &_)| TokenGrant {
            capability: Clone::clone(capability),
            operation: Some(Clone::clone(operation)),
        };
        let claims = Claims {
            token_id: TokenId::from_bytes(self.entropy.bytes()),
            principal_id: test.body.fields.operator.clone(),
            zone_id: zone,
            issuer_node: self.node_id.clone(),
            issued_at: now,
            not_before: now,
            expires: now.saturating_add(most).min(grant.expires_at),
            holder: self.key_of(signer, &test.body.fields.operator)?.into(),
            holder_node: None,
            connector_binary: None,
            instance_id: None,
            checkpoint: None,
            grant_object_ids: [id].into(),
            grants: grant.capabilities.iter().zip(&grant.operations).map(carried).collect(),
            constraints: grant.constraints.clone(),
        };
        let token = Token::mint(claims, &self.keys.issuance);
        let token = token.map_err(|error| Failure::new(Code::Internal, alloc::format!("{error:?}")))?;
        Ok(self.read_token(token.as_bytes()))
    }

    /// The key that signed, as the holder of a token, if it is that operator's.
    fn key_of(
        &self,
        signer: KeyId,
        operator: &PrincipalId,
    ) -> Result<VerifyingKey<fcp_proto_core::crypto::role::Agent>, Failure> {
        let own = self.authority.operators().get(&signer).filter(|it| it.operator == *operator);
        let own =
            own.ok_or_else(|| Failure::new(Code::NotPermitted, "it names another operator than signed it"))?;
        VerifyingKey::from_bytes(own.public_key.as_bytes())
            .map_err(|error| Failure::new(Code::Internal, alloc::format!("{error:?}")))
    }
}

fn probe_call(word: ObjectId, record: &CredentialRecord, zone: &ZoneId, health: &OperationId) -> CallRequest {
    CallRequest {
        by: CalledBy::Word(word),
        zone: Some(zone.clone()),
        connector: record.connector.clone(),
        operation: health.clone(),
        input: Ok(empty()),
        handles: Vec::new(),
        credential: Some(record.credential.clone()),
        idempotency_key: None,
        approvals: alloc::collections::BTreeSet::new(),
        deadline_ms: None,
        keep: false,
        trace: None,
    }
}

fn empty() -> Json {
    Json::Object(Default::default())
}

/// How long an operator's word for a test can be used. Chosen: longer than any health operation takes to be decided.
const TEST_SECS: u64 = 60;
