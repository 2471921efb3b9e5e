//! `settle`: what a call of unknown outcome turned out to have done.

use clap::{ArgGroup, Args};
use fcp_api::routes::{ProbeCall, SettleCall};
use fcp_api::types::{self, Nothing};

use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Settles an unknown outcome.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("how").required(true).multiple(false).args(["happened", "did_not", "probe"]))]
#[command(after_help = "Examples:\n  fwc history --unknown   # names the calls that wait\n  \
    fwc settle ID --probe   # asks the service, by the read that the operation declares\n  \
    fwc settle ID --happened --note 'the issue is there'\n  fwc settle ID --did-not --note 'the log shows no such request'")]
pub(crate) struct Settle {
    /// The call, its intent or its receipt
    #[arg(value_name = "RECEIPT|INTENT|CALL")]
    pub(crate) id: String,
    /// It happened
    #[arg(long, requires = "note")]
    pub(crate) happened: bool,
    /// It did not
    #[arg(long, requires = "note")]
    pub(crate) did_not: bool,
    /// Asks the service by the read that the operation declares
    #[arg(long, conflicts_with = "note")]
    pub(crate) probe: bool,
    /// How that is known
    #[arg(long)]
    pub(crate) note: Option<String>,
}

/// `fwc settle`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(args: Settle, context: &mut Context) -> Result<Outcome> {
    let client = context.as_operator().await?;
    if args.probe {
        return Ok(Answer::of(client.send::<ProbeCall>(&[&args.id], &Nothing {}).await?)?.into());
    }
    // Exactly one of the two was given, and with it how it is known.
    let request = types::Settle { happened: args.happened, note: args.note.unwrap_or_default() };
    Ok(Answer::of(client.send::<SettleCall>(&[&args.id], &request).await?)?.into())
}
