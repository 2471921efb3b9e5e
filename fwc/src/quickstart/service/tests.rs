//! The service against a client of rustls and hyper that trusts its authority alone.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Authorization, OTHER_REPO, OWNER, REPO, STRANGER_ISSUE, Service};

const TOKEN: &str = "ghp_right";

fn run(test: impl AsyncFnOnce(Service)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(Service::start(TOKEN).await.unwrap()).await });
}

async fn connect(
    service: &Service,
    roots: RootCertStore,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(service.address).await?;
    let name = ServerName::IpAddress(service.address.ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn trusting(service: &Service) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(service.authority_pem().as_bytes()).unwrap()).unwrap();
    roots
}

async fn send(service: &Service, request: Request<Full<Bytes>>) -> (http::response::Parts, Value) {
    let stream = connect(service, trusting(service)).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    (head, serde_json::from_slice(&body).unwrap())
}

fn request(method: &str, path: &str, body: Option<&str>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("user-agent", "test")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Full::new(Bytes::from(body.unwrap_or_default().to_owned())))
        .unwrap()
}

#[test]
fn reads_what_is_there_and_pages_by_link() {
    run(async |service| {
        let path = format!("/repos/{OWNER}/{REPO}/issues");
        let (head, first) = send(&service, request("GET", &format!("{path}?per_page=1"), None)).await;
        assert_eq!((head.status, first[0]["number"].as_u64()), (StatusCode::OK, Some(2)), "newest first");
        let link = head.headers["link"].to_str().unwrap().to_owned();
        assert!(link.contains("page=2") && link.contains("rel=\"next\""), "{link}");
        let (head, second) = send(&service, request("GET", &format!("{path}?per_page=1&page=2"), None)).await;
        assert_eq!(second[0]["number"], 1);
        assert!(!head.headers.contains_key("link"));
        let (_, one) = send(&service, request("GET", &format!("{path}/{STRANGER_ISSUE}"), None)).await;
        assert_eq!(one["user"]["login"], "a-stranger");
        let (_, user) = send(&service, request("GET", "/user", None)).await;
        assert_eq!(user["login"], "octo-bot");
    });
}

#[test]
fn opening_an_issue_is_counted_and_shows_in_the_list() {
    run(async |service| {
        let path = format!("/repos/{OWNER}/{REPO}/issues");
        let body = json!({ "title": "New", "body": "text", "labels": ["bug"] }).to_string();
        let (head, made) = send(&service, request("POST", &path, Some(&body))).await;
        assert_eq!((head.status, made["number"].as_u64()), (StatusCode::CREATED, Some(3)));
        assert!(head.headers.contains_key("location"));
        assert_eq!(service.issues_opened(), 1);
        let (_, one) = send(&service, request("GET", &format!("{path}/3"), None)).await;
        assert_eq!((one["title"].as_str(), one["labels"][0]["name"].as_str()), (Some("New"), Some("bug")));
    });
}

#[test]
fn comments_are_kept() {
    run(async |service| {
        let path = format!("/repos/{OWNER}/{OTHER_REPO}/issues/1/comments");
        let (head, made) = send(&service, request("POST", &path, Some(r#"{"body":"hi"}"#))).await;
        assert_eq!((head.status, made["id"].as_u64()), (StatusCode::CREATED, Some(1)));
        let (_, listed) = send(&service, request("GET", &path, None)).await;
        assert_eq!(listed[0]["body"], "hi");
        assert_eq!(service.issues_opened(), 0);
    });
}

#[test]
fn bad_requests_get_the_status_that_the_vendor_documents() {
    run(async |service| {
        let path = format!("/repos/{OWNER}/{REPO}/issues");
        for (method, path, body, status) in [
            ("POST", path.as_str(), Some("{\"title\":"), 400),
            ("POST", &path, Some("[]"), 400),
            ("POST", &path, Some("{\"title\":\"a\",\"title\":\"b\"}"), 400),
            ("POST", &path, Some("{}"), 422),
            ("POST", &path, Some("{\"title\":\"a\",\"labels\":\"x\"}"), 422),
            ("POST", &path, Some("{\"title\":\"a\",\"body\":1}"), 422),
            ("POST", &format!("{path}/1/comments"), Some("{}"), 422),
            ("POST", &format!("{path}/9/comments"), Some("{\"body\":\"x\"}"), 404),
            ("GET", &format!("{path}/0"), None, 404),
            ("GET", &format!("{path}/9"), None, 404),
            ("GET", &format!("{path}/x"), None, 404),
            ("GET", "/repos/octo/none/issues", None, 404),
            ("GET", "/repos/other/demo/issues", None, 404),
            ("DELETE", &path, None, 404),
            ("POST", "/user", None, 404),
            ("GET", "/", None, 404),
        ] {
            let (head, answer) = send(&service, request(method, path, body)).await;
            assert_eq!(head.status.as_u16(), status, "{method} {path} {body:?}");
            assert!(answer["message"].is_string(), "{answer}");
        }
        assert_eq!(service.issues_opened(), 0);
    });
}

#[test]
fn only_the_right_credential_is_let_in_and_none_is_kept() {
    run(async |service| {
        let strange = |value: Option<&str>| {
            let mut request = request("GET", "/user", None);
            request.headers_mut().remove("authorization");
            if let Some(value) = value {
                request.headers_mut().insert("authorization", value.parse().unwrap());
            }
            request
        };
        for value in [None, Some("Bearer ghp_wrong"), Some("Basic Z2hwX3JpZ2h0"), Some("bearer ghp_right")] {
            let (head, _) = send(&service, strange(value)).await;
            assert_eq!(head.status, StatusCode::UNAUTHORIZED, "{value:?}");
        }
        let mut twice = request("GET", "/user", None);
        twice.headers_mut().append("authorization", "Bearer x".parse().unwrap());
        assert_eq!(send(&service, twice).await.0.status, StatusCode::UNAUTHORIZED);
        let mut leaking = request("GET", "/user", None);
        leaking.headers_mut().insert("x-fcp-egress-handle", "00".parse().unwrap());
        assert_eq!(send(&service, leaking).await.0.status, StatusCode::OK);
        let seen = service.seen();
        let verdicts: Vec<_> = seen.iter().map(|seen| seen.authorization).collect();
        use Authorization::{Absent, Right, Wrong};
        assert_eq!(verdicts, [Absent, Wrong, Wrong, Wrong, Wrong, Right]);
        assert_eq!(seen[5].internal_headers, ["x-fcp-egress-handle"]);
        assert!(!format!("{seen:?}").contains(TOKEN));
    });
}

#[test]
fn a_user_agent_and_a_known_version_are_demanded() {
    run(async |service| {
        let mut silent = request("GET", "/user", None);
        silent.headers_mut().remove("user-agent");
        assert_eq!(send(&service, silent).await.0.status, StatusCode::FORBIDDEN);
        for (version, status) in [("2022-11-28", 200), ("1999-01-01", 400)] {
            let mut request = request("GET", "/user", None);
            request.headers_mut().insert("x-github-api-version", version.parse().unwrap());
            assert_eq!(send(&service, request).await.0.status.as_u16(), status, "{version}");
        }
    });
}

#[test]
fn bodies_are_bounded() {
    run(async |service| {
        let body = json!({ "title": "a", "body": "x".repeat(super::MAX_BODY_BYTES) }).to_string();
        let path = format!("/repos/{OWNER}/{REPO}/issues");
        let stream = connect(&service, trusting(&service)).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request("POST", &path, Some(&body))).await;
        // The service may close before the body has gone out; either way nothing is made of it.
        assert!(
            answer.is_err() || answer.is_ok_and(|answer| answer.status() == StatusCode::PAYLOAD_TOO_LARGE)
        );
        driver.abort();
        assert_eq!(service.issues_opened(), 0);
    });
}

#[test]
fn whoever_does_not_trust_the_authority_gets_no_connection_and_is_not_seen() {
    run(async |service| {
        assert!(connect(&service, RootCertStore::empty()).await.is_err());
        let other = Service::start(TOKEN).await.unwrap();
        assert!(connect(&service, trusting(&other)).await.is_err(), "each run has an authority of its own");
        other.stop().await.unwrap();
        assert_eq!(service.seen().len(), 0);
    });
}

#[test]
fn stopping_closes_the_port_and_open_connections() {
    run(async |service| {
        let address = service.address;
        let mut open = connect(&service, trusting(&service)).await.unwrap();
        service.stop().await.unwrap();
        let mut byte = [0];
        let read = tokio::io::AsyncReadExt::read(&mut open, &mut byte).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(TcpStream::connect(address).await.is_err());
    });
}
