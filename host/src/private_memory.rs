//! A process whose memory nobody else reads: what is wiped there must not have been copied elsewhere before.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// From now on this process leaves no core file, nor do those that it starts, and others of its user cannot trace it.
///
/// # Errors
/// If the kernel refuses.
//= docs/spec/keys.md#memory
pub fn make() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}
