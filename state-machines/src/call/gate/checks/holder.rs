//! Check 5: the caller holds the token.

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Held, NotRevoked};
use crate::call::gate::{Denial, HolderFacts};

//= docs/spec/gate.md#5-holder
pub(super) fn check(fresh: NotRevoked<'_>) -> Result<Held<'_>, Denial> {
    let denied = |code: Code| Err(Denial::new(GateCheck::Holder, code, code.meaning()));
    match &fresh.facts.holder {
        HolderFacts::Missing => denied(Code::HolderProofMissing),
        HolderFacts::Invalid => denied(Code::HolderProofInvalid),
        HolderFacts::Proved(principal)
            if *principal != fresh.claims.principal_id || *principal != fresh.facts.principal =>
        {
            denied(Code::HolderMismatch)
        }
        HolderFacts::Proved(_) => Ok(Held { before: fresh }),
    }
}
