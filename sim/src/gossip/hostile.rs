//! What the first node does when it is not honest. Its machine is sound; what it says is not.

use std::time::Duration;

use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::object::gossip::{Exchange, Finding, ObjectNames, Question, Sketch};
use fcp_proto_core::object::{
    GossipMessage, GossipSummary, Header, Object, ReconcileRequest, Signed, SignedBody, StoredObject,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

use super::{GossipWorld, Step, invented, zone};
use crate::between;
use crate::node::{key, name};

/// How a node that is not honest behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// Bits of its messages are turned.
    Forger,
    /// It says nothing.
    Mute,
    /// It has what nobody made, and more of it all the time.
    Inventor,
    /// Its cells are no set's, its names no key's, and its estimates anything.
    Liar,
    /// It speaks in the names of others.
    Impostor,
    /// It asks about zones that it is no member of.
    Spy,
    /// It says what is no message, and asks for everything, all the time.
    Flooder,
}

impl Character {
    /// Every character.
    pub const ALL: [Self; 7] =
        [Self::Forger, Self::Mute, Self::Inventor, Self::Liar, Self::Impostor, Self::Spy, Self::Flooder];
}

impl GossipWorld {
    /// What the first node makes of a message that it sends; whether it sends it.
    pub(super) fn bend(&mut self, bytes: &mut Vec<u8>) -> bool {
        match self.scenario.hostile {
            Some(Character::Mute) => return false,
            Some(Character::Forger) if self.random.below(3) == 0 => {
                let at = self.random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
            Some(Character::Liar) => {
                if let Some(lie) = self.lie(bytes) {
                    *bytes = lie;
                }
            }
            Some(
                Character::Forger
                | Character::Inventor
                | Character::Impostor
                | Character::Spy
                | Character::Flooder,
            )
            | None => (),
        }
        true
    }

    /// The message with other contents, signed as it must be.
    fn lie(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match GossipMessage::open(&StoredObject::from_bytes(bytes).ok()?).ok()? {
            GossipMessage::Summary(object) => {
                let mut fields = object.body.fields;
                if self.random.below(2) == 0 {
                    // A set said to be large is read as a list, in which nothing can be found out but by fetching.
                    self.random.fill(&mut fields.estimator[..]);
                    let digits = self.random.below(40);
                    fields.total = self.random.below(1 << digits);
                }
                let mut cells = vec![0; 64 * 12];
                self.random.fill(&mut cells);
                fields.sketch = Sketch::new(ByteString(cells)).ok()?;
                signed(&object.header, fields).map(|it| written(&GossipMessage::Summary(it)))
            }
            GossipMessage::ReconcileAnswer(object) => {
                let mut fields = object.body.fields;
                match &mut fields.finding {
                    Finding::Cells { cells, .. } => {
                        let mut random = vec![0; cells.get().0.len()];
                        self.random.fill(&mut random);
                        *cells = Bounded::new(ByteString(random)).ok()?;
                    }
                    Finding::Names { names } | Finding::Page { names, .. } => {
                        let others = (0..100).map(|_| invented(&mut self.random)).collect();
                        *names = ObjectNames::new(others).ok()?;
                    }
                    Finding::Gone {} | Finding::Busy { .. } => (),
                }
                signed(&object.header, fields).map(|it| written(&GossipMessage::ReconcileAnswer(it)))
            }
            GossipMessage::Request(_)
            | GossipMessage::Answer(_)
            | GossipMessage::ReconcileRequest(_)
            | GossipMessage::RevocationNotice(_)
            | GossipMessage::RevocationWitness(_) => None,
        }
    }

    /// What it does without being asked.
    pub(super) fn prowl(&mut self) {
        let Some(character) = self.scenario.hostile.filter(|_| self.now < self.end) else { return };
        let pause = between(&mut self.random, Duration::from_millis(200), Duration::from_secs(5));
        self.plan(self.now.saturating_add(pause), Step::Prowl);
        match character {
            Character::Inventor => {
                for plain in self.nodes[0].sets.zones.values_mut() {
                    plain.admitted.extend((0..5).map(|_| invented(&mut self.random)));
                    plain.version += 1;
                }
                self.plan(self.now, Step::Wake(0));
            }
            Character::Impostor => self.speak_as(1),
            Character::Spy => self.ask_all(1),
            Character::Flooder => {
                self.ask_all(50);
                for to in 1..self.nodes.len() {
                    let mut bytes = vec![0; self.random.below(400) as usize];
                    self.random.fill(&mut bytes);
                    self.send(0, to, bytes);
                }
            }
            Character::Forger | Character::Mute | Character::Liar => (),
        }
    }

    /// Asks everybody for the names of every zone.
    fn ask_all(&mut self, times: usize) {
        for (to, place) in self.everywhere() {
            for _ in 0..times {
                let exchange = Exchange { request_id: self.random.bytes(), from: name(0), to: name(to) };
                let question = Question::Page { after: None };
                let header = self.header::<ReconcileRequest>(place);
                if let Some(object) = signed(&header, ReconcileRequest { exchange, question }) {
                    self.send(0, to, written(&GossipMessage::ReconcileRequest(object)));
                }
            }
        }
    }

    /// Says in another's name that it has nothing any more.
    fn speak_as(&mut self, other: usize) {
        for (to, place) in self.everywhere() {
            let fields = GossipSummary {
                from: name(other),
                epoch: 1,
                state_version: u64::MAX,
                total: 0,
                object_filter_digest: [0; 32],
                object_filter: Bounded::default(),
                symbol_filter_digest: [0; 32],
                symbol_filter: Bounded::default(),
                object_count: 0,
                symbol_count: 0,
                salt: self.random.bytes(),
                estimator: Box::new([0; 512]),
                sketch: Sketch::default(),
            };
            if let Some(object) = signed(&self.header::<GossipSummary>(place), fields) {
                self.send(0, to, written(&GossipMessage::Summary(object)));
            }
        }
    }

    /// Every other node, and every zone.
    fn everywhere(&self) -> Vec<(usize, usize)> {
        let zones = self.scenario.zones;
        (1..self.nodes.len()).flat_map(|to| (0..zones).map(move |place| (to, place))).collect()
    }

    fn header<T: SignedBody>(&self, place: usize) -> Header {
        let now = UnixTime::from_secs(1_800_000_000 + self.now.as_nanos() / 1_000_000_000);
        Header::new(&T::SCHEMA, &zone(place), now, Label::trusted(Level::PUBLIC), None)
    }
}

fn signed<T: SignedBody>(header: &Header, fields: T) -> Option<Object<Signed<T>>> {
    Object::sign(header.clone(), fields, &key(0)).ok()
}

fn written(message: &GossipMessage) -> Vec<u8> {
    message.store().and_then(|stored| stored.to_bytes()).expect("a message")
}
