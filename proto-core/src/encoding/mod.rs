//! How values become bytes: canonical CBOR for all that is stored, signed or sent, and strict JSON at the edges.

pub mod cbor;
pub mod json;
pub mod named;
