//! Looking into a capability token.

use fcp_api::routes::InspectToken;
use fcp_api::types::{ErrorBody, TokenReport, TokenVerdict};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::time::Now;
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, Validity};
use fcp_state_machines::node::Node;

use super::mount::{Ask, Serve};

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
