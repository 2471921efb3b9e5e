//! Files of a home that are gone: named, and no home is made anew in their place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fcp_api::routes::GetStatus;
use fcp_api::types::{Nothing, WarningKind};

use crate::world::{Daemon, ceremony, folder};

async fn made() -> (tempfile::TempDir, std::path::PathBuf) {
    let (guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    ceremony(&mut daemon.client()).await;
    daemon.stop();
    (guard, home)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

//= docs/spec/home.md#hometoml
#[tokio::test]
async fn a_home_with_records_and_without_its_file_is_not_a_new_one() {
    let (_guard, home) = made().await;
    let file = home.join("home.toml");
    let before = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let keys = names(&home.join("keys"));
    let (status, log) = Daemon::spawn(&home).wait();
    assert!(!status.success() && log.contains("FCP-8007") && log.contains("home.toml is missing"), "{log}");
    assert!(log.contains("umask 077"), "the command that writes it again: {log}");
    assert_eq!(names(&home.join("keys")), keys);
    // Without its keys too: no ceremony makes others.
    for name in &keys {
        fs::rename(home.join("keys").join(name), home.parent().unwrap().join(name)).unwrap();
    }
    let (status, log) = Daemon::spawn(&home).wait();
    assert!(!status.success() && log.contains("FCP-8007"), "{log}");
    assert_eq!(names(&home.join("keys")), BTreeSet::new());
    for name in &keys {
        fs::rename(home.parent().unwrap().join(name), home.join("keys").join(name)).unwrap();
    }
    fs::write(&file, before).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Daemon::start(&home).await.stop();
}

//= docs/spec/home.md#keys
#[tokio::test]
async fn a_lost_key_of_a_person_is_named_by_the_status() {
    for name in ["owner.key", "operator.alice.key"] {
        let (_guard, home) = made().await;
        fs::remove_file(home.join("keys").join(name)).unwrap();
        let daemon = Daemon::start(&home).await;
        let status = daemon.client().get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
        let named = status.warnings.iter().any(|warning| {
            warning.kind == WarningKind::Integrity
                && warning.message.contains(name)
                && warning.remedy.is_some()
        });
        assert!(named, "{:?}", status.warnings);
        daemon.stop();
    }
}
