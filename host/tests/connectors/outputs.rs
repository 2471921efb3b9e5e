//! Answers that are not what their operation declares.

use std::path::Path;
use std::sync::Arc;

use fcp_host::connectors::{Installation, Limits};
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::Effect;
use fcp_state_machines::node::Outcome;
use serde_json::json;

use crate::service::Service;
use crate::world::{World, notes, unruly};

//= docs/spec/connectors.md#outputs
async fn misfit(folder: Option<&Path>, claim: &str) -> Outcome {
    let world = World::new();
    let input = json!({ "do": "misfit", "effect": claim });
    let outcome = world.call(1, &unruly("", folder), "unruly.act", &input, 30_000).await;
    assert!(!format!("{outcome:?}").contains("evil"), "{outcome:?}");
    world.end().await;
    outcome
}

#[tokio::test]
async fn an_output_that_does_not_fit_is_not_handed_on() {
    let outcome = misfit(None, "made").await;
    let Outcome::Failed { code, effect, message, .. } = outcome else { panic!("{outcome:?}") };
    // It can write no file and asked nobody: nothing can have happened.
    assert_eq!((code, effect), (Code::ConnectorOutputInvalid, Effect::None));
    assert!(message.contains("/type"), "{message}");
}

#[tokio::test]
async fn a_write_whose_answer_does_not_fit_happened_or_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let made = misfit(Some(folder.path()), "made").await;
    let Outcome::Failed { code, effect, .. } = made else { panic!("{made:?}") };
    assert_eq!((code, effect), (Code::ConnectorOutputInvalid, Effect::Made));
    for claim in ["none", "unknown"] {
        let outcome = misfit(Some(folder.path()), claim).await;
        assert!(
            matches!(outcome, Outcome::Unknown { code: Code::ConnectorOutputInvalid, .. }),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_output_beyond_the_limit_is_not_handed_on() {
    let world = World::with(Limits { max_output_bytes: 1 << 20, ..Limits::default() });
    let outcome = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "large" }), 30_000).await;
    assert!(matches!(outcome, Outcome::Failed { code: Code::ConnectorOutputInvalid, .. }), "{outcome:?}");
    world.end().await;
}

/// The connector with another output schema for all its operations.
fn with_schema(installation: &Installation, schema: &str) -> Arc<Installation> {
    let source = std::str::from_utf8(installation.manifest.source()).unwrap();
    let source = source.replace("schema = { type = \"object\" }", schema);
    Arc::new(Installation { manifest: Manifest::parse(source.as_bytes()).unwrap(), ..installation.clone() })
}

#[tokio::test]
async fn an_answer_of_a_service_that_does_not_fit_ends_a_write_that_was_made() {
    let (world, service) = (World::new(), Service::start().await);
    let strict = with_schema(&notes(&service), "schema = { type = \"object\", required = [\"url\"] }");
    let outcome = world.call(1, &strict, "notes.add", &json!({ "text": "x" }), 30_000).await;
    let Outcome::Failed { code, effect, usage, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, effect, usage.requests), (Code::ConnectorOutputInvalid, Effect::Made, 1));
    world.end().await;
}

#[tokio::test]
async fn without_a_schema_that_can_be_checked_no_call_is_handed_over() {
    let (world, service) = (World::new(), Service::start().await);
    let wrong = with_schema(&notes(&service), "schema = { type = \"thing\" }");
    let outcome = world.call(1, &wrong, "notes.add", &json!({ "text": "x" }), 30_000).await;
    assert!(matches!(outcome, Outcome::NotDelivered { code: Code::ManifestInvalid, .. }), "{outcome:?}");
    assert!(service.state.seen().is_empty());
    world.end().await;
}
