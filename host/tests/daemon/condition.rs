//! What the list, the status and the page say of a connector that does not serve.

use fcp_api::routes::{
    DisableConnector, EnableConnector, GetConnector, GetStatus, InvokeOperation, ListConnectors, Revoke,
};
use fcp_api::types::{self, Nothing, RunStatus, SetState, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;
use serde_json::json;

use crate::world::{World, call, install, install_changed};

//= docs/spec/connectors.md#health
#[tokio::test]
async fn what_nobody_called_is_shown_as_not_started_in_each_of_its_zones_and_in_no_other() {
    let mut world = World::new().await;
    let shown = world.operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body.connector;
    let health: Vec<_> = shown.health.iter().map(|it| (it.zone.as_str(), it.status)).collect();
    assert_eq!(health, [("z:work", RunStatus::Idle)]);
    assert_eq!(shown.problem, None);
    world.operator.send::<DisableConnector>(&["notes"], &SetState { reason: None }).await.unwrap();
    let shown = world.operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body.connector;
    assert_eq!((shown.health[0].status, shown.problem), (RunStatus::Disabled, None));
    assert_eq!(shown.health[0].remedy.as_deref(), Some("`fwc enable notes` lets calls reach it again"));
}

//= docs/spec/authority.md#taking-objects
#[tokio::test]
async fn a_revoked_connector_is_shown_as_revoked_and_is_neither_installed_nor_enabled() {
    let mut world = World::new().await;
    let home = world.daemon.home.clone();
    let request = types::Revoke {
        scope: RevocationScope::ConnectorBinary,
        target: "notes".into(),
        reason: "it was bad".into(),
        unknown: false,
        confirmed: false,
    };
    let revoked = world.operator.send::<Revoke>(&[], &request).await.unwrap().body.revocation_id.to_string();

    let listed = world.operator.get::<ListConnectors>(&[], &Default::default()).await.unwrap().body;
    let status = world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let page = world.operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body;
    for shown in [&listed.connectors[0], &status.connectors[0], &page.connector] {
        assert_eq!(shown.problem, Some(Code::ConnectorRevoked));
        let health = &shown.health[0];
        assert_eq!((health.status, health.code), (RunStatus::Revoked, Some(Code::ConnectorRevoked)));
        assert!(health.detail.as_ref().unwrap().contains(&revoked), "{health:?}");
        assert!(health.remedy.as_ref().unwrap().contains("fwc install"), "{health:?}");
    }
    for warnings in [&status.warnings, &page.warnings] {
        let told: Vec<_> = warnings.iter().filter(|it| it.kind == WarningKind::Connector).collect();
        assert!(told.len() == 1 && told[0].message.contains("FCP-2104"), "{warnings:?}");
    }

    let enabled = world.operator.send::<EnableConnector>(&["notes"], &SetState { reason: None }).await;
    for refused in [enabled.unwrap_err(), install(&mut world.operator, &home).await.unwrap_err()] {
        assert_eq!(refused.code, Code::ConnectorRevoked, "{refused:?}");
        assert!(refused.why.as_ref().unwrap().contains(&revoked), "{refused:?}");
        assert!(refused.next.contains("fwc revocations"), "{refused:?}");
    }
    world.operator.send::<DisableConnector>(&["notes"], &SetState { reason: None }).await.unwrap();
    let other = install_changed(&mut world.operator, &home).await.unwrap().connector.connector;
    assert_eq!(other.problem, None, "another release is not revoked");
    world.operator.send::<EnableConnector>(&["notes"], &SetState { reason: None }).await.unwrap();
    let read = call("notes.get", json!({ "note": "mine" }), None);
    let refused = world.agent.send::<InvokeOperation>(&[], &read).await.unwrap_err();
    assert_ne!(refused.code, Code::ConnectorRevoked, "{refused:?}");
}
