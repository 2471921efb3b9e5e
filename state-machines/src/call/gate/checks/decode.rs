//! Check 1: the request is well-formed and within limits.

use alloc::string::ToString;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Asked, Decoded};
use crate::call::gate::Denial;
use crate::call::idempotency::IdempotencyKey;

//= docs/spec/gate.md#1-decode
pub(super) fn check(asked: Asked<'_>) -> Result<Decoded<'_>, Denial> {
    let input =
        asked.facts.input.as_ref().map_err(|code| Denial::new(GateCheck::Decode, *code, code.meaning()))?;
    if let Some(key) = &asked.facts.key {
        IdempotencyKey::new(key.text.as_str())
            .map_err(|error| Denial::new(GateCheck::Decode, Code::OutOfRange, error.to_string()))?;
    }
    Ok(Decoded { before: asked, input })
}
