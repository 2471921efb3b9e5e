//! Who makes a call: the holder of a session, of a token with a proof for this very call, or an operator by a word.

use alloc::boxed::Box;

use fcp_proto_core::crypto::proof::CallProof;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, PrincipalId, ZoneId};
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::Claims;

use super::tokens::ReadToken;
use super::word::Word;
use super::{CallRequest, CalledBy, Failure, HolderProof, Node, SessionId};
use crate::call::gate::{HolderFacts, SignatureFacts, TokenFacts};

/// Who makes a call, as far as that is known before anything of the call is looked at.
pub(super) struct Caller {
    pub principal: PrincipalId,
    /// The zone it is enrolled in.
    pub zone: ZoneId,
    pub how: How,
}

/// By what it is known.
pub(super) enum How {
    /// It proved its key when the session began.
    Session(SessionId),
    /// It says so in a token whose signature holds; its proof is still to be checked.
    Token(ReadToken),
    /// It signed a word that the node has taken, with the token that tells the gate of it.
    Word(ReadToken, Box<Word>),
}

impl Node {
    /// Who makes the call. A session must be live on its connection, a token's signature must verify; what else can be
    /// wrong with a token is for the gate.
    //= docs/spec/sessions.md#calls-outside-a-session
    pub(super) fn identify(&mut self, by: &CalledBy, now: UnixTime) -> Result<Caller, Failure> {
        let found = match by {
            CalledBy::Session { id, binding } => self
                .sessions
                .get(*id, binding, now)
                .map(|session| Caller {
                    principal: session.principal.clone(),
                    zone: session.zone.clone(),
                    how: How::Session(*id),
                })
                .ok_or_else(|| {
                    Failure::new(Code::Unauthenticated, "there is no such session on this connection")
                }),
            CalledBy::Token(held) => self.holder_of(&held.token),
            CalledBy::Word(_) => Err(Failure::new(Code::Unauthenticated, "a word is taken, not called with")),
        };
        found.inspect_err(|_| self.refusals.count())
    }

    /// Whom a token is for, once its signature is verified.
    pub(super) fn holder_of(&self, token: &[u8]) -> Result<Caller, Failure> {
        let token = self.read_token(token);
        let claims = token.claims()?;
        let known = self.authority.principal(&claims.principal_id).ok_or_else(|| {
            Failure::new(Code::Unauthenticated, "the token is of a principal that is not enrolled")
        })?;
        let (principal, zone) = (claims.principal_id.clone(), known.zone.clone());
        Ok(Caller { principal, zone, how: How::Token(token) })
    }

    /// What the caller has proved of this call.
    pub(super) fn holder_facts(
        &self,
        call: &CallRequest,
        caller: &Caller,
        zone: &ZoneId,
        call_digest: Digest,
    ) -> HolderFacts {
        let (CalledBy::Token(held), How::Token(token)) = (&call.by, &caller.how) else {
            return HolderFacts::Proved(caller.principal.clone());
        };
        match (token.claims(), &held.proof) {
            (_, None) => HolderFacts::Missing,
            (Ok(claims), Some(proof)) if self.holds(claims, proof, zone, call_digest) => {
                HolderFacts::Proved(caller.principal.clone())
            }
            (Ok(_) | Err(_), Some(_)) => HolderFacts::Invalid,
        }
    }

    /// Whether the proof is of the token's own key, which is still the principal's, for this call with this token here.
    //= docs/spec/sessions.md#calls-outside-a-session
    fn holds(&self, claims: &Claims, proof: &HolderProof, zone: &ZoneId, call_digest: Digest) -> bool {
        let statement = CallProof {
            call_digest,
            token_id: claims.token_id,
            node_id: self.node_id.clone(),
            audience: zone.clone(),
            challenge: proof.challenge,
        };
        let enrolled = self.authority.principal(&claims.principal_id);
        enrolled.map(|it| it.enrolment.public_key).is_some_and(|key| {
            claims.holder == key.into() && statement.verify(&key, &proof.signature).is_ok()
        })
    }

    /// Whom a token is for, and the zone that it is enrolled in.
    ///
    /// # Errors
    /// The token's fault if its signature does not hold.
    pub fn token_holder(&self, token: &[u8]) -> Result<(PrincipalId, ZoneId), Failure> {
        self.holder_of(token).map(|caller| (caller.principal, caller.zone))
    }
}

impl ReadToken {
    /// The claims of a token whose signature holds.
    pub(super) fn claims(&self) -> Result<&Claims, Failure> {
        let refused = |code: Code| Failure {
            check: Some(GateCheck::TokenSignature),
            ..Failure::new(code, self.facts.why_unbelieved())
        };
        match &self.facts {
            TokenFacts::Decoded { signature: SignatureFacts::Valid, claims, .. } => Ok(claims),
            TokenFacts::Decoded { signature: SignatureFacts::Invalid, .. } => {
                Err(refused(Code::TokenSignatureInvalid))
            }
            TokenFacts::Malformed(code) => Err(refused(*code)),
            TokenFacts::UnknownKey => Err(refused(Code::TokenIssuerUnknown)),
            TokenFacts::Absent => Err(refused(Code::HolderProofMissing)),
        }
    }
}
