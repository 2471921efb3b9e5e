//! Which node should run something: all that may, ranked, with the reasons for each, and why the others may not.
//!
//! A value and no machine: the same facts give the same ranking, in whatever order they come. It gives advice alone;
//! whoever runs a call judges it anew. Spec: docs/spec/planner.md.

mod profile;
mod score;
#[cfg(test)]
mod tests;

pub use profile::{Availability, Health, NoVersion, Path, Power, Profile, Version};
pub use score::{Adjustment, BASE};

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;

use fcp_proto_core::ids::{ConnectorId, NodeId, ObjectId, ZoneId};

/// Nodes that are ranked at most: the reference's number.
pub const MAX_RANKED: usize = 10;

/// What is to be run, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// In which zone.
    pub zone: ZoneId,
    /// By which connector.
    pub connector: ConnectorId,
    /// At least this version of it.
    pub min_version: Option<Version>,
    /// Free memory, in MiB.
    pub memory_mib: u32,
    /// Free processor cores.
    pub cores: u8,
    /// Memory of a graphics processor, in MiB, if one is needed.
    pub gpu_mib: Option<u32>,
    /// Whether it must run on mains.
    pub needs_mains: bool,
    /// Objects that must be there.
    pub required: BTreeSet<ObjectId>,
    /// Objects that had better be there.
    pub preferred: BTreeSet<ObjectId>,
    /// A secret that it needs.
    pub secret: Option<ObjectId>,
    /// Who alone may run it, because a lease says so.
    pub holder: Option<NodeId>,
    /// Nodes that are not to run it.
    pub excluded: BTreeSet<NodeId>,
    /// Whether the zone lets it go through a relay.
    pub relay: Relay,
}

/// Whether a zone's traffic may go through a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// It may.
    Allowed,
    /// It must not.
    Forbidden,
}

/// Why a node may not run something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is excluded.
    Excluded,
    /// It has not joined the zone.
    Zone,
    /// It does not have the connector.
    Connector,
    /// Its version of the connector is too old, or says nothing.
    Version,
    /// It has too little free memory.
    Memory,
    /// It has too few free cores.
    Cores,
    /// It has no graphics processor, or a smaller one.
    Gpu,
    /// It does not run on mains.
    Mains,
    /// It lacks an object that must be there.
    Objects,
    /// It cannot put the secret together.
    Secret,
    /// Another node holds the lease.
    Lease,
    /// It cannot be reached, or only through a relay that the zone forbids.
    Unreachable,
    /// The connector crashes there again and again.
    CrashLoop,
}

/// Something that would have to be taken on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// That a node which is not well can do it.
    Health,
    /// That what is known of the node, which is old, is still so.
    Freshness,
}

/// A node that may run something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The node.
    pub node: NodeId,
    /// Its score, in tenths. It may be below zero.
    pub score: i32,
    /// What the score is made of, besides [`BASE`].
    pub adjustments: Vec<(Adjustment, i32)>,
    /// What would have to be taken on trust; empty if nothing.
    pub assumptions: BTreeSet<Assumption>,
}

/// Who may run something, the best first, and why others may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The best, at most [`MAX_RANKED`].
    pub ranked: Vec<Ranked>,
    /// How many more may run it.
    pub not_ranked: usize,
    /// Why each of the others may not: all reasons.
    pub refused: BTreeMap<NodeId, BTreeSet<Refusal>>,
}

/// What a ranking comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement<'a> {
    /// This node.
    On(&'a NodeId),
    /// This node, if that is taken on trust; the answer is another one than that there is none.
    OnlyAssuming(&'a NodeId, &'a BTreeSet<Assumption>),
    /// None.
    Nowhere,
}

impl Ranking {
    /// Ranks the nodes of `profiles` for `demand`.
    //= docs/spec/planner.md#ranking
    pub fn new(demand: &Demand, profiles: &BTreeMap<NodeId, Profile>) -> Self {
        let mut ranking = Self::default();
        for (node, profile) in profiles {
            let refusals = profile.refusals(demand, node);
            if refusals.is_empty() {
                ranking.ranked.push(Ranked::new(demand, node, profile));
            } else {
                ranking.refused.insert(node.clone(), refusals);
            }
        }
        ranking
            .ranked
            .sort_by_cached_key(|it| (!it.assumptions.is_empty(), Reverse(it.score), it.node.clone()));
        ranking.not_ranked = ranking.ranked.len().saturating_sub(MAX_RANKED);
        ranking.ranked.truncate(MAX_RANKED);
        ranking
    }

    /// Where it goes.
    //= docs/spec/planner.md#answers
    pub fn placement(&self) -> Placement<'_> {
        match self.ranked.first() {
            None => Placement::Nowhere,
            Some(best) if best.assumptions.is_empty() => Placement::On(&best.node),
            Some(best) => Placement::OnlyAssuming(&best.node, &best.assumptions),
        }
    }
}
