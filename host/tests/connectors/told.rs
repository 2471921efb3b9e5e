//! What a connector does that it must not is named in the audit, and other connectors keep their service meanwhile.

use std::sync::atomic::Ordering;

use fcp_host::egress::Identity;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::AuditEventKind as Kind;
use fcp_state_machines::node::Outcome;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::authority;
use crate::service::Service;
use crate::world::{World, notes, soon, unruly};

/// What it does, and how the audit names it.
const MISDEEDS: &[(&str, &str)] = &[
    ("garbage", "no strict JSON"),
    ("utf8", "no strict JSON"),
    ("long", "longer than the protocol allows"),
    ("endless", "longer than the protocol allows"),
    ("unknown_id", "a request that was not open"),
    ("twice", "a request that was not open"),
    ("other_call", "a call that it does not have"),
    ("members", "a message that the protocol does not know"),
    ("flood", "more than any call needs"),
    ("close", "closed its output"),
];

//= docs/spec/audit.md#connectors
#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_is_named_and_another_connector_is_served_meanwhile() {
    for (misdeed, named) in MISDEEDS {
        let (world, service) = (World::new(), Service::start().await);
        let (unruly, notes) = (unruly("", None), notes(&service));
        let misdoing = tokio::spawn(world.call(1, &unruly, "unruly.act", &json!({ "do": misdeed }), 60_000));
        // Counted, not timed: so many calls of the other are answered while it misbehaves.
        for n in 2..7 {
            let served = world.call(n, &notes, "notes.list", &json!({}), 60_000).await;
            assert!(matches!(served, Outcome::Succeeded { .. }), "{misdeed}: {served:?}");
        }
        let told = world.told.until(Kind::SecurityViolation).await;
        assert!(told.detail.contains(named), "{misdeed}: {told:?}");
        assert_eq!((told.connector.as_str(), told.code), ("unruly", Some(Code::ConnectorProtocol)));
        let outcome = misdoing.await.unwrap();
        assert_eq!(
            matches!(outcome, Outcome::Succeeded { .. }),
            *misdeed == "twice",
            "{misdeed}: {outcome:?}"
        );
        assert!(world.told.of(Kind::ConnectorStopped).is_empty(), "{misdeed}: it was killed for it");
        world.end().await;
    }
}

//= docs/spec/audit.md#connectors
#[tokio::test]
async fn a_crash_and_a_lie_about_itself_are_told() {
    for (start, kind, named) in [
        ("crash", Kind::ConnectorStopped, "ended with status 3"),
        ("stranger", Kind::SecurityViolation, "another connector than was installed"),
    ] {
        let world = World::new();
        let call = tokio::spawn(world.call(1, &unruly(start, None), "unruly.act", &json!({}), 60_000));
        let told = world.told.until(kind).await;
        assert!(told.detail.contains(named), "{told:?}");
        soon(world.runner.disabled(&"unruly".parse().unwrap())).await;
        call.await.unwrap();
        world.end().await;
    }
}

//= docs/spec/audit.md#connectors
#[tokio::test]
async fn what_is_planned_is_no_incident() {
    let world = World::new();
    let answered = world.call(1, &unruly("", None), "unruly.act", &json!({ "do": "answer" }), 60_000).await;
    assert!(matches!(answered, Outcome::Succeeded { .. }), "{answered:?}");
    let told = world.told.clone();
    world.end().await;
    assert!(told.of(Kind::ConnectorStopped).is_empty() && told.of(Kind::SecurityViolation).is_empty());
}

//= docs/spec/audit.md#connectors
#[tokio::test]
async fn a_credential_for_checks_of_health_is_told_once_a_process_and_not_given_untold() {
    let (world, service) = (World::new(), Service::start().await);
    let notes = notes(&service);
    world.told.full.store(true, Ordering::SeqCst);
    soon(world.runner.health(&authority::zone(), world.launch(&notes))).await;
    assert_eq!(world.vault.opened.load(Ordering::SeqCst), 0, "no record, no secret");
    assert!(service.state.seen().is_empty());
    world.told.full.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        soon(world.runner.health(&authority::zone(), world.launch(&notes))).await;
    }
    assert_eq!(world.vault.opened.load(Ordering::SeqCst), 3);
    let told = world.told.of(Kind::SecretAccess);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].detail.starts_with("main for the checks of health"), "{told:?}");
    world.end().await;
}

/// As the process of `notes` would, sends so many requests with a handle that names nothing.
async fn strayed(world: &World, requests: u32) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let identity = Identity { connector: "notes".parse().unwrap(), zone: authority::zone() };
    world.client.attach_connector(identity, theirs.into()).await.unwrap();
    ours.set_nonblocking(true).unwrap();
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(ours).unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let serving = tokio::spawn(connection);
    for _ in 0..requests {
        let request =
            http::Request::get("https://api.example.com/").header("x-fcp-egress-handle", "ab".repeat(32));
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 403);
    }
    serving.abort();
}

/// A handle of nobody's, of another call's or of one that ended is the same to egress: no open call of the connector.
//= docs/spec/audit.md#connectors
#[tokio::test]
async fn requests_that_name_no_call_are_counted_and_told() {
    let (world, service) = (World::new(), Service::start().await);
    strayed(&world, 3).await;
    world.runner.tell_strays().await;
    let told = world.told.until(Kind::EgressDenied).await;
    assert_eq!(told.detail, "3 refused: no open call of the connector was named");
    assert_eq!((told.connector.as_str(), told.code), ("notes", Some(Code::EgressHandleInvalid)));
    world.runner.tell_strays().await;
    assert_eq!(world.told.of(Kind::EgressDenied).len(), 1, "told once");
    assert!(service.state.seen().is_empty());
    world.end().await;
}
