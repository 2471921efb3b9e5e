//! `context`: what agents have read, and how to begin afresh.

use clap::{Args, Subcommand};
use fcp_api::routes::{GetContext, OpenContext};
use fcp_api::types::{ContextQuery, OpenContext as OpenContextRequest};
use fcp_proto_core::ids::PrincipalId;

use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Contexts.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum ContextCommand {
    /// Opens a fresh context for an agent: what it read before no longer counts
    New(New),
    /// Shows what an agent has read
    Show(Show),
}

/// Opens a context.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc context new mail --reason 'new task'")]
pub(crate) struct New {
    /// The agent
    #[arg(value_name = "AGENT")]
    pub(crate) name: PrincipalId,
    /// For the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Shows a context.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc context show mail")]
pub(crate) struct Show {
    /// The agent; the one that speaks otherwise
    #[arg(value_name = "AGENT")]
    pub(crate) name: Option<PrincipalId>,
}

/// `fwc context`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: ContextCommand, context: &mut Context) -> Result<Outcome> {
    match command {
        ContextCommand::New(args) => {
            let request = OpenContextRequest { agent: args.name, reason: args.reason };
            Ok(Answer::of(context.as_operator().await?.send::<OpenContext>(&[], &request).await?)?.into())
        }
        ContextCommand::Show(args) => {
            let query = ContextQuery { agent: args.name };
            Ok(Answer::of(context.as_caller().await?.get::<GetContext>(&[], &query).await?)?.into())
        }
    }
}
