//! The objects of a world, and what must hold of them, seen by somebody who knows all.

use std::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::limits::DEFAULT_SYMBOL_BYTES;
use fcp_proto_core::object::{Body, Header, Object, RawChunk};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::symbol::{
    Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::link::admission::{Limits, amplification};
use fcp_state_machines::link::delivery::{Delivery, Part};

use crate::oracle::Violation;
use crate::shelf::{Shelf, identity_key, zone, zone_key_id};

/// Symbols beyond the source symbols that are dealt to those who keep shares.
const SPARE: u32 = 3;

/// Distinct symbols beyond the source symbols with which an object surely can be rebuilt.
const SURELY: usize = 2;

/// What was made, who got it, and what strangers were sent.
#[derive(Debug, Default)]
pub struct Objects {
    made: BTreeMap<ObjectId, IdentifiedObject>,
    fetched: usize,
    strangers: BTreeMap<usize, (u64, u64)>,
}

impl Objects {
    /// A new object of some size.
    pub fn make(&mut self, random: &mut Entropy) -> IdentifiedObject {
        let length = match random.below(10) {
            0..3 => random.below(900),
            3..9 => random.below(12_000),
            _ => random.below(60_000),
        };
        let mut content = vec![0; length as usize];
        random.fill(&mut content);
        let header = Header::new(
            &RawChunk::SCHEMA,
            &zone(),
            UnixTime::from_secs(1),
            Label::trusted(Level::WORK),
            None,
        );
        let stored = Object { header, body: RawChunk { bytes: ByteString(content) } }.store();
        let object = IdentifiedObject::new(stored.expect("an object"), &identity_key()).expect("an object");
        self.made.insert(object.id(), object.clone());
        object
    }

    /// An object was fetched, and must be the one that was made.
    pub fn fetched(&mut self, set: &EncodingSet, object: &IdentifiedObject) -> Result<(), Violation> {
        let made = self.made.get(&set.object_id).ok_or("an object was fetched that nobody made")?;
        if made.bytes() != object.bytes() {
            return Err(format!("{} was rebuilt as other bytes", set.object_id));
        }
        self.fetched += 1;
        Ok(())
    }

    /// Objects that were fetched.
    pub fn count(&self) -> usize {
        self.fetched
    }

    /// Bytes came from a stranger to a node, and went to it.
    pub fn stranger(&mut self, node: usize, came: usize, went: usize) -> Result<(), Violation> {
        let (received, sent) = self.strangers.entry(node).or_default();
        *received += came as u64;
        *sent += went as u64;
        if *sent > *received * amplification::FACTOR {
            return Err(format!("{node} sent {sent} bytes for {received} to somebody that nobody knows"));
        }
        Ok(())
    }

    /// Whether those who keep it have enough to rebuild it.
    pub fn is_there<'a>(&self, id: &ObjectId, shelves: impl Iterator<Item = &'a Shelf>) -> bool {
        let mut symbols: BTreeSet<PayloadId> = BTreeSet::new();
        for shelf in shelves {
            if shelf.whole.contains_key(id) {
                return true;
            }
            symbols.extend(shelf.parts.get(id).into_iter().flat_map(|part| part.symbols.keys()));
        }
        let Some(object) = self.made.get(id) else { return false };
        let source = cut(object).source_symbols();
        let all = (0..source).all(|esi| symbols.contains(&PayloadId::from_u32(esi)));
        all || symbols.len() >= source as usize + SURELY
    }
}

/// What a node may hold, after every step.
pub fn bounded(node: usize, delivery: &Delivery, limits: &Limits) -> Result<(), Violation> {
    let (held, reserved) = (delivery.held(), delivery.admission().reserved());
    if held > reserved {
        return Err(format!("{node} holds {held} bytes of transfers and reserved {reserved}"));
    }
    if reserved > limits.memory {
        return Err(format!("{node} reserved {reserved} bytes of {}", limits.memory));
    }
    let (peers, requests) = delivery.admission().size();
    if peers > limits.peers || requests > limits.node.requests {
        return Err(format!("{node} remembers {peers} peers and {requests} requests"));
    }
    Ok(())
}

/// The encoding of an object.
pub fn set(object: &IdentifiedObject) -> EncodingSet {
    EncodingSet { object_id: object.id(), zone_id: zone(), zone_key_id: zone_key_id() }
}

/// How everybody cuts it.
pub fn cut(object: &IdentifiedObject) -> TransmissionInformation {
    let length = object.bytes().len() as u64;
    TransmissionInformation::new(length, DEFAULT_SYMBOL_BYTES).expect("a small object")
}

/// Deals the symbols of an object to so many keepers.
pub fn deal(object: &IdentifiedObject, keepers: usize) -> Vec<Part> {
    let (set, information) = (set(object), cut(object));
    let mut encoder = Encoder::new(&set, information, object).expect("its encoding");
    let mut parts = vec![Part { information, symbols: BTreeMap::new() }; keepers.max(1)];
    let mut plans = Plans::default();
    for esi in 0..information.source_symbols() + SPARE {
        let (id, mut bytes) = (PayloadId::from_u32(esi), vec![0; information.symbol_size()]);
        encoder.symbol(id, &mut plans, &mut bytes).expect("a symbol");
        parts[esi as usize % keepers.max(1)].symbols.insert(id, bytes);
    }
    parts
}

/// Symbols that are not those of the object, cut as it is or, if it is longer than that, as something longer.
pub fn lie(object: &IdentifiedObject, longer: bool, random: &mut Entropy) -> Part {
    let length = object.bytes().len() + if longer { 2_000 } else { 0 };
    let information =
        TransmissionInformation::new(length as u64, DEFAULT_SYMBOL_BYTES).expect("a small object");
    let symbols = (0..information.source_symbols() + SPARE).map(|esi| {
        let mut bytes = vec![0; information.symbol_size()];
        random.fill(&mut bytes);
        (PayloadId::from_u32(esi), bytes)
    });
    Part { information, symbols: symbols.collect() }
}

/// Everybody but one.
pub fn others(nodes: usize, node: usize) -> BTreeSet<NodeId> {
    (0..nodes).filter(|other| *other != node).map(crate::node::name).collect()
}
