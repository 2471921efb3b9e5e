//! `exception`: walls that the owner lowers.

use clap::{Args, Subcommand};
use fcp_api::routes::{AddException, ListExceptions, RemoveException};
use fcp_api::types::{AddException as AddExceptionRequest, ExceptionRule, Nothing};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{ConnectorId, Digest, ObjectId};
use std::path::PathBuf;

use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::render::{Answer, Outcome};
use crate::{Result, file_failure};

/// Exceptions.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Exception {
    /// Lists the lowered walls
    List(List),
    /// Lets a connector reach a declared host at an address that is not global unicast
    Egress(Egress),
    /// Does without a property of a connector's sandbox that this machine cannot provide
    Sandbox(Sandbox),
    /// Raises a lowered wall again, from the connector's next start and call on
    Remove(Remove),
}

/// Raises a wall.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc exception list   # names them\n  fwc exception remove ID")]
pub(crate) struct Remove {
    /// The exception
    pub(crate) exception_id: ObjectId,
}

/// Lists them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc exception list")]
pub(crate) struct List {}

/// Lowers the egress wall.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc exception egress github --to-host api.github.test --network 127.0.0.1/32 --port 8443 \\\n    --ca-file ca.pem --reason 'local double' --for 1h"
)]
pub(crate) struct Egress {
    /// The connector
    pub(crate) connector: ConnectorId,
    /// The host, as the manifest declares it
    #[arg(long = "to-host", value_name = "HOST")]
    pub(crate) declared_host: String,
    /// The address or network that it may resolve to
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: String,
    /// The only port
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// A certificate authority to trust for this host instead of the public ones
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// How long; until it is removed otherwise
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
}

/// Lowers the sandbox wall.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc exception sandbox sqlite memory_bounded --reason 'no cgroups here'")]
pub(crate) struct Sandbox {
    /// The connector
    pub(crate) connector: ConnectorId,
    /// The property, as `fwc doctor` names it
    pub(crate) property: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// How long; until it is removed otherwise
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
}

/// `fwc exception`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Exception, context: &mut Context) -> Result<Outcome> {
    let request = match command {
        Exception::List(List {}) => {
            let reply = context.client()?.get::<ListExceptions>(&[], &Nothing {}).await?;
            let columns = [
                ("exception_id", "EXCEPTION"),
                ("connector", "CONNECTOR"),
                ("rule.kind", "WALL"),
                ("rule.property", "LACKS"),
                ("rule.host", "HOST"),
                ("rule.network", "AT"),
                ("rule.port", "PORT"),
                ("reason", "REASON↓"),
                ("expires_at", "EXPIRES"),
            ];
            return Ok(Answer::of(reply)?.table("exceptions", &columns).into());
        }
        Exception::Remove(args) => {
            let path = args.exception_id.to_string();
            let client = context.as_operator().await?;
            return Ok(Answer::of(client.send::<RemoveException>(&[&path], &Nothing {}).await?)?.into());
        }
        Exception::Egress(args) => {
            let ca_digest = args.ca_file.as_deref().map(digest).transpose()?;
            let ca_file = args.ca_file.as_deref().map(absolute).transpose()?;
            let rule = ExceptionRule::Egress {
                host: args.declared_host,
                network: args.network,
                port: args.port,
                ca_file,
                ca_digest,
            };
            request(args.connector, rule, args.reason, args.lifetime)
        }
        Exception::Sandbox(args) => {
            let rule = ExceptionRule::Sandbox { property: args.property };
            request(args.connector, rule, args.reason, args.lifetime)
        }
    };
    Ok(Answer::of(context.as_operator().await?.send::<AddException>(&[], &request).await?)?.into())
}

fn request(
    connector: ConnectorId,
    rule: ExceptionRule,
    reason: String,
    lifetime: Option<Lifetime>,
) -> AddExceptionRequest {
    AddExceptionRequest { connector, rule, reason, lifetime_secs: lifetime.map(Lifetime::as_secs) }
}

/// Largest file of a certificate authority, as the daemon takes it.
const MAX_CA_BYTES: usize = 512 * 1024;

/// What the operator looks at is what is recorded.
fn digest(path: &std::path::Path) -> Result<Digest> {
    let bytes = crate::read_file(path, MAX_CA_BYTES)?;
    Ok(hash::digest(&bytes))
}

fn absolute(path: &std::path::Path) -> Result<String> {
    let full = std::fs::canonicalize(path).map_err(|error| file_failure("find", path, &error))?;
    let text = full.into_os_string().into_string();
    text.map_err(|_| crate::usage(format!("{} is not a UTF-8 path", path.display())))
}
