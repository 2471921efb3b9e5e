//! Where a credential is while it is stored, used, tested, replaced and removed: in the sealed vault, in the egress process
//! during its call, and nowhere else.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and its parts are its own"
)]

#[path = "../faults/accounts.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod accounts;
mod canary;
#[path = "../../../fwc/tests/programs/copy.rs"]
mod copy;
#[path = "../daemon/world.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod daemon;
mod life;
#[path = "../faults/place.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod place;
#[path = "../faults/processes.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod processes;
mod processes_searched;
#[path = "../../../fwc/tests/programs/mod.rs"]
mod programs;
#[path = "../faults/service.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod service;
