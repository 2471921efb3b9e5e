//! Check 4: nothing involved is revoked, as far as is known freshly enough for the operation's tier.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::limits::REVOCATION_FRESHNESS_SECS;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::zone::SafetyTier;

use super::{Bound, NotRevoked};
use crate::call::gate::{Denial, Facts, RevocationFacts};

//= docs/spec/gate.md#4-revocation
pub(super) fn check(bound: Bound<'_>) -> Result<NotRevoked<'_>, Denial> {
    let known = &bound.facts.revocation;
    stands(known, &bound.facts.principal)?;
    //= docs/spec/revocation.md#freshness
    if needs_freshness(bound.facts) && known.head_age_secs > REVOCATION_FRESHNESS_SECS {
        let rule = alloc::format!("the revocation head was certified {} s ago", known.head_age_secs);
        return Err(Denial::new(GateCheck::Revocation, Code::RevocationStale, rule));
    }
    Ok(NotRevoked { before: bound })
}

/// Nothing that is known to be revoked is involved.
pub(super) fn stands(known: &RevocationFacts, principal: &PrincipalId) -> Result<(), Denial> {
    let key = |whose: &str| alloc::format!("the key {whose} is revoked");
    let plain = |code: Code| alloc::string::String::from(code.meaning());
    let refused = |code, rule| Err(Denial::new(GateCheck::Revocation, code, rule));
    if known.token {
        return refused(Code::TokenRevoked, plain(Code::TokenRevoked));
    }
    if known.issuer_key {
        return refused(Code::IssuerKeyRevoked, key("that issued the token"));
    }
    if known.holder_key {
        return refused(Code::IssuerKeyRevoked, key(&alloc::format!("of {principal}")));
    }
    let others = [
        (known.node, Code::NodeRevoked),
        (known.connector, Code::ConnectorRevoked),
        (known.zone_key, Code::ZoneKeyRevoked),
    ];
    match others.iter().find(|(hit, _)| *hit) {
        Some((_, code)) => refused(*code, plain(*code)),
        None => Ok(()),
    }
}

/// Everything but a safe operation does; an unknown operation is treated as one that is not safe.
fn needs_freshness(facts: &Facts) -> bool {
    let operation = facts.connector.as_ref().and_then(|connector| connector.operation.as_ref());
    operation.is_none_or(|operation| operation.tier != SafetyTier::Safe)
}
