//! Fountain symbols: an object as any number of pieces, of which any sufficient set rebuilds it (RaptorQ, RFC 6330).
//!
//! ```text
//! object ─► Encoder ─► symbol ┄┄ frames, AEAD ┄┄► Authenticated<Symbol> ─► Decoder ─► object
//!             ▲                                                              ▲
//!           Plans                              Decodes (how many, how much, how long)
//! ```
//!
//! The code itself is the `raptorq` crate, which trusts its input: it panics or allocates without bound on parameters
//! that nobody checked. All that reaches it went through [`TransmissionInformation`] and [`PayloadId`], whose values are
//! in range by construction, and through the checks of [`Decoder::add`]. Spec: `docs/spec/symbols.md`.

mod admission;
mod authenticated;
mod block;
mod decoder;
mod encoder;
mod identified;
mod payload_id;
mod plans;
#[cfg(test)]
mod tests;
mod transmission;

pub use admission::{AdmissionError, DecodeLimits, Decodes};
pub use authenticated::{Authenticated, EncodingSet, Symbol};
pub use decoder::{DecodeError, Decoder, Progress};
pub use encoder::{EncodeError, Encoder};
pub use identified::IdentifiedObject;
pub use payload_id::{EsiOutOfRange, PayloadId};
pub use plans::Plans;
pub use transmission::{Block, TransmissionError, TransmissionInformation};
