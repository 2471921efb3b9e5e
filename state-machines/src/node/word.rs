//! Calls that an operator gives its signed word for.
//!
//! What an agent's call rests on a grant for, such a call rests on the word for: it is leave for one call that follows from
//! it, and that the node alone makes. The gate decides over it as over any other, an intent stands before it and a receipt
//! after it.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, KeyId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::manifest::Operation;
use fcp_proto_core::object::{AnyObject, AuditEventKind, Grant, Grantee, OperatorRight};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::ResourcePattern;

use super::caller::{Caller, How};
use super::calls::{Doubt, unstorable};
use super::ledger::Unit;
use super::tokens::ReadToken;
use super::{CallRequest, CalledBy, Failure, Installed, Node, RequestId, SchemaCheck, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;
use crate::trust::authority::KnownGrant;

/// An operator's word that stands in the place of a grant, for one call.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub id: ObjectId,
    /// What it gives, and who signed it when.
    pub known: KnownGrant,
    pub purpose: Purpose,
}

/// What a word is given for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// To see whether a service takes a credential.
    CredentialTest,
    /// To learn what a call of unknown outcome did.
    OutcomeProbe(Box<Doubt>),
}

impl Purpose {
    /// The right of whoever may give it.
    pub(super) fn right(&self) -> OperatorRight {
        match self {
            Self::CredentialTest => OperatorRight::Auth,
            Self::OutcomeProbe(_) => OperatorRight::Approve,
        }
    }
}

/// A word that the node has judged and is about to store.
pub(super) struct Spoken {
    pub id: ObjectId,
    pub operator: PrincipalId,
    pub signer: KeyId,
    pub zone: ZoneId,
    pub created_at: UnixTime,
    unit: Unit<Then>,
}

/// The one call that a word gives leave for.
pub(super) struct WordCall<'a> {
    pub installed: &'a Installed,
    pub id: &'a OperationId,
    pub operation: &'a Operation,
    pub input: Json,
    pub credentials: BTreeSet<CredentialId>,
}

/// The call, and what the word gives, as a grant that exists for this decision alone.
pub(super) struct Given {
    call: CallRequest,
    grant: Grant,
}

impl Node {
    /// Judges a word, and has it stored and told with whatever follows from it.
    pub(super) fn hear(
        &mut self,
        word: AnyObject,
        (operator, signer): (&PrincipalId, KeyId),
        actor: &str,
        now: UnixTime,
    ) -> Result<Spoken, Failure> {
        let id = self.judge_object(&word, &self.authority, now)?;
        let mut unit = Unit::new(Class::Normal);
        super::admit::store_any(&mut unit, &word, self).map_err(unstorable)?;
        self.remember_taken(id, &word);
        let header = word.header();
        let mut entry = Entry::new(AuditEventKind::AuthorityChanged, actor).about(id);
        entry.detail = Some(header.schema.to_string());
        unit.audit(&header.zone_id, entry);
        let (operator, zone, created_at) = (operator.clone(), header.zone_id.clone(), header.created_at);
        // It changes nothing by itself; but one that the disk refused may be given again.
        unit.then(Then::Apply(id, Box::new(word)));
        Ok(Spoken { id, operator, signer, zone, created_at, unit })
    }

    /// Makes the call that a word gives leave for, if the gate lets it pass.
    pub(super) fn call_by_word(
        &mut self,
        request: RequestId,
        spoken: Spoken,
        Given { call, grant }: Given,
        purpose: Purpose,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let token = self.word_token(&spoken, &grant, now.unix)?;
        let Spoken { id, operator, signer, zone, created_at, unit } = spoken;
        let known = KnownGrant { grant, zone: zone.clone(), signer, created_at };
        let how = How::Word(token, Box::new(Word { id, known, purpose }));
        let judged = self.judge_of(&call, Caller { principal: operator, zone, how }, now, schema)?;
        self.carry_out(request, unit, &call, judged, now)
    }

    /// A token over what the word gives; the gate reads it back as it would a stranger's, and nobody else ever sees it.
    fn word_token(&mut self, spoken: &Spoken, grant: &Grant, now: UnixTime) -> Result<ReadToken, Failure> {
        let most = self.authority.zone(&spoken.zone).map_or(0, |(_, policy)| policy.max_token_secs);
        let carried = |(capability, operation): (&_, &_)| TokenGrant {
            capability: Clone::clone(capability),
            operation: Some(Clone::clone(operation)),
        };
        let claims = Claims {
            token_id: fcp_proto_core::ids::TokenId::from_bytes(self.entropy.bytes()),
            principal_id: spoken.operator.clone(),
            zone_id: spoken.zone.clone(),
            issuer_node: self.node_id.clone(),
            issued_at: now,
            not_before: now,
            expires: now.saturating_add(most).min(grant.expires_at),
            holder: self.key_of(spoken.signer, &spoken.operator)?.into(),
            holder_node: None,
            connector_binary: None,
            instance_id: None,
            checkpoint: None,
            grant_object_ids: [spoken.id].into(),
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

impl Spoken {
    /// What the word gives, for a minute: this call, with this input and these credentials.
    pub(super) fn gives(&self, call: WordCall<'_>, now: UnixTime) -> Result<Given, Failure> {
        let WordCall { installed, id, operation, input, credentials } = call;
        let connector: ConnectorId = installed.install.connector.clone();
        let value = serde_json::Value::from(input.clone());
        let texts = operation.resources(&value, &installed.config).map_err(|error| invalid(&error))?;
        let patterns = texts.iter().map(|text| ResourcePattern::new(text)).collect::<Result<_, _>>();
        let grant = Grant {
            grantee: Grantee::Principal(self.operator.clone()),
            connector: connector.clone(),
            capabilities: [operation.capability.clone()].into(),
            operations: [id.clone()].into(),
            constraints: Constraints {
                resource_allow: patterns.map_err(|error| invalid(&error))?,
                credential_allow: credentials.clone(),
                max_calls: Some(1),
                ..Constraints::default()
            },
            not_before: now,
            expires_at: now.saturating_add(WORD_SECS),
            request: None,
            standing_approval: None,
        };
        let call = CallRequest {
            by: CalledBy::Word(self.id),
            zone: Some(self.zone.clone()),
            connector,
            operation: id.clone(),
            input: Ok(input),
            handles: alloc::vec::Vec::new(),
            credential: credentials.into_iter().next(),
            idempotency_key: None,
            approvals: BTreeSet::new(),
            deadline_ms: None,
            keep: false,
            trace: None,
        };
        Ok(Given { call, grant })
    }
}

fn invalid(why: &dyn ToString) -> Failure {
    let why: String = why.to_string();
    Failure::new(Code::ConfigInvalid, why)
}

/// How long an operator's word for one call can be used. Chosen: longer than any call takes to be decided.
const WORD_SECS: u64 = 60;
