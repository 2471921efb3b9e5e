//! What every object says about itself.

use alloc::vec::Vec;

use super::{Schema, SchemaId};
use crate::cbor_map;
use crate::ids::{ObjectId, PrincipalId, ZoneId};
use crate::time::UnixTime;
use crate::zone::{Label, Provenance};

cbor_map! {
    /// What every object says about itself; part of its identity.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Header {
        /// The schema of the body.
        pub schema: SchemaId,
        /// The zone whose key names the object.
        pub zone_id: ZoneId,
        /// When it was made.
        pub created_at: UnixTime,
        /// Where its content came from.
        pub provenance: Provenance,
        /// Objects of the same zone that it needs.
        pub refs: Vec<ObjectId>,
        /// Objects of other zones that it mentions.
        pub foreign_refs: Vec<ObjectId>,
        /// Seconds after `created_at` when it may be forgotten; absent means never.
        pub ttl_secs: Option<u64>,
    }
}

impl Header {
    /// The header of an object of `schema`, made in `zone` at `created_at`, whose content is labelled `label`.
    pub fn new(
        schema: &Schema,
        zone: &ZoneId,
        created_at: UnixTime,
        label: Label,
        principal: Option<PrincipalId>,
    ) -> Self {
        Self {
            schema: schema.id(),
            zone_id: zone.clone(),
            created_at,
            provenance: Provenance::new(zone.clone(), label, principal),
            refs: Vec::new(),
            foreign_refs: Vec::new(),
            ttl_secs: None,
        }
    }

    /// The same header, naming `refs`.
    #[must_use]
    pub fn with_refs(mut self, refs: impl IntoIterator<Item = ObjectId>) -> Self {
        self.refs.extend(refs);
        self
    }
}
