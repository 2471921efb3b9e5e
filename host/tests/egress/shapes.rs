//! What requests and answers are made of that nobody should write, and who hears them.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::frames::{DATA, Frame, GOAWAY, PREFACE, RST_STREAM, SETTINGS, block, frame};
use crate::world::Service;

/// A header as a case writes it: each character is a byte.
pub(crate) type Header = (String, String);

/// Fills in what a case cannot know.
#[derive(Clone)]
pub(crate) struct Known(pub(crate) Vec<(&'static str, String)>);

impl Known {
    pub(crate) fn bytes(&self, text: &str) -> Vec<u8> {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        filled.chars().map(|c| u8::try_from(c).expect("a character is a byte")).collect()
    }

    pub(crate) fn text(&self, text: &str) -> String {
        self.bytes(text).into_iter().map(char::from).collect()
    }

    pub(crate) fn block(&self, headers: &[Header]) -> Vec<u8> {
        let bytes: Vec<_> =
            headers.iter().map(|(name, value)| (self.bytes(name), self.bytes(value))).collect();
        block(bytes.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
    }
}

/// What a connector hears of its request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Code, reason and the class of the address.
    Refused(String),
    /// It was no HTTP/2.
    Protocol,
    /// Somebody answered.
    Passed,
}

/// Writes a request and reads what comes of it.
pub(crate) async fn utter(mut stream: UnixStream, request: &[u8]) -> Verdict {
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, 1, 0, b""), request].concat();
    // What is turned away early may not be read to its end.
    drop(stream.write_all(&opening).await);
    let mut body = Vec::new();
    loop {
        let Ok(frame) = Frame::read(&mut stream).await else { return Verdict::Protocol };
        match frame.kind {
            RST_STREAM | GOAWAY => return Verdict::Protocol,
            DATA => body.extend_from_slice(&frame.payload),
            _ => {}
        }
        if frame.ends() {
            break;
        }
    }
    // The HTTP/2 layer turns away without a word (431); egress and the service have one.
    if body.is_empty() {
        return Verdict::Protocol;
    }
    let told = serde_json::from_slice::<Value>(&body).ok().filter(|told| told["reason"].is_string());
    told.map_or(Verdict::Passed, |told| Verdict::Refused(words(&told)))
}

fn words(told: &Value) -> String {
    let [code, reason, message] = ["code", "reason", "message"].map(|key| told[key].as_str().expect("text"));
    let class = message.split_once(" (").map_or(String::new(), |(_, class)| format!(" ({class}"));
    format!("{code} {reason}{class}")
}

/// Everything that services were told, for each connection.
pub(crate) type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A service over HTTP/1.1 that keeps what it hears and answers every request alike.
pub(crate) async fn listening(heard: Heard) -> Service {
    Service::by_hand(&["api.example.com"], &["http/1.1"], move |mut stream| {
        let heard = heard.clone();
        async move {
            let index = {
                let mut heard = heard.lock().expect("lock");
                heard.push(Vec::new());
                heard.len() - 1
            };
            let mut chunk = vec![0; 4096];
            let mut answered = false;
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                let whole = {
                    let mut heard = heard.lock().expect("lock");
                    heard[index].extend_from_slice(&chunk[..length]);
                    is_whole(&heard[index])
                };
                if whole && !std::mem::replace(&mut answered, true) {
                    // The rest is read too: a second request would be heard.
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await);
                }
            }
        }
    })
    .await
}

/// Whether a request is there as a whole.
pub(crate) fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().expect("a length"))
}
