//! A home on a disk that fills while calls are made.

use std::path::Path;
use std::process::Command;

use fcp_api::client::Client;
use fcp_api::routes::{GetStatus, Revoke};
use fcp_api::types::{self, Nothing};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::RevocationScope;
use tokio::task::JoinSet;

use crate::accounts::{Caller, Told, account_for, ask, unsettled};
use crate::place::{LEDGER, Place};

/// A file system of its own, removed at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// One, or none where this machine cannot make one.
    fn mount() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("fcp").tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(directory.path())
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Self(directory)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("NOT RUN: a small tmpfs cannot be mounted here: {why}");
        assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "NOT RUN: {why}");
        None
    }

    /// Takes what is left of it.
    fn fill(&self) {
        let rest = std::fs::write(self.rest(), vec![1; 24 << 20]);
        assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.rest()).unwrap();
    }

    fn rest(&self) -> std::path::PathBuf {
        self.path().join("rest")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still uses it is a test that failed.
        let _left = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

//= docs/spec/calls.md#the-room-for-a-receipt
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_was_done_has_its_receipt_and_nothing_new_begins_but_revocations() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut place = Place::new(Some(disk.path())).await;
    let mut spare = Vec::new();
    for _ in 0..3 {
        let bot = place.bot.name.clone();
        spare.push(place.grant(LEDGER, &bot).await.unwrap().grant_id);
    }
    let mut agents = Vec::new();
    for _ in 0..4 {
        agents.push(place.session().await);
    }
    disk.fill();
    let made = call_until_refused(agents, "first").await;
    for (name, _) in &made {
        assert_eq!(place.service.effects(name), 1, "{name}");
    }
    assert!(unsettled(&mut place).await.is_empty(), "every receipt had its room");
    revoke(&mut place.operator, spare[0]).await;
    place.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap();

    place.kill_daemon().await;
    place.restart().await;
    revoke(&mut place.operator, spare[1]).await;
    place.verify_audit().await;
    disk.free();
    let mut agent = place.session().await;
    assert!(matches!(ask(&mut agent, "after").await, Told::Made { replayed: false, .. }));
    for (name, receipt) in made {
        let told = Told::Made { receipt, replayed: false };
        account_for(&mut place, &mut Caller::Bot(&mut agent), &name, told).await;
    }
    disk.fill();
    call_until_refused(vec![agent], "second").await;
    disk.free();
    let mut agent = place.session().await;
    let again = ask(&mut agent, "without-a-restart").await;
    assert!(matches!(again, Told::Made { replayed: false, .. }), "{again:?}");
    place.verify_audit().await;
    place.daemon.take().unwrap().stop();
}

/// Lets all call at once until each is told that the disk is full; what was made, by its name.
async fn call_until_refused(agents: Vec<Client>, when: &'static str) -> Vec<(String, ObjectId)> {
    let mut calling = JoinSet::new();
    for (caller, mut agent) in agents.into_iter().enumerate() {
        calling.spawn(async move {
            let mut made = Vec::new();
            loop {
                let name = format!("{when}-{caller}-{}", made.len());
                match ask(&mut agent, &name).await {
                    Told::Made { receipt, replayed: false } => made.push((name, receipt)),
                    Told::Refused(Code::StoreFull) => return made,
                    other => panic!("{name}: {other:?}"),
                }
                assert!(made.len() < 5_000, "the disk never fills");
            }
        });
    }
    calling.join_all().await.into_iter().flatten().collect()
}

async fn revoke(operator: &mut Client, grant: ObjectId) {
    let revoke = types::Revoke {
        scope: RevocationScope::Capability,
        target: grant.to_string(),
        reason: "a test".into(),
        unknown: false,
        confirmed: false,
    };
    operator.send::<Revoke>(&[], &revoke).await.unwrap();
}
