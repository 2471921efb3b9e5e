//! Sealing, opening and checking allocate nothing for a symbol, a datagram, a control frame or a signed frame.

use allocation_counter::measure;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::frame::control;
use fcp_proto_core::frame::datagram::{self, PREFIX_BYTES};
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::{HEADER_BYTES, RECORD_OVERHEAD};
use fcp_proto_core::frame::signed::{self, SignedFrame};
use fcp_proto_core::frame::symbols::{About, Opener, Sealer, Sender, ZoneKeyRef};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId, ObjectId, SessionNonce};
use fcp_proto_core::limits::{MAX_CONTROL_BYTES, MAX_FRAME_BYTES};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::rekey::Lineage;
use fcp_proto_core::session::schedule::{self, Parties};
use fcp_proto_core::session::suite::Suite;
use fcp_proto_core::time::{Instant, UnixTime};
use zeroize::Zeroizing;

const NOW: Instant = Instant::from_nanos(0);
const SYMBOLS: usize = 32;
const FRAME: usize = HEADER_BYTES + SYMBOLS * (RECORD_OVERHEAD + 1_024);

fn node(name: &str) -> NodeId {
    name.parse().expect("a node")
}

fn session(suite: Suite, side: Side) -> Session {
    let parties = Parties { initiator: node("alice"), responder: node("bob") };
    let (id, nonce) = (MeshSessionId::from_bytes([1; 16]), SessionNonce::from_bytes([2; 16]));
    let secrets = schedule::first(suite, &parties, &id, [&nonce, &nonce], &Zeroizing::new([3; 32]));
    let lineage =
        Lineage { suite, parties, side, limits: KeyLimits::default(), peer_datagram_bytes: MAX_FRAME_BYTES };
    Session::new(lineage, id, 0, secrets, &Pure, NOW)
}

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn symbols_are_sealed_and_opened_without_allocation() {
    for algorithm in [ZoneKeyAlgorithm::ChaCha20Poly1305, ZoneKeyAlgorithm::XChaCha20Poly1305] {
        let zone_key =
            ZoneKeyRef { secret: &[7; 32], id: KeyId::default(), zone_id_hash: Digest::default(), algorithm };
        let name = node("alice");
        let sender = Sender { node: &name, instance: 5 };
        let (mut sealer, opener) =
            (Sealer::with_instance(zone_key, sender, &Pure), Opener::new(zone_key, sender, &Pure));
        let about = About {
            flags: Flags::default(),
            object_id: ObjectId::default(),
            symbol_size: 1_024,
            epoch_id: 1,
        };
        let (mut buffer, symbol) = (vec![0; FRAME], [9; 1_024]);
        let count = allocations(|| {
            let mut writer = sealer.frame(&about, &mut buffer).expect("room");
            for esi in 0..SYMBOLS as u32 {
                writer.push(esi, 40, &symbol).expect("room");
            }
            let frame = writer.finish().expect("a frame");
            let opened = opener.symbols(frame, MAX_FRAME_BYTES).expect("a frame");
            assert_eq!(opened.filter(|it| it.as_ref().is_ok_and(|it| *it.bytes == symbol)).count(), SYMBOLS);
        });
        assert_eq!(count, 0, "{algorithm:?}");
    }
}

/// A signed frame may be 4 MiB long, and whoever sends it is not known to be honest before its signature is checked.
//= docs/spec/fcps.md#signed-frames
#[test]
fn a_signed_frame_is_signed_and_verified_where_it_lies() {
    let (source, now) = (node("alice"), UnixTime::from_secs(1_000));
    let key = SigningKey::<Node>::from_seed(&Zeroizing::new([4; 32]));
    let verifying = key.verifying_key();
    let frame = vec![7; 1 << 20];
    let mut out = vec![0; frame.len() + 200];
    let mut length = 0;
    let emitted = || length = signed::emit(&source, &key, now, &frame, &mut out).expect("room").len();
    assert_eq!(allocations(emitted), 0);
    let signed = SignedFrame::parse(&out[..length], MAX_FRAME_BYTES).expect("a signed frame");
    assert_eq!(allocations(|| assert_eq!(signed.verify(&verifying, now), Ok(&frame[..]))), 0);
}

#[test]
fn datagrams_and_control_frames_pass_without_allocation() {
    for suite in Suite::ALL {
        let (mut alice, mut bob) = (session(*suite, Side::Initiator), session(*suite, Side::Responder));
        let mut bytes = vec![0; PREFIX_BYTES + FRAME];
        let count = allocations(|| {
            datagram::seal(&mut alice.send, &mut bytes, MAX_FRAME_BYTES, NOW).expect("sealed");
            datagram::open(&mut bob.receive, &mut bytes, MAX_FRAME_BYTES).expect("taken");
            control::seal(&mut alice.send, &mut bytes, MAX_CONTROL_BYTES, NOW).expect("sealed");
            control::open(&mut bob.receive, &mut bytes, MAX_CONTROL_BYTES).expect("taken");
        });
        assert_eq!(count, 0, "{suite:?}");
    }
}
