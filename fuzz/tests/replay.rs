//! Replays the committed corpora, and simple mutations of every entry.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use fcp_fuzz::Target;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn entries(target: Target) -> Vec<Vec<u8>> {
    let folder = corpus().join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| fs::read(file.expect("readable").path()).expect("readable")).collect()
}

#[test]
fn every_corpus_entry_keeps_its_targets_properties() {
    for target in Target::ALL {
        let entries = entries(*target);
        assert!(!entries.is_empty(), "{} has no corpus", target.name);
        for entry in entries {
            target.run(&entry);
        }
    }
}

/// Places of each entry that are changed. More is the work of the long runs (docs/dev/fuzzing.md).
const PLACES: usize = 256;

/// The same where each change is paid for with public-key cryptography or a code's solver.
const PLACES_OF_SOLVERS: usize = 32;

/// The same where an entry is a schedule for a world of several nodes, and each change a whole history of it, or where
/// boxes are sealed to devices.
const PLACES_OF_WORLDS: usize = 8;

/// The same where every step of the schedule is public-key cryptography of several nodes.
const PLACES_OF_GROUPS: usize = 1;

fn places(target: Target) -> usize {
    match target.name {
        "claims" | "delivery" | "frost_message" | "session" | "symbols" => PLACES_OF_SOLVERS,
        "checkpoints" | "gossip" | "membership" | "migration" | "replica" | "storage" => PLACES_OF_WORLDS,
        "key_ring" | "public_encryption_key" => PLACES_OF_WORLDS,
        "zone_keys" => PLACES_OF_GROUPS,
        _ => PLACES,
    }
}

/// A cut, every flipped bit and a doubled byte at some places of every entry: few, and the same each time.
#[test]
fn mutated_entries_keep_the_properties() {
    let all: Vec<_> =
        Target::ALL.iter().flat_map(|target| entries(*target).into_iter().map(|it| (*target, it))).collect();
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((target, entry)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    mutate(*target, entry);
                }
            });
        }
    });
}

fn mutate(target: Target, entry: &[u8]) {
    for at in (0..entry.len()).step_by(entry.len() / places(target) + 1) {
        target.run(&entry[..at]);
        target.run(&[&entry[..at], &entry[at..=at], &entry[at..]].concat());
        for bit in 0..8 {
            let mut bent = entry.to_owned();
            bent[at] ^= 1 << bit;
            target.run(&bent);
        }
    }
}

#[test]
fn every_corpus_folder_belongs_to_a_target() {
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .expect("the corpora exist")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    let targets: BTreeSet<String> = Target::ALL.iter().map(|target| String::from(target.name)).collect();
    assert_eq!(folders, targets);
}
