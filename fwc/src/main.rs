//! Entry point.
#[allow(dead_code, reason = "the command line is written beside this")]
pub(crate) mod convert;
#[allow(dead_code, unused_imports, reason = "the commands that print are written beside this")]
pub(crate) mod output;
fn main() {}
