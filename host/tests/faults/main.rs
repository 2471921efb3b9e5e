//! Processes that are killed and disks that fail in the middle of calls: the real daemon, egress, connector and command
//! line, and a service that counts what was done to it. After each fault every call is accounted for.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and its parts are its own"
)]

mod accounts;
mod at_random;
mod ceremony;
mod changes;
#[path = "../../../fwc/tests/programs/copy.rs"]
mod copy;
#[path = "../daemon/world.rs"]
#[allow(dead_code, reason = "these tests need a part of it only")]
mod daemon;
mod damaged;
mod full_disk;
mod named_points;
mod place;
mod probing;
mod processes;
#[path = "../../../fwc/tests/programs/mod.rs"]
mod programs;
mod restarting;
#[allow(dead_code, reason = "the tests of secrets need the rest of it")]
mod service;
