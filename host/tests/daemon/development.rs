//! A connector in development: whose signature is enough for it, and that it is shown as what it is.

use std::fs;
use std::path::Path;

use fcp_api::client::Client;
use fcp_api::routes::{GetConnector, GetStatus, InstallConnector, ListConnectors};
use fcp_api::types::{self, ErrorBody, Nothing, WarningKind};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role::Publisher;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::package::Package;
use serde_json::json;
use zeroize::Zeroizing;

use crate::world::{Daemon, PASSPHRASE, ceremony, folder, unlock};

fn package(signer: Option<&SigningKey<Publisher>>) -> Package {
    let program = Some(("x86_64-linux", b"no program".to_vec()));
    let mut package = Package::build(include_bytes!("notes.toml"), b"", program).unwrap();
    if let Some(key) = signer {
        package.sign(key).unwrap();
    }
    package
}

async fn install(
    client: &mut Client,
    home: &Path,
    package: &Package,
    dev: bool,
) -> Result<types::Installed, ErrorBody> {
    let bytes = package.to_bytes().unwrap();
    let path = home.with_extension("fcp");
    fs::write(&path, &bytes).unwrap();
    let request = types::Install {
        package: types::PackageSource::Path { path: path.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones: Some(vec!["z:work".parse().unwrap()]),
        config: json!({}),
        dev,
    };
    client.send::<InstallConnector>(&[], &request).await.map(|reply| reply.body)
}

//= docs/spec/package.md#development
#[tokio::test]
async fn only_an_enrolled_development_key_installs_in_development_and_it_is_shown() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let (ours, release) =
        (SigningKey::from_seed(&Zeroizing::new([1; 32])), SigningKey::from_seed(&Zeroizing::new([2; 32])));
    let publishers = home.join("publishers.txt");
    let kept = || fs::read_dir(home.join("packages")).unwrap().count();

    for (signer, dev) in [(None, true), (Some(&ours), true), (None, false), (Some(&ours), false)] {
        let refused = install(&mut operator, &home, &package(signer), dev).await.unwrap_err();
        assert_eq!(refused.code, Code::PackageUntrusted, "nobody is enrolled");
        assert_eq!(refused.next.contains("fwc package keygen --dev"), dev, "{refused}");
    }
    let (mine, theirs) = (ours.verifying_key(), release.verifying_key());
    fs::write(&publishers, format!("{theirs}\ndev {mine}\n")).unwrap();
    for (signer, dev) in [(None, true), (Some(&ours), false)] {
        let refused = install(&mut operator, &home, &package(signer), dev).await.unwrap_err();
        assert_eq!(refused.code, Code::PackageUntrusted, "{signer:?} {dev}");
    }
    assert_eq!(kept(), 0, "of what is refused nothing stays");

    let installed = install(&mut operator, &home, &package(Some(&ours)), true).await.unwrap().connector;
    assert!(installed.connector.dev);
    assert_eq!(installed.publishers, [ours.key_id()]);
    let status = operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let warned: Vec<_> =
        status.warnings.into_iter().filter(|it| it.kind == WarningKind::DevConnector).collect();
    assert!(warned[0].message.contains(&ours.key_id().to_string()), "{warned:?}");
    let shown = operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body;
    assert!(warned.len() == 1 && shown.warnings.contains(&warned[0]), "{:?}", shown.warnings);
    let listed = operator.get::<ListConnectors>(&[], &types::ConnectorQuery::default()).await.unwrap().body;
    assert!(listed.connectors[0].dev && status.connectors[0].dev);

    // What a trusted publisher signed is no development, whatever the operator says.
    let mut both = package(Some(&ours));
    both.sign(&release).unwrap();
    let installed = install(&mut operator, &home, &both, true).await.unwrap().connector;
    assert_eq!((installed.connector.dev, installed.publishers), (false, vec![release.key_id()]));
    assert_eq!(installed.warnings, []);
}
