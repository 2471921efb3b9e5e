//! `settle`: what a call of unknown outcome turned out to have done.

use clap::Args;
use fcp_api::routes::SettleCall;
use fcp_api::types;

use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Settles an unknown outcome.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc history --unknown   # names the calls that wait\n  \
    fwc settle ID --happened --note 'the issue is there'\n  fwc settle ID --did-not --note 'the log shows no such request'")]
pub(crate) struct Settle {
    /// The call, its intent or its receipt
    #[arg(value_name = "RECEIPT|INTENT|CALL")]
    pub(crate) id: String,
    /// It happened
    #[arg(long, required_unless_present = "did_not", conflicts_with = "did_not")]
    pub(crate) happened: bool,
    /// It did not
    #[arg(long)]
    pub(crate) did_not: bool,
    /// How that is known
    #[arg(long)]
    pub(crate) note: String,
}

/// `fwc settle`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(args: Settle, context: &mut Context) -> Result<Outcome> {
    // Exactly one of the two was given.
    let request = types::Settle { happened: args.happened, note: args.note };
    let client = context.as_operator().await?;
    Ok(Answer::of(client.send::<SettleCall>(&[&args.id], &request).await?)?.into())
}
