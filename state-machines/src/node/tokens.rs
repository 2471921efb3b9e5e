//! Mints short tokens from live grants, and reads tokens as the gate demands.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use fcp_proto_core::crypto::proof::ChannelBinding;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CredentialId, KeyId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::{AuditEventKind, RevocationScope};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, TokenGrant};

use super::ledger::Unit;
use super::sessions::{MintedToken, SessionId};
use super::{Answer, Failure, Node, RequestId, Then};
use crate::call::gate::{IssuerFacts, SignatureFacts, TokenFacts};
use crate::persist::Class;
use crate::trust::audit::Entry;
use crate::trust::authority::KnownGrant;

/// Operations for which tokens are minted at once. Chosen.
pub const MAX_MINTED_OPERATIONS: usize = 64;

/// What a token says to the gate, and the key that signed it.
#[derive(Clone, Debug)]
pub(super) struct ReadToken {
    pub facts: TokenFacts,
    pub issuer_key: Option<KeyId>,
}

impl ReadToken {
    /// There is none.
    pub(super) const fn absent() -> Self {
        Self { facts: TokenFacts::Absent, issuer_key: None }
    }

    /// The grants that it names.
    pub(super) fn grants(&self) -> BTreeSet<ObjectId> {
        match &self.facts {
            TokenFacts::Decoded { claims, .. } => claims.grant_object_ids.clone(),
            TokenFacts::Absent | TokenFacts::Malformed(_) | TokenFacts::UnknownKey => BTreeSet::new(),
        }
    }

    /// The credentials that it allows.
    pub(super) fn credentials_allowed(&self) -> BTreeSet<CredentialId> {
        match &self.facts {
            TokenFacts::Decoded { claims, .. } => claims.constraints.credential_allow.clone(),
            TokenFacts::Absent | TokenFacts::Malformed(_) | TokenFacts::UnknownKey => BTreeSet::new(),
        }
    }
}

/// The ids of the tokens minted in this run, the newest last: whoever revokes one is told whether it was of this node.
/// Each principal has room of its own, so that whoever mints many makes nobody else's forgotten.
#[derive(Debug, Default)]
pub(super) struct Minted {
    ids: BTreeMap<PrincipalId, VecDeque<(TokenId, UnixTime)>>,
}

impl Minted {
    fn remember(&mut self, holder: &PrincipalId, id: TokenId, until: UnixTime) {
        let own = self.ids.entry(holder.clone()).or_default();
        if own.len() == MAX_REMEMBERED {
            own.pop_front();
        }
        own.push_back((id, until));
    }

    /// Whether a token of this id was minted lately and has not ended.
    pub(super) fn knows(&self, id: &[u8], now: UnixTime) -> bool {
        self.ids.values().flatten().any(|(known, until)| known.as_bytes() == id && now < *until)
    }
}

impl Node {
    /// Mints tokens that leave the node: one from each grant in force that gives any of the operations, for these only.
    //= docs/spec/sessions.md#tokens-that-leave-the-node
    //= docs/spec/audit.md#what-is-told
    pub(super) fn mint_tokens(
        &mut self,
        id: RequestId,
        session: SessionId,
        binding: &ChannelBinding,
        operations: &BTreeSet<OperationId>,
        now: Now,
    ) -> Result<(), Failure> {
        let session = self.sessions.get(session, binding, now.unix).ok_or_else(|| {
            Failure::new(Code::Unauthenticated, "there is no such session on this connection")
        })?;
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        if operations.len() > MAX_MINTED_OPERATIONS {
            let rule =
                alloc::format!("tokens are minted for at most {MAX_MINTED_OPERATIONS} operations at once");
            return Err(Failure::new(Code::OutOfRange, rule));
        }
        let known: Vec<_> = self
            .grants_in_force(&principal, &zone, now.unix)
            .filter(|(_, known)| operations.iter().any(|operation| self.carries(known, operation)))
            .map(|(id, known)| (*id, known.clone()))
            .collect();
        let minted: Vec<_> = known
            .iter()
            .filter_map(|(id, known)| self.mint(id, known, &principal, Some(operations), now.unix))
            .collect();
        let carried = |operation: &&OperationId| minted.iter().any(|it| it.operations.contains(*operation));
        if let Some(missing) = operations.iter().find(|operation| !carried(operation)) {
            let rule = alloc::format!("no grant in force gives {principal} the operation {missing}");
            return Err(Failure::new(Code::OperationNotGranted, rule));
        }
        let mut unit = Unit::new(Class::Normal);
        for token in &minted {
            let entry = Entry::new(AuditEventKind::TokensMinted, principal.as_str()).about(token.grant);
            let operations: Vec<_> = token.operations.iter().map(OperationId::as_str).collect();
            let connector = Some(token.connector.clone());
            let entry = Entry { token_id: Some(token.token_id), connector, ..entry };
            unit.audit(&zone, entry.saying(operations.join(" ")));
        }
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Tokens(minted)))));
        self.commit(unit);
        Ok(())
    }

    /// The session's token that stands on the grant: the one it has, or one minted now.
    pub(super) fn token_on(
        &mut self,
        session: SessionId,
        grant: &ObjectId,
        now: UnixTime,
    ) -> Option<ReadToken> {
        let held = self.sessions.get_mut(session)?.tokens.get(grant).filter(|token| now < token.expires_at);
        if let Some(token) = held {
            let bytes = token.bytes.clone();
            return Some(self.read_token(&bytes));
        }
        let known = self.authority.grant_by_id(grant)?.clone();
        let principal = self.sessions.get_mut(session)?.principal.clone();
        let token = self.mint(grant, &known, &principal, None, now)?;
        let read = self.read_token(&token.bytes);
        self.sessions.get_mut(session)?.tokens.insert(*grant, token);
        Some(read)
    }

    /// Reads a token as the gate demands: the signature first, under the key it names.
    pub(super) fn read_token(&self, bytes: &[u8]) -> ReadToken {
        let unread = |facts| ReadToken { facts, issuer_key: None };
        let token = match Token::decode(bytes) {
            Ok(token) => token,
            Err(error) => return unread(TokenFacts::Malformed(error.code())),
        };
        let key = token.key_id();
        let Some(attestation) = self.authority.issuer(key) else { return unread(TokenFacts::UnknownKey) };
        let issuer = IssuerFacts {
            node_id: attestation.node_id.clone(),
            issued_at: attestation.issued_at,
            expires_at: attestation.expires_at,
        };
        let facts = match token.verify(&attestation.issuance_key) {
            Ok(token) if !self.fits_here(token.claims()) => {
                TokenFacts::Malformed(Code::TokenAudienceMismatch)
            }
            Ok(token) => TokenFacts::Decoded {
                signature: SignatureFacts::Valid,
                claims: Box::new(token.claims().clone()),
                issuer: Some(issuer),
            },
            Err(error) => TokenFacts::Malformed(error.code()),
        };
        ReadToken { facts, issuer_key: Some(key) }
    }

    /// Whether a token is not restricted to something else than this node. What it would be restricted to besides cannot
    /// be told here, and is not believed.
    //= docs/spec/tokens.md#claims
    fn fits_here(&self, claims: &Claims) -> bool {
        claims.holder_node.as_ref().is_none_or(|node| *node == self.node_id)
            && claims.connector_binary.is_none()
            && claims.instance_id.is_none()
    }

    /// The grants of the principal in the zone that are in force.
    pub(super) fn grants_in_force<'a>(
        &'a self,
        principal: &'a PrincipalId,
        zone: &'a ZoneId,
        now: UnixTime,
    ) -> impl Iterator<Item = (&'a ObjectId, &'a KnownGrant)> {
        self.authority.grants().filter(move |(id, known)| {
            known.zone == *zone
                && self.authority.names(&known.grant.grantee, principal)
                && known.grant.not_before <= now
                && now < known.grant.expires_at
                && !self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now)
        })
    }

    /// Whether a token of the grant can carry the operation.
    pub(super) fn carries(&self, known: &KnownGrant, operation: &OperationId) -> bool {
        known.grant.operations.contains(operation)
            && self.carried(known, None).iter().any(|entry| entry.operation.as_ref() == Some(operation))
    }

    /// Mints a token of one grant, for those of its operations that are wanted, or for all.
    //= docs/spec/sessions.md#minting
    fn mint(
        &mut self,
        id: &ObjectId,
        known: &KnownGrant,
        principal: &PrincipalId,
        wanted: Option<&BTreeSet<OperationId>>,
        now: UnixTime,
    ) -> Option<MintedToken> {
        let holder = self.authority.principal(principal)?.enrolment.public_key;
        let (_, policy) = self.authority.zone(&known.zone)?;
        let expires = now.saturating_add(policy.max_token_secs).min(known.grant.expires_at);
        let token_id = TokenId::from_bytes(self.entropy.bytes());
        let claims = Claims {
            token_id,
            principal_id: principal.clone(),
            zone_id: known.zone.clone(),
            issuer_node: self.node_id.clone(),
            issued_at: now,
            not_before: now,
            expires,
            holder: holder.into(),
            holder_node: None,
            connector_binary: None,
            instance_id: None,
            checkpoint: None,
            grant_object_ids: [*id].into(),
            grants: self.carried(known, wanted),
            constraints: known.grant.constraints.clone(),
        };
        self.minted.remember(principal, token_id, expires);
        let operations = claims.grants.iter().filter_map(|entry| entry.operation.clone()).collect();
        let token = Token::mint(claims, &self.keys.issuance).ok()?;
        Some(MintedToken {
            token_id,
            connector: known.grant.connector.clone(),
            operations,
            grant: *id,
            expires_at: expires,
            issuer_key: self.keys.issuance.key_id(),
            bytes: token.as_bytes().to_vec(),
        })
    }

    /// The operations that the grant gives and the installed connector has, each with the capability it needs; of these,
    /// the wanted ones.
    fn carried(&self, known: &KnownGrant, wanted: Option<&BTreeSet<OperationId>>) -> BTreeSet<TokenGrant> {
        let manifest = self.catalog.get(&known.grant.connector).map(|installed| &installed.manifest);
        let needed = |operation: &OperationId| Some(manifest?.operation(operation)?.capability.clone());
        let entry = |operation: &OperationId| {
            let capability = needed(operation).filter(|it| known.grant.capabilities.contains(it))?;
            Some(TokenGrant { capability, operation: Some(operation.clone()) })
        };
        let is_wanted = |operation: &&OperationId| wanted.is_none_or(|wanted| wanted.contains(*operation));
        known.grant.operations.iter().filter(is_wanted).filter_map(entry).collect()
    }
}

/// Tokens of one principal whose ids are remembered. Chosen: what a busy agent mints within the life of a token, in fifty
/// kilobytes.
const MAX_REMEMBERED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/revocation.md#what-is-not-known
    #[test]
    fn whoever_mints_many_makes_nobody_elses_forgotten() {
        let (mut minted, end) = (Minted::default(), UnixTime::from_secs(10));
        let id = |n: u16| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            TokenId::from_bytes(bytes)
        };
        let [quiet, busy] = ["quiet", "busy"].map(|name| PrincipalId::new(name).unwrap());
        minted.remember(&quiet, id(0), end);
        for n in 1..=1_001 {
            minted.remember(&busy, id(n), end);
        }
        let knows = |n| minted.knows(id(n).as_bytes(), UnixTime::from_secs(9));
        assert!(knows(0) && !knows(1) && knows(2) && knows(1_001));
        assert!(!minted.knows(id(0).as_bytes(), end), "it has ended");
    }
}
