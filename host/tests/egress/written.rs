//! What connectors write, a case a line of `cases/requests.json`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fcp_state_machines::call::egress::{HostPattern, Target};
use serde::Deserialize;

use crate::frames::{CONTINUATION, DATA, HEADERS, frame};
use crate::shapes::{Header, Heard, Known, Verdict, listening, utter};
use crate::world::{Canary, Service, World};

/// What a connector writes on its descriptor, and what becomes of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    class: String,
    name: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default = "https")]
    scheme: String,
    #[serde(default = "api")]
    authority: String,
    #[serde(default = "root")]
    path: String,
    /// Headers beside those, the handle and the slot.
    #[serde(default)]
    also: Vec<Header>,
    /// All headers, instead of those.
    headers: Option<Vec<Header>>,
    body: Option<String>,
    /// Headers after the body.
    trailers: Option<Vec<Header>>,
    /// What names resolve to.
    #[serde(default)]
    names: BTreeMap<String, Vec<IpAddr>>,
    /// The operation does not declare the host.
    #[serde(default)]
    undeclared: bool,
    /// Code, reason and class of the address; or `protocol`, if it is no HTTP/2. Otherwise it is sent.
    refused: Option<String>,
    /// What the service must read.
    #[serde(default)]
    heard: Vec<String>,
    /// What it must not.
    #[serde(default)]
    unheard: Vec<String>,
}

fn get() -> String {
    "GET".into()
}

fn https() -> String {
    "https".into()
}

fn api() -> String {
    "api.example.com:{port}".into()
}

fn root() -> String {
    "/".into()
}

#[tokio::test]
async fn what_a_connector_writes_is_sent_or_refused_as_listed() {
    let cases: Vec<Written> = serde_json::from_str(include_str!("cases/requests.json")).expect("cases");
    let (world, canary, heard) = (World::start().await, Canary::start().await, Heard::default());
    let service = listening(heard.clone()).await;
    let mut wrong = Vec::new();
    for case in &cases {
        let verdict = ask(&world, &service, &canary, case).await;
        let heard = std::mem::take(&mut *heard.lock().expect("lock"));
        if let Err(why) = judge(case, &verdict, &heard) {
            wrong.push(format!("{}: {}: {why}", case.class, case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    canary.saw_nothing();
}

async fn ask(world: &World, service: &Service, canary: &Canary, case: &Written) -> Verdict {
    let mut call = world.call(service);
    let known = Known(vec![
        ("{port}", service.port.to_string()),
        ("{canary}", canary.port.to_string()),
        ("{handle}", call.open.handle.to_string()),
        ("{17 KiB}", "x".repeat(17 << 10)),
        ("{70 KB}", "x".repeat(70_000)),
    ]);
    for (name, addresses) in &case.names {
        world.names.set(name, vec![addresses.clone()]);
    }
    call.open.rules[0].ports.extend([443, 80, canary.port]);
    let declared = Target::parse(&known.text(&format!("https://{}/", case.authority)));
    if let Ok(target) = declared.as_ref()
        && !case.undeclared
    {
        call.open.rules[0].hosts.push(HostPattern::Exact(target.origin.host.clone()));
    }
    let handle = world.open(call).await;
    let verdict = utter(world.attach("github", "z:work").await, &request(case, &known)).await;
    world.client.close_call(handle).await.expect("closed");
    verdict
}

/// The frames of a request on stream 1.
fn request(case: &Written, known: &Known) -> Vec<u8> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = vec![
        pair(":method", &case.method),
        pair(":scheme", &case.scheme),
        pair(":authority", &case.authority),
        pair(":path", &case.path),
        pair("x-fcp-egress-handle", "{handle}"),
        pair("x-fcp-credential", "main"),
    ];
    headers.extend(case.also.iter().cloned());
    let headers = case.headers.as_ref().unwrap_or(&headers);
    let last = u8::from(case.body.is_none() && case.trailers.is_none());
    let mut bytes = Vec::new();
    let whole = known.block(headers);
    let parts: Vec<_> = whole.chunks(16_384).collect();
    for (index, part) in parts.iter().enumerate() {
        let kind = if index == 0 { HEADERS } else { CONTINUATION };
        let ends = if index + 1 == parts.len() { 4 } else { 0 };
        bytes.extend(frame(kind, ends | if index == 0 { last } else { 0 }, 1, part));
    }
    if let Some(body) = &case.body {
        bytes.extend(frame(DATA, u8::from(case.trailers.is_none()), 1, &known.bytes(body)));
    }
    if let Some(trailers) = &case.trailers {
        bytes.extend(frame(HEADERS, 4 | 1, 1, &known.block(trailers)));
    }
    bytes
}

fn judge(case: &Written, verdict: &Verdict, heard: &[Vec<u8>]) -> Result<(), String> {
    let text = heard.concat().into_iter().map(char::from).collect::<String>();
    match (verdict, &case.refused) {
        (Verdict::Refused(told), Some(expected)) if told == expected => {}
        (Verdict::Protocol, Some(expected)) if expected == "protocol" => {}
        (Verdict::Passed, None) => {
            let requests = text.matches(" HTTP/1.1\r\n").count();
            if requests != 1 {
                return Err(format!("{requests} requests: {text}"));
            }
            let missing = case.heard.iter().find(|words| !text.contains(*words));
            let leaked = case.unheard.iter().find(|words| text.to_lowercase().contains(*words));
            return match missing.or(leaked) {
                Some(words) => Err(format!("`{words}` in {text}")),
                None => Ok(()),
            };
        }
        _ => return Err(format!("{verdict:?}, the service heard {text:?}")),
    }
    if text.is_empty() { Ok(()) } else { Err(format!("refused, and the service heard {text:?}")) }
}
