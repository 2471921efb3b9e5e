//! Check 9: the idempotency key is new, or names this very call.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::zone::Idempotency;

use super::{Installed, Keyed};
use crate::call::gate::{Denial, KeyFacts};

/// What the key says.
pub(super) enum Key<'a> {
    /// Go on.
    New(Keyed<'a>),
    /// The call was made; its receipt.
    Spent(ObjectId),
}

//= docs/spec/gate.md#9-idempotency
pub(super) fn check(installed: Installed<'_>) -> Result<Key<'_>, Denial> {
    let denied = |code: Code| Err(Denial::new(GateCheck::Idempotency, code, code.meaning()));
    let facts = installed.facts;
    if installed.operation.idempotency == Idempotency::Strict && facts.idempotency_key.is_none() {
        return denied(Code::IdempotencyKeyRequired);
    }
    match &facts.key {
        KeyFacts::Fresh => Ok(Key::New(Keyed { before: installed })),
        KeyFacts::Completed(receipt) => Ok(Key::Spent(*receipt)),
        KeyFacts::OtherCall => denied(Code::IdempotencyConflict),
        KeyFacts::InProgress => denied(Code::CallInProgress),
        KeyFacts::Unknown(intent) => Err(Denial::new(
            GateCheck::Idempotency,
            Code::OutcomeUnknown,
            alloc::format!("the intent {intent} has no receipt"),
        )),
    }
}
