//! From an empty folder to a home that serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use fcp_api::routes::{ConfirmCeremony, GetCeremony, GetHealth, GetStatus, IssueChallenge, ListZones};
use fcp_api::secret::Secret;
use fcp_api::types;
use fcp_api::types::{CeremonyPhase, HealthStatus, Nothing};
use fcp_host::home::Home;
use fcp_proto_core::error::Code;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::world::{Daemon, PASSPHRASE, begin, ceremony, folder, unlock, words};

#[tokio::test]
async fn a_new_home_demands_a_ceremony_and_serves_after_it() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    let health = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(health.status, HealthStatus::CeremonyRequired);
    let refused = client.send::<IssueChallenge>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::CeremonyRequired);

    let begun = begin(&mut client).await.unwrap();
    let mut wrong = words(&begun);
    wrong[0].word = Secret::new("wrong");
    let confirm = |words| types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words };
    let refused = client.send::<ConfirmCeremony>(&[], &confirm(wrong)).await.unwrap_err();
    assert_eq!(refused.code, Code::InputInvalid);
    let view = client.get::<GetCeremony>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(view.phase, CeremonyPhase::Begun, "a slip does not end it");

    let done = client.send::<ConfirmCeremony>(&[], &confirm(words(&begun))).await.unwrap().body;
    assert_eq!(done.operator.as_str(), "alice");
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(status.ceremony, CeremonyPhase::Done);
    assert_eq!(status.authority.unwrap().owner_key, done.owner_key);
    assert_eq!(client.get::<ListZones>(&[], &Nothing {}).await.unwrap().body.zones.len(), 5);
    assert_eq!(begin(&mut client).await.unwrap_err().code, Code::CeremonyDone);
    let (ended, log) = daemon.stop();
    assert!(ended.success(), "{log}");
    assert!(!log.contains(PASSPHRASE) && !log.contains(begun.phrase.expose()), "secrets are not logged");
}

#[tokio::test]
async fn an_operator_is_unlocked_by_the_right_passphrase_on_one_connection() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    ceremony(&mut client).await;
    assert_eq!(unlock(&mut client, "another passphrase").await.unwrap_err().code, Code::UnlockFailed);
    unlock(&mut client, PASSPHRASE).await.unwrap();
    client.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap();

    let mut other = daemon.client();
    other.set_operator(Some(Secret::new("00".repeat(32))));
    let refused = other.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);

    client.send::<fcp_api::routes::LockOperator>(&[], &Nothing {}).await.unwrap();
    let refused = client.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);
}

/// A place of the home, and what makes something else stand in it.
type Occupied = (&'static str, fn(&Path));

const OCCUPIED: [Occupied; 8] = [
    ("lock", pipe),
    ("lock", |path| fs::create_dir(path).unwrap()),
    ("lock", |path| symlink("nothing", path).unwrap()),
    ("config.toml", pipe),
    ("run/fcp.sock", pipe),
    ("run/fcp.sock", |path| fs::create_dir(path).unwrap()),
    ("run/fcp.sock", |path| fs::write(path, "mine").unwrap()),
    ("run/fcp.sock", |path| symlink("nothing", path).unwrap()),
];

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
}

//= docs/spec/home.md#the-home
#[test]
fn what_stands_in_a_place_of_the_home_is_named_and_neither_followed_nor_waited_for() {
    for (place, occupy) in OCCUPIED {
        let (_folder, home) = folder();
        Home::create(&home).unwrap();
        let path = home.join(place);
        fs::remove_file(&path).ok();
        occupy(&path);
        let (ended, log) = Daemon::spawn(&home).wait();
        assert!(!ended.success(), "{place}: {log}");
        let words = format!("{} is ", path.display());
        let is_named = log.contains(&words) && (log.contains("another kind") || log.contains("a link"));
        assert!(is_named && log.contains("FCP-8007") && log.contains("`mv "), "{place}: {log}");
        assert!(path.symlink_metadata().is_ok(), "{place} is left");
    }
}

//= docs/spec/home.md#the-home
#[tokio::test]
async fn what_another_start_is_writing_is_removed_by_nobody_but_who_holds_the_lock() {
    let (_folder, home) = folder();
    Home::create(&home).unwrap();
    let half_written = home.join(".config.toml.0123456789abcdef.new");
    fs::write(&half_written, "version").unwrap();
    Home::create(&home).unwrap();
    Home::open(&home).unwrap();
    assert!(half_written.exists(), "it may be another's");
    let daemon = Daemon::start(&home).await;
    assert!(!half_written.exists(), "nobody else writes");
    fs::write(&half_written, "version").unwrap();
    let (ended, log) = Daemon::spawn(&home).wait();
    assert!(!ended.success() && log.contains("FCP-8003"), "{log}");
    assert!(half_written.exists(), "the second has no say");
    drop(daemon);
}
