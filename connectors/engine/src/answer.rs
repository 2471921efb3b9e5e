//! Reads an answer: its format, and whether it is a refusal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{Errors, ResponseFormat};
use fcp_proto_core::object::Effect;
use fcp_sdk::{Error, Response};
use serde_json::{Value, json};

use crate::{Task, shape};

/// Largest refusal that is read for its message.
const MAX_REFUSAL_BYTES: usize = 256 * 1024;

/// Longest message of a service that is handed on, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// A successful answer as one value.
pub(crate) async fn read(task: Task<'_>, response: Response) -> Result<Value, Error> {
    let media = response.header("content-type").unwrap_or("application/octet-stream").to_owned();
    let body = task.call.within(response.collect(task.max_response_bytes())).await;
    let body = body.map_err(Error::with_unknown_effect)??;
    let unreadable = |what: &str| {
        Error::new(Code::UpstreamFailed, format!("the service's answer is not {what}")).with_unknown_effect()
    };
    Ok(match task.request.response {
        ResponseFormat::Json | ResponseFormat::Lines | ResponseFormat::Events => {
            let value = serde_json::from_slice(&body).map_err(|_| unreadable("JSON"))?;
            refused_in_body(task, &value)?;
            value
        }
        ResponseFormat::Text => {
            let text = std::str::from_utf8(&body).map_err(|_| unreadable("UTF-8"))?;
            json!({ "text": text, "media_type": media })
        }
        ResponseFormat::Binary => {
            json!({ "content_base64": STANDARD.encode(&body), "media_type": media, "size": body.len() })
        }
        ResponseFormat::Empty => json!({}),
    })
}

/// Some services answer a refusal with 200 and say so in the body.
pub(crate) fn refused_in_body(task: Task<'_>, body: &Value) -> Result<(), Error> {
    let errors = &task.defaults.errors;
    let refused = errors.ok.as_ref().is_some_and(|ok| body.pointer(ok) == Some(&Value::Bool(false)));
    if !refused {
        return Ok(());
    }
    let mut error = describe(errors, 200, Code::UpstreamFailed, body);
    // A service that failed, or says what the manifest does not know, may have done a part of it.
    if !task.operation.is_read() && matches!(error.code, Code::UpstreamFailed | Code::UpstreamTimeout) {
        error.effect = Effect::Unknown;
        error.retryable = false;
    }
    Err(error)
}

/// The error that an unsuccessful status stands for.
pub(crate) async fn refusal(task: Task<'_>, response: Response, asked: Option<Duration>) -> Error {
    let status = response.status.as_u16();
    let errors = &task.defaults.errors;
    let used_up = errors.remaining_header.as_ref().is_some_and(|name| response.header(name) == Some("0"));
    let limited = status == 403 && (used_up || asked.is_some());
    // A body that cannot be read leaves the status, which says enough.
    let body = task.call.within(response.collect(MAX_REFUSAL_BYTES)).await.ok().and_then(Result::ok);
    let body = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
    let declared = errors.status.get(&status.to_string()).copied();
    let code =
        if limited { Code::UpstreamRateLimited } else { declared.unwrap_or_else(|| by_status(status)) };
    let mut error = describe(errors, status, code, &body);
    error.retry_after_ms = asked.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    if !task.operation.is_read() && status >= 500 {
        error.effect = Effect::Unknown;
    }
    let repeatable = task.operation.is_read() || error.effect == Effect::None;
    error.retryable = repeatable && (error.retryable || task.defaults.retry.statuses.contains(&status));
    error
}

fn describe(errors: &Errors, status: u16, fallback: Code, body: &Value) -> Error {
    let text = |pointer: &Option<String>| {
        pointer.as_ref().and_then(|pointer| shape::pointer(body, pointer)).and_then(|value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    };
    let own = text(&errors.code);
    let code = own.as_ref().and_then(|own| errors.codes.get(own)).copied().unwrap_or(fallback);
    let said = text(&errors.message).or_else(|| own.clone());
    let message = match said {
        Some(said) => format!("the service answered {status}: {}", plain(&said)),
        None => format!("the service answered {status}"),
    };
    let mut detail = json!({ "status": status });
    if let (Some(own), Value::Object(detail)) = (own, &mut detail) {
        detail.insert("service_code".into(), plain(&own).into());
    }
    Error::new(code, message).with_detail(detail)
}

/// Text of a stranger for a message of ours: one line, not too long.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE_CHARS).collect()
}

const fn by_status(status: u16) -> Code {
    match status {
        401 | 403 => Code::UpstreamUnauthorized,
        404 | 410 => Code::UpstreamNotFound,
        400 | 405 | 406 | 409 | 411..=428 => Code::UpstreamInvalid,
        429 => Code::UpstreamRateLimited,
        408 | 504 => Code::UpstreamTimeout,
        _ => Code::UpstreamFailed,
    }
}
