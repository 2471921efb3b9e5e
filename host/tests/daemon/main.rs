//! The daemon as a process: its home, its API, and what survives it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and its parts are its own"
)]

mod apart;
mod audited;
mod authority;
mod condition;
#[path = "../../../fwc/tests/programs/copy.rs"]
mod copy;
mod development;
mod engine;
mod examined;
mod explaining;
mod flooded;
mod granted_paths;
mod hostile;
mod log_file;
mod losing;
mod making;
mod operating;
mod outside;
#[path = "../../../fwc/tests/programs/mod.rs"]
mod programs;
mod recovering;
mod reinstalled;
mod released;
mod rotating;
mod standing_approvals;
mod stopping;
mod surviving;
mod tampered;
mod trial;
mod waiting;
mod world;
