//! Worlds of gossip: zones with members and others, a wire that loses, doubles and delays, nodes that die, and one that
//! is not honest.
//!
//! Messages go from node to node without a link below them, so that more goes wrong than a link would let through.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::SymbolName;
use fcp_proto_core::object::{GossipMessage, StoredObject};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::link::Local;
use fcp_state_machines::link::admission::{Admission, Limits};
use fcp_state_machines::link::gossip::{Context, Event, Fault, Gossip, MAX_EXCHANGES, Zones};

use crate::node::{Known, key, known, name};
use crate::oracle::Violation;
use crate::trace::Trace;
use crate::{between, entropy};

mod hostile;

pub use hostile::Character;

/// How long the world is left in peace at the end: longer than the longest pause between two exchanges.
const PEACE: Duration = Duration::from_secs(900);

/// Steps in one virtual second above which something spins.
const MOST_STEPS_A_SECOND: u64 = 50_000;

/// A guard that is left out, to see that its loss is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Everybody counts as a member.
    EverybodyIsMember,
    /// What is in quarantine counts as admitted.
    NoQuarantine,
    /// What is learned is not fetched.
    NeverFetches,
    /// Summaries of others do not come.
    HearsNoSummary,
}

/// A world's dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many zones there are.
    pub zones: usize,
    /// How long things go wrong; peace follows.
    pub span: Duration,
    /// How the first node behaves, if it is not honest.
    pub hostile: Option<Character>,
    /// What is left out.
    pub flaw: Option<Flaw>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// The history.
    pub trace: Trace,
    /// Names that came to a node that had them not.
    pub learned: usize,
    /// Rules that the first node broke, as others name them.
    pub named: BTreeSet<Fault>,
    /// What was broken, if something was.
    pub violation: Option<Violation>,
}

/// What a node has of a zone.
#[derive(Clone, Debug, Default)]
struct Plain {
    members: BTreeSet<NodeId>,
    admitted: BTreeSet<ObjectId>,
    quarantined: BTreeSet<ObjectId>,
    version: u64,
}

/// All zones of a node.
#[derive(Clone, Debug, Default)]
struct Sets {
    zones: BTreeMap<ZoneId, Plain>,
    flaw: Option<Flaw>,
}

impl Zones for Sets {
    fn zones(&self) -> Vec<ZoneId> {
        self.zones.keys().cloned().collect()
    }

    fn is_member(&self, zone: &ZoneId, node: &NodeId) -> bool {
        let everybody = self.flaw == Some(Flaw::EverybodyIsMember);
        self.zones.get(zone).is_some_and(|plain| everybody || plain.members.contains(node))
    }

    fn epoch(&self, _zone: &ZoneId) -> u64 {
        1
    }

    fn version(&self, zone: &ZoneId) -> u64 {
        self.zones.get(zone).map_or(0, |plain| plain.version)
    }

    fn has(&self, zone: &ZoneId, object: &ObjectId) -> bool {
        self.zones.get(zone).is_some_and(|plain| plain.admitted.contains(object))
    }

    fn has_symbol(&self, _zone: &ZoneId, _symbol: &SymbolName) -> bool {
        false
    }

    fn objects(&self, zone: &ZoneId, after: Option<&ObjectId>, most: usize) -> Vec<ObjectId> {
        let Some(plain) = self.zones.get(zone) else { return Vec::new() };
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut names: Vec<_> = plain.admitted.range(range).take(most).copied().collect();
        if self.flaw == Some(Flaw::NoQuarantine) {
            names.extend(plain.quarantined.range(range).take(most));
            names.sort_unstable();
            names.truncate(most);
        }
        names
    }

    fn symbols(&self, _zone: &ZoneId, _after: Option<&SymbolName>, _most: usize) -> Vec<SymbolName> {
        Vec::new()
    }
}

struct Node {
    me: NodeId,
    key: SigningKey<NodeRole>,
    entropy: Entropy,
    gossip: Gossip,
    admission: Admission,
    sets: Sets,
    /// How far its wall clock is off, in seconds.
    clock: i64,
    wakes: Option<Instant>,
}

enum Step {
    Wake(usize),
    Packet { from: usize, to: usize, bytes: Vec<u8> },
    Mischief,
    Prowl,
}

/// A world under way.
pub struct GossipWorld {
    scenario: Scenario,
    now: Instant,
    end: Instant,
    steps: BTreeMap<(Instant, u64), Step>,
    order: u64,
    in_second: (u64, u64),
    nodes: Vec<Node>,
    known: Known,
    policy: SessionPolicy,
    random: Entropy,
    blocked: BTreeMap<(usize, usize), Instant>,
    /// Names that were made, and are fetched by whoever learns them.
    made: BTreeSet<ObjectId>,
    outcome: Outcome,
}

impl GossipWorld {
    /// Plays a scenario to its end.
    pub fn play(scenario: Scenario) -> Outcome {
        let mut world = Self::new(scenario);
        let violation = world.run().err().or_else(|| world.unknown());
        Outcome { violation, ..world.outcome }
    }

    fn new(scenario: Scenario) -> Self {
        let now = Instant::default();
        let mut random = entropy(scenario.seed, b'G');
        let sets = sets(scenario, &mut random);
        let node = |number: usize| Node {
            me: name(number),
            key: key(number),
            entropy: entropy(scenario.seed ^ ((number as u64 + 1) << 40), b'g'),
            gossip: Gossip::new(),
            admission: Admission::new(Limits::default(), now),
            sets: sets.clone(),
            clock: 0,
            wakes: None,
        };
        let outcome =
            Outcome { trace: Trace::default(), learned: 0, named: BTreeSet::new(), violation: None };
        let mut world = Self {
            scenario,
            now,
            end: now.saturating_add(scenario.span),
            steps: BTreeMap::new(),
            order: 0,
            in_second: (0, 0),
            nodes: (0..scenario.nodes).map(node).collect(),
            known: known(scenario.nodes),
            policy: SessionPolicy::default(),
            random,
            blocked: BTreeMap::new(),
            made: BTreeSet::new(),
            outcome,
        };
        (0..scenario.nodes).for_each(|number| world.begin(number));
        world.plan(now, Step::Mischief);
        world.plan(now, Step::Prowl);
        world
    }

    /// A node's process begins: it has sessions with all others.
    fn begin(&mut self, node: usize) {
        self.nodes[node].gossip = Gossip::new();
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            for (one, peer) in [(node, other), (other, node)] {
                self.act(one, |gossip, context| gossip.up(&name(peer), context));
            }
            self.plan(self.now, Step::Wake(other));
        }
        self.plan(self.now, Step::Wake(node));
    }

    fn plan(&mut self, at: Instant, step: Step) {
        self.order += 1;
        self.steps.insert((at.max(self.now), self.order), step);
    }

    fn run(&mut self) -> Result<(), Violation> {
        let over = self.end.saturating_add(PEACE);
        while let Some(((at, _), step)) = self.steps.pop_first() {
            if at > over {
                return Ok(());
            }
            self.now = at;
            self.count()?;
            match step {
                Step::Wake(node) => {
                    self.nodes[node].wakes = None;
                    self.drive(node)?;
                }
                Step::Packet { from, to, bytes } => {
                    self.outcome.trace.note(at, format_args!("{from} to {to}: {} bytes", bytes.len()));
                    self.act(to, |gossip, context| gossip.message(&name(from), &bytes, context));
                    self.events(to);
                    self.drive(to)?;
                }
                Step::Mischief => self.mischief(),
                Step::Prowl => self.prowl(),
            }
        }
        Ok(())
    }

    /// Nothing spins: virtual time goes on.
    fn count(&mut self) -> Result<(), Violation> {
        let second = self.now.as_nanos() / 1_000_000_000;
        let count = if self.in_second.0 == second { self.in_second.1 + 1 } else { 1 };
        self.in_second = (second, count);
        if count > MOST_STEPS_A_SECOND { Err(format!("{count} steps in second {second}")) } else { Ok(()) }
    }

    fn act<T>(&mut self, node: usize, act: impl FnOnce(&mut Gossip, &mut Context<'_, '_>) -> T) -> T {
        let mono = self.now;
        let Node { me, key, entropy, gossip, admission, sets, clock, .. } = &mut self.nodes[node];
        let seconds = 1_800_000_000 + mono.as_nanos() / 1_000_000_000;
        let now = Now { mono, unix: UnixTime::from_secs(seconds.saturating_add_signed(*clock)) };
        let (policy, peers) = (&self.policy, &self.known);
        let mut local = Local { me, key, policy, provider: &Pure, peers, entropy, now };
        act(gossip, &mut Context { local: &mut local, zones: sets, admission })
    }

    /// Everything that a node does before it waits again.
    fn drive(&mut self, node: usize) -> Result<(), Violation> {
        // What is learned is fetched and admitted at once, and then advertised.
        self.act(node, Gossip::tick);
        while self.nodes[node].gossip.has_work() {
            while self.nodes[node].gossip.has_work() {
                self.act(node, Gossip::work);
            }
            self.events(node);
            self.act(node, Gossip::tick);
        }
        self.events(node);
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            while let Some((_, bytes)) =
                self.act(node, |gossip, context| gossip.next_message(&name(to), context))
            {
                self.judge(node, to, &bytes)?;
                self.send(node, to, bytes);
            }
        }
        let (_, exchanges, _) = self.nodes[node].gossip.size();
        if exchanges > MAX_EXCHANGES {
            return Err(format!("{node} has {exchanges} exchanges"));
        }
        let deadline = self.nodes[node].gossip.deadline();
        if let Some(at) = deadline.filter(|at| self.nodes[node].wakes.is_none_or(|wakes| *at < wakes)) {
            self.nodes[node].wakes = Some(at);
            self.plan(at, Step::Wake(node));
        }
        Ok(())
    }

    fn events(&mut self, node: usize) {
        while let Some(event) = self.nodes[node].gossip.next_event() {
            match event {
                Event::Learned { zone, names, .. } => self.fetch(node, &zone, &names),
                Event::Misbehaved { peer, fault } => {
                    self.outcome.trace.note(self.now, format_args!("{node} says {peer} broke {fault:?}"));
                    self.outcome.named.extend((peer == name(0)).then_some(fault));
                }
                Event::Has { .. } | Event::Revocation { .. } | Event::Witnessed { .. } => (),
            }
        }
    }

    /// What exists is fetched; what does not is not there to be had.
    fn fetch(&mut self, node: usize, zone: &ZoneId, names: &[ObjectId]) {
        if self.scenario.flaw == Some(Flaw::NeverFetches) {
            return;
        }
        let Some(plain) = self.nodes[node].sets.zones.get_mut(zone) else { return };
        for name in names.iter().filter(|name| self.made.contains(name)) {
            let new = plain.admitted.insert(*name);
            plain.version += u64::from(new);
            self.outcome.learned += usize::from(new);
        }
    }

    /// What an honest node says is of a zone of its reader, and names nothing that is in quarantine.
    fn judge(&self, from: usize, to: usize, bytes: &[u8]) -> Result<(), Violation> {
        if !self.is_honest(from) {
            return Ok(());
        }
        let stored =
            StoredObject::from_bytes(bytes).map_err(|error| format!("{from} says nonsense: {error}"))?;
        let zone = &stored.header.zone_id;
        let plain = self.nodes[from].sets.zones.get(zone).ok_or(format!("{from} speaks of {zone}"))?;
        if !plain.members.contains(&name(to)) || !plain.members.contains(&name(from)) {
            return Err(format!("{from} speaks of {zone} to {to}, who is outside"));
        }
        let named = |name: &ObjectId| bytes.windows(32).any(|part| part == name.as_bytes());
        match plain.quarantined.iter().find(|name| named(name)) {
            Some(name) => Err(format!("{from} names {name}, which is in quarantine")),
            None => Ok(()),
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let peace = self.now >= self.end;
        let blocked = self.blocked.get(&(from, to)).is_some_and(|until| *until > self.now);
        let deaf = self.scenario.flaw == Some(Flaw::HearsNoSummary) && is_summary(&bytes);
        let copies = match self.random.below(100) {
            _ if deaf || !peace && blocked => 0,
            0..15 if !peace => 0,
            95.. if !peace => 2,
            _ => 1,
        };
        for mut bytes in std::iter::repeat_n(bytes, copies) {
            if from == 0 && !self.bend(&mut bytes) {
                continue;
            }
            let latency = between(&mut self.random, Duration::from_millis(1), Duration::from_millis(900));
            self.plan(self.now.saturating_add(latency), Step::Packet { from, to, bytes });
        }
    }

    /// Something is made, breaks, or changes.
    fn mischief(&mut self) {
        if self.now >= self.end {
            self.nodes.iter_mut().for_each(|node| node.clock = 0);
            return;
        }
        let pause = between(&mut self.random, Duration::from_millis(300), Duration::from_secs(20));
        self.plan(self.now.saturating_add(pause), Step::Mischief);
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let other = self.random.below(self.nodes.len() as u64) as usize;
        let until = self.now.saturating_add(Duration::from_secs(self.random.below(120)));
        match self.random.below(13) {
            0..6 => self.make(node),
            6 => self.begin(node),
            7 | 8 => _ = self.blocked.insert((node, other), until),
            9 => self.nodes[node].clock = self.random.below(40) as i64 - 20,
            10 => self.lose(node),
            _ => self.remove(node),
        }
        self.plan(self.now, Step::Wake(node));
    }

    /// A node makes objects, or is given some that nothing refers to.
    fn make(&mut self, node: usize) {
        let place = self.random.below(self.scenario.zones as u64) as usize;
        let count = [1, 3, 40, 700][self.random.below(4) as usize];
        let names: Vec<_> = (0..count).map(|_| ObjectId::from_bytes(self.random.bytes())).collect();
        let quarantined = self.random.below(4) == 0;
        let me = name(node);
        let Some(plain) = self.nodes[node].sets.zones.get_mut(&zone(place)) else { return };
        if !plain.members.contains(&me) {
            return;
        }
        plain.version += 1;
        if quarantined {
            plain.quarantined.extend(names.iter().take(3));
        } else {
            self.made.extend(&names);
            plain.admitted.extend(names);
        }
    }

    /// A disk is lost.
    fn lose(&mut self, node: usize) {
        for plain in self.nodes[node].sets.zones.values_mut() {
            plain.admitted.clear();
            plain.version += 1;
        }
        self.begin(node);
    }

    /// A member of a zone is one no more, and all others know.
    fn remove(&mut self, node: usize) {
        let place = self.random.below(self.scenario.zones as u64) as usize;
        for it in &mut self.nodes {
            if let Some(plain) = it.sets.zones.get_mut(&zone(place)).filter(|plain| plain.members.len() > 3) {
                plain.members.remove(&name(node));
            }
        }
    }

    /// What a member lacks that an honest one has, after a long peace.
    fn unknown(&self) -> Option<Violation> {
        let all = |zone: &ZoneId| {
            let members = (0..self.nodes.len()).filter(|node| self.is_honest(*node));
            let members = members.map(|node| &self.nodes[node]);
            members.filter(|node| node.sets.zones[zone].members.contains(&node.me)).collect::<Vec<_>>()
        };
        for zone in (0..self.scenario.zones).map(zone) {
            let members = all(&zone);
            let names = |node: &&Node| node.sets.zones[&zone].admitted.clone();
            let union: BTreeSet<_> = members.iter().flat_map(names).collect();
            let lacks = |node: &&&Node| union.len() - node.sets.zones[&zone].admitted.len();
            if let Some(node) = members.iter().find(|node| lacks(node) > 0) {
                return Some(format!(
                    "{} lacks {} of {} names of {zone}",
                    node.me,
                    lacks(&node),
                    union.len()
                ));
            }
        }
        None
    }

    fn is_honest(&self, node: usize) -> bool {
        node != 0 || self.scenario.hostile.is_none()
    }
}

fn zone(number: usize) -> ZoneId {
    ZoneId::new(format!("z:zone{number}")).expect("a zone")
}

/// Zones, each with at least three members and, where there are more nodes, somebody who is none.
fn sets(scenario: Scenario, random: &mut Entropy) -> Sets {
    let zones = (0..scenario.zones).map(|place| {
        let mut members: BTreeSet<_> = (0..scenario.nodes).map(name).collect();
        while members.len() > 3 && random.below(3) > 0 {
            members.remove(&name(random.below(scenario.nodes as u64) as usize));
        }
        (zone(place), Plain { members, ..Plain::default() })
    });
    Sets { zones: zones.collect(), flaw: scenario.flaw }
}

fn is_summary(bytes: &[u8]) -> bool {
    let message = StoredObject::from_bytes(bytes).and_then(|stored| GossipMessage::open(&stored));
    matches!(message, Ok(GossipMessage::Summary(_)))
}

/// A name that nobody made.
fn invented(random: &mut Entropy) -> ObjectId {
    ObjectId::from_bytes(*hash::digest(&random.bytes::<16>()).as_bytes())
}
