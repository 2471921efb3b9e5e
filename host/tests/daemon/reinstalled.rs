//! A connector that is installed again: what nobody said anew stays as it was.

use std::fs;
use std::path::Path;

use fcp_api::client::Client;
use fcp_api::routes::{GetConnector, InstallConnector, Revoke};
use fcp_api::types::{self, ErrorBody, Installed, Nothing};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::object::RevocationScope;
use serde_json::{Value, json};

use crate::world::{Daemon, PASSPHRASE, ceremony, folder, signed_for_development, unlock};

pub(crate) async fn install(
    client: &mut Client,
    home: &Path,
    manifest: &str,
    zones: Option<&[&str]>,
    config: Value,
) -> Result<Installed, ErrorBody> {
    let package = Package::build(manifest.as_bytes(), b"", None).unwrap();
    let (bytes, path) = (signed_for_development(home, package), home.with_extension("fcp"));
    fs::write(&path, &bytes).unwrap();
    let zones = zones.map(|zones| zones.iter().map(|zone| ZoneId::new(*zone).unwrap()).collect());
    let request = types::Install {
        package: types::PackageSource::Path { path: path.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones,
        config,
        dev: true,
    };
    client.send::<InstallConnector>(&[], &request).await.map(|reply| reply.body)
}

fn zones(installed: &Installed) -> Vec<&str> {
    installed.connector.connector.zones.iter().map(ZoneId::as_str).collect()
}

//= docs/spec/package.md#installing-again
#[tokio::test]
async fn installed_again_a_connector_keeps_its_zones_and_its_configuration_unless_others_are_given() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let old =
        include_str!("pages.toml").replace("allowed = [\"z:work\"]", "allowed = [\"z:work\", \"z:private\"]");
    let new = old.replace("version = \"1.0.0\"", "version = \"2.0.0\"");
    let (mine, theirs) = ("https://mine.example", "https://theirs.example");

    let first = install(&mut operator, &home, &old, None, Value::Null).await.unwrap();
    assert_eq!((zones(&first), first.zones_kept, first.config_kept), (vec!["z:work"], false, false));
    let set = install(&mut operator, &home, &old, Some(&["z:private"]), json!({ "base_url": mine })).await;
    let set = set.unwrap();
    assert_eq!((zones(&set), set.zones_kept, set.config_kept), (vec!["z:private"], false, false));

    let upgraded = install(&mut operator, &home, &new, None, Value::Null).await.unwrap();
    assert_eq!(upgraded.connector.connector.version, "2.0.0");
    assert_eq!(
        (zones(&upgraded), upgraded.zones_kept, upgraded.config_kept),
        (vec!["z:private"], true, true)
    );
    assert!(upgraded.connector.hosts.contains(&"mine.example".into()), "{:?}", upgraded.connector.hosts);

    let other = install(&mut operator, &home, &new, None, json!({ "base_url": theirs })).await.unwrap();
    assert_eq!((zones(&other), other.zones_kept, other.config_kept), (vec!["z:private"], true, false));
    assert!(other.connector.hosts.contains(&"theirs.example".into()));
    let moved = install(&mut operator, &home, &new, Some(&["z:work"]), Value::Null).await.unwrap();
    assert_eq!((zones(&moved), moved.zones_kept, moved.config_kept), (vec!["z:work"], false, true));
    assert!(moved.connector.hosts.contains(&"theirs.example".into()));
    let none = install(&mut operator, &home, &new, Some(&[]), Value::Null).await.unwrap_err();
    assert_eq!(none.code, Code::MissingField, "empty means none");
}

//= docs/spec/package.md#installing-again
#[tokio::test]
async fn a_configuration_that_does_not_fit_names_its_fields_and_how_they_are_given() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let demanding = include_str!("pages.toml").replace("default = \"https://api.notes.example\"\n", "");
    for (config, why) in [
        (Value::Null, "`base_url` must be set"),
        (json!({ "base_url": 7 }), "must be a valid url"),
        (json!({ "base_url": "https://a.example", "colour": "red" }), "no configuration value `colour`"),
    ] {
        let refused = install(&mut operator, &home, &demanding, None, config).await.unwrap_err();
        assert_eq!(refused.code, Code::InputInvalid);
        assert!(refused.why.as_ref().unwrap().contains(why), "{refused:?}");
        let command = "`fwc install PACKAGE --config '{\"base_url\":\"https://HOST\"}'`";
        assert!(refused.next.contains(command), "{refused:?}");
        assert!(refused.next.contains("base_url (url, required)"), "{refused:?}");
    }
    assert_eq!(fs::read_dir(home.join("packages")).unwrap().count(), 0, "of what is refused nothing stays");
    let absent = operator.get::<GetConnector>(&["pages"], &Nothing {}).await.unwrap_err();
    assert_eq!(absent.code, Code::ConnectorUnknown);
}

//= docs/spec/authority.md#taking-objects
#[tokio::test]
async fn nobody_is_asked_for_the_configuration_of_what_is_revoked() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let (manifest, odd) = (include_str!("pages.toml"), json!({ "nobody_knows": 1 }));
    let installed = install(&mut operator, &home, manifest, None, Value::Null).await.unwrap();
    let refused = install(&mut operator, &home, manifest, None, odd.clone()).await.unwrap_err();
    assert_eq!(refused.code, Code::InputInvalid, "{refused:?}");
    let revoke = types::Revoke {
        scope: RevocationScope::ConnectorBinary,
        target: installed.connector.interface_hash.to_string(),
        reason: "a test".into(),
        unknown: false,
        confirmed: false,
    };
    operator.send::<Revoke>(&[], &revoke).await.unwrap();
    let refused = install(&mut operator, &home, manifest, None, odd).await.unwrap_err();
    assert_eq!(refused.code, Code::ConnectorRevoked, "{refused:?}");
}
