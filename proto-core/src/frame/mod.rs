//! Frames: what travels between nodes, as views over the caller's buffers.
//!
//! | layer | module | protects |
//! |---|---|---|
//! | FCPS frame: symbols of one object | [`header`], [`symbols`] | each symbol, by the zone's key |
//! | datagram around an FCPS frame | [`datagram`] | the frame, by the session's MAC |
//! | signed frame, while there is no session | [`signed`] | the frame, by the node's signature |
//! | message of a handshake | [`opening`] | its own signature |
//! | FCPC frame | [`control`] | the content, by the session's context key |
//! | a frame's content: a piece of a lane, or a word about the session | [`content`] | – |
//!
//! Every length is checked before anything else is read, sealing and opening happen in place, and nothing allocates for
//! a symbol. Spec: `docs/spec/fcps.md`, `docs/spec/fcpc.md`.

pub mod content;
pub mod control;
pub mod datagram;
pub mod error;
pub mod flags;
pub mod header;
mod layout;
pub mod opening;
pub mod signed;
pub mod symbols;
#[cfg(test)]
mod tests;
