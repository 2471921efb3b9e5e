//! The end of a call: egress is closed, what it saw corrects what the connector says, the caller hears the outcome.
//! Source: docs/spec/connectors.md#evidence.

use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, OperationId};
use fcp_proto_core::object::{AuditEventKind, Effect, Usage};
use fcp_proto_core::time::Instant;
use fcp_state_machines::call::egress::EgressHandle;
use fcp_state_machines::call::supervisor::{CallEnd, Cause};
use fcp_state_machines::node::Outcome;
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

use crate::connectors::chronicle::Account;
use crate::connectors::evidence::{Evidence, Local, Power, Reader, Sent};
use crate::connectors::outputs::OutputSchemas;
use crate::connectors::protocol::{Failure, Invoked, Violation};
use crate::connectors::shared::Shared;
use crate::egress::{CallReport, EgressClient, Identity};

/// What a connector answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The output.
    Output(Invoked),
    /// An error.
    Error(Failure),
}

/// Everything the end of a call needs.
pub(super) struct Finish {
    pub(super) shared: Arc<Shared>,
    pub(super) call: CallId,
    pub(super) identity: Identity,
    pub(super) operation: OperationId,
    /// What the operation declares of its output.
    pub(super) outputs: Arc<OutputSchemas>,
    pub(super) end: CallEnd,
    pub(super) violation: Option<Violation>,
    pub(super) evidence: (Power, Local, Reader),
    pub(super) told: Option<(Code, String)>,
    pub(super) started: Instant,
    pub(super) body: Option<Body>,
    pub(super) egress: Option<(EgressHandle, EgressClient)>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Finish {
    pub(super) async fn run(self) {
        let (sent, report) = match &self.egress {
            // Without a handle no request can have passed.
            None => (Sent::Nothing, None),
            Some((handle, client)) => match client.close_call(*handle).await {
                Ok(report) => (Sent::reported(&report), Some(report)),
                Err(error) => {
                    tracing::warn!(call = %self.call, %error, "what a call sent is not known");
                    (Sent::Unknown, None)
                }
            },
        };
        self.shared.leave(self.call);
        if let Some(report) = &report {
            self.tell_denials(report).await;
        }
        let (power, local, reader) = self.evidence;
        let evidence = Evidence { power, local, sent, reader };
        let usage = self.usage(sent, report.as_ref());
        let outcome = match (self.end, self.body) {
            (CallEnd::Answered, Some(Body::Output(answer))) => {
                let max = self.shared.limits.max_output_bytes;
                match fits(self.outputs, self.operation, answer.output, max).await {
                    Ok(output) => {
                        Outcome::Succeeded { output, effect: evidence.settle(answer.effect), usage }
                    }
                    Err(why) => misanswered(evidence.misanswered(answer.effect), why, usage),
                }
            }
            (CallEnd::Answered, Some(Body::Error(failure))) => {
                failed(evidence.settle(failure.effect), failure, self.told, usage)
            }
            (CallEnd::NotDelivered(_), _) => {
                let (code, message) = words(self.end, self.told);
                Outcome::NotDelivered { code, message }
            }
            (CallEnd::Answered, None) | (CallEnd::OutcomeUnknown(_), _) => {
                let (code, message) = words(self.end, self.told);
                unanswered(evidence.unanswered(), code, message, self.violation, usage)
            }
        };
        // Whoever asked may have given up waiting.
        self.reply.send(outcome).ok();
    }

    /// Tells what egress refused this call, whatever the connector says of it.
    //= docs/spec/audit.md#connectors
    async fn tell_denials(&self, report: &CallReport) {
        let denials: Vec<_> = report.refusals.iter().filter(|refusal| refusal.is_denial()).collect();
        let Some(first) = denials.first() else { return };
        let told = self.shared.tell(Account {
            zone: self.identity.zone.clone(),
            kind: AuditEventKind::EgressDenied,
            connector: self.identity.connector.clone(),
            operation: Some(self.operation.clone()),
            call: Some(self.call),
            code: Some(first.code()),
            detail: format!("{} refused, the first: {}", denials.len(), first.name()),
        });
        if let Err((code, message)) = told.await {
            // Nothing passed, so nothing is left without its record; the call's own end will not be stored either.
            tracing::error!(call = %self.call, %code, message, "the audit could not be told");
        }
    }

    //= docs/spec/connectors.md#evidence
    fn usage(&self, sent: Sent, report: Option<&CallReport>) -> Usage {
        let elapsed = self.shared.now().mono.saturating_since(self.started).as_millis();
        // What cannot be counted must not read as silence: nothing heard would taint nobody.
        let uncounted = u64::from(sent == Sent::Unknown);
        Usage {
            requests: report.map_or(uncounted, |report| report.requests),
            bytes_sent: report.map_or(0, |report| report.bytes_sent),
            bytes_received: report.map_or(0, |report| report.bytes_received),
            duration_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
        }
    }
}

/// Why a call ended without an answer.
fn words(end: CallEnd, told: Option<(Code, String)>) -> (Code, String) {
    told.unwrap_or_else(|| {
        let (CallEnd::NotDelivered(cause) | CallEnd::OutcomeUnknown(cause)) = end else {
            return (Code::Internal, "an answer without a body".to_owned());
        };
        let code = CallEnd::NotDelivered(cause).code().unwrap_or(Code::Internal);
        (code, cause_in_words(cause).to_owned())
    })
}

/// What ended a call, where nobody said more of it.
const fn cause_in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Cancelled => "its caller or an operator asked for that before the connector had answered",
        Cause::TimedOut => "the time that the call may take is over",
        Cause::ProcessEnded => "the connector's process ended before it had answered",
        Cause::WriteFailed => "the connector's process took no more of what was written to it",
        Cause::Busy => "too many calls wait for the connector",
        Cause::CrashLooped => "its process failed again and again, and waits for an operator",
        Cause::SandboxUnattainable => "its sandbox cannot be built here as its profile demands",
        Cause::CodeMismatch => "the code there is not the code that was installed",
        Cause::Disabled => "an operator disabled or removed it while the call was open",
        Cause::Revoked => "a revocation named the connector's binary while the call was open",
        Cause::ShutDown => "the node stops",
    }
}

/// The output, if it is what the operation declares. Checked off the loop that serves everybody, for it may be large.
//= docs/spec/connectors.md#outputs
async fn fits(
    outputs: Arc<OutputSchemas>,
    operation: OperationId,
    output: String,
    max_bytes: usize,
) -> Result<String, String> {
    if output.len() > max_bytes {
        return Err(format!("the output is larger than {max_bytes} bytes"));
    }
    let checking = tokio::task::spawn_blocking(move || outputs.check(&operation, &output).map(|()| output));
    match timeout(CHECK_TIME, checking).await {
        Ok(Ok(checked)) => checked,
        Ok(Err(_)) | Err(_) => Err("the output could not be checked".to_owned()),
    }
}

/// The answer came and is not what the operation declares: nothing of it is handed on.
fn misanswered(effect: Effect, message: String, usage: Usage) -> Outcome {
    let code = Code::ConnectorOutputInvalid;
    match effect {
        Effect::None | Effect::Made => Outcome::Failed { code, message, effect, usage, retry_after_ms: None },
        Effect::Unknown => Outcome::Unknown { code, message, usage },
    }
}

/// A failure that the connector explains, or, if it only says that it was cancelled, whoever had it cancelled.
fn failed(effect: Effect, failure: Failure, told: Option<(Code, String)>, usage: Usage) -> Outcome {
    let Failure { code, message, retry_after_ms, effect: _ } = failure;
    let (code, message) = told.filter(|_| code == Code::Cancelled).unwrap_or((code, message));
    ended(effect, code, message, retry_after_ms, usage)
}

/// One whose effect is in doubt is not called by a code that invites to a repetition.
fn ended(effect: Effect, code: Code, message: String, retry_after_ms: Option<u64>, usage: Usage) -> Outcome {
    match effect {
        Effect::None | Effect::Made => Outcome::Failed { code, message, effect, usage, retry_after_ms },
        Effect::Unknown => {
            Outcome::Unknown { code: Code::OutcomeUnknown, message: format!("{code}: {message}"), usage }
        }
    }
}

fn unanswered(
    effect: Effect,
    code: Code,
    message: String,
    violation: Option<Violation>,
    usage: Usage,
) -> Outcome {
    match (effect, violation) {
        (Effect::Unknown, Some(_)) => Outcome::Unknown { code: Code::ConnectorProtocol, message, usage },
        (Effect::None | Effect::Made, _) | (Effect::Unknown, None) => {
            ended(effect, code, message, None, usage)
        }
    }
}

/// For the check of an output. Chosen: far above what the largest one needs by a schema of good will.
const CHECK_TIME: Duration = Duration::from_secs(10);
