//! `list`, `show`, `ops`, `schema`, `search`: what connectors there are and what they do.

use clap::Args;
use fcp_api::routes::{GetConnector, GetOperation, ListConnectors, ListOperations};
use fcp_api::types::{ConnectorQuery, Nothing};
use fcp_proto_core::ids::{ConnectorId, ZoneId};

use crate::context::Context;
use crate::operation::OperationName;
use crate::render::{Answer, Outcome};
use crate::{Result, offline};

/// Lists the connectors.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc list\n  fwc list --zone z:work\n  fwc list --offline")]
pub(crate) struct List {
    /// Only those bound to this zone
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
}

/// Shows a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc show github\n  fwc show github --json")]
pub(crate) struct Show {
    /// The connector, such as `github`
    pub(crate) connector: ConnectorId,
}

/// Lists operations.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc ops github\n  fwc ops github --offline")]
pub(crate) struct Ops {
    /// The connector, such as `github`
    pub(crate) connector: ConnectorId,
}

/// Shows an operation.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc schema github.issues.create\n  fwc schema github issues.create")]
pub(crate) struct Schema {
    /// The operation
    #[command(flatten)]
    pub(crate) operation: OperationName,
}

/// Finds connectors.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc search issue create\n  fwc search mail --offline")]
pub(crate) struct Search {
    /// Words that all must occur in a connector's or an operation's name or description
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
}

/// `fwc list`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn list(args: List, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::list(&context.home, args.zone.as_ref(), &[])
            .map(|answer| offline_connectors(answer).into());
    }
    let query = ConnectorQuery { zone: args.zone, search: None };
    Ok(connectors(Answer::of(context.client()?.get::<ListConnectors>(&[], &query).await?)?).into())
}

/// `fwc show`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn show(args: Show, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::show(&context.home, &args.connector).map(|answer| connector(answer).into());
    }
    let path = [args.connector.as_str()];
    let answer = Answer::of(context.client()?.get::<GetConnector>(&path, &Nothing {}).await?)?;
    Ok(connector(answer).into())
}

/// `fwc ops`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn ops(args: Ops, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::operations(&context.home, &args.connector).map(|answer| operations(answer).into());
    }
    let path = [args.connector.as_str()];
    Ok(operations(Answer::of(context.client()?.get::<ListOperations>(&path, &Nothing {}).await?)?).into())
}

/// `fwc schema`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn schema(args: Schema, context: &mut Context) -> Result<Outcome> {
    let (connector, operation) = args.operation.resolve()?;
    if context.is_offline() {
        return offline::operation(&context.home, &connector, &operation).map(Outcome::from);
    }
    let path = [connector.as_str(), operation.as_str()];
    Ok(Answer::of(context.client()?.get::<GetOperation>(&path, &Nothing {}).await?)?.into())
}

/// `fwc search`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn search(args: Search, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::list(&context.home, None, &args.words)
            .map(|answer| offline_connectors(answer).into());
    }
    let query = ConnectorQuery { zone: None, search: Some(args.words.join(" ")) };
    Ok(connectors(Answer::of(context.client()?.get::<ListConnectors>(&[], &query).await?)?).into())
}

fn connectors(answer: Answer) -> Answer {
    let columns = [
        ("id", "CONNECTOR"),
        ("version", "VERSION"),
        ("enabled", "ENABLED"),
        ("zones", "ZONES"),
        ("operations", "OPERATIONS"),
        ("max_tier", "HIGHEST TIER"),
        ("description", "DESCRIPTION"),
    ];
    answer.table("connectors", &columns).next("fwc ops CONNECTOR")
}

fn connector(answer: Answer) -> Answer {
    let slots =
        [("slot", "SLOT"), ("kind", "KIND"), ("credentials", "CREDENTIALS"), ("description", "DESCRIPTION…")];
    let operations = [
        ("id", "OPERATION"),
        ("tier", "TIER"),
        ("risk", "RISK"),
        ("approval", "APPROVAL"),
        ("description", "DESCRIPTION"),
    ];
    let warnings = [("kind", "KIND"), ("message", "MESSAGE…"), ("remedy", "REMEDY…")];
    answer
        .section("credential_slots", &slots)
        .section("operations", &operations)
        .section("warnings", &warnings)
        .next("fwc schema OPERATION")
}

fn offline_connectors(answer: Answer) -> Answer {
    let columns = [
        ("id", "CONNECTOR"),
        ("version", "VERSION"),
        ("operations", "OPERATIONS"),
        ("max_tier", "HIGHEST TIER"),
        ("description", "DESCRIPTION"),
    ];
    let note = "read from the manifests in the home; whether a connector is enabled, bound and healthy only the daemon knows";
    answer.table("connectors", &columns).note(note)
}

fn operations(answer: Answer) -> Answer {
    let columns = [
        ("id", "OPERATION"),
        ("tier", "TIER"),
        ("risk", "RISK"),
        ("approval", "APPROVAL"),
        ("idempotency", "IDEMPOTENCY"),
        ("description", "DESCRIPTION"),
    ];
    answer.table("operations", &columns).next("fwc schema OPERATION")
}
