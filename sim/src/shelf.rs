//! What a node keeps: objects, shares of objects, and what it wants. It survives the process.

use std::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::crypto::hash;
use fcp_proto_core::frame::symbols::ZoneKeyRef;
use fcp_proto_core::ids::{KeyId, NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{ObjectIdKey, ZoneKeyAlgorithm};
use fcp_proto_core::symbol::{EncodingSet, IdentifiedObject};
use fcp_state_machines::link::delivery::{Holding, Holdings, Kept, Part};

/// The secret of the one zone key of a world.
const SECRET: [u8; 32] = [0x5a; 32];

/// A node's disk, as far as objects are concerned, and what it knows of the zone.
#[derive(Debug)]
pub struct Shelf {
    zone: ZoneId,
    identity: ObjectIdKey,
    /// Whole objects.
    pub whole: BTreeMap<ObjectId, IdentifiedObject>,
    /// Shares.
    pub parts: BTreeMap<ObjectId, Part>,
    /// What it wants, and from whom it may have it.
    pub wanted: BTreeMap<EncodingSet, BTreeSet<NodeId>>,
    /// Frames of transfers under way.
    pub kept: Vec<Kept>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            zone: zone(),
            identity: identity_key(),
            whole: BTreeMap::new(),
            parts: BTreeMap::new(),
            wanted: BTreeMap::new(),
            kept: Vec::new(),
        }
    }
}

impl Shelf {
    /// An object was fetched: what was kept of its transfer is not needed any more.
    pub fn fetched(&mut self, set: &EncodingSet, object: IdentifiedObject) {
        self.wanted.remove(set);
        self.kept.retain(|kept| kept.set != *set);
        self.whole.insert(object.id(), object);
    }

    /// The disk is lost with everything on it, and replaced; what is wanted is wanted still.
    pub fn lose(&mut self) {
        self.whole.clear();
        self.parts.clear();
        self.kept.clear();
    }
}

impl Holdings for Shelf {
    fn is_member(&self, zone: &ZoneId, _node: &NodeId) -> bool {
        *zone == self.zone
    }

    fn zone_key(&self, zone: &ZoneId, id: &KeyId) -> Option<ZoneKeyRef<'_>> {
        (*zone == self.zone && *id == zone_key_id()).then(|| ZoneKeyRef {
            secret: &SECRET,
            id: *id,
            zone_id_hash: hash::zone_id_hash(&self.zone),
            algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
        })
    }

    fn identity_key(&self, zone: &ZoneId) -> Option<&ObjectIdKey> {
        (*zone == self.zone).then_some(&self.identity)
    }

    fn holding(&self, set: &EncodingSet) -> Option<Holding<'_>> {
        let whole = self.whole.get(&set.object_id).map(Holding::Whole);
        whole.or_else(|| self.parts.get(&set.object_id).map(Holding::Part))
    }
}

/// The one zone of a world.
pub fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

/// The key of its objects' identities.
pub fn identity_key() -> ObjectIdKey {
    ObjectIdKey::from_bytes([0x1d; 32].into())
}

/// The name of its one key.
pub fn zone_key_id() -> KeyId {
    KeyId::from_bytes([7; 8])
}
