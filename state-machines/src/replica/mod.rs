//! What connectors keep beyond their process, on every device: one chain with one writer, or changes that merge.
//!
//! Spec: docs/spec/replica.md.

pub mod chain;
pub mod crdt;
pub mod migration;
