//! Counters: each member counts for itself, and the sum is the count of all.

use alloc::collections::BTreeMap;

use fcp_proto_core::cbor_map;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::CrdtType;

use super::{ChangeError, Merge, Stamp};

cbor_map! {
    /// A counter that grows.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct GCounter {
        /// What each member counted.
        pub counted: BTreeMap<NodeId, u64>,
    }
}

cbor_map! {
    /// A counter that grows and shrinks.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct PnCounter {
        /// All that was added.
        pub added: GCounter,
        /// All that was taken away.
        pub taken: GCounter,
    }
}

impl GCounter {
    /// Counts `by` more for `member`. The change is what it counted in all.
    ///
    /// # Errors
    /// [`ChangeError::Overflow`] if it cannot count so far.
    pub fn count(&mut self, member: &NodeId, by: u64) -> Result<Self, ChangeError> {
        let so_far = self.counted.get(member).copied().unwrap_or(0);
        let counted = so_far.checked_add(by).ok_or(ChangeError::Overflow)?;
        let change = Self { counted: [(member.clone(), counted)].into() };
        super::apply(self, &change)?;
        Ok(change)
    }

    /// What all counted.
    pub fn sum(&self) -> u128 {
        self.counted.values().map(|counted| u128::from(*counted)).sum()
    }
}

impl PnCounter {
    /// Adds `by` for `member`.
    ///
    /// # Errors
    /// As [`GCounter::count`].
    pub fn add(&mut self, member: &NodeId, by: u64) -> Result<Self, ChangeError> {
        Ok(Self { added: self.added.count(member, by)?, taken: GCounter::default() })
    }

    /// Takes `by` away for `member`.
    ///
    /// # Errors
    /// As [`GCounter::count`].
    pub fn take(&mut self, member: &NodeId, by: u64) -> Result<Self, ChangeError> {
        Ok(Self { added: GCounter::default(), taken: self.taken.count(member, by)? })
    }

    /// What was added less what was taken away.
    pub fn sum(&self) -> i128 {
        // At most 10,000 members of 64 bits each: both sums are far within 127 bits.
        let signed = |counter: &GCounter| i128::try_from(counter.sum()).unwrap_or(i128::MAX);
        signed(&self.added).saturating_sub(signed(&self.taken))
    }
}

impl Merge for GCounter {
    const TYPE: CrdtType = CrdtType::GCounter;

    fn merge(&mut self, other: &Self) {
        for (member, counted) in &other.counted {
            let own = self.counted.entry(member.clone()).or_insert(0);
            *own = (*own).max(*counted);
        }
    }

    fn entries(&self) -> usize {
        self.counted.len()
    }

    fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        core::iter::empty()
    }

    fn parts(&self) -> impl Iterator<Item = &NodeId> {
        self.counted.keys()
    }
}

impl Merge for PnCounter {
    const TYPE: CrdtType = CrdtType::PnCounter;

    fn merge(&mut self, other: &Self) {
        self.added.merge(&other.added);
        self.taken.merge(&other.taken);
    }

    fn entries(&self) -> usize {
        self.added.entries().max(self.taken.entries())
    }

    fn stamps(&self) -> impl Iterator<Item = &Stamp> {
        core::iter::empty()
    }

    fn parts(&self) -> impl Iterator<Item = &NodeId> {
        self.added.parts().chain(self.taken.parts())
    }
}
