use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::control::{self, ControlError, ControlHeader};
use super::datagram::{self, DatagramError, PREFIX_BYTES};
use super::error::FrameError;
use super::flags::{Flags, InvalidFlags};
use super::header::{HEADER_BYTES, Header, RECORD_OVERHEAD};
use super::opening::{self, OpeningError};
use super::signed::{self, SignedFrame, SignedFrameError};
use super::symbols::{About, Opener, Sealer, Sender, SymbolError, ZoneKeyRef, largest_symbol};
use crate::crypto::provider::Pure;
use crate::crypto::role::Node;
use crate::crypto::sign::SigningKey;
use crate::ids::{Digest, IdError, KeyId, NodeId, ObjectId};
use crate::limits::{DEFAULT_DATAGRAM_BYTES, DEFAULT_SYMBOL_BYTES, MAX_CONTROL_BYTES, MAX_FRAME_BYTES};
use crate::object::ZoneKeyAlgorithm;
use crate::random::Entropy;
use crate::session::keys::{KeyLimit, KeyLimits, KeysSpent, Session};
use crate::session::tests::{alice, bob, pair, pair_with};
use crate::time::{Instant, UnixTime};

const NOW: Instant = Instant::from_nanos(0);

const SECRET: [u8; 32] = [7; 32];

fn zone_key(algorithm: ZoneKeyAlgorithm) -> ZoneKeyRef<'static> {
    ZoneKeyRef {
        secret: &SECRET,
        id: KeyId::from_bytes([1; 8]),
        zone_id_hash: Digest::from_bytes([2; 32]),
        algorithm,
    }
}

fn about(symbol_size: u16) -> About {
    About { flags: Flags::default(), object_id: ObjectId::from_bytes([3; 32]), symbol_size, epoch_id: 9 }
}

const ALGORITHMS: [ZoneKeyAlgorithm; 2] =
    [ZoneKeyAlgorithm::ChaCha20Poly1305, ZoneKeyAlgorithm::XChaCha20Poly1305];

fn ends(algorithm: ZoneKeyAlgorithm, instance: u64) -> (Sealer, Opener) {
    let node = alice();
    let sender = Sender { node: &node, instance };
    let key = zone_key(algorithm);
    (Sealer::with_instance(key, sender, &Pure), Opener::new(key, sender, &Pure))
}

/// A frame of these symbols, numbered from zero.
fn frame(sealer: &mut Sealer, about: &About, symbols: &[Vec<u8>]) -> Vec<u8> {
    let record = usize::from(about.symbol_size) + RECORD_OVERHEAD;
    let mut buffer = vec![0; HEADER_BYTES + symbols.len() * record];
    let mut writer = sealer.frame(about, &mut buffer).unwrap();
    for (esi, symbol) in (0..).zip(symbols) {
        writer.push(esi, 40, symbol).unwrap();
    }
    writer.finish().unwrap().to_vec()
}

fn sample(algorithm: ZoneKeyAlgorithm) -> (Vec<u8>, Opener) {
    let (mut sealer, opener) = ends(algorithm, 5);
    (frame(&mut sealer, &about(16), &[vec![0xaa; 16], vec![0xbb; 16]]), opener)
}

/// Whether every symbol of the frame opens.
fn all_open(opener: &Opener, frame: &[u8]) -> bool {
    let mut frame = frame.to_vec();
    opener.symbols(&mut frame, MAX_FRAME_BYTES).is_ok_and(|mut symbols| symbols.all(|symbol| symbol.is_ok()))
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_it_was(
        extended: bool,
        symbols in (1u16..80).prop_flat_map(|size| {
            prop::collection::vec(prop::collection::vec(any::<u8>(), usize::from(size)), 1..5)
        }),
        instance: u64,
    ) {
        let algorithm = ALGORITHMS[usize::from(extended)];
        let (mut sealer, opener) = ends(algorithm, instance);
        let about = about(symbols[0].len() as u16);
        for seq in 1..3 {
            let mut bytes = frame(&mut sealer, &about, &symbols);
            let parsed = Header::parse(&bytes, bytes.len()).unwrap();
            prop_assert_eq!(parsed.frame_seq, seq);
            prop_assert_eq!(parsed.symbol_count as usize, symbols.len());
            let opened = opener.symbols(&mut bytes, MAX_FRAME_BYTES).unwrap();
            for ((esi, symbol), opened) in (0..).zip(&symbols).zip(opened) {
                let opened = opened.unwrap();
                prop_assert_eq!((opened.esi, opened.k, &*opened.bytes), (esi, 40, &symbol[..]));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Header::parse(&bytes, MAX_FRAME_BYTES);
        let _ = SignedFrame::parse(&bytes, MAX_FRAME_BYTES);
        let (mut alice, mut bob) = pair();
        prop_assert!(datagram::open(&mut bob.receive, &mut bytes.clone(), MAX_FRAME_BYTES).is_err());
        prop_assert!(control::open(&mut alice.receive, &mut bytes.clone(), MAX_CONTROL_BYTES).is_err());
    }

    //= docs/spec/fcpc.md#sealing
    #[test]
    fn a_control_frame_opens_as_it_was(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut alice, mut bob) = pair();
        for seq in 1..3 {
            let mut bytes = control_frame(&mut alice, &content);
            let opened = control::open(&mut bob.receive, &mut bytes, MAX_CONTROL_BYTES).unwrap();
            prop_assert_eq!((opened.seq, &*opened.content), (seq, &content[..]));
        }
    }
}

#[test]
fn no_cut_and_no_flipped_bit_of_a_sealed_frame_opens() {
    for algorithm in ALGORITHMS {
        let (bytes, opener) = sample(algorithm);
        assert!(all_open(&opener, &bytes));
        // Flags and frame number are left out: flags are the session's to protect, the number is a nonce's.
        for at in 0..bytes.len() {
            assert!(!all_open(&opener, &bytes[..at]), "cut at {at}");
            for bit in (0..8).filter(|_| !(6..8).contains(&at)) {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(!all_open(&opener, &bent), "bit {bit} of byte {at}");
            }
        }
    }
}

//= docs/spec/fcps.md#lengths
//= docs/spec/fcps.md#header
//= docs/spec/fcps.md#flags
#[test]
fn every_rule_of_the_header_has_its_error() {
    let (bytes, _) = sample(ZoneKeyAlgorithm::ChaCha20Poly1305);
    let parse = |at: usize, field: &[u8]| {
        let mut bent = bytes.clone();
        bent[at..at + field.len()].copy_from_slice(field);
        Header::parse(&bent, MAX_FRAME_BYTES).map(|_| ())
    };
    let flags = |bits: u16| parse(6, &bits.to_le_bytes());
    let len = bytes.len();
    assert_eq!(Header::parse(&bytes, len - 1), Err(FrameError::ExceedsMtu { len, max: len - 1 }));
    assert_eq!(Header::parse(&bytes[..113], len), Err(FrameError::TooShort { len: 113, min: 114 }));
    assert_eq!(parse(0, b"FCPC"), Err(FrameError::InvalidMagic { got: *b"FCPC" }));
    assert_eq!(parse(4, &[2]), Err(FrameError::UnsupportedVersion { got: 2 }));
    assert_eq!(flags(1 << 12), Err(FrameError::InvalidFlags { reason: InvalidFlags::Unknown }));
    assert_eq!(flags(0x18), Err(FrameError::InvalidFlags { reason: InvalidFlags::ErrorWithResponse }));
    assert_eq!(flags(0x40), Err(FrameError::InvalidFlags { reason: InvalidFlags::EndWithoutStream }));
    assert_eq!(flags(0x0fef), Ok(()));
    assert_eq!(parse(48, &[0, 0]), Err(FrameError::InvalidSymbolSize));
    let computed = 2 * (RECORD_OVERHEAD as u32 + 16);
    assert_eq!(parse(12, &[9, 0, 0, 0]), Err(FrameError::LengthMismatch { claimed: 9, computed }));
    assert_eq!(parse(8, &[3]), Err(FrameError::LengthMismatch { claimed: 76, computed: 3 * 38 }));
    let overflow = FrameError::SymbolCountOverflow { count: u32::MAX, symbol_size: 16 };
    assert_eq!(parse(8, &[0xff; 4]), Err(overflow));
    let longer = [&bytes[..], &[0]].concat();
    let mismatch = FrameError::FrameSizeMismatch { len: len + 1, expected: len };
    assert_eq!(Header::parse(&longer, MAX_FRAME_BYTES), Err(mismatch));
}

//= docs/spec/fcps.md#flags
#[test]
fn flags_keep_their_rules_in_every_combination() {
    assert_eq!(Flags::default().bits(), 0x0404);
    for bits in 0..=u16::MAX {
        let has = |bit: u32| bits >> bit & 1 == 1;
        let (unknown, both, ends_nothing) = ((12..16).any(has), has(3) && has(4), has(6) && !has(5));
        let right = [unknown, both, ends_nothing] == [false; 3];
        assert_eq!(Flags::from_bits(bits).map(Flags::bits).ok(), right.then_some(bits), "{bits:#06x}");
    }
}

/// The tags cover neither flags nor the number of symbols: what opens has them as whoever carried it wished.
//= docs/spec/fcps.md#flags
#[test]
fn flags_and_count_are_those_of_the_sender_only_in_a_datagram_or_under_a_signature() {
    let (bytes, opener) = sample(ZoneKeyAlgorithm::ChaCha20Poly1305);
    let mut flagged = bytes.clone();
    flagged[6..8].copy_from_slice(&(Flags::default() | Flags::PRIORITY).bits().to_le_bytes());
    let mut fewer = bytes[..bytes.len() - 16 - RECORD_OVERHEAD].to_vec();
    fewer[8..12].copy_from_slice(&1_u32.to_le_bytes());
    fewer[12..16].copy_from_slice(&(16 + RECORD_OVERHEAD as u32).to_le_bytes());
    let (mut sender, mut bob) = pair();
    let sent = datagram(&mut sender, &bytes);
    let key = SigningKey::from_seed(&Zeroizing::new([4; 32]));
    let (now, mut out) = (UnixTime::from_secs(1_000), vec![0; 500]);
    let signed = signed::emit(&alice(), &key, now, &bytes, &mut out).unwrap().to_vec();
    let head = signed.len() - bytes.len();
    for bent in [flagged, fewer] {
        assert!(all_open(&opener, &bent));
        let mut carried = [&sent[..PREFIX_BYTES], &bent].concat();
        let refused = datagram::open(&mut bob.receive, &mut carried, DEFAULT_DATAGRAM_BYTES).map(|_| ());
        assert_eq!(refused, Err(DatagramError::NotAuthentic));
        let shown = [&signed[..head], &bent].concat();
        let frame = SignedFrame::parse(&shown, 500).unwrap();
        assert_eq!(frame.verify(&key.verifying_key(), now), Err(SignedFrameError::InvalidSignature));
    }
    let mut sent = sent;
    assert_eq!(&*datagram::open(&mut bob.receive, &mut sent, DEFAULT_DATAGRAM_BYTES).unwrap(), &bytes[..]);
}

#[test]
fn a_symbol_opens_only_in_its_place_and_for_its_sender() {
    let (mut sealer, opener) = ends(ZoneKeyAlgorithm::ChaCha20Poly1305, 5);
    let bytes = frame(&mut sealer, &about(16), &[vec![0xaa; 16], vec![0xbb; 16]]);
    let later = frame(&mut sealer, &about(16), &[vec![0xaa; 16], vec![0xbb; 16]]);
    let moved = [&later[..HEADER_BYTES], &bytes[HEADER_BYTES..]].concat();
    assert!(!all_open(&opener, &moved), "another frame of the same sender");
    let other = |instance, node: &NodeId, key| {
        let opener = Opener::new(key, Sender { node, instance }, &Pure);
        let mut bytes = bytes.clone();
        opener.symbols(&mut bytes, MAX_FRAME_BYTES).map(|mut symbols| symbols.next().unwrap().map(|_| ()))
    };
    let key = zone_key(ZoneKeyAlgorithm::ChaCha20Poly1305);
    assert_eq!(other(5, &alice(), key), Ok(Ok(())));
    assert_eq!(other(6, &alice(), key), Err(SymbolError::OtherKey));
    assert_eq!(other(5, &bob(), key), Ok(Err(SymbolError::DecryptFailed)));
    let key_of = |id, zone_id_hash| ZoneKeyRef { id, zone_id_hash, ..key };
    assert_eq!(other(5, &alice(), key_of(KeyId::default(), key.zone_id_hash)), Err(SymbolError::OtherKey));
    assert_eq!(other(5, &alice(), key_of(key.id, Digest::default())), Err(SymbolError::OtherKey));
    let extended = zone_key(ZoneKeyAlgorithm::XChaCha20Poly1305);
    assert_eq!(other(5, &alice(), extended), Ok(Err(SymbolError::DecryptFailed)));
}

#[test]
fn a_symbol_that_is_not_authentic_does_not_hide_those_after_it() {
    let (mut bytes, opener) = sample(ZoneKeyAlgorithm::ChaCha20Poly1305);
    bytes[HEADER_BYTES + 10] ^= 1;
    let symbols: Vec<_> = opener.symbols(&mut bytes, MAX_FRAME_BYTES).unwrap().collect();
    assert_eq!(symbols[0], Err(SymbolError::DecryptFailed));
    assert_eq!(&*symbols[1].as_ref().unwrap().bytes, [0xbb; 16]);
}

#[test]
fn a_frame_that_says_it_is_not_sealed_is_not_opened() {
    let (mut bytes, opener) = sample(ZoneKeyAlgorithm::ChaCha20Poly1305);
    bytes[6] &= !4;
    assert_eq!(opener.symbols(&mut bytes, MAX_FRAME_BYTES).err(), Some(SymbolError::NotSealed));
}

//= docs/spec/fcps.md#sealing
#[test]
fn no_nonce_comes_twice() {
    let (mut sealer, _) = ends(ZoneKeyAlgorithm::ChaCha20Poly1305, 5);
    let mut buffer = [0; 300];
    let mut writer = sealer.frame(&about(16), &mut buffer).unwrap();
    assert_eq!(writer.push(4, 40, &[0; 16]), Ok(()));
    assert_eq!(writer.push(4, 40, &[1; 16]), Err(SymbolError::SymbolOrder));
    assert_eq!(writer.push(3, 40, &[1; 16]), Err(SymbolError::SymbolOrder));
    assert_eq!(writer.push(5, 40, &[1; 15]), Err(SymbolError::SymbolSize));
    assert_eq!(writer.push(5, 40, &[1; 16]), Ok(()));
    let first = writer.finish().unwrap();
    let (first, count) = (Header::parse(first, 300).unwrap().frame_seq, first.len());
    assert_eq!(count, HEADER_BYTES + 2 * 38);
    let abandoned = sealer.frame(&about(16), &mut buffer).unwrap();
    drop(abandoned);
    let third = sealer.frame(&about(16), &mut buffer).unwrap().finish().unwrap();
    assert_eq!((first, Header::parse(third, 300).unwrap().frame_seq), (1, 3));
}

#[test]
fn each_sealer_has_an_instance_of_its_own() {
    let mut entropy = Entropy::from_seed(&Zeroizing::new([1; 32]));
    let mut instance = || {
        let key = zone_key(ZoneKeyAlgorithm::ChaCha20Poly1305);
        let bytes = frame(&mut Sealer::new(key, &alice(), &Pure, &mut entropy), &about(16), &[vec![0; 16]]);
        Header::parse(&bytes, MAX_FRAME_BYTES).unwrap().sender_instance_id
    };
    assert_ne!(instance(), instance());
}

#[test]
fn a_frame_is_written_only_where_there_is_room() {
    let (mut sealer, _) = ends(ZoneKeyAlgorithm::ChaCha20Poly1305, 5);
    let small = |len, needed| SymbolError::Frame(FrameError::BufferTooSmall { len, needed });
    assert_eq!(sealer.frame(&about(16), &mut [0; 113]).err(), Some(small(113, 114)));
    assert_eq!(
        sealer.frame(&about(0), &mut [0; 113]).err(),
        Some(SymbolError::Frame(FrameError::InvalidSymbolSize))
    );
    let wrong = About { flags: Flags::STREAM_END, ..about(16) };
    assert!(sealer.frame(&wrong, &mut [0; 200]).is_err());
    let mut buffer = [0; 114 + 37];
    let mut writer = sealer.frame(&about(16), &mut buffer).unwrap();
    assert_eq!(writer.push(0, 40, &[0; 16]), Err(small(151, 152)));
}

#[test]
fn the_default_symbol_fills_the_default_datagram() {
    let default = usize::from(DEFAULT_SYMBOL_BYTES);
    assert_eq!(largest_symbol(DEFAULT_DATAGRAM_BYTES, 1), Some(DEFAULT_SYMBOL_BYTES));
    assert_eq!(PREFIX_BYTES + HEADER_BYTES + RECORD_OVERHEAD + default, DEFAULT_DATAGRAM_BYTES);
    assert_eq!(largest_symbol(DEFAULT_DATAGRAM_BYTES, 0), None);
    assert_eq!(largest_symbol(PREFIX_BYTES + HEADER_BYTES + RECORD_OVERHEAD, 1), None);
    assert_eq!(largest_symbol(usize::MAX, 1), Some(u16::MAX));
}

fn datagram(session: &mut Session, frame: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0; PREFIX_BYTES], frame].concat();
    datagram::seal(&mut session.send, &mut bytes, DEFAULT_DATAGRAM_BYTES, NOW).unwrap();
    bytes
}

//= docs/spec/fcps.md#datagrams
#[test]
fn a_datagram_is_taken_once_and_only_as_it_was_sent() {
    let (mut alice, mut bob) = pair();
    let bytes = datagram(&mut alice, b"a frame");
    let open = |session: &mut Session, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        datagram::open(&mut session.receive, &mut bytes, DEFAULT_DATAGRAM_BYTES).map(|frame| frame.to_vec())
    };
    for at in 0..bytes.len() {
        assert!(open(&mut bob, &bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << bit;
            assert!(open(&mut bob, &bent).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert_eq!(open(&mut alice, &bytes), Err(DatagramError::NotAuthentic), "reflected to its sender");
    assert_eq!(open(&mut bob, &bytes), Ok(b"a frame".to_vec()));
    assert_eq!(open(&mut bob, &bytes), Err(DatagramError::ReplayRejected { seq: 1 }));
    let mut other = bytes;
    other[0] ^= 1;
    assert_eq!(open(&mut bob, &other), Err(DatagramError::OtherSession));
}

#[test]
fn a_forged_datagram_does_not_move_the_window() {
    let (mut alice, mut bob) = pair();
    let mut forged = datagram(&mut alice, b"x");
    forged[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let refused = datagram::open(&mut bob.receive, &mut forged, DEFAULT_DATAGRAM_BYTES);
    assert_eq!(refused.err(), Some(DatagramError::NotAuthentic));
    let mut genuine = datagram(&mut alice, b"y");
    assert!(datagram::open(&mut bob.receive, &mut genuine, DEFAULT_DATAGRAM_BYTES).is_ok());
}

#[test]
fn a_datagram_longer_than_the_session_takes_is_neither_sent_nor_taken() {
    let (mut alice, mut bob) = pair();
    let mut bytes = vec![0; 1_201];
    let error = Some(DatagramError::TooLarge { len: 1_201, max: 1_200 });
    assert_eq!(datagram::seal(&mut alice.send, &mut bytes, 1_200, NOW).err(), error);
    assert_eq!(datagram::open(&mut bob.receive, &mut bytes, 1_200).err(), error);
}

fn control_frame(session: &mut Session, content: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0; control::HEADER_BYTES], content, &[0; 16]].concat();
    control::seal(&mut session.send, &mut bytes, MAX_CONTROL_BYTES, NOW).unwrap();
    bytes
}

//= docs/spec/mesh-sessions.md#carriage
#[test]
fn a_reader_of_a_stream_reserves_nothing_for_a_message_that_there_is_not() {
    let rest = |kind, reserved, length: u32| {
        let bytes = [&b"FCPH"[..], &[1, 0, kind, reserved], &length.to_le_bytes()].concat();
        opening::rest(&bytes.try_into().unwrap())
    };
    for kind in 1..=3 {
        assert_eq!(rest(kind, 0, 16_384), Ok(16_384));
        assert!(rest(kind, 0, 16_385).is_err());
    }
    for got in [[0, 0], [4, 0], [9, 7], [1, 1], [3, 255]] {
        assert_eq!(rest(got[0], got[1], 16_384), Err(OpeningError::UnknownKind { got }));
    }
}

//= docs/spec/fcpc.md#opening
//= docs/spec/fcpc.md#frame
#[test]
fn a_control_frame_is_taken_once_and_only_as_it_was_sealed() {
    let (mut alice, mut bob) = pair();
    let bytes = control_frame(&mut alice, b"an object");
    let open = |session: &mut Session, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        control::open(&mut session.receive, &mut bytes, MAX_CONTROL_BYTES).map(|it| it.content.to_vec())
    };
    for at in 0..bytes.len() {
        assert!(open(&mut bob, &bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << bit;
            assert!(open(&mut bob, &bent).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert_eq!(open(&mut alice, &bytes), Err(ControlError::NotAuthentic), "reflected to its sender");
    assert_eq!(open(&mut bob, &bytes), Ok(b"an object".to_vec()));
    assert_eq!(open(&mut bob, &bytes), Err(ControlError::ReplayRejected { seq: 1 }));
    let mut unsealed = bytes;
    unsealed[30] = 0;
    assert_eq!(open(&mut bob, &unsealed), Err(ControlError::InvalidFlags { bits: 0, known: 1 }));
}

//= docs/spec/fcpc.md#frame
#[test]
fn the_length_of_a_control_frame_is_refused_before_anything_is_reserved() {
    let (mut alice, _) = pair();
    let bytes = control_frame(&mut alice, b"12345");
    let fixed: &[u8; control::HEADER_BYTES] = bytes.first_chunk().unwrap();
    assert_eq!(ControlHeader::parse(fixed, 5).map(|header| header.rest()), Ok(21));
    assert_eq!(ControlHeader::parse(fixed, 4), Err(ControlError::PayloadTooLarge { len: 5, max: 4 }));
    let mut long = vec![0; control::OVERHEAD + 5];
    let refused = control::seal(&mut alice.send, &mut long, 4, NOW);
    assert_eq!(refused, Err(ControlError::PayloadTooLarge { len: 5, max: 4 }));
}

#[test]
fn spent_keys_seal_nothing_more() {
    let limits = KeyLimits { frames: 2, ..KeyLimits::default() };
    let (mut alice, _) = pair_with(limits);
    datagram(&mut alice, b"one");
    control_frame(&mut alice, b"two");
    let spent = KeysSpent(KeyLimit::Frames);
    let mut bytes = [0; 60];
    assert_eq!(datagram::seal(&mut alice.send, &mut bytes, 60, NOW), Err(DatagramError::Spent(spent)));
    assert_eq!(control::seal(&mut alice.send, &mut bytes, 60, NOW), Err(ControlError::Spent(spent)));
}

fn signed_frame() -> (Vec<u8>, SigningKey<Node>) {
    let key = SigningKey::from_seed(&Zeroizing::new([4; 32]));
    let mut out = [0; 200];
    let bytes = signed::emit(&alice(), &key, UnixTime::from_secs(1_000), b"a frame", &mut out).unwrap();
    (bytes.to_vec(), key)
}

//= docs/spec/fcps.md#signed-frames
#[test]
fn a_signed_frame_is_taken_from_its_source_about_now() {
    let (bytes, key) = signed_frame();
    let key = key.verifying_key();
    let verify = |bytes: &[u8], now| {
        let frame = SignedFrame::parse(bytes, 200).map_err(|_| None)?;
        frame.verify(&key, UnixTime::from_secs(now)).map(<[u8]>::to_vec).map_err(Some)
    };
    assert_eq!(verify(&bytes, 1_120), Ok(b"a frame".to_vec()));
    let skew = SignedFrameError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(verify(&bytes, 1_121), Err(Some(skew)));
    assert_eq!(verify(&bytes, 879), Err(Some(skew)));
    for at in 0..bytes.len() {
        assert!(verify(&bytes[..at], 1_000).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << bit;
            assert!(verify(&bent, 1_000).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_rule_of_a_signed_frame_has_its_error() {
    let (bytes, key) = signed_frame();
    let parse = |length: u16, source: &[u8]| {
        let bytes = [&length.to_le_bytes(), source, &bytes[2 + alice().as_str().len()..]].concat();
        SignedFrame::parse(&bytes, 500).map(|_| ())
    };
    assert_eq!(parse(0, b""), Err(FrameError::SourceIdEmpty));
    assert_eq!(parse(129, &[b'a'; 129]), Err(FrameError::InvalidSourceIdLength { len: 129, max: 128 }));
    assert_eq!(parse(1, &[0xff]), Err(FrameError::InvalidUtf8));
    assert_eq!(parse(1, b"A"), Err(FrameError::InvalidSourceId(IdError::UppercaseNotAllowed)));
    assert_eq!(parse(99, b""), Err(FrameError::TooShort { len: 81, min: 173 }));
    let len = bytes.len();
    assert_eq!(SignedFrame::parse(&bytes, len - 1), Err(FrameError::ExceedsMtu { len, max: len - 1 }));
    assert_eq!(SignedFrame::parse(&[0; 73], 500), Err(FrameError::TooShort { len: 73, min: 74 }));
    let small = signed::emit(&alice(), &key, UnixTime::default(), b"a frame", &mut [0; 85]).map(|_| ());
    assert_eq!(small, Err(FrameError::BufferTooSmall { len: 85, needed: 86 }));
}
