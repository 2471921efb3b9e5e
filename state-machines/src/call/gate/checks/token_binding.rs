//! Check 3: the token is for this zone, from an attested issuer, at this time.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::limits::TOKEN_SKEW_SECS;
use fcp_proto_core::object::GateCheck;

use super::{Bound, Signed};
use crate::call::gate::Denial;

//= docs/spec/gate.md#3-token-binding
pub(super) fn check(signed: Signed<'_>) -> Result<Bound<'_>, Denial> {
    let (claims, facts, now) = (signed.claims, signed.facts, signed.now);
    let denied = |code, rule| Err(Denial::new(GateCheck::TokenBinding, code, rule));
    if claims.zone_id != facts.zone_id {
        return denied(Code::TokenZoneMismatch, format!("the token is for {}", claims.zone_id));
    }
    let attested = signed.issuer.is_some_and(|issuer| {
        issuer.node_id == claims.issuer_node && issuer.issued_at <= now && now < issuer.expires_at
    });
    if !attested {
        return denied(Code::TokenIssuerUnknown, format!("{} has no live attestation", claims.issuer_node));
    }
    if now >= claims.expires {
        return denied(Code::TokenExpired, format!("the token ended at {}", claims.expires));
    }
    if now.saturating_add(TOKEN_SKEW_SECS) < claims.not_before {
        return denied(Code::TokenNotYetValid, format!("the token begins at {}", claims.not_before));
    }
    Ok(Bound { before: signed })
}
