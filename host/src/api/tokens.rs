//! Capability tokens: minting them for their holders, what they sign with them, looking into one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fcp_api::hex::Hex;
use fcp_api::routes::{InspectToken, MintTokens, PrepareCall};
use fcp_api::secret::Secret;
use fcp_api::types::{
    CallOptions, CallPrepared, ErrorBody, MintedToken, TokenReport, TokenVerdict, TokensMinted,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::time::Now;
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, Validity};
use fcp_state_machines::node::{self, Answer, MAX_MINTED_OPERATIONS, Node, Request};

use super::access::Calling;
use super::denial::failed;
use super::inputs;
use super::mount::{Ask, Serve};
use super::sign::unexpected;

/// Why a token whose signature holds is of no use now.
fn judge(node: &Node, claims: &Claims, now: Now) -> Result<(), (Code, String)> {
    let because = |code: Code| (code, code.meaning().to_owned());
    match claims.validity_at(now.unix) {
        Validity::Valid => {}
        Validity::NotYet => return Err(because(Code::TokenNotYetValid)),
        Validity::Expired => return Err(because(Code::TokenExpired)),
    }
    let revoked = |scope, target: &[u8]| node.revocations().is_revoked(scope, target, now.unix);
    if revoked(RevocationScope::Capability, claims.token_id.as_bytes()) {
        return Err(because(Code::TokenRevoked));
    }
    for grant in &claims.grant_object_ids {
        if revoked(RevocationScope::Capability, grant.as_bytes()) {
            return Err((Code::GrantRevoked, format!("the grant {grant} is revoked")));
        }
        if node.authority().grant_by_id(grant).is_none() {
            return Err((Code::GrantMissing, format!("there is no grant {grant}")));
        }
    }
    Ok(())
}

impl Serve for MintTokens {
    async fn serve(ask: Ask<Self>) -> Result<TokensMinted, ErrorBody> {
        let agent = ask.caller.as_agent()?;
        if !(1..=MAX_MINTED_OPERATIONS).contains(&ask.body.operations.len()) {
            let why = format!("name 1 to {MAX_MINTED_OPERATIONS} operations");
            return Err(ErrorBody::new(Code::OutOfRange).because(why));
        }
        let request = Request::MintTokens {
            session: agent.session,
            binding: ask.app.binding(ask.peer.uid),
            operations: ask.body.operations.into_iter().collect(),
        };
        match ask.app.ask(request).await {
            Ok(Answer::Tokens(tokens)) => {
                Ok(TokensMinted { tokens: tokens.into_iter().map(shown).collect() })
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

/// A token, as its holder gets it.
fn shown(token: node::MintedToken) -> MintedToken {
    MintedToken {
        token: Secret::new(BASE64_STANDARD.encode(token.expose())),
        token_id: token.token_id,
        connector: token.connector,
        operations: token.operations.into_iter().collect(),
        grant: token.grant,
        expires_at: token.expires_at,
        issuer_key: token.issuer_key,
    }
}

impl Serve for PrepareCall {
    //= docs/spec/sessions.md#calls-outside-a-session
    async fn serve(ask: Ask<Self>) -> Result<CallPrepared, ErrorBody> {
        let Ask { app, body, peer, now, .. } = ask;
        let calling = Calling::with_token(&app, body.token.expose(), None).await?;
        let call = inputs::call(&app, &calling, body.call, CallOptions::default(), None).await?;
        let parts = app.query(move |node, _| node.parts_to_prove(&call)).await?;
        let (token_id, covered) = parts.map_err(|failure| failed(&failure))?;
        let call_digest = covered.digest().map_err(|_| ErrorBody::new(Code::InputTooLarge))?;
        let node = app.serving()?.node_id.clone();
        let (challenge, expires_at) = app.challenges.issue(peer.origin, now);
        Ok(CallPrepared {
            call_digest,
            token_id,
            node,
            zone: covered.zone,
            agent: covered.principal,
            resources: covered.resources.into_iter().collect(),
            credentials: covered.credentials.into_iter().collect(),
            challenge: Hex(challenge),
            expires_at,
        })
    }
}

impl Serve for InspectToken {
    async fn serve(ask: Ask<Self>) -> Result<TokenReport, ErrorBody> {
        let token = Token::from_text(ask.body.token.expose())
            .map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
        let report = ask.app.query(move |node, now| {
            let issuer_key = token.key_id();
            let issuer = node.authority().issuer(issuer_key).map(|it| it.issuance_key);
            let (claims, status) = match issuer.map(|key| token.clone().verify(&key)) {
                Some(Ok(token)) => {
                    let status = judge(node, token.claims(), now);
                    (token.claims().clone(), status)
                }
                Some(Err(error)) => return Err(ErrorBody::new(error.code()).because(error.to_string())),
                None => {
                    let why = format!("no node of this home has the key {issuer_key}");
                    return Err(ErrorBody::new(Code::TokenIssuerUnknown).because(why));
                }
            };
            let grants: Vec<_> = claims.grant_object_ids.iter().copied().collect();
            let connector = grants.first().and_then(|id| node.authority().grant_by_id(id));
            Ok(TokenReport {
                status: match status {
                    Ok(()) => TokenVerdict::Valid,
                    Err((code, why)) => TokenVerdict::Refused { code, why },
                },
                token_id: claims.token_id,
                issuer_key,
                issuer_node: claims.issuer_node,
                agent: claims.principal_id,
                zone: claims.zone_id,
                connector: connector.map(|known| known.grant.connector.clone()),
                operations: claims.grants.into_iter().filter_map(|grant| grant.operation).collect(),
                grants,
                constraints: claims.constraints,
                not_before: claims.not_before,
                expires_at: claims.expires,
                holder_bound: true,
            })
        });
        report.await?
    }
}
