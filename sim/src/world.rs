//! The order of events.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::Instant;
use fcp_state_machines::link::admission::{Allowance, Limits};
use fcp_state_machines::link::lanes::Backlog;
use fcp_state_machines::link::links::{CarrierId, Event as LinkEvent};

use crate::network::{Network, TIMEOUT};
use crate::node::{Known, Node, known, name, stranger};
use crate::objects::Objects;
use crate::oracle::{Oracle, Pair, Violation};
use crate::schedule::{Character, Fault, Flaw, Schedule};
use crate::trace::Trace;
use crate::transfers::stranger_key;
use crate::{between, entropy};

/// How long the world is left in peace at the end, in which everything must come right.
pub const PEACE: Duration = Duration::from_secs(600);

/// Events in one virtual second above which something spins.
const MOST_EVENTS_A_SECOND: u64 = 200_000;

/// What the transfers of a node may cost: so little that some must wait for others.
pub(crate) const LIMITS: Limits = Limits {
    peer: Allowance { bytes: 4 * 1024 * 1024, symbols: 4_000, decode_millis: 2_000, requests: 8 },
    node: Allowance { bytes: 16 * 1024 * 1024, symbols: 16_000, decode_millis: 10_000, requests: 20 },
    failures: 100,
    memory: 400 * 1024,
    peers: 64,
};

#[derive(Debug)]
pub(crate) enum Event {
    Fault(Fault),
    Wake(usize),
    /// Somebody says something.
    Speak(usize),
    /// A carrier from the first to the second is there, or is not.
    Connected(usize, usize),
    Unreachable(usize, usize),
    Frame {
        carrier: CarrierId,
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Lost(usize, CarrierId),
    /// Somebody makes an object.
    Make(usize),
    /// Symbols arrive.
    Datagram {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    /// A node that is not honest does something.
    Prowl,
    /// Somebody unknown asks a node for something.
    Stranger(usize),
}

/// What came of a schedule.
#[derive(Debug)]
pub struct Outcome {
    /// The history.
    pub trace: Trace,
    /// Messages that were heard.
    pub heard: usize,
    /// Objects that were fetched.
    pub fetched: usize,
    /// What was broken, if something was.
    pub violation: Option<Violation>,
}

/// Messages that wait for room, the oldest first.
type Unsaid = VecDeque<(Lane, Vec<u8>)>;

/// A world under way.
pub struct World {
    pub(crate) now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    order: u64,
    pub(crate) nodes: Vec<Node>,
    /// What each node said and its link had no room for yet.
    unsaid: BTreeMap<Pair, Unsaid>,
    pub(crate) known: Known,
    pub(crate) network: Network,
    oracle: Oracle,
    pub(crate) random: Entropy,
    pub(crate) trace: Trace,
    pub(crate) end: Instant,
    /// Events in the virtual second that is under way.
    in_second: (u64, u64),
    pub(crate) objects: Objects,
    pub(crate) hostile: Option<(usize, Character)>,
    pub(crate) flaw: Option<Flaw>,
}

impl World {
    /// Plays a schedule to its end.
    pub fn play(schedule: &Schedule) -> Outcome {
        let mut world = Self::new(schedule);
        let violation = world.run().err().or_else(|| world.unfinished()).or_else(|| world.unfetched());
        let (heard, fetched) = (world.oracle.count(), world.objects.count());
        Outcome { heard, fetched, trace: world.trace, violation }
    }

    fn new(schedule: &Schedule) -> Self {
        let now = Instant::default();
        let seed = schedule.seed;
        let unbounded = schedule.flaw == Some(Flaw::NoMemoryBound);
        let limits = Limits { memory: if unbounded { usize::MAX } else { LIMITS.memory }, ..LIMITS };
        let nodes = (0..schedule.nodes)
            .map(|n| Node::new(n, limits, entropy(seed ^ ((n as u64 + 1) << 40), b'N'), now));
        let mut world = Self {
            now,
            events: BTreeMap::new(),
            order: 0,
            nodes: nodes.collect(),
            unsaid: BTreeMap::new(),
            known: known(schedule.nodes),
            network: Network::new(entropy(seed, b'W')),
            oracle: Oracle::default(),
            random: entropy(seed, b'S'),
            trace: Trace::default(),
            end: now.saturating_add(schedule.span),
            in_second: (0, 0),
            objects: Objects::default(),
            hostile: schedule.hostile,
            flaw: schedule.flaw,
        };
        if schedule.flaw == Some(Flaw::KnowsStrangers) {
            world.known.0.insert(stranger(), stranger_key().verifying_key());
        }
        for event in [Event::Make(0), Event::Prowl, Event::Stranger(0)] {
            world.plan(now, event);
        }
        for (at, fault) in &schedule.faults {
            world.plan(*at, Event::Fault(*fault));
        }
        for node in 0..schedule.nodes {
            world.begin(node);
            world.plan(now, Event::Speak(node));
            // Clocks that are too far apart keep nodes apart; in peace they are right again.
            world.plan(world.end, Event::Fault(Fault::Clock(node, 0)));
        }
        world
    }

    /// A node's process begins: it wants to reach everybody.
    fn begin(&mut self, node: usize) {
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.nodes[node].links.want(&name(peer), self.now);
        }
        self.plan(self.now, Event::Wake(node));
    }

    pub(crate) fn plan(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.events.insert((at.max(self.now), self.order), event);
    }

    fn run(&mut self) -> Result<(), Violation> {
        let over = self.end.saturating_add(PEACE);
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > over {
                return Ok(());
            }
            self.now = at;
            self.count()?;
            self.step(event)?;
        }
        Ok(())
    }

    /// Nothing spins: virtual time goes on.
    fn count(&mut self) -> Result<(), Violation> {
        let second = self.now.as_nanos() / 1_000_000_000;
        self.in_second =
            if self.in_second.0 == second { (second, self.in_second.1 + 1) } else { (second, 1) };
        if self.in_second.1 > MOST_EVENTS_A_SECOND {
            return Err(format!("more than {MOST_EVENTS_A_SECOND} events in second {second}"));
        }
        Ok(())
    }

    fn step(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Fault(fault) => self.fault(fault),
            Event::Wake(node) => self.wake(node),
            Event::Speak(node) => self.speak(node),
            Event::Connected(from, to) => self.connected(from, to),
            Event::Unreachable(from, to) => {
                self.nodes[from].links.unreachable(&name(to));
                self.settle(from)
            }
            Event::Frame { carrier, from, to, bytes } => self.frame(carrier, from, to, bytes),
            Event::Make(node) => self.make(node),
            Event::Datagram { from, to, bytes } => self.datagram(from, to, bytes),
            Event::Prowl => self.prowl(),
            Event::Stranger(node) => self.ask_as_stranger(node),
            Event::Lost(node, carrier) => {
                if self.asleep(node, |at| (at, Event::Lost(node, carrier))) {
                    return Ok(());
                }
                self.trace.note(self.now, format_args!("{node} loses carrier {}", carrier.0));
                self.nodes[node].links.lost(carrier);
                self.settle(node)
            }
        }
    }

    /// Puts off what concerns a node that sleeps; whether it does.
    fn asleep(&mut self, node: usize, later: impl FnOnce(Instant) -> (Instant, Event)) -> bool {
        let Some(until) = self.nodes[node].sleeps.filter(|until| *until > self.now) else { return false };
        let (at, event) = later(until);
        self.plan(at, event);
        true
    }

    fn wake(&mut self, node: usize) -> Result<(), Violation> {
        if self.asleep(node, |at| (at, Event::Wake(node))) {
            return Ok(());
        }
        if self.nodes[node].wakes.is_some_and(|at| at <= self.now) {
            self.nodes[node].wakes = None;
        }
        let (links, mut local) = self.nodes[node].parts(&self.known, self.now);
        links.tick(&mut local);
        self.tick_transfers(node);
        self.settle(node)
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.trace.note(self.now, format_args!("{fault:?}"));
        match fault {
            Fault::Cut(one, other) => self.cut(self.network.between(one, other), Duration::ZERO),
            Fault::Partition(one, other, long) => {
                let until = self.now.saturating_add(long);
                self.network.block(one, other, until);
                self.network.block(other, one, until);
            }
            Fault::OneWay(from, to, long) => self.network.block(from, to, self.now.saturating_add(long)),
            Fault::Sleep(node, long) => {
                let until = self.now.saturating_add(long).min(self.end);
                self.nodes[node].sleeps = Some(until);
                self.cut(self.network.of(node), TIMEOUT);
            }
            Fault::Crash(node) => self.crash(node),
            Fault::Lose(node) => {
                self.nodes[node].shelf.lose();
                self.crash(node);
            }
            Fault::Clock(node, off) => self.nodes[node].clock = off,
        }
        Ok(())
    }

    /// A process dies and starts again.
    fn crash(&mut self, node: usize) {
        self.cut(self.network.of(node), Duration::ZERO);
        self.nodes[node].restart(self.now);
        self.unsaid.retain(|(from, _), _| *from != node);
        self.oracle.forget(node);
        self.remember(node);
        self.begin(node);
    }

    /// Carriers break, and both ends find out after a while.
    fn cut(&mut self, carriers: impl IntoIterator<Item = CarrierId>, after: Duration) {
        for carrier in carriers {
            let Some(ends) = self.network.close(carrier) else { continue };
            let at = self.now.saturating_add(after);
            ends.into_iter().for_each(|node| self.plan(at, Event::Lost(node, carrier)));
        }
    }

    fn connected(&mut self, from: usize, to: usize) -> Result<(), Violation> {
        let awake = |node: &Node| node.sleeps.is_none_or(|until| until <= self.now);
        if !awake(&self.nodes[from]) || !awake(&self.nodes[to]) || !self.network.connects(from, to, self.now)
        {
            self.plan(self.now.saturating_add(TIMEOUT), Event::Unreachable(from, to));
            return Ok(());
        }
        let carrier = self.network.open(from, to, self.now);
        self.trace.note(self.now, format_args!("{from} reaches {to} by carrier {}", carrier.0));
        for (node, peer) in [(to, None), (from, Some(name(to)))] {
            let (links, mut local) = self.nodes[node].parts(&self.known, self.now);
            links.connected(carrier, peer, &mut local);
        }
        self.settle(to)?;
        self.settle(from)
    }

    fn frame(
        &mut self,
        carrier: CarrierId,
        from: usize,
        to: usize,
        mut bytes: Vec<u8>,
    ) -> Result<(), Violation> {
        if !self.network.arrived(carrier, from, bytes.len()) {
            return Ok(());
        }
        if !self.network.passes(from, to, self.now) {
            self.cut([carrier], TIMEOUT);
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{from} to {to}: {} bytes on {}", bytes.len(), carrier.0));
        let (links, mut local) = self.nodes[to].parts(&self.known, self.now);
        links.received(carrier, &mut bytes, &mut local);
        self.settle(to)?;
        self.settle(from)
    }

    /// A node says something to somebody, and will again.
    fn speak(&mut self, node: usize) -> Result<(), Violation> {
        if self.now >= self.end || self.nodes.len() < 2 {
            return Ok(());
        }
        let pause = between(&mut self.random, Duration::from_millis(50), Duration::from_secs(8));
        self.plan(self.now.saturating_add(pause), Event::Speak(node));
        if self.nodes[node].sleeps.is_some_and(|until| until > self.now) {
            return Ok(());
        }
        let others = self.nodes.len() as u64 - 1;
        let peer = (node + 1 + self.random.below(others) as usize) % self.nodes.len();
        let lane = Lane::ALL[self.random.below(4) as usize];
        let mut message = self.oracle.say((node, peer)).to_le_bytes().to_vec();
        message.resize(8 + self.random.below(6_000) as usize, lane.byte());
        self.unsaid.entry((node, peer)).or_default().push_back((lane, message));
        self.settle(node)
    }

    /// Everything that a node does before it waits again.
    pub(crate) fn settle(&mut self, node: usize) -> Result<(), Violation> {
        loop {
            self.link_events(node)?;
            self.hand_over(node);
            self.hear(node)?;
            self.transfers(node)?;
            if !self.send(node) {
                break;
            }
        }
        self.datagrams(node);
        self.arrange(node);
        Ok(())
    }

    fn link_events(&mut self, node: usize) -> Result<(), Violation> {
        while let Some(event) = self.nodes[node].links.next_event() {
            match event {
                LinkEvent::Connect(peer) => {
                    let to = number(&peer);
                    let at = self.now.saturating_add(self.network.latency());
                    self.plan(at, Event::Connected(node, to));
                }
                LinkEvent::Disconnect(carrier) => {
                    // The other end finds out; this one knows.
                    if let Some(peer) = self.network.peer(carrier, node) {
                        self.network.close(carrier);
                        let at = self.now.saturating_add(self.network.latency());
                        self.plan(at, Event::Lost(peer, carrier));
                    }
                }
                LinkEvent::Up(peer) => {
                    self.trace.note(self.now, format_args!("{node} has a session with {peer}"));
                    self.oracle.begin((number(&peer), node));
                    self.nodes[node].delivery.up(&peer, self.now);
                }
                LinkEvent::Down { peer, ended, undelivered } => {
                    self.trace.note(self.now, format_args!("{node} has none with {peer}: {ended:?}"));
                    self.nodes[node].delivery.down(&peer, self.now);
                    let pair = (node, number(&peer));
                    let undelivered = undelivered.into_iter().filter(|(_, it)| !Self::is_transfer(it));
                    let unsaid = self.unsaid.entry(pair).or_default();
                    for (place, (lane, message)) in undelivered.enumerate() {
                        self.oracle.doubt(pair, message_number(&message)?);
                        unsaid.insert(place.min(unsaid.len()), (lane, message));
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives what was said to the links that have room.
    fn hand_over(&mut self, node: usize) {
        for ((_, peer), unsaid) in self.unsaid.range_mut((node, 0)..=(node, usize::MAX)) {
            let Some(session) = self.nodes[node].links.session(&name(*peer)) else { continue };
            if session.ended().is_some() {
                continue;
            }
            while let Some((lane, message)) = unsaid.front() {
                match session.send(*lane, message) {
                    Ok(()) => _ = unsaid.pop_front(),
                    Err(Backlog::Full | Backlog::Empty | Backlog::TooLong { .. }) => break,
                }
            }
        }
    }

    /// Takes what the links brought.
    fn hear(&mut self, node: usize) -> Result<(), Violation> {
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            for lane in Lane::ALL {
                while let Some(message) = self.receive(node, peer, lane) {
                    if !self.hear_transfer(node, peer, &message) {
                        self.oracle.hear((peer, node), lane, message_number(&message)?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, node: usize, peer: usize, lane: Lane) -> Option<Vec<u8>> {
        self.nodes[node].links.session(&name(peer))?.receive(lane)
    }

    /// Fills the carriers that have room; whether anything was sent.
    fn send(&mut self, node: usize) -> bool {
        let (mut any, mut frame) = (false, Vec::new());
        for carrier in self.network.of(node) {
            while self.network.takes(carrier, node) {
                let Some(to) = self.network.peer(carrier, node) else { break };
                let (links, mut local) = self.nodes[node].parts(&self.known, self.now);
                if !links.next_frame(carrier, &mut local, &mut frame) {
                    break;
                }
                let Some(at) = self.network.send(carrier, node, frame.len(), self.now) else { break };
                self.plan(at, Event::Frame { carrier, from: node, to, bytes: std::mem::take(&mut frame) });
                any = true;
            }
        }
        any
    }

    /// Arranges to be woken.
    fn arrange(&mut self, node: usize) {
        let transfers = self.nodes[node].delivery.deadline().filter(|_| self.flaw != Some(Flaw::NeverAsks));
        let deadlines = [self.nodes[node].links.deadline(), transfers];
        let Some(deadline) = deadlines.into_iter().flatten().min() else { return };
        let at = deadline.max(self.now);
        if self.nodes[node].wakes.is_none_or(|arranged| at < arranged) {
            self.nodes[node].wakes = Some(at);
            self.plan(at, Event::Wake(node));
        }
    }

    /// What is not right although there was peace.
    fn unfinished(&mut self) -> Option<Violation> {
        for node in 0..self.nodes.len() {
            for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
                if self.nodes[node].links.session(&name(peer)).is_none() {
                    return Some(format!(
                        "{node} has no session with {peer} after {} s of peace",
                        PEACE.as_secs()
                    ));
                }
            }
        }
        let missing = self.oracle.missing();
        let first = missing.first()?;
        Some(format!("{} messages were never heard, the first is {first:?}", missing.len()))
    }
}

pub(crate) fn number(name: &fcp_proto_core::ids::NodeId) -> usize {
    name.as_str().strip_prefix("node-").and_then(|number| number.parse().ok()).expect("a node of this world")
}

fn message_number(message: &[u8]) -> Result<u64, Violation> {
    let first = message.first_chunk::<8>().ok_or("a message was cut")?;
    Ok(u64::from_le_bytes(*first))
}
