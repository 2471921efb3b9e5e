//! Where a stored value came from, and what changed its label since.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Label, Level, Taint};
use crate::ids::{ObjectId, PrincipalId, ZoneId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map};

cbor_enum! {
    /// The direction in which an approval moved a label.
    pub enum AdjustmentKind {
        /// Integrity was raised.
        Elevation = "elevation",
        /// Confidentiality was lowered.
        Declassification = "declassification",
    }
}

cbor_map! {
    /// A change of level that a person approved.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Adjustment {
        /// Which way it went.
        pub kind: AdjustmentKind,
        /// The approval that permits it.
        pub approval: ObjectId,
        /// The level before.
        pub from: Level,
        /// The level after.
        pub to: Level,
        /// When it was applied.
        pub applied_at: UnixTime,
    }
}

cbor_map! {
    /// Taints that a sanitizer removed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Reduction {
        /// The sanitizer's receipt.
        pub receipt: ObjectId,
        /// What it cleared.
        pub cleared: BTreeSet<Taint>,
        /// When it was applied.
        pub applied_at: UnixTime,
    }
}

cbor_map! {
    /// A move from one zone to another.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Crossing {
        /// The zone it left.
        pub from: ZoneId,
        /// The zone it entered.
        pub to: ZoneId,
        /// The approval that permits it, if one did.
        pub approval: Option<ObjectId>,
        /// When it crossed.
        pub crossed_at: UnixTime,
    }
}

cbor_map! {
    /// Where a stored value came from: part of every object's header, and so of its identity.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Provenance {
        /// The zone it was made in.
        pub origin_zone: ZoneId,
        /// The zone it is in.
        pub current_zone: ZoneId,
        /// Its integrity.
        pub integrity: Level,
        /// Its confidentiality.
        pub confidentiality: Level,
        /// Its taints.
        pub taints: BTreeSet<Taint>,
        /// Approved changes of level, oldest first.
        pub adjustments: Vec<Adjustment>,
        /// Taints removed by sanitizers, oldest first.
        pub reductions: Vec<Reduction>,
        /// Moves between zones, oldest first.
        pub crossings: Vec<Crossing>,
        /// The principal on whose behalf it was made.
        pub origin_principal: Option<PrincipalId>,
    }
}

impl Provenance {
    /// The provenance of a value made in `zone` with `label`, with no history yet.
    pub fn new(zone: ZoneId, label: Label, origin_principal: Option<PrincipalId>) -> Self {
        Self {
            origin_zone: zone.clone(),
            current_zone: zone,
            integrity: label.integrity,
            confidentiality: label.confidentiality,
            taints: label.taints,
            adjustments: Vec::new(),
            reductions: Vec::new(),
            crossings: Vec::new(),
            origin_principal,
        }
    }

    /// The label this value has now.
    pub fn label(&self) -> Label {
        Label {
            integrity: self.integrity,
            confidentiality: self.confidentiality,
            taints: self.taints.clone(),
        }
    }
}
