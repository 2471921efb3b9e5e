//! `grant`, `revoke`, `revocations`: what agents may call, and what is no longer honoured.

use clap::{Args, Subcommand};
use fcp_api::routes::{self, GetGrant, ListGrants, ListRevocations};
use fcp_api::shell::quoted;
use fcp_api::types::{self, AddGrant, GrantQuery, GrantView, Nothing, Page, Reply};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, OperationId, PrincipalId, RoleId, ZoneId};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::token::argument::ArgumentRule;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::{ResourceError, ResourcePattern};

use super::history::PageArgs;
use crate::cli::one_of;
use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, passphrase, resource, usage};

/// What bounds the calls of a grant. Nothing is allowed that is not named.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct ConstraintArgs {
    /// Resources that may be touched, such as `github:repo/me/site/**`; `*` for everything
    #[arg(long, value_name = "PATTERN")]
    pub(crate) allow: Vec<String>,
    /// Resources that may not
    #[arg(long, value_name = "PATTERN")]
    pub(crate) deny: Vec<String>,
    /// A stored credential that may be used
    #[arg(long, value_name = "NAME")]
    pub(crate) credential: Vec<CredentialId>,
    /// A rule on an argument as JSON, such as '{"pointer":"/state","one_of":["open"]}'
    #[arg(long, value_name = "JSON")]
    pub(crate) argument: Vec<String>,
    /// Most calls in all
    #[arg(long, value_name = "N")]
    pub(crate) max_calls: Option<u32>,
    /// Most bytes in all
    #[arg(long, value_name = "N")]
    pub(crate) max_bytes: Option<u64>,
}

impl ConstraintArgs {
    /// The bounds, if there are any.
    ///
    /// # Errors
    /// Which of them is malformed.
    pub(crate) fn read(&self) -> Result<Option<Constraints>> {
        let constraints = Constraints {
            resource_allow: patterns(&self.allow)?,
            resource_deny: patterns(&self.deny)?,
            credential_allow: self.credential.iter().cloned().collect(),
            arguments: self.argument.iter().map(|text| argument_rule(text)).collect::<Result<_>>()?,
            max_calls: self.max_calls,
            max_bytes: self.max_bytes,
            ..Constraints::default()
        };
        Ok(Some(constraints).filter(|constraints| !constraints.is_empty()))
    }
}

fn patterns(texts: &[String]) -> Result<Vec<ResourcePattern>> {
    let read = |text: &String| ResourcePattern::new(text).map_err(|error| pattern_failure(text, error));
    texts.iter().map(read).collect()
}

/// What is wrong with a pattern; one that holds a name as a person writes it, with how it is spelled.
fn pattern_failure(text: &str, error: ResourceError) -> Failure {
    let failure = Failure::new(Code::InputInvalid).because(format!("the pattern {text:?}: {error}"));
    let encoded = resource::encoded(text);
    if error != ResourceError::InvalidCharacter || ResourcePattern::new(&encoded).is_err() {
        return failure;
    }
    failure
        .because(format!("the pattern {text:?}: {error}; all others are percent-encoded in it"))
        .next(format!("write it as {}", quoted(&encoded)))
}

fn argument_rule(text: &str) -> Result<ArgumentRule> {
    fcp_api::body::read(text.as_bytes(), text.len())
        .map_err(|failure| failure.next("write it as '{\"pointer\":\"/state\",\"one_of\":[\"open\"]}'"))
}

/// Grants.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Grant {
    /// Gives an agent or role leave to call operations
    Add(Add),
    /// Lists grants, newest first
    List(List),
    /// Shows a grant in full
    Show(Show),
}

/// Adds a grant.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc grant add mail github.issues.list --zone z:work --for 30d --allow 'github:repo/me/**' --credential me\n  \
    fwc grant add --role reviewers github.pulls.get --zone z:work --for 8h --allow '*' --max-calls 100"
)]
pub(crate) struct Add {
    /// The agent, unless --role is given; then the operations, all of one connector
    #[arg(value_name = "AGENT OPERATION", required = true)]
    pub(crate) words: Vec<String>,
    /// Everyone with this role instead of one agent
    #[arg(long)]
    pub(crate) role: Option<RoleId>,
    /// The zone
    #[arg(long)]
    pub(crate) zone: ZoneId,
    /// How long it lasts
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Lifetime,
    /// What bounds it
    #[command(flatten)]
    pub(crate) constraints: ConstraintArgs,
}

impl Add {
    /// The request that this makes.
    ///
    /// # Errors
    /// What is missing or malformed.
    pub(crate) fn read(self) -> Result<AddGrant> {
        let (agent, operations) = match (&self.role, self.words.split_first()) {
            (Some(_), _) => (None, self.words.as_slice()),
            (None, Some((agent, operations))) => (Some(read_name(agent, PrincipalId::new)?), operations),
            (None, None) => (None, &[][..]),
        };
        let operations: Vec<OperationId> =
            operations.iter().map(|text| read_name(text, OperationId::new)).collect::<Result<_>>()?;
        let connector = connector_of(&operations)?;
        let constraints = self.constraints.read()?.ok_or_else(|| {
            Failure::new(Code::ConstraintsEmpty)
                .because("no bound was given, and a grant without bounds permits nothing")
                .next("say which resources: --allow PATTERN, or --allow '*' for everything")
        })?;
        Ok(AddGrant {
            agent,
            role: self.role,
            zone: self.zone,
            connector,
            operations,
            constraints,
            not_before: None,
            lifetime_secs: self.lifetime.as_secs(),
        })
    }
}

fn read_name<T>(
    text: &str,
    read: impl Fn(String) -> core::result::Result<T, fcp_proto_core::ids::IdError>,
) -> Result<T> {
    read(text.to_owned())
        .map_err(|error| Failure::new(Code::InvalidName).because(format!("{text:?} {error}")))
}

fn connector_of(operations: &[OperationId]) -> Result<ConnectorId> {
    let connector = |id: &OperationId| id.as_str().split('.').next().unwrap_or_default().to_owned();
    let first = operations.first().map(connector).ok_or_else(|| usage("no operation was named"))?;
    if operations.iter().any(|id| connector(id) != first) {
        return Err(usage("the operations belong to several connectors: make a grant for each"));
    }
    read_name(&first, ConnectorId::new)
}

/// Lists grants.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc grant list\n  fwc grant list --to mail --live")]
pub(crate) struct List {
    /// Only those of this agent, through its roles too
    #[arg(long, value_name = "AGENT")]
    pub(crate) to: Option<PrincipalId>,
    /// Only this connector's
    #[arg(long)]
    pub(crate) connector: Option<ConnectorId>,
    /// Only those that live
    #[arg(long)]
    pub(crate) live: bool,
}

/// Shows a grant.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc grant show ID\n  fwc explain ID   # tells what became of it")]
pub(crate) struct Show {
    /// The grant
    pub(crate) grant_id: ObjectId,
}

/// Revokes.
#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "fwc revoke <SCOPE> <TARGET> --reason <REASON> [--unknown] [--yes]",
    after_help = "Examples:\n  fwc revoke Capability GRANT --reason 'no longer needed'\n  fwc revoke IssuerKey mail --reason 'key lost'\n  fwc revoke ConnectorBinary github --reason 'CVE'\n  fwc revoke Capability TOKEN --unknown --reason 'minted on another device'"
)]
pub(crate) struct Revoke {
    /// The kind: Capability, IssuerKey, NodeAttestation, ZoneKey or ConnectorBinary
    #[arg(value_parser = one_of(RevocationScope::ALL, RevocationScope::as_str), hide_possible_values = true)]
    pub(crate) scope: RevocationScope,
    /// What: a token, grant, approval, key or digest in hexadecimal; a node, agent, operator, zone or connector by name
    pub(crate) target: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Revoke it also if nothing here is known by that name
    #[arg(long)]
    pub(crate) unknown: bool,
    /// Revoke it without asking again, also if only the owner's 24 words bring back what it takes, or several connectors fall
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Lists revocations.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc revocations --limit 20")]
pub(crate) struct Revocations {
    /// Which part
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// `fwc grant`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Grant, context: &mut Context) -> Result<Outcome> {
    match command {
        Grant::Add(args) => {
            let request = args.read()?;
            shown(context.as_operator().await?.send::<routes::AddGrant>(&[], &request).await?)
        }
        Grant::Show(args) => {
            let path = args.grant_id.to_string();
            shown(context.as_caller().await?.get::<GetGrant>(&[&path], &Nothing {}).await?)
        }
        Grant::List(args) => {
            let query =
                GrantQuery { agent: args.to, connector: args.connector, live: args.live.then_some(true) };
            Ok(Answer::of(context.as_caller().await?.get::<ListGrants>(&[], &query).await?)?
                .table(
                    "grants",
                    &[
                        ("grant_id", "GRANT"),
                        ("agent", "AGENT"),
                        ("role", "ROLE"),
                        ("zone", "ZONE"),
                        ("operations", "OPERATIONS"),
                        ("live", "LIVE"),
                        ("expires_at", "EXPIRES"),
                        ("standing_approval.scope", "APPROVED BEFOREHAND"),
                        ("obstacle.why", "OF NO USE NOW↓"),
                    ],
                )
                .into())
        }
    }
}

/// A grant, with a word on what it is good for where that is less than it seems.
///
/// # Errors
/// [`Code::Internal`] for an answer without a JSON form, which is a defect.
pub(super) fn shown(reply: Reply<GrantView>) -> Result<Outcome> {
    let grant = &reply.body;
    let idle =
        grant.obstacle.as_ref().map(|it| format!("no call can be made on it now: {}; {}", it.why, it.next));
    let given = grant.standing_approval.as_ref().and_then(|it| it.obstacle.as_ref());
    let spares = given.map(|it| format!("its standing approval spares nothing now: {}; {}", it.why, it.next));
    let notes: Vec<_> = idle.into_iter().chain(spares).collect();
    Ok(notes.into_iter().fold(Answer::of(reply)?, Answer::note).into())
}

/// `fwc revoke`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn revoke(args: Revoke, context: &mut Context) -> Result<Outcome> {
    let Revoke { scope, target, reason, unknown, yes } = args;
    let mut request = types::Revoke { scope, target, reason, unknown, confirmed: yes };
    let client = context.as_operator().await?;
    let reply = match client.send::<routes::Revoke>(&[], &request).await {
        Err(refused) if refused.code == Code::ConfirmationNeeded && passphrase::has_terminal() => {
            confirm(&refused)?;
            request.confirmed = true;
            client.send::<routes::Revoke>(&[], &request).await?
        }
        answer => answer?,
    };
    let before = reply.body.revoked_since.map(|since| format!("it was revoked already, since {since}"));
    Ok(before.into_iter().fold(Answer::of(reply)?, Answer::note).into())
}

/// Says what would be taken, and asks for a yes.
///
/// # Errors
/// [`Code::Cancelled`] for anything but a yes.
fn confirm(refused: &Failure) -> Result<()> {
    let instead = "read what it takes, and repeat the command with --yes";
    let why = refused.why.as_deref().unwrap_or(&refused.message);
    passphrase::show(&format!("{why}\n"), instead)?;
    if passphrase::ask_openly("Revoke it all the same? Type yes: ", instead)?.expose() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Code::Cancelled).because("you did not type yes").next("nothing was revoked"))
}

/// `fwc revocations`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn revocations(args: Revocations, context: &mut Context) -> Result<Outcome> {
    let query = Page { after: args.page.after, limit: args.page.limit };
    Ok(Answer::of(context.client()?.get::<ListRevocations>(&[], &query).await?)?
        .table(
            "revocations",
            &[
                ("seq", "SEQ"),
                ("scope", "SCOPE"),
                ("targets", "TARGETS"),
                ("reason", "REASON"),
                ("effective_at", "FROM"),
            ],
        )
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_a_name_as_written_is_answered_with_its_spelling() {
        let read = |pattern: &str| {
            ConstraintArgs { allow: vec![pattern.into()], ..ConstraintArgs::default() }.read()
        };
        let failure = read("filesystem:file/me/my notes.txt").unwrap_err();
        assert_eq!(failure.code, Code::InputInvalid);
        assert!(failure.why.unwrap_or_default().contains("percent-encoded"));
        assert_eq!(failure.next, "write it as filesystem:file/me/my%20notes.txt");
        assert!(read("filesystem:file/me/my%20notes.txt").is_ok(), "as it says");
        let failure = read("a//b c").unwrap_err();
        assert!(!failure.next.contains("write it as"), "it would be refused too: {}", failure.next);
    }
}
