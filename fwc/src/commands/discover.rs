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
pub struct List {
    /// Only those bound to this zone
    #[arg(long)]
    pub zone: Option<ZoneId>,
}

/// Shows a connector.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc show github\n  fwc show github --json")]
pub struct Show {
    /// The connector, such as `github`
    pub connector: ConnectorId,
}

/// Lists operations.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc ops github\n  fwc ops github --offline")]
pub struct Ops {
    /// The connector, such as `github`
    pub connector: ConnectorId,
}

/// Shows an operation.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc schema github.issues.create\n  fwc schema github issues.create")]
pub struct Schema {
    /// The operation
    #[command(flatten)]
    pub operation: OperationName,
}

/// Finds connectors.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc search issue create\n  fwc search mail --offline")]
pub struct Search {
    /// Words that all must occur in a connector's or an operation's name or description
    #[arg(required = true)]
    pub words: Vec<String>,
}

/// `fwc list`.
///
/// # Errors
/// What failed, why, and what to do next.
pub async fn list(args: List, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::list(&context.home, args.zone.as_ref(), &[]).map(Outcome::from);
    }
    let query = ConnectorQuery { zone: args.zone, search: None };
    Ok(Answer::of(context.client()?.get::<ListConnectors>(&[], &query).await?)?.into())
}

/// `fwc show`.
///
/// # Errors
/// What failed, why, and what to do next.
pub async fn show(args: Show, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::show(&context.home, &args.connector).map(Outcome::from);
    }
    let path = [args.connector.as_str()];
    Ok(Answer::of(context.client()?.get::<GetConnector>(&path, &Nothing {}).await?)?.into())
}

/// `fwc ops`.
///
/// # Errors
/// What failed, why, and what to do next.
pub async fn ops(args: Ops, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::operations(&context.home, &args.connector).map(Outcome::from);
    }
    let path = [args.connector.as_str()];
    Ok(Answer::of(context.client()?.get::<ListOperations>(&path, &Nothing {}).await?)?.into())
}

/// `fwc schema`.
///
/// # Errors
/// What failed, why, and what to do next.
pub async fn schema(args: Schema, context: &mut Context) -> Result<Outcome> {
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
pub async fn search(args: Search, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        return offline::list(&context.home, None, &args.words).map(Outcome::from);
    }
    let query = ConnectorQuery { zone: None, search: Some(args.words.join(" ")) };
    Ok(Answer::of(context.client()?.get::<ListConnectors>(&[], &query).await?)?.into())
}
