//! The vectors of decisions, uttered to the process.

use std::net::IpAddr;

use fcp_state_machines::call::egress::{Host, HostPattern, Target};
use serde_json::Value;

use crate::frames::{HEADERS, block, frame};
use crate::shapes::{Header, Heard, Verdict, listening, utter};
use crate::world::{Canary, LOOPBACK, World};

/// Every vector that must be refused, uttered by a connector whose operation declares the very host. Names resolve to what
/// the vector says or else to loopback, where a canary listens on the port asked for.
#[tokio::test]
async fn no_refused_vector_reaches_loopback() {
    let canary = Canary::start().await;
    let heard = Heard::default();
    let service = listening(heard.clone()).await;
    let world = World::start().await;
    let vectors = [
        include_str!("../../../vectors/egress/sample.json"),
        include_str!("../../../vectors/egress/classes.json"),
    ];
    let mut asked = 0;
    for text in vectors {
        let file: Value = serde_json::from_str(text).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases").iter().filter(|case| case["expect"] == "deny") {
            let mut call = world.call(&service);
            call.open.exceptions.clear();
            call.open.rules[0].ports = vec![443, 80, canary.port];
            resolve(&world, case);
            let url = case["url"].as_str().unwrap_or_default();
            if let Ok(target) = Target::parse(url) {
                if let Host::Name(name) = &target.origin.host
                    && case.get("dns").is_none()
                {
                    world.names.set(name, vec![vec![LOOPBACK]]);
                }
                call.open.rules[0].hosts.push(HostPattern::Exact(target.origin.host));
            }
            let handle = world.open(call).await;
            let headers = uttered(case, url, &handle.to_string());
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let request = frame(HEADERS, 4 | 1, 1, &block(headers));
            let verdict = utter(world.attach("github", "z:work").await, &request).await;
            // Whoever fails to connect has tried.
            let decided = match &verdict {
                Verdict::Refused(told) => !told.contains(" connect_") && !told.contains(" tls_"),
                Verdict::Protocol => true,
                Verdict::Passed => false,
            };
            assert!(decided, "{case}: {verdict:?}");
            let report = world.client.close_call(handle).await.expect("closed");
            assert_eq!(report.requests, 0, "{case}");
            asked += 1;
        }
    }
    assert!(asked > 350, "only {asked} vectors were asked");
    canary.saw_nothing();
    assert!(heard.lock().expect("lock").is_empty());
}

/// Has names resolve to loopback and what the vector says.
fn resolve(world: &World, case: &Value) {
    for (name, answers) in case.get("dns").and_then(Value::as_object).into_iter().flatten() {
        let address = |address: &Value| address.as_str().expect("text").parse().expect("address");
        let addresses = |answer: &Value| -> Vec<IpAddr> {
            let listed = answer.as_array().expect("list").iter().map(address);
            std::iter::once(LOOPBACK).chain(listed).collect()
        };
        world.names.set(name, answers.as_array().expect("answers").iter().map(addresses).collect());
    }
}

/// A vector as headers: its URL taken apart where HTTP/2 takes it apart, or its request line.
fn uttered(case: &Value, url: &str, handle: &str) -> Vec<Header> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = if let Some(line) = case["raw"]["request_line"].as_str() {
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let host = case["raw"]["host"].as_str().unwrap_or_default();
        match method {
            "CONNECT" => vec![pair(":method", method), pair(":authority", target), pair("host", host)],
            _ => vec![
                pair(":method", method),
                pair(":scheme", "https"),
                pair(":authority", host),
                pair(":path", target),
            ],
        }
    } else {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let path = if rest[end..].is_empty() { "/" } else { &rest[end..] };
        vec![
            pair(":method", case["method"].as_str().unwrap_or("GET")),
            pair(":scheme", scheme),
            pair(":authority", &rest[..end]),
            pair(":path", path),
        ]
    };
    headers.push(pair("x-fcp-egress-handle", handle));
    headers
}
