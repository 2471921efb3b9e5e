//! Gossip among three nodes, played by a schedule: what is made, lost, doubled, bent or late, who dies, and who lies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::{Finding, SymbolName};
use fcp_proto_core::object::{GossipMessage, Object, StoredObject};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::link::admission::{Admission, Limits};
use fcp_state_machines::link::gossip::{Context, Event, Gossip, MAX_EXCHANGES, Urgency, Zones};
use fcp_state_machines::link::{Local, Peers};
use zeroize::Zeroizing;

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 100;

/// Seconds in which, once nothing goes wrong any more, all is known: two of the longest pauses.
const PEACE: u64 = 700;

/// The first two nodes are honest, and have the same in the end, whatever the third says and whatever happens.
pub(crate) fn schedule(input: &[u8]) {
    let (kind, steps) = input.split_first().unwrap_or((&0, &[]));
    let mut play = Play::new(*kind);
    for step in steps.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*step);
    }
    play.settle();
    assert!(play.is_one(), "what one has the other has");
}

/// What is accepted is written as the same bytes.
pub(crate) fn message(input: &[u8]) {
    let Ok(stored) = StoredObject::from_bytes(input) else { return };
    if let Ok(message) = GossipMessage::open(&stored) {
        let again = message.store().and_then(|stored| stored.to_bytes());
        assert_eq!(again.as_deref(), Ok(input));
    }
}

struct Node {
    me: NodeId,
    key: SigningKey<NodeRole>,
    entropy: Entropy,
    gossip: Gossip,
    admission: Admission,
    sets: Sets,
}

/// The one zone of the three.
#[derive(Default)]
struct Sets {
    objects: BTreeSet<ObjectId>,
    version: u64,
}

struct Known(BTreeMap<NodeId, VerifyingKey<NodeRole>>);

struct Play {
    nodes: Vec<Node>,
    known: Known,
    policy: SessionPolicy,
    wire: VecDeque<(usize, usize, Vec<u8>)>,
    made: BTreeSet<ObjectId>,
    next: u64,
    seconds: u64,
    lies: bool,
}

impl Play {
    fn new(kind: u8) -> Self {
        let nodes: Vec<_> = (0..3).map(Node::new).collect();
        let known = Known(nodes.iter().map(|node| (node.me.clone(), node.key.verifying_key())).collect());
        let mut play = Self {
            nodes,
            known,
            policy: SessionPolicy::default(),
            wire: VecDeque::new(),
            made: BTreeSet::new(),
            next: 0,
            seconds: 0,
            lies: kind & 1 == 1,
        };
        play.make(0, u64::from(kind >> 1) * 3);
        let shared: Vec<_> = play.made.iter().copied().skip(usize::from(kind >> 4)).collect();
        play.nodes[1].sets.admit(shared);
        (0..3).for_each(|node| play.up(node));
        play
    }

    fn step(&mut self, [what, how]: [u8; 2]) {
        let node = usize::from(how) % 3;
        match what % 10 {
            0 => (0..=how % 32).for_each(|_| self.deliver()),
            1 => _ = self.wire.pop_front(),
            2 => self.bend(usize::from(how)),
            3 => {
                let again = self.wire.get(usize::from(how) % self.wire.len().max(1)).cloned();
                self.wire.extend(again);
            }
            4 => self.wire.rotate_left(usize::from(how) % self.wire.len().max(1)),
            5 => self.up(node),
            6 => self.make(node, u64::from(how)),
            7 => self.act(node % 2, |gossip, context| gossip.message(&name(2), &[how; 60], context)),
            8 => self.push(node % 2, how),
            _ => {
                self.seconds += u64::from(how) / 4;
                (0..3).for_each(|node| self.drive(node));
            }
        }
    }

    /// A bit of what is under way turns.
    fn bend(&mut self, how: usize) {
        if let Some((_, _, bytes)) = self.wire.front_mut() {
            let at = how * 31 % bytes.len();
            bytes[at] ^= 1 << (how % 8);
        }
    }

    /// A process starts, and has sessions with the others.
    fn up(&mut self, node: usize) {
        self.nodes[node].gossip = Gossip::new();
        for other in (0..3).filter(|other| *other != node) {
            self.act(node, |gossip, context| gossip.up(&name(other), context));
            self.act(other, |gossip, context| gossip.up(&name(node), context));
        }
    }

    fn make(&mut self, node: usize, count: u64) {
        let names: Vec<_> = (self.next..self.next + count).map(object).collect();
        self.next += count;
        // What the third makes nobody can have.
        if node < 2 {
            self.made.extend(&names);
        }
        self.nodes[node].sets.admit(names);
    }

    fn push(&mut self, node: usize, how: u8) {
        let urgency = if how & 1 == 0 { Urgency::Priority } else { Urgency::Emergency };
        // Whether it is too soon or too much is not of interest here; nothing but a revocation is ever encoded.
        self.act(node, |gossip, context| _ = gossip.push(&zone(), (&[how], 1), urgency, context));
    }

    fn deliver(&mut self) {
        let Some((from, to, bytes)) = self.wire.pop_front() else { return };
        self.act(to, |gossip, context| gossip.message(&name(from), &bytes, context));
        self.drive(to);
    }

    fn drive(&mut self, node: usize) {
        self.act(node, Gossip::tick);
        loop {
            while self.nodes[node].gossip.has_work() {
                self.act(node, Gossip::work);
            }
            self.events(node);
            self.act(node, Gossip::tick);
            if !self.nodes[node].gossip.has_work() {
                break;
            }
        }
        for to in (0..3).filter(|to| *to != node) {
            while let Some((_, bytes)) =
                self.act(node, |gossip, context| gossip.next_message(&name(to), context))
            {
                let lie = if node == 2 && self.lies { self.lie(&bytes) } else { None };
                if self.wire.len() < 400 {
                    self.wire.push_back((node, to, lie.unwrap_or(bytes)));
                }
            }
        }
        let (now, gossip) = (self.now().mono, &self.nodes[node].gossip);
        assert!(gossip.deadline().is_none_or(|deadline| deadline > now), "a driver would spin");
        assert!(gossip.size().1 <= MAX_EXCHANGES);
    }

    /// Cells that are no set's, signed as they must be.
    fn lie(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = GossipMessage::open(&StoredObject::from_bytes(bytes).ok()?).ok()?;
        let GossipMessage::ReconcileAnswer(object) = message else { return None };
        let mut fields = object.body.fields;
        let node = &mut self.nodes[2];
        if let Finding::Cells { cells, .. } = &mut fields.finding {
            let mut random = vec![0; cells.get().0.len()];
            node.entropy.fill(&mut random);
            *cells = Bounded::new(ByteString(random)).ok()?;
        }
        let object = Object::sign(object.header, fields, &node.key).ok()?;
        GossipMessage::ReconcileAnswer(object).store().and_then(|stored| stored.to_bytes()).ok()
    }

    fn events(&mut self, node: usize) {
        while let Some(event) = self.nodes[node].gossip.next_event() {
            match event {
                Event::Learned { zone: of, names, .. } => {
                    assert_eq!(of, zone());
                    let had: Vec<_> = names.into_iter().filter(|name| self.made.contains(name)).collect();
                    self.nodes[node].sets.admit(had);
                }
                Event::Misbehaved { .. }
                | Event::Has { .. }
                | Event::Revocation { .. }
                | Event::Witnessed { .. } => (),
            }
        }
    }

    /// Time passes as the machines ask for it, until both honest nodes have the same.
    fn settle(&mut self) {
        let end = self.seconds + PEACE;
        while self.seconds < end && !self.is_one() {
            (0..3).for_each(|node| self.drive(node));
            while !self.wire.is_empty() {
                self.deliver();
            }
            let deadlines = self.nodes.iter().filter_map(|node| node.gossip.deadline());
            let next = deadlines.min().map_or(end, |at| at.as_nanos().div_ceil(1_000_000_000));
            self.seconds = next.max(self.seconds + 1);
        }
    }

    fn is_one(&self) -> bool {
        let [one, other] = [0, 1].map(|node| &self.nodes[node].sets.objects & &self.made);
        one == other
    }

    fn act<T>(&mut self, node: usize, act: impl FnOnce(&mut Gossip, &mut Context<'_, '_>) -> T) -> T {
        let now = self.now();
        let Node { me, key, entropy, gossip, admission, sets } = &mut self.nodes[node];
        let (policy, peers) = (&self.policy, &self.known);
        let mut local = Local { me, key, policy, provider: &Pure, peers, entropy, now };
        act(gossip, &mut Context { local: &mut local, zones: sets, admission })
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant::from_nanos(self.seconds * 1_000_000_000),
            unix: UnixTime::from_secs(1_800_000_000 + self.seconds),
        }
    }
}

impl Node {
    fn new(number: usize) -> Self {
        let seed = Zeroizing::new([number as u8 + 1; 32]);
        Self {
            me: name(number),
            key: SigningKey::from_seed(&seed),
            entropy: Entropy::from_seed(&seed),
            gossip: Gossip::new(),
            admission: Admission::new(Limits::default(), Instant::default()),
            sets: Sets::default(),
        }
    }
}

impl Sets {
    fn admit(&mut self, names: impl IntoIterator<Item = ObjectId>) {
        for name in names {
            self.version += u64::from(self.objects.insert(name));
        }
    }
}

impl Peers for Known {
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<NodeRole>> {
        self.0.get(node).copied()
    }
}

impl Zones for Sets {
    fn zones(&self) -> Vec<ZoneId> {
        vec![zone()]
    }

    fn is_member(&self, of: &ZoneId, _node: &NodeId) -> bool {
        *of == zone()
    }

    fn epoch(&self, _zone: &ZoneId) -> u64 {
        1
    }

    fn version(&self, _zone: &ZoneId) -> u64 {
        self.version
    }

    fn has(&self, _zone: &ZoneId, object: &ObjectId) -> bool {
        self.objects.contains(object)
    }

    fn has_symbol(&self, _zone: &ZoneId, _symbol: &SymbolName) -> bool {
        false
    }

    fn objects(&self, _zone: &ZoneId, after: Option<&ObjectId>, most: usize) -> Vec<ObjectId> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.objects.range(range).take(most).copied().collect()
    }

    fn symbols(&self, _zone: &ZoneId, _after: Option<&SymbolName>, _most: usize) -> Vec<SymbolName> {
        Vec::new()
    }
}

fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number}")).expect("a name")
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

fn object(number: u64) -> ObjectId {
    ObjectId::from_bytes(*hash::digest(&number.to_le_bytes()).as_bytes())
}
