//! Check 1: the request is well-formed and within limits.

use fcp_proto_core::error::Code;
use fcp_proto_core::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use fcp_proto_core::object::GateCheck;

use super::{Asked, Decoded};
use crate::call::gate::Denial;

//= docs/spec/gate.md#1-decode
pub(super) fn check(asked: Asked<'_>) -> Result<Decoded<'_>, Denial> {
    let denied = |code: Code, rule| Denial::new(GateCheck::Decode, code, rule);
    let input = asked.facts.input.as_ref().map_err(|code| denied(*code, code.meaning()))?;
    match asked.facts.idempotency_key.as_deref() {
        Some("") => Err(denied(Code::OutOfRange, "the idempotency key is empty")),
        Some(key) if key.len() > MAX_IDEMPOTENCY_KEY_BYTES => {
            Err(denied(Code::OutOfRange, "the idempotency key is longer than 255 bytes"))
        }
        Some(_) | None => Ok(Decoded { before: asked, input }),
    }
}
