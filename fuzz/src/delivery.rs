//! Transfers among three nodes, played by a schedule: what is lost, doubled, bent or late, who lies, and who dies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::frame::datagram::PREFIX_BYTES;
use fcp_proto_core::frame::symbols::ZoneKeyRef;
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, DEFAULT_SYMBOL_BYTES};
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk, ZoneKeyAlgorithm};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::symbol::{EncodingSet, IdentifiedObject, PayloadId, TransmissionInformation};
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::link::admission::Limits;
use fcp_state_machines::link::delivery::{Context, Delivery, Event, Holding, Holdings, Kept, Part};
use fcp_state_machines::link::{Local, Peers};
use zeroize::Zeroizing;

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 300;

/// Seconds in which, once nothing goes wrong any more, the object must come.
const PEACE: u64 = 400;

/// The first node wants what the second has, whatever the third is and whatever happens between them.
pub(crate) fn schedule(input: &[u8]) {
    let (kind, steps) = input.split_first().unwrap_or((&0, &[]));
    let mut play = Play::new(*kind);
    for step in steps.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*step);
    }
    play.settle();
    assert!(play.fetched, "the object is there and was not fetched");
}

struct Node {
    me: NodeId,
    key: SigningKey<NodeRole>,
    entropy: Entropy,
    delivery: Delivery,
    shelf: Shelf,
}

#[derive(Default)]
struct Shelf {
    whole: Option<IdentifiedObject>,
    part: Option<Part>,
}

struct Known(BTreeMap<NodeId, VerifyingKey<NodeRole>>);

struct Zone<'a> {
    shelf: &'a Shelf,
    identity: ObjectIdKey,
}

#[derive(Clone)]
enum Packet {
    Message(Vec<u8>),
    Frame(Vec<u8>),
}

struct Play {
    nodes: Vec<Node>,
    known: Known,
    policy: SessionPolicy,
    object: IdentifiedObject,
    wire: VecDeque<(usize, usize, Packet)>,
    kept: Vec<Kept>,
    seconds: u64,
    fetched: bool,
    honest: bool,
}

impl Play {
    fn new(kind: u8) -> Self {
        let object = object(usize::from(kind >> 2) * 60);
        let mut nodes: Vec<_> = (0..3).map(Node::new).collect();
        let known = Known(nodes.iter().map(|node| (node.me.clone(), node.key.verifying_key())).collect());
        nodes[1].shelf.whole = Some(object.clone());
        match kind & 3 {
            0 => nodes[2].shelf.whole = Some(object.clone()),
            1 => nodes[2].shelf.part = Some(lie(&object, 0)),
            2 => nodes[2].shelf.part = Some(lie(&object, 3_000)),
            _ => (),
        }
        let mut play = Self {
            nodes,
            known,
            policy: SessionPolicy::default(),
            object,
            wire: VecDeque::new(),
            kept: Vec::new(),
            seconds: 0,
            fetched: false,
            honest: matches!(kind & 3, 0 | 3),
        };
        (0..3).for_each(|node| play.sessions(node, true));
        play.want();
        play
    }

    fn step(&mut self, [what, how]: [u8; 2]) {
        let how = usize::from(how);
        match what % 9 {
            0 => (0..=how % 16).for_each(|_| self.deliver()),
            1 => _ = self.wire.pop_front(),
            2 => self.bend(how),
            3 => {
                let again = self.wire.get(how % self.wire.len().max(1)).cloned();
                self.wire.extend(again);
            }
            4 => {
                let late = self.wire.pop_front();
                self.wire.extend(late);
            }
            5 => self.crash(how),
            6 => self.sessions(how % 3, how & 0x80 != 0),
            7 => self.act(how % 3, |delivery, context| delivery.message(&name(2), &[how as u8; 40], context)),
            _ => self.later(how as u64 / 4),
        }
        self.drain();
    }

    /// A bit of what is under way turns.
    fn bend(&mut self, how: usize) {
        let Some((_, _, packet)) = self.wire.front_mut() else { return };
        let (Packet::Message(bytes) | Packet::Frame(bytes)) = packet;
        let at = how * 31 % bytes.len();
        bytes[at] ^= 1 << (how % 8);
    }

    fn deliver(&mut self) {
        let Some((from, to, mut packet)) = self.wire.pop_front() else { return };
        self.act(to, |delivery, context| match &mut packet {
            Packet::Message(message) => delivery.message(&name(from), message, context),
            Packet::Frame(frame) => delivery.frame(&name(from), frame, context),
        });
        self.act(to, Delivery::tick);
        self.drain();
    }

    /// The first node dies; some of what it kept was not durable.
    fn crash(&mut self, how: usize) {
        self.nodes[0].delivery = Delivery::new(Limits::default(), self.now().mono);
        self.kept.truncate(how % (self.kept.len() + 1));
        self.sessions(0, true);
        if !self.fetched {
            self.want();
        }
        for mut kept in self.kept.clone() {
            self.act(0, |delivery, context| delivery.resume(&mut kept, context));
        }
    }

    fn want(&mut self) {
        let (set, now) = (set(&self.object), self.now().mono);
        self.nodes[0].delivery.want(&set, 1, &[name(1), name(2)], now).expect("one object");
    }

    /// The sessions of a node begin anew, or are over.
    fn sessions(&mut self, node: usize, up: bool) {
        let now = self.now().mono;
        for other in (0..3).filter(|other| *other != node) {
            for (one, peer) in [(node, other), (other, node)] {
                let delivery = &mut self.nodes[one].delivery;
                if up { delivery.up(&name(peer), now) } else { delivery.down(&name(peer), now) }
            }
        }
    }

    fn later(&mut self, seconds: u64) {
        self.seconds += seconds;
        let now = self.now().mono;
        for node in 0..3 {
            self.act(node, Delivery::tick);
            let deadline = self.nodes[node].delivery.deadline();
            assert!(deadline.is_none_or(|deadline| deadline > now), "a driver would spin");
        }
    }

    fn settle(&mut self) {
        (0..3).for_each(|node| self.sessions(node, true));
        for _ in 0..PEACE {
            if self.fetched {
                break;
            }
            self.later(1);
            self.drain();
            while !self.wire.is_empty() {
                self.deliver();
            }
        }
    }

    /// Does what the nodes ask for.
    fn drain(&mut self) {
        for node in 0..3 {
            self.events(node);
            for to in self.nodes[node].delivery.busy().cloned().collect::<Vec<_>>() {
                let mut out = Vec::new();
                while self.act(node, |delivery, context| {
                    delivery.next_frame(&to, DEFAULT_DATAGRAM_BYTES, context, &mut out)
                }) {
                    self.put(node, &to, Packet::Frame(out.split_off(PREFIX_BYTES)));
                }
            }
            let delivery = &self.nodes[node].delivery;
            assert!(delivery.held() <= delivery.admission().reserved(), "more is held than was reserved");
        }
    }

    fn events(&mut self, node: usize) {
        loop {
            while let Some(event) = self.nodes[node].delivery.next_event() {
                match event {
                    Event::Send { to, message } => self.put(node, &to, Packet::Message(message)),
                    Event::Keep(kept) => self.kept.push(kept),
                    Event::Offered { .. } => (),
                    Event::Fetched { object, liars, .. } => {
                        assert!(object.bytes() == self.object.bytes(), "another object");
                        let accused: BTreeSet<_> = liars.into_iter().collect();
                        assert!(accused.is_empty() || !self.honest && accused == [name(2)].into());
                        self.fetched = true;
                        self.kept.clear();
                    }
                }
            }
            let now = self.now().mono;
            if !self.nodes[node].delivery.can_decode(now) {
                return;
            }
            self.act(node, |delivery, context| {
                let wasted = delivery.decode(context);
                delivery.wasted(&wasted, Duration::from_millis(1), now);
            });
        }
    }

    fn put(&mut self, from: usize, to: &NodeId, packet: Packet) {
        if let Some(to) = (0..3).find(|node| name(*node) == *to)
            && self.wire.len() < 200
        {
            self.wire.push_back((from, to, packet));
        }
    }

    fn act<T>(&mut self, node: usize, act: impl FnOnce(&mut Delivery, &mut Context<'_, '_>) -> T) -> T {
        let now = self.now();
        let Node { me, key, entropy, delivery, shelf } = &mut self.nodes[node];
        let (policy, peers) = (&self.policy, &self.known);
        let mut local = Local { me, key, policy, provider: &Pure, peers, entropy, now };
        act(delivery, &mut Context { local: &mut local, holdings: &Zone { shelf, identity: identity() } })
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
            delivery: Delivery::new(Limits::default(), Instant::default()),
            shelf: Shelf::default(),
        }
    }
}

impl Peers for Known {
    fn key(&self, node: &NodeId) -> Option<VerifyingKey<NodeRole>> {
        self.0.get(node).copied()
    }
}

impl Holdings for Zone<'_> {
    fn is_member(&self, zone_id: &ZoneId, _node: &NodeId) -> bool {
        *zone_id == zone()
    }

    fn zone_key(&self, zone_id: &ZoneId, id: &KeyId) -> Option<ZoneKeyRef<'_>> {
        let (zone_id_hash, algorithm) = (hash::zone_id_hash(zone_id), ZoneKeyAlgorithm::ChaCha20Poly1305);
        Some(ZoneKeyRef { secret: &[1; 32], id: *id, zone_id_hash, algorithm }).filter(|_| *zone_id == zone())
    }

    fn identity_key(&self, _zone: &ZoneId) -> Option<&ObjectIdKey> {
        Some(&self.identity)
    }

    fn holding(&self, set: &EncodingSet) -> Option<Holding<'_>> {
        let whole = self.shelf.whole.as_ref().filter(|object| object.id() == set.object_id);
        whole.map(Holding::Whole).or(self.shelf.part.as_ref().map(Holding::Part))
    }
}

fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number}")).expect("a name")
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

fn identity() -> ObjectIdKey {
    ObjectIdKey::from_bytes([9; 32].into())
}

fn set(object: &IdentifiedObject) -> EncodingSet {
    EncodingSet { object_id: object.id(), zone_id: zone(), zone_key_id: KeyId::default() }
}

fn object(length: usize) -> IdentifiedObject {
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
    let stored = Object { header, body: RawChunk { bytes: ByteString(vec![7; length]) } }.store();
    IdentifiedObject::new(stored.expect("a small object"), &identity()).expect("a small object")
}

/// Symbols of something else, which is longer by so many bytes, under the object's name.
fn lie(object: &IdentifiedObject, longer: usize) -> Part {
    let length = (object.bytes().len() + longer) as u64;
    let information = TransmissionInformation::new(length, DEFAULT_SYMBOL_BYTES).expect("a small object");
    let symbol = |esi| (PayloadId::from_u32(esi), vec![0x11; information.symbol_size()]);
    Part { information, symbols: (0..information.source_symbols() + 2).map(symbol).collect() }
}
