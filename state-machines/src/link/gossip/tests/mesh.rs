//! Nodes that gossip over a wire that a test holds in its hands, beside plain sets.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;

use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::SymbolName;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use zeroize::Zeroizing;

use crate::link::admission::{Admission, Limits};
use crate::link::gossip::{Context, Event, Fault, Gossip, Zones};
use crate::link::testing::{Node as Local, Trusted};

/// What a node has of a zone, as plain sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    pub(super) members: BTreeSet<NodeId>,
    pub(super) objects: BTreeSet<ObjectId>,
    pub(super) symbols: BTreeSet<SymbolName>,
    pub(super) version: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sets(pub(super) BTreeMap<ZoneId, Plain>);

impl Sets {
    pub(super) fn admit(&mut self, zone: &ZoneId, names: impl IntoIterator<Item = ObjectId>) {
        let plain = self.0.entry(zone.clone()).or_default();
        for name in names {
            plain.version += u64::from(plain.objects.insert(name));
        }
    }
}

fn above<'a, T: Ord>(set: &'a BTreeSet<T>, after: Option<&'a T>) -> impl Iterator<Item = &'a T> {
    let from = after.map_or(core::ops::Bound::Unbounded, core::ops::Bound::Excluded);
    set.range((from, core::ops::Bound::Unbounded))
}

impl Zones for Sets {
    fn zones(&self) -> Vec<ZoneId> {
        self.0.keys().cloned().collect()
    }

    fn is_member(&self, zone: &ZoneId, node: &NodeId) -> bool {
        self.0.get(zone).is_some_and(|plain| plain.members.contains(node))
    }

    fn epoch(&self, _zone: &ZoneId) -> u64 {
        1
    }

    fn version(&self, zone: &ZoneId) -> u64 {
        self.0.get(zone).map_or(0, |plain| plain.version)
    }

    fn has(&self, zone: &ZoneId, object: &ObjectId) -> bool {
        self.0.get(zone).is_some_and(|plain| plain.objects.contains(object))
    }

    fn has_symbol(&self, zone: &ZoneId, symbol: &SymbolName) -> bool {
        self.0.get(zone).is_some_and(|plain| plain.symbols.contains(symbol))
    }

    fn objects(&self, zone: &ZoneId, after: Option<&ObjectId>, most: usize) -> Vec<ObjectId> {
        let plain = self.0.get(zone);
        plain.map_or(Vec::new(), |plain| above(&plain.objects, after).take(most).copied().collect())
    }

    fn symbols(&self, zone: &ZoneId, after: Option<&SymbolName>, most: usize) -> Vec<SymbolName> {
        let plain = self.0.get(zone);
        plain.map_or(Vec::new(), |plain| above(&plain.symbols, after).take(most).cloned().collect())
    }
}

pub(super) struct Node {
    pub(super) local: Local,
    pub(super) gossip: Gossip,
    pub(super) admission: Admission,
    pub(super) sets: Sets,
    /// Names that came, of each zone.
    pub(super) learned: BTreeSet<(ZoneId, ObjectId)>,
    pub(super) faults: Vec<(NodeId, Fault)>,
    /// Everything else that happened.
    pub(super) events: Vec<Event>,
}

/// A message under way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) lane: Lane,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct Mesh {
    pub(super) nodes: Vec<Node>,
    pub(super) wire: VecDeque<Packet>,
    pub(super) millis: u64,
    /// Names that are fetched and admitted when they are learned.
    pub(super) fetchable: BTreeSet<ObjectId>,
    /// Messages that were delivered, and their bytes.
    pub(super) delivered: (usize, usize),
    /// Nodes that say nothing.
    pub(super) mute: BTreeSet<usize>,
}

pub(super) fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number:03}")).unwrap()
}

pub(super) fn zone(number: usize) -> ZoneId {
    ZoneId::new(format!("z:work{number}")).unwrap()
}

/// Names that look as if they were hashes.
pub(super) fn object(number: u64) -> ObjectId {
    let hash = fcp_proto_core::crypto::hash::digest(&number.to_le_bytes());
    ObjectId::from_bytes(*hash.as_bytes())
}

impl Mesh {
    /// Nodes that all have sessions with each other and are members of these zones.
    pub(super) fn new(count: usize, zones: usize) -> Self {
        let key = |n: usize| SigningKey::from_seed(&Zeroizing::new([n as u8 + 1; 32]));
        let trusted = Trusted((0..count).map(|n| (name(n), key(n).verifying_key())).collect());
        let members: BTreeSet<_> = (0..count).map(name).collect();
        let plain = Plain { members, ..Plain::default() };
        let sets = Sets((0..zones).map(|n| (zone(n), plain.clone())).collect());
        let node = |n: usize| Node {
            local: Local {
                me: name(n),
                key: key(n),
                policy: SessionPolicy::default(),
                trusted: trusted.clone(),
                entropy: Entropy::from_seed(&Zeroizing::new([n as u8 + 100; 32])),
            },
            gossip: Gossip::new(),
            admission: Admission::new(Limits::default(), Instant::default()),
            sets: sets.clone(),
            learned: BTreeSet::new(),
            faults: Vec::new(),
            events: Vec::new(),
        };
        let mut mesh = Self {
            nodes: (0..count).map(node).collect(),
            wire: VecDeque::new(),
            millis: 0,
            fetchable: BTreeSet::new(),
            delivered: (0, 0),
            mute: BTreeSet::new(),
        };
        (0..count).for_each(|node| mesh.up(node));
        mesh
    }

    pub(super) fn up(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.act(node, |gossip, context| gossip.up(&name(other), context));
            self.act(other, |gossip, context| gossip.up(&name(node), context));
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono: Instant::from_nanos(self.millis * 1_000_000),
            unix: UnixTime::from_secs(1_800_000_000 + self.millis / 1_000),
        }
    }

    pub(super) fn act<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Gossip, &mut Context<'_, '_>) -> T,
    ) -> T {
        let now = self.now();
        let Node { local, gossip, admission, sets, .. } = &mut self.nodes[node];
        let mut local = local.local(now);
        act(gossip, &mut Context { local: &mut local, zones: sets, admission })
    }

    /// A node makes objects.
    pub(super) fn make(&mut self, node: usize, zone_number: usize, names: impl IntoIterator<Item = u64>) {
        let names: Vec<_> = names.into_iter().map(object).collect();
        self.fetchable.extend(&names);
        self.nodes[node].sets.admit(&zone(zone_number), names);
    }

    pub(super) fn objects(&self, node: usize, zone_number: usize) -> &BTreeSet<ObjectId> {
        &self.nodes[node].sets.0[&zone(zone_number)].objects
    }

    /// Everything that a node does before it waits again.
    pub(super) fn drive(&mut self, node: usize) {
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
            while let Some((lane, bytes)) =
                self.act(node, |gossip, context| gossip.next_message(&name(to), context))
            {
                if !self.mute.contains(&node) {
                    self.wire.push_back(Packet { from: node, to, lane, bytes });
                }
            }
        }
    }

    fn events(&mut self, node: usize) {
        while let Some(event) = self.nodes[node].gossip.next_event() {
            match event {
                Event::Learned { zone, names, .. } => {
                    let it = &mut self.nodes[node];
                    it.learned.extend(names.iter().map(|name| (zone.clone(), *name)));
                    let fetched = names.into_iter().filter(|name| self.fetchable.contains(name));
                    it.sets.admit(&zone, fetched.collect::<Vec<_>>());
                }
                Event::Misbehaved { peer, fault } => self.nodes[node].faults.push((peer, fault)),
                Event::Has { .. } | Event::Revocation { .. } | Event::Witnessed { .. } => {
                    self.nodes[node].events.push(event);
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, packet: &Packet) {
        self.delivered = (self.delivered.0 + 1, self.delivered.1 + packet.bytes.len());
        let Packet { from, to, bytes, .. } = packet;
        self.act(*to, |gossip, context| gossip.message(&name(*from), bytes, context));
        self.events(*to);
    }

    /// Delivers everything until nobody says anything any more, now.
    pub(super) fn settle(&mut self) {
        loop {
            (0..self.nodes.len()).for_each(|node| self.drive(node));
            if self.wire.is_empty() {
                return;
            }
            while let Some(packet) = self.wire.pop_front() {
                self.deliver(&packet);
            }
        }
    }

    /// Time passes as the machines ask for it.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.millis + millis;
        loop {
            self.settle();
            let next = self.nodes.iter().filter_map(|node| node.gossip.deadline()).min();
            // Rounded up, as a driver's clock does.
            let next = next.map_or(end, |at| at.as_nanos().div_ceil(1_000_000));
            assert!(next > self.millis, "a driver would spin");
            if next > end {
                self.millis = end;
                return;
            }
            self.millis = next;
        }
    }

    pub(super) fn faults(&self) -> usize {
        self.nodes.iter().map(|node| node.faults.len()).sum()
    }
}
