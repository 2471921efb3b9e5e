//! States that any number of members write at once, and that are equal once all know the same changes.
//!
//! Spec: docs/spec/replica.md#merging. Each type is a join semilattice: [`Merge::merge`] is associative, commutative and
//! idempotent, and a change is a small state, merged like any other. Values only: who made a change is for the signed
//! object that carries it, and is checked by [`admit`].

mod clock;
mod counter;
mod generation;
mod lww_map;
mod or_set;
#[cfg(test)]
mod tests;

pub use clock::{HybridClock, MAX_AHEAD_SECS, Stamp};
pub use counter::{GCounter, PnCounter};
pub use generation::Generations;
pub use lww_map::LwwMap;
pub use or_set::OrSet;

use fcp_proto_core::encoding::cbor::{self, FromCbor, ShapeError};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{CrdtType, StateDelta};
use fcp_proto_core::time::UnixTime;

/// Entries of one state, the removed ones included (chosen: within 4 MiB if keys and values are short; a cursor, a set
/// of names, not a database).
pub const MAX_ENTRIES: usize = 10_000;

/// Why a change is not made, or not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The state has as many entries as it may; removed ones count until they are collected.
    Full,
    /// A stamp lies too far ahead of this member's time.
    Ahead(Stamp),
    /// It was made to another generation than this member has.
    Generation(u64),
    /// It changes what only another member may.
    Foreign(NodeId),
    /// It is a change of another type of state.
    Type(CrdtType),
    /// It is no change of this type.
    Shape(ShapeError),
    /// A counter is at its end.
    Overflow,
}

/// A state that merges.
pub trait Merge: Clone + FromCbor {
    /// Its name in objects.
    const TYPE: CrdtType;

    /// Takes all that `other` has.
    //= docs/spec/replica.md#merging
    fn merge(&mut self, other: &Self);

    /// How many entries it has, removed ones included.
    fn entries(&self) -> usize;

    /// The stamps in it: when what was written, and by whom.
    fn stamps(&self) -> impl Iterator<Item = &Stamp>;

    /// The members whose own parts it has.
    fn parts(&self) -> impl Iterator<Item = &NodeId>;
}

/// The change that a signed delta carries, if the member that made it may make it, now.
///
/// # Errors
/// The first rule that does not hold.
//= docs/spec/replica.md#changes
pub fn admit<S: Merge>(delta: &StateDelta, now: UnixTime) -> Result<S, ChangeError> {
    if delta.crdt_type != S::TYPE {
        return Err(ChangeError::Type(delta.crdt_type));
    }
    let value = cbor::decode(&delta.delta_cbor.get().0).map_err(|error| ChangeError::Shape(error.into()))?;
    let change = S::from_cbor(value).map_err(ChangeError::Shape)?;
    if change.entries() > MAX_ENTRIES {
        return Err(ChangeError::Full);
    }
    if let Some(ahead) = change.stamps().find(|stamp| stamp.is_ahead_of(now)) {
        return Err(ChangeError::Ahead(ahead.clone()));
    }
    let foreign = change.parts().find(|part| **part != delta.applied_by).cloned();
    foreign.map_or(Ok(change), |part| Err(ChangeError::Foreign(part)))
}

/// Merges `change` into `state`, or leaves it as it is.
///
/// # Errors
/// [`ChangeError::Full`] if the state would have too many entries.
//= docs/spec/replica.md#bounds
pub fn apply<S: Merge>(state: &mut S, change: &S) -> Result<(), ChangeError> {
    let mut next = state.clone();
    next.merge(change);
    if next.entries() > MAX_ENTRIES && next.entries() > state.entries() {
        return Err(ChangeError::Full);
    }
    *state = next;
    Ok(())
}
