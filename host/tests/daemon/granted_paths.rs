//! Paths that a configuration names: the home is given to no connector, and a refused installation leaves nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use fcp_api::client::Client;
use fcp_api::routes::{InstallConnector, RemoveConnector};
use fcp_api::types::{self, ErrorBody};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ZoneId};
use fcp_proto_core::manifest::package::Package;
use serde_json::{Value, json};

use crate::world::{Daemon, PASSPHRASE, ceremony, folder, signed_for_development, unlock};

/// The connector of these tests with folders that it may read and change.
fn package() -> Package {
    let granting = "[sandbox]\nwritable = [\"{config.roots}\"]\nread_only = [\"{config.read}\"]\n";
    let manifest = include_str!("notes.toml").replace("[sandbox]\n", granting)
        + "\n[config.roots]\ntype = \"path_list\"\ndescription = \"To change.\"\ndefault = []\n"
        + "\n[config.read]\ntype = \"path_list\"\ndescription = \"To read.\"\ndefault = []\n";
    let program = Some(("x86_64-linux", b"no program".to_vec()));
    Package::build(manifest.as_bytes(), b"", program).unwrap()
}

async fn install(
    client: &mut Client,
    at: &Path,
    zone: &str,
    config: Value,
) -> Result<types::Installed, ErrorBody> {
    // The package lies beside the home.
    let bytes = signed_for_development(&at.with_extension(""), package());
    fs::write(at, &bytes).unwrap();
    let request = types::Install {
        package: types::PackageSource::Path { path: at.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones: Some(vec![ZoneId::new(zone).unwrap()]),
        config,
        dev: true,
    };
    client.send::<InstallConnector>(&[], &request).await.map(|reply| reply.body)
}

fn kept(home: &Path) -> usize {
    fs::read_dir(home.join("packages")).unwrap().count()
}

//= docs/spec/connectors.md#walls
#[tokio::test]
async fn no_configuration_hands_the_home_or_the_kernels_trees_to_a_connector() {
    let (guard, home) = folder();
    let guard_path = guard.path().canonicalize().unwrap();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let at = home.with_extension("fcp");
    let linked = guard_path.join("linked");
    symlink(&guard_path, &linked).unwrap();
    let own = [home.clone(), guard_path.clone(), home.join("keys"), home.join("keys/node.secret"), linked];
    let own = own.into_iter().map(|path| (path.to_str().unwrap().to_owned(), "FCP's own"));
    let kernel = ["/", "/proc", "/proc/1", "/dev", "/sys"].map(|path| (path.to_owned(), "never granted"));
    for (path, why) in own.chain(kernel) {
        for field in ["roots", "read"] {
            let refused = install(&mut operator, &at, "z:work", json!({ field: [path] })).await.unwrap_err();
            assert_eq!(refused.code, Code::InputInvalid, "{path}");
            let said = refused.why.unwrap();
            assert!(said.contains(why) && said.contains(&path), "{said}");
            assert!(refused.next.contains("--config"), "{}", refused.next);
        }
    }
    assert_eq!(kept(&home), 0);
    let data = home.join("quickstart/data");
    fs::create_dir_all(&data).unwrap();
    let notes = guard_path.join("notes");
    fs::create_dir(&notes).unwrap();
    let config = json!({ "roots": [data.canonicalize().unwrap()], "read": [notes] });
    install(&mut operator, &at, "z:work", config).await.unwrap();
    daemon.stop();
}

//= docs/spec/package.md#kept-packages
#[tokio::test]
async fn packages_that_no_record_names_do_not_stay() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    ceremony(&mut operator).await;
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let at = home.with_extension("fcp");
    install(&mut operator, &at, "z:nope", json!({})).await.unwrap_err();
    assert_eq!(kept(&home), 0, "it was refused");
    install(&mut operator, &at, "z:work", json!({})).await.unwrap();
    install(&mut operator, &at, "z:nope", json!({})).await.unwrap_err();
    assert_eq!(kept(&home), 1, "another record names it");
    let stray = home.join("packages").join(hash::digest(b"stray").to_string());
    fs::write(&stray, "of an installation that was cut off").unwrap();
    fs::write(home.join("packages/notes-of-mine"), "").unwrap();
    daemon.stop();
    let daemon = Daemon::start(&home).await;
    assert!(!stray.exists());
    assert_eq!(kept(&home), 2, "the installed one, and what is no package");
    let mut operator = daemon.client();
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let notes = ConnectorId::new("notes").unwrap();
    operator
        .send::<RemoveConnector>(&[notes.as_str()], &types::SetState { reason: Some("a test".into()) })
        .await
        .unwrap();
    daemon.stop();
    Daemon::start(&home).await.stop();
    assert_eq!(kept(&home), 1, "it was uninstalled");
}
