//! Connectors that break the protocol: each is contained, named and replaced.

use fcp_host::connectors::StateName;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::Effect;
use fcp_state_machines::node::Outcome;
use serde_json::json;

use crate::world::{World, unruly};

/// The call that breaks ends as a protocol error, and the next is served by another process.
async fn contained(how: &str) {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let unruly = unruly("", Some(folder.path()));
    let broken = world.call(1, &unruly, "unruly.act", &json!({ "do": how }), 30_000).await;
    // It may have written files, so nobody knows what it did.
    let Outcome::Unknown { code, message, .. } = &broken else { panic!("{how}: {broken:?}") };
    assert_eq!(*code, Code::ConnectorProtocol, "{how}: {message}");
    let next = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(next, Outcome::Succeeded { effect: Effect::Made, .. }), "{how}: {next:?}");
    assert_eq!(world.runner.status().await[0].restarts, 1, "{how}");
    world.end().await;
}

macro_rules! contained {
    ($($name:ident $how:literal;)+) => {
        $(#[tokio::test] async fn $name() { contained($how).await; })+
    };
}

contained! {
    text_that_is_no_message "garbage";
    invalid_utf8 "utf8";
    a_line_that_is_too_long "long";
    an_answer_to_no_request "unknown_id";
    progress_of_another_call "other_call";
    an_answer_with_more_members "members";
    a_flood "flood";
    a_closed_output "close";
}

#[tokio::test]
async fn a_second_answer_replaces_the_process() {
    let world = World::new();
    let unruly = unruly("", None);
    let first = world.call(1, &unruly, "unruly.act", &json!({ "do": "twice" }), 30_000).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    world.until(|status| status.state == StateName::BackingOff).await;
    let trouble = world.runner.status().await[0].trouble.clone().unwrap();
    let trouble = trouble.words();
    assert!(trouble.contains("answered a request that was not open"), "{trouble}");
    world.end().await;
}

#[tokio::test]
async fn silence_ends_with_the_time_and_the_process() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let unruly = unruly("", Some(folder.path()));
    let silent = world.call(1, &unruly, "unruly.act", &json!({ "do": "ignore" }), 300).await;
    assert!(matches!(silent, Outcome::Unknown { code: Code::OutcomeUnknown, .. }), "{silent:?}");
    let next = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(next, Outcome::Succeeded { .. }), "{next:?}");
    assert_eq!(world.runner.status().await[0].restarts, 1);
    world.end().await;
}

#[tokio::test]
async fn an_error_is_handed_on() {
    let world = World::new();
    let outcome = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "error" }), 30_000).await;
    let Outcome::Failed { code, message, effect, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, message.as_str(), effect), (Code::UpstreamNotFound, "no such thing", Effect::None));
    world.end().await;
}

#[tokio::test]
async fn the_pause_that_a_connector_asks_for_is_handed_on() {
    let world = World::new();
    let outcome = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "busy" }), 30_000).await;
    let Outcome::Failed { code, retry_after_ms, message, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, retry_after_ms), (Code::UpstreamRateLimited, Some(7_000)));
    assert_eq!(message, "too many");
    world.end().await;
}

#[tokio::test]
async fn a_connector_sees_no_environment_and_only_its_call() {
    let world = World::new();
    let outcome = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "look" }), 30_000).await;
    let Outcome::Succeeded { output, .. } = outcome else { panic!("{outcome:?}") };
    let seen: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(seen["environment"], json!([]));
    assert_eq!(seen["arguments"], json!(["unruly"]));
    let members: Vec<&String> = seen["invoke"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["call_id", "credentials", "deadline_ms", "input", "operation"]);
    world.end().await;
}
