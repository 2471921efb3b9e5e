//! The secrets that a node needs to serve; everything else is offline.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::CborError;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::object::{ObjectIdKey, StoredObject};

/// The secrets that a node needs to serve.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs what the node asserts.
    pub signing: SigningKey<role::Node>,
    /// Signs the tokens it mints.
    pub issuance: SigningKey<role::Issuance>,
    /// Names the objects of each zone.
    pub zones: BTreeMap<ZoneId, ZoneKeys>,
}

/// The keys of one zone, one after another: new objects are named with the one that serves, and what bears a name of an
/// earlier one is told by that.
//= docs/spec/authority.md#another-key-of-a-zone
#[derive(Debug)]
pub struct ZoneKeys {
    serving: ObjectIdKey,
    earlier: Vec<ObjectIdKey>,
    /// Stored, and named by no definition so far.
    waiting: Vec<ObjectIdKey>,
}

impl From<ObjectIdKey> for ZoneKeys {
    fn from(first: ObjectIdKey) -> Self {
        Self { serving: first, earlier: Vec::new(), waiting: Vec::new() }
    }
}

impl ZoneKeys {
    /// The key that new objects are named with.
    pub fn serving(&self) -> &ObjectIdKey {
        &self.serving
    }

    /// Every key that serves or has served.
    pub fn all(&self) -> impl Iterator<Item = &ObjectIdKey> {
        core::iter::once(&self.serving).chain(&self.earlier)
    }

    /// The names that an object has under them.
    pub(super) fn names(&self, stored: &StoredObject) -> impl Iterator<Item = Result<ObjectId, CborError>> {
        self.all().map(|key| stored.id(key))
    }

    /// Whether an object is the one of this name.
    pub(super) fn is_named(&self, stored: &StoredObject, id: &ObjectId) -> bool {
        self.names(stored).any(|name| name.as_ref() == Ok(id))
    }

    /// Keeps a key until a definition names it. One that serves or has served does not wait again.
    pub fn hold(&mut self, key: ObjectIdKey) {
        if !self.all().any(|known| known.key_id() == key.key_id()) && !self.is_waiting(key.key_id()) {
            self.waiting.push(key);
        }
    }

    /// Whether a key waits to be named.
    pub(super) fn is_waiting(&self, key: KeyId) -> bool {
        self.waiting.iter().any(|it| it.key_id() == key)
    }

    /// Lets the key `key` serve from now on; nothing happens if it does not wait.
    pub(super) fn serve(&mut self, key: KeyId) {
        if let Some(place) = self.waiting.iter().position(|it| it.key_id() == key) {
            let next = self.waiting.swap_remove(place);
            self.earlier.push(core::mem::replace(&mut self.serving, next));
        }
    }
}
