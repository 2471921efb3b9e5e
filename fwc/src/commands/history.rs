//! `history`, `receipts`, `result`: calls that were made, their signed records, and what they kept.

use clap::{Args, Subcommand};
use fcp_api::routes::{GetReceipt, GetResult, ListCalls, ListReceipts};
use fcp_api::types::{HistoryQuery, Nothing, ReceiptQuery};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::CallOutcome;

use crate::Result;
use crate::cli::one_of;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Which part of a long list.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PageArgs {
    /// At most so many
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// Continues where another list ended, as its `next` says
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

/// Lists calls.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc history\n  fwc history --connector github --unknown\n  fwc history --by mail --limit 20"
)]
pub(crate) struct History {
    /// Only this agent's
    #[arg(long, value_name = "AGENT")]
    pub(crate) by: Option<PrincipalId>,
    /// Only this connector's
    #[arg(long)]
    pub(crate) connector: Option<ConnectorId>,
    /// Only this operation's
    #[arg(long)]
    pub(crate) operation: Option<OperationId>,
    /// Only those in this zone
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// Only those that ended so: succeeded, failed or unknown
    #[arg(long, value_parser = one_of(CallOutcome::ALL, CallOutcome::as_str), hide_possible_values = true)]
    pub(crate) outcome: Option<CallOutcome>,
    /// Only those whose outcome is unknown and waits for `fwc settle`
    #[arg(long)]
    pub(crate) unknown: bool,
    /// Only those denied or failed with this code, such as FCP-3101
    #[arg(long)]
    pub(crate) code: Option<Code>,
    /// Which part
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Receipts.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Receipts {
    /// Lists receipts, newest first
    List(ListArgs),
    /// Shows a receipt
    Show(ShowArgs),
}

/// Lists receipts.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc receipts list\n  fwc receipts list --connector github")]
pub(crate) struct ListArgs {
    /// Only those of this agent's calls
    #[arg(long, value_name = "AGENT")]
    pub(crate) by: Option<PrincipalId>,
    /// Only those of this connector's calls
    #[arg(long)]
    pub(crate) connector: Option<ConnectorId>,
    /// Which part
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Shows a receipt.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc receipts show ID")]
pub(crate) struct ShowArgs {
    /// The receipt or decision
    pub(crate) receipt_id: ObjectId,
}

/// Reads a kept result.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc result HANDLE\n  fwc invoke slack.chat.post --set channel=C1 --set-handle text=HANDLE --idempotency-key post-1   # uses it unread"
)]
pub(crate) struct ReadResult {
    /// The handle that the call returned
    pub(crate) handle: ObjectId,
}

/// `fwc history`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn history(args: History, context: &mut Context) -> Result<Outcome> {
    let query = HistoryQuery {
        agent: args.by,
        connector: args.connector,
        operation: args.operation,
        zone: args.zone,
        outcome: args.outcome,
        unsettled: args.unknown.then_some(true),
        code: args.code,
        since: None,
        until: None,
        after: args.page.after,
        limit: args.page.limit,
    };
    Ok(Answer::of(context.as_caller().await?.get::<ListCalls>(&[], &query).await?)?
        .table(
            "calls",
            &[
                ("call_id", "CALL"),
                ("started_at", "AT"),
                ("agent", "AGENT"),
                ("operation", "OPERATION"),
                ("outcome", "OUTCOME"),
                ("effect", "EFFECT"),
                ("code", "CODE"),
            ],
        )
        .into())
}

/// `fwc receipts`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn receipts(command: Receipts, context: &mut Context) -> Result<Outcome> {
    match command {
        Receipts::List(args) => {
            let query = ReceiptQuery {
                agent: args.by,
                connector: args.connector,
                after: args.page.after,
                limit: args.page.limit,
            };
            Ok(Answer::of(context.as_caller().await?.get::<ListReceipts>(&[], &query).await?)?
                .table(
                    "receipts",
                    &[
                        ("receipt_id", "RECEIPT"),
                        ("kind", "KIND"),
                        ("agent", "AGENT"),
                        ("operation", "OPERATION"),
                        ("outcome", "OUTCOME"),
                        ("verdict", "VERDICT"),
                        ("code", "CODE"),
                    ],
                )
                .into())
        }
        Receipts::Show(args) => {
            let path = args.receipt_id.to_string();
            Ok(Answer::of(context.as_caller().await?.get::<GetReceipt>(&[&path], &Nothing {}).await?)?.into())
        }
    }
}

/// `fwc result`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn result(args: ReadResult, context: &mut Context) -> Result<Outcome> {
    let path = args.handle.to_string();
    Ok(Answer::of(context.as_caller().await?.get::<GetResult>(&[&path], &Nothing {}).await?)?.into())
}
