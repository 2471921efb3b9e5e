//! `node`: the owner's word for this device.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fcp_api::routes::{RenewNode, ReplaceNode};
use fcp_api::types::{KeySourceRequest, RenewNode as RenewNodeRequest, ReplaceNode as ReplaceNodeRequest};

use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::phrase::PhraseArgs;
use crate::render::{Answer, Outcome};
use crate::{Result, passphrase};

/// The node.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Node {
    /// Has the owner attest this node longer; without it the node makes no calls once its attestation has ended
    Renew(Renew),
    /// Has the owner attest other keys of this node, which is revoked; then it makes calls again
    Replace(Replace),
}

/// Renews the attestation.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc node renew\n  fwc node renew --for 90d --owner-passphrase-file owner.txt"
)]
pub(crate) struct Renew {
    /// How long from now; a year, which is the most, otherwise
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
    /// A file that holds the passphrase of the owner's key; asked for on the terminal otherwise
    #[arg(long, value_name = "PATH")]
    pub(crate) owner_passphrase_file: Option<PathBuf>,
}

/// Replaces the keys.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc node replace\n  fwc node replace --phrase-file words.txt --for 90d")]
pub(crate) struct Replace {
    /// How long from now; a year, which is the most, otherwise
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
    /// The words
    #[command(flatten)]
    pub(crate) phrase: PhraseArgs,
}

/// `fwc node`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Node, context: &mut Context) -> Result<Outcome> {
    match command {
        Node::Renew(args) => renew(args, context).await,
        Node::Replace(args) => replace(args, context).await,
    }
}

async fn replace(args: Replace, context: &mut Context) -> Result<Outcome> {
    context.refuse_agents("replace the node's keys")?;
    let phrase = args.phrase.read()?;
    let request = ReplaceNodeRequest { phrase, lifetime_secs: args.lifetime.map(Lifetime::as_secs) };
    let reply = context.client()?.send::<ReplaceNode>(&[], &request).await?;
    Ok(Answer::of(reply)?.note("`fwc audit verify` proves that the chains go on").into())
}

async fn renew(args: Renew, context: &mut Context) -> Result<Outcome> {
    context.as_operator().await?;
    let passphrase = match &args.owner_passphrase_file {
        Some(path) => passphrase::from_file(path)?,
        None => passphrase::ask("Owner passphrase: ", "name its file with --owner-passphrase-file")?,
    };
    let request = RenewNodeRequest {
        owner_key_source: KeySourceRequest::Passphrase { passphrase },
        lifetime_secs: args.lifetime.map(Lifetime::as_secs),
    };
    Ok(Answer::of(context.client()?.send::<RenewNode>(&[], &request).await?)?.into())
}
