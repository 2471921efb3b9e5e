//! `operator`, `owner`: whose keys can act, and what the owner's 24 words do when they are lost or revoked.

use clap::{Args, Subcommand};
use fcp_api::routes::{self, GetOperator, ListOperators};
use fcp_api::types::{AddOperator, KeySourceRequest, Nothing, RestoreOwner};
use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::OperatorRight;

use crate::Result;
use crate::cli::one_of;
use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::phrase::PhraseArgs;
use crate::render::{Answer, Outcome};

/// Operators.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Operator {
    /// Lists the operators' keys, and which of them can act
    List(List),
    /// Shows the keys of an operator, newest first
    Show(Show),
    /// Has the owner enrol an operator, or give one another key in the place of what is lost or revoked
    Add(Add),
}

/// Lists them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc operator list")]
pub(crate) struct List {}

/// Shows one.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc operator show alice")]
pub(crate) struct Show {
    /// The operator
    pub(crate) name: PrincipalId,
}

/// Enrols one.
#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "fwc operator add <NAME> [OPTIONS]",
    after_help = "Examples:\n  fwc operator add alice                # her key was revoked\n  fwc operator add alice --replace      # its file, or its passphrase, is lost\n  \
    fwc operator add bob --right approve --right grant --for 90d\n  fwc operator add bob --all-rights --passphrase-file new.txt --phrase-file words.txt"
)]
pub(crate) struct Add {
    /// The operator; --passphrase-file is that of the new key
    pub(crate) name: PrincipalId,
    /// A right of the new key: approve, grant, install, auth, zones or revoke; what the operator had when absent
    #[arg(long, value_parser = one_of(OperatorRight::ALL, OperatorRight::as_str), hide_possible_values = true)]
    pub(crate) right: Vec<OperatorRight>,
    /// Every right
    #[arg(long, conflicts_with = "right")]
    pub(crate) all_rights: bool,
    /// How long the new key lasts; until it is revoked or replaced otherwise
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
    /// Ends the keys of this operator that can act; the grants and denials they signed stay, their approvals end
    #[arg(long)]
    pub(crate) replace: bool,
    /// The words
    #[command(flatten)]
    pub(crate) phrase: PhraseArgs,
}

/// The owner.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Owner {
    /// Stores the owner's key again under a new passphrase: its file, or its passphrase, is lost
    Restore(Restore),
}

/// Restores the owner's key.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc owner restore\n  fwc owner restore --passphrase-file new.txt --phrase-file words.txt"
)]
pub(crate) struct Restore {
    /// The words
    #[command(flatten)]
    pub(crate) phrase: PhraseArgs,
}

/// `fwc operator`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Operator, context: &mut Context) -> Result<Outcome> {
    let answer = match command {
        Operator::List(List {}) => {
            Answer::of(context.client()?.get::<ListOperators>(&[], &Nothing {}).await?)?
                .table("keys", &COLUMNS)
        }
        Operator::Show(Show { name }) => {
            let path = [name.as_str()];
            Answer::of(context.client()?.get::<GetOperator>(&path, &Nothing {}).await?)?
                .table("keys", &COLUMNS)
        }
        Operator::Add(args) => {
            context.refuse_agents("enrol operators")?;
            let all = || OperatorRight::ALL.to_vec();
            let rights =
                if args.all_rights { Some(all()) } else { Some(args.right).filter(|it| !it.is_empty()) };
            let phrase = args.phrase.read()?;
            let request = AddOperator {
                phrase,
                operator: args.name,
                key_source: new_key_source(context)?,
                rights,
                lifetime_secs: args.lifetime.map(Lifetime::as_secs),
                replace: args.replace,
            };
            let reply = context.client()?.send::<routes::AddOperator>(&[], &request).await?;
            Answer::of(reply)?.note("`fwc operator list` shows it; its passphrase opens it from now on")
        }
    };
    Ok(answer.into())
}

/// `fwc owner`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn owner(command: Owner, context: &mut Context) -> Result<Outcome> {
    let Owner::Restore(args) = command;
    context.refuse_agents("restore the owner's key")?;
    let phrase = args.phrase.read()?;
    let request = RestoreOwner { phrase, key_source: new_key_source(context)? };
    Ok(Answer::of(context.client()?.send::<routes::RestoreOwner>(&[], &request).await?)?.into())
}

fn new_key_source(context: &Context) -> Result<KeySourceRequest> {
    let passphrase = context.new_passphrase("A new passphrase for the key: ")?;
    Ok(KeySourceRequest::Passphrase { passphrase })
}

const COLUMNS: [(&str, &str); 7] = [
    ("operator", "OPERATOR"),
    ("key_id", "KEY"),
    ("standing", "STANDING"),
    ("stored", "STORED"),
    ("rights", "RIGHTS…"),
    ("not_before", "SINCE"),
    ("expires_at", "UNTIL"),
];
