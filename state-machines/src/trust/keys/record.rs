//! What a device keeps of a zone's keys, as one secret record that is replaced whole.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::encoding::cbor::{CborError, FromCbor, ShapeError, decode, encode};
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::{ObjectIdKey, ZoneKey, ZoneKeyTerms};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{KeyRingError, ZoneKeyRing};

use super::group::Place;
use super::secret::{Key, Secret};
use super::{Commit, MAX_CANDIDATES, Said};

/// The version of the record's form.
const VERSION: u16 = 1;

cbor_map! {
    /// A zone key, and when it serves.
    #[derive(Clone, Debug)]
    pub(super) struct Generation {
        /// When it serves.
        pub terms: ZoneKeyTerms,
        /// The key.
        pub key: Key,
    }
}

cbor_map! {
    /// A commit that may be chosen to end the epoch.
    #[derive(Clone, Debug)]
    pub(super) struct Candidate {
        /// The commit.
        pub commit: Commit,
        /// Who made it.
        pub committer: NodeId,
        /// What is said beside it.
        pub said: Said,
        /// What only the committer can make of it.
        pub secrets: Option<Secret>,
    }
}

cbor_map! {
    /// A place in the group.
    #[derive(Clone, Debug)]
    pub(super) struct Membership {
        /// The place.
        pub place: Place,
        /// The epoch.
        pub epoch: u64,
        /// Who is in the group.
        pub roster: BTreeSet<NodeId>,
        /// Since when the device's own leaf has its key.
        pub leaf_since: UnixTime,
        /// The commits of this epoch, in the order in which they came.
        pub candidates: Vec<Candidate>,
    }
}

cbor_map! {
    /// Everything.
    #[derive(Clone, Debug)]
    pub(super) struct Record {
        /// The form of this record.
        pub version: u16,
        /// The zone.
        pub zone_id: ZoneId,
        /// Names the zone's objects; absent before the device is in.
        pub object_id_key: Option<Key>,
        /// The zone keys, the newest last.
        pub generations: Vec<Generation>,
        /// The place in the group, while there is one.
        pub membership: Option<Membership>,
        /// The secrets of the package by which others may add the device.
        pub package: Option<Secret>,
    } => Self::check
}

impl Record {
    /// Of a device that is not in the group.
    pub(super) fn outside(zone_id: ZoneId) -> Self {
        let (object_id_key, generations) = (None, Vec::new());
        Self { version: VERSION, zone_id, object_id_key, generations, membership: None, package: None }
    }

    //= docs/spec/zone-keys.md#the-record
    fn check(&self) -> Result<(), ShapeError> {
        let keys = self.object_id_key.is_some() != self.generations.is_empty();
        let few = self.membership.iter().all(|it| it.candidates.len() <= MAX_CANDIDATES);
        let seat = self.membership.is_none() || !self.generations.is_empty();
        match (self.version, keys && few && seat) {
            (VERSION, true) => Ok(()),
            (VERSION, false) => Err(ShapeError::Invalid("a record of zone keys has what belongs together")),
            (_, _) => Err(ShapeError::Invalid("a record of zone keys of another version")),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<SecretBytes, CborError> {
        encode(self).map(SecretBytes::new)
    }

    pub(super) fn from_bytes(bytes: &SecretBytes) -> Result<Self, ShapeError> {
        Self::from_cbor(decode(bytes.expose())?)
    }

    /// The ring of the keys that are here, if there are any.
    pub(super) fn ring(&self) -> Result<Option<ZoneKeyRing>, KeyRingError> {
        let (Some(names), Some((first, rest))) = (&self.object_id_key, self.generations.split_first()) else {
            return Ok(None);
        };
        let zone_key = |it: &Generation| ZoneKey::from_bytes(it.key.0.clone());
        let names = ObjectIdKey::from_bytes(names.0.clone());
        let mut ring =
            ZoneKeyRing::of_group(self.zone_id.clone(), first.terms.clone(), zone_key(first), names);
        for generation in rest {
            ring.advance(generation.terms.clone(), zone_key(generation))?;
        }
        Ok(Some(ring))
    }
}
