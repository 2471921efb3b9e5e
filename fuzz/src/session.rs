//! A session of two nodes, played by a schedule: what is sent, what the carrier does, and how time passes.

use std::collections::{BTreeMap, VecDeque};

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::frame::content::{CloseReason, Lane};
use fcp_proto_core::frame::datagram::PREFIX_BYTES;
use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::session::keys::KeyLimits;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::link::handshake::{Answer, Dial, Responder};
use fcp_state_machines::link::session::Session;
use fcp_state_machines::link::{Local, Peers};
use zeroize::Zeroizing;

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 1_000;

/// Frames of a generation of keys: few, so that a short schedule comes to a rekey.
const FEWEST_FRAMES: u64 = 160;

/// Whatever the carrier does, what arrives on a lane is what was sent on it next; and if neither end gave up, nothing is
/// missing once the carrier holds.
pub(crate) fn schedule(input: &[u8]) {
    let (more, steps) = input.split_first().unwrap_or((&0, &[]));
    let mut play = Play::new(FEWEST_FRAMES + u64::from(*more));
    for step in steps.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*step);
    }
    play.settle();
    if play.ends.iter().all(|end| end.ended().is_none()) {
        assert!(play.sent.iter().flatten().all(VecDeque::is_empty), "messages are missing");
    }
}

struct Trusted(BTreeMap<NodeId, VerifyingKey<NodeRole>>);

impl Peers for Trusted {
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<NodeRole>> {
        self.0.get(node).copied()
    }
}

struct Node {
    me: NodeId,
    key: SigningKey<NodeRole>,
    entropy: Entropy,
}

/// Two ends, the carrier between them, and what is still to arrive.
struct Play {
    nodes: [Node; 2],
    trusted: Trusted,
    policy: SessionPolicy,
    ends: [Session; 2],
    carried: [VecDeque<Vec<u8>>; 2],
    sent: [[VecDeque<Vec<u8>>; 4]; 2],
    seconds: u64,
}

impl Play {
    fn new(frames: u64) -> Self {
        let mut nodes = ["alice", "bob"].map(|name| Node {
            me: NodeId::new(name).expect("a name"),
            key: SigningKey::from_seed(&Zeroizing::new([name.len() as u8; 32])),
            entropy: Entropy::from_seed(&Zeroizing::new([name.len() as u8; 32])),
        });
        let known = nodes.each_ref().map(|node| (node.me.clone(), node.key.verifying_key()));
        let trusted = Trusted(BTreeMap::from(known));
        let key_limits = KeyLimits { frames, ..KeyLimits::default() };
        let policy = SessionPolicy { key_limits, ..SessionPolicy::default() };
        let ends = meet(&mut nodes, &trusted, &policy);
        Self {
            nodes,
            trusted,
            policy,
            ends,
            carried: Default::default(),
            sent: Default::default(),
            seconds: 0,
        }
    }

    /// The end in the lowest bit of `what` does what its other bits say, `how` much.
    fn step(&mut self, [what, how]: [u8; 2]) {
        let end = usize::from(what & 1);
        match what >> 1 & 7 {
            0 | 1 => self.send(end, Lane::ALL[usize::from(what >> 4 & 3)], how),
            2 => (0..=how & 15).for_each(|_| self.load(end)),
            3 => (0..=how & 15).for_each(|_| self.deliver(end)),
            4 => self.forge(end, usize::from(how)),
            5 => (0..=how & 31).for_each(|_| self.datagram(end)),
            6 if how & 0x80 == 0 => self.cut(),
            6 => self.ends[end].close(CloseReason::Done),
            _ => self.later(u64::from(how)),
        }
        self.take();
    }

    fn send(&mut self, end: usize, lane: Lane, length: u8) {
        let message = vec![length; usize::from(length) + 1];
        if self.ends[end].send(lane, &message).is_ok() {
            self.sent[end][usize::from(lane.byte())].push_back(message);
        }
    }

    /// Whatever arrived is what was sent next.
    fn take(&mut self) {
        for (peer, lanes) in [1, 0].into_iter().zip(&mut self.sent) {
            for (lane, queue) in Lane::ALL.into_iter().zip(lanes) {
                while let Some(message) = self.ends[peer].receive(lane) {
                    assert!(Some(message) == queue.pop_front(), "another message, or one of another time");
                }
            }
        }
    }

    fn load(&mut self, end: usize) {
        let mut frame = Vec::new();
        if self.act(end, |session, local| session.next_frame(local, &mut frame)) {
            self.carried[end].push_back(frame);
        }
    }

    /// A carrier is given up after a frame that is refused.
    fn deliver(&mut self, end: usize) {
        let Some(mut frame) = self.carried[end].pop_front() else { return };
        if self.act(1 - end, |session, local| session.frame(local, &mut frame, false)).is_err() {
            self.cut();
        }
    }

    /// The next frame with one bit turned is refused, and nothing comes of it.
    fn forge(&mut self, end: usize, at: usize) {
        let Some(mut frame) = self.carried[end].front().cloned() else { return };
        let at = at % frame.len();
        frame[at] ^= 1 << (at % 8);
        let before = self.ends[1 - end].ended();
        assert!(self.act(1 - end, |session, local| session.frame(local, &mut frame, false)).is_err());
        assert_eq!(self.ends[1 - end].ended(), before);
    }

    fn datagram(&mut self, end: usize) {
        let mut bytes = vec![7; PREFIX_BYTES + 20];
        let mtu = bytes.len();
        if self.act(end, |session, local| session.seal_datagram(local, &mut bytes, mtu)).is_ok() {
            let taken = self.act(1 - end, |session, local| {
                session.datagram(local, &mut bytes, mtu).map(|frame| frame == [7; 20])
            });
            assert!(taken != Ok(false), "another frame than the one that was sealed");
        }
    }

    fn cut(&mut self) {
        self.carried.iter_mut().for_each(VecDeque::clear);
        self.ends.iter_mut().for_each(Session::carrier_changed);
    }

    /// Afterwards both wait for something that is still to come, if for anything.
    fn later(&mut self, seconds: u64) {
        self.seconds += seconds;
        for end in [0, 1] {
            self.act(end, Session::tick);
            let now = at(self.seconds).mono;
            assert!(self.ends[end].deadline().is_none_or(|deadline| deadline > now), "a driver would spin");
        }
    }

    /// The carrier holds, until nobody has anything left to say.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.later(61);
            let now = at(self.seconds).mono;
            while self.ends.iter().any(|end| end.has_frame(now))
                || self.carried.iter().any(|it| !it.is_empty())
            {
                for end in [0, 1] {
                    self.load(end);
                    self.deliver(end);
                }
                self.take();
            }
        }
    }

    fn act<T>(&mut self, end: usize, action: impl FnOnce(&mut Session, &mut Local<'_>) -> T) -> T {
        let mut local = self.nodes[end].local(&self.trusted, &self.policy, self.seconds);
        action(&mut self.ends[end], &mut local)
    }
}

impl Node {
    fn local<'a>(&'a mut self, peers: &'a Trusted, policy: &'a SessionPolicy, seconds: u64) -> Local<'a> {
        let Self { me, key, entropy } = self;
        Local { me, key, policy, provider: &Pure, peers, entropy, now: at(seconds) }
    }
}

/// A session of two nodes, which the first asked for.
fn meet(nodes: &mut [Node; 2], trusted: &Trusted, policy: &SessionPolicy) -> [Session; 2] {
    let [alice, bob] = nodes;
    let mut responder = Responder::new(at(0).mono, &mut bob.entropy);
    let bob_name = bob.me.clone();
    let mut dial = Dial::new(bob_name, None, &mut alice.local(trusted, policy, 0)).expect("a known peer");
    let Ok(Opening::Hello(hello)) = Opening::decode(&dial.next_message().expect("a hello")) else {
        panic!("no hello")
    };
    let answer = responder.hello(hello, &mut bob.local(trusted, policy, 0));
    let Ok(Answer::Session(answered, Opening::Ack(ack))) = answer else { panic!("no answer") };
    [dial.ack(&ack, &alice.local(trusted, policy, 0)).expect("a sound answer"), *answered]
}

fn at(seconds: u64) -> Now {
    Now {
        mono: Instant::from_nanos(seconds * 1_000_000_000),
        unix: UnixTime::from_secs(1_800_000_000 + seconds),
    }
}
