use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::frame::datagram::PREFIX_BYTES;
use fcp_proto_core::frame::symbols::ZoneKeyRef;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, DEFAULT_SYMBOL_BYTES};
use fcp_proto_core::object::{
    Body, ChunkManifest, Header as ObjectHeader, MissingHint, Object, ObjectIdKey, RawChunk,
    SymbolRefusalReason, SymbolRequest, ZoneKeyAlgorithm,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::handshake::SessionPolicy;
use fcp_proto_core::symbol::{Encoder, PayloadId, Plans};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::range::RangeFetch;
use super::*;
use crate::link::admission::amplification::FACTOR;
use crate::link::testing::{Node, Trusted, at};

/// A node's zone, and what it has.
struct Shelf {
    identity: ObjectIdKey,
    members: Vec<NodeId>,
    whole: Vec<IdentifiedObject>,
    parts: BTreeMap<ObjectId, Part>,
}

impl Holdings for Shelf {
    fn is_member(&self, zone_id: &ZoneId, node: &NodeId) -> bool {
        *zone_id == zone() && self.members.contains(node)
    }

    fn zone_key(&self, zone_id: &ZoneId, id: &KeyId) -> Option<ZoneKeyRef<'_>> {
        (*zone_id == zone()).then(|| ZoneKeyRef {
            secret: &[1; 32],
            id: *id,
            zone_id_hash: hash::zone_id_hash(zone_id),
            algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
        })
    }

    fn identity_key(&self, _zone: &ZoneId) -> Option<&ObjectIdKey> {
        Some(&self.identity)
    }

    fn holding(&self, set: &EncodingSet) -> Option<Holding<'_>> {
        let whole = self.whole.iter().find(|object| object.id() == set.object_id).map(Holding::Whole);
        whole.or_else(|| self.parts.get(&set.object_id).map(Holding::Part))
    }
}

struct Peer {
    node: Node,
    delivery: Delivery,
    shelf: Shelf,
    fetched: Vec<(EncodingSet, Vec<NodeId>)>,
    kept: Vec<Kept>,
}

#[derive(Clone, Debug)]
enum Packet {
    Message(Vec<u8>),
    Frame(Vec<u8>),
}

/// Nodes that all have sessions with each other.
struct Net {
    peers: Vec<Peer>,
    wire: VecDeque<(usize, usize, Packet)>,
    seconds: u64,
    frames: usize,
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn identity() -> ObjectIdKey {
    ObjectIdKey::from_bytes([9; 32].into())
}

fn name(number: usize) -> NodeId {
    NodeId::new(alloc::format!("n{number}")).unwrap()
}

fn key(number: usize) -> SigningKey<NodeRole> {
    SigningKey::from_seed(&Zeroizing::new([number as u8 + 1; 32]))
}

fn object(byte: u8, length: usize) -> IdentifiedObject {
    let label = Label::trusted(Level::WORK);
    let header = ObjectHeader::new(&RawChunk::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
    let stored = Object { header, body: RawChunk { bytes: ByteString(vec![byte; length]) } }.store();
    IdentifiedObject::new(stored.unwrap(), &identity()).unwrap()
}

fn set(object: &IdentifiedObject) -> EncodingSet {
    EncodingSet { object_id: object.id(), zone_id: zone(), zone_key_id: KeyId::from_bytes([3; 8]) }
}

fn id(esi: u32) -> PayloadId {
    PayloadId::from_u32(esi)
}

/// The symbols `esis` of an object.
fn part(object: &IdentifiedObject, esis: impl IntoIterator<Item = u32>) -> Part {
    let length = object.bytes().len() as u64;
    let information = TransmissionInformation::new(length, DEFAULT_SYMBOL_BYTES).unwrap();
    let set = set(object);
    let mut encoder = Encoder::new(&set, information, object).unwrap();
    let mut plans = Plans::default();
    let symbols = esis.into_iter().map(|esi| {
        let mut bytes = vec![0; information.symbol_size()];
        encoder.symbol(id(esi), &mut plans, &mut bytes).unwrap();
        (id(esi), bytes)
    });
    Part { information, symbols: symbols.collect() }
}

/// Symbols of something else under the object's name.
fn lie(object: &IdentifiedObject) -> Part {
    let mut part = part(object, 0..20);
    part.symbols.values_mut().for_each(|bytes| bytes[0] ^= 1);
    part
}

impl Net {
    fn new(count: usize) -> Self {
        let trusted = Trusted((0..count).map(|node| (name(node), key(node).verifying_key())).collect());
        let peers = (0..count).map(|number| Peer {
            node: Node {
                me: name(number),
                key: key(number),
                policy: SessionPolicy::default(),
                trusted: trusted.clone(),
                entropy: Entropy::from_seed(&Zeroizing::new([number as u8; 32])),
            },
            delivery: Delivery::new(Limits::default(), at(0).mono),
            shelf: Shelf {
                identity: identity(),
                members: (0..count).map(name).collect(),
                whole: Vec::new(),
                parts: BTreeMap::new(),
            },
            fetched: Vec::new(),
            kept: Vec::new(),
        });
        let mut net = Self { peers: peers.collect(), wire: VecDeque::new(), seconds: 0, frames: 0 };
        for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
            if one != other {
                net.peers[one].delivery.up(&name(other), at(0).mono);
            }
        }
        net
    }

    fn act<T>(&mut self, peer: usize, act: impl FnOnce(&mut Delivery, &mut Context<'_, '_>) -> T) -> T {
        let Peer { node, delivery, shelf, .. } = &mut self.peers[peer];
        let mut local = node.local(at(self.seconds));
        act(delivery, &mut Context { local: &mut local, holdings: shelf })
    }

    fn want(&mut self, peer: usize, object: &IdentifiedObject) {
        let sources: Vec<_> = (0..self.peers.len()).filter(|other| *other != peer).map(name).collect();
        let now = at(self.seconds).mono;
        self.peers[peer].delivery.want(&set(object), 1, &sources, now).unwrap();
    }

    /// Whatever a node has to say and to send.
    fn drain(&mut self, peer: usize) {
        loop {
            while let Some(event) = self.peers[peer].delivery.next_event() {
                match event {
                    Event::Send { to, message } => self.put(peer, &to, Packet::Message(message)),
                    Event::Keep(kept) => self.peers[peer].kept.push(kept),
                    Event::Offered { .. } => (),
                    Event::Fetched { set, object, liars } => {
                        assert_eq!(object.id(), set.object_id);
                        self.peers[peer].fetched.push((set, liars));
                    }
                }
            }
            let now = at(self.seconds).mono;
            if !self.peers[peer].delivery.can_decode(now) {
                break;
            }
            self.act(peer, |delivery, context| {
                let wasted = delivery.decode(context);
                delivery.wasted(&wasted, Duration::from_millis(1), now);
            });
        }
        for to in self.peers[peer].delivery.busy().cloned().collect::<Vec<_>>() {
            for frame in self.frames_for(peer, &to) {
                self.put(peer, &to, Packet::Frame(frame));
            }
        }
    }

    fn frames_for(&mut self, peer: usize, to: &NodeId) -> Vec<Vec<u8>> {
        let (mut out, mut frames) = (Vec::new(), Vec::new());
        while self
            .act(peer, |delivery, context| delivery.next_frame(to, DEFAULT_DATAGRAM_BYTES, context, &mut out))
        {
            frames.push(out.split_off(PREFIX_BYTES));
            self.frames += 1;
        }
        frames
    }

    fn put(&mut self, from: usize, to: &NodeId, packet: Packet) {
        if let Some(to) = (0..self.peers.len()).find(|number| name(*number) == *to) {
            self.wire.push_back((from, to, packet));
        }
    }

    /// Lets everything go on for so long; `passes` says what arrives.
    fn run(&mut self, seconds: u64, mut passes: impl FnMut(usize, usize, &mut Packet) -> bool) {
        for _ in 0..=seconds {
            for peer in 0..self.peers.len() {
                self.act(peer, |delivery, context| delivery.tick(context));
                self.drain(peer);
            }
            while let Some((from, to, mut packet)) = self.wire.pop_front() {
                if !passes(from, to, &mut packet) {
                    continue;
                }
                self.act(to, |delivery, context| match &mut packet {
                    Packet::Message(message) => delivery.message(&name(from), message, context),
                    Packet::Frame(frame) => delivery.frame(&name(from), frame, context),
                });
                self.act(to, |delivery, context| delivery.tick(context));
                self.drain(to);
                let delivery = &self.peers[to].delivery;
                assert!(delivery.held() <= delivery.admission().reserved());
            }
            self.seconds += 1;
        }
    }

    fn has(&self, peer: usize, object: &IdentifiedObject) -> bool {
        self.peers[peer].fetched.iter().any(|(fetched, _)| *fetched == set(object))
    }

    /// What a node answers to a request.
    fn ask(&mut self, peer: usize, from: usize, request: SymbolRequest) -> Option<SymbolMessage> {
        let message =
            SymbolMessage::Request(messages::transcribed(request, &key(from), at(self.seconds).unix));
        let bytes = messages::write(&message).unwrap();
        self.act(peer, |delivery, context| delivery.message(&name(from), &bytes, context));
        match self.peers[peer].delivery.next_event() {
            Some(Event::Send { message, .. }) => messages::read(&message).ok(),
            Some(Event::Keep(_) | Event::Offered { .. } | Event::Fetched { .. }) | None => None,
        }
    }
}

fn request(
    object: &IdentifiedObject,
    max_symbols: u32,
    hint: impl IntoIterator<Item = u32>,
) -> SymbolRequest {
    let set = set(object);
    SymbolRequest {
        object_id: set.object_id,
        zone_id: set.zone_id,
        zone_key_id: set.zone_key_id,
        epoch_id: 1,
        max_symbols,
        missing_hint: MissingHint::new(hint.into_iter().map(id).collect()).ok(),
        current_symbols: 0,
    }
}

fn reason(answer: Option<SymbolMessage>) -> Option<SymbolRefusalReason> {
    match answer {
        Some(SymbolMessage::Refusal(refusal)) => Some(refusal.body.fields.reason),
        Some(
            SymbolMessage::Offer(_)
            | SymbolMessage::Request(_)
            | SymbolMessage::DecodeStatus(_)
            | SymbolMessage::Ack(_),
        )
        | None => None,
    }
}

#[test]
fn an_object_comes_whole_from_one_source_and_nothing_is_left_behind() {
    let (mut net, object) = (Net::new(2), object(1, 5_000));
    net.peers[1].shelf.whole.push(object.clone());
    net.want(0, &object);
    net.run(1, |_, _, _| true);
    assert!(net.has(0, &object));
    assert_eq!(net.frames, 6, "as many symbols as it has, and no more");
    let admission = net.peers[0].delivery.admission();
    assert_eq!((admission.reserved(), net.peers[1].delivery.admission().size().1), (0, 0));
}

/// Each source is asked for symbols that no other was asked for.
//= docs/spec/delivery.md#asking
#[test]
fn sources_share_the_work_and_send_nothing_twice() {
    let (mut net, object) = (Net::new(4), object(2, 30_000));
    (1..4).for_each(|peer| net.peers[peer].shelf.whole.push(object.clone()));
    net.want(0, &object);
    let mut sent = [0; 4];
    net.run(3, |from, _, packet| {
        sent[from] += usize::from(matches!(packet, Packet::Frame(_)));
        true
    });
    assert!(net.has(0, &object));
    assert_eq!(net.frames, 30, "each symbol once");
    assert!(sent[1..].iter().all(|count| *count >= 5), "{sent:?}");
}

/// S1: what was lost is sent again, because it is named.
//= docs/spec/delivery.md#answering
#[test]
fn an_explicit_hint_is_always_served_again() {
    let (mut net, object) = (Net::new(2), object(3, 3_000));
    net.peers[1].shelf.whole.push(object.clone());
    for _ in 0..3 {
        assert!(net.ask(1, 0, request(&object, 2, [1, 0])).is_none());
        assert_eq!(net.frames_for(1, &name(0)).len(), 2);
    }
    // Without a hint it goes on where it was, and begins again after the last.
    let mut counts = Vec::new();
    for _ in 0..3 {
        assert!(net.ask(1, 0, request(&object, 2, [])).is_none());
        counts.push(net.frames_for(1, &name(0)).len());
    }
    assert_eq!(counts, [2, 2, 2]);
}

/// S2: the bound without a hint, and the order of the checks.
//= docs/spec/delivery.md#answering
//= docs/spec/delivery.md#refusals
#[test]
fn each_refusal_has_its_reason_and_what_is_hidden_is_not_there() {
    let (mut net, object) = (Net::new(3), object(4, 3_000));
    net.peers[1].shelf.whole.push(object.clone());
    assert_eq!(reason(net.ask(1, 0, request(&object, 101, []))), Some(SymbolRefusalReason::NeedNotShown));
    assert_eq!(reason(net.ask(1, 0, request(&object, 100, []))), None);
    assert_eq!(reason(net.ask(1, 0, request(&object, 101, [0]))), None);
    assert_eq!(reason(net.ask(1, 0, request(&object, 2_002, [0]))), Some(SymbolRefusalReason::TooMany));
    let other = self::object(5, 10);
    assert_eq!(reason(net.ask(1, 0, request(&other, 1, []))), Some(SymbolRefusalReason::NotHere));
    assert!(matches!(net.ask(1, 0, request(&object, 0, [])), Some(SymbolMessage::Offer(_))));
    net.peers[1].shelf.members.retain(|member| *member != name(2));
    for hidden in [&object, &other] {
        for symbols in [0, 1, 101] {
            let answer = reason(net.ask(1, 2, request(hidden, symbols, [])));
            assert_eq!(answer, Some(SymbolRefusalReason::NotHere));
        }
    }
}

/// A node whose key nobody knows gets ten times what it sent, and never more.
#[test]
fn a_stranger_is_sent_no_more_than_it_paid_for() {
    let (mut net, object) = (Net::new(3), object(6, 60_000));
    net.peers[1].shelf.whole.push(object.clone());
    net.peers[1].node.trusted.0.remove(&name(2));
    let asked = SymbolMessage::Request(messages::transcribed(request(&object, 32, []), &key(2), at(0).unix));
    let bytes = messages::write(&asked).unwrap();
    assert!(net.ask(1, 2, request(&object, 33, [0])).is_some(), "a refusal is paid for, too");
    assert!(net.ask(1, 2, request(&object, 32, [])).is_none());
    let sent: usize = net.frames_for(1, &name(2)).iter().map(|frame| frame.len() + PREFIX_BYTES).sum();
    assert!(sent > 0 && sent as u64 <= 2 * bytes.len() as u64 * FACTOR, "{sent} for {}", bytes.len());
    assert!(!net.peers[1].delivery.has_frame(&name(2)), "what was not paid for is forgotten");
}

/// S3: one symbol at three nodes is one symbol.
//= docs/spec/delivery.md#what-counts
#[test]
fn copies_of_one_symbol_are_not_an_object_and_distinct_ones_are() {
    let (mut net, object) = (Net::new(4), object(7, 1_500));
    (1..4).for_each(|peer| _ = net.peers[peer].shelf.parts.insert(object.id(), part(&object, [1])));
    net.want(0, &object);
    net.run(100, |_, _, _| true);
    assert!(net.frames < 100, "{} frames for one symbol", net.frames);
    assert_eq!((net.has(0, &object), net.peers[0].delivery.received(&set(&object))), (false, 1));
    net.peers[3].shelf.parts.insert(object.id(), part(&object, [9]));
    net.run(70, |_, _, _| true);
    assert!(net.has(0, &object));
}

/// What a node keeps for others is part of what it has itself.
//= docs/spec/delivery.md#what-counts
#[test]
fn shares_of_all_nodes_together_are_the_object() {
    let (mut net, object) = (Net::new(3), object(8, 5_500));
    for (peer, esis) in [(0, [0, 8, 12]), (1, [1, 9, 13]), (2, [2, 10, 14])] {
        net.peers[peer].shelf.parts.insert(object.id(), part(&object, esis));
    }
    net.want(0, &object);
    net.run(30, |_, _, _| true);
    assert!(net.has(0, &object));
    assert!((3..=6).contains(&net.frames), "what is here already is not sent for");
}

/// S7: the object comes from those who are honest, and the liar is named, and nobody else.
//= docs/spec/delivery.md#who-lied
#[test]
fn a_liar_is_found_out_and_costs_the_honest_nothing() {
    for liar in 1..4 {
        let (mut net, object) = (Net::new(4), object(9, 9_000));
        for peer in 1..4 {
            let kept = if peer == liar { lie(&object) } else { part(&object, 0..20) };
            net.peers[peer].shelf.parts.insert(object.id(), kept);
        }
        net.want(0, &object);
        net.run(200, |_, _, _| true);
        assert_eq!(net.peers[0].fetched, [(set(&object), vec![name(liar)])]);
    }
}

/// Two that each have half, and one who lies: no single source has the object, and it comes.
#[test]
fn halves_of_honest_sources_are_not_lost_to_a_liar() {
    let (mut net, object) = (Net::new(4), object(10, 5_500));
    net.peers[1].shelf.parts.insert(object.id(), lie(&object));
    net.peers[2].shelf.parts.insert(object.id(), part(&object, 0..3));
    net.peers[3].shelf.parts.insert(object.id(), part(&object, 3..6));
    net.want(0, &object);
    net.run(400, |_, _, _| true);
    assert_eq!(net.peers[0].fetched, [(set(&object), vec![name(1)])]);
}

/// A node fetches with room for one sender's symbols: whether the object comes from what its sources have.
fn fetched_in_one_set(object: &IdentifiedObject, parts: Vec<Part>) -> bool {
    let mut net = Net::new(parts.len() + 1);
    let memory = Received::share_bytes(parts[0].information);
    net.peers[0].delivery = Delivery::new(Limits { memory, ..Limits::default() }, at(0).mono);
    for (peer, part) in (1..).zip(parts) {
        net.peers[0].delivery.up(&name(peer), at(0).mono);
        net.peers[peer].shelf.parts.insert(object.id(), part);
    }
    net.want(0, object);
    // 31 choices of five sources, each with its time.
    for _ in 0..31 {
        if !net.has(0, object) {
            net.run(130, |_, _, _| true);
        }
    }
    let accused: Vec<_> = net.peers[0].fetched.iter().flat_map(|(_, liars)| liars.clone()).collect();
    let liars: Vec<_> =
        net.peers.iter().filter(|peer| peer.shelf.parts.get(&object.id()) == Some(&lie(object))).collect();
    assert!(accused.iter().all(|name| liars.iter().any(|liar| liar.node.me == *name)), "{accused:?}");
    net.has(0, object)
}

/// Wherever the liars stand among the sources, and whether the honest have all or shares.
//= docs/spec/delivery.md#who-lied
#[test]
fn without_room_for_more_than_one_set_the_honest_are_put_together() {
    let object = object(17, 5_500);
    let shares = [part(&object, 0..3), part(&object, 3..6)];
    for liar in 0..3 {
        let mut parts = shares.to_vec();
        parts.insert(liar, lie(&object));
        assert!(fetched_in_one_set(&object, parts), "shares beside the liar {liar}");
        let mut parts = vec![part(&object, [0]), part(&object, 0..8)];
        parts.insert(liar, lie(&object));
        assert!(fetched_in_one_set(&object, parts), "one that has all beside the liar {liar}");
    }
    for (one, other) in [(0, 1), (1, 3), (3, 4)] {
        let mut parts = [&shares[..], &[part(&object, [9, 10])]].concat();
        parts.insert(one, lie(&object));
        parts.insert(other, lie(&object));
        assert!(fetched_in_one_set(&object, parts), "shares beside the liars {one} and {other}");
    }
    let parts = vec![lie(&object), shares[0].clone()];
    assert!(!fetched_in_one_set(&object, parts), "half of it is not enough");
}

/// Who says that it is longer is believed until nothing comes of it.
//= docs/spec/delivery.md#offers
#[test]
fn a_false_length_is_given_up() {
    let (mut net, object) = (Net::new(3), object(11, 3_000));
    let mut longer = lie(&object);
    longer.information = TransmissionInformation::new(9_000, DEFAULT_SYMBOL_BYTES).unwrap();
    net.peers[1].shelf.parts.insert(object.id(), longer);
    net.want(0, &object);
    net.run(2, |_, _, _| true);
    net.peers[2].shelf.whole.push(object.clone());
    net.run(500, |_, _, _| true);
    assert!(net.has(0, &object));
}

/// Each block would be solved in every attempt, and an object cut as it must be has one.
//= docs/spec/delivery.md#offers
#[test]
fn whoever_cuts_an_object_into_several_blocks_is_not_followed() {
    let (mut net, object) = (Net::new(3), object(13, 3_000));
    let information = TransmissionInformation::new(object.bytes().len() as u64, 1).unwrap();
    assert!(information.source_blocks() > 1);
    let symbols = (0..2_000).map(|esi| (id(esi), vec![0])).collect();
    net.peers[1].shelf.parts.insert(object.id(), Part { information, symbols });
    net.want(0, &object);
    net.run(2, |_, _, _| true);
    assert_eq!(net.peers[0].delivery.admission().reserved(), 0);
    net.peers[2].shelf.whole.push(object.clone());
    net.run(60, |_, _, _| true);
    assert!(net.has(0, &object));
    assert_eq!(net.peers[0].fetched[0].1, []);
}

/// Bent symbols count as failures, and honest ones of others make the object.
//= docs/spec/delivery.md#messages
#[test]
fn a_forger_is_charged_and_then_not_heard() {
    let (mut net, object) = (Net::new(3), object(12, 70_000));
    (1..3).for_each(|peer| net.peers[peer].shelf.whole.push(object.clone()));
    net.want(0, &object);
    net.run(60, |from, _, packet| {
        if let (1, Packet::Frame(frame)) = (from, packet) {
            let last = frame.len() - 1;
            frame[last] ^= 1;
        }
        true
    });
    assert!(net.has(0, &object));
    assert!(net.peers[0].fetched[0].1.is_empty());
    for _ in 0..60 {
        net.act(0, |delivery, context| delivery.message(&name(1), b"no message", context));
    }
    let now = at(net.seconds).mono;
    assert!(net.peers[0].delivery.admission().hears(&name(1), now).is_err());
    assert!(net.peers[0].delivery.admission().hears(&name(2), now).is_ok());
}

/// A process that died goes on with what it kept.
//= docs/spec/delivery.md#resuming
#[test]
fn a_fetch_goes_on_after_a_crash_where_it_was() {
    let (mut net, object) = (Net::new(2), object(13, 20_000));
    net.peers[1].shelf.whole.push(object.clone());
    net.want(0, &object);
    let mut seen = 0;
    net.run(0, |_, _, packet| {
        seen += usize::from(matches!(packet, Packet::Frame(_)));
        seen <= 12
    });
    let mut kept = core::mem::take(&mut net.peers[0].kept);
    assert_eq!(kept.len(), 12);
    kept[3].frame[200] ^= 1;
    net.peers[0].delivery = Delivery::new(Limits::default(), at(0).mono);
    net.peers[0].delivery.up(&name(1), at(1).mono);
    net.want(0, &object);
    for mut kept in kept {
        net.act(0, |delivery, context| delivery.resume(&mut kept, context));
    }
    assert_eq!(net.peers[0].delivery.received(&set(&object)), 11, "what was bent on the disk does not count");
    let before = net.frames;
    net.run(10, |_, _, _| true);
    assert!(net.has(0, &object));
    assert_eq!(net.frames - before, 9 + usize::from(net.frames - before == 10));
}

/// The end of a transfer is the end of its memory, and a peer that lost the object gets it anew.
//= docs/spec/delivery.md#feedback
#[test]
fn an_object_can_be_fetched_again_at_once() {
    let (mut net, object) = (Net::new(2), object(14, 5_000));
    net.peers[1].shelf.whole.push(object.clone());
    for round in 1..4 {
        net.want(0, &object);
        net.run(1, |_, _, _| true);
        assert_eq!(net.peers[0].fetched.len(), round);
    }
}

/// There is no more room than for one, and all come in the end.
//= docs/spec/delivery.md#bounds
#[test]
fn objects_wait_for_room() {
    let mut net = Net::new(2);
    let limits = Limits { memory: 80_000, ..Limits::default() };
    net.peers[0].delivery = Delivery::new(limits, at(0).mono);
    net.peers[0].delivery.up(&name(1), at(0).mono);
    let objects: Vec<_> = (0..6).map(|byte| object(byte, 30_000)).collect();
    for object in &objects {
        net.peers[1].shelf.whole.push(object.clone());
        net.want(0, object);
    }
    net.run(60, |_, _, _| true);
    assert!(objects.iter().all(|object| net.has(0, object)));
}

/// The longest wait that a peer is told is exact, and it is kept to.
#[test]
fn whoever_is_told_to_wait_is_served_when_the_time_is_over() {
    let (mut net, object) = (Net::new(2), object(15, 30_000));
    let mut limits = Limits::default();
    limits.peer.bytes = 60_000;
    net.peers[1].delivery = Delivery::new(limits, at(0).mono);
    net.peers[1].delivery.up(&name(0), at(0).mono);
    net.peers[1].shelf.whole.push(object.clone());
    net.want(0, &object);
    net.run(300, |_, _, _| true);
    assert!(net.has(0, &object));
}

/// Only the chunks that a range touches are fetched.
//= docs/spec/delivery.md#ranges
#[test]
fn a_range_needs_only_the_chunks_that_it_touches() {
    let label = Label::trusted(Level::WORK);
    let header = ObjectHeader::new(&RawChunk::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
    let content: Vec<u8> = (0..1_200_000_u32).map(|at| (at / 1_000) as u8).collect();
    let large = Object { header, body: RawChunk { bytes: ByteString(content) } }.store().unwrap();
    let bytes = large.to_bytes().unwrap();
    let (manifest, chunks) = ChunkManifest::cut(&large, 64 * 1024, &identity()).unwrap();
    let range = 100_000..200_000;
    let mut fetch = RangeFetch::new(manifest, range.clone()).unwrap();
    let identified = |at: usize| IdentifiedObject::new(chunks[at].store().unwrap(), &identity()).unwrap();
    let missing: Vec<_> = fetch.missing().collect();
    assert_eq!(missing, [1, 2, 3].map(|at| identified(at).id()));
    assert!(fetch.fetched(&identified(0), &identity()).is_err());
    for at in [3, 1, 2] {
        assert_eq!(fetch.bytes(), None);
        fetch.fetched(&identified(at), &identity()).unwrap();
    }
    assert_eq!(fetch.bytes().unwrap(), bytes[range.start as usize..range.end as usize]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Beside a plain set: whatever is lost, doubled or late, what was received is what is distinct, and all comes.
    //= docs/spec/delivery.md#what-counts
    #[test]
    fn whatever_is_lost_or_doubled_the_object_comes(
        length in 0_usize..8_000,
        sources in 1_usize..4,
        fates in prop::collection::vec(0_u8..10, 40),
    ) {
        let (mut net, object) = (Net::new(1 + sources), object(16, length));
        (1..=sources).for_each(|peer| net.peers[peer].shelf.whole.push(object.clone()));
        net.want(0, &object);
        let mut fate = fates.iter().copied().chain(core::iter::repeat(9));
        for _ in 0..40 {
            let mut doubled = Vec::new();
            net.run(5, |from, to, packet| match fate.next() {
                Some(0..3) => false,
                Some(3..5) => {
                    doubled.push((from, to, packet.clone()));
                    true
                }
                Some(_) | None => true,
            });
            net.wire.extend(doubled);
            let distinct: alloc::collections::BTreeSet<_> = net.peers[0].kept.iter().map(|kept| {
                u32::from_le_bytes(*kept.frame[114..].first_chunk().unwrap())
            }).collect();
            prop_assert_eq!(distinct.len(), net.peers[0].kept.len(), "a symbol was kept twice");
            if !net.has(0, &object) {
                prop_assert_eq!(net.peers[0].delivery.received(&set(&object)) as usize, distinct.len());
            }
        }
        // Whoever lost much waits long.
        net.run(if net.has(0, &object) { 0 } else { 300 }, |_, _, _| true);
        prop_assert!(net.has(0, &object));
        prop_assert_eq!(net.peers[0].fetched.len(), 1);
    }
}
