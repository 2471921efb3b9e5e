//! What services answer, a case a line of `cases/answers.json`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fcp_state_machines::call::egress::Refusal;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::frames::{DATA, Frame, HEADERS, SETTINGS, frame};
use crate::shapes::{Header, Known, is_whole};
use crate::world::{Canary, LOOPBACK, SECRET, Service, World};

/// What a service writes, and what the connector gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    class: String,
    name: String,
    /// Over HTTP/1.1: each part in its own writing.
    #[serde(default)]
    answer: Vec<String>,
    /// Each byte in its own writing.
    #[serde(default)]
    apart: bool,
    /// Over HTTP/2.
    #[serde(default)]
    frames: Vec<Piece>,
    #[serde(default)]
    end: End,
    /// How long the service may be silent.
    idle_ms: Option<u64>,
    /// The reason, with the one within of a redirect. Otherwise the body is handed on.
    refused: Option<String>,
    /// The whole body.
    body: Option<String>,
}

/// A frame: headers, data or anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    h: Option<Vec<Header>>,
    d: Option<String>,
    /// Kind, flags and payload.
    raw: Option<(u8, u8, String)>,
    /// The last of its stream.
    #[serde(default)]
    fin: bool,
    /// More of its headers is said to follow.
    #[serde(default)]
    part: bool,
    /// On another stream than the request's.
    stream: Option<u32>,
    /// So often.
    times: Option<usize>,
}

/// What the service does once it has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// Ends the stream in order.
    #[default]
    Close,
    /// Drops the connection without a word.
    Cut,
    /// Waits for ever.
    Wait,
}

#[tokio::test]
async fn what_a_service_answers_is_handed_on_or_refused_as_listed() {
    let cases: Vec<Answered> = serde_json::from_str(include_str!("cases/answers.json")).expect("cases");
    let (world, canary) = (World::start().await, Canary::start().await);
    let now = Arc::new(Mutex::new(None));
    let services = [answering(&["http/1.1"], now.clone()).await, answering(&["h2"], now.clone()).await];
    let mut wrong = Vec::new();
    for case in &cases {
        let service = &services[usize::from(!case.frames.is_empty())];
        *now.lock().expect("lock") = Some((case.clone(), known_of(service, &canary)));
        if let Err(why) = receive(&world, service, &canary, case).await {
            wrong.push(format!("{}: {}: {why}", case.class, case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    canary.saw_nothing();
}

fn known_of(service: &Service, canary: &Canary) -> Known {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    Known(vec![
        ("{port}", service.port.to_string()),
        ("{canary}", canary.port.to_string()),
        ("{secret}", SECRET.to_owned()),
        ("{first half}", SECRET[..13].to_owned()),
        ("{second half}", SECRET[13..].to_owned()),
        ("{base64}", STANDARD.encode(SECRET)),
        ("{pair in base64}", STANDARD.encode(format!("user:{SECRET}"))),
        ("{hexadecimal}", SECRET.bytes().map(|byte| format!("{byte:02X}")).collect()),
        ("{percent}", SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect()),
        ("{lower case}", SECRET.to_lowercase()),
        ("{70 KB}", "x".repeat(70_000)),
        ("{300 KB}", "x".repeat(300_000)),
    ])
}

/// The case that the service answers now.
type Current = Arc<Mutex<Option<(Answered, Known)>>>;

async fn answering(alpn: &[&str], now: Current) -> Service {
    Service::by_hand(&["api.example.com"], alpn, move |stream| {
        let case = now.lock().expect("lock").clone();
        async move {
            let Some((case, known)) = case else { return };
            // Egress may have broken off meanwhile, as it should.
            drop(answer(stream, &case, &known).await);
        }
    })
    .await
}

async fn answer(mut stream: TlsStream<TcpStream>, case: &Answered, known: &Known) -> std::io::Result<()> {
    if case.frames.is_empty() {
        let mut heard = Vec::new();
        while !is_whole(&heard) {
            stream.read_buf(&mut heard).await?;
        }
        for part in &case.answer {
            let part = known.bytes(part);
            let length = if case.apart { 1 } else { part.len().max(1) };
            for piece in part.chunks(length) {
                stream.write_all(piece).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
        }
    } else {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await?;
        stream.write_all(&[frame(SETTINGS, 0, 0, b""), frame(SETTINGS, 1, 0, b"")].concat()).await?;
        while Frame::read(&mut stream).await?.kind != HEADERS {}
        for written in &case.frames {
            stream.write_all(&written.bytes(known)).await?;
        }
    }
    stream.flush().await?;
    match case.end {
        End::Close => stream.shutdown().await?,
        End::Cut => return Ok(()),
        End::Wait => {}
    }
    // Until egress has gone: what it has not read yet must not be lost with the connection.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.map(|_| ())
}

impl Piece {
    fn bytes(&self, known: &Known) -> Vec<u8> {
        let (stream, fin) = (self.stream.unwrap_or(1), u8::from(self.fin));
        let one = match (&self.h, &self.d, &self.raw) {
            (Some(headers), None, None) => {
                frame(HEADERS, fin | if self.part { 0 } else { 4 }, stream, &known.block(headers))
            }
            (None, Some(data), None) => frame(DATA, fin, stream, &known.bytes(data)),
            (None, None, Some((kind, flags, payload))) => frame(*kind, *flags, stream, &known.bytes(payload)),
            _ => panic!("one of headers, data and anything: {self:?}"),
        };
        one.repeat(self.times.unwrap_or(1))
    }
}

async fn receive(world: &World, service: &Service, canary: &Canary, case: &Answered) -> Result<(), String> {
    let mut call = world.call(service);
    call.open.rules[0].ports.extend([443, 80, canary.port]);
    call.open.rules[0].hosts.extend(["127.0.0.1", "api.example.org"].map(|host| host.parse().expect("host")));
    world.names.set("api.example.org", vec![vec![LOOPBACK]]);
    if let Some(idle) = case.idle_ms {
        call.open.rules[0].limits.idle_timeout_ms = idle;
    }
    let handle = world.open(call).await;
    let connector = world.connector("github", "z:work").await;
    let url = format!("https://api.example.com:{}/start", service.port);
    let asked = connector.get(handle, &url, Some("main"));
    let got = tokio::time::timeout(Duration::from_secs(30), asked).await.map_err(|_| "no end")?;
    let report = world.client.close_call(handle).await.expect("report");
    let refusals: Vec<_> = report.refusals.iter().map(told).collect();
    let known = known_of(service, canary);
    let whole: String = got.body.iter().copied().map(char::from).collect();
    let leaked = ["{secret}", "{base64}", "{hexadecimal}", "{percent}", "{lower case}", "{second half}"];
    if let Some(spelling) = leaked.iter().find(|it| got.contains(&known.text(it))) {
        return Err(format!("{spelling} came back: {got:?}"));
    }
    if got.contains("smuggled") || got.headers.keys().any(|name| name.as_str().contains("smuggled")) {
        return Err(format!("what was smuggled came back: {got:?}"));
    }
    let as_listed = match (&case.refused, &case.body) {
        (Some(reason), None) => refusals == [reason.as_str()] && (got.cut || got.refusal().is_some()),
        (None, Some(body)) => refusals.is_empty() && !got.cut && whole == known.text(body),
        _ => panic!("either refused or a body: {case:?}"),
    };
    if as_listed { Ok(()) } else { Err(format!("{refusals:?}, {got:?}")) }
}

fn told(refusal: &Refusal) -> String {
    if let Refusal::Redirect(within) = refusal {
        return format!("redirect: {}", within.name());
    }
    refusal.name().to_owned()
}
