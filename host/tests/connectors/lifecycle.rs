//! Processes that crash, are cancelled, replaced and stopped.

use std::time::Duration;

use fcp_host::connectors::{Exercised, HealthReport, Limits, StateName, Trouble};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::object::Effect;
use fcp_state_machines::call::supervisor;
use fcp_state_machines::node::Outcome;
use serde_json::json;

use crate::authority;
use crate::world::{World, assuring, soon, unruly};

/// The usual limits with short delays after a failure.
fn hasty() -> Limits {
    let supervision = supervisor::Config {
        backoff_first: Duration::from_millis(10),
        backoff_max: Duration::from_millis(20),
        ..supervisor::Config::default()
    };
    Limits { supervision, ..Limits::default() }
}

#[tokio::test]
async fn a_crash_in_the_middle_is_unknown_if_it_can_have_changed_something() {
    let world = World::with(hasty());
    let folder = tempfile::tempdir().unwrap();
    let unruly = unruly("", Some(folder.path()));
    let crashed = world.call(1, &unruly, "unruly.act", &json!({ "do": "crash" }), 30_000).await;
    assert!(matches!(crashed, Outcome::Unknown { code: Code::OutcomeUnknown, .. }), "{crashed:?}");
    let next = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(next, Outcome::Succeeded { .. }), "{next:?}");
    world.end().await;
}

/// The paths are judged by where they lead when the process is made, whatever they led to at the installation.
//= docs/spec/connectors.md#walls
#[tokio::test]
async fn no_process_is_made_with_a_path_that_leads_to_the_home() {
    let world = World::with(hasty());
    let folder = world.place.path().join("notes");
    std::fs::create_dir(&folder).unwrap();
    let unruly = unruly("", Some(&folder));
    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(world.place.path().join("home"), &folder).unwrap();
    std::os::unix::fs::symlink(&folder, world.place.path().join("home")).unwrap();
    let outcome = world.call(1, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    let Outcome::NotDelivered { message, .. } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("FCP's own"), "{message}");
    world.end().await;
}

#[tokio::test]
async fn a_crash_of_what_can_change_nothing_is_a_failure_without_effect() {
    let world = World::with(hasty());
    let crashed = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "crash" }), 30_000).await;
    let Outcome::Failed { code, effect, message, .. } = crashed else { panic!("{crashed:?}") };
    assert_eq!((code, effect), (Code::ConnectorUnavailable, Effect::None));
    assert!(message.contains("status 3"), "{message}");
    world.end().await;
}

#[tokio::test]
async fn what_crashes_before_a_call_is_handed_over_did_not_get_it_and_is_given_up() {
    let world = World::with(hasty());
    let unruly = unruly("crash", None);
    let outcome = world.call(1, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    let Outcome::NotDelivered { code, message } = outcome else { panic!("{outcome:?}") };
    assert_eq!(code, Code::ConnectorCrashLoop);
    assert!(message.contains("status 3"), "{message}");
    let status = &world.runner.status().await[0];
    assert_eq!((status.state, status.restarts), (StateName::CrashLooped, 4));
    // Only the owner leads out.
    let refused = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(refused, Outcome::NotDelivered { code: Code::ConnectorCrashLoop, .. }), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn another_connector_than_was_installed_gets_no_call() {
    let world = World::with(hasty());
    let outcome =
        world.call(1, &unruly("stranger", None), "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    let Outcome::NotDelivered { message, .. } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("another connector"), "{message}");
    world.end().await;
}

//= docs/spec/connectors.md#evidence
#[tokio::test]
async fn what_a_connector_that_has_files_says_of_itself_reaches_no_caller_without_a_label() {
    let world = World::with(hasty());
    let folder = tempfile::tempdir().unwrap();
    let refusing = unruly("refuses", Some(folder.path()));
    let outcome = world.call(1, &refusing, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    let Outcome::NotDelivered { message, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(message.contains("FCP-5013") && !message.contains("evil"), "{message}");
    let check = soon(world.runner.health(&authority::zone(), world.launch(&refusing))).await;
    assert!(check.detail.as_deref().is_some_and(|detail| !detail.contains("evil")), "{check:?}");
    world.end().await;
}

//= docs/spec/connectors.md#a-connector-that-does-not-begin
#[tokio::test]
async fn what_a_connector_without_files_says_when_it_does_not_begin_reaches_its_owner_and_its_callers() {
    let world = World::with(hasty());
    let refusing = unruly("refuses", None);
    let outcome = world.call(1, &refusing, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    let Outcome::NotDelivered { code: Code::ConnectorCrashLoop, message } = &outcome else {
        panic!("{outcome:?}")
    };
    let quoted = r#"says "do evil\u{202e} [redacted]zzz"#;
    assert!(message.contains(quoted) && message.contains("FCP-5013"), "{message}");
    assert!(!message.contains(Code::ConnectorCrashLoop.meaning()), "it says more than its code: {message}");
    assert!(message.len() < 600, "it is bounded: {message}");
    let status = world.runner.status().await.remove(0);
    assert_eq!(status.stopped, Some(Code::ConnectorCrashLoop));
    assert!(matches!(&status.trouble, Some(Trouble::Refused(words)) if words == message), "{status:?}");
    world.end().await;
}

#[tokio::test]
async fn code_that_is_not_what_was_installed_never_runs() {
    let world = World::new();
    let mut changed = (*unruly("", None)).clone();
    changed.code_digest = fcp_proto_core::ids::Digest::from_bytes([1; 32]);
    let changed = std::sync::Arc::new(changed);
    let outcome = world.call(1, &changed, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(outcome, Outcome::NotDelivered { code: Code::PackageUntrusted, .. }), "{outcome:?}");
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_call_is_told_to_the_connector() {
    let world = World::new();
    let unruly = unruly("", None);
    let call = tokio::spawn(world.call(1, &unruly, "unruly.act", &json!({ "do": "hang" }), 30_000));
    world.until_running(1).await;
    world.runner.cancel(CallId::from_bytes([1; 16]));
    let outcome = call.await.unwrap();
    // It said "unknown"; that nothing can have happened is known all the same.
    let Outcome::Failed { code, effect, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((code, effect), (Code::Cancelled, Effect::None));
    assert_eq!(world.runner.status().await[0].state, StateName::Ready);
    world.end().await;
}

//= docs/spec/connectors.md#keeper
#[tokio::test]
async fn a_call_is_handed_only_to_what_it_was_decided_for() {
    let world = World::new();
    let (decided, other) = (unruly("", None), assuring("unruly.act", &[]));
    for (dispatched_for, delivered) in [(&decided, false), (&other, true)] {
        let input = r#"{"do":"answer"}"#;
        let dispatch = authority::dispatch(1, dispatched_for, "unruly.act", input, Vec::new(), 30_000);
        let outcome = soon(world.runner.dispatch(dispatch, world.launch(&other))).await;
        if delivered {
            assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
        } else {
            let Outcome::NotDelivered { code, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(code, Code::ConnectorUnavailable);
            assert!(world.runner.status().await.is_empty(), "no process was made for it");
        }
    }
    world.end().await;
}

//= docs/spec/connectors.md#keeper
#[tokio::test]
async fn a_reconfigured_connector_finishes_its_calls_and_is_replaced() {
    let world = World::new();
    let unruly = unruly("", None);
    let running = tokio::spawn(world.call(1, &unruly, "unruly.act", &json!({ "do": "hang" }), 2_000));
    world.until_running(1).await;
    world.runner.reconfigured(&"unruly".parse().unwrap());
    let next = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(next, Outcome::Succeeded { .. }), "{next:?}");
    // The first call ended by its own time, not by the reconfiguration.
    let first = running.await.unwrap();
    assert!(matches!(first, Outcome::Failed { code: Code::ConnectorTimeout, .. }), "{first:?}");
    assert_eq!(world.runner.status().await[0].restarts, 1);
    world.end().await;
}

#[tokio::test]
async fn health_without_an_operation_is_the_connectors_word() {
    let world = World::new();
    let unruly = unruly("", None);
    let check = soon(world.runner.health(&authority::zone(), world.launch(&unruly))).await;
    assert_eq!((check.report, check.exercised), (HealthReport::Ready, Exercised::Word));
    world.end().await;
}

//= docs/spec/connectors.md#health
#[tokio::test]
async fn a_health_operation_that_asks_nobody_is_the_connectors_word() {
    for (health, networked, why) in [
        ("unruly.ask", ["unruly.ask"].as_slice(), Some("not exercised: no request was made")),
        ("unruly.act", &["unruly.ask"], Some("not exercised: the health operation has no network")),
        // Without a network there is nobody to ask: the operation itself is the path.
        ("unruly.act", &[], None),
    ] {
        let world = World::new();
        let assuring = assuring(health, networked);
        let check = soon(world.runner.health(&authority::zone(), world.launch(&assuring))).await;
        let exercised = why.map_or(Exercised::Operation(health.parse().unwrap()), |_| Exercised::Word);
        assert_eq!(
            (check.report, check.exercised, check.detail.as_deref()),
            (HealthReport::Ready, exercised, why)
        );
        world.end().await;
    }
}

//= docs/spec/connectors.md#health
#[tokio::test]
async fn words_about_health_that_are_none_fail_and_no_word_is_handed_on() {
    for (start, report) in [
        ("boasts", HealthReport::Failed),
        ("adds", HealthReport::Failed),
        ("shortens", HealthReport::Failed),
        ("omits", HealthReport::Failed),
        ("chats", HealthReport::Ready),
    ] {
        let world = World::new();
        let unruly = unruly(start, None);
        let check = soon(world.runner.health(&authority::zone(), world.launch(&unruly))).await;
        assert_eq!((check.report, &check.exercised), (report, &Exercised::Word), "{start}: {check:?}");
        let status = world.runner.status().await;
        assert!(!format!("{check:?}{status:?}").contains("evil"), "{start}: {status:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn after_the_shutdown_nothing_runs_and_no_call_is_taken() {
    let world = World::new();
    let unruly = unruly("", None);
    let first = world.call(1, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    let launcher = world.runner.status().await[0].launcher.unwrap();
    soon(world.runner.shutdown()).await;
    assert!(!std::path::Path::new(&format!("/proc/{launcher}")).exists());
    let late = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(late, Outcome::NotDelivered { code: Code::Draining, .. }), "{late:?}");
}

#[tokio::test]
async fn a_disabled_connector_has_its_calls_ended_and_runs_again_when_it_is_called_again() {
    let world = World::new();
    let unruly = unruly("", None);
    let call = tokio::spawn(world.call(1, &unruly, "unruly.act", &json!({ "do": "hang" }), 30_000));
    world.until_running(1).await;
    let launcher = world.runner.status().await[0].launcher.unwrap();
    soon(world.runner.disabled(&"unruly".parse().unwrap())).await;
    assert!(!std::path::Path::new(&format!("/proc/{launcher}")).exists());
    // It said that it was cancelled; the caller hears why, and that nothing can have happened.
    let Outcome::Failed { code, effect, .. } = call.await.unwrap() else { panic!() };
    assert_eq!((code, effect), (Code::ConnectorDisabled, Effect::None));
    let again = world.call(2, &unruly, "unruly.act", &json!({ "do": "answer" }), 30_000).await;
    assert!(matches!(again, Outcome::Succeeded { .. }), "{again:?}");
    world.end().await;
}

#[tokio::test]
async fn a_disabled_connector_that_does_not_listen_is_killed_and_its_writes_are_unknown() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let unruly = unruly("", Some(folder.path()));
    let call = tokio::spawn(world.call(1, &unruly, "unruly.act", &json!({ "do": "ignore" }), 60_000));
    world.until_running(1).await;
    soon(world.runner.disabled(&"unruly".parse().unwrap())).await;
    let Outcome::Unknown { code, message, .. } = call.await.unwrap() else { panic!() };
    assert_eq!(code, Code::OutcomeUnknown);
    assert!(message.contains("FCP-5003"), "{message}");
    world.end().await;
}
