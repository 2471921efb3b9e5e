//! What held a secret holds nothing of it when it is gone: after each value is dropped, the heap of this process is looked
//! through for the secret.
//!
//! The heap is read as the kernel shows it, so that blocks that were freed are seen as well. A block that is freed gets 16
//! bytes of the allocator's own at its beginning; so only the last 16 bytes of a secret of 32 are looked for. The stack is
//! not looked at: a value that is moved stays where it was until something else is written there. Nor is a block seen that
//! was freed on the way and taken again for something else before the end. There is one thread, and no test harness beside
//! it, so that nothing is allocated between the drop and the look.

use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::frost::{KeyShare, SigningRequest, begin_keygen, begin_refresh, commit};
use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::crypto::hpke::{BoxContext, HpkeBox, HybridEncryptionKey, OpeningKey, Purpose};
use fcp_proto_core::crypto::mls::MlsSuite;
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::{Node, Owner, Wrapping, Zone};
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::shamir::{Dealing, DealingTerms, HeldShare, Share, ShareRecipient};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::source::KeySource;
use fcp_proto_core::crypto::wrap::{WrappableKey, WrappedKey};
use fcp_proto_core::frame::symbols::{Opener, Sealer, Sender, ZoneKeyRef};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId, ZoneId};
use fcp_proto_core::object::{
    Header, Object, ObjectIdKey, OpenedZoneKeys, Signed, SignedBody, ZoneKey, ZoneKeyAlgorithm,
    ZoneKeyManifest, ZoneKeyTerms,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::cookie::Cookies;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::rekey::Lineage;
use fcp_proto_core::session::schedule::{Parties, Secrets};
use fcp_proto_core::session::suite::SuiteId;
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_proto_core::zone::{Label, ZoneKeyRing};
use zeroize::Zeroizing;

/// Room for the heap's bytes. So large a block is no part of the heap.
const MOST_HEAP: usize = 32 << 20;

fn secret() -> Zeroizing<[u8; 32]> {
    Zeroizing::new(core::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ 0x5a))
}

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

fn main() -> ExitCode {
    let Some(mut heap) = Heap::find() else {
        println!("NOT RUN: this machine does not show a process its own heap");
        let required = std::env::var("FCP_TEST_REQUIRE").is_ok_and(|what| what == "all");
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    };
    a_look_finds_what_nobody_wiped(&mut heap);
    what_holds_a_secret_wipes_it(&mut heap);
    what_is_opened_is_wiped(&mut heap);
    a_zone_key_is_wiped_with_its_ring_and_when_it_is_revoked(&mut heap);
    a_share_of_a_key_is_wiped_after_all_that_it_does(&mut heap);
    println!("{} kinds of values are wiped", heap.looks);
    ExitCode::SUCCESS
}

/// The heap of this process.
struct Heap {
    memory: File,
    bytes: Vec<u8>,
    looks: usize,
}

impl Heap {
    fn find() -> Option<Self> {
        let heap = Self { memory: File::open("/proc/self/mem").ok()?, bytes: vec![0; MOST_HEAP], looks: 0 };
        Self::range().map(|_| heap)
    }

    /// Where it lies now.
    fn range() -> Option<Range<u64>> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.ends_with("[heap]"))?;
        let (start, end) = line.split_whitespace().next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(number(start)?..number(end)?)
    }

    /// How often the last half of `secret` stands in `range`. Nothing is allocated.
    fn count(&mut self, range: &Range<u64>, secret: &[u8; 32]) -> usize {
        let length = usize::try_from(range.end - range.start).expect("a small heap");
        let bytes = &mut self.bytes[..length];
        let read = self.memory.read_at(bytes, range.start).expect("the heap can be read");
        bytes[..read].windows(16).filter(|window| *window == &secret[16..]).count()
    }

    /// The value that is made holds the secret on the heap, and after it is dropped nothing does.
    #[track_caller]
    fn wipes<T>(&mut self, secret: &[u8; 32], make: impl FnOnce() -> T) {
        let value = black_box(Box::new(make()));
        let range = Self::range().expect("found before");
        let name = core::any::type_name::<T>();
        assert!(self.count(&range, secret) > 0, "{name} does not hold its secret where it is looked for");
        drop(value);
        assert_eq!(self.count(&range, secret), 0, "{name} leaves its secret behind");
        self.looks += 1;
    }
}

fn a_look_finds_what_nobody_wiped(heap: &mut Heap) {
    let mut secret = secret();
    secret[31] ^= 1;
    let value = black_box(secret.to_vec());
    let range = Heap::range().expect("found before");
    drop(value);
    assert_eq!(heap.count(&range, &secret), 1);
}

//= docs/spec/keys.md#memory
fn what_holds_a_secret_wipes_it(heap: &mut Heap) {
    let bytes = secret();
    heap.wipes(&bytes, || SymmetricKey::<Zone>::from_bytes(secret()));
    heap.wipes(&bytes, || SecretBytes::new(secret().to_vec()));
    heap.wipes(&bytes, || SigningKey::<Owner>::from_seed(&secret()));
    heap.wipes(&bytes, || EncryptionKey::from_secret(secret()));
    heap.wipes(&bytes, || HybridEncryptionKey::from_secret(secret()));
    heap.wipes(&bytes, || RecoveryPhrase::from_entropy(secret()));
    heap.wipes(&bytes, || Entropy::from_seed(&secret()));
    heap.wipes(&bytes, || Hasher::keyed(&secret(), ""));
    heap.wipes(&bytes, share);
    heap.wipes(&bytes, || HeldShare { secret_id: [0; 16], generation: 0, share: share() });
    heap.wipes(&bytes, || MlsSuite::new(&SigningKey::<Node>::from_seed(&secret()), &mut entropy(1)));
    heap.wipes(&bytes, secrets);
    for suite in [1, 2] {
        heap.wipes(&bytes, || session(suite));
    }
    let cookie_key = entropy(2).bytes();
    heap.wipes(&cookie_key, || Cookies::new(Instant::from_nanos(0), &mut entropy(2)));
    let (secret, node) = (secret(), node());
    let (id, zone_id_hash) = (KeyId::default(), Digest::from_bytes([0; 32]));
    // They keep keys that are made of the zone's key, and not that key.
    let key = ZoneKeyRef { secret: &secret, id, zone_id_hash, algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305 };
    heap.wipes(&bytes, || {
        (SecretBytes::new(secret.to_vec()), Sealer::new(key, &node, &Pure, &mut entropy(3)))
    });
    let sender = Sender { node: &node, instance: 1 };
    heap.wipes(&bytes, || (SecretBytes::new(secret.to_vec()), Opener::new(key, sender, &Pure)));
}

fn share() -> Share {
    Share::from_bytes(&Zeroizing::new([&[1], &secret()[..]].concat())).expect("a share")
}

fn node() -> NodeId {
    NodeId::new("laptop").expect("a node")
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

fn session(suite: u8) -> Session {
    let parties = Parties { initiator: node(), responder: NodeId::new("phone").expect("a node") };
    let suite = SuiteId::new(suite).suite().expect("a suite");
    let (side, limits) = (Side::Initiator, KeyLimits::default());
    let lineage = Lineage { suite, parties, side, limits, peer_datagram_bytes: 0 };
    Session::new(lineage, MeshSessionId::from_bytes([0; 16]), 0, secrets(), &Pure, Instant::from_nanos(0))
}

fn secrets() -> Secrets {
    Secrets { initiator_mac: secret(), responder_mac: secret(), context: secret(), chain: secret() }
}

/// Neither the plaintext nor what was needed on the way stays.
//= docs/spec/keys.md#memory
fn what_is_opened_is_wiped(heap: &mut Heap) {
    let (bytes, zone, node) = (secret(), zone(), node());
    let issued_at = UnixTime::from_secs(1);
    let context = BoxContext { zone_id: &zone, recipient: &node, purpose: Purpose::ZoneKey, issued_at };
    let plain = EncryptionKey::generate(&mut entropy(1));
    let sealed = HpkeBox::seal(&plain.recipient(), context, &*bytes, &mut entropy(2)).expect("sealed");
    heap.wipes(&bytes, || sealed.open(&plain, context).expect("opens"));
    let hybrid = HybridEncryptionKey::generate(&mut entropy(1));
    let sealed = HpkeBox::seal(&hybrid.recipient(), context, &*bytes, &mut entropy(2)).expect("sealed");
    heap.wipes(&bytes, || sealed.open(&hybrid, context).expect("opens"));

    let terms = DealingTerms { secret_id: [1; 16], generation: 0, threshold: 1, total: 1 };
    let to = ShareRecipient { zone_id: &zone, node_id: &node, issued_at };
    heap.wipes(&bytes, || {
        let (dealing, shares) =
            Dealing::deal(&SecretBytes::new(secret().to_vec()), terms, &mut entropy(3)).expect("dealt");
        let sealed = shares[0].seal(&plain.recipient(), to, &mut entropy(4)).expect("sealed");
        let held = dealing.open_share(&sealed, &plain, to).expect("opens");
        (shares, dealing.combine(vec![held]).expect("the secret"))
    });

    let wrapping = SymmetricKey::<Wrapping>::generate(&mut entropy(5));
    heap.wipes(&bytes, || {
        let key = SigningKey::<Node>::from_seed(&secret());
        let source = KeySource::File { name: "key".parse().expect("a name") };
        let record = WrappedKey::with_key(&key, &wrapping, source, &mut entropy(6)).expect("wrapped");
        record.open_with_key::<SigningKey<Node>>(&wrapping).expect("opens")
    });
    heap.wipes(&bytes, || {
        RecoveryPhrase::parse(&RecoveryPhrase::from_entropy(secret()).words()).expect("parses")
    });
}

//= docs/spec/keys.md#memory
//= docs/spec/sealing.md#key-rings
fn a_zone_key_is_wiped_with_its_ring_and_when_it_is_revoked(heap: &mut Heap) {
    let bytes = secret();
    heap.wipes(&bytes, opened);
    heap.wipes(&bytes, || ZoneKeyRing::new(opened()));
    let mut ring = ZoneKeyRing::new(opened());
    let id = ring.newest().expect("a key").0;
    let range = Heap::range().expect("found before");
    assert_eq!(heap.count(&range, &bytes), 1);
    ring.revoke(id).expect("a key of the ring");
    assert_eq!(heap.count(&range, &bytes), 0, "a revoked key is gone at once");
}

/// What a device has of a manifest that it read.
fn opened() -> OpenedZoneKeys {
    let owner = SigningKey::<Owner>::generate(&mut entropy(1));
    let device = EncryptionKey::generate(&mut entropy(2));
    let keys = (&ZoneKey::from_bytes(secret()), &ObjectIdKey::generate(&mut entropy(3)));
    let terms = ZoneKeyTerms {
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
        valid_from: UnixTime::from_secs(1),
        valid_until: None,
        prev_zone_key_id: None,
        overlap_secs: 0,
    };
    let (zone, now) = (zone(), UnixTime::from_secs(1));
    let recipients = BTreeMap::from([(node(), device.recipient())]);
    let manifest = ZoneKeyManifest::seal(&zone, terms, keys, &recipients, now, &mut entropy(4));
    let header = Header::new(&<ZoneKeyManifest as SignedBody>::SCHEMA, &zone, now, Label::default(), None);
    let signed: Object<Signed<ZoneKeyManifest>> =
        Object::sign(header, manifest.expect("sealed"), &owner).expect("small");
    signed.open_keys(&owner.verifying_key(), &node(), &device).expect("its keys")
}

/// The share as it stands in the record of it.
fn scalar(share: &KeyShare) -> Zeroizing<[u8; 32]> {
    let record = share.to_bytes().expect("small");
    Zeroizing::new(record[2..34].try_into().expect("32 bytes"))
}

//= docs/spec/keys.md#memory
fn a_share_of_a_key_is_wiped_after_all_that_it_does(heap: &mut Heap) {
    let [own, other] = keygen();
    let (bytes, own, other) =
        (scalar(&own), own.to_bytes().expect("small"), other.to_bytes().expect("small"));
    let share = |record: &[u8]| KeyShare::from_bytes(record).expect("a share");
    // The record holds the share as well, and lives on: it is hidden where it would be found.
    let hidden = own.iter().map(|byte| byte ^ 0xff).collect::<Vec<_>>();
    drop(own);
    let own = || {
        let record = Zeroizing::new(hidden.iter().map(|byte| byte ^ 0xff).collect::<Vec<_>>());
        share(&record)
    };
    heap.wipes(&bytes, || keygen().into_iter().next());
    heap.wipes(&bytes, own);
    heap.wipes(&bytes, || {
        let (own, other) = (own(), share(&other));
        let (nonces, commitment) = commit(&own, &mut entropy(8)).expect("commits");
        let (_, others) = commit(&other, &mut entropy(9)).expect("commits");
        let commitments = BTreeMap::from([(1, commitment), (2, others)]);
        let request = SigningRequest::new(own.group(), b"message".to_vec(), &commitments).expect("a request");
        own.sign(&request, nonces).expect("signs");
        own
    });
    heap.wipes(&bytes, || {
        let (own, other) = (own(), share(&other));
        let begin =
            |share, seed| begin_refresh([8; 32], share, [1, 2].into(), &mut entropy(seed)).expect("begins");
        let ((first, own_message), (second, others_message)) = (begin(&own, 1), begin(&other, 2));
        let (first, _) = first.receive(&BTreeMap::from([(2, others_message)])).expect("honest");
        let (_, to_own) = second.receive(&BTreeMap::from([(1, own_message)])).expect("honest");
        first.receive(&BTreeMap::from([(2, to_own[&1].clone())])).expect("honest");
        own
    });
}

fn keygen() -> [KeyShare; 2] {
    let begin = |participant: u8| {
        begin_keygen([7; 32], (2, 2), participant, &mut entropy(participant)).expect("a quorum")
    };
    let ((own, own_message), (other, other_message)) = (begin(1), begin(2));
    let (own, to_other) = own.receive(&BTreeMap::from([(2, other_message)])).expect("honest");
    let (other, to_own) = other.receive(&BTreeMap::from([(1, own_message)])).expect("honest");
    let own = own.receive(&BTreeMap::from([(2, to_own[&1].clone())])).expect("honest");
    let other = other.receive(&BTreeMap::from([(1, to_other[&2].clone())])).expect("honest");
    [own, other]
}
