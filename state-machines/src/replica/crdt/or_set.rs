//! A set of which only seen elements can be removed: an element that is added meanwhile stays.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use fcp_proto_core::cbor_map;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::CrdtType;

use super::generation::Collect;
use super::{ChangeError, Merge, Stamp};

cbor_map! {
    /// A set of which only seen elements can be removed.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct OrSet {
        /// Each element with the stamps at which it was added, but for the removed ones.
        pub added: BTreeMap<String, BTreeSet<Stamp>>,
        /// The stamps of what was removed.
        pub removed: BTreeSet<Stamp>,
    }
}

impl OrSet {
    /// Whether `element` is in the set.
    pub fn contains(&self, element: &str) -> bool {
        self.added.contains_key(element)
    }

    /// The elements.
    pub fn elements(&self) -> impl Iterator<Item = &str> {
        self.added.keys().map(|element| &**element)
    }

    /// Adds `element` at `stamp`.
    ///
    /// # Errors
    /// [`ChangeError::Full`] if there is no room for it.
    pub fn add(&mut self, element: &str, stamp: Stamp) -> Result<Self, ChangeError> {
        let added = [(String::from(element), [stamp].into())].into();
        let change = Self { added, removed: BTreeSet::new() };
        super::apply(self, &change)?;
        Ok(change)
    }

    /// Removes `element` as far as it was seen.
    ///
    /// # Errors
    /// [`ChangeError::Full`] if there is no room to remember that.
    pub fn remove(&mut self, element: &str) -> Result<Self, ChangeError> {
        let removed = self.added.get(element).cloned().unwrap_or_default();
        let change = Self { added: BTreeMap::new(), removed };
        super::apply(self, &change)?;
        Ok(change)
    }
}

impl Merge for OrSet {
    const TYPE: CrdtType = CrdtType::OrSet;

    fn merge(&mut self, other: &Self) {
        for (element, stamps) in &other.added {
            self.added.entry(element.clone()).or_default().extend(stamps.iter().cloned());
        }
        self.removed.extend(other.removed.iter().cloned());
        let removed = &self.removed;
        self.added.retain(|_, stamps| {
            stamps.retain(|stamp| !removed.contains(stamp));
            !stamps.is_empty()
        });
    }

    fn entries(&self) -> usize {
        self.added.values().map(BTreeSet::len).sum::<usize>() + self.removed.len()
    }

    fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        self.added.values().flatten().chain(&self.removed)
    }

    /// Anybody may remove what another has added.
    fn parts(&self) -> impl Iterator<Item = &NodeId> {
        self.added.values().flatten().map(|stamp| &stamp.writer)
    }
}

impl Collect for OrSet {
    fn collect(&mut self) {
        self.removed.clear();
    }
}
