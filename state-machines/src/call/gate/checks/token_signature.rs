//! Check 2: the token's signature verifies, before any claim is read.

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Decoded, Signed, grants};
use crate::call::gate::{Denial, HolderFacts, SignatureFacts, TokenFacts};

//= docs/spec/gate.md#2-token-signature
pub(super) fn check(decoded: Decoded<'_>) -> Result<Signed<'_>, Denial> {
    let token = &decoded.facts.token;
    let denied = |code: Code| Err(Denial::new(GateCheck::TokenSignature, code, token.why_unbelieved()));
    match token {
        TokenFacts::Absent => Err(no_token(&decoded)),
        TokenFacts::Malformed(code) => denied(*code),
        TokenFacts::UnknownKey => denied(Code::TokenIssuerUnknown),
        TokenFacts::Decoded { signature: SignatureFacts::Invalid, .. } => denied(Code::TokenSignatureInvalid),
        TokenFacts::Decoded { signature: SignatureFacts::Valid, claims, issuer } => {
            Ok(Signed { claims, issuer: issuer.as_ref(), before: decoded })
        }
    }
}

/// A proven principal without a token for this has not been granted it; anyone else has proved nothing.
fn no_token(decoded: &Decoded<'_>) -> Denial {
    let facts = decoded.facts;
    if facts.holder == HolderFacts::Proved(facts.principal.clone()) {
        grants::none_held(facts, decoded.now)
    } else {
        Denial::new(GateCheck::Holder, Code::HolderProofMissing, "the caller has proved no key")
    }
}
