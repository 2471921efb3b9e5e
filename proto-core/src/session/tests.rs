use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::cookie::Cookies;
use super::error::SessionError;
use super::handshake::{Context, FreshHello, Initiator, Offer, SessionPolicy};
use super::keys::{Direction, KeyLife, KeyLimit, KeyLimits, KeysSpent, Session};
use super::message::{Ack, Cookie, Hello, HelloRetry, Message, TransportLimits};
use super::rekey::{RekeyAck, RekeyRequest};
use super::replay::{HelloReplay, ReplayWindow, Replayed};
use super::suite::{Suite, SuiteId, SuitePolicy};
use super::transcript::UNSIGNED;
use crate::crypto::provider::Pure;
use crate::crypto::role::Node;
use crate::crypto::sign::{SigningKey, VerifyingKey};
use crate::frame::{control, datagram};
use crate::ids::{MeshSessionId, NodeId};
use crate::limits::{MAX_CONTROL_BYTES, MAX_HELLOS_PER_PEER};
use crate::random::Entropy;
use crate::time::{Instant, Now, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub(crate) fn alice() -> NodeId {
    NodeId::new("alice").unwrap()
}

pub(crate) fn bob() -> NodeId {
    NodeId::new("bob").unwrap()
}

fn alice_key() -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([0xa1; 32]))
}

fn bob_key() -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([0xb0; 32]))
}

fn alice_public() -> VerifyingKey<Node> {
    alice_key().verifying_key()
}

fn bob_public() -> VerifyingKey<Node> {
    bob_key().verifying_key()
}

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

fn at(unix: UnixTime) -> Now {
    Now { mono: Instant::default(), unix }
}

fn context(policy: &SessionPolicy) -> Context<'_> {
    Context { policy, provider: &Pure, now: at(NOW) }
}

fn initiator(seed: u8) -> Initiator {
    let suites = SuitePolicy::default();
    let transport_limits = Some(TransportLimits { max_datagram_bytes: 1_200 });
    let offer = Offer { from: alice(), to: bob(), suites: &suites, transport_limits };
    Initiator::new(offer, &alice_key(), NOW, &mut entropy(seed)).unwrap()
}

fn fresh(hello: &Hello) -> FreshHello {
    let verified = hello.clone().verify(&alice_public(), &bob(), NOW).unwrap();
    HelloReplay::default().admit(verified, NOW).unwrap()
}

fn answered(initiator: &Initiator, policy: &SessionPolicy) -> (Ack, Session) {
    fresh(initiator.hello()).answer(&bob_key(), context(policy), &mut entropy(2)).unwrap()
}

/// The two ends of one session.
pub(crate) fn pair_with(key_limits: KeyLimits) -> (Session, Session) {
    let policy = SessionPolicy { key_limits, ..SessionPolicy::default() };
    let initiator = initiator(1);
    let (ack, responder) = answered(&initiator, &policy);
    let answer = initiator.check(&ack, &bob_public(), &policy.suites, NOW).unwrap();
    (initiator.establish(&answer, context(&policy)).unwrap(), responder)
}

pub(crate) fn pair() -> (Session, Session) {
    pair_with(KeyLimits::default())
}

/// Whether `to` opens what `from` seals, both ways of sealing.
fn talks(from: &mut Session, to: &mut Session) -> bool {
    let (mut frame, mut gram) = ([0; 60], [0; 60]);
    control::seal(&mut from.send, &mut frame, 60, Instant::default()).unwrap();
    datagram::seal(&mut from.send, &mut gram, 60, Instant::default()).unwrap();
    let opened = control::open(&mut to.receive, &mut frame, MAX_CONTROL_BYTES).is_ok();
    assert_eq!(opened, datagram::open(&mut to.receive, &mut gram, 60).is_ok());
    opened
}

#[test]
fn a_handshake_makes_keys_that_fit_in_each_direction() {
    let (mut alice, mut bob) = pair();
    assert!(talks(&mut alice, &mut bob) && talks(&mut bob, &mut alice));
    assert_eq!(alice.send.direction(), Direction::InitiatorToResponder);
    assert_eq!(bob.receive.direction(), Direction::InitiatorToResponder);
    assert_eq!((alice.send.generation(), alice.send.session_id()), (0, bob.receive.session_id()));
}

#[test]
fn a_cookie_comes_back_and_is_good_for_its_hello_alone() {
    let (mut cookies, mut initiator) = (Cookies::new(Instant::default(), &mut entropy(3)), initiator(1));
    let mut entropy = entropy(4);
    let second = Instant::from_nanos(1_000_000_000);
    let check =
        |cookies: &mut Cookies, hello: &Hello, entropy: &mut Entropy| cookies.check(hello, second, entropy);
    assert_eq!(
        check(&mut cookies, initiator.hello(), &mut entropy),
        Err(SessionError::InvalidCookie),
        "without one"
    );
    let retry = cookies.retry(initiator.hello(), at(NOW), &mut entropy).unwrap();
    let late = HelloRetry { timestamp: NOW.saturating_add(121), ..retry.clone() };
    let skew = SessionError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(initiator.retry(&late, &alice_key(), NOW), Err(skew));
    let strange = HelloRetry { from: self::alice(), ..retry.clone() };
    assert_eq!(initiator.retry(&strange, &alice_key(), NOW), Err(SessionError::AckMismatch));
    assert_eq!(initiator.retry(&retry, &alice_key(), NOW), Ok(()));
    let hello = initiator.hello().clone();
    assert_eq!(check(&mut cookies, &hello, &mut entropy), Ok(()));
    assert!(hello.clone().verify(&alice_public(), &bob(), NOW).is_ok(), "the cookie is signed");
    let other = |change: fn(&mut Hello)| {
        let mut other = hello.clone();
        change(&mut other);
        other
    };
    for other in [
        other(|hello| hello.from = bob()),
        other(|hello| hello.to = alice()),
        other(|hello| hello.eph_pubkey[0] ^= 1),
        other(|hello| hello.nonce = Default::default()),
        other(|hello| hello.timestamp = NOW.saturating_add(1)),
        other(|hello| hello.suites = vec![Suite::Blake3.id()]),
        other(|hello| hello.transport_limits = None),
        other(|hello| hello.cookie = Some(Cookie::from_bytes([0; 32]))),
    ] {
        assert_eq!(check(&mut cookies, &other, &mut entropy), Err(SessionError::InvalidCookie), "{other:?}");
    }
    let again = initiator.retry(&retry, &alice_key(), NOW);
    assert_eq!(again, Err(SessionError::AckMismatch), "a second time");
}

//= docs/spec/mesh-sessions.md#cookies
#[test]
fn a_cookie_outlives_one_change_of_keys_and_not_two() {
    let (mut entropy, initiator) = (entropy(4), initiator(1));
    let after = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    let cases = [(&[61][..], true), (&[61, 119], true), (&[119, 120], false), (&[121], false)];
    for (steps, good) in cases {
        let mut cookies = Cookies::new(Instant::default(), &mut entropy);
        let retry = cookies.retry(initiator.hello(), at(NOW), &mut entropy).unwrap();
        let hello = Hello { cookie: Some(retry.cookie), ..initiator.hello().clone() };
        let last = steps.iter().map(|step| cookies.check(&hello, after(*step), &mut entropy).is_ok()).last();
        assert_eq!(last, Some(good), "{steps:?}");
    }
}

//= docs/spec/mesh-sessions.md#hello
//= docs/spec/mesh-sessions.md#time
//= docs/spec/mesh-sessions.md#transcripts
#[test]
fn a_hello_is_taken_from_its_sender_for_this_node_about_now() {
    let hello = initiator(1).hello().clone();
    let verify = |hello: &Hello, now| hello.clone().verify(&alice_public(), &bob(), now).map(|_| ());
    assert_eq!(verify(&hello, NOW.saturating_add(120)), Ok(()));
    let skew = Err(SessionError::TimestampSkew { delta: 121, max: 120 });
    assert_eq!(verify(&hello, NOW.saturating_add(121)), skew);
    assert_eq!(verify(&hello, NOW.saturating_sub(121)), skew);
    let changed = |change: fn(&mut Hello)| {
        let mut other = hello.clone();
        change(&mut other);
        verify(&other, NOW)
    };
    assert_eq!(changed(|hello| hello.to = alice()), Err(SessionError::WrongParties));
    assert_eq!(changed(|hello| hello.from = bob()), Err(SessionError::WrongParties));
    assert_eq!(changed(|hello| hello.signature = UNSIGNED), Err(SessionError::InvalidSignature));
    for broken in [
        changed(|hello| hello.from = NodeId::new("carol").unwrap()),
        changed(|hello| hello.eph_pubkey[31] ^= 1),
        changed(|hello| hello.nonce = Default::default()),
        changed(|hello| hello.cookie = Some(Cookie::from_bytes([0; 32]))),
        changed(|hello| hello.timestamp = NOW.saturating_add(1)),
        changed(|hello| hello.suites.reverse()),
        changed(|hello| hello.transport_limits = None),
    ] {
        assert_eq!(broken, Err(SessionError::InvalidSignature));
    }
    let other_key = hello.clone().verify(&bob_public(), &bob(), NOW);
    assert_eq!(other_key, Err(SessionError::InvalidSignature));
}

//= docs/spec/mesh-sessions.md#ack
//= docs/spec/mesh-sessions.md#time
#[test]
fn an_ack_is_taken_only_as_the_answer_to_this_hello() {
    let (initiator, policy) = (initiator(1), SessionPolicy::default());
    let (ack, _) = answered(&initiator, &policy);
    let check = |ack: &Ack| initiator.check(ack, &bob_public(), &policy.suites, NOW).map(|_| ());
    let changed = |change: fn(&mut Ack)| {
        let mut other = ack.clone();
        change(&mut other);
        check(&other)
    };
    assert_eq!(check(&ack), Ok(()));
    assert_eq!(changed(|ack| ack.from = alice()), Err(SessionError::WrongParties));
    assert_eq!(changed(|ack| ack.to = bob()), Err(SessionError::WrongParties));
    assert_eq!(changed(|ack| ack.signature = UNSIGNED), Err(SessionError::InvalidSignature));
    let skew = SessionError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(changed(|ack| ack.timestamp = NOW.saturating_add(121)), Err(skew));
    for broken in [
        changed(|ack| ack.eph_pubkey[0] ^= 1),
        changed(|ack| ack.nonce = Default::default()),
        changed(|ack| ack.session_id = MeshSessionId::default()),
        changed(|ack| ack.suite = Suite::Blake3),
        changed(|ack| ack.timestamp = NOW.saturating_add(1)),
    ] {
        assert_eq!(broken, Err(SessionError::InvalidSignature));
    }
    let other = self::initiator(9);
    let refused = other.check(&ack, &bob_public(), &policy.suites, NOW).map(|_| ());
    assert_eq!(refused, Err(SessionError::InvalidSignature), "the ack of another hello");
    let verified = initiator.check(&ack, &bob_public(), &policy.suites, NOW).unwrap();
    assert_eq!(other.establish(&verified, context(&policy)).err(), Some(SessionError::AckMismatch));
}

//= docs/spec/mesh-sessions.md#suites
#[test]
fn the_responders_order_decides_above_the_floor() {
    let both = [Suite::HmacSha256.id(), Suite::Blake3.id()];
    let policy = |preference: &[Suite], floor| SuitePolicy { preference: preference.to_vec(), floor };
    let (hmac, blake3) = (Suite::HmacSha256, Suite::Blake3);
    assert_eq!(policy(&[blake3, hmac], hmac).select(&both), Some(blake3));
    assert_eq!(policy(&[hmac, blake3], hmac).select(&both), Some(hmac));
    assert_eq!(policy(&[hmac, blake3], blake3).select(&both), Some(blake3));
    assert_eq!(policy(&[hmac], blake3).select(&both), None);
    assert_eq!(policy(&[hmac], hmac).select(&[SuiteId::new(3)]), None);
    assert_eq!(policy(&[], hmac).select(&both), None);
    let strict = SessionPolicy { suites: policy(&[blake3], blake3), ..SessionPolicy::default() };
    let initiator = initiator(1);
    let (ack, _) = answered(&initiator, &SessionPolicy::default());
    let refused = initiator.check(&ack, &bob_public(), &strict.suites, NOW).map(|_| ());
    assert_eq!(refused, Err(SessionError::AckSuiteBelowMinimum));
    let offer = Offer { from: alice(), to: bob(), suites: &strict.suites, transport_limits: None };
    let narrow = Initiator::new(offer, &alice_key(), NOW, &mut entropy(1)).unwrap();
    let refused = narrow.check(&ack, &bob_public(), &SuitePolicy::default(), NOW).map(|_| ());
    assert_eq!(refused, Err(SessionError::AckSuiteNotOffered));
    let only_hmac = SessionPolicy { suites: policy(&[hmac], hmac), ..SessionPolicy::default() };
    let answer = fresh(narrow.hello()).answer(&bob_key(), context(&only_hmac), &mut entropy(2));
    assert_eq!(answer.err(), Some(SessionError::NoMutualSuite));
}

//= docs/spec/mesh-sessions.md#key-schedule
#[test]
fn a_key_share_of_small_order_is_refused() {
    let (initiator, policy) = (initiator(1), SessionPolicy::default());
    let mut hello = initiator.hello().clone();
    hello.eph_pubkey = [0; 32];
    hello.signature = hello.transcript().unwrap().sign(&alice_key());
    let answer = fresh(&hello).answer(&bob_key(), context(&policy), &mut entropy(2));
    assert_eq!(answer.err(), Some(SessionError::WeakKeyShare));
    let (mut ack, _) = answered(&initiator, &policy);
    ack.eph_pubkey = [0; 32];
    ack.signature = ack.transcript(initiator.hello()).unwrap().sign(&bob_key());
    let verified = initiator.check(&ack, &bob_public(), &policy.suites, NOW).unwrap();
    assert_eq!(initiator.establish(&verified, context(&policy)).err(), Some(SessionError::WeakKeyShare));
}

#[test]
fn a_node_has_no_session_with_itself_and_none_without_a_suite() {
    let with = |to, suites: &SuitePolicy| {
        let offer = Offer { from: alice(), to, suites, transport_limits: None };
        Initiator::new(offer, &alice_key(), NOW, &mut entropy(1)).err()
    };
    assert_eq!(with(alice(), &SuitePolicy::default()), Some(SessionError::WrongParties));
    let none = SuitePolicy { preference: Vec::new(), floor: Suite::HmacSha256 };
    assert_eq!(with(bob(), &none), Some(SessionError::SuiteCount(0)));
}

//= docs/spec/mesh-sessions.md#replay
#[test]
fn a_hello_is_answered_once_and_no_peer_crowds_out_another() {
    let mut replay = HelloReplay::default();
    let from = |from: &str, nonce: usize, timestamp| {
        let mut hello = Hello { from: NodeId::new(from).unwrap(), timestamp, ..initiator(1).hello().clone() };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(nonce as u64).to_le_bytes());
        hello.nonce = crate::ids::SessionNonce::from_bytes(bytes);
        hello.signature = hello.transcript().unwrap().sign(&alice_key());
        hello.verify(&alice_public(), &bob(), timestamp).unwrap()
    };
    for nonce in 0..MAX_HELLOS_PER_PEER {
        assert!(replay.admit(from("carol", nonce, NOW), NOW).is_ok());
    }
    let late = NOW.saturating_add(120);
    assert_eq!(replay.admit(from("carol", 0, NOW), late).err(), Some(SessionError::DuplicateHelloNonce));
    assert_eq!(replay.admit(from("carol", 99, NOW), late).err(), Some(SessionError::TooManyHellos));
    assert!(replay.admit(from("dave", 0, NOW), late).is_ok());
    let later = NOW.saturating_add(121);
    assert!(replay.admit(from("carol", 0, later), later).is_ok(), "what the clock refuses is forgotten");
}

//= docs/spec/mesh-sessions.md#replay
#[test]
fn a_hello_is_not_answered_again_when_it_waits_or_the_clock_goes_back() {
    let verified = |seed, now| {
        let hello = initiator(seed).hello().clone();
        hello.verify(&alice_public(), &bob(), now).unwrap()
    };
    let (first, mut replay) = (verified(1, NOW), HelloReplay::default());
    assert!(replay.admit(first.clone(), NOW).is_ok());
    let skew = SessionError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(replay.admit(first.clone(), NOW.saturating_add(121)).err(), Some(skew), "it waited");
    let ahead = NOW.saturating_add(1_000);
    let policy = SuitePolicy::default();
    let offer = Offer { from: alice(), to: bob(), suites: &policy, transport_limits: None };
    let later = Initiator::new(offer, &alice_key(), ahead, &mut entropy(9)).unwrap().hello().clone();
    let later = later.verify(&alice_public(), &bob(), ahead).unwrap();
    assert!(replay.admit(later.clone(), ahead).is_ok());
    for again in [first, verified(5, NOW)] {
        assert_eq!(
            replay.admit(again, NOW).err(),
            Some(SessionError::DuplicateHelloNonce),
            "the clock is back"
        );
    }
    assert_eq!(replay.admit(later, ahead).err(), Some(SessionError::DuplicateHelloNonce));
}

fn rekeyed(asking: Session, answering: Session, keys: [&SigningKey<Node>; 2]) -> (Session, Session) {
    let policy = SessionPolicy::default();
    let [asking_key, answering_key] = keys;
    let mut entropy = entropy(100 + answering.send.generation() as u8);
    let pending = asking.rekey.request(asking_key, NOW, &mut entropy).unwrap();
    let request = RekeyRequest::decode(&pending.request().encode().unwrap()).unwrap();
    let request = answering.rekey.check_request(request, &asking_key.verifying_key(), NOW).unwrap();
    let (ack, answered) =
        answering.rekey.answer(&request, answering_key, context(&policy), &mut entropy).unwrap();
    let ack = RekeyAck::decode(&ack.encode().unwrap()).unwrap();
    let ack = pending.check(ack, &answering_key.verifying_key(), NOW).unwrap();
    (asking.rekey.establish(pending, &ack, context(&policy)).unwrap(), answered)
}

//= docs/spec/mesh-sessions.md#rekey
#[test]
fn either_side_may_rekey_and_each_generation_is_its_own() {
    let (alice, bob) = pair();
    let first = alice.send.session_id();
    let (mut alice, mut bob) = rekeyed(alice, bob, [&alice_key(), &bob_key()]);
    assert!(talks(&mut alice, &mut bob) && talks(&mut bob, &mut alice));
    assert_eq!((alice.send.generation(), alice.send.direction()), (1, Direction::InitiatorToResponder));
    let second = alice.send.session_id();
    let (mut bob, mut alice) = rekeyed(bob, alice, [&bob_key(), &alice_key()]);
    assert!(talks(&mut alice, &mut bob) && talks(&mut bob, &mut alice));
    assert_eq!((bob.send.generation(), bob.send.direction()), (2, Direction::ResponderToInitiator));
    let third = bob.send.session_id();
    assert!(first != second && second != third && third != first);
}

#[test]
fn a_generation_stands_on_the_keys_before_it() {
    let (alice, _) = pair();
    let (policy, other) = (SessionPolicy::default(), initiator(1));
    // The same agreement, requested in a session of other keys: bob's side comes from another handshake.
    let mut hello = other.hello().clone();
    hello.nonce = Default::default();
    hello.signature = hello.transcript().unwrap().sign(&alice_key());
    let (_, mut stranger) = fresh(&hello).answer(&bob_key(), context(&policy), &mut entropy(2)).unwrap();
    assert_eq!(stranger.send.session_id(), alice.send.session_id(), "all else is equal");
    stranger.rekey.session_id = alice.send.session_id();
    let (mut alice, mut stranger) = rekeyed(alice, stranger, [&alice_key(), &bob_key()]);
    assert!(!talks(&mut alice, &mut stranger));
}

//= docs/spec/mesh-sessions.md#time
#[test]
fn a_rekey_request_is_taken_for_the_next_generation_of_this_session_alone() {
    let (alice, bob) = pair();
    let pending = alice.rekey.request(&alice_key(), NOW, &mut entropy(5)).unwrap();
    let changed = |change: fn(&mut RekeyRequest)| {
        let mut request = pending.request().clone();
        change(&mut request);
        bob.rekey.check_request(request, &alice_public(), NOW).map(|_| ())
    };
    assert_eq!(changed(|_| ()), Ok(()));
    assert_eq!(changed(|it| it.from = self::bob()), Err(SessionError::WrongParties));
    assert_eq!(changed(|it| it.to = self::alice()), Err(SessionError::WrongParties));
    let wrong = |got| Err(SessionError::WrongGeneration { expected: 1, got });
    assert_eq!(changed(|it| it.generation = 0), wrong(0));
    assert_eq!(changed(|it| it.generation = 2), wrong(2));
    let other = changed(|it| it.session_id = MeshSessionId::default());
    assert_eq!(other, Err(SessionError::OtherSession));
    let skew = SessionError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(changed(|it| it.timestamp = NOW.saturating_add(121)), Err(skew));
    assert_eq!(changed(|it| it.signature = UNSIGNED), Err(SessionError::InvalidSignature));
    assert_eq!(changed(|it| it.eph_pubkey[0] ^= 1), Err(SessionError::InvalidSignature));
    assert_eq!(changed(|it| it.nonce = Default::default()), Err(SessionError::InvalidSignature));
}

#[test]
fn a_rekey_ack_is_taken_only_as_the_answer_to_this_request() {
    let ((alice, bob), policy) = (pair(), SessionPolicy::default());
    let pending = alice.rekey.request(&alice_key(), NOW, &mut entropy(5)).unwrap();
    let again = alice.rekey.request(&alice_key(), NOW, &mut entropy(7)).unwrap();
    let request = bob.rekey.check_request(pending.request().clone(), &alice_public(), NOW).unwrap();
    let (ack, _) = bob.rekey.answer(&request, &bob_key(), context(&policy), &mut entropy(6)).unwrap();
    let changed = |change: fn(&mut RekeyAck)| {
        let mut ack = ack.clone();
        change(&mut ack);
        pending.check(ack, &bob_public(), NOW).map(|_| ())
    };
    assert_eq!(changed(|_| ()), Ok(()));
    assert_eq!(changed(|it| it.from = self::alice()), Err(SessionError::WrongParties));
    assert_eq!(changed(|it| it.generation = 2), Err(SessionError::AckMismatch));
    assert_eq!(changed(|it| it.session_id = MeshSessionId::default()), Err(SessionError::AckMismatch));
    assert_eq!(changed(|it| it.signature = UNSIGNED), Err(SessionError::InvalidSignature));
    let skew = SessionError::TimestampSkew { delta: 121, max: 120 };
    assert_eq!(changed(|it| it.timestamp = NOW.saturating_sub(121)), Err(skew));
    assert_eq!(
        changed(|it| it.next_session_id = MeshSessionId::default()),
        Err(SessionError::InvalidSignature)
    );
    let other = again.check(ack.clone(), &bob_public(), NOW).map(|_| ());
    assert_eq!(other, Err(SessionError::InvalidSignature), "the ack of another request");
    let verified = pending.check(ack, &bob_public(), NOW).unwrap();
    let refused = alice.rekey.establish(again, &verified, context(&policy));
    assert_eq!(refused.err(), Some(SessionError::AckMismatch));
}

#[test]
fn a_checked_request_is_answered_in_its_generation_alone() {
    let ((alice, bob), policy) = (pair(), SessionPolicy::default());
    let pending = alice.rekey.request(&alice_key(), NOW, &mut entropy(5)).unwrap();
    let request = bob.rekey.check_request(pending.request().clone(), &alice_public(), NOW).unwrap();
    let (_, bob) = rekeyed(alice, bob, [&alice_key(), &bob_key()]);
    let answer = bob.rekey.answer(&request, &bob_key(), context(&policy), &mut entropy(6));
    assert_eq!(answer.err(), Some(SessionError::OtherSession));
}

#[test]
fn of_two_rekeys_that_cross_the_initiators_stands() {
    let (alice, bob) = pair();
    assert!(!alice.rekey.yields_to_peer() && bob.rekey.yields_to_peer());
}

//= docs/spec/mesh-sessions.md#limits
#[test]
fn a_rekey_is_due_before_the_keys_are_spent() {
    let limits = KeyLimits { frames: 8, seconds: 80, bytes: 800 };
    let after = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    let (mut alice, _) = pair_with(limits);
    let mut seal = |bytes: usize| {
        let mut datagram = vec![0; 40 + bytes];
        datagram::seal(&mut alice.send, &mut datagram, 10_000, after(0)).unwrap();
        alice.send.life(after(0))
    };
    assert_eq!(seal(699), KeyLife::Fresh);
    assert_eq!(seal(1), KeyLife::RekeyDue(KeyLimit::Bytes));
    assert_eq!(seal(0), KeyLife::RekeyDue(KeyLimit::Bytes));
    assert_eq!(seal(100), KeyLife::Spent(KeyLimit::Bytes));
    let (mut alice, _) = pair_with(limits);
    let ages = [69, 70, 77, 78, 79, 80].map(|age| alice.send.life(after(age)));
    let (due, scarce) = (KeyLife::RekeyDue(KeyLimit::Age), KeyLife::Scarce(KeyLimit::Age));
    assert_eq!(ages, [KeyLife::Fresh, due, due, scarce, scarce, KeyLife::Spent(KeyLimit::Age)]);
    let refused = datagram::seal(&mut alice.send, &mut [0; 40], 40, after(80));
    assert!(matches!(refused, Err(datagram::DatagramError::Spent(_))));
    let mut frames = |count: usize| {
        for _ in 0..count {
            datagram::seal(&mut alice.send, &mut [0; 40], 40, after(0)).unwrap();
        }
        alice.send.life(after(0))
    };
    assert_eq!(frames(6), KeyLife::Fresh);
    assert_eq!(frames(1), KeyLife::RekeyDue(KeyLimit::Frames));
    assert_eq!(frames(1), KeyLife::Spent(KeyLimit::Frames));
}

//= docs/spec/mesh-sessions.md#limits
#[test]
fn no_frame_passes_the_limit_of_bytes() {
    let (mut alice, _) = pair_with(KeyLimits { bytes: 100, ..KeyLimits::default() });
    let spent = KeysSpent(KeyLimit::Bytes);
    let datagram = |session: &mut Session, bytes: usize| {
        datagram::seal(&mut session.send, &mut vec![0; 40 + bytes], 10_000, Instant::default()).map(drop)
    };
    let control = |session: &mut Session, bytes: usize| {
        control::seal(&mut session.send, &mut vec![0; 52 + bytes], MAX_CONTROL_BYTES, Instant::default())
    };
    assert_eq!(datagram(&mut alice, 101), Err(datagram::DatagramError::Spent(spent)));
    assert_eq!(control(&mut alice, 101), Err(control::ControlError::Spent(spent)));
    assert_eq!(alice.send.life(Instant::default()), KeyLife::Fresh, "what is refused is not counted");
    assert_eq!(datagram(&mut alice, 60), Ok(()));
    assert_eq!(control(&mut alice, 41), Err(control::ControlError::Spent(spent)));
    assert_eq!(control(&mut alice, 40), Ok(()));
    assert_eq!(alice.send.life(Instant::default()), KeyLife::Spent(KeyLimit::Bytes));
}

//= docs/spec/mesh-sessions.md#messages
#[test]
fn no_datagram_is_longer_than_its_receiver_takes() {
    let policy = SessionPolicy::default();
    let longest = |limits: Option<u16>| {
        let transport_limits = limits.map(|max_datagram_bytes| TransportLimits { max_datagram_bytes });
        let offer = Offer { from: alice(), to: bob(), suites: &policy.suites, transport_limits };
        let initiator = Initiator::new(offer, &alice_key(), NOW, &mut entropy(1)).unwrap();
        let (ack, bob) = answered(&initiator, &policy);
        let answer = initiator.check(&ack, &bob_public(), &policy.suites, NOW).unwrap();
        let alice = initiator.establish(&answer, context(&policy)).unwrap();
        let (alice, bob) = rekeyed(alice, bob, [&alice_key(), &bob_key()]);
        [alice, bob].map(|mut end| {
            let bytes = end.send.datagram_bytes();
            let mut seal = |len| datagram::seal(&mut end.send, &mut vec![0; len], 70_000, Instant::default());
            assert_eq!(seal(bytes), Ok(()));
            let too_large = datagram::DatagramError::TooLarge { len: bytes + 1, max: bytes };
            assert_eq!(seal(bytes + 1), Err(too_large));
            bytes
        })
    };
    assert_eq!([None, Some(0)].map(longest), [[1_200, 1_200]; 2]);
    assert_eq!(longest(Some(500)), [1_200, 500]);
    assert_eq!(longest(Some(65_535)), [1_200, 65_535]);
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let (alice, _) = pair();
    let chain = format!("{:?}", &alice.rekey.chain[..4]);
    let pending = alice.rekey.request(&alice_key(), NOW, &mut entropy(5)).unwrap();
    let cookies = Cookies::new(Instant::default(), &mut entropy(3));
    let printed = format!("{alice:?} {pending:?} {cookies:?} {:?}", initiator(1));
    assert!(!printed.contains(chain.trim_matches(['[', ']'])) && !printed.contains("chain"));
    assert!(printed.contains(&alice.send.session_id().to_string()));
}

/// Every message's encoding, for the cuts and bits below.
fn messages() -> Vec<Vec<u8>> {
    let ((alice, bob), policy, initiator) = (pair(), SessionPolicy::default(), initiator(1));
    let retry = Cookies::new(Instant::default(), &mut entropy(3))
        .retry(initiator.hello(), at(NOW), &mut entropy(4))
        .unwrap();
    let (ack, _) = answered(&initiator, &policy);
    let pending = alice.rekey.request(&alice_key(), NOW, &mut entropy(5)).unwrap();
    let request = bob.rekey.check_request(pending.request().clone(), &alice_public(), NOW).unwrap();
    let (rekey_ack, _) = bob.rekey.answer(&request, &bob_key(), context(&policy), &mut entropy(6)).unwrap();
    let encodings = [
        initiator.hello().encode(),
        retry.encode(),
        ack.encode(),
        pending.request().encode(),
        rekey_ack.encode(),
    ];
    encodings.into_iter().map(Result::unwrap).collect()
}

/// What each decoder makes of `bytes`, encoded again.
fn read(bytes: &[u8]) -> [Result<Vec<u8>, SessionError>; 5] {
    [
        Hello::decode(bytes).and_then(|it| it.encode()),
        HelloRetry::decode(bytes).and_then(|it| it.encode()),
        Ack::decode(bytes).and_then(|it| it.encode()),
        RekeyRequest::decode(bytes).and_then(|it| it.encode()),
        RekeyAck::decode(bytes).and_then(|it| it.encode()),
    ]
}

//= docs/spec/mesh-sessions.md#messages
#[test]
fn a_message_has_one_encoding_and_one_kind() {
    for (kind, bytes) in messages().iter().enumerate() {
        for (decoder, result) in read(bytes).into_iter().enumerate() {
            assert_eq!(result.is_ok(), decoder == kind, "message {kind}, decoder {decoder}");
            assert!(result.is_err() || result.as_ref() == Ok(bytes));
        }
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at]).iter().all(Result::is_err), "message {kind} cut at {at}");
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                for result in read(&bent).into_iter().flatten() {
                    assert_eq!(result, bent, "message {kind}: what is read has this encoding alone");
                }
            }
        }
        assert!(read(&[&bytes[..], &[0]].concat()).iter().all(Result::is_err));
    }
    let long = vec![0; 16 * 1024 + 1];
    assert_eq!(Ack::decode(&long), Err(SessionError::TooLong { len: 16_385, max: 16_384 }));
    let mut hello = initiator(1).hello().clone();
    for count in [0, 17] {
        hello.suites = vec![SuiteId::new(1); count];
        assert_eq!(Hello::decode(&hello.encode().unwrap()), Err(SessionError::SuiteCount(count)));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for again in read(&bytes).into_iter().flatten() {
            prop_assert_eq!(&again, &bytes);
        }
    }

    /// The window against a set of everything that was seen.
    #[test]
    fn the_replay_window_takes_each_number_once(
        size in 1u8..=128,
        steps in prop::collection::vec((0u64..400, prop::bool::weighted(0.02)), 0..200),
    ) {
        let mut window = ReplayWindow::new(size);
        let (mut seen, mut newest) = (alloc::collections::BTreeSet::new(), 0u64);
        for (step, leap) in steps {
            let seq = if leap { newest.saturating_add(step << 40) } else { (newest + step).saturating_sub(200) };
            let fresh = seq != 0 && !seen.contains(&seq) && seq + u64::from(size) > newest;
            prop_assert_eq!(window.check(seq).is_ok(), fresh);
            let expected = if fresh { Ok(()) } else { Err(Replayed { seq }) };
            prop_assert_eq!(window.commit(seq), expected);
            if fresh {
                seen.insert(seq);
                newest = newest.max(seq);
            }
        }
    }
}

#[test]
fn the_window_is_right_at_its_edges() {
    let mut window = ReplayWindow::default();
    assert_eq!(window.check(0), Err(Replayed { seq: 0 }));
    for seq in [1, 129, 2, u64::MAX, u64::MAX - 127] {
        assert_eq!(window.commit(seq), Ok(()), "{seq}");
    }
    for seq in [0, 1, 129, u64::MAX, u64::MAX - 127, u64::MAX - 128] {
        assert_eq!(window.commit(seq), Err(Replayed { seq }), "{seq}");
    }
    assert_eq!(ReplayWindow::new(0), ReplayWindow::new(1));
    assert_eq!(ReplayWindow::new(200), ReplayWindow::default());
}
