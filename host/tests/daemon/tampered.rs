//! Journals that were changed by someone who knows their format: `fwc audit verify` names the first bad link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fcp_proto_core::object::{AnyObject, StoredObject};
use fcp_runtime_tokio::storage::{Options, Storage};
use fcp_state_machines::persist::{Batch, Completion};
use serde_json::Value;

use crate::programs::programs;
use crate::released::copy;
use crate::world::{Daemon, PASSPHRASE, ceremony, folder, unlock};

/// A home with a chain of some length, whose last batches are one event and one head each.
struct Chained {
    _folder: tempfile::TempDir,
    home: PathBuf,
    daemon: Option<Daemon>,
}

impl Chained {
    async fn new() -> Self {
        let (folder, home) = folder();
        let daemon = Daemon::start_program(&programs().join("fcp-host"), &home).await;
        ceremony(&mut daemon.client()).await;
        let pass = home.with_extension("pass");
        fs::write(&pass, format!("{PASSPHRASE}\n")).unwrap();
        fs::set_permissions(&pass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let chained = Self { _folder: folder, home, daemon: Some(daemon) };
        chained.grow(5).await;
        chained
    }

    /// Adds so many events.
    async fn grow(&self, events: usize) {
        for _ in 0..events {
            unlock(&mut self.daemon.as_ref().unwrap().client(), PASSPHRASE).await.unwrap();
        }
    }

    fn fwc(&self, words: &[&str]) -> Output {
        let mut command = Command::new(programs().join("fwc"));
        command.args(["--json"]).args(words).env_clear().stdin(Stdio::null());
        command.env("FCP_HOME", &self.home).env("FCP_PASSPHRASE_FILE", self.home.with_extension("pass"));
        command.output().unwrap()
    }

    /// The last problem that a verification names, which is that of the chain, and the number of the event where it is.
    fn verify(&self, words: &[&str]) -> Option<(u64, String)> {
        let ended = self.fwc(&[&["audit", "verify"], words].concat());
        let report: Value =
            serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        let problems = report["data"]["problems"].as_array().unwrap_or_else(|| panic!("{ended:?}"));
        assert_eq!(ended.status.success(), problems.is_empty(), "{ended:?}");
        let last = problems.last()?;
        Some((last["seq"].as_u64().unwrap(), last["problem"].as_str().unwrap().to_owned()))
    }

    /// Stops the daemon, does something to the home, and starts another.
    async fn restart(&mut self, between: impl FnOnce(&Path)) {
        self.daemon.take().unwrap().stop();
        between(&self.home);
        self.daemon = Some(Daemon::start(&self.home).await);
    }

    fn journal(&self) -> PathBuf {
        self.home.join("journal/000001.fcj")
    }

    /// The journal with its batches changed, whole and well-formed.
    fn forged(&self, change: impl FnOnce(&mut Vec<Batch>)) -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| place.path().join(name));
        fs::create_dir_all(new.join("journal")).unwrap();
        fs::create_dir_all(&old).unwrap();
        // The same home's, or no checksum would fit.
        let header = fs::read(self.journal()).unwrap()[..HEADER_BYTES].to_vec();
        fs::write(new.join("journal/000001.fcj"), header).unwrap();
        copy(&self.home.join("journal"), &old.join("journal"));
        let (storage, _) = Storage::open(&old, &Options::default()).unwrap();
        let mut batches: Vec<_> = storage.batches().unwrap().map(|it| it.unwrap().batch).collect();
        storage.close().unwrap();
        change(&mut batches);
        let (storage, _) = Storage::open(&new, &Options::default()).unwrap();
        for batch in batches {
            assert_eq!(storage.append(batch).wait(), Completion::Durable);
        }
        storage.close().unwrap();
        fs::read(new.join("journal/000001.fcj")).unwrap()
    }
}

fn is_event(bytes: &[u8]) -> bool {
    let stored = StoredObject::from_bytes(bytes).unwrap();
    matches!(AnyObject::open(&stored).unwrap(), AnyObject::AuditEvent(_))
}

/// The number of the event that a batch tells.
fn number(batch: &Batch) -> u64 {
    let stored = batch.records.iter().map(|record| StoredObject::from_bytes(&record.bytes).unwrap());
    let number = |stored: StoredObject| match AnyObject::open(&stored).unwrap() {
        AnyObject::AuditEvent(event) => Some(event.body.seq),
        _ => None,
    };
    stored.filter_map(number).next().unwrap()
}

/// The same object with one letter of its text changed, under its old name.
fn alter(batch: &mut Batch, wanted: bool) {
    let record = batch.records.iter_mut().find(|record| is_event(&record.bytes) == wanted).unwrap();
    let mut bytes = record.bytes.to_vec();
    let text: &[u8] = if wanted { b"alice" } else { b"node-" };
    let at = bytes.windows(5).rposition(|window| window == text).unwrap();
    bytes[at + 1] = b'x';
    record.bytes = bytes;
}

/// Of a segment of the journal.
const HEADER_BYTES: usize = 96;

type Change = fn(&mut Vec<Batch>, usize);

/// What is done to the batches from one on, what the first bad link is called, and how far from there it is.
const CHANGES: &[(&str, Change, u64, &str)] = &[
    ("an event is removed", |it, at| drop(it.remove(at)), 1, "should stand here and is missing"),
    ("two events are exchanged", |it, at| it.swap(at, at + 1), 1, "should stand here and comes later"),
    ("an event is repeated", |it, at| it.insert(at + 1, it[at].clone()), 0, "its number was read before"),
    ("the end is cut off", |it, at| it.truncate(at), 0, "the chain was known to reach number"),
    ("an event is altered", |it, at| alter(&mut it[at], true), 0, "its content was altered"),
    ("a head is altered", |it, at| alter(&mut it[at], false), 0, "the head's signature does not verify"),
    (
        "the last head is removed",
        |it, _| it.last_mut().unwrap().records.retain(|it| is_event(&it.bytes)),
        4,
        "no signed head covers it",
    ),
];

//= docs/spec/audit.md#verification
#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_done_to_a_chain_the_first_bad_link_is_named() {
    let chained = Chained::new().await;
    assert_eq!(chained.verify(&[]), None);
    let whole = fs::read(chained.journal()).unwrap();
    for (what, change, from, problem) in CHANGES {
        let mut number_of = 0;
        let forged = tokio::task::block_in_place(|| {
            chained.forged(|batches| {
                let at = batches.len() - 5;
                number_of = number(&batches[at]);
                change(batches, at);
            })
        });
        fs::write(chained.journal(), &forged).unwrap();
        let (seq, named) = chained.verify(&[]).unwrap_or_else(|| panic!("{what}: nothing is named"));
        assert!(named.contains(problem), "{what}: {named}");
        assert_eq!(seq, number_of + from, "{what}: {named}");
        fs::write(chained.journal(), &whole).unwrap();
    }
}

//= docs/spec/audit.md#verification
#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_without_the_daemon_is_told_the_bad_link_too() {
    let mut chained = Chained::new().await;
    chained.daemon.take().unwrap().stop();
    let exchange = |batches: &mut Vec<Batch>| {
        let at = batches.len() - 4;
        batches.swap(at, at + 1);
    };
    let forged = tokio::task::block_in_place(|| chained.forged(exchange));
    fs::write(chained.journal(), forged).unwrap();
    let home = &chained.home;
    // Whoever forges a journal leaves no index that tells of another.
    fs::remove_dir_all(home.join("index")).unwrap();
    let looked =
        Command::new(env!("CARGO_BIN_EXE_fcp-host")).arg("examine").arg("--home").arg(home).output().unwrap();
    let looked = String::from_utf8(looked.stdout).unwrap();
    assert!(looked.contains("should stand here and comes later"), "{looked}");
}

//= docs/spec/audit.md#saved-heads
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_head_names_a_home_that_was_set_back_or_is_anothers() {
    let mut chained = Chained::new().await;
    let beside = chained.home.clone();
    let file = |name: &str| beside.with_file_name(name).to_str().unwrap().to_owned();
    let (early, late, other) = (file("early"), file("late"), file("other"));
    let save = |chained: &Chained, to: &str| {
        let saved = chained.fwc(&["audit", "head", "--save", to]);
        assert!(saved.status.success(), "{saved:?}");
        assert!(!chained.fwc(&["audit", "head", "--save", to]).status.success(), "nothing is written over");
    };
    let backup = chained.home.with_extension("backup");
    save(&chained, &early);
    chained.restart(|home| copy(home, &backup)).await;
    chained.grow(4).await;
    save(&chained, &late);
    for head in [&early, &late] {
        assert_eq!(chained.verify(&["--head", head]), None, "it holds what it held");
    }

    let set_back = |home: &Path| {
        fs::remove_dir_all(home).unwrap();
        copy(&backup, home);
    };
    chained.restart(set_back).await;
    assert_eq!(chained.verify(&[]), None, "by itself an older home is whole");
    assert_eq!(chained.verify(&["--head", &early]), None);
    let (_, named) = chained.verify(&["--head", &late]).unwrap();
    assert!(named.contains("the chain was known to reach number"), "{named}");
    chained.grow(12).await;
    let (_, named) = chained.verify(&["--head", &late]).unwrap();
    assert!(named.contains("another event was known to stand here"), "{named}");

    let text = fs::read_to_string(&early).unwrap();
    let node =
        serde_json::from_str::<Value>(&text).unwrap()["chains"][0]["node"].as_str().unwrap().to_owned();
    fs::write(&other, text.replace(&node, "node-of-another")).unwrap();
    let (_, named) = chained.verify(&["--head", &other]).unwrap();
    assert!(named.contains("another node's: node-of-another"), "{named}");
    fs::write(&other, "{}").unwrap();
    let refused = chained.fwc(&["audit", "verify", "--head", &other]);
    assert!(String::from_utf8_lossy(&refused.stdout).contains("fwc audit head --save"), "{refused:?}");
}
