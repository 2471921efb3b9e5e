//! `invoke`, `simulate`, `preflight`, `cancel`: calls.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use fcp_api::client::{Client, DEFAULT_TIMEOUT};
use fcp_api::routes::{CancelCall, InvokeOperation, ListCalls, PreflightOperation, SimulateCall};
use fcp_api::types::{self, CallOptions, CallRequest, HistoryQuery, Nothing};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, CredentialId, ObjectId, ZoneId};
use serde_json::Value;

use crate::context::Context;
use crate::held_token::TokenArgs;
use crate::input::InputArgs;
use crate::operation::OperationName;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result};

/// How much longer than the call's own deadline its answer is awaited.
const MARGIN: Duration = Duration::from_secs(15);

/// What is called, with all its arguments.
#[derive(Args, Clone, Debug)]
pub(crate) struct CallArgs {
    /// The operation
    #[command(flatten)]
    pub(crate) operation: OperationName,
    /// The input
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// The zone; the agent's own otherwise
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// The stored credential to use, where there are several for the operation
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<CredentialId>,
    /// Makes a repetition of this very call harmless
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

impl CallArgs {
    /// The call.
    ///
    /// # Errors
    /// What is wrong with its name or input.
    pub(crate) fn read(&self) -> Result<CallRequest> {
        let (connector, operation) = self.operation.resolve()?;
        let (input, handles) = self.input.read()?;
        let (zone, idempotency_key) = (self.zone.clone(), self.idempotency_key.clone());
        let credential = self.account.clone();
        Ok(CallRequest { connector, operation, input, handles, zone, credential, idempotency_key })
    }
}

/// How a call is made.
#[derive(Args, Clone, Debug)]
pub(crate) struct OptionArgs {
    /// An approval to spend on this call
    #[arg(long, value_name = "ID")]
    pub(crate) approval: Vec<ObjectId>,
    /// Longest time for the whole call, in milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
    /// Keeps the output behind a handle instead of showing it, so that it does not join the agent's context
    #[arg(long)]
    pub(crate) keep: bool,
}

impl From<OptionArgs> for CallOptions {
    fn from(args: OptionArgs) -> Self {
        Self { approval_ids: args.approval, deadline_ms: args.deadline_ms, keep_result: args.keep }
    }
}

/// A call that is made or tried out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Attempt {
    /// What
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// How
    #[command(flatten)]
    pub(crate) options: OptionArgs,
    /// Who
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

impl Attempt {
    /// The request, and who sends it.
    async fn ready(self, context: &mut Context) -> Result<(&mut Client, types::Invoke)> {
        let call = self.call.read()?;
        let (client, holder_proof) = self.token.speak(&call, context).await?;
        Ok((client, types::Invoke { call, options: self.options.into(), holder_proof }))
    }
}

/// Makes a call.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc invoke github.issues.list --set owner=me --set repo=site\n  \
    fwc invoke github issues.create --file issue.json --idempotency-key 2026-11-a\n  \
    echo '{\"sql\":\"select 1\"}' | fwc invoke sqlite.query --stdin --keep\n  \
    fwc invoke github.issues.list --set owner=me --set repo=site --token tokens/ID.token")]
pub(crate) struct Invoke {
    /// The call
    #[command(flatten)]
    pub(crate) attempt: Attempt,
}

/// Tries a call out.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc simulate github.issues.create --file issue.json --idempotency-key 2026-11-a"
)]
pub(crate) struct Simulate {
    /// The call
    #[command(flatten)]
    pub(crate) attempt: Attempt,
}

/// Asks ahead.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc preflight github.issues.create")]
pub(crate) struct Preflight {
    /// The operation
    #[command(flatten)]
    pub(crate) operation: OperationName,
    /// The zone; the agent's own otherwise
    #[arg(long)]
    pub(crate) zone: Option<ZoneId>,
    /// Who
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// Cancels a call.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc cancel 0123456789abcdef0123456789abcdef\n  fwc history   # shows the calls"
)]
pub(crate) struct Cancel {
    /// The call
    pub(crate) call_id: CallId,
}

/// `fwc invoke`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn invoke(args: Invoke, context: &mut Context) -> Result<Outcome> {
    let (client, request) = args.attempt.ready(context).await?;
    let deadline = request.options.deadline_ms.map(Duration::from_millis);
    client.set_timeout(
        deadline.map_or(DEFAULT_TIMEOUT, |time| time.saturating_add(MARGIN)).max(DEFAULT_TIMEOUT),
    );
    let reply = tokio::select! {
        reply = client.send::<InvokeOperation>(&[], &request) => reply,
        () = interrupted() => return Err(left(&request.call, context).await),
    };
    Ok(Answer::of(reply?)?.into())
}

/// Returns when the user interrupts; never if that cannot be listened to, for then the interrupt ends the process.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// What an interrupted command leaves behind: the call, which goes on. A second interrupt ends the search for its id.
//= docs/spec/output.md#an-interrupted-call
async fn left(call: &CallRequest, context: &mut Context) -> Failure {
    let open = tokio::select! {
        open = open_calls(call, context) => open.unwrap_or_default(),
        () = interrupted() => Vec::new(),
    };
    let speaker =
        context.global().agent.as_ref().map(|agent| format!("--agent {agent} ")).unwrap_or_default();
    let cancels: Vec<String> = open.iter().map(|id| format!("`fwc {speaker}cancel {id}`")).collect();
    let (which, cancel) = match open.as_slice() {
        [] => ("the call".to_owned(), format!("`fwc {speaker}cancel ID` stops it")),
        [id] => (format!("the call {id}"), format!("{} stops it", cancels.concat())),
        several => {
            (format!("one of {} open calls", several.len()), format!("{} stops one", cancels.join(" or ")))
        }
    };
    let why =
        format!("{which} of {} goes on in the daemon: an interrupt ends this command alone", call.operation);
    let mut failure = Failure::new(Code::OutcomeUnknown).because(why).next(format!(
        "{cancel}; `fwc {speaker}history` shows how it ended, and `fwc {speaker}receipts list` has its receipt"
    ));
    failure.message = "Interrupted before the call's outcome was known.".into();
    failure.detail =
        serde_json::to_value(&open).ok().map(|calls| Box::new(serde_json::json!({ "calls": calls })));
    failure
}

/// The open calls of the caller that may be the interrupted one, newest first.
async fn open_calls(call: &CallRequest, context: &mut Context) -> Result<Vec<CallId>> {
    let client = context.client()?;
    client.hang_up();
    client.set_timeout(LOOK_UP);
    let query = HistoryQuery {
        connector: Some(call.connector.clone()),
        operation: Some(call.operation.clone()),
        ..HistoryQuery::default()
    };
    // Outside a session nobody is asked for a passphrase now.
    let calls = context.as_agent().await?.get::<ListCalls>(&[], &query).await?.body.calls;
    let open = |it: &types::CallView| it.receipt_id.is_none() && it.outcome.is_none() && it.code.is_none();
    Ok(calls.into_iter().filter(open).map(|it| it.call_id).collect())
}

/// For the look-up of an interrupted call. Chosen: whoever interrupts does not wait long.
const LOOK_UP: Duration = Duration::from_secs(3);

/// `fwc simulate`: ends as the call would, without making it.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn simulate(args: Simulate, context: &mut Context) -> Result<Outcome> {
    let (client, request) = args.attempt.ready(context).await?;
    let reply = client.send::<SimulateCall>(&[], &request).await?;
    verdict(reply)
}

/// `fwc preflight`: ends as a call would, as far as that does not depend on the input.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn preflight(args: Preflight, context: &mut Context) -> Result<Outcome> {
    let (connector, operation) = args.operation.resolve()?;
    // A preflight is of the call without any input.
    let call = CallRequest {
        connector,
        operation,
        input: Value::Object(serde_json::Map::new()),
        handles: BTreeMap::new(),
        zone: args.zone,
        credential: None,
        idempotency_key: None,
    };
    let (client, holder_proof) = args.token.speak(&call, context).await?;
    let CallRequest { connector, operation, zone, .. } = call;
    let request = types::Preflight { connector, operation, zone, holder_proof };
    let reply = client.send::<PreflightOperation>(&[], &request).await?;
    verdict(reply)
}

/// `fwc cancel`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn cancel(args: Cancel, context: &mut Context) -> Result<Outcome> {
    let call_id = args.call_id.to_string();
    let reply = context.as_caller().await?.send::<CancelCall>(&[&call_id], &Nothing {}).await?;
    Ok(Answer::of(reply)?.into())
}

fn verdict(reply: types::Reply<types::SimulateAnswer>) -> Result<Outcome> {
    let body = &reply.body;
    let refused = (!body.allowed).then(|| refusal(body.code, body.denial.as_ref())).transpose()?;
    let checks = [("check", "CHECK"), ("status", "STATUS"), ("code", "CODE")];
    Ok(Answer::of(reply)?.section("checks", &checks).hidden(&["denial"]).or_failed(refused))
}

/// The failure that the call would end with.
fn refusal(code: Option<Code>, denial: Option<&types::Denial>) -> Result<Failure> {
    let failure = Failure::new(code.unwrap_or(Code::NotPermitted));
    let Some(denial) = denial else { return Ok(failure) };
    let mut failure = failure.because(denial.rule.as_deref().unwrap_or_default());
    if let Some(command) = &denial.command {
        failure = failure.next(format!("`{command}`"));
    }
    let detail = serde_json::to_value(denial).map_err(|error| crate::internal(&error.to_string()))?;
    failure.detail = Some(Box::new(detail));
    Ok(failure)
}
