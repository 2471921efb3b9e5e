//! The service's double: checks each request against a script and answers from it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
pub use fcp_proto_core::manifest::CaseExchange as Exchange;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::egress::{CREDENTIAL_HEADER, HANDLE_HEADER};

/// Headers that a request may carry without being named by the script.
const FREE_HEADERS: [&str; 4] = ["accept", "content-length", "content-type", "user-agent"];

/// The status with which the double answers what it did not expect; no service uses it.
const UNEXPECTED: u16 = 599;

/// How a request differs from the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(pub String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Default)]
struct Script {
    expected: VecDeque<Exchange>,
    mismatches: Vec<Mismatch>,
    seen: usize,
}

/// A service, with egress in front of it, that follows a script.
#[derive(Debug)]
pub struct Double(Arc<Mutex<Script>>);

impl Double {
    /// Starts a double that expects `exchanges` in order; the socket is the connector's way to it.
    ///
    /// # Errors
    /// No sockets or threads.
    pub fn start(exchanges: Vec<Exchange>) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let script = Arc::new(Mutex::new(Script { expected: exchanges.into(), ..Script::default() }));
        let shared = Arc::clone(&script);
        std::thread::Builder::new().name("double".into()).spawn(move || serve(ours, &shared))?;
        Ok((Self(script), theirs))
    }

    /// How many requests came.
    pub fn seen(&self) -> usize {
        lock(&self.0).seen
    }

    /// What was not as the script says, requests that never came included.
    pub fn mismatches(&self) -> Vec<Mismatch> {
        let script = lock(&self.0);
        let mut mismatches = script.mismatches.clone();
        mismatches.extend(
            script
                .expected
                .iter()
                .map(|exchange| Mismatch(format!("never came: {} {}", exchange.method, exchange.url))),
        );
        mismatches
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(socket: UnixStream, script: &Arc<Mutex<Script>>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let io = TokioIo::new(tokio::net::UnixStream::from_std(socket)?);
        let service = service_fn(|request| {
            let script = Arc::clone(script);
            async move { Ok::<_, Infallible>(answer(request, &script).await) }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        // The connection ends with the connector, in whatever way that one ends.
        connection.serve_connection(io, service).await.ok();
        Ok(())
    })
}

async fn answer(request: Request<Incoming>, script: &Mutex<Script>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let mut script = lock(script);
    script.seen += 1;
    let Some(expected) = script.expected.pop_front() else {
        script.mismatches.push(Mismatch(format!("not expected: {} {}", head.method, head.uri)));
        return plain(UNEXPECTED, Bytes::new());
    };
    let mut differences = Vec::new();
    compare(&expected, &head, &body, &mut differences);
    if differences.is_empty() {
        return respond(&expected).unwrap_or_else(|error| {
            script.mismatches.push(Mismatch(format!("the script's answer: {error}")));
            plain(UNEXPECTED, Bytes::new())
        });
    }
    let place = format!("{} {}: ", expected.method, expected.url);
    script.mismatches.extend(differences.into_iter().map(|difference| Mismatch(place.clone() + &difference)));
    plain(UNEXPECTED, Bytes::new())
}

fn plain(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

fn respond(exchange: &Exchange) -> Result<Response<Full<Bytes>>, String> {
    let answer = &exchange.answer;
    let (body, media) = match (&answer.json, &answer.text, &answer.base64) {
        (Some(json), None, None) => (json.to_string().into_bytes(), "application/json"),
        (None, Some(text), None) => (text.clone().into_bytes(), "text/plain; charset=utf-8"),
        (None, None, Some(text)) => {
            (STANDARD.decode(text).map_err(|error| error.to_string())?, "application/octet-stream")
        }
        (None, None, None) => (Vec::new(), ""),
        _ => return Err("needs at most one of json, text and base64".into()),
    };
    let mut response = Response::builder().status(answer.status);
    if !media.is_empty() && !answer.headers.contains_key("content-type") {
        response = response.header("content-type", media);
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(body.into())).map_err(|error| error.to_string())
}

fn compare(expected: &Exchange, head: &http::request::Parts, body: &Bytes, differences: &mut Vec<String>) {
    let mut differ = |what: &str, want: String, have: String| {
        if want != have {
            differences.push(format!("{what} should be {want} and is {have}"));
        }
    };
    differ("method", expected.method.to_string(), head.method.to_string());
    let uri = &head.uri;
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    differ(
        "url",
        expected.url.clone(),
        format!("{}://{authority}{}", uri.scheme_str().unwrap_or(""), uri.path()),
    );
    differ(
        "query",
        format!("{:?}", wanted_query(expected)),
        format!("{:?}", decode_form(uri.query().unwrap_or(""))),
    );
    let slot = head.headers.get(&CREDENTIAL_HEADER).and_then(|value| value.to_str().ok());
    differ("credential slot", format!("{:?}", expected.auth.as_deref()), format!("{slot:?}"));
    let handle = head.headers.get(&HANDLE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("");
    if handle.len() != 64 {
        differences.push(format!("the egress handle is missing or malformed: {handle:?}"));
    }
    compare_headers(expected, &head.headers, differences);
    compare_body(expected, &head.headers, body, differences);
}

fn compare_headers(expected: &Exchange, headers: &HeaderMap, differences: &mut Vec<String>) {
    for (name, want) in &expected.headers {
        let have: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
        if have != [want] {
            differences.push(format!("header {name} should be {want:?} and is {have:?}"));
        }
    }
    for name in headers.keys().map(http::HeaderName::as_str) {
        let ours = name == HANDLE_HEADER.as_str() || name == CREDENTIAL_HEADER.as_str();
        if !ours && !expected.headers.contains_key(name) && !FREE_HEADERS.contains(&name) {
            differences.push(format!("header {name} was not expected"));
        }
    }
}

fn compare_body(expected: &Exchange, headers: &HeaderMap, body: &Bytes, differences: &mut Vec<String>) {
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    if let Some(want) = &expected.body_base64 {
        let have = STANDARD.encode(body);
        if *want != have {
            differences.push(format!("body should be {want} and is {have} (base64)"));
        }
        return;
    }
    let Some(want) = &expected.body else {
        if !body.is_empty() {
            differences.push(format!("there should be no body and is {:?}", String::from_utf8_lossy(body)));
        }
        return;
    };
    let have = if media.starts_with("application/x-www-form-urlencoded") {
        let fields = decode_form(&String::from_utf8_lossy(body));
        let single = |values: Vec<String>| match <[String; 1]>::try_from(values) {
            Ok([value]) => Value::String(value),
            Err(values) => values.into(),
        };
        Value::Object(fields.into_iter().map(|(name, values)| (name, single(values))).collect())
    } else if media.starts_with("application/json") {
        serde_json::from_slice(body).unwrap_or(Value::Null)
    } else {
        differences.push(format!("a body of type {media:?} was not expected"));
        return;
    };
    if *want != have {
        differences.push(format!("body should be {want} and is {have}"));
    }
}

fn wanted_query(expected: &Exchange) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values = |value: &Value| match value.as_array() {
        Some(items) => items.iter().map(text).collect(),
        None => vec![text(value)],
    };
    expected.query.iter().map(|(name, value)| (name.clone(), values(value))).collect()
}

/// The fields of an `application/x-www-form-urlencoded` text.
fn decode_form(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.entry(decode(name)).or_default().push(decode(value));
    }
    fields
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(b'?'),
                _ => b'?',
            },
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
