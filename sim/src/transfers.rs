//! How objects go from node to node: requests over lanes, symbols in datagrams that are lost, doubled and late.

use std::time::Duration;

use fcp_proto_core::crypto::role::Node as NodeRole;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::frame::datagram::PREFIX_BYTES;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, MAX_SYMBOLS_UNAUTHENTICATED};
use fcp_proto_core::object::{Header, MissingHint, Object, SymbolRequest, Transcribed, TranscriptSigned};
use fcp_proto_core::symbol::{EncodingSet, PayloadId};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::link::admission::Limits;
use fcp_state_machines::link::delivery::{Event as Delivered, Kept};
use zeroize::Zeroizing;

use crate::between;
use crate::node::{name, stranger};
use crate::objects;
use crate::oracle::Violation;
use crate::schedule::{Character, Flaw};
use crate::world::{Event, LIMITS, World, number};

/// What stands before a message of a transfer on a lane; what is said otherwise begins with a number above zero.
const TRANSFER: [u8; 8] = [0; 8];

/// How long a decode takes.
const DECODE: Duration = Duration::from_millis(5);

impl World {
    /// Somebody makes an object, which others want.
    pub(crate) fn make(&mut self, maker: usize) -> Result<(), Violation> {
        if self.now >= self.end {
            return Ok(());
        }
        let pause = between(&mut self.random, Duration::from_secs(20), Duration::from_secs(120));
        let next = self.random.below(self.nodes.len() as u64) as usize;
        self.plan(self.now.saturating_add(pause), Event::Make(next));
        if !self.is_honest(maker) {
            return Ok(());
        }
        let object = self.objects.make(&mut self.random);
        let set = objects::set(&object);
        self.trace.note(self.now, format_args!("{maker} makes {} of {}", object.id(), object.bytes().len()));
        let honest: Vec<_> = (0..self.nodes.len()).filter(|node| self.is_honest(*node)).collect();
        if self.random.below(3) == 0 {
            let parts = objects::deal(&object, honest.len());
            for (node, part) in honest.iter().zip(parts) {
                self.nodes[*node].shelf.parts.insert(object.id(), part);
            }
        } else {
            self.nodes[maker].shelf.whole.insert(object.id(), object.clone());
        }
        if let Some((node, character)) = self.hostile
            && matches!(character, Character::Liar | Character::Boaster | Character::Idler)
        {
            let lie = objects::lie(&object, character == Character::Boaster, &mut self.random);
            self.nodes[node].shelf.parts.insert(object.id(), lie);
        }
        for node in honest {
            if !self.nodes[node].shelf.whole.contains_key(&object.id()) && self.random.below(2) == 0 {
                let sources = objects::others(self.nodes.len(), node);
                self.nodes[node].shelf.wanted.insert(set.clone(), sources);
                self.want(node, &set);
                self.plan(self.now, Event::Wake(node));
            }
        }
        Ok(())
    }

    fn want(&mut self, node: usize, set: &EncodingSet) {
        let it = &mut self.nodes[node];
        if let Some(sources) = it.shelf.wanted.get(set) {
            it.delivery.want(set, 1, sources, self.now).expect("room for what is wanted");
        }
    }

    /// A process starts: it wants what it wanted, and has what it kept, but for what was not durable yet.
    pub(crate) fn remember(&mut self, node: usize) {
        let kept = self.nodes[node].shelf.kept.len() as u64;
        let lost = self.random.below(kept.min(5) + 1);
        self.nodes[node].shelf.kept.truncate((kept - lost) as usize);
        if self.flaw == Some(Flaw::ForgetsWants) {
            return;
        }
        let wanted: Vec<_> = self.nodes[node].shelf.wanted.keys().cloned().collect();
        wanted.iter().for_each(|set| self.want(node, set));
        for mut kept in self.nodes[node].shelf.kept.clone() {
            self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
                delivery.resume(&mut kept, context);
            });
        }
    }

    /// Time goes on for the transfers of a node.
    pub(crate) fn tick_transfers(&mut self, node: usize) {
        if self.flaw != Some(Flaw::NeverAsks) {
            self.nodes[node].transfer(&self.known, self.now, |delivery, context| delivery.tick(context));
        }
    }

    /// Does what the transfers of a node ask for.
    pub(crate) fn transfers(&mut self, node: usize) -> Result<(), Violation> {
        loop {
            while let Some(event) = self.nodes[node].delivery.next_event() {
                match event {
                    Delivered::Send { to, message } => self.say_transfer(node, &to, &message)?,
                    Delivered::Keep(kept) => self.keep(node, kept),
                    Delivered::Offered { .. } => (),
                    Delivered::Fetched { set, mut object, liars } => {
                        self.trace
                            .note(self.now, format_args!("{node} has {} without {liars:?}", set.object_id));
                        if self.flaw == Some(Flaw::ChangesObjects) {
                            *object = self.objects.make(&mut self.random);
                        }
                        self.objects.fetched(&set, &object)?;
                        self.accused(&liars)?;
                        self.nodes[node].shelf.fetched(&set, *object);
                    }
                }
            }
            if !self.nodes[node].delivery.can_decode(self.now) {
                // Nodes without a bound are held to one that they surely reach.
                let unbounded = self.flaw == Some(Flaw::NoMemoryBound);
                let memory = if unbounded { LIMITS.memory / 4 } else { LIMITS.memory };
                return objects::bounded(node, &self.nodes[node].delivery, &Limits { memory, ..LIMITS });
            }
            let decode = self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
                let wasted = delivery.decode(context);
                delivery.wasted(&wasted, DECODE, context.local.now.mono);
                wasted
            });
            self.trace.note(self.now, format_args!("{node} decodes: {decode:?}"));
        }
    }

    /// Nobody is accused who is honest.
    fn accused(&self, liars: &[NodeId]) -> Result<(), Violation> {
        match liars.iter().find(|liar| self.is_honest(number(liar))) {
            Some(honest) => Err(format!("{honest} is said to have lied")),
            None => Ok(()),
        }
    }

    fn keep(&mut self, node: usize, kept: Kept) {
        self.nodes[node].shelf.kept.push(kept);
    }

    /// Says something, if there is a session that takes it; it is said again otherwise.
    fn say_transfer(&mut self, node: usize, to: &NodeId, message: &[u8]) -> Result<(), Violation> {
        if *to == stranger() {
            return self.objects.stranger(node, 0, message.len());
        }
        let message = [&TRANSFER[..], message].concat();
        if let Some(session) = self.nodes[node].links.session(to) {
            // A lane without room is as good as a lost message.
            _ = session.send(Lane::Sync, &message);
        }
        Ok(())
    }

    /// Whether a message of a lane is one of a transfer; if so, it is taken.
    pub(crate) fn hear_transfer(&mut self, node: usize, peer: usize, message: &[u8]) -> bool {
        let Some(message) = message.strip_prefix(&TRANSFER) else { return false };
        self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
            delivery.message(&name(peer), message, context);
        });
        true
    }

    /// Whether bytes that a session could not deliver are of a transfer, and need not be said again.
    pub(crate) fn is_transfer(message: &[u8]) -> bool {
        message.starts_with(&TRANSFER)
    }

    /// Sends all symbols that are to be sent.
    pub(crate) fn datagrams(&mut self, node: usize) {
        let busy: Vec<_> = self.nodes[node].delivery.busy().cloned().collect();
        for peer in busy.iter().filter(|peer| **peer != stranger()) {
            let mut out = Vec::new();
            while self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
                delivery.next_frame(peer, DEFAULT_DATAGRAM_BYTES, context, &mut out)
            }) {
                self.send_datagram(node, number(peer), std::mem::take(&mut out));
            }
        }
    }

    fn send_datagram(&mut self, node: usize, to: usize, mut bytes: Vec<u8>) {
        let character = self.hostile.filter(|(hostile, _)| *hostile == node).map(|(_, character)| character);
        if character == Some(Character::Idler) {
            return;
        }
        if character == Some(Character::Forger) {
            let at = PREFIX_BYTES + self.random.below((bytes.len() - PREFIX_BYTES) as u64) as usize;
            bytes[at] ^= 1 << self.random.below(8);
        }
        let (links, mut local) = self.nodes[node].parts(&self.known, self.now);
        let Some(session) = links.session(&name(to)) else { return };
        if session.seal_datagram(&mut local, &mut bytes, DEFAULT_DATAGRAM_BYTES).is_err() {
            return;
        }
        let mut arrivals = self.network.datagram(node, to, bytes.len(), self.now);
        if character == Some(Character::Replayer) {
            arrivals.extend([1, 1, 90].map(|late| self.now.saturating_add(Duration::from_secs(late))));
        }
        for at in arrivals {
            self.plan(at, Event::Datagram { from: node, to, bytes: bytes.clone() });
        }
    }

    /// A datagram arrives, if somebody is awake.
    pub(crate) fn datagram(&mut self, from: usize, to: usize, mut bytes: Vec<u8>) -> Result<(), Violation> {
        if self.nodes[to].sleeps.is_some_and(|until| until > self.now)
            || !self.network.passes(from, to, self.now)
        {
            return Ok(());
        }
        let (links, mut local) = self.nodes[to].parts(&self.known, self.now);
        let Some(session) = links.session(&name(from)) else { return Ok(()) };
        let opened = session.datagram(&mut local, &mut bytes, DEFAULT_DATAGRAM_BYTES);
        let Ok(frame) = opened.map(|frame| frame.to_vec()) else { return self.settle(to) };
        self.take_frame(from, to, frame)
    }

    fn take_frame(&mut self, from: usize, to: usize, mut frame: Vec<u8>) -> Result<(), Violation> {
        self.nodes[to].transfer(&self.known, self.now, |delivery, context| {
            delivery.frame(&name(from), &mut frame, context);
        });
        self.settle(to)
    }

    /// A node that is not honest does what it does without being asked.
    pub(crate) fn prowl(&mut self) -> Result<(), Violation> {
        let Some((node, character)) = self.hostile else { return Ok(()) };
        if self.now >= self.end {
            return Ok(());
        }
        let pause = between(&mut self.random, Duration::from_millis(200), Duration::from_secs(20));
        self.plan(self.now.saturating_add(pause), Event::Prowl);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            match character {
                Character::Greedy => self.grab(node, peer)?,
                Character::Babbler => self.babble(node, peer)?,
                Character::Liar
                | Character::Boaster
                | Character::Forger
                | Character::Replayer
                | Character::Idler => (),
            }
        }
        self.settle(node)
    }

    /// Asks for as much as anybody may of something that the peer has.
    fn grab(&mut self, node: usize, peer: usize) -> Result<(), Violation> {
        let shelf = &self.nodes[peer].shelf;
        let Some(object) = shelf.whole.values().next_back() else { return Ok(()) };
        let hint = MissingHint::new((0..100).map(PayloadId::from_u32).collect()).ok();
        let request = request(&objects::set(object), 2_001, hint, &crate::node::key(node));
        self.say_transfer(node, &name(peer), &request)
    }

    fn babble(&mut self, node: usize, peer: usize) -> Result<(), Violation> {
        let mut bytes = vec![0; 200 + self.random.below(1_000) as usize];
        self.random.fill(&mut bytes);
        self.say_transfer(node, &name(peer), &bytes)?;
        bytes.truncate(DEFAULT_DATAGRAM_BYTES);
        self.send_datagram(node, peer, bytes);
        Ok(())
    }

    /// Somebody whom nobody knows asks a node for all that strangers may have of what it has.
    pub(crate) fn ask_as_stranger(&mut self, node: usize) -> Result<(), Violation> {
        if self.now >= self.end {
            return Ok(());
        }
        let pause = between(&mut self.random, Duration::from_secs(5), Duration::from_secs(60));
        let next = self.random.below(self.nodes.len() as u64) as usize;
        self.plan(self.now.saturating_add(pause), Event::Stranger(next));
        let Some(object) = self.nodes[node].shelf.whole.values().next() else { return Ok(()) };
        let message = request(&objects::set(object), MAX_SYMBOLS_UNAUTHENTICATED, None, &stranger_key());
        self.objects.stranger(node, message.len(), 0)?;
        let mut out = Vec::new();
        self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
            delivery.message(&stranger(), &message, context);
        });
        while self.nodes[node].transfer(&self.known, self.now, |delivery, context| {
            delivery.next_frame(&stranger(), DEFAULT_DATAGRAM_BYTES, context, &mut out)
        }) {
            self.objects.stranger(node, 0, out.len())?;
        }
        self.settle(node)
    }

    /// What honest nodes want and could have.
    pub(crate) fn unfetched(&self) -> Option<Violation> {
        let honest = || (0..self.nodes.len()).filter(|node| self.is_honest(*node));
        for node in honest() {
            for set in self.nodes[node].shelf.wanted.keys() {
                let shelves = honest().map(|other| &self.nodes[other].shelf);
                if self.objects.is_there(&set.object_id, shelves) {
                    return Some(format!("{node} did not get {}, which is there", set.object_id));
                }
            }
        }
        None
    }

    pub(crate) fn is_honest(&self, node: usize) -> bool {
        self.hostile.is_none_or(|(hostile, _)| hostile != node)
    }
}

/// The key of somebody whom nobody knows.
pub(crate) fn stranger_key() -> SigningKey<NodeRole> {
    SigningKey::from_seed(&Zeroizing::new([0x57; 32]))
}

fn request(
    set: &EncodingSet,
    max_symbols: u32,
    missing_hint: Option<MissingHint>,
    key: &SigningKey<NodeRole>,
) -> Vec<u8> {
    let fields = SymbolRequest {
        object_id: set.object_id,
        zone_id: set.zone_id.clone(),
        zone_key_id: set.zone_key_id,
        epoch_id: 1,
        max_symbols,
        missing_hint,
        current_symbols: 0,
    };
    let label = Label::trusted(Level::PUBLIC);
    let header = Header::new(&SymbolRequest::SCHEMA, &set.zone_id, UnixTime::from_secs(1), label, None);
    let object = Object { header, body: TranscriptSigned::sign(fields, key) };
    object.store().and_then(|stored| stored.to_bytes()).expect("a request")
}
