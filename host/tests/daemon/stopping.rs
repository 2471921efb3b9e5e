//! Who is named as the one who stopped the node.

use fcp_api::client::Client;
use fcp_api::routes::{ListAuditEvents, Shutdown};
use fcp_api::types::{self, Nothing};
use fcp_proto_core::object::AuditEventKind;

use crate::world::{Daemon, PASSPHRASE, ceremony, folder, unlock};

/// Whom the chain names, the first stop first.
async fn stopped_by(client: &mut Client) -> Vec<String> {
    unlock(client, PASSPHRASE).await.unwrap();
    let query = types::AuditQuery { kind: Some(AuditEventKind::NodeStopped), ..types::AuditQuery::default() };
    let told = client.get::<ListAuditEvents>(&[], &query).await.unwrap().body;
    told.events.into_iter().map(|event| event.actor).collect()
}

//= docs/spec/audit.md#events
#[tokio::test]
async fn a_stop_names_the_operator_who_asked_for_it_and_else_the_node() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    operator.send::<Shutdown>(&[], &Nothing {}).await.unwrap();
    assert!(daemon.wait().0.success());

    let daemon = Daemon::start(&home).await;
    assert_eq!(stopped_by(&mut daemon.client()).await, ["alice"]);
    assert!(daemon.stop().0.success());

    let daemon = Daemon::start(&home).await;
    let told = stopped_by(&mut daemon.client()).await;
    assert_eq!((told.len(), &told[0][..]), (2, "alice"));
    assert_ne!(told[1], "alice", "a signal has no operator");
}
