//! What the node tells gossip of its zones.

use alloc::vec::Vec;

use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::gossip::SymbolName;

/// The zones of a node, and what it has admitted of them. What is in quarantine is not among it.
pub trait Zones {
    /// The zones that are gossiped about.
    fn zones(&self) -> Vec<ZoneId>;

    /// Whether `node` may know of the zone.
    fn is_member(&self, zone: &ZoneId, node: &NodeId) -> bool;

    /// The epoch of the membership.
    fn epoch(&self, zone: &ZoneId) -> u64;

    /// A number that changes with every change of what is admitted.
    fn version(&self, zone: &ZoneId) -> u64;

    /// Whether the object is admitted.
    fn has(&self, zone: &ZoneId, object: &ObjectId) -> bool;

    /// Whether there is this symbol.
    fn has_symbol(&self, zone: &ZoneId, symbol: &SymbolName) -> bool;

    /// The `most` lowest names of objects above `after`, in their order; fewer only if there are no more.
    fn objects(&self, zone: &ZoneId, after: Option<&ObjectId>, most: usize) -> Vec<ObjectId>;

    /// The `most` lowest names of symbols above `after`, in their order; fewer only if there are no more.
    fn symbols(&self, zone: &ZoneId, after: Option<&SymbolName>, most: usize) -> Vec<SymbolName>;
}
