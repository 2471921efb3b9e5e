//! Ceremonies on a real folder, stopped at every single file operation.

use std::path::Path;
use std::sync::Arc;

use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::source::Argon2Cost;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, PrincipalId};
use fcp_proto_core::time::{Instant, Now};
use fcp_runtime_tokio::storage::files::Files;
use fcp_state_machines::node::{CallLimits, Node, NodeConfig, Output as NodeOutput, RequestId};
use fcp_state_machines::persist::Completion;
use zeroize::Zeroizing;

use super::*;
use crate::home::HomeState;
use crate::home::faulty::{Fault, Faulty};
use crate::keys::{KeyStore, node_secret};

const NOW: UnixTime = UnixTime::from_secs(1_795_426_200);

pub(crate) const PASSPHRASE: &str = "correct horse battery";

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

fn settings() -> Begin {
    Begin {
        passphrase: SecretBytes::from(PASSPHRASE.to_owned()),
        cost: Argon2Cost::LEAST,
        operator: PrincipalId::new("alice").unwrap(),
        node: NodeId::new("laptop").unwrap(),
        node_secret: node_secret(None).unwrap(),
    }
}

/// A node whose durable state outlives the process: opened on the stored keys, as the daemon does.
#[derive(Default)]
struct Store {
    home: Option<Home>,
    objects: Vec<AnyObject>,
    owner: Option<KeyId>,
    foundings: u32,
}

impl Founder for Store {
    fn found(&mut self, facts: &HomeFacts, objects: Vec<AnyObject>) -> Result<(), CeremonyFailure> {
        if self.owner == Some(facts.owner_key) {
            return Ok(());
        }
        let home = self.home.as_ref().unwrap();
        let keys = KeyStore::open(home, None).unwrap().load_node_keys().unwrap();
        let mut node = Node::new(NodeConfig {
            node_id: facts.node.clone(),
            keys: keys.node,
            session_secs: 60,
            limits: CallLimits { calls: 8, call_secs: 60 },
            clock_confirmed: false,
            entropy: entropy(8),
        });
        let now = Now { mono: Instant::from_nanos(0), unix: NOW };
        node.found(RequestId(1), objects.clone(), now).unwrap();
        while let Some(output) = node.poll_output() {
            if let NodeOutput::Persist { token, .. } = output {
                node.handle_completion(token, Completion::Durable, now);
            }
        }
        assert!(self.owner.is_none(), "a second owner");
        self.owner = node.authority().owner().map(|owner| owner.public_key.key_id());
        self.objects = objects;
        self.foundings += 1;
        Ok(())
    }
}

/// The words asked for, right.
fn answer(begun: &mut Begun, home: &Home, founder: &mut dyn Founder) -> Result<HomeFacts, CeremonyFailure> {
    let text = begun.phrase.words();
    let words: Vec<&str> = text.split(' ').collect();
    let proofs: Vec<_> = begun
        .asked
        .iter()
        .map(|place| WordProof { place: *place, word: words[usize::from(*place) - 1] })
        .collect();
    confirm(home, &mut begun.ceremony, &proofs, NOW, founder)
}

/// A made home and the phrase of its owner.
pub(crate) fn made_home(path: &Path, seed: u8) -> (Home, RecoveryPhrase) {
    let home = Home::create(path).unwrap();
    let mut store = Store { home: Some(home.clone()), ..Store::default() };
    let mut begun = begin(&home, None, settings(), NOW, &mut entropy(seed)).unwrap();
    answer(&mut begun, &home, &mut store).unwrap();
    (home, begun.phrase)
}

/// One attempt by a process that may stop; the phrase if one was shown.
fn attempt(files: Arc<dyn Files>, path: &Path, store: &mut Store) -> (Option<RecoveryPhrase>, bool) {
    let Ok(home) = Home::create_in(files, path) else { return (None, false) };
    store.home = Some(home.clone());
    let Ok(mut begun) = begin(&home, store.owner, settings(), NOW, &mut entropy(1)) else {
        return (None, false);
    };
    let done = answer(&mut begun, &home, store).is_ok();
    (Some(begun.phrase), done)
}

#[test]
fn a_stop_at_any_file_operation_leaves_no_owner_or_leads_to_the_same_one() {
    std::thread::scope(|scope| {
        // A stop before a step is a stop amid the one before, which was done.
        for fault in [Fault::Once, Fault::StopAmid] {
            scope.spawn(move || stop_everywhere(fault));
        }
    });
}

fn stop_everywhere(fault: Fault) {
    let mut outcomes = [0_u32; 3];
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let files = Faulty::new(at, fault);
        let mut store = Store::default();
        let (first, done) = attempt(Arc::new(files.clone()), &path, &mut store);
        if !files.happened() {
            assert!(done);
            break;
        }
        let home = Home::create(&path).unwrap();
        home.remove_leftovers().unwrap();
        store.home = Some(home.clone());
        let (phrase, facts) = match home.state().unwrap() {
            HomeState::New => {
                outcomes[0] += 1;
                assert!(!done && store.owner.is_none());
                let mut begun = begin(&home, store.owner, settings(), NOW, &mut entropy(2)).unwrap();
                let facts = answer(&mut begun, &home, &mut store).unwrap();
                (begun.phrase, facts)
            }
            HomeState::HalfMade => {
                outcomes[1] += 1;
                let refused = begin(&home, store.owner, settings(), NOW, &mut entropy(2)).unwrap_err();
                assert!(matches!(refused.code(), Code::Conflict | Code::CeremonyDone), "{refused}");
                (first.unwrap(), resume(&home, store.owner, &mut store).unwrap())
            }
            HomeState::Made(facts) => {
                outcomes[2] += 1;
                (first.unwrap(), facts)
            }
        };
        assert_made(&home, &store, &phrase, &facts);
    }
    assert!(outcomes[0] > 10 && outcomes[1] > 30, "{fault:?}: {outcomes:?}");
}

/// The home is that of the phrase, whole, and takes no second ceremony.
fn assert_made(home: &Home, store: &Store, phrase: &RecoveryPhrase, facts: &HomeFacts) {
    let owner = phrase.owner_key();
    assert_eq!(home.state().unwrap(), HomeState::Made(facts.clone()));
    assert_eq!((facts.owner_key, store.owner, store.foundings), (owner.key_id(), Some(owner.key_id()), 1));
    let keys = KeyStore::open(home, None).unwrap();
    assert_eq!(keys.load_node_keys().unwrap().node.zones.len(), 5);
    let refused = begin(home, store.owner, settings(), NOW, &mut entropy(3)).unwrap_err();
    assert_eq!(refused.code(), Code::CeremonyDone);
    for folder in [home.path().to_owned(), home.keys()] {
        let names = home.list(&folder).unwrap();
        assert!(!names.iter().any(|name| name.ends_with(".new")), "{names:?}");
    }
}

#[test]
fn nothing_secret_stands_in_clear_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (home, phrase) = made_home(&folder.path().join("home"), 1);
    let keys = KeyStore::open(&home, None).unwrap();
    let passphrase = SecretBytes::from(PASSPHRASE.to_owned());
    let loaded = keys.load_node_keys().unwrap();
    let stored = keys.report().unwrap().into_iter().find(|it| it.file == "operator.alice.key").unwrap();
    let alice = PrincipalId::new("alice").unwrap();
    let operator = keys.unlock_operator(&alice, stored.key_id, &passphrase).unwrap();
    let words = phrase.words();
    let mut secrets = vec![
        phrase.owner_key().expose_seed().to_vec(),
        operator.expose_seed().to_vec(),
        loaded.node.signing.expose_seed().to_vec(),
        loaded.node.issuance.expose_seed().to_vec(),
        loaded.vault.expose().to_vec(),
        PASSPHRASE.as_bytes().to_vec(),
    ];
    secrets.extend(loaded.node.zones.values().map(|keys| keys.serving().expose().to_vec()));
    secrets.extend(words.split(' ').map(|word| format!(" {word} ").into_bytes()));
    // The check can fail: the node secret, which is a file, is found.
    let secret = std::fs::read(home.keys().join("node.secret")).unwrap();
    assert_eq!(files_with(home.path(), &secret), 1);
    for secret in &secrets {
        assert_eq!(files_with(home.path(), secret), 0);
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(files_with(home.path(), hex.as_bytes()), 0);
    }
}

/// How many files of a tree contain these bytes.
pub(crate) fn files_with(folder: &Path, bytes: &[u8]) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                files_with(&path, bytes)
            } else {
                let content = std::fs::read(&path).unwrap();
                usize::from(content.windows(bytes.len()).any(|window| window == bytes))
            }
        })
        .sum()
}

#[test]
fn a_record_of_another_ceremony_changes_no_home() {
    let folder = tempfile::tempdir().unwrap();
    let (home, _) = made_home(&folder.path().join("home"), 1);
    // A ceremony that stops right after its record is durable leaves one.
    let other = folder.path().join("other");
    let mut record = None;
    for at in 0.. {
        let _ = std::fs::remove_dir_all(&other);
        let files = Faulty::new(at, Fault::StopBefore);
        attempt(Arc::new(files), &other, &mut Store::default());
        if let Ok(bytes) = std::fs::read(other.join("ceremony.cbor")) {
            record = Some(bytes);
            break;
        }
    }
    let foreign = folder.path().join("foreign");
    let (foreign, _) = made_home(&foreign, 7);
    let before = std::fs::read(foreign.keys().join("owner.key")).unwrap();
    fcp_runtime_tokio::storage::atomic_file::write(&foreign.ceremony_record(), &record.unwrap()).unwrap();
    let refused = resume(&foreign, None, &mut Store::default()).unwrap_err();
    assert_eq!(refused, CeremonyFailure::OtherHome);
    assert_eq!(std::fs::read(foreign.keys().join("owner.key")).unwrap(), before);
    drop(home);
}

#[test]
fn a_wrong_word_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(&folder.path().join("home")).unwrap();
    let mut begun = begin(&home, None, settings(), NOW, &mut entropy(1)).unwrap();
    let words: Vec<_> = begun.asked.iter().map(|place| WordProof { place: *place, word: "no" }).collect();
    let refused = confirm(&home, &mut begun.ceremony, &words, NOW, &mut Store::default()).unwrap_err();
    assert_eq!(refused.code(), Code::InputInvalid);
    assert_eq!(home.state().unwrap(), HomeState::New);
    assert!(home.list(&home.keys()).unwrap().is_empty());
}
