//! `convert`: one data format into another, from standard input to standard output.

use clap::Args;

use crate::Result;
use crate::convert::{self, Form};
use crate::render::{Outcome, from_output};

/// Converts data.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc convert json toon < rows.json\n  fwc invoke sqlite.query --set sql='select 1' --format csv | fwc convert csv jsonl"
)]
pub(crate) struct Convert {
    /// What standard input holds
    pub(crate) from: Form,
    /// What standard output should get
    pub(crate) to: Form,
}

/// `fwc convert`.
///
/// # Errors
/// The first defect of the input with its place, or why reading or writing stopped.
pub(crate) fn run(args: Convert) -> Result<Outcome> {
    let done = convert::run(args.from, args.to, &mut std::io::stdin().lock(), &mut std::io::stdout().lock());
    done.map(|()| Outcome::Shown).map_err(from_output)
}
