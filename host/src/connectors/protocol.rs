//! The messages of the connector protocol, seen from the host. Source: docs/spec/stdio.md.
//!
//! What a connector says is hostile until it is read: strict JSON, exactly the declared members, bounded texts. What
//! does not fit is a [`Violation`], after which nothing of that process is believed.

use std::fmt;

use fcp_proto_core::encoding::json::{self, Json};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, Digest, ZoneId};
use fcp_proto_core::limits::MAX_LINE_BYTES;
use fcp_proto_core::object::{Effect, TraceContext};
use serde_json::{Value, json as object};

/// The version that this host speaks.
const PROTOCOL: &str = "fcp-stdio/1";

/// Longest text of a connector that is handed on, in characters. Chosen: a paragraph.
const MAX_TEXT_CHARS: usize = 1_000;

/// Longest pause that is handed on. Chosen: a day; who asks for more is asked again tomorrow.
const MAX_RETRY_AFTER_MS: u64 = 86_400_000;

/// How a connector broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A line longer than the protocol allows.
    LineTooLong,
    /// A line that is no strict JSON in UTF-8.
    NotJson,
    /// A message that is neither an answer nor a notification that the protocol knows, or has other members.
    Malformed,
    /// An answer to a request that was never made, or was answered before.
    UnknownId,
    /// Progress of a call that the process does not have.
    UnknownCall,
    /// The connector could not read what the host wrote.
    Unreadable,
    /// More unasked messages than any call needs.
    Flood,
    /// It closed its output and lives on.
    OutputClosed,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => "it wrote a line longer than the protocol allows",
            Self::NotJson => "it wrote a line that is no strict JSON",
            Self::Malformed => "it wrote a message that the protocol does not know",
            Self::UnknownId => "it answered a request that was not open",
            Self::UnknownCall => "it reported progress of a call that it does not have",
            Self::Unreadable => "it could not read what the host wrote",
            Self::Flood => "it wrote more than any call needs",
            Self::OutputClosed => "it closed its output",
        })
    }
}

/// A message of a connector.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    /// The answer to a request: its result or its error.
    Answer { id: u64, body: Result<Json, Failure> },
    /// Progress of a call.
    Progress { call_id: CallId, message: Option<String>, chunk: Option<String> },
}

/// An error that a connector answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) effect: Effect,
    pub(super) retry_after_ms: Option<u64>,
}

/// The answer to `invoke`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invoked {
    /// As canonical JSON.
    pub(super) output: String,
    pub(super) effect: Effect,
}

/// The answer to `initialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Initialized {
    pub(super) connector: String,
    pub(super) version: String,
    pub(super) interface_hash: String,
}

/// The answer to `health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Healthy {
    pub(super) status: HealthStatus,
    pub(super) detail: Option<String>,
}

/// How a connector says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthStatus {
    Ready,
    Degraded,
    Error,
}

/// Reads one line without its end.
pub(super) fn read(line: &[u8]) -> Result<Incoming, Violation> {
    let message = json::parse(line, MAX_LINE_BYTES).map_err(|_| Violation::NotJson)?;
    let mut message = Members::of(message)?;
    if message.text("jsonrpc")?.as_deref() != Some("2.0") {
        return Err(Violation::Malformed);
    }
    let incoming = match message.text("method")? {
        Some(method) if method == "progress" => progress(message.take("params"))?,
        Some(_) => return Err(Violation::Malformed),
        None => answer(&mut message)?,
    };
    message.end()?;
    Ok(incoming)
}

fn answer(message: &mut Members) -> Result<Incoming, Violation> {
    let id = match message.take("id") {
        // JSON-RPC 2.0 §5: the id of a request that could not be read.
        Some(Json::Null) => return Err(Violation::Unreadable),
        Some(id) => id.as_u64().ok_or(Violation::UnknownId)?,
        None => return Err(Violation::Malformed),
    };
    let body = match (message.take("result"), message.take("error")) {
        (Some(result), None) => Ok(result),
        (None, Some(error)) => Err(failure(error)?),
        (Some(_), Some(_)) | (None, None) => return Err(Violation::Malformed),
    };
    Ok(Incoming::Answer { id, body })
}

fn progress(params: Option<Json>) -> Result<Incoming, Violation> {
    let mut params = Members::of(params.ok_or(Violation::Malformed)?)?;
    let call_id = params.text("call_id")?.and_then(|text| text.parse().ok()).ok_or(Violation::Malformed)?;
    let message = params.text("message")?.map(|text| bounded(&text));
    let chunk = params.take("chunk").map(|chunk| chunk.to_canonical());
    params.end()?;
    Ok(Incoming::Progress { call_id, message, chunk })
}

fn failure(error: Json) -> Result<Failure, Violation> {
    let mut error = Members::of(error)?;
    error.take("code").and_then(|code| code.as_i64()).ok_or(Violation::Malformed)?;
    let message = error.text("message")?.ok_or(Violation::Malformed)?;
    let mut data = Members::of(error.take("data").ok_or(Violation::Malformed)?)?;
    error.end()?;
    let code: Code = data.text("code")?.and_then(|code| code.parse().ok()).ok_or(Violation::Malformed)?;
    data.take("retryable").and_then(|value| value.as_bool()).ok_or(Violation::Malformed)?;
    let effect = effect(&mut data)?;
    let retry_after_ms = match data.take("retry_after_ms") {
        None => None,
        Some(pause) => Some(pause.as_u64().ok_or(Violation::Malformed)?.min(MAX_RETRY_AFTER_MS)),
    };
    // What the service said in detail is for the connector's own message; it has no place in an outcome.
    data.take("detail");
    data.end()?;
    Ok(Failure { code: a_connectors_own(code), message: bounded(&message), effect, retry_after_ms })
}

/// Codes that speak of the host's own decisions are not a connector's to give.
fn a_connectors_own(code: Code) -> Code {
    // The thousands are the group.
    if matches!(code.number() / 1000, 1 | 5 | 6 | 7) { code } else { Code::ConnectorFailed }
}

fn effect(members: &mut Members) -> Result<Effect, Violation> {
    members.text("effect")?.and_then(|effect| effect.parse().ok()).ok_or(Violation::Malformed)
}

/// Reads the result of `invoke`. What the connector says of its usage is not taken: egress counts.
pub(super) fn invoked(result: Json) -> Result<Invoked, Violation> {
    let mut result = Members::of(result)?;
    let output = result.take("output").ok_or(Violation::Malformed)?.to_canonical();
    let effect = effect(&mut result)?;
    result.take("usage");
    result.end()?;
    Ok(Invoked { output, effect })
}

/// Reads the result of `initialize`.
pub(super) fn initialized(result: Json) -> Result<Initialized, Violation> {
    let mut result = Members::of(result)?;
    let mut text = |name| result.text(name)?.ok_or(Violation::Malformed);
    let initialized = Initialized {
        connector: text("connector")?,
        version: text("version")?,
        interface_hash: text("interface_hash")?,
    };
    result.end()?;
    Ok(initialized)
}

/// Reads the result of `health`.
pub(super) fn healthy(result: Json) -> Result<Healthy, Violation> {
    let mut result = Members::of(result)?;
    let status = match result.text("status")?.as_deref() {
        Some("ready") => HealthStatus::Ready,
        Some("degraded") => HealthStatus::Degraded,
        Some("error") => HealthStatus::Error,
        Some(_) | None => return Err(Violation::Malformed),
    };
    let detail = result.text("detail")?.map(|detail| bounded(&detail));
    result.end()?;
    Ok(Healthy { status, detail })
}

/// An object whose members are taken out one by one, so that what is left over is seen.
struct Members(json::Object);

impl Members {
    fn of(value: Json) -> Result<Self, Violation> {
        match value {
            Json::Object(object) => Ok(Self(object)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Err(Violation::Malformed)
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Violation> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                Err(Violation::Malformed)
            }
        }
    }

    fn end(&self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::Malformed) }
    }
}

/// A text of a connector, cut and without control characters.
pub(super) fn bounded(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_TEXT_CHARS).map(plain).collect()
}

/// `initialize`.
pub(super) fn initialize(
    id: u64,
    connector: &ConnectorId,
    zone: &ZoneId,
    config: &Value,
    manifest: Option<&str>,
    egress: bool,
) -> Vec<u8> {
    let mut params = object!({
        "protocol": PROTOCOL, "connector": connector, "zone": zone, "config": config, "egress": egress,
    });
    if let (Some(manifest), Value::Object(params)) = (manifest, &mut params) {
        params.insert("manifest".into(), manifest.into());
    }
    request(id, "initialize", &params)
}

/// What an `invoke` carries.
pub(super) struct Invoke<'a> {
    pub(super) call_id: CallId,
    pub(super) operation: &'a str,
    /// Canonical JSON.
    pub(super) input: &'a str,
    /// The call's egress handle in hexadecimal digits.
    pub(super) handle: Option<String>,
    pub(super) deadline_ms: u64,
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) trace: Option<&'a TraceContext>,
    pub(super) credentials: Vec<&'a str>,
}

impl Invoke<'_> {
    /// The line of the request `id`. The input goes in as it was decided on, byte for byte.
    pub(super) fn line(&self, id: u64) -> Vec<u8> {
        let mut params = object!({
            "call_id": self.call_id,
            "operation": self.operation,
            "deadline_ms": self.deadline_ms,
            "credentials": self.credentials,
        });
        if let Value::Object(params) = &mut params {
            if let Some(handle) = &self.handle {
                params.insert("egress_handle".into(), handle.as_str().into());
            }
            if let Some(key) = self.idempotency_key {
                params.insert("idempotency_key".into(), key.into());
            }
            if let Some(trace) = self.trace {
                params.insert("trace".into(), object!({ "traceparent": traceparent(trace) }));
            }
        }
        let mut params = params.to_string();
        params.pop();
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"invoke\",\"params\":{params},\"input\":{}}}}}\n",
            self.input
        )
        .into_bytes()
    }
}

/// `traceparent` of W3C Trace Context, version 00.
fn traceparent(trace: &TraceContext) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("00-{}-{}-{:02x}", hex(&trace.trace_id), hex(&trace.span_id), trace.flags & 0xff)
}

/// `health`.
pub(super) fn health(id: u64) -> Vec<u8> {
    request(id, "health", &object!({}))
}

/// `shutdown`.
pub(super) fn shutdown(id: u64) -> Vec<u8> {
    request(id, "shutdown", &object!({}))
}

/// The notification `cancel`.
pub(super) fn cancel(call_id: CallId) -> Vec<u8> {
    line(&object!({ "jsonrpc": "2.0", "method": "cancel", "params": { "call_id": call_id } }))
}

fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    line(&object!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Whether the answer to `initialize` is that of the installed connector.
pub(super) fn is_the_installed(answer: &Initialized, id: &ConnectorId, version: &str, hash: Digest) -> bool {
    answer.connector == id.as_str() && answer.version == version && answer.interface_hash == hash.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_progress_are_read() {
        let read_text = |text: &str| read(text.as_bytes());
        let answer =
            read_text(r#"{"jsonrpc":"2.0","id":7,"result":{"output":{"b":1,"a":2},"effect":"made"}}"#);
        let Ok(Incoming::Answer { id: 7, body: Ok(result) }) = answer else { panic!("{answer:?}") };
        let expected = Invoked { output: r#"{"a":2,"b":1}"#.into(), effect: Effect::Made };
        assert_eq!(invoked(result), Ok(expected));
        let progress = format!(
            r#"{{"jsonrpc":"2.0","method":"progress","params":{{"call_id":"{}","message":"a\nb"}}}}"#,
            "ab".repeat(16)
        );
        let progress = read_text(&progress);
        let Ok(Incoming::Progress { message, chunk: None, .. }) = progress else { panic!("{progress:?}") };
        assert_eq!(message.as_deref(), Some("a b"));
    }

    #[test]
    fn what_does_not_fit_is_a_violation() {
        let rows: [(&[u8], Violation); 14] = [
            (b"", Violation::NotJson),
            (b"{", Violation::NotJson),
            (b"\xff", Violation::NotJson),
            (br#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"result":1}"#, Violation::NotJson),
            (br#"{"jsonrpc":"2.0","id":1,"result":1e999}"#, Violation::NotJson),
            (b"[]", Violation::Malformed),
            (br#"{"id":1,"result":1}"#, Violation::Malformed),
            (br#"{"jsonrpc":"2.0","id":1}"#, Violation::Malformed),
            (br#"{"jsonrpc":"2.0","id":1,"result":1,"more":1}"#, Violation::Malformed),
            (br#"{"jsonrpc":"2.0","method":"ping"}"#, Violation::Malformed),
            (br#"{"jsonrpc":"2.0","id":"1","result":1}"#, Violation::UnknownId),
            (br#"{"jsonrpc":"2.0","id":-1,"result":1}"#, Violation::UnknownId),
            (br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#, Violation::Unreadable),
            (br#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"?"}}"#, Violation::Malformed),
        ];
        for (line, violation) in rows {
            assert_eq!(read(line), Err(violation), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_connector_cannot_speak_for_the_gate() {
        let line = |code: &str| {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"no","data":{{"code":"{code}","retryable":false,"effect":"none"}}}}}}"#
            );
            match read(text.as_bytes()) {
                Ok(Incoming::Answer { body: Err(failure), .. }) => failure.code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(line("FCP-7005"), Code::UpstreamNotFound);
        assert_eq!(line("FCP-2101"), Code::ConnectorFailed);
        assert_eq!(line("FCP-9001"), Code::ConnectorFailed);
    }

    #[test]
    fn a_pause_is_handed_on_and_bounded() {
        let pause = |ms: &str| {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"no","data":{{"code":"FCP-7001","retryable":true,"effect":"none","retry_after_ms":{ms}}}}}}}"#
            );
            match read(text.as_bytes()) {
                Ok(Incoming::Answer { body: Err(failure), .. }) => Ok(failure.retry_after_ms),
                Err(violation) => Err(violation),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(pause("7000"), Ok(Some(7_000)));
        assert_eq!(pause("9007199254740991"), Ok(Some(MAX_RETRY_AFTER_MS)));
        assert_eq!(pause("-1"), Err(Violation::Malformed));
    }

    #[test]
    fn the_input_goes_in_as_it_is() {
        let invoke = Invoke {
            call_id: CallId::from_bytes([7; 16]),
            operation: "a.b",
            input: r#"{"n":1.50}"#,
            handle: None,
            deadline_ms: 5,
            idempotency_key: Some("k"),
            trace: Some(&TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 }),
            credentials: vec!["token"],
        };
        let line = String::from_utf8(invoke.line(3)).expect("text");
        assert!(line.ends_with(",\"input\":{\"n\":1.50}}}\n"), "{line}");
        let value: Value = serde_json::from_str(&line).expect("json");
        assert_eq!(value["params"]["input"]["n"], 1.5);
        assert_eq!(
            value["params"]["trace"]["traceparent"],
            format!("00-{}-{}-01", "01".repeat(16), "02".repeat(8))
        );
    }
}
