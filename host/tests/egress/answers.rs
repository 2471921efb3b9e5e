//! No answer brings a credential back to the connector.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::world::{Answerer, Body, Chunks, Got, SECRET, Service, World, text};

/// A body of these chunks, each in its own frame.
fn chunks(parts: Vec<Vec<u8>>) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for part in parts {
            if sender.send(part).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    Chunks(receiver).boxed()
}

async fn ask(answer: Answerer) -> (Got, fcp_host::egress::CallReport) {
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let got =
        connector.get(handle, &format!("https://api.example.com:{}/", service.port), Some("main")).await;
    let report = world.client.close_call(handle).await.expect("report");
    (got, report)
}

#[tokio::test]
async fn an_echo_in_a_header_is_refused() {
    for value in [SECRET.to_owned(), format!("Bearer {SECRET}"), STANDARD.encode(format!("u:{SECRET}"))] {
        let echo = value.clone();
        let (got, report) = ask(Arc::new(move |_| {
            Response::builder().header("x-echo", &echo).body(text("")).expect("response")
        }))
        .await;
        assert_eq!((got.status, got.refusal().as_deref()), (502, Some("secret_in_answer")));
        assert_eq!(got.header("x-fcp-egress-effect"), Some("maybe"));
        assert!(!got.contains(&value) && !got.contains(SECRET));
        assert_eq!(report.refusals.len(), 1);
    }
}

#[tokio::test]
async fn an_echo_in_the_body_is_cut_before_its_first_byte() {
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for spelling in [SECRET.to_owned(), STANDARD.encode(SECRET), percent] {
        for split in [0, 1, spelling.len() / 2, spelling.len() - 1] {
            let text = spelling.clone();
            let (got, report) = ask(Arc::new(move |_| {
                let (first, second) = text.split_at(split);
                Response::new(chunks(vec![
                    b"before ".to_vec(),
                    first.into(),
                    second.into(),
                    b" after".to_vec(),
                ]))
            }))
            .await;
            assert!(got.cut, "{spelling} at {split}: {got:?}");
            assert!(
                b"before ".starts_with(&got.body),
                "{spelling} at {split}: {:?}",
                String::from_utf8_lossy(&got.body)
            );
            assert_eq!(report.refusals.iter().map(|r| r.name()).collect::<Vec<_>>(), ["secret_in_answer"]);
        }
    }
}

#[tokio::test]
async fn a_redirect_that_holds_the_credential_is_not_followed() {
    let (got, report) = ask(Arc::new(|_| {
        let location = format!("/next?t={}", SECRET.replace('/', "%2F"));
        Response::builder().status(302).header("location", location).body(text("")).expect("response")
    }))
    .await;
    assert_eq!(got.refusal().as_deref(), Some("secret_in_answer"));
    assert_eq!(report.requests, 1);
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    let (got, _) = ask(Arc::new(|_| {
        Response::builder().header("content-encoding", "gzip").body(text("x")).expect("response")
    }))
    .await;
    assert_eq!((got.status, got.refusal().as_deref()), (502, Some("encoded_answer")));
}

#[tokio::test]
async fn cookies_and_our_own_words_do_not_come_back() {
    let (got, _) = ask(Arc::new(|_| {
        let response =
            Response::builder().header("set-cookie", "a=b").header("x-fcp-egress-error", "FCP-7101");
        response.header("link", "<x>").body(text("body")).expect("response")
    }))
    .await;
    assert_eq!((got.status, got.body.as_slice(), got.header("link")), (200, b"body".as_slice(), Some("<x>")));
    assert!(got.header("set-cookie").is_none() && got.header("x-fcp-egress-error").is_none());
}

#[tokio::test]
async fn an_answer_streams_while_it_is_made() {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>(1);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let answer: Answerer = Arc::new(move |_| {
        let receiver = receiver.lock().expect("lock").take().expect("one request");
        Response::new(Chunks(receiver).boxed())
    });
    let service = Service::start(&["api.example.com"], &["h2"], answer).await;
    let world = World::start().await;
    let mut connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let request =
        crate::world::get(handle, &format!("https://api.example.com:{}/", service.port), Some("main"));
    let mut response = connector.sender.send_request(request).await.expect("head before the body ends");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(event.as_bytes().to_vec()).await.expect("sent");
        let frame =
            response.body_mut().frame().await.expect("a frame").expect("whole").into_data().expect("data");
        assert_eq!(frame, event);
    }
    drop(sender);
    assert!(response.body_mut().frame().await.is_none_or(|frame| frame.is_ok()));
}
