//! What a call may do and what becomes of it.

pub mod idempotency;
pub mod rates;
