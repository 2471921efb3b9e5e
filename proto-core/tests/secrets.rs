//! Every type that holds a secret is listed here: it shows nothing of it, and compares in constant time where it compares at
//! all. That it wipes it is shown in `wiping.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::frost::{Committed, Dealt, SigningNonces, begin_keygen, commit};
use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::crypto::hpke::HybridEncryptionKey;
use fcp_proto_core::crypto::mls::MlsSuite;
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::{Node, ObjectId, Owner, Zone};
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::shamir::{HeldShare, Share};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::wrap::WrappableKey;
use fcp_proto_core::frame::symbols::{Opener, Sealer, Sender, ZoneKeyRef};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::cookie::Cookies;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::rekey::Lineage;
use fcp_proto_core::session::schedule::{Parties, Secrets};
use fcp_proto_core::session::suite::SuiteId;
use fcp_proto_core::time::Instant;
use zeroize::Zeroizing;

/// The types that hold secrets, with those inside a module. A type that is not here fails the test below.
const SECRET_TYPES: [&str; 19] = [
    "Blake3",
    "Committed",
    "CookieKey",
    "DealtShare",
    "Dealt",
    "EncryptionKey",
    "EphemeralKey",
    "Hasher",
    "HybridEncryptionKey",
    "KeyShare",
    "Operation",
    "RecoveryPhrase",
    "RekeySecret",
    "SecretBytes",
    "Secrets",
    "Share",
    "SigningKey",
    "SigningNonces",
    "SymmetricKey",
];

/// A byte that stands nowhere but in secrets, however it is printed.
const MARK: u8 = 0xa7;

fn secret() -> Zeroizing<[u8; 32]> {
    Zeroizing::new([MARK; 32])
}

fn node() -> NodeId {
    NodeId::new("laptop").expect("a node")
}

/// Neither decimal nor hexadecimal digits of the marked bytes stand in what is printed.
#[track_caller]
fn hides<T: Debug>(value: &T) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let plain: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        for shown in ["167,167", "a7a7", "A7A7", "0xa7,0xa7"] {
            assert!(!plain.contains(shown), "{text}");
        }
    }
}

#[test]
fn nothing_prints_a_secret() {
    hides(&SymmetricKey::<Zone>::from_bytes(secret()));
    hides(&SymmetricKey::<ObjectId>::from_bytes(secret()));
    hides(&SecretBytes::new(vec![MARK; 32]));
    hides(&SigningKey::<Owner>::from_seed(&secret()));
    hides(&EncryptionKey::from_secret(secret()));
    hides(&HybridEncryptionKey::from_secret(secret()));
    hides(&RecoveryPhrase::from_entropy(secret()));
    hides(&Entropy::from_seed(&secret()));
    hides(&Hasher::keyed(&secret(), "").with(&*secret()));
    let share = Share::from_bytes(&[&[1], &secret()[..]].concat()).expect("a share");
    hides(&share);
    hides(&HeldShare { secret_id: [0; 16], generation: 0, share });
    hides(&session());
    hides(&Cookies::new(Instant::from_nanos(0), &mut Entropy::from_seed(&secret())));
    let (zone_key, node) = (secret(), node());
    let (id, zone_id_hash) = (KeyId::from_bytes([0; 8]), Digest::from_bytes([0; 32]));
    let algorithm = ZoneKeyAlgorithm::ChaCha20Poly1305;
    let key = ZoneKeyRef { secret: &zone_key, id, zone_id_hash, algorithm };
    let sender = Sender { node: &node, instance: 1 };
    hides(&Sealer::with_instance(key, sender, &Pure));
    hides(&Opener::new(key, sender, &Pure));
}

fn session() -> Session {
    let parties = Parties { initiator: node(), responder: NodeId::new("phone").expect("a node") };
    let suite = SuiteId::new(1).suite().expect("a suite");
    let (side, limits) = (Side::Initiator, KeyLimits::default());
    let lineage = Lineage { suite, parties, side, limits, peer_datagram_bytes: 0 };
    let secrets =
        Secrets { initiator_mac: secret(), responder_mac: secret(), context: secret(), chain: secret() };
    Session::new(lineage, MeshSessionId::from_bytes([0; 16]), 0, secrets, &Pure, Instant::from_nanos(0))
}

/// What a participant keeps of a shared key shows neither its share nor its nonces, which nobody else can compute.
#[test]
fn parts_of_a_shared_key_print_no_scalar() {
    let begin = |participant: u8| {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([participant; 32]));
        begin_keygen([7; 32], (2, 2), participant, &mut entropy).expect("a quorum")
    };
    let ((own, first), (other, second)) = (begin(1), begin(2));
    assert!(format!("{own:?}").len() < 100, "{own:?}");
    let (own, _) = own.receive(&BTreeMap::from([(2, second)])).expect("honest");
    let (_, sent) = other.receive(&BTreeMap::from([(1, first)])).expect("honest");
    assert!(format!("{own:?}").len() < 100, "{own:?}");
    let share = own.receive(&BTreeMap::from([(2, sent[&1].clone())])).expect("honest");
    let stored = share.to_bytes().expect("small");
    let scalar = hex::encode(&stored[2..34]);
    assert!(!format!("{share:?}").contains(&scalar[..8]), "{share:?}");
    let (nonces, _) = commit(&share, &mut Entropy::from_seed(&secret())).expect("commits");
    assert!(format!("{nonces:?}").len() < 100, "{nonces:?}");
    let suite = MlsSuite::new(&SigningKey::<Node>::from_seed(&secret()), &mut Entropy::from_seed(&secret()));
    assert_eq!(format!("{suite:?}"), "MlsSuite(..)");
}

/// What the library keeps of nonces and polynomials nobody outside it knows, so that it cannot be looked for as
/// `wiping.rs` looks for all other secrets. Plain numbers, at least, would have nothing to do when they are dropped.
#[test]
fn nonces_and_polynomials_are_not_dropped_as_plain_numbers() {
    fn does_something<T>() {
        assert!(core::mem::needs_drop::<T>(), "{}", core::any::type_name::<T>());
    }
    does_something::<SigningNonces>();
    does_something::<Committed>();
    does_something::<Dealt>();
}

#[test]
fn secrets_are_equal_only_if_all_of_them_is() {
    let key = |last: u8| {
        let mut bytes = secret();
        bytes[31] = last;
        bytes
    };
    assert_eq!(SymmetricKey::<Zone>::from_bytes(key(1)), SymmetricKey::from_bytes(key(1)));
    assert_ne!(SymmetricKey::<Zone>::from_bytes(key(1)), SymmetricKey::from_bytes(key(2)));
    assert_eq!(SigningKey::<Owner>::from_seed(&key(1)), SigningKey::from_seed(&key(1)));
    assert_ne!(SigningKey::<Owner>::from_seed(&key(1)), SigningKey::from_seed(&key(2)));
    assert_eq!(SecretBytes::new(vec![1, 2]), SecretBytes::new(vec![1, 2]));
    assert_ne!(SecretBytes::new(vec![1, 2]), SecretBytes::new(vec![1, 2, 3]));
    let share = |last: u8| Share::from_bytes(&[1, 5, last]).expect("a share");
    assert_eq!(share(1), share(1));
    assert_ne!(share(1), share(2));
}

/// No type derives equality or printing over a secret, and none holds one without being listed.
#[test]
fn no_type_with_a_secret_is_forgotten() {
    let mut found = BTreeSet::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |text| {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (at, _) in text.match_indices("struct ") {
            let definition = &text[at + "struct ".len()..];
            let ends = ["}", ";\n"].iter().filter_map(|end| definition.find(end));
            let end = ends.min().unwrap_or(definition.len());
            let definition = &definition[..end];
            let holds = [
                "Zeroizing<",
                ": Secret,",
                "(StaticSecret)",
                "SecretPackage",
                "SigningNonces,",
                "dalek::SigningKey",
                "blake3::Hasher",
            ];
            let name: String = definition.chars().take_while(|it| it.is_alphanumeric()).collect();
            if holds.iter().any(|held| definition.contains(held)) {
                let before = text[..at].rsplit("\n\n").next().unwrap_or_default();
                let derives: String = before.lines().filter(|line| line.contains("#[derive(")).collect();
                for derived in ["Debug", "PartialEq", "Copy"] {
                    assert!(!derives.contains(derived), "{name} derives {derived}");
                }
                // It wipes itself when it is told to, not when it is dropped.
                if definition.contains("blake3::Hasher") {
                    assert!(text.contains(&format!("impl Drop for {name} {{")), "{name} is not wiped");
                }
                found.insert(name);
            }
        }
    });
    let listed: BTreeSet<String> = SECRET_TYPES.iter().map(|name| String::from(*name)).collect();
    assert_eq!(found, listed);
}

fn visit(folder: &Path, read: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            visit(&path, read);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            read(&fs::read_to_string(path).expect("readable"));
        }
    }
}
