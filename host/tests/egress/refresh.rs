//! OAuth tokens are refreshed once, made durable, and only then used.

use std::sync::Arc;
use std::time::Duration;

use fcp_host::egress::{OAuthToken, OpenWithSecrets, Secret, SecretValue, SlotSecret};
use fcp_proto_core::time::UnixTime;
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use crate::world::{Answerer, Chunks, LOOPBACK, NOW, Service, World, exception, text};

/// What the token endpoint gives.
const ROTATED: &str = r#"{"access_token":"new-access-token","token_type":"Bearer","expires_in":3600,"refresh_token":"new-refresh-token"}"#;

/// A service whose token endpoint is `/token` and whose other paths want the newest token.
fn service() -> Answerer {
    Arc::new(|seen| {
        if seen.target == "/token" {
            return Response::new(text(ROTATED));
        }
        let mut response = Response::new(text("fine"));
        if seen.header("authorization") != Some("Bearer new-access-token") {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        response
    })
}

fn call(world: &World, service: &Service, expires_at: Option<u64>) -> OpenWithSecrets {
    world.names.set("login.example.com", vec![vec![LOOPBACK]]);
    let mut call = world.call(service);
    call.open.exceptions.push(exception("login.example.com", service));
    let token = OAuthToken {
        record: 1,
        generation: 4,
        access_token: Secret::new("old-access-token".into()),
        expires_at: expires_at.map(UnixTime::from_secs),
        refresh_token: Some(Secret::new("old-refresh-token".into())),
        token_url: format!("https://login.example.com:{}/token", service.port),
        client_id: "client id".into(),
        client_secret: Some(Secret::new("client&secret".into())),
    };
    call.secrets = vec![SlotSecret { slot: "main".into(), secret: SecretValue::OAuth(token) }];
    call
}

async fn start() -> (World, Service) {
    let names = ["api.example.com", "login.example.com"];
    (World::start().await, Service::start(&names, &["h2", "http/1.1"], service()).await)
}

fn refreshes(service: &Service) -> usize {
    service.requests().iter().filter(|seen| seen.target == "/token").count()
}

/// Acknowledges every refreshed token with `stored`.
fn acknowledge(world: &mut World, stored: bool) -> Arc<std::sync::Mutex<Vec<OAuthToken>>> {
    let (_, empty) = tokio::sync::mpsc::channel(1);
    let mut refreshed = std::mem::replace(&mut world.refreshed, empty);
    let tokens: Arc<std::sync::Mutex<Vec<OAuthToken>>> = Arc::default();
    let (client, kept) = (world.client.clone(), tokens.clone());
    tokio::spawn(async move {
        while let Some(message) = refreshed.recv().await {
            let generation = message.token.generation;
            kept.lock().expect("lock").push(message.token);
            client.acknowledge(message.refresh, stored.then_some(generation + 1)).await.expect("awaited");
        }
    });
    tokens
}

#[tokio::test]
async fn twenty_requests_over_two_calls_refresh_once() {
    let (mut world, service) = start().await;
    let tokens = acknowledge(&mut world, true);
    let connector = world.connector("github", "z:work").await;
    let handles = [
        world.open(call(&world, &service, Some(NOW + 10))).await,
        world.open(call(&world, &service, Some(NOW + 10))).await,
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (connector, url) =
            (connector.clone(), format!("https://api.example.com:{}/{number}", service.port));
        tasks.spawn(async move { connector.get(handles[number % 2], &url, Some("main")).await.status });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(refreshes(&service), 1);
    let form = service.requests().into_iter().find(|seen| seen.target == "/token").expect("refresh");
    let expected = "grant_type=refresh_token&refresh_token=old-refresh-token&client_id=client%20id&client_secret=client%26secret";
    assert_eq!((form.method.as_str(), form.body.as_ref()), ("POST", expected.as_bytes()));
    let tokens = tokens.lock().expect("lock");
    assert_eq!((tokens.len(), tokens[0].generation), (1, 4));
    assert_eq!(tokens[0].expires_at, Some(UnixTime::from_secs(NOW + 3600)));
    assert_eq!(tokens[0].refresh_token.as_ref().map(Secret::expose), Some("new-refresh-token"));
}

#[tokio::test]
async fn a_token_that_is_not_durable_is_not_used() {
    let (mut world, service) = start().await;
    let tokens = acknowledge(&mut world, false);
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call(&world, &service, Some(NOW))).await;
    let url = format!("https://api.example.com:{}/", service.port);
    for _ in 0..2 {
        let got = connector.get(handle, &url, Some("main")).await;
        assert_eq!(
            (got.header("x-fcp-egress-error"), got.refusal().as_deref()),
            (Some("FCP-7112"), Some("refresh_failed"))
        );
    }
    assert_eq!(tokens.lock().expect("lock").len(), 1, "the second request does not ask again at once");
    assert!(service.requests().iter().all(|seen| seen.target == "/token"));
}

#[tokio::test]
async fn a_refused_token_is_refreshed_before_the_next_request() {
    let (mut world, service) = start().await;
    acknowledge(&mut world, true);
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call(&world, &service, None)).await;
    let url = format!("https://api.example.com:{}/", service.port);
    assert_eq!(connector.get(handle, &url, Some("main")).await.status, 401);
    assert_eq!(connector.get(handle, &url, Some("main")).await.status, 200);
    assert_eq!(refreshes(&service), 1);
}

#[tokio::test]
async fn the_token_endpoint_is_held_to_the_address_rule() {
    let (world, service) = start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = call(&world, &service, Some(NOW));
    call.open.exceptions.retain(|exception| exception.host != "login.example.com".parse().expect("host"));
    let handle = world.open(call).await;
    let got =
        connector.get(handle, &format!("https://api.example.com:{}/", service.port), Some("main")).await;
    assert_eq!(got.refusal().as_deref(), Some("refresh_failed"));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn no_answer_repeats_any_token_even_to_a_request_without_a_credential() {
    let (world, _) = start().await;
    for echoed in ["old-access-token", "old-refresh-token", "client&secret"] {
        let answer: Answerer = Arc::new(move |_| Response::new(text(format!("the token is {echoed}."))));
        let service = Service::start(&["api.example.com"], &["h2"], answer).await;
        let connector = world.connector("github", "z:work").await;
        let handle = world.open(call(&world, &service, None)).await;
        let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
        assert!(got.cut && !got.contains(&echoed[..6]), "{:?}", String::from_utf8_lossy(&got.body));
        let report = world.client.close_call(handle).await.expect("report");
        assert_eq!(
            report.refusals.iter().map(|refusal| refusal.name()).collect::<Vec<_>>(),
            ["secret_in_answer"]
        );
    }
}

#[tokio::test]
async fn a_service_that_refuses_every_token_does_not_exhaust_the_endpoint() {
    let answer: Answerer = Arc::new(|seen| {
        if seen.target == "/token" {
            return Response::new(text(r#"{"access_token":"never-good-enough"}"#));
        }
        Response::builder().status(401).body(text("")).expect("response")
    });
    let service = Service::start(&["api.example.com", "login.example.com"], &["h2"], answer).await;
    let mut world = World::start().await;
    acknowledge(&mut world, true);
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call(&world, &service, None)).await;
    for _ in 0..5 {
        let url = format!("https://api.example.com:{}/", service.port);
        assert_eq!(connector.get(handle, &url, Some("main")).await.status, 401);
    }
    assert_eq!(refreshes(&service), 1);
}

/// A service whose token endpoint answers so, and which takes only what that could give.
async fn endpoint(status: u16, body: &'static str) -> Service {
    let answer: Answerer = Arc::new(move |seen| {
        let (status, body) = if seen.target == "/token" { (status, body) } else { (200, "{}") };
        Response::builder().status(status).body(text(body)).expect("response")
    });
    Service::start(&["api.example.com", "login.example.com"], &["h2"], answer).await
}

//= docs/spec/egress.md#refresh
#[tokio::test]
async fn a_refresh_token_that_the_endpoint_refuses_is_not_tried_again() {
    for (status, body, refusal, code, asked) in [
        (400, r#"{"error":"invalid_grant"}"#, "refresh_refused", "FCP-7115", 1),
        (401, r#"{"error":"invalid_client"}"#, "refresh_refused", "FCP-7115", 1),
        (200, r#"{"error":"bad_refresh_token"}"#, "refresh_refused", "FCP-7115", 1),
        (429, r#"{"error":"slow_down"}"#, "refresh_failed", "FCP-7112", 1),
        (503, "", "refresh_failed", "FCP-7112", 1),
    ] {
        let (mut world, service) = (World::start().await, endpoint(status, body).await);
        acknowledge(&mut world, true);
        let connector = world.connector("github", "z:work").await;
        let url = format!("https://api.example.com:{}/", service.port);
        let mut last = None;
        // Each a call of its own, the one before over.
        for _ in 0..3 {
            let handle = world.open(call(&world, &service, Some(NOW))).await;
            let got = connector.get(handle, &url, Some("main")).await;
            assert_eq!(
                (got.header("x-fcp-egress-error"), got.refusal().as_deref()),
                (Some(code), Some(refusal)),
                "{status} {body}"
            );
            world.client.close_call(handle).await.expect("report");
            last = Some(refreshes(&service));
        }
        // What may pass is asked again by the next call.
        let expected = if refusal == "refresh_refused" { asked } else { 3 };
        assert_eq!(last, Some(expected), "{status} {body}");
        // Another secret of the same credential is another matter.
        let mut anew = call(&world, &service, Some(NOW));
        let SecretValue::OAuth(token) = &mut anew.secrets[0].secret else { unreachable!() };
        (token.record, token.generation) = (5, 5);
        let handle = world.open(anew).await;
        connector.get(handle, &url, Some("main")).await;
        assert_eq!(refreshes(&service), expected + 1, "{status} {body}");
    }
}

#[tokio::test]
async fn without_a_refresh_token_nobody_is_asked() {
    let (world, service) = start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = call(&world, &service, Some(NOW));
    let SecretValue::OAuth(token) = &mut call.secrets[0].secret else { unreachable!() };
    token.refresh_token = None;
    let handle = world.open(call).await;
    let url = format!("https://api.example.com:{}/", service.port);
    let got = connector.get(handle, &url, Some("main")).await;
    assert_eq!(got.refusal().as_deref(), Some("refresh_refused"));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn what_an_endpoint_writes_oddly_costs_no_rotated_token() {
    for (lifetime, end) in
        [(r#""3600""#, Some(NOW + 3600)), ("3600.5", None), (r#""soon""#, None), ("null", None), ("{}", None)]
    {
        let body =
            format!(r#"{{"access_token":"new-access-token","refresh_token":"","expires_in":{lifetime}}}"#);
        let service = endpoint(200, String::leak(body)).await;
        let mut world = World::start().await;
        let tokens = acknowledge(&mut world, true);
        let connector = world.connector("github", "z:work").await;
        let handle = world.open(call(&world, &service, Some(NOW))).await;
        let url = format!("https://api.example.com:{}/", service.port);
        assert_eq!(connector.get(handle, &url, Some("main")).await.status, 200, "{lifetime}");
        let tokens = tokens.lock().expect("lock");
        assert_eq!(tokens[0].expires_at, end.map(UnixTime::from_secs), "{lifetime}");
        assert_eq!(tokens[0].refresh_token.as_ref().map(Secret::expose), Some("old-refresh-token"));
    }
}

#[tokio::test]
async fn a_token_of_another_record_is_never_shared() {
    let (mut world, service) = start().await;
    acknowledge(&mut world, true);
    let connector = world.connector("github", "z:work").await;
    let url = format!("https://api.example.com:{}/", service.port);
    let old = world.open(call(&world, &service, Some(NOW))).await;
    assert_eq!(connector.get(old, &url, Some("main")).await.status, 200);
    // Stored by the owner before the refresh, and in force after it: its generation is the lower one.
    let mut anew = call(&world, &service, Some(NOW + 10_000));
    let SecretValue::OAuth(token) = &mut anew.secrets[0].secret else { unreachable!() };
    (token.record, token.generation, token.access_token) = (5, 5, Secret::new("owners-own-token".into()));
    let handle = world.open(anew).await;
    connector.get(handle, &url, Some("main")).await;
    let last = service.requests().pop().expect("request");
    assert_eq!(last.header("authorization"), Some("Bearer owners-own-token"));
}

/// The end of the process is asked for while the endpoint has the refresh token and has not answered.
#[tokio::test]
async fn a_token_that_is_being_rotated_is_handed_on_before_an_orderly_end() {
    let (release, held) = tokio::sync::mpsc::channel(1);
    let held = std::sync::Mutex::new(Some(held));
    let answer: Answerer = Arc::new(move |_| {
        let held = held.lock().expect("lock").take().expect("one request");
        Response::new(BodyExt::boxed(Chunks(held)))
    });
    let service = Service::start(&["login.example.com", "api.example.com"], &["h2"], answer).await;
    let mut world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call(&world, &service, Some(NOW))).await;
    let url = format!("https://api.example.com:{}/", service.port);
    let asking = tokio::spawn(async move { connector.get(handle, &url, Some("main")).await });
    while refreshes(&service) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.client.shutdown().await.expect("it ends");
    release.send(ROTATED.into()).await.expect("it is still awaited");
    drop(release);
    let handed = world.refreshed.recv().await.expect("the token comes before the end");
    assert_eq!(handed.token.refresh_token.as_ref().map(Secret::expose), Some("new-refresh-token"));
    asking.abort();
}

/// The service has taken the old token: nothing is asked of it again while the new one waits for the disk.
//= docs/spec/vault.md#refreshed-tokens
#[tokio::test]
async fn a_token_that_the_disk_takes_late_is_used_and_none_is_asked_for_in_its_place() {
    let (mut world, service) = start().await;
    let (_, empty) = tokio::sync::mpsc::channel(1);
    let mut refreshed = std::mem::replace(&mut world.refreshed, empty);
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call(&world, &service, Some(NOW))).await;
    let url = format!("https://api.example.com:{}/", service.port);
    let got = connector.get(handle, &url, Some("main")).await;
    assert_eq!(got.refusal().as_deref(), Some("refresh_failed"));
    let waiting = refreshed.recv().await.expect("a token");
    world.client.acknowledge(waiting.refresh, Some(5)).await.expect("awaited");
    let used = async {
        while connector.get(handle, &url, Some("main")).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    used.await;
    assert_eq!(refreshes(&service), 1);
}
