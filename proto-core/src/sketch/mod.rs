//! Rateless sketches: what two sets of names differ in, from as many cells as the difference needs.
//!
//! A sketch has no size of its own. Whoever has a set makes cell after cell of it ([`Encoder`]); whoever has the other
//! set subtracts its own cells and reads the difference from what is left ([`Decoder`]), as soon as there are about 1.4
//! cells for each difference, however large the sets are. Names are folded into salted keys of eight bytes first
//! ([`Salt`]), so cells are small and nobody without the salt can make names that collide; which names the keys stand for
//! is asked afterwards.
//!
//! [`Estimator`] says beforehand how large a difference is, roughly, and [`Filter`] which names may be in a set at all.
//!
//! Source: Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation" (2024, arXiv 2402.02668), with mapping and
//! cells of our own: docs/spec/sketches.md.

mod cell;
mod decoder;
mod encoder;
mod estimator;
mod filter;
mod item;
#[cfg(test)]
mod tests;

pub use cell::{CELL_BYTES, Cell};
pub use decoder::{Decoder, Differences, Undecodable};
pub use encoder::Encoder;
pub use estimator::{ESTIMATOR_BYTES, Estimator};
pub use filter::{Filter, MalformedFilter};
pub use item::{ItemKey, Salt};
