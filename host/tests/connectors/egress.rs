//! Calls through the engine and egress to a service.

use std::sync::atomic::Ordering;

use fcp_host::connectors::{Exercised, HealthReport, Launch, StateName};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::object::{Effect, RevocationObject, RevocationScope};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::node::Outcome;
use serde_json::json;

use crate::authority::{self, HEAD};
use crate::service::{HOST, SECRET, Service};
use crate::world::{World, notes, soon};

#[tokio::test]
async fn a_call_reaches_the_service_with_its_credential_and_comes_back() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let read = world.call(1, &notes, "notes.list", &json!({}), 20_000).await;
    let Outcome::Succeeded { output, effect: Effect::None, usage } = read else { panic!("{read:?}") };
    assert_eq!(output, r#"{"id":7,"text":"hello"}"#);
    assert_eq!(usage.requests, 1);
    assert!(usage.bytes_received > 0);
    let made = world.call(2, &notes, "notes.add", &json!({ "text": "x" }), 20_000).await;
    assert!(matches!(made, Outcome::Succeeded { effect: Effect::Made, .. }), "{made:?}");
    assert_eq!(service.state.seen(), ["GET /v1/notes", "POST /v1/notes"]);
    assert_eq!(world.vault.opened.load(Ordering::SeqCst), 2, "a secret is opened for each call");
    let status = &world.runner.status().await[0];
    assert_eq!((status.state, status.restarts, status.running), (StateName::Ready, 0, 0));
    assert!(status.sandbox.is_some());
    world.end().await;
}

#[tokio::test]
async fn a_refusal_of_the_service_is_a_failure_without_effect() {
    let (world, service) = (World::new(), Service::start().await);
    let outcome = world.call(1, &notes(&service), "notes.add", &json!({ "text": "refuse" }), 20_000).await;
    let Outcome::Failed { code, effect, usage, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, effect, usage.requests), (Code::UpstreamInvalid, Effect::None, 1));
    world.end().await;
}

#[tokio::test]
async fn a_write_that_ran_out_of_time_is_unknown() {
    let (world, service) = (World::new(), Service::start().await);
    let outcome = world.call(1, &notes(&service), "notes.add", &json!({ "text": "hang" }), 1_500).await;
    let Outcome::Unknown { code, usage, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, usage.requests), (Code::OutcomeUnknown, 1));
    world.end().await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_write_leaves_it_unknown() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let call = tokio::spawn(world.call(1, &notes, "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    let launcher = world.runner.status().await[0].launcher.unwrap();
    let launcher = rustix::process::Pid::from_raw(i32::try_from(launcher).unwrap()).unwrap();
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL).unwrap();
    let outcome = call.await.unwrap();
    assert!(matches!(outcome, Outcome::Unknown { code: Code::OutcomeUnknown, .. }), "{outcome:?}");
    let again = world.call(2, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(again, Outcome::Succeeded { .. }), "{again:?}");
    assert_eq!(world.runner.status().await[0].restarts, 1);
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_write_is_unknown_once_it_was_sent() {
    let (world, service) = (World::new(), Service::start().await);
    let call = tokio::spawn(world.call(1, &notes(&service), "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    world.runner.cancel(CallId::from_bytes([1; 16]));
    let outcome = call.await.unwrap();
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    world.end().await;
}

#[tokio::test]
async fn a_revoked_token_ends_its_call_and_no_other() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let call = tokio::spawn(world.call(1, &notes, "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    let revocation = revocation(RevocationScope::Capability, authority::token(1).as_bytes());
    soon(world.runner.revoked(&revocation, HEAD + 1)).await;
    let outcome = call.await.unwrap();
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    // Decided before the revocation, handed over after it.
    let late = world.call(1, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(late, Outcome::NotDelivered { code: Code::TokenRevoked, .. }), "{late:?}");
    let other = world.call(2, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(other, Outcome::Succeeded { .. }), "{other:?}");
    world.end().await;
}

#[tokio::test]
async fn a_revoked_binary_is_killed_before_the_revocation_returns() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let call = tokio::spawn(world.call(1, &notes, "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    let launcher = world.runner.status().await[0].launcher.unwrap();
    let revocation = revocation(RevocationScope::ConnectorBinary, notes.code_digest.as_bytes());
    soon(world.runner.revoked(&revocation, HEAD + 1)).await;
    assert!(!std::path::Path::new(&format!("/proc/{launcher}")).exists());
    assert!(matches!(call.await.unwrap(), Outcome::Unknown { .. }));
    let late = world.call(2, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(late, Outcome::NotDelivered { .. }), "{late:?}");
    let check = soon(world.runner.health(&authority::zone(), world.launch(&notes))).await;
    assert_eq!(
        (check.report, check.exercised),
        (HealthReport::Failed, Exercised::Nothing),
        "no check starts it"
    );
    world.end().await;
}

#[tokio::test]
async fn health_exercises_the_operation_through_its_whole_path() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let check = soon(world.runner.health(&authority::zone(), world.launch(&notes))).await;
    assert_eq!(check.report, HealthReport::Ready, "{check:?}");
    assert_eq!(check.exercised, Exercised::Operation("notes.list".parse().unwrap()));
    assert_eq!(service.state.seen(), ["GET /v1/notes"]);
    world.end().await;
}

#[tokio::test]
async fn health_without_its_credential_exercises_nothing_and_says_so() {
    let (world, service) = (World::new(), Service::start().await);
    let launch = Launch { health_credential: None, ..world.launch(&notes(&service)) };
    let check = soon(world.runner.health(&authority::zone(), launch)).await;
    assert_eq!(check.exercised, Exercised::Word);
    assert!(
        check.detail.as_deref().is_some_and(|it| it.contains("not exercised: no credential")),
        "{check:?}"
    );
    assert!(service.state.seen().is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_check_speaks_of_the_process_that_it_found_and_of_no_later_one() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    soon(world.runner.health(&authority::zone(), world.launch(&notes))).await;
    assert!(world.runner.status().await[0].health_is_current);
    world.runner.reconfigured(&"notes".parse().unwrap());
    let read = world.call(1, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(read, Outcome::Succeeded { .. }), "{read:?}");
    let status = &world.runner.status().await[0];
    assert!(status.health.is_some() && !status.health_is_current, "{status:?}");
    world.end().await;
}

#[tokio::test]
async fn a_disabled_connector_has_no_way_to_the_service_any_more() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let call = tokio::spawn(world.call(1, &notes, "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    soon(world.runner.disabled(&"notes".parse().unwrap())).await;
    let Outcome::Unknown { code, usage, .. } = call.await.unwrap() else { panic!() };
    assert_eq!((code, usage.requests), (Code::OutcomeUnknown, 1), "it was sent, and nobody knows");
    soon(service.state.deserted()).await;
    let again = world.call(2, &notes, "notes.list", &json!({}), 30_000).await;
    assert!(matches!(again, Outcome::Succeeded { .. }), "{again:?}");
    world.end().await;
}

#[tokio::test]
async fn what_egress_cannot_say_does_not_read_as_silence() {
    let (world, service) = (World::new(), Service::start().await);
    let call =
        tokio::spawn(world.call(1, &notes(&service), "notes.find", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    world.kill_egress();
    // A read changes nothing, so it has failed; what it heard before is not known.
    let outcome = call.await.unwrap();
    let Outcome::Failed { effect: Effect::None, usage, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(usage.requests, 1);
    world.end().await;
}

#[tokio::test]
async fn the_credential_is_nowhere_in_the_connector() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    let call = tokio::spawn(world.call(1, &notes, "notes.add", &json!({ "text": "hang" }), 30_000));
    soon(service.state.wait_for(1)).await;
    let launcher = world.runner.status().await[0].launcher.unwrap();
    let family = descendants(launcher);
    assert!(family.len() > 1, "the connector is a descendant of its launcher");
    for process in family {
        for file in ["environ", "cmdline"] {
            let content = std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            assert!(!holds(&content, SECRET), "{file} of {process}");
        }
        assert!(!memory_holds(process, SECRET), "memory of {process}");
    }
    // The search finds what is there, where memory may be read at all.
    if !descendants(launcher).into_iter().any(|process| memory_holds(process, HOST)) {
        println!("NOT RUN: the connector's memory cannot be read");
        assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "memory must be readable");
    }
    world.runner.cancel(CallId::from_bytes([1; 16]));
    call.await.unwrap();
    world.end().await;
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Searches what may be read of a process's memory.
fn memory_holds(process: u32, text: &str) -> bool {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let Ok(memory) = std::fs::File::open(format!("/proc/{process}/mem")) else { return false };
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let range = line.split(' ').next().unwrap().split_once('-').unwrap();
        let bounds = [range.0, range.1].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut content = vec![0; usize::try_from((bounds[1] - bounds[0]).min(64 << 20)).unwrap()];
        let read = memory.read_at(&mut content, bounds[0]).unwrap_or_default();
        holds(&content[..read], text)
    })
}

fn descendants(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let below = children.split_whitespace().flat_map(|child| descendants(child.parse().unwrap()));
    std::iter::once(process).chain(below).collect()
}

fn revocation(scope: RevocationScope, target: &[u8]) -> RevocationObject {
    RevocationObject {
        scope,
        targets: vec![ByteString(target.to_vec())],
        reason: "test".into(),
        effective_at: UnixTime::from_secs(1_800_000_000),
        expires_at: None,
    }
}
