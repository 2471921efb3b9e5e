//! Copies of programs, for tests that run them at another place.

use std::path::Path;
use std::process::Command;

/// Copies a program. Another process writes the copy: a handle of our own would go to whatever child another test starts
/// meanwhile, and what is open for writing cannot be run.
pub(crate) fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let done = Command::new("cp").arg("--").arg(from.as_ref()).arg(to.as_ref()).status().unwrap();
    assert!(done.success(), "{} is copied", from.as_ref().display());
}
