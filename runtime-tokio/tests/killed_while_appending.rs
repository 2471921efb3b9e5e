//! A process that is killed while it appends has lost nothing that it had been told is durable.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fcp_proto_core::ids::ObjectId;
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_runtime_tokio::storage::{Options, Storage};
use fcp_state_machines::persist::{Batch, Class, Completion, Record, Space};

/// The variable that tells the child where to append.
const DIRECTORY: &str = "FCP_TEST_APPEND_TO";

fn options() -> Options {
    Options { segment_bytes: 64 * 1024, reserve_bytes: 64 * 1024, ..Options::default() }
}

fn batch(number: u64) -> Batch {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let bytes = number.to_le_bytes().repeat(usize::from(id[0]));
    let record = Record { id: ObjectId::from_bytes(id), bytes };
    Batch { class: Class::Normal, space: Space::default(), records: vec![record] }
}

/// Not a test of its own: the child. Appends without end, and prints each number once it is durable.
#[test]
#[ignore = "the child process of the test below"]
fn append_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let (storage, recovered) = Storage::open(Path::new(&directory), &options()).unwrap();
    let mut number = recovered.last_sequence;
    loop {
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                number += 1;
                (number, storage.append(batch(number)))
            })
            .collect();
        for (number, append) in waiting {
            assert_eq!(append.wait(), Completion::Durable);
            println!("durable {number}");
        }
    }
}

fn start(directory: &Path) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["--exact", "append_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

#[test]
fn acknowledged_batches_survive_kill_after_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12 {
        let mut child = start(directory.path()).unwrap();
        let mut numbers =
            BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).filter_map(|line| {
                line.rsplit_once("durable ").and_then(|(_, number)| number.parse::<u64>().ok())
            });
        let last = numbers.by_ref().take(20 + round * 37).last();
        if round == 3 {
            let refused = Storage::open(directory.path(), &options()).unwrap_err();
            assert_eq!(refused, StorageError::Locked { pid: Some(child.id()) });
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had printed before it died counts as well.
        let last = numbers.last().or(last);
        acknowledged =
            last.unwrap_or_else(|| panic!("round {round}: the child appended nothing")).max(acknowledged);

        let (storage, recovered) = Storage::open(directory.path(), &options()).unwrap();
        let mut expected = 0;
        for replayed in recovered {
            let replayed = replayed.unwrap();
            expected += 1;
            assert_eq!(replayed.sequence, expected);
            assert_eq!(replayed.batch, batch(expected));
        }
        assert!(expected >= acknowledged, "round {round}: {acknowledged} acknowledged, {expected} found");
        for number in (1..=expected).step_by(13) {
            let record = batch(number).records.remove(0);
            assert_eq!(storage.load(&record.id).unwrap(), Some(record));
        }
    }
    assert!(acknowledged > 1_000);
}
