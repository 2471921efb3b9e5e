//! What a call may do and what becomes of it.

pub mod approvals;
pub mod contexts;
pub mod egress;
pub mod gate;
pub mod idempotency;
pub mod rates;
pub mod supervisor;
