use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::frame::content::{CloseReason, Content, Lane, MAX_PIECE_BYTES, Piece, Window};
use fcp_proto_core::frame::control::{self, ControlError, HEADER_BYTES, OVERHEAD};
use fcp_proto_core::frame::datagram::{DatagramError, PREFIX_BYTES};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::keys::KeyLimits;
use fcp_proto_core::time::Now;
use zeroize::Zeroizing;

use super::{Ended, MAX_CONTENT, Refused, Session};
use crate::link::lanes::Violation;
use crate::link::testing::{Node, at, nodes, session};

const MTU: usize = 1_200;

/// Two ends and the carrier between them.
struct Pair {
    nodes: [Node; 2],
    ends: [Session; 2],
    /// What is under way from each end.
    carried: [VecDeque<Vec<u8>>; 2],
    now: Now,
}

impl Pair {
    fn new(seed: u8, limits: KeyLimits) -> Self {
        let mut nodes = nodes(seed, limits);
        let ends = session(&mut nodes, at(0));
        Self { nodes, ends, carried: Default::default(), now: at(0) }
    }

    /// The carrier takes one frame from `end`, if there is one.
    fn load(&mut self, end: usize) -> bool {
        let mut frame = Vec::new();
        let loaded = self.ends[end].next_frame(&mut self.nodes[end].local(self.now), &mut frame);
        if loaded {
            self.carried[end].push_back(frame);
        }
        loaded
    }

    /// The carrier delivers one frame of `end`, if it holds one.
    fn deliver(&mut self, end: usize) -> Option<Result<(), Refused>> {
        let mut frame = self.carried[end].pop_front()?;
        let peer = 1 - end;
        Some(self.ends[peer].frame(&mut self.nodes[peer].local(self.now), &mut frame, false))
    }

    /// Everything that both have to say arrives.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for end in [0, 1] {
                quiet &= !self.load(end);
                while let Some(result) = self.deliver(end) {
                    assert!(matches!(result, Ok(()) | Err(Refused::Closed)), "{result:?}");
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the two never fall silent");
    }

    fn cut(&mut self) {
        self.carried.iter_mut().for_each(VecDeque::clear);
        self.ends.iter_mut().for_each(Session::carrier_changed);
    }

    /// A datagram from `end`, and whether the other one takes it.
    fn datagram(&mut self, end: usize) -> Result<bool, Refused> {
        let mut bytes = vec![7; PREFIX_BYTES + 20];
        self.ends[end].seal_datagram(&mut self.nodes[end].local(self.now), &mut bytes, MTU)?;
        let peer = 1 - end;
        let local = &mut self.nodes[peer].local(self.now);
        self.ends[peer].datagram(local, &mut bytes, MTU).map(|frame| frame == [7; 20])
    }

    /// Seals `content` as if `end` meant it.
    fn forge(&mut self, end: usize, content: &[u8]) -> Result<(), Refused> {
        let mut frame = vec![0; OVERHEAD + content.len()];
        frame[HEADER_BYTES..HEADER_BYTES + content.len()].copy_from_slice(content);
        control::seal(self.ends[end].keys.send(), &mut frame, MAX_CONTENT, self.now.mono).unwrap();
        self.carried[end].push_back(frame);
        self.deliver(end).unwrap()
    }

    /// After a tick, an end waits for something that is still to come.
    fn rests(&mut self, end: usize, seed: u8) {
        self.ends[end].tick(&mut self.nodes[end].local(self.now));
        let deadline = self.ends[end].deadline().unwrap();
        assert!(deadline > self.now.mono, "seed {seed}: a driver would spin");
    }

    fn ended(&self) -> [Option<Ended>; 2] {
        self.ends.each_ref().map(Session::ended)
    }

    /// Seals until `end` wants a rekey.
    fn use_up(&mut self, end: usize) {
        while !self.ends[end].rekey.has_message() {
            self.datagram(end).unwrap();
            self.ends[end].tick(&mut self.nodes[end].local(self.now));
        }
    }

    fn later(&mut self, seconds: u64) {
        self.now = at(self.now.mono.as_nanos() / 1_000_000_000 + seconds);
    }
}

fn frames(frames: u64) -> KeyLimits {
    KeyLimits { frames, ..KeyLimits::default() }
}

#[test]
fn messages_arrive_whole_and_in_order_on_every_lane() {
    let mut pair = Pair::new(1, KeyLimits::default());
    let long = vec![9; 3 * MAX_PIECE_BYTES + 5];
    for lane in Lane::ALL {
        pair.ends[0].send(lane, b"first").unwrap();
        pair.ends[0].send(lane, &long).unwrap();
        pair.ends[1].send(lane, b"back").unwrap();
    }
    pair.settle();
    for lane in Lane::ALL {
        assert_eq!(pair.ends[1].receive(lane).as_deref(), Some(&b"first"[..]));
        assert_eq!(pair.ends[1].receive(lane).as_deref(), Some(&long[..]));
        assert_eq!(pair.ends[1].receive(lane), None);
        assert_eq!(pair.ends[0].receive(lane).as_deref(), Some(&b"back"[..]));
    }
    assert!(pair.ends[1].is_confirmed());
}

//= docs/spec/fcpc.md#lanes
#[test]
fn an_urgent_message_overtakes_a_bulk_transfer() {
    let mut pair = Pair::new(2, KeyLimits::default());
    pair.ends[0].send(Lane::Bulk, &vec![1; 100 * MAX_PIECE_BYTES]).unwrap();
    for _ in 0..3 {
        assert!(pair.load(0));
    }
    pair.ends[0].send(Lane::Urgent, b"revoked").unwrap();
    assert!(pair.load(0));
    while pair.deliver(0).is_some() {}
    assert_eq!(pair.ends[1].receive(Lane::Urgent).as_deref(), Some(&b"revoked"[..]));
    assert_eq!(pair.ends[1].receive(Lane::Bulk), None);
}

/// Random traffic, carriers that break, time that passes, few frames a generation: nothing is lost or doubled, and the
/// keys turn over many times.
#[test]
fn nothing_is_lost_or_doubled_whatever_breaks() {
    for seed in 0..4_u8 {
        let mut random = Entropy::from_seed(&Zeroizing::new([seed; 32]));
        let mut pair = Pair::new(seed, frames(160));
        let mut sent: [[VecDeque<Vec<u8>>; 4]; 2] = Default::default();
        let mut count = 0_u32;
        for _ in 0..1_200 {
            let end = random.below(2) as usize;
            match random.below(100) {
                0..30 => {
                    let lane = Lane::ALL[random.below(4) as usize];
                    let mut message = vec![count as u8; 1 + random.below(20_000) as usize];
                    message[0] = end as u8;
                    if pair.ends[end].send(lane, &message).is_ok() {
                        sent[end][usize::from(lane.byte())].push_back(message);
                        count += 1;
                    }
                }
                30..60 => _ = pair.load(end),
                60..90 => assert!(!matches!(pair.deliver(end), Some(Err(_))), "seed {seed}"),
                90..94 => {
                    assert!(matches!(pair.datagram(end), Ok(true) | Err(Refused::Scarce)), "seed {seed}")
                }
                94..96 => pair.cut(),
                _ => pair.later(random.below(40)),
            }
            take(&mut pair, &mut sent, seed);
            pair.rests(end, seed);
        }
        for _ in 0..3 {
            pair.later(61);
            pair.settle();
            take(&mut pair, &mut sent, seed);
        }
        assert!(sent.iter().flatten().all(VecDeque::is_empty), "seed {seed}: messages are missing");
        assert!(pair.ends[0].generation() >= 2, "seed {seed}: {} generations", pair.ends[0].generation());
        assert_eq!(pair.ended(), [None, None], "seed {seed}");
    }
}

/// Whatever arrived is what was sent next on its lane.
fn take(pair: &mut Pair, sent: &mut [[VecDeque<Vec<u8>>; 4]; 2], seed: u8) {
    for (end, lanes) in sent.iter_mut().enumerate() {
        for (lane, queue) in Lane::ALL.into_iter().zip(lanes) {
            while let Some(message) = pair.ends[1 - end].receive(lane) {
                assert!(Some(message) == queue.pop_front(), "seed {seed}: {lane:?} from {end}");
            }
        }
    }
}

/// A driver asks for frames as long as there are any; what waits for the next generation is none.
#[test]
fn what_scarce_keys_may_not_say_is_no_frame() {
    let mut pair = Pair::new(16, frames(64));
    pair.ends[1].send(Lane::Control, b"again and again").unwrap();
    for _ in 0..64 {
        assert_eq!(pair.ends[1].has_frame(pair.now.mono), pair.load(1));
        pair.cut();
    }
    // Nobody has heard the peer yet, so it cannot be asked for new keys either.
    assert!(pair.ends[1].keys.are_scarce(pair.now.mono) && pair.ends[1].lanes.has_next());
    assert!(!pair.ends[1].has_frame(pair.now.mono) && pair.ended() == [None, None]);
}

//= docs/spec/mesh-sessions.md#hello
#[test]
fn a_node_that_asked_speaks_at_once_and_so_confirms_the_session() {
    let mut pair = Pair::new(15, KeyLimits::default());
    assert!(!pair.ends[1].is_confirmed() && !pair.ends[1].has_frame(pair.now.mono));
    assert!(pair.ends[0].has_frame(pair.now.mono) && pair.load(0));
    assert_eq!(pair.deliver(0), Some(Ok(())));
    assert!(pair.ends[1].is_confirmed() && !pair.ends[0].has_frame(pair.now.mono));
}

#[test]
fn both_may_ask_for_the_next_generation_at_once() {
    let mut pair = Pair::new(3, frames(64));
    pair.settle();
    assert_eq!(pair.datagram(0), Ok(true));
    pair.use_up(0);
    pair.use_up(1);
    assert!(pair.load(0) && pair.load(1), "both ask");
    pair.settle();
    assert_eq!(pair.ends.each_ref().map(Session::generation), [1, 1]);
    assert_eq!([pair.datagram(0), pair.datagram(1)], [Ok(true), Ok(true)]);
}

#[test]
fn a_request_or_an_answer_that_was_lost_comes_again() {
    for lost in [1, 2] {
        let mut pair = Pair::new(4, frames(64));
        pair.use_up(0);
        for step in 1..=lost {
            let from = (step + 1) % 2;
            assert!(pair.load(from));
            if step == lost {
                pair.cut();
            } else {
                assert_eq!(pair.deliver(from), Some(Ok(())));
            }
        }
        pair.settle();
        assert_eq!(pair.ends.each_ref().map(Session::generation), [1, 1], "lost {lost}");
    }
}

//= docs/spec/mesh-sessions.md#rekey
#[test]
fn an_answering_node_seals_with_the_old_keys_until_it_heard_the_new_ones() {
    let mut pair = Pair::new(5, frames(64));
    pair.use_up(0);
    assert!(pair.load(0));
    assert_eq!(pair.deliver(0), Some(Ok(())));
    assert_eq!((pair.ends[1].generation(), pair.ends[1].rekey.is_idle()), (0, false));
    assert!(pair.load(1), "the answer");
    assert_eq!(pair.deliver(1), Some(Ok(())));
    assert_eq!(pair.ends[0].generation(), 1);
    assert_eq!(pair.datagram(1), Ok(true), "under the old keys");
    assert_eq!(pair.ends[1].generation(), 0);
    assert!(pair.load(0), "a frame at once, although there is nothing to say");
    assert_eq!(pair.deliver(0), Some(Ok(())));
    assert_eq!(pair.ends[1].generation(), 1);
}

//= docs/spec/mesh-sessions.md#rekey
#[test]
fn old_keys_open_for_a_minute_after_the_new_ones_are_heard() {
    let mut pair = Pair::new(6, frames(64));
    let seal = |pair: &mut Pair| {
        let mut late = vec![7; PREFIX_BYTES + 20];
        pair.ends[1].seal_datagram(&mut pair.nodes[1].local(pair.now), &mut late, MTU).unwrap();
        late
    };
    let late = [seal(&mut pair), seal(&mut pair)];
    pair.use_up(0);
    pair.settle();
    assert_eq!([pair.datagram(0), pair.datagram(1)], [Ok(true), Ok(true)]);
    for (mut late, wait, opens) in
        late.into_iter().zip([59, 1]).zip([true, false]).map(|((a, b), c)| (a, b, c))
    {
        pair.later(wait);
        let local = &mut pair.nodes[0].local(pair.now);
        assert_eq!(pair.ends[0].datagram(local, &mut late, MTU).is_ok(), opens);
    }
}

#[test]
fn a_request_that_nothing_is_left_to_answer_ends_the_session() {
    let mut pair = Pair::new(7, frames(64));
    pair.use_up(0);
    assert!(pair.load(0));
    assert_eq!(pair.deliver(0), Some(Ok(())));
    pair.cut();
    pair.later(121);
    pair.ends[0].tick(&mut pair.nodes[0].local(pair.now));
    assert!(pair.load(0), "another request, because the first is too old");
    assert_eq!(pair.deliver(0), Some(Err(Refused::Closed)));
    pair.settle();
    let reason = CloseReason::KeysSpent;
    assert_eq!(pair.ended(), [Some(Ended::There(reason)), Some(Ended::Here(reason))]);
}

//= docs/spec/mesh-sessions.md#rekey
#[test]
fn a_rekey_ends_the_session_of_a_removed_node() {
    let mut pair = Pair::new(8, frames(64));
    pair.use_up(0);
    let removed = pair.nodes[0].me.clone();
    pair.nodes[1].trusted.0.remove(&removed);
    assert!(pair.load(0));
    assert_eq!(pair.deliver(0), Some(Err(Refused::Closed)));
    pair.settle();
    let reason = CloseReason::PeerNotTrusted;
    assert_eq!(pair.ended(), [Some(Ended::There(reason)), Some(Ended::Here(reason))]);
}

#[test]
fn a_session_outlives_a_night_and_goes_on_where_it_was() {
    let mut pair = Pair::new(9, KeyLimits::default());
    pair.ends[0].send(Lane::Sync, &vec![3; 5 * MAX_PIECE_BYTES]).unwrap();
    for _ in 0..4 {
        assert!(pair.load(0));
    }
    assert_eq!(pair.deliver(0), Some(Ok(())));
    pair.later(9 * 3_600);
    pair.cut();
    pair.settle();
    assert_eq!(pair.ends[1].receive(Lane::Sync), Some(vec![3; 5 * MAX_PIECE_BYTES]));
    assert_eq!(pair.ended(), [None, None]);
}

//= docs/spec/mesh-sessions.md#limits
#[test]
fn nothing_is_sealed_or_opened_with_keys_that_are_too_old() {
    let mut pair = Pair::new(10, KeyLimits::default());
    pair.ends[0].send(Lane::Sync, b"too late").unwrap();
    assert!(pair.load(0), "sealed in time, and kept by somebody");
    pair.later(86_400);
    let mut bytes = vec![0; PREFIX_BYTES + 1];
    let sealed = pair.ends[0].seal_datagram(&mut pair.nodes[0].local(pair.now), &mut bytes, MTU);
    assert_eq!(sealed, Err(Refused::Scarce));
    assert!(!pair.load(0), "not even a request");
    pair.later(60);
    assert_eq!(pair.deliver(0), Some(Err(Refused::Closed)));
    assert_eq!(pair.ended(), [Some(Ended::Here(CloseReason::KeysSpent)); 2]);
    let [ended, _] = pair.ends;
    assert_eq!(ended.deadline(), None);
    assert_eq!(ended.undelivered().collect::<Vec<_>>(), [(Lane::Sync, b"too late".to_vec())]);
}

//= docs/spec/fcpc.md#content
#[test]
fn a_peer_that_breaks_a_rule_of_the_lanes_is_told_and_left() {
    let emitted = |content: Content<'_>| {
        let mut out = Vec::new();
        content.emit(&mut out);
        out
    };
    let beyond = Piece { lane: Lane::Urgent, position: 256 * 1024, last: true, bytes: b"x" };
    let unsent = Window { lane: Lane::Bulk, received: 1, limit: u64::MAX, again: false };
    let back = Window { lane: Lane::Bulk, received: 0, limit: 0, again: false };
    for (content, violation) in [
        (emitted(Content::Piece(beyond)), Some(Violation::BeyondLimit)),
        (emitted(Content::Window(unsent)), Some(Violation::WindowMoved)),
        (emitted(Content::Window(back)), Some(Violation::WindowMoved)),
        (vec![99], None),
    ] {
        let mut pair = Pair::new(11, KeyLimits::default());
        match (pair.forge(0, &content), violation) {
            (Err(Refused::Violation(got)), Some(expected)) => assert_eq!(got, expected),
            (Err(Refused::Content(_)), None) => (),
            (got, _) => panic!("{content:02x?}: {got:?}"),
        }
        pair.settle();
        let reason = CloseReason::ProtocolViolation;
        assert_eq!(pair.ended(), [Some(Ended::There(reason)), Some(Ended::Here(reason))]);
    }
}

#[test]
fn what_is_foreign_forged_or_old_is_refused_and_changes_nothing() {
    let mut pair = Pair::new(12, KeyLimits::default());
    let mut stranger = Pair::new(13, KeyLimits::default());
    for of in [&mut pair, &mut stranger] {
        of.ends[0].send(Lane::Control, b"word").unwrap();
        assert!(of.load(0));
    }
    let good = pair.carried[0][0].clone();
    let mut bent = good.clone();
    bent[HEADER_BYTES + 1] ^= 1;
    let foreign = stranger.carried[0].pop_front().unwrap();
    for (frame, error) in [
        (bent, ControlError::NotAuthentic),
        (foreign, ControlError::OtherSession),
        (vec![0; 3], ControlError::OtherSession),
    ] {
        pair.carried[0].push_front(frame);
        assert_eq!(pair.deliver(0), Some(Err(Refused::Control(error))));
    }
    assert!(!pair.ends[1].is_confirmed());
    assert_eq!(pair.deliver(0), Some(Ok(())));
    assert!(pair.ends[1].is_confirmed());
    pair.carried[0].push_front(good);
    assert_eq!(pair.deliver(0), Some(Err(Refused::Control(ControlError::ReplayRejected { seq: 1 }))));
    let mut short = vec![1; 5];
    let local = &mut pair.nodes[1].local(pair.now);
    let refused = Err(Refused::Datagram(DatagramError::OtherSession));
    assert_eq!(pair.ends[1].datagram(local, &mut short, MTU).map(|_| ()), refused);
    assert_eq!(pair.ended(), [None, None]);
}

#[test]
fn an_end_that_closes_says_so_and_falls_silent() {
    let mut pair = Pair::new(14, KeyLimits::default());
    pair.ends[0].send(Lane::Control, b"unsaid").unwrap();
    pair.ends[0].close(CloseReason::Done);
    assert!(pair.ends[0].has_frame(pair.now.mono));
    pair.settle();
    let reason = CloseReason::Done;
    assert_eq!(pair.ended(), [Some(Ended::Here(reason)), Some(Ended::There(reason))]);
    assert!(!pair.ends[0].has_frame(pair.now.mono) && !pair.ends[1].has_frame(pair.now.mono));
    assert_eq!(pair.ends[1].receive(Lane::Control), None);
    assert_eq!(pair.datagram(0), Err(Refused::Closed));
}
