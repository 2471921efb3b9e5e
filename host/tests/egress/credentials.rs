//! Credentials reach the service that may have them, and nobody else.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fcp_state_machines::call::egress::credential::Injection;
use http::{Request, Response};

use crate::world::{SECRET, Service, World, exception, get, grant, secret, text};

fn ok() -> crate::world::Answerer {
    Arc::new(|_| Response::new(text("fine")))
}

#[tokio::test]
async fn each_injection_arrives_over_http_1_and_http_2() {
    for alpn in ["http/1.1", "h2"] {
        let service = Service::start(&["api.example.com"], &[alpn], ok()).await;
        let world = World::start().await;
        let connector = world.connector("github", "z:work").await;
        let url = format!("https://api.example.com:{}/a?b=1", service.port);
        let header = Injection::Header { name: "x-api-key".into(), prefix: "Key ".into() };
        let query = Injection::Query { name: "key".into() };
        for injection in [Injection::Bearer, Injection::Basic, header, query] {
            let mut call = world.call(&service);
            call.open.credentials = vec![grant("main", injection.clone())];
            let handle = world.open(call).await;
            let got = connector.get(handle, &url, Some("main")).await;
            assert_eq!(
                (got.status, got.body.as_slice()),
                (200, b"fine".as_slice()),
                "{alpn} {injection:?} {got:?}"
            );
            let seen = service.requests().pop().expect("a request");
            let (name, value) = match injection {
                Injection::Bearer => ("authorization", Some(format!("Bearer {SECRET}"))),
                Injection::Basic => ("authorization", Some(format!("Basic {}", STANDARD.encode(SECRET)))),
                Injection::Header { .. } => ("x-api-key", Some(format!("Key {SECRET}"))),
                Injection::Query { .. } => ("authorization", None),
            };
            assert_eq!(seen.header(name).map(str::to_owned), value, "{alpn}");
            let in_query = seen.target.contains("key=s3cret-Token%2Fwith%2Bsigns%3D42");
            assert_eq!(in_query, value.is_none(), "{alpn} {}", seen.target);
        }
    }
}

#[tokio::test]
async fn what_a_connector_says_of_identity_or_routing_is_removed() {
    let service = Service::start(&["api.example.com"], &["http/1.1"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open
        .credentials
        .push(grant("key", Injection::Header { name: "x-api-key".into(), prefix: String::new() }));
    call.secrets.push(secret("key", SECRET));
    let handle = world.open(call).await;
    let stripped = [
        "authorization",
        "cookie",
        "proxy-authorization",
        "x-fcp-extra",
        "x-api-key",
        "x-http-method-override",
        "x-forwarded-for",
    ];
    let mut request = get(handle, &format!("https://api.example.com:{}/", service.port), None);
    for name in stripped {
        request.headers_mut().insert(name, "forged".parse().expect("value"));
    }
    request.headers_mut().insert("accept-encoding", "gzip".parse().expect("value"));
    request.headers_mut().insert("x-kept", "yes".parse().expect("value"));
    assert_eq!(connector.send(request).await.status, 200);
    let seen = service.requests().pop().expect("a request");
    assert!(!format!("{:?}", seen.headers).contains("forged"), "{:?}", seen.headers);
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("x-fcp-")));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("x-kept"), Some("yes"));
    assert_eq!(seen.header("host"), Some(format!("api.example.com:{}", service.port).as_str()));
}

#[tokio::test]
async fn a_slot_the_call_was_not_opened_with_sends_nothing() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let url = format!("https://api.example.com:{}/", service.port);
    let got = connector.get(handle, &url, Some("other")).await;
    assert_eq!((got.status, got.refusal().as_deref()), (403, Some("slot_unknown")));
    assert_eq!(got.header("x-fcp-egress-effect"), Some("none"));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_credential_and_none_on_the_way_back() {
    let answer = |seen: &crate::world::Seen| {
        let port = seen.header("host").and_then(|host| host.rsplit(':').next()).expect("port").to_owned();
        let next = match seen.target.as_str() {
            "/start" => Some(format!("https://cdn.example.com:{port}/middle")),
            "/middle" => Some(format!("https://api.example.com:{port}/end")),
            "/same" => Some("/end".to_owned()),
            _ => None,
        };
        let mut response = Response::new(text("end"));
        if let Some(next) = next {
            *response.status_mut() = http::StatusCode::FOUND;
            response.headers_mut().insert("location", next.parse().expect("value"));
        }
        response
    };
    let service =
        Service::start(&["api.example.com", "cdn.example.com"], &["http/1.1"], Arc::new(answer)).await;
    let world = World::start().await;
    world.names.set("cdn.example.com", vec![vec![crate::world::LOOPBACK]]);
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].hosts.push("cdn.example.com".parse().expect("host"));
    call.open.exceptions.push(exception("cdn.example.com", &service));
    let handle = world.open(call).await;
    let base = format!("https://api.example.com:{}", service.port);
    assert_eq!(connector.get(handle, &format!("{base}/start"), Some("main")).await.body, b"end");
    assert_eq!(connector.get(handle, &format!("{base}/same"), Some("main")).await.body, b"end");
    let carried: Vec<_> = service
        .requests()
        .iter()
        .map(|seen| (seen.target.clone(), seen.header("authorization").is_some()))
        .collect();
    let expected = [("/start", true), ("/middle", false), ("/end", false), ("/same", true), ("/end", true)];
    assert_eq!(carried, expected.map(|(target, has)| (target.to_owned(), has)));
}

#[tokio::test]
async fn a_credential_goes_to_no_host_but_its_own() {
    let service = Service::start(&["api.example.com", "cdn.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    world.names.set("cdn.example.com", vec![vec![crate::world::LOOPBACK]]);
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].hosts.push("cdn.example.com".parse().expect("host"));
    call.open.exceptions.push(exception("cdn.example.com", &service));
    let handle = world.open(call).await;
    let got =
        connector.get(handle, &format!("https://cdn.example.com:{}/", service.port), Some("main")).await;
    assert_eq!(got.refusal().as_deref(), Some("credential_host_denied"));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn bodies_stream_up_whole() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let body = vec![b'x'; 700_000];
    let request = Request::post(format!("https://api.example.com:{}/upload", service.port))
        .header("x-fcp-egress-handle", handle.to_string())
        .body(text(body.clone()))
        .expect("request");
    assert_eq!(connector.send(request).await.status, 200);
    let seen = service.requests().pop().expect("a request");
    assert_eq!((seen.method.as_str(), seen.body.len()), ("POST", body.len()));
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!((report.bytes_sent, report.bytes_received, report.statuses), (700_000, 4, vec![200]));
}
