//! Who has what of which object, as far as this node knows.
//!
//! An index and no bodies. It believes what it is told: a driver tells it what a node proved, or what it read from its own
//! disk, and never what somebody merely announces. Spec: docs/spec/storage.md.

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::ops::Bound;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::symbol::TransmissionInformation;

use super::coverage::Share;
use super::placement::{PlacementPolicy, PolicyError};
use crate::trust::lease::Subject;

/// Nodes whose shares of one object are known.
pub const MAX_HOLDERS: usize = 64;

/// Runs that one share may have: what is more scattered costs more to know than it is worth.
pub const MAX_RUNS: usize = 1_024;

/// What this node knows of the objects of all its zones.
#[derive(Clone, Debug)]
pub struct Inventory {
    capacity: usize,
    policies: BTreeMap<ZoneId, PlacementPolicy>,
    objects: BTreeMap<Subject, Item>,
}

/// An object, and who has what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How it is cut.
    pub information: TransmissionInformation,
    /// How it is to be kept, if otherwise than its zone's objects are.
    pub policy: Option<Box<PlacementPolicy>>,
    /// What nodes have of it.
    pub shares: BTreeMap<NodeId, Share>,
    /// Nodes that are to have it before they need it.
    pub wanted_at: BTreeSet<NodeId>,
    /// Whether this node has condemned it: then nothing is done for it.
    pub is_condemned: bool,
}

/// Why something is not taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is no room for another object.
    Full,
    /// The object is not known.
    Unknown,
    /// It is cut otherwise than was known.
    OtherCut,
    /// There is no room for another node.
    TooManyHolders,
    /// The share is too scattered.
    TooScattered,
    /// The policy is none.
    Policy(PolicyError),
}

impl Inventory {
    /// An inventory with room for `capacity` objects.
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, policies: BTreeMap::new(), objects: BTreeMap::new() }
    }

    /// How the objects of a zone are to be kept. Without a policy nothing is done for them.
    ///
    /// # Errors
    /// [`NotTaken::Policy`].
    //= docs/spec/storage.md#policies
    pub fn set_zone_policy(&mut self, zone: ZoneId, policy: PlacementPolicy) -> Result<(), NotTaken> {
        policy.check().map_err(NotTaken::Policy)?;
        self.policies.insert(zone, policy);
        Ok(())
    }

    /// How one object is to be kept; `None` for as its zone's are.
    ///
    /// # Errors
    /// [`NotTaken::Unknown`] or [`NotTaken::Policy`].
    pub fn set_policy(&mut self, subject: &Subject, policy: Option<PlacementPolicy>) -> Result<(), NotTaken> {
        if let Some(policy) = &policy {
            policy.check().map_err(NotTaken::Policy)?;
        }
        self.objects.get_mut(subject).ok_or(NotTaken::Unknown)?.policy = policy.map(Box::new);
        Ok(())
    }

    /// There is this object, and it is cut like this.
    ///
    /// # Errors
    /// [`NotTaken::Full`] or [`NotTaken::OtherCut`].
    pub fn learn(&mut self, subject: Subject, information: TransmissionInformation) -> Result<(), NotTaken> {
        let room = self.objects.len() < self.capacity;
        match self.objects.entry(subject) {
            Entry::Occupied(known) if known.get().information == information => Ok(()),
            Entry::Occupied(_) => Err(NotTaken::OtherCut),
            Entry::Vacant(_) if !room => Err(NotTaken::Full),
            Entry::Vacant(place) => {
                place.insert(Item {
                    information,
                    policy: None,
                    shares: BTreeMap::new(),
                    wanted_at: BTreeSet::new(),
                    is_condemned: false,
                });
                Ok(())
            }
        }
    }

    /// What a node has of an object, instead of what was known. A share without symbols is none.
    ///
    /// # Errors
    /// What keeps it from being taken down.
    //= docs/spec/storage.md#bounds
    pub fn report(&mut self, subject: &Subject, node: &NodeId, share: Share) -> Result<(), NotTaken> {
        let item = self.objects.get_mut(subject).ok_or(NotTaken::Unknown)?;
        if let Share::Symbols(symbols) = &share {
            if symbols.is_empty() {
                item.shares.remove(node);
                return Ok(());
            }
            if symbols.run_count() > MAX_RUNS {
                return Err(NotTaken::TooScattered);
            }
        }
        if item.shares.len() >= MAX_HOLDERS && !item.shares.contains_key(node) {
            return Err(NotTaken::TooManyHolders);
        }
        item.shares.insert(node.clone(), share);
        Ok(())
    }

    /// The nodes that are to have an object before they need it.
    ///
    /// # Errors
    /// [`NotTaken::Unknown`] or [`NotTaken::TooManyHolders`].
    pub fn want_at(&mut self, subject: &Subject, nodes: BTreeSet<NodeId>) -> Result<(), NotTaken> {
        if nodes.len() > MAX_HOLDERS {
            return Err(NotTaken::TooManyHolders);
        }
        self.objects.get_mut(subject).ok_or(NotTaken::Unknown)?.wanted_at = nodes;
        Ok(())
    }

    /// This node has condemned an object, or keeps it again.
    pub fn condemn(&mut self, subject: &Subject, is_condemned: bool) {
        if let Some(item) = self.objects.get_mut(subject) {
            item.is_condemned = is_condemned;
        }
    }

    /// Forgets an object: this node is not to know of it any more.
    pub fn forget(&mut self, subject: &Subject) {
        self.objects.remove(subject);
    }

    /// Forgets what a node had: it was removed, or its disk is lost. At most `limit` objects after `after` are looked at;
    /// gives the last of them, while there may be more.
    pub fn forget_node(&mut self, node: &NodeId, after: Option<&Subject>, limit: usize) -> Option<Subject> {
        let mut last = None;
        for (subject, item) in self.objects.range_mut(later_than(after)).take(limit) {
            item.shares.remove(node);
            item.wanted_at.remove(node);
            last = Some(subject.clone());
        }
        last
    }

    /// What is known of an object.
    pub fn item(&self, subject: &Subject) -> Option<&Item> {
        self.objects.get(subject)
    }

    /// How an object is to be kept, if anybody said so.
    pub fn policy(&self, subject: &Subject) -> Option<&PlacementPolicy> {
        let own = self.objects.get(subject)?.policy.as_deref();
        own.or_else(|| self.policies.get(&subject.zone))
    }

    /// The objects after `after`, in order.
    pub fn after(&self, after: Option<&Subject>) -> impl Iterator<Item = (&Subject, &Item)> {
        self.objects.range(later_than(after))
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What a node has of an object.
    pub fn share(&self, zone: &ZoneId, object: &ObjectId, node: &NodeId) -> Option<(&Item, &Share)> {
        let item = self.objects.get(&Subject { zone: zone.clone(), object: *object })?;
        item.shares.get(node).map(|share| (item, share))
    }
}

fn later_than(after: Option<&Subject>) -> (Bound<&Subject>, Bound<&Subject>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no room to know of another object"),
            Self::Unknown => f.write_str("the object is not known"),
            Self::OtherCut => f.write_str("the object is cut otherwise than was known"),
            Self::TooManyHolders => f.write_str("no room to know of another node that has the object"),
            Self::TooScattered => f.write_str("the share is in too many pieces"),
            Self::Policy(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NotTaken {}

impl NotTaken {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Full | Self::TooManyHolders | Self::TooScattered => Code::Exhausted,
            Self::Unknown => Code::NotFound,
            Self::OtherCut => Code::SymbolInvalid,
            Self::Policy(_) => Code::InputInvalid,
        }
    }
}
