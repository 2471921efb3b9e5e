//! `audit`, `explain`: what happened, whether the record holds, and why something is as it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use fcp_api::body;
use fcp_api::client::Client;
use fcp_api::limits::MAX_ANSWER_BYTES;
use fcp_api::routes::{self, GetAuditHead, GetStatus, ListAuditEvents};
use fcp_api::types::{
    AuditHeadQuery, AuditHeadView, AuditHeads, AuditProblem, AuditQuery, Nothing, Reply, SavedHead,
    VerifyAudit, WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, ZoneId};
use fcp_proto_core::object::AuditEventKind;

use crate::cli::one_of;
use crate::context::Context;
use crate::render::{Answer, Lines, Outcome};
use crate::{Failure, Result, private_file};

/// How long one question of `tail --follow` waits for an event.
const FOLLOW_WAIT: Duration = Duration::from_secs(30);

/// The audit chain.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Audit {
    /// Verifies every link, identifier and signed head
    Verify(Verify),
    /// Shows the newest events
    Tail(Tail),
    /// Shows the signed ends of the chains
    Head(Head),
}

/// Which chains.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc audit verify\n  fwc audit verify --head heads.json")]
pub(crate) struct Verify {
    /// Only this zone's chain
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// What `fwc audit head --save` wrote earlier: the chains must hold it still
    #[arg(long, value_name = "FILE")]
    pub(crate) head: Option<PathBuf>,
}

/// Which ends.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc audit head --zone z:work\n  fwc audit head --save heads.json")]
pub(crate) struct Head {
    /// Only this zone's chain
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// Writes them to this new file, to be kept outside the home
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// Which events.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc audit tail --zone z:work\n  fwc audit tail --follow --kind capability.denied"
)]
pub(crate) struct Tail {
    /// The zone whose chain it is; z:owner otherwise
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// How many events to begin with
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) lines: u32,
    /// Goes on with new events as they come, one a line
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only this kind, such as capability.denied
    #[arg(long, value_parser = one_of(AuditEventKind::ALL, AuditEventKind::as_str), hide_possible_values = true)]
    pub(crate) kind: Option<AuditEventKind>,
    /// Only those caused by this actor
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Only this connector's
    #[arg(long)]
    pub(crate) connector: Option<ConnectorId>,
    /// Only this call's
    #[arg(long)]
    pub(crate) call: Option<CallId>,
}

/// Asks why.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc explain ID   # of a call, decision, receipt, request, grant, token or event"
)]
pub(crate) struct Explain {
    /// The identifier
    pub(crate) id: String,
}

/// `fwc audit`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Audit, context: &mut Context) -> Result<Outcome> {
    match command {
        Audit::Verify(args) => {
            let heads = args.head.as_deref().map(saved).transpose()?;
            let compared = heads.clone();
            let request = VerifyAudit { zone: args.zone, heads: heads.unwrap_or_default() };
            let reply = context.as_caller().await?.send::<routes::VerifyAudit>(&[], &request).await?;
            let broken = match reply.body.valid {
                true => None,
                false => Some(broken(&reply.body.problems, args.head.as_deref(), context).await),
            };
            let problems = [("zone", "ZONE"), ("seq", "SEQ"), ("problem", "PROBLEM…")];
            let notes = compared.iter().flat_map(|heads| compared_with(heads, &reply.body.chains));
            let notes: Vec<_> = notes.collect();
            let answer = Answer::of(reply)?.section("chains", &CHAINS).section("problems", &problems);
            Ok(notes.into_iter().fold(answer, Answer::note).or_failed(broken))
        }
        Audit::Head(args) => {
            let query = AuditHeadQuery { zone: args.zone };
            let reply = context.client()?.get::<GetAuditHead>(&[], &query).await?;
            if let Some(file) = &args.save {
                private_file::create(file, &body::write(&reply.body)?)?;
            }
            Ok(Answer::of(reply)?.table("chains", &CHAINS).into())
        }
        Audit::Tail(args) => tail(args, context).await,
    }
}

/// The ends of chains that were saved.
fn saved(file: &Path) -> Result<Vec<SavedHead>> {
    let text = crate::read_file(file, MAX_ANSWER_BYTES)?;
    let heads: AuditHeads = serde_json::from_slice(&text).map_err(|error| {
        let failure = Failure::new(Code::InputInvalid).because(format!("{}: {error}", file.display()));
        failure.next("give the file that `fwc audit head --save` wrote")
    })?;
    let broken = |why: String| {
        let failure = Failure::new(Code::InputInvalid).because(format!("{}: {why}", file.display()));
        failure.next("give the file as `fwc audit head --save` wrote it")
    };
    let head = |chain: AuditHeadView| {
        let AuditHeadView { zone, node, head_event, events, signed_by: _ } = chain;
        match (head_event, events) {
            (Some(head_event), 1..) => Some(Ok(SavedHead { zone, node, head_event, events })),
            // A chain that had not begun holds nothing that could be compared.
            (None, 0) => None,
            (Some(_), 0) => Some(Err(broken(format!("{zone} has a head and no event")))),
            (None, 1..) => Some(Err(broken(format!("{zone} has {events} events and no head")))),
        }
    };
    let heads: Vec<SavedHead> = heads.chains.into_iter().filter_map(head).collect::<Result<_>>()?;
    // A file that compares nothing must not look like a proof.
    if heads.is_empty() { Err(broken("it holds no head of a chain".into())) } else { Ok(heads) }
}

/// What saved heads say of these chains, and of which they say nothing.
fn compared_with(saved: &[SavedHead], chains: &[AuditHeadView]) -> Vec<String> {
    let is_saved = |chain: &&AuditHeadView| saved.iter().any(|it| it.zone == chain.zone);
    let (compared, others): (Vec<_>, Vec<_>) =
        chains.iter().filter(|chain| chain.head_event.is_some()).partition(is_saved);
    let zones = |chains: Vec<&AuditHeadView>| {
        chains.iter().map(|chain| chain.zone.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut notes = vec![format!("held against the saved heads: {}", zones(compared))];
    if !others.is_empty() {
        let without = "without a saved head, so that an earlier end of theirs would not be noticed";
        notes.push(format!("{without}: {}", zones(others)));
    }
    notes
}

/// The failure of a record that does not hold, with what leads on from the very command that found it.
async fn broken(problems: &[AuditProblem], head: Option<&Path>, context: &mut Context) -> Failure {
    let failure = Failure::new(Code::AuditBroken);
    let failure = match problems.first() {
        Some(first) => failure.because(format!("{}, event {}: {}", first.zone, first.seq, first.problem)),
        None => failure,
    };
    let status = context.probe::<GetStatus>().await;
    let warnings = status.map(|reply| reply.body.warnings).unwrap_or_default();
    // A node that was revoked signs on, and counts for nothing: its chain does not hold until it has another key.
    let revoked = warnings.into_iter().find(|it| it.kind == WarningKind::Revoked);
    match (revoked.and_then(|it| it.remedy), head) {
        (Some(remedy), _) => failure.next(remedy),
        (None, Some(head)) => failure.next(format!(
            "find out which was changed, {} or the chains: `fwc audit verify` says whether those hold by themselves; if they do, \
             and the file is as it was saved, restore the home from a backup",
            head.display()
        )),
        (None, None) => {
            failure.next("restore the home from a backup, all of it from the same one; `fwc doctor` looks at the rest of it")
        }
    }
}

/// What people see of a chain.
const CHAINS: [(&str, &str); 4] =
    [("zone", "ZONE"), ("node", "NODE"), ("events", "EVENTS"), ("head_event", "HEAD")];

/// What people see of an event.
const COLUMNS: [(&str, &str); 6] = [
    ("seq", "SEQ"),
    ("at", "AT"),
    ("kind", "KIND"),
    ("actor", "ACTOR"),
    ("operation", "OPERATION"),
    ("code", "CODE"),
];

async fn tail(args: Tail, context: &mut Context) -> Result<Outcome> {
    let lines = args.follow.then(|| context.renderer.lines(&COLUMNS)).transpose()?;
    let client = context.as_caller().await?;
    let query = AuditQuery {
        zone: args.zone,
        last: Some(args.lines),
        kind: args.kind,
        actor: args.by,
        connector: args.connector,
        call_id: args.call,
        ..AuditQuery::default()
    };
    match lines {
        Some(lines) => follow(query, client, lines).await,
        None => {
            let reply = client.get::<ListAuditEvents>(&[], &query).await?;
            Ok(Answer::of(reply)?.table("events", &COLUMNS).into())
        }
    }
}

async fn follow(mut query: AuditQuery, client: &mut Client, mut lines: Lines) -> Result<Outcome> {
    client.set_timeout(FOLLOW_WAIT.saturating_add(Duration::from_secs(15)));
    loop {
        let Reply { body, meta } = client.get::<ListAuditEvents>(&[], &query).await?;
        for event in body.events {
            if lines.put(&Answer::of(Reply { body: event, meta: meta.clone() })?)?.is_break() {
                return Ok(Outcome::Shown);
            }
        }
        query.last = None;
        query.from_seq = Some(body.next_seq);
        query.wait_ms = u64::try_from(FOLLOW_WAIT.as_millis()).ok();
    }
}

/// `fwc explain`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn explain(args: Explain, context: &mut Context) -> Result<Outcome> {
    let reply = context.as_caller().await?.get::<routes::Explain>(&[&args.id], &Nothing {}).await?;
    let next = reply.body.next.clone();
    let answer =
        Answer::of(reply)?.section("events", &COLUMNS).hidden(&["denial", "next", "evidence", "object"]);
    Ok(next
        .into_iter()
        .fold(answer, Answer::next)
        .note("--json shows the record and its evidence too")
        .into())
}
