//! A release brings another engine: declarative connectors say so, and an operator accepts it.

use std::fs;
use std::path::{Path, PathBuf};

use fcp_api::client::Client;
use fcp_api::routes::{AddGrant, GetConnector, GetStatus, InstallConnector, InvokeOperation, ListConnectors};
use fcp_api::types::{self, Nothing, WarningKind};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId};
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::token::constraints::Constraints;
use serde_json::json;

use crate::copy::copy;
use crate::world::{Bot, Daemon, PASSPHRASE, call, ceremony, folder, signed_for_development, unlock};

/// A folder with the daemon's programs, whose engine is what a test writes.
fn programs(folder: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_fcp-host")).parent().unwrap();
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    for name in ["fcp-host", "fcp-launcher"] {
        copy(built.join(name), programs.join(name));
    }
    programs
}

async fn install(client: &mut Client, package: &Path) -> types::Installed {
    let request = types::Install {
        package: types::PackageSource::Path { path: package.to_str().unwrap().into() },
        package_digest: hash::digest(&fs::read(package).unwrap()),
        zones: Some(vec!["z:work".parse().unwrap()]),
        config: json!({ "base_url": "https://it's.pages.example" }),
        dev: true,
    };
    client.send::<InstallConnector>(&[], &request).await.unwrap().body
}

async fn trouble(client: &mut Client) -> Option<types::Warning> {
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    status.warnings.into_iter().find(|warning| warning.kind == WarningKind::Connector)
}

async fn grant(client: &mut Client, bot: &Bot) {
    let request = types::AddGrant {
        agent: Some(bot.name.clone()),
        role: None,
        zone: bot.zone.clone(),
        connector: ConnectorId::new("pages").unwrap(),
        operations: vec![OperationId::new("pages.get").unwrap()],
        constraints: Constraints { resource_allow: vec!["*".parse().unwrap()], ..Constraints::default() },
        not_before: None,
        lifetime_secs: 3600,
    };
    client.send::<AddGrant>(&[], &request).await.unwrap();
}

//= docs/spec/connectors.md#the-engine
#[tokio::test]
async fn another_engine_is_named_and_accepted_by_the_command_that_the_status_gives() {
    let (guard, home) = folder();
    let programs = programs(guard.path());
    let (engine, package) = (programs.join("fcp-connector-engine"), guard.path().join("pages.fcp"));
    fs::write(&engine, "the engine of one release").unwrap();
    let built = Package::build(include_bytes!("pages.toml"), b"", None).unwrap();
    let daemon = Daemon::start_program(&programs.join("fcp-host"), &home).await;
    let (mut operator, bot) = (daemon.client(), Bot::new("bot"));
    ceremony(&mut operator).await;
    fs::write(&package, signed_for_development(&home, built)).unwrap();
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    install(&mut operator, &package).await;
    bot.enrol(&mut operator).await.unwrap();
    grant(&mut operator, &bot).await;
    assert_eq!(trouble(&mut operator).await, None);
    drop(operator);
    assert!(daemon.stop().0.success());

    fs::write(&engine, "the engine of the next release").unwrap();
    let daemon = Daemon::start_program(&programs.join("fcp-host"), &home).await;
    let mut agent = daemon.client();
    bot.open(&mut agent).await.unwrap();
    let mut read = call("pages.get", json!({ "page": "one" }), None);
    read.call.connector = ConnectorId::new("pages").unwrap();
    let refused = agent.send::<InvokeOperation>(&[], &read).await;
    assert!(format!("{refused:?}").contains("EngineChanged"), "{refused:?}");
    let mut operator = daemon.client();
    let warned = trouble(&mut operator).await.unwrap();
    assert!(warned.message.contains("FCP-5017"), "{warned:?}");
    let listed = operator.get::<ListConnectors>(&[], &types::ConnectorQuery::default()).await.unwrap().body;
    assert_eq!(listed.connectors[0].problem, Some(Code::EngineChanged), "the list says it");
    let shown = operator.get::<GetConnector>(&["pages"], &Nothing {}).await.unwrap().body;
    assert!(
        shown.warnings.contains(&warned),
        "and the connector's page has the remedy: {:?}",
        shown.warnings
    );
    assert_eq!(
        shown.hosts,
        ["*.files.example", "it's.pages.example"],
        "the host is the one that it is configured with"
    );
    let kept = home.join("packages").join(hash::digest(&fs::read(&package).unwrap()).to_string());
    let command = format!(
        "`fwc install '{}' --zone z:work --config '{{\"base_url\":\"https://it'\\''s.pages.example\"}}' --dev`",
        kept.display()
    );
    let remedy = warned.remedy.unwrap();
    assert!(remedy.starts_with(&command), "{remedy} {command}");
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    install(&mut operator, &kept).await;
    assert_eq!(trouble(&mut operator).await, None);
    let shown = operator.get::<GetConnector>(&["pages"], &Nothing {}).await.unwrap().body;
    assert_eq!(shown.connector.problem, None);
    let after = agent.send::<InvokeOperation>(&[], &read).await;
    assert!(!format!("{after:?}").contains("EngineChanged"), "{after:?}");

    fs::write(&engine, "an engine that was put there while the daemon runs").unwrap();
    let warned = trouble(&mut operator).await.unwrap();
    assert!(warned.message.contains("FCP-5017"), "the status says it before any call: {warned:?}");
    fs::write(&engine, "the engine of the next release").unwrap();
    assert_eq!(trouble(&mut operator).await, None, "and no longer, once it is put back");
    assert_ne!(after.as_ref().err().map(|error| error.code), Some(Code::EngineChanged));
}
