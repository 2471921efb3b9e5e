//! The walls of the sandbox, held against a program that tries to get through them. One binary, run as root and again
//! as an ordinary user: as root, the last test starts all others once more under another user.

#![allow(clippy::unwrap_used, reason = "a test may end by any failure")]

#[cfg(target_os = "linux")]
#[path = "../../../fwc/tests/programs/copy.rs"]
mod copy;
#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod limits;
#[path = "../../../fwc/tests/programs/mod.rs"]
mod programs;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
#[test]
fn the_same_as_an_ordinary_user() {
    world::repeat_as_ordinary_user();
}
