//! `fwc`: the one command-line tool, for agents and people.
//!
//! ```text
//! cli (arguments) -> commands (one file a group: arguments -> daemon -> answer) -> render
//!                       |
//!                    context: home, client, who speaks (agent's session, operator's passphrase)
//! ```
//!
//! Every command is a function from its arguments and a context to an outcome or a failure;
//! nothing but `render` prints, nothing but `context` decides who speaks.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod context;
mod convert;
mod development;
mod fields;
mod held_token;
mod home;
mod input;
mod key_file;
mod lifetime;
mod listener;
mod offline;
mod operation;
#[allow(dead_code, reason = "a whole vocabulary; quickstart and later commands use the rest of it")]
mod output;
mod passphrase;
mod phrase;
mod private_file;
mod quickstart;
mod remedy;
mod render;
mod resource;
mod session_file;
mod speaker;
#[cfg(test)]
mod tests;
mod user_file;

use std::ffi::OsString;
use std::process::ExitCode;

use fcp_proto_core::error::Code;

use cli::Cli;
use context::Context;
use home::Home;
use render::Renderer;
pub(crate) use user_file::{file_failure, read_file};

/// What failed, why, and what to do next: the daemon's words and ours have one form.
pub(crate) type Failure = fcp_api::types::ErrorBody;

/// What every command returns.
pub(crate) type Result<T> = core::result::Result<T, Failure>;

/// Runs one command line and ends with its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::parse(arguments) {
        Ok(cli) => cli,
        Err(stop) => return stop.report(),
    };
    let renderer = cli.renderer();
    renderer.finish(run(cli, renderer.clone()))
}

/// Secrets that are typed or piped in leave no trace in a core file, and are not read by others of the same user.
//= docs/spec/keys.md#memory
fn keep_memory_private() -> Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let kept =
        set_dumpable_behavior(DumpableBehavior::NotDumpable).and_then(|()| setrlimit(Resource::Core, none));
    kept.map_err(|error| internal(&format!("its memory cannot be kept from others: {error}")))
}

fn run(cli: Cli, renderer: Renderer) -> Result<render::Outcome> {
    keep_memory_private()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(&format!("the runtime does not start: {error}")))?;
    let mut context = if cli.command.asks_nobody() {
        Context::apart(Home::new(cli.global.home.as_deref())?, &cli.global, renderer)
    } else {
        Context::new(&cli.global, renderer)?
    };
    let outcome = runtime.block_on(async {
        let outcome = commands::run(cli.command, &mut context).await;
        context.lock_operator().await;
        match outcome {
            Err(failure) => Err(context.about_the_home(failure).await),
            outcome => outcome,
        }
    });
    // Not even a thread that waits to be let in where nobody answers is waited for.
    runtime.shutdown_background();
    outcome
}

/// A failure of the command line itself.
pub(crate) fn usage(why: impl Into<String>) -> Failure {
    Failure::new(Code::UsageError).because(why)
}

/// A defect of ours.
pub(crate) fn internal(why: &str) -> Failure {
    Failure::new(Code::Internal).because(why)
}
