//! The gate: one pure function that decides whether a call may be made.
//!
//! It reads [`Facts`], plain values that other machines filled, and walks fifteen checks in a fixed order. It is the only
//! place where [`Authorized`] is made, and nothing is dispatched without one. Spec: `docs/spec/gate.md`.
//!
//! ```text
//! Facts ──► decode ► token ► binding ► revocation ► holder ► grants ► zone ► connector ► key
//!                ► schema ► constraints ► flow ► approval ► lease ► rates ──► Authorized
//!                     └─ each may end it: Denied { check, code, rule }; the key may also end it with Replay
//! ```
//!
//! The order is a matter of types: each check takes the proof of the check before it, and adds what it established.

mod authorized;
mod checks;
mod denial;
mod facts;
#[cfg(test)]
mod tests;

pub use authorized::{Authorized, Seal};
pub use denial::{Denial, StandingFault};
pub use facts::{
    ApprovalFacts, ConnectorFacts, DenialFacts, Facts, FlowFacts, GrantFacts, HandleFacts, HolderFacts,
    InputFacts, IssuerFacts, KeyFacts, KeyStanding, LeaseFacts, OperationFacts, ProspectFacts, RateFacts,
    RevocationFacts, SignatureFacts, SlotFacts, StandingFacts, TokenFacts, ZoneFacts,
};

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::ApprovalKind;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

/// What the gate decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call may be dispatched, once.
    Authorized(Box<Authorized>),
    /// The same call was made before under this key: its stored receipt is the answer, and nothing is spent.
    Replay(ObjectId),
    /// The call may not be made.
    Denied(Denial),
}

/// Decides over one call.
///
/// It has no effect: the same facts at the same time always give the same decision, and spending what the decision
/// reserves is for the one decider that asked.
//= docs/spec/gate.md#the-gate
pub fn decide(facts: &Facts, now: UnixTime) -> Decision {
    match checks::all(facts, now) {
        Ok(checks::Passed::Spend(authorized)) => Decision::Authorized(Box::new(authorized)),
        Ok(checks::Passed::Replay(receipt)) => Decision::Replay(receipt),
        Err(denial) => Decision::Denied(denial),
    }
}

/// Whether a decision still stands now that its intent is durable and the call is about to leave.
///
/// # Errors
/// What has changed so that it does not: the call must not be delivered then.
pub fn recheck(authorized: &Authorized, facts: &StandingFacts, now: UnixTime) -> Result<(), Denial> {
    checks::standing::check(authorized, facts, now)
}

/// Whether a grant could serve a call of one of its operations, as far as neither token nor input decide.
///
/// # Errors
/// The first test of checks 4 (but for freshness), 6 to 8 and 11 that would refuse every such call.
pub fn could_serve(facts: &ProspectFacts<'_>, now: UnixTime) -> Result<(), Denial> {
    checks::prospect::check(facts, now)
}

/// Whether a call passes checks 1 to 8: who asks for what, and whether it exists for him.
///
/// # Errors
/// The first check that refuses.
pub fn token_stands(facts: &Facts, now: UnixTime) -> Result<(), Denial> {
    checks::token_stands(facts, now)
}

/// Whether a token lets a call through as far as the token alone decides: checks 1 to 8 for a holder that has proved its
/// key, and that the token covers every resource and credential of the call.
///
/// # Errors
/// The first check that refuses.
//= docs/spec/sessions.md#calls-outside-a-session
pub fn token_covers(facts: &Facts, now: UnixTime) -> Result<(), Denial> {
    checks::token_covers(facts, now)
}

/// The merged label of all that goes into the call.
pub fn input_label(facts: &Facts) -> Label {
    checks::input_label(facts)
}

/// What a person would have to approve for the call to pass checks 12 and 13; empty if nothing.
pub fn approvals_needed(facts: &Facts) -> BTreeSet<ApprovalKind> {
    checks::approvals_needed(facts)
}
