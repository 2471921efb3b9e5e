//! Where a request may go: addresses, redirects, certificates, pins.

use std::sync::Arc;

use fcp_proto_core::ids::Digest;
use http::Response;

use crate::world::{Answerer, Canary, LOOPBACK, Service, World, exception, text};

fn ok() -> Answerer {
    Arc::new(|_| Response::new(text("fine")))
}

#[tokio::test]
async fn loopback_on_the_declared_port_is_refused_without_an_exception() {
    let canary = Canary::start().await;
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    for (host, answers) in [
        ("a.example.org", vec![LOOPBACK]),
        ("b.example.org", vec!["93.184.216.34".parse().expect("address"), LOOPBACK]),
    ] {
        world.names.set(host, vec![answers]);
        let mut call = world.call(&service);
        call.open.exceptions.clear();
        call.open.rules = vec![crate::world::rule(host, canary.port)];
        let handle = world.open(call).await;
        let got = connector.get(handle, &format!("https://{host}:{}/", canary.port), None).await;
        assert_eq!((got.status, got.header("x-fcp-egress-error")), (403, Some("FCP-7102")));
    }
    canary.saw_nothing();
}

#[tokio::test]
async fn a_name_is_resolved_once_a_call() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let call = world.call(&service);
    // The second answer would be refused; it is never asked for.
    world.names.set("api.example.com", vec![vec![LOOPBACK], vec!["10.0.0.1".parse().expect("address")]]);
    let handle = world.open(call).await;
    let url = format!("https://api.example.com:{}/", service.port);
    assert_eq!(connector.get(handle, &url, None).await.status, 200);
    assert_eq!(connector.get(handle, &url, None).await.status, 200);
    assert_eq!(world.names.asked("api.example.com"), 1);
}

#[tokio::test]
async fn redirects_to_undeclared_or_forbidden_places_are_refused() {
    let canary = Canary::start().await;
    let port = canary.port;
    let locations = [
        (format!("https://127.0.0.1:{port}/"), "redirect"),
        (format!("//127.0.0.1:{port}/"), "redirect"),
        ("https://169.254.169.254/latest/meta-data/".to_owned(), "redirect"),
        (format!("https://evil.example.net:{port}/"), "redirect"),
        ("gopher://127.0.0.1:6379/_INFO".to_owned(), "redirect"),
        ("http://api.example.com/".to_owned(), "redirect_downgrade"),
        ("/loop".to_owned(), "redirect_limit"),
    ];
    for (location, reason) in locations {
        let next = location.clone();
        let answer: Answerer = Arc::new(move |_| {
            Response::builder().status(302).header("location", &next).body(text("")).expect("response")
        });
        let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
        let world = World::start().await;
        world.names.set("evil.example.net", vec![vec![LOOPBACK]]);
        let connector = world.connector("github", "z:work").await;
        let mut call = world.call(&service);
        call.open.rules[0].ports.extend([port, 443]);
        let handle = world.open(call).await;
        let got =
            connector.get(handle, &format!("https://api.example.com:{}/", service.port), Some("main")).await;
        assert_eq!(
            (got.header("x-fcp-egress-error"), got.refusal().as_deref()),
            (Some("FCP-7110"), Some(reason)),
            "{location}"
        );
    }
    canary.saw_nothing();
}

#[tokio::test]
async fn without_declared_redirects_the_connector_sees_the_answer() {
    let answer: Answerer = Arc::new(|_| {
        Response::builder().status(302).header("location", "/x").body(text("")).expect("response")
    });
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.max_redirects = 0;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
    assert_eq!((got.status, got.header("location")), (302, Some("/x")));
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn a_certificate_must_be_for_the_host_and_from_a_trusted_authority() {
    let other = Service::start(&["other.example.com"], &["h2"], ok()).await;
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let wrong_name = world.call(&other);
    let mut unknown_authority = world.call(&service);
    unknown_authority.open.exceptions[0].ca_pem = None;
    let mut others_authority = world.call(&service);
    others_authority.open.exceptions[0].ca_pem = Some(other.ca_pem.clone());
    for (call, port) in
        [(wrong_name, other.port), (unknown_authority, service.port), (others_authority, service.port)]
    {
        let handle = world.open(call).await;
        let got = connector.get(handle, &format!("https://api.example.com:{port}/"), Some("main")).await;
        assert_eq!((got.status, got.refusal().as_deref()), (502, Some("tls_failed")));
    }
    assert!(other.requests().is_empty() && service.requests().is_empty());
}

#[tokio::test]
async fn a_pinned_service_must_have_the_pinned_key() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let url = format!("https://api.example.com:{}/", service.port);
    let mut wrong = world.call(&service);
    wrong.open.rules[0].spki_pins = vec![Digest::from_bytes([1; 32])];
    let handle = world.open(wrong).await;
    assert_eq!(connector.get(handle, &url, Some("main")).await.refusal().as_deref(), Some("pin_mismatch"));
    assert!(service.requests().is_empty());
    let mut right = world.call(&service);
    right.open.rules[0].spki_pins = vec![Digest::from_bytes([1; 32]), Digest::from_bytes(service.spki)];
    let handle = world.open(right).await;
    assert_eq!(connector.get(handle, &url, Some("main")).await.status, 200);
}

#[tokio::test]
async fn an_exception_for_an_address_literal_opens_exactly_it() {
    let service = Service::start(&["127.0.0.1"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules = vec![crate::world::rule("127.0.0.1", service.port)];
    call.open.exceptions = vec![exception("127.0.0.1", &service)];
    let handle = world.open(call).await;
    let ask = |host: &'static str| {
        let url = format!("https://{host}:{}/", service.port);
        let connector = connector.clone();
        async move { connector.get(handle, &url, None).await }
    };
    assert_eq!(ask("127.0.0.1").await.status, 200);
    for other in ["127.0.0.2", "2130706433", "0x7f.1", "localhost"] {
        assert!(ask(other).await.refusal().is_some(), "{other}");
    }
}
