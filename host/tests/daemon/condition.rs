//! What the list, the status and the page say of a connector that does not serve.

use fcp_api::routes::{
    DisableConnector, EnableConnector, GetConnector, GetStatus, InvokeOperation, ListConnectors, Revoke,
};
use fcp_api::types::{self, Nothing, RunStatus, SetState, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;
use serde_json::{Value, json};

use crate::reinstalled::install as install_manifest;
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

//= docs/spec/revocation.md#a-connector-by-its-name
//= docs/spec/revocation.md#what-is-confirmed
#[tokio::test]
async fn a_declarative_connector_is_revoked_alone_by_its_name_and_with_all_others_by_the_engine() {
    let World { daemon, mut operator, _folder, .. } = World::new().await;
    let pages = include_str!("pages.toml");
    for manifest in [pages.to_owned(), pages.replace("pages", "leaves")] {
        let installed = install_manifest(&mut operator, &daemon.home, &manifest, None, Value::Null).await;
        installed.unwrap();
    }
    let revocation = |target: &str, confirmed| types::Revoke {
        scope: RevocationScope::ConnectorBinary,
        target: target.into(),
        reason: "it was bad".into(),
        unknown: false,
        confirmed,
    };
    let revoked = operator.send::<Revoke>(&[], &revocation("pages", false)).await.unwrap().body;
    assert_eq!(revoked.binaries, ["the package of pages 1.0.0"]);
    let mut seen = Vec::new();
    for connector in ["pages", "leaves", "notes"] {
        let page = operator.get::<GetConnector>(&[connector], &Nothing {}).await.unwrap().body;
        seen.push((page.connector.problem == Some(Code::ConnectorRevoked), page.code_digest.unwrap()));
    }
    let fell: Vec<bool> = seen.iter().map(|(fell, _)| *fell).collect();
    assert_eq!(fell, [true, false, false]);
    assert_eq!(seen[0].1, seen[1].1, "they run one engine");

    let engine = seen[0].1.to_string();
    let refused = operator.send::<Revoke>(&[], &revocation(&engine, false)).await.unwrap_err();
    assert_eq!(refused.code, Code::ConfirmationNeeded);
    let why = refused.why.unwrap();
    assert!(why.contains("the code of pages 1.0.0") && why.contains("the code of leaves 1.0.0"), "{why}");
    let revoked = operator.send::<Revoke>(&[], &revocation(&engine, true)).await.unwrap().body;
    assert_eq!(revoked.binaries, ["the code of leaves 1.0.0", "the code of pages 1.0.0"]);
    let page = operator.get::<GetConnector>(&["leaves"], &Nothing {}).await.unwrap().body;
    assert_eq!(page.connector.problem, Some(Code::ConnectorRevoked));
    let revoked = operator.send::<Revoke>(&[], &revocation("notes", false)).await.unwrap().body;
    assert_eq!(revoked.binaries, ["the code of notes 1.0.0"]);
}
