//! Sizes and times.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::world::{Answerer, Chunks, Got, Limit, Service, World, get, text};

/// Asks a service that answers a first chunk and then waits for ever, under changed limits.
async fn ask_silent(limit: Limit) -> (Got, Vec<String>) {
    let senders = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = senders.clone();
    let answer: Answerer = Arc::new(move |_| {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(b"first".to_vec()).expect("room");
        kept.lock().expect("lock").push(sender);
        Response::new(Chunks(receiver).boxed())
    });
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    limit(&mut call.open);
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
    let report = world.client.close_call(handle).await.expect("report");
    (got, report.refusals.iter().map(|refusal| refusal.name().to_owned()).collect())
}

#[tokio::test]
async fn a_silent_service_is_cut_by_each_clock() {
    let clocks: [(Limit, &str); 3] = [
        (|open| open.rules[0].limits.idle_timeout_ms = 300, "idle_timeout"),
        (|open| open.rules[0].limits.total_timeout_ms = 300, "total_timeout"),
        (|open| open.deadline_ms = 300, "deadline_passed"),
    ];
    for (limit, reason) in clocks {
        let (got, refusals) = ask_silent(limit).await;
        // A machine slow enough to spend the time before the head sees a refusal instead of a cut.
        assert!(got.cut || got.refusal().as_deref() == Some(reason), "{reason}: {got:?}");
        assert_eq!(refusals, [reason]);
    }
}

#[tokio::test]
async fn a_service_that_never_answers_is_a_gateway_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let service = Service::start(&["api.example.com"], &["h2"], Arc::new(|_| Response::new(text("")))).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    // Connections are accepted by the system, and nobody speaks TLS there.
    let port = listener.local_addr().expect("address").port();
    call.open.rules[0].ports = vec![port];
    call.open.exceptions[0].port = port;
    call.open.rules[0].limits.connect_timeout_ms = 200;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://api.example.com:{port}/"), Some("main")).await;
    assert_eq!((got.status, got.refusal().as_deref()), (504, Some("connect_timeout")));
    assert_eq!(got.header("x-fcp-egress-effect"), Some("none"));
}

#[tokio::test]
async fn an_oversize_answer_is_refused_or_cut() {
    // Announced: refused before its first byte.
    let answer: Answerer = Arc::new(|_| Response::new(text(vec![b'x'; 5_000])));
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.max_response_bytes = 4_999;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
    assert_eq!((got.status, got.header("x-fcp-egress-error")), (502, Some("FCP-7109")));

    // Not announced: cut where it exceeds.
    let answer: Answerer = Arc::new(|_| {
        let (sender, receiver) = mpsc::channel(8);
        for _ in 0..6 {
            sender.try_send(vec![b'x'; 1_000]).expect("room");
        }
        Response::new(Chunks(receiver).boxed())
    });
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.max_response_bytes = 4_999;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
    assert!(got.cut && got.body.len() <= 4_999, "{} bytes, cut: {}", got.body.len(), got.cut);
}

#[tokio::test]
async fn an_oversize_request_is_refused_whether_it_is_announced_or_not() {
    let service =
        Service::start(&["api.example.com"], &["http/1.1"], Arc::new(|_| Response::new(text("fine")))).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.max_request_bytes = 999;
    let handle = world.open(call).await;
    let post = |body| {
        let request = Request::post(format!("https://api.example.com:{}/", service.port));
        request.header("x-fcp-egress-handle", handle.to_string()).body(body).expect("request")
    };
    let got = connector.send(post(text(vec![b'x'; 1_000]))).await;
    assert_eq!((got.status, got.refusal().as_deref()), (403, Some("request_too_large")));
    assert_eq!(got.header("x-fcp-egress-effect"), Some("none"));
    let (sender, receiver) = mpsc::channel(2);
    sender.try_send(vec![b'x'; 600]).expect("room");
    sender.try_send(vec![b'x'; 600]).expect("room");
    let got = connector.send(post(Chunks(receiver).boxed())).await;
    assert_eq!(got.refusal().as_deref(), Some("request_too_large"));
    assert_eq!(got.header("x-fcp-egress-effect"), Some("maybe"));
}

#[tokio::test]
async fn many_requests_share_one_connection_of_the_connector() {
    let service =
        Service::start(&["api.example.com"], &["h2"], Arc::new(|_| Response::new(text("fine")))).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let mut sender = connector.sender.clone();
        let request =
            get(handle, &format!("https://api.example.com:{}/{number}", service.port), Some("main"));
        tasks.spawn(async move { sender.send_request(request).await.expect("answer").status().as_u16() });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(world.client.close_call(handle).await.expect("report").requests, 40);
}
