//! Who has proved a key, and the short tokens that stand for it.
//!
//! A session begins with a proof that binds the principal's key to the connection, and its name is a secret that only that
//! caller has. Tokens are minted from the principal's live grants when a call needs them; each names one grant, so that
//! the constraints of one never lend themselves to another. Spec: `docs/spec/sessions.md`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::crypto::proof::{ChannelBinding, SessionProof};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, KeyId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Now, UnixTime};

use super::ledger::Unit;
use super::{Answer, Failure, Node, RequestId, SessionRequest, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;

/// The secret name of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The name made of `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name's bytes, to be handed to its holder and nobody else.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(redacted)")
    }
}

/// A principal that has proved its key.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub principal: PrincipalId,
    /// The key it proved.
    pub key: KeyId,
    /// The principal's zone.
    pub zone: ZoneId,
    /// The connection's binding.
    pub binding: ChannelBinding,
    /// Until when.
    pub expires_at: UnixTime,
    /// The tokens that its calls were judged by, by the grant they stand on.
    pub(super) tokens: BTreeMap<ObjectId, MintedToken>,
}

/// A token as its holder keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct MintedToken {
    /// Its id.
    pub token_id: TokenId,
    /// For this connector.
    pub connector: ConnectorId,
    /// For these operations.
    pub operations: BTreeSet<OperationId>,
    /// The grant it stands on.
    pub grant: ObjectId,
    /// Until when.
    pub expires_at: UnixTime,
    /// The key that signed it.
    pub issuer_key: KeyId,
    pub(super) bytes: Vec<u8>,
}

impl MintedToken {
    /// The token's bytes, to be handed to its holder and nobody else.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MintedToken(redacted)")
    }
}

/// All open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    open: BTreeMap<SessionId, Session>,
}

impl Sessions {
    /// Opens a session until `expires_at`. One principal has a bounded number: the one that ends first makes room.
    pub(super) fn open(
        &mut self,
        principal: PrincipalId,
        key: KeyId,
        zone: ZoneId,
        binding: ChannelBinding,
        expires_at: UnixTime,
        entropy: &mut Entropy,
    ) -> SessionId {
        let own = || self.open.iter().filter(|(_, session)| session.principal == principal);
        if own().count() >= MAX_OF_PRINCIPAL {
            let first = own().min_by_key(|(_, session)| session.expires_at).map(|(id, _)| *id);
            first.and_then(|id| self.open.remove(&id));
        }
        let id = SessionId(entropy.bytes());
        self.open.insert(id, Session { principal, key, zone, binding, expires_at, tokens: BTreeMap::new() });
        id
    }

    /// The live session of that name on that connection.
    //= docs/spec/sessions.md#use
    pub fn get(&self, id: SessionId, binding: &ChannelBinding, now: UnixTime) -> Option<&Session> {
        self.open.get(&id).filter(|session| session.binding == *binding && now < session.expires_at)
    }

    /// The principal of a session, whatever its connection; for cancellation and display.
    pub fn principal(&self, id: SessionId) -> Option<&PrincipalId> {
        self.open.get(&id).map(|session| &session.principal)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.open.get_mut(&id)
    }

    pub(super) fn close(&mut self, id: SessionId) -> Option<Session> {
        self.open.remove(&id)
    }

    /// Forgets tokens that stand on `grant`.
    pub(super) fn forget_grant(&mut self, grant: &ObjectId) {
        for session in self.open.values_mut() {
            session.tokens.remove(grant);
        }
    }

    /// Forgets all tokens: what they were minted from has changed.
    pub(super) fn forget_tokens(&mut self) {
        for session in self.open.values_mut() {
            session.tokens.clear();
        }
    }

    /// Closes every session that has ended or that `gone` says must not go on.
    pub(super) fn retain(&mut self, now: UnixTime, gone: impl Fn(&Session) -> bool) {
        self.open.retain(|_, session| now < session.expires_at && !gone(session));
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All open sessions, without their names.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.open.values()
    }
}

impl Node {
    //= docs/spec/sessions.md#opening
    pub(super) fn open_session(
        &mut self,
        id: RequestId,
        request: &SessionRequest,
        now: Now,
    ) -> Result<(), Failure> {
        let refused = |code: Code| Failure::new(code, code.meaning());
        let known = self.authority.principal(&request.principal).cloned();
        let Some(known) = known else {
            self.refusals.count();
            return Err(refused(Code::Unauthenticated));
        };
        if let Some(told) = self.principal_revoked(&request.principal, now.unix) {
            self.refusals.count();
            return Err(Failure::new(Code::IssuerKeyRevoked, told));
        }
        let proof = SessionProof {
            principal_id: request.principal.clone(),
            node_id: self.node_id.clone(),
            channel_binding: request.binding,
            challenge: request.challenge,
        };
        if proof.verify(&known.enrolment.public_key, &request.proof).is_err() {
            self.refusals.count();
            return Err(refused(Code::HolderProofInvalid));
        }
        let expires_at = now.unix.saturating_add(self.session_secs);
        let session = self.sessions.open(
            request.principal.clone(),
            known.key_id,
            known.zone.clone(),
            request.binding,
            expires_at,
            &mut self.entropy,
        );
        let mut unit = Unit::new(Class::Normal);
        unit.audit(&known.zone, Entry::new(AuditEventKind::SessionOpened, request.principal.as_str()));
        let answer = Answer::Session {
            id: session,
            principal: request.principal.clone(),
            zone: known.zone,
            expires_at,
        };
        unit.then(Then::Answer(id, Ok(Box::new(answer))));
        self.commit(unit);
        Ok(())
    }

    pub(super) fn close_session(&mut self, id: RequestId, session: SessionId) -> Result<(), Failure> {
        let closed = self.sessions.close(session);
        let closed = closed.ok_or_else(|| Failure::new(Code::NotFound, "there is no such session"))?;
        let mut unit = Unit::new(Class::Normal);
        unit.audit(&closed.zone, Entry::new(AuditEventKind::SessionClosed, closed.principal.as_str()));
        unit.then(Then::Answer(id, Ok(Box::new(Answer::Done))));
        self.commit(unit);
        Ok(())
    }
}

/// Open sessions of one principal. Chosen: far above the processes that one agent runs.
const MAX_OF_PRINCIPAL: usize = 64;
