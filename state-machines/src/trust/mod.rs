//! Who may do what, what no longer holds, and what happened.

pub mod audit;
pub mod authority;
pub mod ceremony;
pub mod checkpoint;
pub mod keys;
pub mod lease;
pub mod membership;
pub mod quorum;
pub mod revocation;
