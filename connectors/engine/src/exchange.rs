//! One exchange with the service: sends, and repeats what may be repeated.

use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_sdk::retry::{Backoff, Policy, Repeat, retry_after};
use fcp_sdk::{Error, Response};

use crate::request::Built;
use crate::{Task, answer};

/// Sends until there is a success, a refusal that stands, or no attempt left.
pub(crate) async fn send(task: Task<'_>, built: Built) -> Result<Response, Error> {
    let retry = &task.defaults.retry;
    let mut backoff = Backoff::new(Policy {
        attempts: retry.attempts,
        base: Duration::from_millis(retry.base_delay_ms.into()),
        max: Duration::from_millis(retry.max_delay_ms.into()),
    });
    loop {
        let (error, asked) = match attempt(task, &built).await {
            Ok(response) if response.status.is_success() => return Ok(response),
            Ok(response) => {
                let asked = retry_after(&response.headers);
                let worth = retry.statuses.contains(&response.status.as_u16()) || asked.is_some();
                let error = answer::refusal(task, response, asked).await;
                if !worth {
                    return Err(error);
                }
                (error, asked)
            }
            Err(error) if is_transient(error.code) => (error, None),
            Err(error) => return Err(error),
        };
        let repeat = may_repeat(task, &built, &error);
        let Some(pause) = backoff.next(repeat, asked).filter(|pause| *pause < task.call.remaining()) else {
            return Err(error);
        };
        task.call
            .within(tokio::time::sleep(pause))
            .await
            .map_err(|stopped| Error { effect: error.effect, ..stopped })?;
    }
}

async fn attempt(task: Task<'_>, built: &Built) -> Result<Response, Error> {
    let mut request = http::Request::new(built.body.clone());
    *request.method_mut() = built.method.clone();
    *request.uri_mut() =
        built.url.parse().map_err(|_| Error::new(Code::EgressUrlInvalid, "the request has no valid URL"))?;
    *request.headers_mut() = built.headers.clone();
    task.call.send(request, task.operation.auth.as_deref()).await
}

/// A write is repeated only if the service cannot have got it, or has a key by which it knows it again.
//= docs/spec/manifest.md#http
fn may_repeat(task: Task<'_>, built: &Built, error: &Error) -> Repeat {
    let never_sent = error.effect == fcp_proto_core::object::Effect::None && is_transient(error.code);
    if task.operation.is_read() || built.has_key || never_sent { Repeat::Harmless } else { Repeat::Forbidden }
}

/// Failures of the way to the service, which a second attempt may not meet.
fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::EgressResolveFailed | Code::EgressConnectFailed | Code::UpstreamTimeout | Code::UpstreamFailed
    )
}
