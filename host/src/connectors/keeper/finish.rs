//! The end of a call: egress is closed, what it saw corrects what the connector says, the caller hears the outcome.
//! Source: docs/spec/connectors.md#evidence.

use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::object::{Effect, Usage};
use fcp_proto_core::time::Instant;
use fcp_state_machines::call::egress::EgressHandle;
use fcp_state_machines::call::supervisor::CallEnd;
use fcp_state_machines::node::Outcome;
use tokio::sync::oneshot;

use crate::connectors::evidence::{Evidence, Local, Power, Reader, Sent};
use crate::connectors::protocol::{Failure, Invoked, Violation};
use crate::connectors::shared::Shared;
use crate::egress::{CallReport, EgressClient};

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
        let (power, local, reader) = self.evidence;
        let evidence = Evidence { power, local, sent, reader };
        let usage = self.usage(report.as_ref());
        let outcome = match (self.end, self.body) {
            (CallEnd::Answered, Some(Body::Output(output))) => {
                succeeded(output, evidence, usage, self.shared.limits.max_output_bytes)
            }
            (CallEnd::Answered, Some(Body::Error(failure))) => {
                ended(evidence.settle(failure.effect), failure.code, failure.message, usage)
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

    fn usage(&self, report: Option<&CallReport>) -> Usage {
        let elapsed = self.shared.now().mono.saturating_since(self.started).as_millis();
        Usage {
            requests: report.map_or(0, |report| report.requests),
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
        (code, code.meaning().to_owned())
    })
}

fn succeeded(answer: Invoked, evidence: Evidence, usage: Usage, max_output_bytes: usize) -> Outcome {
    let effect = evidence.settle(answer.effect);
    if answer.output.len() > max_output_bytes {
        let message = format!("the output is larger than {max_output_bytes} bytes");
        return ended(effect, Code::ConnectorFailed, message, usage);
    }
    Outcome::Succeeded { output: answer.output, effect, usage }
}

/// A failure that the connector or its answer explains. One whose effect is in doubt is not called by a code that
/// invites to a repetition.
fn ended(effect: Effect, code: Code, message: String, usage: Usage) -> Outcome {
    match effect {
        Effect::None | Effect::Made => Outcome::Failed { code, message, effect, usage },
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
        (Effect::None | Effect::Made, _) => Outcome::Failed { code, message, effect, usage },
        (Effect::Unknown, Some(_)) => Outcome::Unknown { code: Code::ConnectorProtocol, message, usage },
        (Effect::Unknown, None) => ended(effect, code, message, usage),
    }
}
