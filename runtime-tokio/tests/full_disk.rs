//! On a disk that is really full, ordinary batches are refused, reserved ones admitted, and nothing is lost.

use std::path::Path;
use std::process::Command;

use fcp_proto_core::ids::ObjectId;
use fcp_runtime_tokio::storage::{Options, Storage};
use fcp_state_machines::persist::{Batch, Class, Completion, Record, Refusal, Space};

/// A file system of its own, removed at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let outcome = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path())
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if outcome.status.success() {
            Ok(Self(directory))
        } else {
            Err(String::from_utf8_lossy(&outcome.stderr).trim().to_owned())
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let outcome = Command::new("umount").arg(self.0.path()).status();
        if !outcome.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            panic!("the small disk could not be unmounted");
        }
    }
}

fn batch(class: Class, number: u64, size: usize) -> Batch {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Batch {
        class,
        space: Space::default(),
        records: vec![Record { id: ObjectId::from_bytes(id), bytes: vec![7; size] }],
    }
}

/// A small disk, or none where this machine cannot make one.
fn small_disk() -> Option<SmallDisk> {
    SmallDisk::mount()
        .map_err(|why| {
            println!("NOT RUN: a small tmpfs cannot be mounted here: {why}");
            assert!(std::env::var("FCP_TEST_REQUIRE").as_deref() != Ok("all"), "NOT RUN: {why}");
        })
        .ok()
}

//= docs/spec/journal.md#reserved-space
#[test]
fn what_was_begun_before_the_disk_was_full_is_told_to_its_end() {
    let Some(disk) = small_disk() else { return };
    let home = disk.path().join("home");
    let options = Options { segment_bytes: 256 * 1024, reserve_bytes: 16 * 1024, ..Options::default() };
    let (storage, _) = Storage::open(&home, &options).unwrap();
    let claim = 8 * 1024;
    let space = |claims, releases| Space { claims, releases };
    let intent = |number| Batch { space: space(claim, 0), ..batch(Class::Normal, number, 1_000) };
    let receipt = |number| Batch { space: space(0, claim), ..batch(Class::Reserved, number, 6_000) };
    for number in 1..=5 {
        assert_eq!(storage.append(intent(number)).wait(), Completion::Durable);
    }
    let rest = std::fs::write(disk.path().join("rest"), vec![1; 4 << 20]);
    assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let full = Completion::Refused(Refusal::Full);
    let mut number = 100;
    while storage.append(intent(number)).wait() == Completion::Durable {
        number += 1;
        assert!(number < 10_000, "no intent is admitted without the space of its receipt");
    }
    let begun = 5 + (number - 100);
    // Revocations still find the reserve, and at its end not what was claimed.
    let mut revoked = 0;
    while storage.append(batch(Class::Reserved, 20_000 + revoked, 1_000)).wait() == Completion::Durable {
        revoked += 1;
    }
    assert!(revoked >= 10, "{revoked} revocations in the reserve");
    assert_eq!(storage.append(intent(9_999)).wait(), full, "nothing new begins");
    for number in 0..begun {
        assert_eq!(storage.append(receipt(30_000 + number)).wait(), Completion::Durable, "receipt {number}");
    }
    assert!(!storage.stats().sealed);
    storage.close().unwrap();
}

#[test]
fn a_full_disk_still_admits_reserved_batches() {
    let Some(disk) = small_disk() else { return };
    let home = disk.path().join("home");
    let options = Options { segment_bytes: 256 * 1024, reserve_bytes: 128 * 1024, ..Options::default() };
    let mut durable = 0;
    {
        let (storage, _) = Storage::open(&home, &options).unwrap();
        let mut number = 0;
        loop {
            number += 1;
            assert!(number < 10_000, "the disk never fills");
            match storage.append(batch(Class::Normal, number, 4_000)).wait() {
                Completion::Durable => durable += 1,
                Completion::Refused(Refusal::Full) => break,
                other @ (Completion::Refused(Refusal::TooLarge) | Completion::Failed) => panic!("{other:?}"),
            }
        }
        // Someone else takes what is left.
        let rest = std::fs::write(disk.path().join("rest"), vec![1; 4 << 20]);
        assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        for number in 20_000..20_050 {
            assert_eq!(storage.append(batch(Class::Reserved, number, 1_000)).wait(), Completion::Durable);
            let normal = storage.append(batch(Class::Normal, 1, 4_000)).wait();
            assert_eq!(normal, Completion::Refused(Refusal::Full));
            durable += 1;
        }
        assert!(!storage.stats().sealed);
        storage.close().unwrap();
    }
    // A restart on the full disk keeps everything, and the rest of the reserve.
    {
        let (storage, recovered) = Storage::open(&home, &options).unwrap();
        assert_eq!(recovered.count(), durable);
        assert_eq!(storage.append(batch(Class::Reserved, 30_000, 1_000)).wait(), Completion::Durable);
        std::fs::remove_file(disk.path().join("rest")).unwrap();
        storage.close().unwrap();
    }
    let (_storage, recovered) = Storage::open(&home, &options).unwrap();
    assert_eq!(recovered.count(), durable + 1);
}
