//! When the process of a connector that was killed comes back: the owner's word, the author's, the default.

use std::fs;
use std::time::Duration;

use fcp_api::routes::{EnableConnector, GetStatus};
use fcp_api::types::{ConnectorHealth, Nothing, RunStatus, SetState};
use fcp_proto_core::error::Code;

use crate::accounts::{Told, ask};
use crate::place::{LEDGER, Place};
use crate::processes::{self, Victim};

/// The connector's process, as the status tells of it, once it does.
async fn health(place: &Place) -> Option<ConnectorHealth> {
    let status = place.daemon().client().get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let connector = status.connectors.into_iter().find(|it| it.id.as_str() == LEDGER).unwrap();
    connector.health.into_iter().next()
}

/// Waits until the process is so.
async fn until(place: &Place, what: &str, holds: impl Fn(&ConnectorHealth) -> bool) {
    let mut seen = health(place).await;
    for _ in 0..1_200 {
        if seen.as_ref().is_some_and(&holds) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        seen = health(place).await;
    }
    panic!("it is not {what}: {seen:?}");
}

/// A daemon with these settings of the owner's, that has made a call.
async fn called(place: &mut Place, supervision: &str, name: &str) {
    let text =
        format!("version = 1\n[[supervision]]\nconnector = \"ledger\"\nbackoff_first_ms = 10\n{supervision}");
    fs::write(place.home.join("config.toml"), text).unwrap();
    place.restart().await;
    let made = ask(&mut place.session().await, name).await;
    assert!(matches!(made, Told::Made { .. }), "{made:?}");
    // The status is a little behind.
    until(place, "running", |it| it.restarts == 0 && runs(it)).await;
}

async fn kill_the_connector(place: &Place) {
    processes::kill(processes::find(place.daemon_id().await, Victim::Connector).await);
}

fn runs(health: &ConnectorHealth) -> bool {
    matches!(health.status, RunStatus::Ready | RunStatus::Unknown)
}

/// Runs again although nobody called.
fn came_back(health: &ConnectorHealth) -> bool {
    health.restarts == 1 && runs(health)
}

/// Rests until somebody calls.
fn stayed_away(health: &ConnectorHealth) -> bool {
    health.restarts == 0 && health.status == RunStatus::Idle
}

//= docs/spec/supervisor.md#choices
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connector_comes_back_as_the_owner_or_else_the_author_says() {
    let mut place = Place::new(None).await;
    for (restart, name) in [("always", "a"), ("on_failure", "b"), ("on_crash", "c")] {
        called(&mut place, &format!("restart = \"{restart}\"\n"), name).await;
        kill_the_connector(&place).await;
        until(&place, restart, came_back).await;
    }
    called(&mut place, "restart = \"never\"\n", "d").await;
    kill_the_connector(&place).await;
    until(&place, "never", stayed_away).await;
    assert!(matches!(ask(&mut place.session().await, "e").await, Told::Made { .. }), "a call makes it");
    until(&place, "made by a call", came_back).await;

    place.lifecycle = "restart = \"never\"";
    place.install(LEDGER).await.unwrap();
    called(&mut place, "", "f").await;
    kill_the_connector(&place).await;
    until(&place, "as the author says", stayed_away).await;
    called(&mut place, "restart = \"on_failure\"\n", "g").await;
    kill_the_connector(&place).await;
    until(&place, "as the owner says", came_back).await;
}

//= docs/spec/supervisor.md#choices
#[tokio::test(flavor = "multi_thread")]
async fn the_owners_bound_of_failures_is_a_crash_loop_that_the_owner_alone_ends() {
    let mut place = Place::new(None).await;
    called(&mut place, "restart = \"always\"\ncrash_limit = 1\n", "a").await;
    kill_the_connector(&place).await;
    until(&place, "in a crash loop", |it| it.status == RunStatus::CrashLoop).await;
    let refused = ask(&mut place.session().await, "b").await;
    assert!(matches!(refused, Told::Refused(Code::ConnectorCrashLoop)), "{refused:?}");
    let enable = SetState { reason: None };
    place.operator.send::<EnableConnector>(&[LEDGER], &enable).await.unwrap();
    let made = ask(&mut place.session().await, "c").await;
    assert!(matches!(made, Told::Made { .. }), "{made:?}");
}
