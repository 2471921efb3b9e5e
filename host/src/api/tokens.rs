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
use fcp_proto_core::token::Token;
use fcp_state_machines::node::{self, Answer, MAX_MINTED_OPERATIONS, Refusal, Request, ShownToken};

use super::access::Calling;
use super::denial::failed;
use super::inputs;
use super::mount::{Ask, Serve};
use super::sign::unexpected;

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
        let parts = app.query(move |node, now| node.parts_to_prove(&call, now)).await?;
        // Nobody is proved, so no command is told: it would name what the token does not cover.
        let parts = parts.map_err(|failure| failed(&failure))?;
        let node = app.serving()?.node_id.clone();
        let (challenge, expires_at) = app.challenges.issue(peer.origin, now);
        Ok(CallPrepared {
            call_digest: parts.call_digest,
            token_id: parts.token_id,
            node,
            zone: parts.zone,
            agent: parts.principal,
            resources: parts.resources.into_iter().collect(),
            credentials: parts.credentials.into_iter().collect(),
            challenge: Hex(challenge),
            expires_at,
        })
    }
}

impl Serve for InspectToken {
    //= docs/spec/sessions.md#tokens-that-are-shown
    async fn serve(ask: Ask<Self>) -> Result<TokenReport, ErrorBody> {
        let token = Token::from_text(ask.body.token.expose())
            .map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
        let shown = ask.app.query(move |node, now| node.inspect_token(token.as_bytes(), now)).await?;
        let ShownToken { claims, issuer_key, connector, refused } =
            shown.map_err(|failure| failed(&failure))?;
        Ok(TokenReport {
            status: match refused {
                None => TokenVerdict::Valid,
                Some(Refusal { code, rule, .. }) => {
                    let why = if rule.is_empty() { code.meaning().into() } else { rule };
                    TokenVerdict::Refused { code, why }
                }
            },
            token_id: claims.token_id,
            issuer_key,
            issuer_node: claims.issuer_node,
            agent: claims.principal_id,
            zone: claims.zone_id,
            connector,
            operations: claims.grants.into_iter().filter_map(|grant| grant.operation).collect(),
            grants: claims.grant_object_ids.into_iter().collect(),
            constraints: claims.constraints,
            not_before: claims.not_before,
            expires_at: claims.expires,
            holder_bound: true,
        })
    }
}
