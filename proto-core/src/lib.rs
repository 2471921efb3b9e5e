//! Values and pure functions of FCP: identifiers, encodings, cryptography, tokens, zones, objects, manifests, fountain
//! symbols, mesh sessions and frames.
//!
//! Nothing here owns a clock, a file, a socket or a source of randomness; time and entropy are arguments.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod crypto;
pub mod encoding;
pub mod error;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod object;
pub mod random;
pub mod session;
pub mod sketch;
pub mod symbol;
pub mod time;
pub mod token;
pub mod zone;
