//! `token`: short tokens for calls outside a session.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use fcp_api::routes::{self, InspectToken};
use fcp_api::secret::Secret;
use fcp_api::types::{self, MintedToken};
use fcp_proto_core::ids::{ConnectorId, ObjectId, OperationId, TokenId};
use fcp_proto_core::limits::MAX_TOKEN_BYTES;
use fcp_proto_core::time::UnixTime;
use serde::Serialize;

use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, passphrase, private_file};

/// Tokens.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Token {
    /// Writes the agent's tokens for some operations to files, for calls outside a session
    Mint(Mint),
    /// Says what a token holds and whether it is good
    Inspect(Inspect),
}

/// Mints tokens.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc --agent mail token mint github.issues.list --to tokens\n  \
    fwc invoke github.issues.list --set owner=me --set repo=site --token tokens/ID.token")]
pub(crate) struct Mint {
    /// What the tokens are for
    #[arg(required = true, value_name = "OPERATION")]
    pub(crate) operations: Vec<OperationId>,
    /// The folder for the files, one a token and for you alone; it is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
}

/// Looks into a token.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc token inspect --file token.cose\n  fwc token inspect --stdin < token.txt"
)]
pub(crate) struct Inspect {
    /// A file that holds the token: its bytes, or base64
    #[arg(long, value_name = "PATH", conflicts_with = "stdin", required_unless_present = "stdin")]
    pub(crate) file: Option<PathBuf>,
    /// Reads the token in base64 from standard input
    #[arg(long)]
    pub(crate) stdin: bool,
}

/// A token and the file that holds it; the token itself is not shown.
#[derive(Clone, Debug, Serialize)]
struct StoredToken {
    token_id: TokenId,
    connector: ConnectorId,
    operations: Vec<OperationId>,
    grant: ObjectId,
    expires_at: UnixTime,
    file: String,
}

/// What was minted.
#[derive(Clone, Debug, Serialize)]
struct Stored {
    tokens: Vec<StoredToken>,
}

/// `fwc token`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Token, context: &mut Context) -> Result<Outcome> {
    match command {
        Token::Mint(args) => mint(args, context).await,
        Token::Inspect(args) => inspect(args, context).await,
    }
}

async fn mint(args: Mint, context: &mut Context) -> Result<Outcome> {
    let request = types::MintTokens { operations: args.operations };
    let reply = context.as_agent().await?.send::<routes::MintTokens>(&[], &request).await?;
    private_file::create_folder(&args.to)?;
    let tokens: Vec<_> =
        reply.body.tokens.into_iter().map(|token| store(&args.to, token)).collect::<Result<_>>()?;
    Ok(Answer::local(&Stored { tokens }, reply.meta.source)?
        .table(
            "tokens",
            &[
                ("token_id", "TOKEN"),
                ("operations", "OPERATIONS"),
                ("grant", "GRANT"),
                ("expires_at", "EXPIRES"),
                ("file", "FILE"),
            ],
        )
        .note("a token serves only with its holder's key")
        .into())
}

fn store(folder: &Path, minted: MintedToken) -> Result<StoredToken> {
    let path = folder.join(format!("{}.token", minted.token_id));
    private_file::create(&path, format!("{}\n", minted.token.expose()).as_bytes())?;
    Ok(StoredToken {
        token_id: minted.token_id,
        connector: minted.connector,
        operations: minted.operations,
        grant: minted.grant,
        expires_at: minted.expires_at,
        file: path.display().to_string(),
    })
}

async fn inspect(args: Inspect, context: &mut Context) -> Result<Outcome> {
    let token = match &args.file {
        Some(path) => token_in(path)?,
        None => passphrase::from_stdin()?,
    };
    let reply = context.client()?.send::<InspectToken>(&[], &types::InspectToken { token }).await?;
    let refused = match &reply.body.status {
        types::TokenVerdict::Valid => None,
        types::TokenVerdict::Refused { code, why } => Some(Failure::new(*code).because(why)),
    };
    Ok(Answer::of(reply)?.or_failed(refused))
}

fn token_in(path: &Path) -> Result<Secret> {
    let bytes = crate::read_file(path, 2 * MAX_TOKEN_BYTES)?;
    Ok(match std::str::from_utf8(&bytes).map(str::trim_ascii) {
        Ok(text)
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) =>
        {
            Secret::new(text)
        }
        Ok(_) | Err(_) => Secret::new(BASE64_STANDARD.encode(&bytes)),
    })
}
