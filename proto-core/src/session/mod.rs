//! Sessions between two nodes as values: handshake, keys, replay windows, rekey.
//!
//! ```text
//! initiator                                   responder
//!   Initiator::new ── Hello ──────────────▶  (Cookies::check, else HelloRetry)
//!                                            Hello::verify ─▶ HelloReplay::admit ─▶ FreshHello::answer
//!   Initiator::check ◀────────────── Ack ──
//!   Initiator::establish                     Session
//! ```
//!
//! Nothing here sends, waits or reads a clock; each step takes the proof that the step before it made. A session's
//! keys are two halves: [`SendKeys`](keys::SendKeys) can only seal and [`ReceiveKeys`](keys::ReceiveKeys) only open,
//! each in its own direction and for its own generation. Spec: `docs/spec/mesh-sessions.md`.

pub mod cookie;
mod ephemeral;
pub mod error;
pub mod handshake;
pub mod keys;
pub mod message;
pub mod rekey;
pub mod replay;
pub mod schedule;
pub mod suite;
#[cfg(test)]
pub(crate) mod tests;
pub mod transcript;
