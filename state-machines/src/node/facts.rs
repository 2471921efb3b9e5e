//! Gathers what the gate reads.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::{self, ToCbor};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CredentialId, Digest, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{CallDigestInput, GateCheck, OperatorRight, RevocationScope};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::token::resource::Resource;
use fcp_proto_core::zone::Label;

use super::{CallRequest, Failure, Installed, Node, SchemaCheck};
use crate::call::gate::{
    self, ApprovalFacts, Decision, Facts, FlowFacts, GrantFacts, HandleFacts, HolderFacts, InputFacts,
    KeyFacts, LeaseFacts, RateFacts, RevocationFacts, TokenFacts, ZoneFacts,
};
use crate::call::idempotency::{Fresh, IdempotencyKey, Scope, Standing};
use crate::call::rates::{Caller, Fits, LimitId, PoolName, Usage, Why};
use crate::trust::authority::Duty;

/// A call with everything that its decision needs.
pub(super) struct Prepared {
    pub facts: Facts,
    /// The free key, if a key was given and is free.
    pub fresh: Option<Fresh>,
    /// The room in pools and budgets, if there is.
    pub fits: Option<Fits>,
}

/// Who makes a call, and by what leave.
pub(super) struct Speaker {
    /// Who.
    pub principal: PrincipalId,
    /// The zone it belongs to.
    pub zone: ZoneId,
    /// Its token for the operation.
    pub token: TokenFacts,
    /// What is known of the grants that the token names.
    pub grants: BTreeMap<ObjectId, GrantFacts>,
}

impl Node {
    /// The label of whoever has read nothing: trusted as the zone, secret to no one.
    pub(super) fn fresh_label(&self, zone: &ZoneId) -> Label {
        self.authority.zone(zone).map_or_else(Label::default, |(it, _)| Label::trusted(it.integrity))
    }

    pub(super) fn prepare(
        &mut self,
        call: &CallRequest,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<Prepared, Failure> {
        let session = self.sessions.get(call.session, &call.binding, now.unix);
        let Some(session) = session else {
            self.refusals.count();
            return Err(Failure::new(Code::Unauthenticated, "there is no such session on this connection"));
        };
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        let tokens = self.tokens_for(call.session, &call.connector, &call.operation, now.unix);
        let several = tokens.len() > 1;
        let mut first = None;
        //= docs/spec/sessions.md#minting
        for token in tokens {
            let grants = self.grant_facts(&token, &principal, now.unix);
            let speaker = Speaker { principal: principal.clone(), zone: zone.clone(), token, grants };
            let prepared = self.prepare_for(call, speaker, now, schema)?;
            if !several || !refused_by_its_token(&prepared.facts, now.unix) {
                return Ok(prepared);
            }
            first.get_or_insert(prepared);
        }
        let token = TokenFacts::Absent;
        let nothing = Speaker { principal, zone, token, grants: BTreeMap::new() };
        first.map_or_else(|| self.prepare_for(call, nothing, now, schema), Ok)
    }

    /// As [`Node::prepare`], for someone who is known and whose token is read.
    pub(super) fn prepare_for(
        &mut self,
        call: &CallRequest,
        speaker: Speaker,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<Prepared, Failure> {
        let Speaker { principal, zone: principal_zone, token, grants } = speaker;
        let zone_id = call.zone.clone().unwrap_or_else(|| principal_zone.clone());
        self.handles_permitted(call, &principal, &zone_id)?;
        let credentials = self.credentials(call, &zone_id)?;
        let input = self.input_facts(call, &principal, &zone_id, &credentials);
        let (schema, input) = match input {
            Ok(input) => (schema.check(&call.connector, &call.operation, &input.json), Ok(input)),
            Err(Unreadable::Input(code)) => (Ok(()), Err(code)),
            Err(Unreadable::Resource(input, why)) => (Err(why), Ok(*input)),
        };
        let digest = input.as_ref().map_or_else(|_| Digest::default(), |input| input.call_digest);
        let scope = key_scope(call, &principal, &zone_id)?;
        let (key, fresh) = self.key_facts(scope, digest, now)?;
        let (rates, fits) = self.rate_facts(call, &principal, &zone_id, &credentials, grants.keys(), now);
        self.certify_alone(now.unix);
        let facts = Facts {
            revocation: self.revocation_facts(call, &zone_id, &token, &principal, now.unix),
            holder: HolderFacts::Proved(principal.clone()),
            zone: self.zone_facts(&zone_id),
            connector: self.connector_facts(call, &zone_id),
            flow: self.flow_facts(call, &principal, &zone_id),
            approvals: self.approval_facts(&digest, now.unix),
            connector_id: call.connector.clone(),
            operation_id: call.operation.clone(),
            idempotency_key: call.idempotency_key.clone(),
            lease: LeaseFacts::NotNeeded,
            zone_id,
            principal_zone,
            principal,
            input,
            token,
            grants,
            key,
            schema,
            rates,
        };
        Ok(Prepared { facts, fresh, fits })
    }

    /// A kept result may be used only by whoever made the call that produced it, in its zone.
    //= docs/spec/labels.md#contexts
    fn handles_permitted(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
    ) -> Result<(), Failure> {
        let foreign =
            call.handles.iter().find(|handle| handle.principal != *principal || handle.zone != *zone);
        match foreign {
            Some(handle) => {
                Err(Failure::new(Code::NotFound, alloc::format!("there is no result {}", handle.result)))
            }
            None => Ok(()),
        }
    }

    /// The credentials that the operation's slot needs: the one named, or the only one there is.
    fn credentials(&self, call: &CallRequest, zone: &ZoneId) -> Result<BTreeSet<CredentialId>, Failure> {
        let slot = self
            .catalog
            .get(&call.connector)
            .and_then(|installed| installed.manifest.operation(&call.operation))
            .and_then(|operation| operation.auth.as_deref());
        let Some(slot) = slot else { return Ok(BTreeSet::new()) };
        let stored = self.catalog.credentials_for(&call.connector, zone, slot);
        let chosen: Vec<_> = match &call.credential {
            Some(named) => stored.into_iter().filter(|it| it.record.credential == *named).collect(),
            None => stored,
        };
        match chosen.as_slice() {
            [] => Err(Failure::new(
                Code::CredentialMissing,
                alloc::format!("no credential fills the slot `{slot}` of {} in {zone}", call.connector),
            )),
            [only] => Ok([only.record.credential.clone()].into()),
            [_, _, ..] => Err(Failure::new(Code::Ambiguous, "several credentials fill the slot; name one")),
        }
    }

    fn input_facts(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
        credentials: &BTreeSet<CredentialId>,
    ) -> Result<InputFacts, Unreadable> {
        let json = call.input.clone().map_err(Unreadable::Input)?;
        let canonical = json.to_canonical();
        let resources =
            self.catalog.get(&call.connector).map_or(Ok(Vec::new()), |it| resources(it, call, &json));
        let digest = |resources: &[Resource]| {
            let list = CallDigestInput {
                format: 1,
                zone: zone.clone(),
                principal: principal.clone(),
                connector: call.connector.clone(),
                operation: call.operation.clone(),
                input: canonical.clone(),
                resources: resources.iter().map(|it| it.as_str().into()).collect(),
                credentials: credentials.clone(),
                idempotency_key: call.idempotency_key.clone(),
            };
            list.digest().map_err(|_| Unreadable::Input(Code::InputTooLarge))
        };
        let facts = |resources: Vec<Resource>| {
            Ok(InputFacts {
                call_digest: digest(&resources)?,
                json: json.clone(),
                canonical: canonical.clone(),
                resources,
                credentials: credentials.clone(),
            })
        };
        match resources {
            Ok(resources) => facts(resources),
            Err(why) => Err(Unreadable::Resource(alloc::boxed::Box::new(facts(Vec::new())?), why)),
        }
    }

    fn key_facts(
        &self,
        scope: Option<Scope>,
        digest: Digest,
        now: Now,
    ) -> Result<(KeyFacts, Option<Fresh>), Failure> {
        let Some(scope) = scope else { return Ok((KeyFacts::Fresh, None)) };
        match self.keys_used.check(scope, digest, now) {
            Ok(fresh) => Ok((KeyFacts::Fresh, Some(fresh))),
            Err(Standing::Replay { receipt }) => Ok((KeyFacts::Completed(receipt), None)),
            Err(Standing::Conflict) => Ok((KeyFacts::OtherCall, None)),
            Err(Standing::InProgress { .. }) => Ok((KeyFacts::InProgress, None)),
            Err(Standing::Unknown { intent }) => Ok((KeyFacts::Unknown(intent), None)),
            Err(Standing::Full) => {
                Err(Failure::new(Code::Exhausted, "too many idempotency keys are remembered"))
            }
        }
    }

    fn grant_facts(
        &self,
        token: &TokenFacts,
        principal: &PrincipalId,
        now: UnixTime,
    ) -> BTreeMap<ObjectId, GrantFacts> {
        let TokenFacts::Decoded { claims, .. } = token else { return BTreeMap::new() };
        let known = |id: &ObjectId| {
            let known = self.authority.grant_by_id(id)?;
            let used = self.grant_use.get(id).copied().unwrap_or_default();
            let duty = Duty::Operator(OperatorRight::Grant);
            let signer = self.authority.key_for(known.signer, duty, known.created_at, &self.revocations);
            let signer_revoked =
                self.revocations.is_revoked(RevocationScope::IssuerKey, known.signer.as_bytes(), now);
            Some(GrantFacts {
                grant: known.grant.clone(),
                zone_id: known.zone.clone(),
                signer_valid: signer.is_ok() && !signer_revoked,
                revoked: self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now),
                names_principal: self.authority.names(&known.grant.grantee, principal),
                calls_used: used.calls,
                bytes_used: used.bytes,
            })
        };
        claims.grant_object_ids.iter().filter_map(|id| Some((*id, known(id)?))).collect()
    }

    fn rate_facts<'a>(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
        credentials: &BTreeSet<CredentialId>,
        grants: impl Iterator<Item = &'a ObjectId>,
        now: Now,
    ) -> (RateFacts, Option<Fits>) {
        let operation =
            self.catalog.get(&call.connector).and_then(|it| it.manifest.operation(&call.operation));
        let named = operation.map_or(&[][..], |operation| operation.rate_pools.as_slice());
        let pools: Vec<_> = named.iter().filter_map(|name| PoolName::new(name.as_str()).ok()).collect();
        let (credentials, grants): (Vec<_>, Vec<_>) =
            (credentials.iter().cloned().collect(), grants.copied().collect());
        let caller = Caller {
            connector: &call.connector,
            zone,
            principal,
            credentials: &credentials,
            grants: &grants,
        };
        match self.rates.check(self.rates.demands(&pools, &caller, Usage::CALL), now) {
            Ok(fits) => (RateFacts::Room, Some(fits)),
            Err(exceeded) => (exceeded_facts(&exceeded.limit, exceeded.why), None),
        }
    }

    fn revocation_facts(
        &self,
        call: &CallRequest,
        zone: &ZoneId,
        token: &TokenFacts,
        principal: &PrincipalId,
        now: UnixTime,
    ) -> RevocationFacts {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let node = |id: &str| revoked(RevocationScope::NodeAttestation, id.as_bytes());
        let holder = self.authority.principal(principal).map(|it| it.key_id);
        let (token_revoked, issuer_key, issuer_node) = match token {
            TokenFacts::Decoded { claims, .. } => {
                let key = self.keys.issuance.key_id();
                (
                    revoked(RevocationScope::Capability, claims.token_id.as_bytes()),
                    revoked(RevocationScope::IssuerKey, key.as_bytes()),
                    node(claims.issuer_node.as_str()),
                )
            }
            TokenFacts::Absent | TokenFacts::Malformed(_) | TokenFacts::UnknownKey => (false, false, false),
        };
        let zone = self.keys.zones.get(zone);
        RevocationFacts {
            token: token_revoked,
            issuer_key,
            holder_key: holder.is_some_and(|key| revoked(RevocationScope::IssuerKey, key.as_bytes())),
            node: issuer_node || node(self.node_id.as_str()),
            connector: self.connector_revoked(&call.connector, now),
            zone_key: zone.is_some_and(|key| revoked(RevocationScope::ZoneKey, key.key_id().as_bytes())),
            head_age_secs: self.revocations.head_age_secs(now),
            head_seq: self.revocations.head_seq(),
        }
    }

    /// Whether a connector's code, package or interface is revoked.
    pub(super) fn connector_revoked(
        &self,
        connector: &fcp_proto_core::ids::ConnectorId,
        now: UnixTime,
    ) -> bool {
        let revoked = |digest: &Digest| {
            self.revocations.is_revoked(RevocationScope::ConnectorBinary, digest.as_bytes(), now)
        };
        self.catalog.digests(connector).iter().any(revoked)
    }

    fn zone_facts(&self, zone: &ZoneId) -> Option<ZoneFacts> {
        let (definition, policy) = self.authority.zone(zone)?;
        Some(ZoneFacts {
            integrity: definition.integrity,
            confidentiality: definition.confidentiality,
            policy: policy.clone(),
        })
    }

    fn connector_facts(
        &self,
        call: &CallRequest,
        zone: &ZoneId,
    ) -> Option<crate::call::gate::ConnectorFacts> {
        let level =
            self.authority.zone(zone).map(|(definition, _)| definition.confidentiality).unwrap_or_default();
        self.catalog.facts(&call.connector, &call.operation, level)
    }

    fn flow_facts(&self, call: &CallRequest, principal: &PrincipalId, zone: &ZoneId) -> FlowFacts {
        let context = self.contexts.of(principal, &self.fresh_label(zone)).label;
        let handles: Vec<_> = call
            .handles
            .iter()
            .map(|handle| HandleFacts { at: handle.at.clone(), label: handle.label.clone() })
            .collect();
        FlowFacts { label_digest: label_digest(&context, &handles), context, handles }
    }

    fn approval_facts(&self, call_digest: &Digest, now: UnixTime) -> Vec<ApprovalFacts> {
        let duty = Duty::Operator(OperatorRight::Approve);
        let decided = self.approvals.over(call_digest);
        decided
            .map(|(id, decided)| ApprovalFacts {
                id: *id,
                signer_valid: self.authority.key_for(decided.signer, duty, now, &self.revocations).is_ok(),
                revoked: self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now),
                decision: decided.token.decision,
                kinds: decided.token.kinds.clone(),
                call_digest: decided.token.call_digest,
                interface_hash: decided.token.interface_hash,
                code_digest: decided.token.code_digest,
                label_digest: decided.token.label_digest,
                expires_at: decided.token.expires_at,
                used: decided.spent_by.is_some(),
            })
            .collect()
    }

    /// A mesh of one certifies its own revocation head whenever it decides.
    fn certify_alone(&mut self, now: UnixTime) {
        let mut nodes = self.authority.nodes().peekable();
        if nodes.peek().is_some() && nodes.all(|node| *node == self.node_id) {
            let head = self.revocations.head(now);
            self.revocations.apply_head(&head);
        }
    }
}

/// Whether the gate refuses the call for what this token or its grant does not give, so that another may serve.
fn refused_by_its_token(facts: &Facts, now: UnixTime) -> bool {
    match gate::decide(facts, now) {
        Decision::Denied(denial) => denial.check <= GateCheck::Constraints,
        Decision::Authorized(_) | Decision::Replay(_) => false,
    }
}

/// Why there is no complete input.
enum Unreadable {
    /// It cannot be read.
    Input(Code),
    /// What it touches cannot be told, because it does not fit the operation; what can be told, and why.
    Resource(alloc::boxed::Box<InputFacts>, String),
}

fn resources(installed: &Installed, call: &CallRequest, json: &Json) -> Result<Vec<Resource>, String> {
    let Some(operation) = installed.manifest.operation(&call.operation) else { return Ok(Vec::new()) };
    let input = serde_json::Value::from(json.clone());
    let texts = operation.resources(&input, &installed.config).map_err(|error| error.to_string())?;
    texts.iter().map(|text| Resource::new(text).map_err(|error| alloc::format!("{text}: {error}"))).collect()
}

fn key_scope(call: &CallRequest, principal: &PrincipalId, zone: &ZoneId) -> Result<Option<Scope>, Failure> {
    let Some(text) = &call.idempotency_key else { return Ok(None) };
    let key = IdempotencyKey::new(text.as_str())
        .map_err(|error| Failure::new(Code::OutOfRange, error.to_string()))?;
    Ok(Some(Scope {
        principal: principal.clone(),
        zone: zone.clone(),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        key,
    }))
}

fn exceeded_facts(limit: &LimitId, why: Why) -> RateFacts {
    let wait = match why {
        Why::UsedUp { retry_after } => retry_after,
        // Waiting does not help.
        Why::NeverFits | Why::Undefined | Why::TooManyMeters => LONGEST_WAIT,
    };
    match limit {
        LimitId::Pool { .. } => RateFacts::Limited {
            pool: limit.to_string(),
            retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        },
        LimitId::Budget { .. } => RateFacts::BudgetExceeded { budget: limit.to_string() },
    }
}

/// What a caller is told to wait for room that time does not make: the longest period of any limit.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 86_400);

/// The digest of all labels that flow into a call, for an approval to bind.
//= docs/spec/labels.md#the-label-digest
fn label_digest(context: &Label, handles: &[HandleFacts]) -> Digest {
    let mut hasher = hash::Hasher::new("FCP2-LABELS-V1");
    let mut add = |value: &cbor::Value| {
        // Labels always encode: they hold numbers and names only.
        hasher = core::mem::replace(&mut hasher, hash::Hasher::new(""))
            .with_framed(&cbor::encode(value).unwrap_or_default());
    };
    add(&context.to_cbor());
    for handle in handles {
        add(&handle.at.as_str().to_string().to_cbor());
        add(&handle.label.to_cbor());
    }
    Digest::from_bytes(hasher.finish())
}
