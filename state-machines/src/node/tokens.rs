//! Mints short tokens from live grants, and reads them back as the gate demands.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::{Token, Verified};

use super::Node;
use super::sessions::{MintedToken, SessionId};
use crate::call::gate::{IssuerFacts, SignatureFacts, TokenFacts};
use crate::trust::authority::KnownGrant;

impl Node {
    /// The session's tokens for the operation, by their grants in order: those it has, and those minted now from the
    /// principal's grants.
    pub(super) fn tokens_for(
        &mut self,
        session: SessionId,
        connector: &ConnectorId,
        operation: &OperationId,
        now: UnixTime,
    ) -> Vec<TokenFacts> {
        self.mint_missing(session, connector, operation, now);
        let Some(session) = self.sessions.get_mut(session) else { return Vec::new() };
        let carries = |token: &&MintedToken| now < token.expires_at && token.operations.contains(operation);
        let held: Vec<_> = session.tokens.values().filter(carries).map(|token| token.bytes.clone()).collect();
        held.iter().map(|bytes| self.read_token(bytes)).collect()
    }

    /// Reads a token as the gate demands: the signature first, under the key it names.
    pub(super) fn read_token(&self, bytes: &[u8]) -> TokenFacts {
        let token = match Token::decode(bytes) {
            Ok(token) => token,
            Err(error) => return TokenFacts::Malformed(error.code()),
        };
        let Some(attestation) = self.authority.issuer(token.key_id()) else { return TokenFacts::UnknownKey };
        let issuer = IssuerFacts {
            node_id: attestation.node_id.clone(),
            issued_at: attestation.issued_at,
            expires_at: attestation.expires_at,
        };
        match token.verify(&attestation.issuance_key) {
            Ok(token) => decoded(&token, issuer),
            Err(error) => TokenFacts::Malformed(error.code()),
        }
    }

    /// Mints a token from each live grant that gives the operation and has none yet.
    fn mint_missing(
        &mut self,
        id: SessionId,
        connector: &ConnectorId,
        operation: &OperationId,
        now: UnixTime,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.tokens.retain(|_, token| now < token.expires_at);
        let (principal, zone) = (session.principal.clone(), session.zone.clone());
        let held: BTreeSet<_> = session.tokens.keys().copied().collect();
        let wanted: Vec<_> = self
            .authority
            .grants()
            .filter(|(id, _)| !held.contains(*id))
            .filter(|(id, known)| self.mintable(id, known, &principal, &zone, now))
            .filter(|(_, known)| {
                known.grant.connector == *connector && known.grant.operations.contains(operation)
            })
            .map(|(id, known)| (*id, known.clone()))
            .collect();
        for (grant, known) in wanted {
            let Some(token) = self.mint(&grant, &known, &principal, now) else { continue };
            if let Some(session) = self.sessions.get_mut(id) {
                session.tokens.insert(grant, token);
            }
        }
    }

    fn mintable(
        &self,
        id: &ObjectId,
        known: &KnownGrant,
        principal: &PrincipalId,
        zone: &ZoneId,
        now: UnixTime,
    ) -> bool {
        known.zone == *zone
            && self.authority.names(&known.grant.grantee, principal)
            && known.grant.not_before <= now
            && now < known.grant.expires_at
            && !self.revocations.is_revoked(RevocationScope::Capability, id.as_bytes(), now)
    }

    //= docs/spec/sessions.md#minting
    fn mint(
        &mut self,
        id: &ObjectId,
        known: &KnownGrant,
        principal: &PrincipalId,
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
            holder,
            holder_node: None,
            connector_binary: None,
            instance_id: None,
            checkpoint: None,
            grant_object_ids: [*id].into(),
            grants: self.carried(known),
            constraints: known.grant.constraints.clone(),
        };
        let operations = claims.grants.iter().filter_map(|entry| entry.operation.clone()).collect();
        let token = Token::mint(claims, &self.keys.issuance).ok()?;
        Some(MintedToken { bytes: token.as_bytes().to_vec(), operations, expires_at: expires })
    }

    /// The operations that the grant gives and the installed connector has, each with the capability it needs.
    fn carried(&self, known: &KnownGrant) -> BTreeSet<TokenGrant> {
        let manifest = self.catalog.get(&known.grant.connector).map(|installed| &installed.manifest);
        let needed = |operation: &OperationId| Some(manifest?.operation(operation)?.capability.clone());
        let entry = |operation: &OperationId| {
            let capability = needed(operation).filter(|it| known.grant.capabilities.contains(it))?;
            Some(TokenGrant { capability, operation: Some(operation.clone()) })
        };
        known.grant.operations.iter().filter_map(entry).collect()
    }
}

fn decoded(token: &Token<Verified>, issuer: IssuerFacts) -> TokenFacts {
    TokenFacts::Decoded {
        signature: SignatureFacts::Valid,
        claims: Box::new(token.claims().clone()),
        issuer: Some(issuer),
    }
}
