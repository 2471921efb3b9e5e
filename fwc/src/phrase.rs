//! The owner's 24 words, for what only the owner does: typed without echo, from a file or from standard input; never an
//! argument and never in the environment.

use std::path::PathBuf;

use clap::Args;
use fcp_api::secret::Secret;

use crate::{Result, passphrase};

/// Where the words come from.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The owner's 24 words")]
pub(crate) struct PhraseArgs {
    /// A file that holds the owner's 24 words; asked for on the terminal otherwise, without echo
    #[arg(long, value_name = "PATH")]
    pub(crate) phrase_file: Option<PathBuf>,
    /// Reads the owner's 24 words from standard input
    #[arg(long, conflicts_with = "phrase_file")]
    pub(crate) stdin: bool,
}

impl PhraseArgs {
    /// The words.
    ///
    /// # Errors
    /// What makes the file unfit; [`Code::Unauthenticated`](fcp_proto_core::error::Code) without a terminal.
    pub(crate) fn read(&self) -> Result<Secret> {
        match &self.phrase_file {
            Some(path) => passphrase::from_file(path),
            None if self.stdin => passphrase::from_stdin(),
            None => passphrase::ask(
                "The owner's 24 words, in their order on one line: ",
                "name their file with --phrase-file, or pipe them in with --stdin",
            ),
        }
    }
}
