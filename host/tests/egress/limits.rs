//! Sizes and times.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fcp_host::egress::OpenWithSecrets;
use fcp_state_machines::call::egress::Transport;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    let mut call = world.call(&service);
    limit(&mut call.open);
    get_all(&world, call, &format!("https://api.example.com:{}/", service.port)).await
}

/// Asks once, and gives the answer and the reasons of the refusals.
async fn get_all(world: &World, call: OpenWithSecrets, url: &str) -> (Got, Vec<String>) {
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(call).await;
    let got = connector.get(handle, url, None).await;
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

/// A service that sends this, and then a byte every few milliseconds for ever.
async fn dripping(head: &'static [u8], drip: &'static [u8]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Egress is to break off: that is what the tests wait for.
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.expect("a request") > 0);
                let mut sent = stream.write_all(head).await;
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    sent = stream.write_all(drip).await;
                }
            });
        }
    });
    port
}

/// Asks such a service, under changed limits.
async fn ask_dripping(head: &'static [u8], drip: &'static [u8], limit: Limit) -> (Got, Vec<String>) {
    let unused =
        Service::start(&["api.example.com"], &["http/1.1"], Arc::new(|_| Response::new(text("")))).await;
    let port = dripping(head, drip).await;
    let world = World::start().await;
    let mut call = world.call(&unused);
    call.open.rules[0].ports = vec![port];
    call.open.exceptions[0].port = port;
    call.open.exceptions[0].transport = Transport::Plaintext;
    limit(&mut call.open);
    get_all(&world, call, &format!("http://api.example.com:{port}/")).await
}

#[tokio::test]
async fn a_head_that_never_ends_is_no_answer_however_it_drips() {
    let clocks: [(Limit, &str); 2] = [
        (|open| open.rules[0].limits.idle_timeout_ms = 300, "idle_timeout"),
        (|open| open.rules[0].limits.total_timeout_ms = 300, "total_timeout"),
    ];
    for (limit, reason) in clocks {
        let (got, refusals) = ask_dripping(b"HTTP/1.1 200 OK\r\nx: ", b"x", limit).await;
        assert_eq!((got.status, got.refusal().as_deref()), (504, Some(reason)));
        assert_eq!(refusals, [reason]);
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_no_answer() {
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let (got, refusals) =
        ask_dripping(interim, interim, |open| open.rules[0].limits.idle_timeout_ms = 300).await;
    assert_eq!(got.refusal().as_deref(), Some("idle_timeout"), "{got:?}");
    assert_eq!(refusals, ["idle_timeout"]);
}

#[tokio::test]
async fn a_body_that_drips_for_ever_is_cut_though_it_is_never_idle() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let clocks: [(Limit, &str); 2] = [
        (|open| open.rules[0].limits.total_timeout_ms = 300, "total_timeout"),
        (|open| open.deadline_ms = 300, "deadline_passed"),
    ];
    for (limit, reason) in clocks {
        let (got, refusals) = ask_dripping(head, b"x", limit).await;
        assert!(got.cut || got.refusal().as_deref() == Some(reason), "{reason}: {got:?}");
        assert_eq!(refusals, [reason]);
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_its_bound_and_its_service_let_go() {
    let answer: Answerer = Arc::new(move |_| {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move { while sender.send(vec![b'x'; 1_000]).await.is_ok() {} });
        Response::new(Chunks(receiver).boxed())
    });
    for alpn in ["http/1.1", "h2"] {
        let service = Service::start(&["api.example.com"], &[alpn], answer.clone()).await;
        let world = World::start().await;
        let connector = world.connector("github", "z:work").await;
        let mut call = world.call(&service);
        call.open.rules[0].limits.max_response_bytes = 50_000;
        let handle = world.open(call).await;
        let got = connector.get(handle, &format!("https://api.example.com:{}/", service.port), None).await;
        assert!(got.cut && got.body.len() <= 50_000, "{alpn}: {} bytes, cut: {}", got.body.len(), got.cut);
        while service.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut() {
    let answer: Answerer = Arc::new(|_| Response::new(text("fine")));
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.total_timeout_ms = 300;
    let handle = world.open(call).await;
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(b"and then".to_vec()).expect("room");
    let request = Request::post(format!("https://api.example.com:{}/", service.port))
        .header("x-fcp-egress-handle", handle.to_string());
    let got = connector.send(request.body(Chunks(receiver).boxed()).expect("request")).await;
    assert_eq!(got.refusal().as_deref(), Some("total_timeout"), "{got:?}");
    drop(sender);
}

#[tokio::test]
async fn a_connector_that_does_not_read_holds_no_service_beyond_the_time() {
    // More than stands in the windows and buffers between them.
    let answer: Answerer = Arc::new(|_| Response::new(text(vec![b'x'; 30_000_000])));
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits.max_response_bytes = 30_000_000;
    call.open.rules[0].limits.total_timeout_ms = 300;
    let handle = world.open(call).await;
    let request = get(handle, &format!("https://api.example.com:{}/", service.port), None);
    let unread = connector.sender.send_request(request).await.expect("a head");
    while service.open.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!(report.refusals.iter().map(|it| it.name()).collect::<Vec<_>>(), ["total_timeout"]);
    drop(unread);
}
