//! Check 9: the idempotency key is new, or names this very call.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::zone::Idempotency;

use super::{Installed, Keyed};
use crate::call::gate::{Denial, KeyStanding};

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
    let Some(key) = &facts.key else {
        return if installed.operation.idempotency == Idempotency::Strict {
            denied(Code::IdempotencyKeyRequired)
        } else {
            Ok(Key::New(Keyed { before: installed }))
        };
    };
    match &key.standing {
        KeyStanding::Fresh => Ok(Key::New(Keyed { before: installed })),
        KeyStanding::Completed(receipt) => Ok(Key::Spent(*receipt)),
        KeyStanding::OtherCall => denied(Code::IdempotencyConflict),
        KeyStanding::InProgress => denied(Code::CallInProgress),
        KeyStanding::NoRoom { retry_after_ms } => Err(Denial {
            retry_after_ms: *retry_after_ms,
            ..Denial::new(
                GateCheck::Idempotency,
                Code::Exhausted,
                "no more idempotency keys can be remembered; an old one expires, or settle what is unknown",
            )
        }),
        KeyStanding::Unknown(intent) => Err(Denial::new(
            GateCheck::Idempotency,
            Code::OutcomeUnknown,
            alloc::format!("the intent {intent} has no receipt"),
        )),
    }
}
