//! The journal: append-only, checksummed segment files, the one durable thing on a call's path.
//!
//! `format` is the bytes, `scan` reads a whole journal and tells a torn tail from damage, `repair` rewrites what the
//! caller gave up, `replay` hands the batches over in order, `writer` appends with group commit.
//!
//! //= docs/spec/journal.md

pub(crate) mod format;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod scan;
pub(crate) mod writer;

pub use format::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS};
pub use replay::{Batches, Recovered, Replayed};
pub use scan::Torn;
