//! Connectors as the daemon runs them: the real launcher, the real engine, a real egress, a service over TLS, and a
//! connector that does most things wrong.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may end by any failure")]

mod authority;
mod egress;
mod lifecycle;
mod outputs;
#[path = "../../../fwc/tests/programs/mod.rs"]
mod programs;
mod protocol;
mod service;
mod told;
mod world;
