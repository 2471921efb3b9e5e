//! The ceremony against a node that really takes its objects, and its files against the keys inside them.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::role::{Issuance, Node as NodeRole, Operator, Vault};
use fcp_proto_core::crypto::wrap::{WrapError, WrappedKey};
use fcp_proto_core::encoding::cbor::{FromCbor, decode};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::time::{Instant, Now};
use fcp_proto_core::zone::{Level, Risk, SafetyTier};

use super::*;
use crate::node::{CallLimits, Node, NodeConfig, NodeKeys, Output as NodeOutput, RequestId};
use crate::persist::Completion;

const NOW: UnixTime = UnixTime::from_secs(1_795_426_200);
const PASSPHRASE: &[u8] = b"correct horse";
const EMPTY: Present = Present { record: false, keys: false, home: false, owner: None };

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

fn settings() -> Begin {
    Begin {
        passphrase: SecretBytes::new(PASSPHRASE.to_vec()),
        cost: Argon2Cost::LEAST,
        operator: PrincipalId::new("alice").unwrap(),
        node: NodeId::new("laptop").unwrap(),
        node_secret: NodeSecret::File { name: "node.secret".into() },
    }
}

fn begun(seed: u8) -> Begun {
    Ceremony::begin(EMPTY, settings(), NOW, &mut entropy(seed)).unwrap()
}

/// The words asked for, as the phrase has them.
fn answers(begun: &Begun) -> Vec<(u8, String)> {
    let text = begun.phrase.words();
    let word = |place: u8| text.split(' ').nth(usize::from(place) - 1).unwrap().to_string();
    begun.asked.iter().map(|place| (*place, word(*place))).collect()
}

fn proofs(words: &[(u8, String)]) -> Vec<WordProof<'_>> {
    words.iter().map(|(place, word)| WordProof { place: *place, word }).collect()
}

fn confirm(begun: &mut Begun, now: UnixTime) -> Result<(), AnswerError> {
    let words = answers(begun);
    begun.ceremony.handle_answer(&proofs(&words), now)
}

/// Everything that a driver would have done.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    record: Option<Vec<u8>>,
    objects: Vec<AnyObject>,
    home: Option<HomeFacts>,
    phases: Vec<Phase>,
}

impl Disk {
    fn run(&mut self, ceremony: &mut Ceremony, steps: usize) {
        for _ in 0..steps {
            let Some(output) = ceremony.poll_output() else { break };
            assert!(ceremony.poll_output().is_none(), "one step at a time");
            match output {
                Output::StoreKey { name, bytes } => {
                    self.files.insert(name, bytes.to_vec());
                }
                Output::StoreRecord { bytes } => self.record = Some(bytes),
                Output::Found { objects } => self.objects = objects,
                Output::StoreHome(facts) => self.home = Some(*facts),
                Output::RemoveRecord => self.record = None,
            }
            self.phases.push(ceremony.handle_completed());
        }
    }

    fn secret(&self) -> SymmetricKey<Wrapping> {
        let bytes: [u8; 32] = self.files["node.secret"].as_slice().try_into().unwrap();
        SymmetricKey::from_bytes(Zeroizing::new(bytes))
    }

    fn wrapped(&self, name: &str) -> WrappedKey {
        WrappedKey::from_cbor(decode(&self.files[name]).unwrap()).unwrap()
    }

    fn open<K: fcp_proto_core::crypto::wrap::WrappableKey>(&self, name: &str) -> K {
        self.wrapped(name).open_with_key(&files::file_wrapping_key(&self.secret(), name)).unwrap()
    }

    fn node_keys(&self) -> NodeKeys {
        let zones = self.files.keys().filter_map(|name| {
            files::zone_of_key_file(name).map(|(zone, _)| (zone, self.open::<ObjectIdKey>(name).into()))
        });
        NodeKeys {
            signing: self.open::<SigningKey<NodeRole>>(files::SIGNING_KEY),
            issuance: self.open::<SigningKey<Issuance>>(files::ISSUANCE_KEY),
            zones: zones.collect(),
        }
    }

    fn node(&self) -> Node {
        Node::new(NodeConfig {
            node_id: NodeId::new("laptop").unwrap(),
            keys: self.node_keys(),
            session_secs: 60,
            limits: CallLimits { calls: 8, call_secs: 60 },
            clock_confirmed: false,
            entropy: entropy(9),
        })
    }
}

fn done(seed: u8) -> (Disk, Begun) {
    let mut begun = begun(seed);
    confirm(&mut begun, NOW).unwrap();
    let mut disk = Disk::default();
    disk.run(&mut begun.ceremony, 100);
    (disk, begun)
}

fn at(unix: UnixTime) -> Now {
    Now { mono: Instant::from_nanos(0), unix }
}

//= docs/spec/authority.md#the-ceremonys-objects
#[test]
fn a_node_takes_what_a_ceremony_made_and_no_second_owner() {
    let (disk, begun) = done(1);
    let mut node = disk.node();
    node.found(RequestId(1), disk.objects.clone(), at(NOW)).unwrap();
    while let Some(output) = node.poll_output() {
        if let NodeOutput::Persist { token, .. } = output {
            node.handle_completion(token, Completion::Durable, at(NOW));
        }
    }
    let owner = node.authority().owner().unwrap();
    assert_eq!(owner.public_key, begun.phrase.owner_key().verifying_key());
    assert_eq!(node.authority().zones().count(), 5);
    assert_eq!(node.authority().operators().len(), 1);
    assert!(node.authority().node(disk.node_keys().signing.key_id()).is_some());
    for name in ["z:owner", "z:private", "z:work", "z:community", "z:public"] {
        let zone = ZoneId::new(name).unwrap();
        let (definition, policy) = node.authority().zone(&zone).unwrap();
        assert_eq!(definition.integrity, fcp_proto_core::zone::default_level(&zone));
        assert_eq!(definition.confidentiality, definition.integrity);
        assert_eq!(*policy, default_policy(definition.integrity));
    }
    let (other, _) = done(2);
    let refused = node.found(RequestId(1), other.objects, at(NOW)).unwrap_err();
    assert_eq!(refused.code, Code::CeremonyDone);
}

#[test]
fn policies_narrow_with_trust() {
    let ceilings: Vec<_> =
        [Level::OWNER, Level::PRIVATE, Level::WORK, Level::COMMUNITY, Level::PUBLIC, Level::NONE]
            .into_iter()
            .map(|level| (default_policy(level).max_risk, default_policy(level).max_tier))
            .collect();
    assert_eq!(
        ceilings,
        [
            (Risk::Critical, SafetyTier::Critical),
            (Risk::Critical, SafetyTier::Dangerous),
            (Risk::Critical, SafetyTier::Dangerous),
            (Risk::High, SafetyTier::Risky),
            (Risk::Low, SafetyTier::Safe),
            (Risk::Low, SafetyTier::Safe),
        ]
    );
}

#[test]
fn the_phases_come_in_order_and_the_record_goes_last() {
    let (disk, begun) = done(1);
    assert!(disk.phases.is_sorted());
    assert_eq!(disk.phases[..2], [Phase::PhraseShown, Phase::Confirmed]);
    assert_eq!(begun.ceremony.phase(), Phase::Done);
    assert_eq!(disk.record, None);
    assert_eq!(disk.home.as_ref(), Some(begun.ceremony.facts()));
    assert_eq!(disk.files.len(), 12, "the node's secret, six keys and five zones");
}

#[test]
fn nothing_is_given_out_before_the_confirmation() {
    let mut begun = begun(1);
    assert!(begun.ceremony.poll_output().is_none());
    assert_eq!(begun.ceremony.handle_completed(), Phase::PhraseShown);
    assert!(begun.ceremony.poll_output().is_none());
}

#[test]
fn a_restart_at_any_step_after_the_confirmation_reaches_the_same_home() {
    let (whole, _) = done(1);
    for stop in 2.. {
        let mut begun = begun(1);
        confirm(&mut begun, NOW).unwrap();
        let mut disk = Disk::default();
        disk.run(&mut begun.ceremony, stop);
        let Some(record) = disk.record.clone() else { break };
        let mut resumed = Ceremony::resume(Present { record: true, ..EMPTY }, &record).unwrap();
        assert_eq!(resumed.phase(), Phase::Confirmed);
        disk.run(&mut resumed, 100);
        assert_eq!(resumed.phase(), Phase::Done);
        assert_eq!(
            (disk.files, disk.objects, disk.home),
            (whole.files.clone(), whole.objects.clone(), whole.home.clone())
        );
    }
}

#[test]
fn a_resumed_ceremony_does_not_found_a_node_twice() {
    let mut begun = begun(1);
    confirm(&mut begun, NOW).unwrap();
    let mut disk = Disk::default();
    disk.run(&mut begun.ceremony, 2);
    let record = disk.record.clone().unwrap();
    let owner = Some(begun.ceremony.facts().owner_key);
    let mut resumed = Ceremony::resume(Present { record: true, owner, ..EMPTY }, &record).unwrap();
    disk.run(&mut resumed, 100);
    assert!(disk.objects.is_empty());
    let stranger = Some(KeyId::from_bytes([1; 8]));
    let refused = Ceremony::resume(Present { record: true, owner: stranger, ..EMPTY }, &record).unwrap_err();
    assert_eq!((refused.code(), refused), (Code::CeremonyDone, ResumeError::OtherOwner));
}

#[test]
fn the_keys_open_only_in_their_own_files_and_under_the_right_passphrase() {
    let (disk, begun) = done(1);
    let passphrase = SecretBytes::new(PASSPHRASE.to_vec());
    let owner: SigningKey<Owner> = disk.wrapped("owner.key").open_with_passphrase(&passphrase).unwrap();
    assert_eq!(owner, begun.phrase.owner_key());
    let operator =
        disk.wrapped("operator.alice.key").open_with_passphrase::<SigningKey<Operator>>(&passphrase);
    assert!(operator.is_ok());
    let wrong = SecretBytes::new(b"incorrect horse".to_vec());
    let refused = disk.wrapped("owner.key").open_with_passphrase::<SigningKey<Owner>>(&wrong);
    assert_eq!(refused.unwrap_err(), WrapError::NotOpened);
    disk.open::<EncryptionKey>("node-encryption.key");
    disk.open::<SymmetricKey<Vault>>("vault.key");
    let elsewhere = files::file_wrapping_key(&disk.secret(), "zone.z_owner.key");
    let moved = disk.wrapped("zone.z_public.key").open_with_key::<ObjectIdKey>(&elsewhere);
    assert_eq!(moved.unwrap_err(), WrapError::NotOpened);
}

#[test]
fn the_phrase_recreates_the_owners_key() {
    let begun = begun(3);
    assert_eq!(recover(&begun.phrase.words()).unwrap(), begun.phrase.owner_key());
    assert!(recover("abandon abandon").is_err());
}

#[test]
fn no_seed_and_no_word_is_in_what_is_written_but_the_nodes_own_secret() {
    let mut begun = begun(1);
    confirm(&mut begun, NOW).unwrap();
    let mut disk = Disk::default();
    disk.run(&mut begun.ceremony, 2);
    let record = disk.record.clone().unwrap();
    disk.run(&mut begun.ceremony, 100);
    let keys = disk.node_keys();
    let mut secrets = Vec::from([
        begun.phrase.owner_key().expose_seed().to_vec(),
        keys.signing.expose_seed().to_vec(),
        keys.issuance.expose_seed().to_vec(),
        PASSPHRASE.to_vec(),
        begun.phrase.words().as_bytes().to_vec(),
    ]);
    secrets.extend(keys.zones.values().map(|keys| keys.serving().expose().to_vec()));
    let written = disk.files.values().chain([&record]);
    for bytes in written {
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    assert!(!alloc::format!("{begun:?}").contains(begun.phrase.words().split(' ').next().unwrap()));
}

#[test]
fn wrong_words_are_named_and_bounded() {
    let mut begun = begun(1);
    let mut words = answers(&begun);
    words[1].1 = "wrong".into();
    for left in (1..MAX_WRONG_ANSWERS).rev() {
        let place = words[1].0;
        let refused = begun.ceremony.handle_answer(&proofs(&words), NOW);
        assert_eq!(refused, Err(AnswerError::WrongWord { place, left }));
    }
    assert_eq!(begun.ceremony.handle_answer(&proofs(&words), NOW), Err(AnswerError::Void));
    assert_eq!(confirm(&mut begun, NOW), Err(AnswerError::Void));
    assert!(begun.ceremony.poll_output().is_none());
}

#[test]
fn exactly_the_words_asked_for_confirm_in_time_and_once() {
    let mut begun = begun(1);
    let words = answers(&begun);
    for bad in [&words[..2], &[words[0].clone(), words[0].clone(), words[1].clone()]] {
        assert_eq!(begun.ceremony.handle_answer(&proofs(bad), NOW), Err(AnswerError::NotAsked));
    }
    let upper: Vec<_> = words.iter().map(|(place, word)| (*place, word.to_uppercase())).collect();
    assert_eq!(begun.ceremony.handle_answer(&proofs(&upper), NOW), Ok(()));
    assert_eq!(confirm(&mut begun, NOW), Err(AnswerError::AlreadyConfirmed));
    let mut late = self::begun(1);
    assert_eq!(confirm(&mut late, NOW.saturating_add(CONFIRM_WITHIN_SECS)), Err(AnswerError::Expired));
    assert_eq!(confirm(&mut late, NOW), Err(AnswerError::Void));
}

#[test]
fn a_home_that_is_not_free_gets_no_ceremony() {
    let owner = Some(KeyId::from_bytes([1; 8]));
    for (present, why) in [
        (Present { owner, ..EMPTY }, BeginError::OwnerExists),
        (Present { home: true, ..EMPTY }, BeginError::OwnerExists),
        (Present { record: true, ..EMPTY }, BeginError::MustResume),
        (Present { keys: true, ..EMPTY }, BeginError::StrayKeys),
    ] {
        let refused = Ceremony::begin(present, settings(), NOW, &mut entropy(1)).unwrap_err();
        assert_eq!(refused, why);
    }
    let short = Begin { passphrase: SecretBytes::new(b"1234567".to_vec()), ..settings() };
    let refused = Ceremony::begin(EMPTY, short, NOW, &mut entropy(1)).unwrap_err();
    assert_eq!((refused.code(), refused), (Code::OutOfRange, BeginError::PassphraseTooShort));
}

//= docs/spec/ceremony.md#the-record
#[test]
fn a_damaged_record_is_refused_at_every_byte() {
    let mut begun = begun(1);
    confirm(&mut begun, NOW).unwrap();
    let mut disk = Disk::default();
    disk.run(&mut begun.ceremony, 2);
    let record = disk.record.unwrap();
    let present = Present { record: true, ..EMPTY };
    for at in (0..record.len()).step_by(7) {
        let mut bad = record.clone();
        bad[at] ^= 1;
        assert!(Ceremony::resume(present, &bad).is_err(), "byte {at}");
        assert!(Ceremony::resume(present, &record[..at]).is_err(), "cut at {at}");
    }
    let mut newer = fcp_proto_core::encoding::cbor::MapBuilder::default();
    newer.field("version", &2_u64);
    let newer = fcp_proto_core::encoding::cbor::encode(&newer.finish()).unwrap();
    let refused = Ceremony::resume(present, &newer).unwrap_err();
    assert_eq!((refused.code(), refused), (Code::HomeTooNew, ResumeError::TooNew(2)));
}

/// Another implementation makes the same record of the same ceremony.
#[test]
fn a_record_is_that_of_the_vectors() {
    let file = include_str!("../../../../vectors/node/ceremony.json");
    let file: serde_json::Value = serde_json::from_str(file).expect("JSON");
    let mut begun = begun(1);
    confirm(&mut begun, NOW).unwrap();
    let mut disk = Disk::default();
    disk.run(&mut begun.ceremony, 2);
    assert_eq!(file["cases"][0]["record"], hex::encode(disk.record.unwrap()));
}
