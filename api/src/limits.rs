//! Bounds on what travels over the API.

use fcp_proto_core::limits::{MAX_INPUT_BYTES, MAX_LINE_BYTES};

/// Largest request body of an ordinary route: one operation's input and what surrounds it.
pub const MAX_REQUEST_BYTES: usize = MAX_INPUT_BYTES + 64 * 1024;

/// Largest request body of an installation that uploads its package. Chosen: a stripped native connector of 48 MiB in
/// base64.
pub const MAX_UPLOAD_BYTES: usize = 65 * 1024 * 1024;

/// Largest answer that a client reads. Chosen: the longest connector line and what surrounds it.
pub const MAX_ANSWER_BYTES: usize = MAX_LINE_BYTES + 1024 * 1024;

/// Longest wait of a long poll, in milliseconds.
pub const MAX_WAIT_MS: u64 = 60_000;

/// Largest number of items in one page.
pub const MAX_PAGE: u32 = 1_000;

/// Number of items in a page when the caller does not say.
pub const DEFAULT_PAGE: u32 = 100;
