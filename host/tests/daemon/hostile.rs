//! Requests that no client would send.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use fcp_api::types::ErrorBody;

use crate::world::{Daemon, folder};

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
    let unknown = r#"{"operator":"a","speed":1,"key_source":{"kind":"passphrase","passphrase":"x"}}"#;
    for (method, path, headers, body, status, code) in [
        ("GET", "/v1/nothing", "", "", 404, "FCP-1002"),
        ("PUT", "/v1/health", "", "", 404, "FCP-1002"),
        ("GET", "/v1/health?speed=1", "", "", 400, "FCP-1007"),
        ("GET", "/v1/agents/%ff", "", "", 400, "FCP-1001"),
        ("POST", begin, JSON, "{", 400, "FCP-1001"),
        ("POST", begin, JSON, "{}", 400, "FCP-1006"),
        ("POST", begin, JSON, twice, 400, "FCP-1008"),
        ("POST", begin, JSON, unknown, 400, "FCP-1007"),
        ("POST", begin, "content-type: text/plain\r\n", "{}", 400, "FCP-1001"),
        ("POST", "/v1/agents", JSON, "{}", 409, "FCP-8010"),
    ] {
        let (found, answer) = exchange(&socket, &request(method, path, headers, body));
        let error: ErrorBody =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error} {answer}"));
        assert_eq!((found, error.code.to_string().as_str()), (status, code), "{method} {path}: {answer}");
        assert!(!error.next.is_empty());
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
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let (status, _) = exchange(&socket, &request("GET", "/v1/openapi.json", trace, ""));
    assert_eq!(status, 200);
}
