//! `list`, `show`, `ops`, `schema`: what connectors there are and what they do.

use clap::Args;
use fcp_api::routes::{GetConnector, GetOperation, ListConnectors, ListOperations};
use fcp_api::shell::quoted;
use fcp_api::types::{ConnectorQuery, Nothing, OperationDetail, OperationList, OperationSummary, Source};
use fcp_proto_core::ids::{ConnectorId, Digest, OperationId, ZoneId};
use fcp_proto_core::zone::Idempotency;
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::operation::OperationName;
use crate::render::{Answer, Outcome};
use crate::{Result, fields, offline};

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

/// `fwc list`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn list(args: List, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        let manifests = offline::Manifests::read(&context.home)?;
        let connectors = manifests.list(&context.home, args.zone.as_ref())?;
        return offline_connectors(&connectors, &manifests);
    }
    let query = ConnectorQuery { zone: args.zone, search: None };
    let reply = context.client()?.get::<ListConnectors>(&[], &query).await?;
    let found = &reply.body.connectors;
    // What is wrong with one stands on its page, with what to do.
    let wrong = found.iter().find(|it| it.problem.is_some()).map(|it| format!("fwc show {}", it.id));
    let next = wrong.or_else(|| found.first().map(|first| format!("fwc ops {}", first.id)));
    Ok(next.into_iter().fold(connectors(Answer::of(reply)?), Answer::next).into())
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
    let reply = context.client()?.get::<GetConnector>(&path, &Nothing {}).await?;
    let next = about_first(&reply.body.operations);
    Ok(next.into_iter().fold(connector(Answer::of(reply)?), Answer::next).into())
}

/// `fwc ops`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn ops(args: Ops, context: &mut Context) -> Result<Outcome> {
    if context.is_offline() {
        let list = offline::operations(&context.home, &args.connector)?;
        return operations(&list, Source::Offline).map(Outcome::from);
    }
    let path = [args.connector.as_str()];
    let reply = context.client()?.get::<ListOperations>(&path, &Nothing {}).await?;
    operations(&reply.body, reply.meta.source).map(Outcome::from)
}

/// `fwc schema`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn schema(args: Schema, context: &mut Context) -> Result<Outcome> {
    let (connector, operation) = args.operation.resolve()?;
    let (detail, source) = if context.is_offline() {
        (offline::operation(&context.home, &connector, &operation)?, Source::Offline)
    } else {
        let path = [connector.as_str(), operation.as_str()];
        let reply = context.client()?.get::<GetOperation>(&path, &Nothing {}).await?;
        (reply.body, reply.meta.source)
    };
    let answer = match context.renderer.is_for_people() {
        true => readable(&detail, source)?,
        false => Answer::local(&detail, source)?,
    };
    Ok(answer.next(example_call(&detail)).into())
}

/// The operation as a person reads it: its schemas as a line a field.
#[derive(Serialize)]
struct Readable<'a> {
    connector: &'a ConnectorId,
    operation: &'a OperationSummary,
    resources: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_slot: Option<&'a str>,
    hosts: &'a [String],
    rate_pools: &'a [String],
    timeout_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a OperationId>,
    interface_hash: Digest,
    hints: Value,
    input: Vec<fields::Field>,
    output: Vec<fields::Field>,
}

fn readable(operation: &OperationDetail, source: Source) -> Result<Answer> {
    let columns = [
        ("field", "FIELD"),
        ("type", "TYPE"),
        ("needed", "NEEDED"),
        ("rules", "RULES…"),
        ("description", "DESCRIPTION…"),
    ];
    let body = Readable {
        connector: &operation.connector,
        operation: &operation.operation,
        resources: &operation.resources,
        credential_slot: operation.credential_slot.as_deref(),
        hosts: &operation.hosts,
        rate_pools: &operation.rate_pools,
        timeout_ms: operation.timeout_ms,
        probe: operation.probe.as_ref(),
        interface_hash: operation.interface_hash,
        hints: spelled(&operation.hints),
        input: fields::of(&operation.input_schema),
        output: fields::of(&operation.output_schema),
    };
    Ok(Answer::local(&body, source)?.section("input", &columns).section("output", &columns))
}

/// Hints with each example as the line of JSON that it is.
fn spelled(hints: &Value) -> Value {
    let mut hints = hints.clone();
    if let Some(Value::Array(examples)) = hints.get_mut("examples") {
        examples.iter_mut().for_each(|example| *example = Value::String(example.to_string()));
    }
    hints
}

/// A call of the operation: with the input of its author's first example, or else with what must be filled in.
fn example_call(operation: &OperationDetail) -> String {
    let mut call = format!("fwc invoke {}", operation.operation.id);
    match operation.hints.pointer("/examples/0") {
        Some(input) => call.push_str(&format!(" --input {}", quoted(&input.to_string()))),
        None => {
            let needed = operation.input_schema.get("required").and_then(Value::as_array);
            for name in needed.into_iter().flatten().filter_map(Value::as_str) {
                call.push_str(&format!(" --set {}", quoted(&format!("{name}=…"))));
            }
        }
    }
    match operation.operation.idempotency {
        Idempotency::Strict => call.push_str(" --idempotency-key KEY"),
        Idempotency::None | Idempotency::BestEffort => {}
    }
    call
}

fn connectors(answer: Answer) -> Answer {
    let columns = [
        ("id", "CONNECTOR"),
        ("version", "VERSION"),
        ("enabled", "ENABLED"),
        ("zones", "ZONES"),
        ("health.status", "HEALTH"),
        ("problem", "PROBLEM"),
        ("operations", "OPERATIONS"),
        ("max_tier", "HIGHEST TIER"),
        ("description", "DESCRIPTION"),
    ];
    answer.table("connectors", &columns)
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
    let warnings = [("kind", "KIND"), ("message", "MESSAGE…"), ("remedy", "REMEDY↓")];
    answer
        .section("credential_slots", &slots)
        .section("operations", &operations)
        .section("warnings", &warnings)
}

/// What an answer without the daemon cannot tell.
pub(super) const OFFLINE: &str = "read from the manifests in the home; whether a connector is enabled, bound and healthy only the daemon knows";

/// What people see of a connector that its manifest tells.
pub(super) const CONNECTORS: [(&str, &str); 5] = [
    ("id", "CONNECTOR"),
    ("version", "VERSION"),
    ("operations", "OPERATIONS"),
    ("max_tier", "HIGHEST TIER"),
    ("description", "DESCRIPTION"),
];

/// What people see of a manifest that cannot be read.
pub(super) const DAMAGED: [(&str, &str); 3] = [("file", "DAMAGED"), ("code", "CODE"), ("why", "WHY…")];

/// What people see of an operation in a list.
pub(super) const OPERATIONS: [(&str, &str); 6] = [
    ("id", "OPERATION"),
    ("tier", "TIER"),
    ("risk", "RISK"),
    ("approval", "APPROVAL"),
    ("idempotency", "IDEMPOTENCY"),
    ("description", "DESCRIPTION"),
];

/// What a list without the daemon found.
#[derive(Serialize)]
struct OfflineList<'a> {
    connectors: &'a [Value],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    damaged: &'a [offline::Damaged],
}

/// The connectors whose manifests can be read; those that cannot are a failure beside them.
fn offline_connectors(connectors: &[Value], manifests: &offline::Manifests) -> Result<Outcome> {
    let damaged = manifests.damaged();
    let answer = Answer::local(&OfflineList { connectors, damaged }, Source::Offline)?;
    let answer = if damaged.is_empty() {
        answer.table("connectors", &CONNECTORS)
    } else {
        answer.section("connectors", &CONNECTORS).section("damaged", &DAMAGED)
    };
    Ok(answer.note(OFFLINE).or_failed(manifests.failure()))
}

fn operations(list: &OperationList, source: Source) -> Result<Answer> {
    let answer = Answer::local(list, source)?.table("operations", &OPERATIONS);
    Ok(about_first(&list.operations).into_iter().fold(answer, Answer::next))
}

/// The command that shows the first of the operations.
pub(super) fn about_first(operations: &[OperationSummary]) -> Option<String> {
    operations.first().map(|first| format!("fwc schema {}", first.id))
}
