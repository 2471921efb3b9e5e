//! `request`, `approvals`: calls that ask to be approved, and what the person decides. Grants that are asked for are in
//! [`super::wishes`].

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use fcp_api::routes::{
    ApproveRequest, DenyRequest, FileRequest, GetApproval, ListApprovals, PreviewGrant, WatchApprovals,
};
use fcp_api::types::{
    self, ApprovalQuery, ApprovalStatus, ApprovalWatchQuery, Approve, Deny, GrantPreview, Nothing,
    StandingGrant, StandingScope,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId, PrincipalId};
use fcp_proto_core::object::ApprovalKind;
use serde::Serialize;

use super::call::CallArgs;
use super::grant::ConstraintArgs;
use super::wishes;
use crate::cli::one_of;
use crate::context::Context;
use crate::held_token::TokenArgs;
use crate::lifetime::Lifetime;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, output, passphrase, usage};

/// How long one question of `watch` waits for a change.
const WATCH_WAIT: Duration = Duration::from_secs(30);

/// Files a request.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc request github.issues.create --file issue.json --idempotency-key 2026-11-a --note 'as we said on Monday'\n  \
    fwc request github.issues.list --grant 1h --allow github:repo/me/site --credential me"
)]
pub(crate) struct Request {
    /// What should be approved
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// Asks for a grant of this length instead of the approval of one call
    #[arg(long, value_name = "TIME")]
    pub(crate) grant: Option<Lifetime>,
    /// With --grant: another operation of the same connector
    #[arg(long, value_name = "OPERATION", requires = "grant")]
    pub(crate) also: Vec<OperationId>,
    /// With --grant: what bounds it
    #[command(flatten)]
    pub(crate) constraints: ConstraintArgs,
    /// What the person should know
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// Who
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// Requests.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Approvals {
    /// Lists requests: what waits first, the agents by turn, then the rest
    List(List),
    /// Shows a request with all its arguments in full
    Show(Show),
    /// Approves a request, for one call, or with --grant for calls like it
    Approve(Box<ApproveArgs>),
    /// Denies a request
    Deny(DenyArgs),
    /// Shows requests as they come and change, one a line
    Watch(Watch),
}

/// Where a request stands, on the command line.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum StatusArg {
    /// It waits
    Pending,
    /// It was approved
    Approved,
    /// It was denied
    Denied,
    /// Nobody decided in time
    Expired,
    /// The approval was used
    Used,
    /// It waits in vain: whoever asked has another key, or that is revoked
    Void,
}

impl From<StatusArg> for ApprovalStatus {
    fn from(arg: StatusArg) -> Self {
        match arg {
            StatusArg::Pending => Self::Pending,
            StatusArg::Approved => Self::Approved,
            StatusArg::Denied => Self::Denied,
            StatusArg::Expired => Self::Expired,
            StatusArg::Used => Self::Used,
            StatusArg::Void => Self::Void,
        }
    }
}

/// Lists requests.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc approvals list\n  fwc approvals list --by mail --status pending\n  \
    fwc approvals list --status denied"
)]
pub(crate) struct List {
    /// Only those of this agent
    #[arg(long, value_name = "AGENT")]
    pub(crate) by: Option<PrincipalId>,
    /// Only those that stand so
    #[arg(long)]
    pub(crate) status: Option<StatusArg>,
    /// At most so many
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// Continues where another list ended, as its `next` says
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

impl List {
    /// The command for the page after the mark.
    fn page_after(&self, mark: &str) -> String {
        let status = self.status.and_then(|status| status.to_possible_value());
        let options = [
            ("by", self.by.as_ref().map(ToString::to_string)),
            ("status", status.map(|status| status.get_name().to_owned())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("after", Some(mark.to_owned())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some(format!("--{name} {}", value?)));
        format!("fwc approvals list {}", given.collect::<Vec<_>>().join(" "))
    }
}

/// Shows a request.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc approvals show ID")]
pub(crate) struct Show {
    /// The request
    pub(crate) request_id: ObjectId,
}

/// Approves a request.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc approvals approve ID\n  fwc approvals approve ID --yes --for 10m\n  \
    fwc approvals approve ID --grant 8h   # the very same call is not asked again until then\n  \
    fwc approvals approve ID --grant 8h --allow 'github:repo/me/site/**' --max-calls 20   # nor is any other on these\n  \
    fwc approvals approve ID --for 30m --only github.issues.list   # a grant that is asked for, made narrower"
)]
pub(crate) struct ApproveArgs {
    /// The request
    pub(crate) request_id: ObjectId,
    /// Approves without asking again; the call shown by `approvals show` is the one approved
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only this kind of what is asked for: execution, elevation or declassification
    #[arg(long, value_name = "KIND", value_parser = one_of(ApprovalKind::ALL, ApprovalKind::as_str), hide_possible_values = true)]
    pub(crate) kind: Vec<ApprovalKind>,
    /// How long the approval can be used; for a grant that is asked for, how long it lasts
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lifetime: Option<Lifetime>,
    /// Of a grant that is asked for, only this operation
    #[arg(long, value_name = "OPERATION")]
    pub(crate) only: Vec<OperationId>,
    /// Also approves beforehand, for this long: a standing grant whose calls this agent is not asked about again; the very
    /// same input, unless --allow or --argument say which calls
    #[arg(long, value_name = "TIME")]
    pub(crate) grant: Option<Lifetime>,
    /// What bounds the grant; the resources and credentials of the request where none are named
    #[command(flatten)]
    pub(crate) constraints: ConstraintArgs,
    /// For the record
    #[arg(long)]
    pub(crate) note: Option<String>,
}

/// Denies a request.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc approvals deny ID --note 'not on a Friday'")]
pub(crate) struct DenyArgs {
    /// The request
    pub(crate) request_id: ObjectId,
    /// For the record, and for the agent
    #[arg(long)]
    pub(crate) note: Option<String>,
}

/// Watches requests.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc approvals watch\n  fwc approvals watch --count 1")]
pub(crate) struct Watch {
    /// Ends after so many changes; never otherwise
    #[arg(long)]
    pub(crate) count: Option<u64>,
}

/// `fwc request`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn request(args: Request, context: &mut Context) -> Result<Outcome> {
    let constraints = args.constraints.read()?;
    if let Some(lifetime) = args.grant {
        return wishes::file(&args, constraints, lifetime, context).await;
    }
    if constraints.is_some() {
        return Err(usage("bounds were given, and no --grant that they bound"));
    }
    let call = args.call.read()?;
    let (client, holder_proof) = args.token.speak(&call, context).await?;
    let request = types::FileRequest { call, note: args.note, holder_proof };
    let reply = client.send::<FileRequest>(&[], &request).await?;
    let next = format!("fwc approvals show {}", reply.body.request_id);
    Ok(Answer::of(reply)?.next(next).into())
}

/// `fwc approvals`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Approvals, context: &mut Context) -> Result<Outcome> {
    match command {
        Approvals::List(args) => {
            let query = ApprovalQuery {
                agent: args.by.clone(),
                status: args.status.map(Into::into),
                after: args.after.clone(),
                limit: args.limit,
            };
            let for_people = context.renderer.is_for_people();
            let reply = context.as_caller().await?.get::<ListApprovals>(&[], &query).await?;
            let more = reply.body.next.as_ref().map(|mark| args.page_after(mark));
            let list = if for_people { wishes::table(&reply)? } else { Answer::of(reply)? };
            Ok(more.into_iter().fold(list, Answer::next).into())
        }
        Approvals::Show(args) => {
            let path = args.request_id.to_string();
            let client = context.as_caller().await?;
            match client.get::<GetApproval>(&[&path], &Nothing {}).await {
                Ok(reply) => Ok(Answer::of(reply)?.into()),
                Err(failure) => wishes::show(client, &path, failure).await,
            }
        }
        Approvals::Approve(args) => approve(*args, context).await,
        Approvals::Deny(args) => {
            let path = args.request_id.to_string();
            let request = Deny { note: args.note };
            let client = context.as_operator().await?;
            match client.send::<DenyRequest>(&[&path], &request).await {
                Ok(reply) => Ok(Answer::of(reply)?.into()),
                Err(failure) => wishes::deny(client, &path, &request, failure).await,
            }
        }
        Approvals::Watch(args) => watch(args, context).await,
    }
}

/// Shows the call, asks, and approves exactly what was shown: the approval names its digest.
async fn approve(args: ApproveArgs, context: &mut Context) -> Result<Outcome> {
    let path = args.request_id.to_string();
    let client = context.as_operator().await?;
    let shown = match client.get::<GetApproval>(&[&path], &Nothing {}).await {
        Ok(reply) => reply.body,
        Err(failure) => return wishes::approve(client, &path, &args, failure).await,
    };
    if !args.only.is_empty() {
        return Err(usage(
            "--only narrows a grant that is asked for, and this asks for the approval of a call",
        ));
    }
    let mut grant = match (args.grant, args.constraints.read()?) {
        (Some(lifetime), constraints) => {
            Some(StandingGrant { constraints, lifetime_secs: lifetime.as_secs(), config_digest: None })
        }
        (None, Some(_)) => return Err(usage("bounds were given, and no --grant that they bound")),
        (None, None) => None,
    };
    if !args.yes {
        let mut more = None;
        if let (Some(lifetime), Some(grant)) = (args.grant, &mut grant) {
            let preview = client.send::<PreviewGrant>(&[&path], grant).await?.body;
            // What is signed is what was shown: the daemon refuses another configuration.
            grant.config_digest = Some(preview.config_digest);
            more = Some(beforehand(&preview, lifetime) + &visible(&preview)?);
        }
        confirm(&shown, &path, more.as_deref())?;
    }
    let request = Approve {
        call_digest: shown.call_digest,
        kinds: Some(args.kind).filter(|kinds| !kinds.is_empty()),
        lifetime_secs: args.lifetime.map(Lifetime::as_secs),
        grant,
        note: args.note,
    };
    let reply = client.send::<ApproveRequest>(&[&path], &request).await?;
    let note =
        format!("the agent makes the very same call again, with --approval {}", reply.body.approval_id);
    let standing = reply.body.grant_id.map(|grant| {
        format!(
            "{} is not asked for an approval of such calls again until the grant {grant} ends; `fwc revoke \
             Capability {grant} --reason '…'` ends it at once",
            shown.agent
        )
    });
    Ok(standing.into_iter().fold(Answer::of(reply)?.note(note), Answer::note).into())
}

/// What a standing grant would spare, in words.
fn beforehand(preview: &GrantPreview, lifetime: Lifetime) -> String {
    let calls = match preview.scope {
        StandingScope::Bounds => "any input that fits the bounds below",
        StandingScope::Input => "this very input",
    };
    let mut told = format!(
        "And beforehand, for {lifetime}: {} calls {} with {calls}, and nobody is asked again.\n",
        preview.agent, preview.operation
    );
    if !preview.unbound.is_empty() {
        let free = preview.unbound.join(", ");
        told.push_str(&format!("No bound holds these arguments, which may be anything: {free}\n"));
    }
    told
}

/// Shows what is decided over, in full, and asks for a yes.
///
/// # Errors
/// [`Code::Cancelled`] for anything but a yes; [`Code::Unauthenticated`] where there is no terminal.
pub(super) fn confirm<T: Serialize>(shown: &T, id: &str, more: Option<&str>) -> Result<()> {
    let instead = &format!("show it with `fwc approvals show {id}`, then approve with --yes");
    if !passphrase::has_terminal() {
        let failure = Failure::new(Code::Unauthenticated);
        let mut failure =
            failure.because("there is no terminal to ask on, and --yes was not given").next(instead);
        failure.message = "An approval needs a person's yes, and nobody can be asked for it.".into();
        return Err(failure);
    }
    passphrase::show(&visible(shown)?, instead)?;
    if let Some(more) = more {
        passphrase::show(more, instead)?;
    }
    let answer = passphrase::ask_openly("Approve this? Type yes: ", instead)?;
    if answer.expose() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Code::Cancelled)
        .because("you did not type yes")
        .next(format!("nothing was approved; `fwc approvals deny {id}` says no, which counts for an hour")))
}

/// What a person decides over, whole, with nothing in it that could hide or move text on a terminal.
fn visible(shown: &impl serde::Serialize) -> Result<String> {
    let value = serde_json::to_value(shown).map_err(|error| crate::internal(&error.to_string()))?;
    Ok(output::json::to_pretty(&value.into()) + "\n")
}

async fn watch(args: Watch, context: &mut Context) -> Result<Outcome> {
    let mut lines = context.renderer.lines(&[
        ("requested_at", "AT"),
        ("request_id", "REQUEST"),
        ("status", "STATUS"),
        ("agent", "AGENT"),
        ("operation", "CALL"),
        ("operations.operation", "GRANT"),
    ])?;
    let client = context.as_caller().await?;
    client.set_timeout(WATCH_WAIT.saturating_add(Duration::from_secs(15)));
    let (mut cursor, mut seen) = (None, 0_u64);
    loop {
        let wait_ms = u64::try_from(WATCH_WAIT.as_millis()).ok();
        let query = ApprovalWatchQuery { cursor, wait_ms };
        let types::Reply { body, meta } = client.get::<WatchApprovals>(&[], &query).await?;
        let calls = body.approvals.into_iter().map(|call| change(call, &meta));
        let grants = body.grant_requests.into_iter().map(|grant| change(grant, &meta));
        for change in calls.chain(grants).collect::<Vec<_>>() {
            seen += 1;
            if lines.put(&change?)?.is_break() || args.count.is_some_and(|count| seen >= count) {
                return Ok(Outcome::Shown);
            }
        }
        cursor = Some(body.cursor);
    }
}

fn change<T: Serialize>(body: T, meta: &types::Meta) -> Result<Answer> {
    Answer::of(types::Reply { body, meta: meta.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/api.md#lists
    #[test]
    fn the_next_page_is_of_the_same_list() {
        let list = |by: Option<&str>, status, limit| List {
            by: by.map(|name| name.parse().unwrap()),
            status,
            limit,
            after: Some("before".into()),
        };
        let whole = list(None, None, None).page_after("0-7");
        assert_eq!(whole, "fwc approvals list --after 0-7");
        let some = list(Some("mail"), Some(StatusArg::Pending), Some(2)).page_after("7");
        assert_eq!(some, "fwc approvals list --by mail --status pending --limit 2 --after 7");
    }
}
