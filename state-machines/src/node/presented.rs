//! A token that is shown without a proof of its holder's key: what it says, and what may be told to whoever shows it.
//!
//! Its judgement is the gate's own, on the facts of a call, as if the holder had proved its key. Spec:
//! `docs/spec/sessions.md#tokens-that-are-shown`.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    ConnectorId, CredentialId, Digest, IdError, KeyId, OperationId, PrincipalId, TokenId, ZoneId,
};
use fcp_proto_core::time::Now;
use fcp_proto_core::token::claims::{Claims, TokenGrant};

use super::caller::How;
use super::{CallRequest, CalledBy, Failure, HeldToken, Node, Refusal};
use crate::call::gate::{self, Facts, HolderFacts};

/// What the holder of a token signs to make a call, with the parts of the call that it cannot know by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsToProve {
    /// The token.
    pub token_id: TokenId,
    /// The zone of the call.
    pub zone: ZoneId,
    /// Whose token it is.
    pub principal: PrincipalId,
    /// The digest of the call.
    pub call_digest: Digest,
    /// The resources that it touches.
    pub resources: BTreeSet<String>,
    /// The credentials that it uses.
    pub credentials: BTreeSet<CredentialId>,
}

/// What a token says, and whether it is of use.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownToken {
    /// What it says.
    pub claims: Claims,
    /// The key that signed it.
    pub issuer_key: KeyId,
    /// The connector of its grants, if they are known.
    pub connector: Option<ConnectorId>,
    /// Why no call can be made with it, if none can.
    pub refused: Option<Refusal>,
}

impl Node {
    /// The token that a call is made with, and all that the call's digest covers: the holder cannot know all of it by
    /// itself, and signs it. The key is not proved yet, so nothing is told that the token does not cover.
    ///
    /// # Errors
    /// The token's fault if its signature does not hold; what refuses the call whoever makes it.
    //= docs/spec/sessions.md#tokens-that-are-shown
    pub fn parts_to_prove(&self, call: &CallRequest, now: Now) -> Result<PartsToProve, Failure> {
        let CalledBy::Token(held) = &call.by else {
            return Err(Failure::new(Code::Conflict, "a call in a session needs no proof"));
        };
        let token_id = self.read_token(&held.token).claims()?.token_id;
        let facts = self.as_if_proved(call, held, now)?;
        gate::token_covers(&facts, now.unix).map_err(|denial| Failure {
            check: Some(denial.check),
            ..Failure::new(denial.code, denial.rule)
        })?;
        let input = facts.input.map_err(|code| Failure::new(code, code.meaning()))?;
        Ok(PartsToProve {
            token_id,
            zone: facts.zone_id,
            principal: facts.principal,
            call_digest: input.call_digest,
            resources: input.resources.iter().map(|it| it.as_str().into()).collect(),
            credentials: input.credentials,
        })
    }

    /// What a token says, and whether some call of one of its operations would pass all checks that the token decides.
    ///
    /// # Errors
    /// Why nothing that it says can be believed.
    //= docs/spec/sessions.md#tokens-that-are-shown
    pub fn inspect_token(&self, token: &[u8], now: Now) -> Result<ShownToken, Failure> {
        let held = HeldToken { token: token.to_vec(), proof: None };
        let read = self.read_token(token);
        let claims = read.claims()?.clone();
        let issuer_key = read.issuer_key.ok_or_else(|| Failure::new(Code::Internal, "no key verified it"))?;
        let known = claims.grant_object_ids.iter().find_map(|id| self.authority.grant_by_id(id));
        let connector = known.map(|known| known.grant.connector.clone());
        let mut denials = Vec::with_capacity(claims.grants.len());
        for entry in &claims.grants {
            let call = probe(&held, &claims, connector.as_ref(), entry)?;
            let facts = self.as_if_proved(&call, &held, now)?;
            denials.push(gate::token_stands(&facts, now.unix).err());
        }
        let denials: Option<Vec<_>> = denials.into_iter().collect();
        let furthest = denials.and_then(|all| all.into_iter().max_by_key(|denial| denial.check));
        Ok(ShownToken { claims, issuer_key, connector, refused: furthest.map(Refusal::from) })
    }

    /// The facts of a call with a token whose holder is taken at its word.
    fn as_if_proved(&self, call: &CallRequest, held: &HeldToken, now: Now) -> Result<Facts, Failure> {
        let caller = self.holder_of(&held.token)?;
        let mut prepared = self.gather(call, &caller, now)?;
        if let How::Token(token) = caller.how {
            let grants = token.grants();
            self.stand(&mut prepared, token, &grants, now);
        }
        prepared.facts.holder = HolderFacts::Proved(caller.principal);
        Ok(prepared.facts)
    }
}

/// A call that stands for all calls of one entry of a token. An entry for every operation, and a token whose grants nobody
/// knows, are refused by check 6 whatever is asked for.
fn probe(
    held: &HeldToken,
    claims: &Claims,
    connector: Option<&ConnectorId>,
    entry: &TokenGrant,
) -> Result<CallRequest, Failure> {
    let any = entry.capability.as_str();
    let connector = connector.cloned().map_or_else(|| ConnectorId::new(any), Ok);
    let operation = entry.operation.clone().map_or_else(|| OperationId::new(any), Ok);
    let unnamed = |error: IdError| Failure::new(Code::Internal, error.to_string());
    Ok(CallRequest {
        by: CalledBy::Token(held.clone()),
        zone: Some(claims.zone_id.clone()),
        connector: connector.map_err(unnamed)?,
        operation: operation.map_err(unnamed)?,
        input: Ok(Json::Object(Default::default())),
        handles: Vec::new(),
        credential: None,
        idempotency_key: None,
        approvals: BTreeSet::new(),
        deadline_ms: None,
        keep: false,
        trace: None,
    })
}
