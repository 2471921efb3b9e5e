//! Requests that no client would send.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;

use crate::world::{Daemon, PASSPHRASE, folder, install, unlock};

/// Sends bytes and reads one answer: its status and its body.
fn exchange(socket: &Path, request: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The daemon may answer and close before it has read everything.
    let _written = stream.write_all(request);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: fcp\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_answered_with_a_code_and_a_next_step() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let socket = daemon.socket();
    let begin = "/v1/ceremony/begin";
    let twice = r#"{"operator":"a","operator":"b","key_source":{"kind":"passphrase","passphrase":"x"}}"#;
    let strange = r#"{"operator":"a b","key_source":{"kind":"passphrase","passphrase":"x"}}"#;
    let unknown = r#"{"operator":"a","speed":1,"key_source":{"kind":"passphrase","passphrase":"x"}}"#;
    for (method, path, headers, body, status, code) in [
        ("GET", "/v1/nothing", "", "", 404, "FCP-1002"),
        ("PUT", "/v1/health", "", "", 405, "FCP-1012"),
        ("POST", "/v1/openapi.json", "", "", 405, "FCP-1012"),
        ("DELETE", "/v1/zones/z:work", "", "", 405, "FCP-1012"),
        ("GET", "/v1/health?speed=1", "", "", 400, "FCP-1007"),
        ("GET", "/v1/agents/%ff", "", "", 400, "FCP-1001"),
        ("POST", begin, JSON, "{", 400, "FCP-1001"),
        ("POST", begin, JSON, "{}", 400, "FCP-1006"),
        ("POST", begin, JSON, twice, 400, "FCP-1008"),
        ("POST", begin, JSON, unknown, 400, "FCP-1007"),
        ("POST", begin, JSON, strange, 422, "FCP-1003"),
        ("POST", begin, "content-type: text/plain\r\n", "{}", 400, "FCP-1001"),
        ("POST", "/v1/agents", JSON, "{}", 409, "FCP-8010"),
    ] {
        let (found, answer) = exchange(&socket, &request(method, path, headers, body));
        let error: ErrorBody =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error} {answer}"));
        assert_eq!((found, error.code.to_string().as_str()), (status, code), "{method} {path}: {answer}");
        assert!(!error.next.is_empty());
        let why = error.why.as_deref().unwrap_or_default();
        assert!(body != strange || why == "operator: holds a character that is not allowed", "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_http_ends_the_connection_and_not_the_daemon() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let socket = daemon.socket();
    let huge = format!("{{\"operator\":\"{}\"}}", "a".repeat(9 * 1024 * 1024));
    let (status, answer) = exchange(&socket, &request("POST", "/v1/ceremony/begin", JSON, &huge));
    assert!(status == 413 || answer.is_empty(), "{status} {answer}");
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 100_000]] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // The daemon may close before it has read everything.
        let _written = stream.write_all(garbage);
    }
    let (status, answer) = exchange(&socket, &request("GET", "/v1/health", "", ""));
    assert_eq!(status, 200, "{answer}");
    let older = b"GET /v1/health HTTP/1.0\r\nhost: fcp\r\nconnection: keep-alive\r\n\r\n";
    let (status, answer) = exchange(&socket, older);
    assert!(status == 400 && answer.contains("FCP-1001"), "{status} {answer}");
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let (status, _) = exchange(&socket, &request("GET", "/v1/openapi.json", trace, ""));
    assert_eq!(status, 200);
}

/// Sends bytes and reads all that is answered.
fn raw(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The daemon may answer and close before it has read everything.
    let _written = stream.write_all(request);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

//= docs/spec/api.md#transport
#[tokio::test(flavor = "multi_thread")]
async fn what_a_path_takes_is_named_to_who_asked_for_another_method() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    for (path, allowed) in [
        ("/v1/health", "GET"),
        ("/v1/zones", "GET, POST"),
        ("/v1/openapi.json", "GET"),
        ("/v1/credentials/x", "DELETE, PUT"),
    ] {
        let answer = raw(&daemon.socket(), &request("PATCH", path, "", ""));
        assert!(
            answer.starts_with("HTTP/1.1 405 ") && answer.contains(&format!("allow: {allowed}\r\n")),
            "{answer}"
        );
    }
}

/// What the transport answers before there is a request.
//= docs/spec/api.md#transport
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_none_is_refused_in_words_and_closed() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let many = format!("GET /v1/health HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    let long = format!("GET /v1/health HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1_000_000));
    let both =
        "POST /v1/challenges HTTP/1.1\r\nhost: fcp\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}";
    for (head, status) in [
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("GET /v1/health HTTP/1.1\r\nno header\r\n\r\n", "400"),
        (both, "400"),
        (many.as_str(), "431"),
        (long.as_str(), "431"),
    ] {
        let answer = raw(&daemon.socket(), head.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{answer}");
        let error: ErrorBody = serde_json::from_str(body).expect("a failure");
        assert_eq!(error.code, if status == "400" { Code::MalformedInput } else { Code::InputTooLarge });
        assert!(error.why.is_some() && !error.next.is_empty(), "{answer}");
    }
    for body in ["5\r\n{}\r\n0\r\n\r\n", "zz\r\n{}\r\n", "2;a=b\r\n{}\r\n0\r\nx: y\r\n\r\n"] {
        let head = "POST /v1/ceremony/begin HTTP/1.1\r\nhost: fcp\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = raw(&daemon.socket(), format!("{head}{body}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("FCP-1"), "{body:?}: {answer}");
    }
    let upgrade =
        "GET /v1/health HTTP/1.1\r\nhost: fcp\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n";
    assert!(raw(&daemon.socket(), upgrade.as_bytes()).starts_with("HTTP/1.1 200 "));
}

//= docs/spec/api.md#bodies
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_said_of_all_that_is_looked_up_often() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    crate::world::ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    install(&mut operator, &home).await.unwrap();
    let header = |answer: &str, name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name}: {answer}"))
    };
    let paths = [
        ("/v1/zones", "\"status\":304"),
        ("/v1/zones/z:work", "\"status\":304"),
        ("/v1/connectors", "\"status\":304"),
        ("/v1/connectors/notes", "\"status\":304"),
        ("/v1/connectors/notes/operations", "\"status\":304"),
        ("/v1/connectors/notes/operations/notes.get", "\"status\":304"),
        ("/v1/openapi.json", "HTTP/1.1 304"),
    ];
    // Since when an answer is as it is, is known from its second on.
    for (path, _) in paths {
        let first = raw(&daemon.socket(), &request("GET", path, "", ""));
        assert!(first.contains("etag: "), "{first}");
        assert!(!path.contains("connectors") || first.contains("\"notes\""), "{first}");
    }
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for (path, known) in paths {
        let first = raw(&daemon.socket(), &request("GET", path, "", ""));
        assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
        assert_eq!(header(&first, "cache-control"), "private, no-cache");
        let (etag, modified) = (header(&first, "etag"), header(&first, "last-modified"));
        for condition in [format!("if-none-match: {etag}\r\n"), format!("if-modified-since: {modified}\r\n")]
        {
            let again = raw(&daemon.socket(), &request("GET", path, &condition, ""));
            assert!(again.contains(known), "{path}: {again}");
        }
        let other = raw(&daemon.socket(), &request("GET", path, "if-none-match: \"x\"\r\n", ""));
        assert!(other.starts_with("HTTP/1.1 200 ") && !other.contains("\"status\":304"), "{other}");
    }
}
