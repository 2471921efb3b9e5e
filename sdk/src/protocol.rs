//! The messages of the connector protocol: JSON-RPC 2.0, one message a line. Spec: `docs/spec/stdio.md`.

use fcp_proto_core::encoding::{json, named};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, OperationId, ZoneId};
use fcp_proto_core::limits::MAX_LINE_BYTES;
use fcp_proto_core::object::Effect;
use serde::Deserialize;
use serde_json::{Value, json as object};

use crate::{Error, Outcome, Usage};

/// The version that `initialize` must name.
pub(crate) const PROTOCOL: &str = "fcp-stdio/1";

/// JSON-RPC 2.0 §5.1.
pub(crate) const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// Of the range that JSON-RPC leaves to servers; `data.code` has the registered code.
pub(crate) const CALL_FAILED: i32 = -32000;

/// A request or, without id, a notification.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) jsonrpc: String,
    #[serde(default)]
    pub(crate) id: Option<Id>,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Option<Value>,
}

/// A request's id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Number(i64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Initialize {
    pub(crate) protocol: String,
    pub(crate) connector: ConnectorId,
    pub(crate) zone: ZoneId,
    #[serde(default)]
    pub(crate) config: Option<Value>,
    #[serde(default)]
    pub(crate) manifest: Option<String>,
    #[serde(default)]
    pub(crate) egress: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invoke {
    pub(crate) call_id: CallId,
    pub(crate) operation: OperationId,
    pub(crate) input: Value,
    #[serde(default)]
    pub(crate) egress_handle: Option<String>,
    pub(crate) deadline_ms: u64,
    #[serde(default)]
    pub(crate) idempotency_key: Option<String>,
    #[serde(default)]
    pub(crate) trace: Option<Trace>,
    #[serde(default)]
    pub(crate) credentials: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trace {
    pub(crate) traceparent: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    pub(crate) call_id: CallId,
}

/// Reads one line.
//= docs/spec/stdio.md#framing
pub(crate) fn parse(line: &[u8]) -> Result<Message, (i32, Error)> {
    let message: Message = json::parse_as(line, MAX_LINE_BYTES).map_err(|error| {
        let code = match &error {
            json::ReadError::Json(_) => PARSE_ERROR,
            json::ReadError::Shape(_) => INVALID_REQUEST,
        };
        (code, Error::new(error.code(), error.to_string()))
    })?;
    if message.jsonrpc == "2.0" {
        Ok(message)
    } else {
        Err((INVALID_REQUEST, Error::new(Code::MalformedInput, "`jsonrpc` must be \"2.0\"")))
    }
}

/// Reads a message's parameters.
pub(crate) fn params<T: serde::de::DeserializeOwned>(params: Option<Value>) -> Result<T, (i32, Error)> {
    named::read(params.unwrap_or_else(|| object!({})))
        .map_err(|error| (INVALID_PARAMS, Error::new(Code::InputInvalid, error.to_string())))
}

/// A message as a line.
pub(crate) fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

pub(crate) fn result(id: &Id, result: &Value) -> Vec<u8> {
    line(&object!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// The answer to a call; an output that fits into no line is an error that keeps what is known of the effect.
pub(crate) fn outcome(id: &Id, outcome: &Outcome, usage: Usage) -> Vec<u8> {
    let line = result(id, &object!({ "output": outcome.output, "effect": outcome.effect, "usage": usage }));
    if line.len() <= MAX_LINE_BYTES {
        return line;
    }
    let too_large = Error::new(Code::ConnectorFailed, "the output is larger than the protocol allows");
    let too_large = match outcome.effect {
        Effect::None => too_large,
        Effect::Made | Effect::Unknown => too_large.with_unknown_effect(),
    };
    error(Some(id), CALL_FAILED, &too_large)
}

pub(crate) fn error(id: Option<&Id>, code: i32, error: &Error) -> Vec<u8> {
    let mut data = object!({ "code": error.code, "retryable": error.retryable, "effect": error.effect });
    if let (Some(pause), Value::Object(data)) = (error.retry_after_ms, &mut data) {
        data.insert("retry_after_ms".into(), pause.into());
    }
    if let (Some(detail), Value::Object(data)) = (&error.detail, &mut data) {
        data.insert("detail".into(), detail.clone());
    }
    line(&object!({
        "jsonrpc": "2.0",
        "id": id,
        "error": { "code": code, "message": error.message, "data": data },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_beyond_a_line_becomes_an_error_that_keeps_the_effect() {
        let text = "x".repeat(MAX_LINE_BYTES);
        for (made, effect) in
            [(Outcome::read(text.clone().into()), "none"), (Outcome::made(text.into()), "unknown")]
        {
            let line = outcome(&Id::Number(1), &made, Usage::default());
            let answer: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(answer["error"]["data"]["effect"], effect);
            assert_eq!(line.last(), Some(&b'\n'));
        }
    }
}
