//! Gathers what the gate reads.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::cbor::{self, ToCbor};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    ConnectorId, CredentialId, Digest, KeyId, NodeId, ObjectId, OperationId, PrincipalId, ZoneId,
};
use fcp_proto_core::object::{CallDigestInput, OperatorRight, RevocationScope};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::token::resource::Resource;
use fcp_proto_core::zone::Label;

use super::caller::{Caller, How};
use super::judgement::Candidates;
use super::tokens::ReadToken;
use super::word::{Purpose, Word};
use super::{CallRequest, Failure, Installed, Node, SchemaCheck};
use crate::call::gate::{
    Authorized, ConnectorFacts, Facts, FlowFacts, GrantFacts, HandleFacts, InputFacts, KeyFacts, KeyStanding,
    LeaseFacts, RateFacts, RevocationFacts, SlotFacts, StandingFacts, TokenFacts, ZoneFacts,
};
use crate::call::idempotency::{Fresh, IdempotencyKey, Scope, Standing};
use crate::call::rates::Fits;
use crate::trust::authority::{Duty, KnownGrant};

/// A call with everything that its decision needs.
pub(super) struct Prepared {
    pub facts: Facts,
    /// The grants on which it is tried, in a session.
    pub candidates: Candidates,
    /// The free key, if a key was given and is free.
    pub fresh: Option<Fresh>,
    /// The room in pools and budgets, if there is.
    pub fits: Option<Fits>,
    /// The operator's word that it stands on, if it stands on no grant.
    pub word: Option<Word>,
}

impl Node {
    /// The label of whoever has read nothing: trusted as the zone, secret to no one.
    pub(super) fn fresh_label(&self, zone: &ZoneId) -> Label {
        self.authority.zone(zone).map_or_else(Label::default, |(it, _)| Label::trusted(it.integrity))
    }

    /// Gathers everything but what the call stands on: [`Node::stand`] adds that.
    pub(super) fn prepare(
        &mut self,
        call: &CallRequest,
        caller: &Caller,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<Prepared, Failure> {
        self.certify_alone(now.unix);
        let mut prepared = self.gather(call, caller, now)?;
        let facts = &mut prepared.facts;
        if let (Ok(()), Ok(input)) = (&facts.schema, &facts.input) {
            facts.schema = schema.check(&call.connector, &call.operation, &input.json);
        }
        Ok(prepared)
    }

    /// As [`Node::prepare`], without the judgement of the input by its schema.
    pub(super) fn gather(&self, call: &CallRequest, caller: &Caller, now: Now) -> Result<Prepared, Failure> {
        let (principal, principal_zone) = (caller.principal.clone(), caller.zone.clone());
        let zone_id = call.zone.clone().unwrap_or_else(|| principal_zone.clone());
        self.handles_permitted(call, &principal, &zone_id)?;
        let candidates = match caller.how {
            How::Session(_) => self.candidates(call, &principal, &zone_id, now.unix),
            How::Token(_) | How::Word(..) => Candidates::default(),
        };
        let chosen = self.credentials(call, &zone_id, &self.credentials_allowed(caller, &candidates));
        let (schema, input) = match self.input_facts(call, &principal, &zone_id, &chosen) {
            Ok(input) => (Ok(()), Ok(input)),
            Err(Unreadable::Input(code)) => (Ok(()), Err(code)),
            Err(Unreadable::Resource(input, why)) => (Err(why), Ok(*input)),
        };
        let digest = input.as_ref().map_or_else(|_| Digest::default(), |input| input.call_digest);
        let (key, fresh) = self.key_facts(call, &principal, &zone_id, digest, now);
        let facts = Facts {
            revocation: self.revocation_facts(&call.connector, &zone_id, &principal, now.unix),
            holder: self.holder_facts(call, caller, &zone_id, digest),
            zone: self.zone_facts(&zone_id),
            connector: self.connector_facts(&call.connector, &call.operation, &zone_id),
            flow: self.flow_facts(call, caller, &zone_id),
            approvals: self.approval_facts(&digest, now.unix),
            approvals_named: call.approvals.clone(),
            denials: self.denial_facts(&principal, &zone_id, &call.connector, &call.operation, now.unix),
            connector_id: call.connector.clone(),
            operation_id: call.operation.clone(),
            lease: LeaseFacts::NotNeeded,
            zone_id,
            principal_zone,
            principal,
            input,
            token: TokenFacts::Absent,
            grants: BTreeMap::new(),
            key,
            schema,
            rates: RateFacts::Room,
        };
        Ok(Prepared { facts, candidates, fresh, fits: None, word: None })
    }

    /// Puts a call on a token and grants: the checks of both, and the room in the pools that they share.
    pub(super) fn stand(
        &self,
        prepared: &mut Prepared,
        token: ReadToken,
        grants: &BTreeSet<ObjectId>,
        now: Now,
    ) {
        let grants = self.grant_facts(grants, &prepared.facts.principal, now.unix);
        self.stand_on(prepared, token, grants, now);
    }

    /// As [`Node::stand`], on what is known of the grants already.
    pub(super) fn stand_on(
        &self,
        prepared: &mut Prepared,
        token: ReadToken,
        grants: BTreeMap<ObjectId, GrantFacts>,
        now: Now,
    ) {
        let facts = &mut prepared.facts;
        facts.grants = grants;
        (facts.rates, prepared.fits) = self.rate_facts(facts, now);
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now.unix);
        let (token_revoked, issuer_node) = match &token.facts {
            TokenFacts::Decoded { claims, .. } => (
                revoked(RevocationScope::Capability, claims.token_id.as_bytes()),
                self.issuer_revoked(&claims.issuer_node, token.issuer_key, now.unix),
            ),
            TokenFacts::Absent | TokenFacts::Malformed(_) | TokenFacts::UnknownKey => (false, false),
        };
        facts.revocation.token = token_revoked;
        facts.revocation.issuer_key =
            token.issuer_key.is_some_and(|key| revoked(RevocationScope::IssuerKey, key.as_bytes()));
        facts.revocation.node = issuer_node || self.is_revoked(now.unix);
        facts.token = token.facts;
    }

    /// Whether the node that issued a token is revoked, as the owner attested the key that signed it. Of a key that is not
    /// known, any revocation of the node's name counts.
    fn issuer_revoked(&self, node: &NodeId, key: Option<KeyId>, now: UnixTime) -> bool {
        let word = key.and_then(|key| self.authority.issuer(key));
        let since = word.map(|word| word.issued_at).unwrap_or_default();
        self.revocations.is_node_revoked(node, since, now)
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

    /// The credentials that what the call stands on allows. Of several grants these are all that any of them allows: which
    /// grant a call falls to must not choose the account that it is made with.
    fn credentials_allowed(&self, caller: &Caller, candidates: &Candidates) -> BTreeSet<CredentialId> {
        match &caller.how {
            How::Session(_) => {
                let known = candidates.tried.iter().filter_map(|id| self.authority.grant_by_id(id));
                known.flat_map(|known| known.grant.constraints.credential_allow.iter().cloned()).collect()
            }
            How::Token(token) | How::Word(token, _) => token.credentials_allowed(),
        }
    }

    /// The credential that the operation's slot needs: the one named, or the only one that is allowed.
    //= docs/spec/calls.md#order
    fn credentials(&self, call: &CallRequest, zone: &ZoneId, allowed: &BTreeSet<CredentialId>) -> Chosen {
        let slot = self
            .catalog
            .get(&call.connector)
            .and_then(|installed| installed.manifest.operation(&call.operation))
            .and_then(|operation| operation.auth.as_deref());
        let Some(slot) = slot else { return Chosen { names: BTreeSet::new(), slot: SlotFacts::Filled } };
        let stored = self.catalog.credentials_for(&call.connector, zone, slot);
        let stored: BTreeSet<_> = stored.into_iter().map(|it| it.record.credential.clone()).collect();
        if let Some(named) = &call.credential {
            // What is named counts whether it exists or not, so that nobody learns of what the grant does not allow.
            let there = stored.contains(named);
            let slot = if there { SlotFacts::Filled } else { SlotFacts::Empty(slot.into()) };
            return Chosen { names: [named.clone()].into(), slot };
        }
        let names: BTreeSet<_> = stored.intersection(allowed).cloned().collect();
        match names.len() {
            1 => Chosen { names, slot: SlotFacts::Filled },
            0 if stored.is_empty() => Chosen { names, slot: SlotFacts::Empty(slot.into()) },
            0 => Chosen { names, slot: SlotFacts::NotAllowed(slot.into()) },
            2.. => Chosen { names: BTreeSet::new(), slot: SlotFacts::Several(slot.into()) },
        }
    }

    fn input_facts(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
        chosen: &Chosen,
    ) -> Result<InputFacts, Unreadable> {
        let json = call.input.clone().map_err(Unreadable::Input)?;
        let canonical = json.to_canonical();
        let facts = |resources: Vec<Resource>| {
            let covered = CallDigestInput {
                format: 1,
                zone: zone.clone(),
                principal: principal.clone(),
                connector: call.connector.clone(),
                operation: call.operation.clone(),
                input: canonical.clone(),
                resources: resources.iter().map(|it| it.as_str().into()).collect(),
                credentials: chosen.names.clone(),
                idempotency_key: call.idempotency_key.clone(),
            };
            Ok(InputFacts {
                call_digest: covered.digest().map_err(|_| Unreadable::Input(Code::InputTooLarge))?,
                json: json.clone(),
                canonical: canonical.clone(),
                resources,
                credentials: chosen.names.clone(),
                slot: chosen.slot.clone(),
            })
        };
        match self.resources(call, &json) {
            Ok(resources) => facts(resources),
            Err(why) => Err(Unreadable::Resource(alloc::boxed::Box::new(facts(Vec::new())?), why)),
        }
    }

    /// What the input touches, by the operation's templates.
    fn resources(&self, call: &CallRequest, input: &Json) -> Result<Vec<Resource>, String> {
        self.catalog.get(&call.connector).map_or(Ok(Vec::new()), |it| resources(it, call, input))
    }

    /// What stands under the call's key. Under a text that is no key stands nothing: check 1 refuses it.
    fn key_facts(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
        digest: Digest,
        now: Now,
    ) -> (Option<KeyFacts>, Option<Fresh>) {
        let Some(text) = call.idempotency_key.clone() else { return (None, None) };
        let checked = IdempotencyKey::new(text.as_str()).map(|key| {
            let (principal, zone) = (principal.clone(), zone.clone());
            let (connector, operation) = (call.connector.clone(), call.operation.clone());
            self.keys_used.check(Scope { principal, zone, connector, operation, key }, digest, now)
        });
        let (standing, fresh) = match checked {
            Err(_) => (KeyStanding::Fresh, None),
            Ok(Ok(fresh)) => (KeyStanding::Fresh, Some(fresh)),
            Ok(Err(Standing::Replay { receipt })) => (KeyStanding::Completed(receipt), None),
            Ok(Err(Standing::Conflict)) => (KeyStanding::OtherCall, None),
            Ok(Err(Standing::InProgress { .. })) => (KeyStanding::InProgress, None),
            Ok(Err(Standing::Unknown { intent })) => (KeyStanding::Unknown(intent), None),
            Ok(Err(Standing::Full { retry_after_secs })) => {
                let retry_after_ms = retry_after_secs.map(|secs| secs.saturating_mul(1_000));
                (KeyStanding::NoRoom { retry_after_ms }, None)
            }
        };
        (Some(KeyFacts { text, standing }), fresh)
    }

    fn grant_facts(
        &self,
        named: &BTreeSet<ObjectId>,
        principal: &PrincipalId,
        now: UnixTime,
    ) -> BTreeMap<ObjectId, GrantFacts> {
        let facts = |id: &ObjectId| {
            let known = self.authority.grant_by_id(id)?;
            Some((*id, self.known_facts(id, known, principal, now)))
        };
        named.iter().filter_map(facts).collect()
    }

    /// A grant, and what became of it for this principal.
    pub(super) fn known_facts(
        &self,
        id: &ObjectId,
        known: &KnownGrant,
        principal: &PrincipalId,
        now: UnixTime,
    ) -> GrantFacts {
        self.given_facts(&Given { id, known, signed_by: OperatorRight::Grant }, principal, now)
    }

    /// What an operator's word gives to the operator itself.
    pub(super) fn word_facts(&self, word: &Word, operator: &PrincipalId, now: UnixTime) -> GrantFacts {
        let given = Given { id: &word.id, known: &word.known, signed_by: word.purpose.right() };
        self.given_facts(&given, operator, now)
    }

    fn given_facts(&self, given: &Given<'_>, principal: &PrincipalId, now: UnixTime) -> GrantFacts {
        let Given { id, known, signed_by } = *given;
        let used = self.grant_use.get(id).copied().unwrap_or_default();
        let duty = Duty::Operator(signed_by);
        let signer = self.authority.key_for(known.signer, duty, known.created_at, &self.revocations);
        let signer_revoked =
            self.revocations.is_revoked(RevocationScope::IssuerKey, known.signer.as_bytes(), now);
        GrantFacts {
            grant: known.grant.clone(),
            zone_id: known.zone.clone(),
            signer_valid: signer.is_ok() && !signer_revoked,
            approver_valid: known.grant.standing_approval.is_some() && self.may_approve(known.signer, now),
            revoked: self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now),
            names_principal: self.authority.names(&known.grant.grantee, principal),
            calls_used: used.calls,
            bytes_used: used.bytes,
        }
    }

    /// What is revoked of all that does not depend on the token.
    pub(super) fn revocation_facts(
        &self,
        connector: &ConnectorId,
        zone: &ZoneId,
        principal: &PrincipalId,
        now: UnixTime,
    ) -> RevocationFacts {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let holder = self.authority.principal(principal).map(|it| it.key_id);
        RevocationFacts {
            token: false,
            issuer_key: false,
            holder_key: holder.is_some_and(|key| revoked(RevocationScope::IssuerKey, key.as_bytes())),
            node: false,
            connector: self.connector_revoked(connector, now),
            zone_key: self.is_zone_revoked(zone, now),
            head_age_secs: if self.is_alone() { 0 } else { self.revocations.head_age_secs(now) },
            head_seq: self.revocations.head_seq(),
        }
    }

    pub(super) fn zone_facts(&self, zone: &ZoneId) -> Option<ZoneFacts> {
        let (definition, policy) = self.authority.zone(zone)?;
        Some(ZoneFacts {
            integrity: definition.integrity,
            confidentiality: definition.confidentiality,
            policy: policy.clone(),
        })
    }

    /// What a call that is about to leave rests on, as it is now.
    pub(super) fn standing_facts(
        &self,
        authorized: &Authorized,
        word: Option<&Word>,
        now: UnixTime,
    ) -> StandingFacts {
        let (principal, zone) = (authorized.principal(), authorized.zone());
        let (connector, operation) = (authorized.connector(), authorized.operation());
        let stored = |named: &CredentialId| {
            self.catalog.credentials().any(|it| {
                it.record.credential == *named && it.zone == *zone && it.record.connector == *connector
            })
        };
        StandingFacts {
            grants: match word {
                Some(word) => [(word.id, self.word_facts(word, principal, now))].into(),
                None => self.grant_facts(authorized.grants(), principal, now),
            },
            principal_zone: match word {
                Some(word) => Some(word.known.zone.clone()),
                None => self.authority.principal(principal).map(|it| it.zone.clone()),
            },
            zone: self.zone_facts(zone),
            connector: self.connector_facts(connector, operation, zone),
            credentials_stored: authorized.credentials().iter().all(stored),
            denials: self.denial_facts(principal, zone, connector, operation, now),
        }
    }

    pub(super) fn connector_facts(
        &self,
        connector: &ConnectorId,
        operation: &OperationId,
        zone: &ZoneId,
    ) -> Option<ConnectorFacts> {
        let level =
            self.authority.zone(zone).map(|(definition, _)| definition.confidentiality).unwrap_or_default();
        self.catalog.facts(connector, operation, level)
    }

    fn flow_facts(&self, call: &CallRequest, caller: &Caller, zone: &ZoneId) -> FlowFacts {
        let fresh = self.fresh_label(zone);
        let context = match &caller.how {
            How::Session(_) | How::Token(_) => self.contexts.of(&caller.principal, &fresh).label,
            // The node writes the input; nothing of what the operator has seen is in it.
            How::Word(_, word) => match &word.purpose {
                Purpose::CredentialTest => fresh,
                Purpose::OutcomeProbe(doubt) => doubt.label.merge(&fresh),
            },
        };
        let handles: Vec<_> = call
            .handles
            .iter()
            .map(|handle| HandleFacts { at: handle.at.clone(), label: handle.label.clone() })
            .collect();
        FlowFacts { label_digest: label_digest(&context, &handles), context, handles }
    }

    /// A mesh of one certifies its own revocation head whenever it decides.
    fn certify_alone(&mut self, now: UnixTime) {
        if self.is_alone() {
            let head = self.revocations.head(now);
            self.revocations.apply_head(&head);
        }
    }

    /// Whether this node is the only one of its home, so that its revocation head is always the newest.
    fn is_alone(&self) -> bool {
        let mut nodes = self.authority.nodes().peekable();
        nodes.peek().is_some() && nodes.all(|node| *node == self.node_id)
    }
}

/// Something that gives leave to call, and the right by which it was signed.
#[derive(Clone, Copy)]
struct Given<'a> {
    id: &'a ObjectId,
    known: &'a KnownGrant,
    signed_by: OperatorRight,
}

/// The credentials that a call uses, and whether they are there.
struct Chosen {
    names: BTreeSet<CredentialId>,
    slot: SlotFacts,
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use fcp_proto_core::encoding::cbor::{FromCbor, decode};
    use fcp_proto_core::encoding::json::Pointer;
    use fcp_proto_core::zone::Label;
    use serde_json::Value;

    use super::{HandleFacts, label_digest};

    fn bytes(text: &Value) -> Vec<u8> {
        hex::decode(text.as_str().expect("a text")).expect("hexadecimal")
    }

    fn label(text: &Value) -> Label {
        Label::from_cbor(decode(&bytes(text)).expect("canonical CBOR")).expect("a label")
    }

    /// Another implementation makes the same digests.
    #[test]
    fn label_digests_are_those_of_the_vectors() {
        let file = include_str!("../../../vectors/node/labels.json");
        let file: Value = serde_json::from_str(file).expect("JSON");
        for case in file["cases"].as_array().expect("cases") {
            let kept = case["kept"].as_array().expect("a list").iter().map(|kept| HandleFacts {
                at: Pointer::new(kept["at"].as_str().expect("a text")).expect("a pointer"),
                label: label(&kept["label"]),
            });
            let digest = label_digest(&label(&case["context"]), &kept.collect::<Vec<_>>());
            assert_eq!(digest.as_bytes().as_slice(), bytes(&case["digest"]), "{case}");
        }
    }
}
