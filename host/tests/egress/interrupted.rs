//! The process killed, stopped, started again and drowned in the middle of calls, and connectors that leave.

use std::sync::Arc;
use std::time::Duration;

use fcp_host::egress::{ClientError, Effect};
use fcp_state_machines::call::egress::{Limits, Scope};
use http::Response;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::frames::{DATA, Frame, HEADERS, SETTINGS, block, frame};
use crate::world::{Answerer, BLOCKING, Chunks, NEVER_ANSWERED, Service, World, get, read, rule, text};
use http_body_util::BodyExt;

/// A service that begins an answer and never ends it; what it sends then is the test's.
async fn hanging() -> (Service, mpsc::Sender<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(b"first".to_vec()).await.expect("sent");
    let receiver = std::sync::Mutex::new(Some(receiver));
    let answer: Answerer = Arc::new(move |_| {
        let receiver = receiver.lock().expect("lock").take();
        receiver.map_or_else(|| Response::new(text("again")), |it| Response::new(Chunks(it).boxed()))
    });
    (Service::start(&["api.example.com"], &["http/1.1"], answer).await, sender)
}

fn url(service: &Service) -> String {
    format!("https://api.example.com:{}/", service.port)
}

//= docs/spec/egress.md#control
#[tokio::test]
async fn a_killed_process_takes_its_calls_along_and_its_successor_knows_none_of_them() {
    let (service, _sender) = hanging().await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let request = get(handle, &url(&service), Some("main"));
    let mut response = connector.sender.send_request(request).await.expect("head");
    assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
    world.process.signal(Signal::KILL);
    assert!(read(response).await.cut, "no answer is whole without its end");
    service.deserted().await;
    assert_eq!(world.client.close_call(handle).await, Err(ClientError::Gone), "what it sent is not known");
    assert_eq!(world.client.open_call(world.call(&service)).await, Err(ClientError::Gone));
    assert!(connector.sender.send_request(get(handle, &url(&service), None)).await.is_err());

    let successor = World::start().await;
    let again = successor.connector("github", "z:work").await;
    let stale = again.get(handle, &url(&service), Some("main")).await;
    assert_eq!(stale.refusal().as_deref(), Some("handle_invalid"));
    let fresh = successor.open(successor.call(&service)).await;
    assert_eq!(again.get(fresh, &url(&service), Some("main")).await.body, b"again");
}

#[tokio::test]
async fn a_stopped_process_is_found_out_and_whoever_waits_for_it_learns_that_it_is_gone() {
    let (service, _sender) = hanging().await;
    let world = World::with_patience(Duration::from_millis(200)).await;
    let handle = world.open(world.call(&service)).await;
    world.process.stop();
    let asking = {
        let (closing, client) = (world.client.clone(), world.client.clone());
        let revoking = async move { client.revoke(Scope::Everything, 11).await };
        tokio::spawn(async move { tokio::join!(closing.close_call(handle), revoking) })
    };
    world.client.silent().await;
    // Stopped, it may still hold what was to be closed: nobody is told that it is.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asking.is_finished());
    world.process.signal(Signal::KILL);
    assert_eq!(asking.await.expect("asked"), (Err(ClientError::Gone), Err(ClientError::Gone)));
}

#[tokio::test]
async fn a_process_that_was_stopped_for_a_while_goes_on_and_cuts_what_has_run_out_of_time() {
    let (service, sender) = hanging().await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.deadline_ms = 1_000;
    let handle = world.open(call).await;
    let lasting = world.open(world.call(&service)).await;
    let request = get(handle, &url(&service), Some("main"));
    let mut response = connector.sender.send_request(request).await.expect("head");
    assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
    world.process.stop();
    // What the service says meanwhile waits, and comes too late.
    sender.send(b"second".to_vec()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.process.signal(Signal::CONT);
    assert!(read(response).await.cut);
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!(report.refusals.iter().map(|it| it.name()).collect::<Vec<_>>(), ["deadline_passed"]);
    assert_eq!(report.effect, Effect::Maybe);
    assert_eq!(connector.get(lasting, &url(&service), Some("main")).await.body, b"again");
}

/// How a service sends without end.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// In chunks.
    Chunks,
    /// Until the connection ends.
    Plain,
    /// In frames of HTTP/2.
    Frames,
}

const TEN_GIGABYTES: u64 = 10_000_000_000;

/// A service that would send ten gigabytes, made as they are taken.
async fn flooding(flood: Flood) -> Service {
    let alpn = match flood {
        Flood::Chunks | Flood::Plain => "http/1.1",
        Flood::Frames => "h2",
    };
    Service::by_hand(&["api.example.com"], &[alpn], move |mut stream| async move {
        let mut chunk = vec![0; 64 * 1024];
        let (head, piece) = match flood {
            Flood::Chunks => {
                let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
                (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), piece)
            }
            Flood::Plain => (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 0x10000]),
            Flood::Frames => {
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.expect("a preface");
                stream.write_all(&frame(SETTINGS, 0, 0, b"")).await.expect("written");
                while Frame::read(&mut stream).await.expect("a frame").kind != HEADERS {}
                let status = block([(b":status".as_slice(), b"200".as_slice())]);
                // Whatever its window: a service that keeps to it sends no flood.
                (frame(HEADERS, 4, 1, &status), frame(DATA, 0, 1, &[b'x'; 16_384]).repeat(4))
            }
        };
        if !matches!(flood, Flood::Frames) {
            assert!(stream.read(&mut chunk).await.expect("a request") > 0);
        }
        stream.write_all(&head).await.expect("written");
        let mut left = TEN_GIGABYTES;
        while left > 0 && stream.write_all(&piece).await.is_ok() {
            left = left.saturating_sub(piece.len() as u64);
        }
        assert!(left > TEN_GIGABYTES / 2, "egress took it all");
    })
    .await
}

#[tokio::test]
async fn an_answer_of_ten_gigabytes_ends_at_its_bound_and_takes_no_memory() {
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    for flood in [Flood::Chunks, Flood::Plain, Flood::Frames] {
        let service = flooding(flood).await;
        let mut peaks = Vec::new();
        // What a first answer takes is what any takes.
        for bound in [64 << 10, 6 << 20] {
            let mut call = world.call(&service);
            call.open.rules[0].limits.max_response_bytes = bound;
            let handle = world.open(call).await;
            let got = connector.get(handle, &url(&service), Some("main")).await;
            let report = world.client.close_call(handle).await.expect("report");
            let refusals: Vec<_> = report.refusals.iter().map(|it| it.name()).collect();
            assert!(got.cut || got.status == 502, "{flood:?}: {}", got.status);
            assert!(got.body.len() as u64 <= bound, "{flood:?}: {} bytes", got.body.len());
            // A service that sends more than HTTP/2 lets it may be broken off with before the bound.
            let broken = matches!(flood, Flood::Frames) && refusals == ["upstream_broken"];
            assert!(broken || refusals == ["response_too_large"], "{flood:?}: {refusals:?}");
            service.deserted().await;
            peaks.push(world.process.peak());
        }
        assert!(
            peaks[1].saturating_sub(peaks[0]) < 3 << 20,
            "{flood:?}: {peaks:?} for an answer that is not kept"
        );
    }
}

#[tokio::test]
async fn an_announced_answer_of_ten_gigabytes_is_refused_by_its_head() {
    let service = Service::by_hand(&["api.example.com"], &["http/1.1"], |mut stream| async move {
        let mut chunk = vec![0; 4096];
        assert!(stream.read(&mut chunk).await.expect("a request") > 0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {TEN_GIGABYTES}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        while matches!(stream.read(&mut chunk).await, Ok(1..)) {}
    })
    .await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let got = connector.get(handle, &url(&service), Some("main")).await;
    assert_eq!((got.status, got.header("x-fcp-egress-error")), (502, Some("FCP-7109")));
    assert_eq!(got.refusal().as_deref(), Some("response_too_large"));
}

#[tokio::test]
async fn a_connector_that_does_not_read_ten_gigabytes_has_egress_keep_none_of_them() {
    let service = flooding(Flood::Plain).await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules[0].limits =
        Limits { max_response_bytes: u64::MAX, total_timeout_ms: 700, ..call.open.rules[0].limits };
    let handle = world.open(call).await;
    let before = world.process.peak();
    let unread = connector.sender.send_request(get(handle, &url(&service), None)).await.expect("a head");
    service.deserted().await;
    let grown = world.process.peak().saturating_sub(before);
    // What stands in windows and buffers, and the first TLS connection of the process.
    assert!(grown < 16 << 20, "{grown} bytes for an answer that nobody reads");
    drop(unread);
}

//= docs/spec/egress.md#connection
#[tokio::test]
async fn a_request_that_its_connector_gives_up_before_the_answer_holds_no_connection() {
    // Read, and never answered.
    let service = Service::by_hand(&["api.example.com"], &["http/1.1"], |mut stream| async move {
        let mut chunk = vec![0; 4096];
        while matches!(stream.read(&mut chunk).await, Ok(1..)) {}
    })
    .await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let asked = connector.sender.send_request(get(handle, &url(&service), Some("main")));
    let asked = tokio::spawn(asked);
    while service.open.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    asked.abort();
    // The call is still open, and most of its time to come.
    tokio::time::timeout(Duration::from_secs(20), service.deserted()).await.expect("let go");
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!(report.refusals.iter().map(|it| it.name()).collect::<Vec<_>>(), ["call_closed"]);
}

#[tokio::test]
async fn the_limits_of_an_answer_are_those_of_the_rule_that_it_came_by() {
    let answer: Answerer = Arc::new(|seen| match seen.target.as_str() {
        "/start" => {
            let moved = Response::builder().status(302).header("location", "/narrow");
            moved.body(text("")).expect("response")
        }
        _ => Response::new(text(vec![b'x'; 5_000])),
    });
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    let mut narrow = rule("api.example.com", service.port);
    narrow.limits.max_response_bytes = 4_999;
    call.open.rules[0].paths = vec!["/start".parse().expect("path")];
    call.open.rules.push(narrow);
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("{}start", url(&service)), Some("main")).await;
    assert_eq!(got.refusal().as_deref(), Some("response_too_large"), "{got:?}");
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_ends_with_the_time_for_connecting() {
    let (service, _sender) = hanging().await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules.push(rule(NEVER_ANSWERED, 443));
    call.open.rules[1].limits.connect_timeout_ms = 100;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://{NEVER_ANSWERED}/"), None).await;
    assert_eq!((got.status, got.refusal().as_deref()), (504, Some("connect_timeout")));
    assert_eq!(got.header("x-fcp-egress-effect"), Some("none"));
}

//= docs/spec/egress.md#control
#[tokio::test]
async fn a_resolver_that_blocks_does_not_keep_the_process_from_its_end() {
    let (service, _sender) = hanging().await;
    let mut world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let mut call = world.call(&service);
    call.open.rules.push(rule(BLOCKING, 443));
    call.open.rules[1].limits.connect_timeout_ms = 100;
    let handle = world.open(call).await;
    let got = connector.get(handle, &format!("https://{BLOCKING}/"), None).await;
    assert_eq!(got.refusal().as_deref(), Some("connect_timeout"));
    world.client.shutdown().await.expect("asked");
    let ended = tokio::time::timeout(Duration::from_secs(20), world.process.ended()).await;
    assert!(ended.expect("ended").success());
}
