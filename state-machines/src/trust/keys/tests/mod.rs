//! A small mesh that agrees on a zone's keys, and thieves who try.

mod manifests;
mod model;
mod paths;
mod thieves;
mod unruled;
mod world;

use alloc::format;

use fcp_proto_core::crypto::hpke::{OpeningKey, PublicEncryptionKey};
use fcp_proto_core::object::{
    Header, Object, ObjectIdKey, Signed, SignedBody, ZoneKey, ZoneKeyManifest, ZoneKeyTerms,
};
use fcp_proto_core::zone::Label;

use super::*;

/// When the tests begin.
const START: u64 = 1_000_000;

const BOUNDS: Bounds = Bounds { max_key_secs: 10_000, overlap_secs: 600 };
const POLICY: Continuous = Continuous {
    algorithm: ZoneKeyAlgorithm::XChaCha20Poly1305,
    bounds: BOUNDS,
    update_secs: 5_000,
    handed_over: 0,
};

fn node(i: usize) -> NodeId {
    NodeId::new(format!("node-{i}")).unwrap()
}

fn key(i: usize) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([u8::try_from(i + 1).unwrap(); 32]))
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

fn entropy(seed: u64) -> Entropy {
    let mut bytes = Zeroizing::new([0; 32]);
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Entropy::from_seed(&bytes)
}

fn roll(epoch: u64, members: impl IntoIterator<Item = usize>) -> Roll {
    let keys = (0..6).map(|i| (node(i), key(i).verifying_key())).collect();
    Roll { epoch, members: members.into_iter().map(node).collect(), keys }
}

fn copy(bytes: &SecretBytes) -> SecretBytes {
    SecretBytes::new(bytes.expose().to_vec())
}

fn owner() -> SigningKey<fcp_proto_core::crypto::role::Owner> {
    SigningKey::from_seed(&Zeroizing::new([99; 32]))
}

fn terms(valid_from: u64, prev: Option<KeyId>) -> ZoneKeyTerms {
    BOUNDS.terms(POLICY.algorithm, at(valid_from), prev)
}

fn manifest(
    terms: ZoneKeyTerms,
    secret: u8,
    to: &BTreeMap<NodeId, PublicEncryptionKey>,
) -> Object<Signed<ZoneKeyManifest>> {
    let zone_key = ZoneKey::from_bytes([secret; 32].into());
    let names = ObjectIdKey::from_bytes([7; 32].into());
    let keys = (&zone_key, &names);
    let fields = ZoneKeyManifest::seal(&zone(), terms, keys, to, at(START), &mut entropy(5)).unwrap();
    let header = Header::new(&ZoneKeyManifest::SCHEMA, &zone(), at(START), Label::default(), None);
    Object::sign(header, fields, &owner()).unwrap()
}

/// The keys that the owner sealed to the first device.
fn first_keys() -> OpenedZoneKeys {
    let encryption = fcp_proto_core::crypto::agree::EncryptionKey::generate(&mut entropy(1));
    let to = [(node(0), encryption.recipient())].into();
    let sealed = manifest(terms(START, None), 1, &to);
    sealed.open_keys(&owner().verifying_key(), &node(0), &encryption).unwrap()
}
