//! What a mesh can still do while some members cannot be reached.

use alloc::collections::BTreeSet;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::zone::SafetyTier;

use super::Electorate;

/// How many members can be reached, the asking one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All.
    Whole,
    /// Not all, and a quorum.
    Reduced {
        /// How many cannot.
        missing: usize,
    },
    /// No quorum: the members decide nothing.
    Degraded {
        /// How many can.
        have: usize,
        /// How many make a quorum.
        need: usize,
    },
}

/// What the owner lets a degraded mesh do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DegradedPolicy {
    /// Nothing.
    #[default]
    Halt,
    /// Operations of the tier `safe`, if enough members can be reached.
    Safe {
        /// How many must be; one is always needed.
        min_nodes: usize,
    },
}

impl Standing {
    /// Whether an operation of `tier` may go on.
    //= docs/spec/quorum.md#degraded
    pub fn permits(self, tier: SafetyTier, policy: DegradedPolicy) -> bool {
        let safe = match tier {
            SafetyTier::Forbidden => return false,
            SafetyTier::Safe => true,
            SafetyTier::Risky | SafetyTier::Dangerous | SafetyTier::Critical => false,
        };
        match (self, policy) {
            (Self::Whole | Self::Reduced { .. }, _) => true,
            (Self::Degraded { .. }, DegradedPolicy::Halt) => false,
            (Self::Degraded { have, .. }, DegradedPolicy::Safe { min_nodes }) => {
                safe && have >= min_nodes.max(1)
            }
        }
    }
}

impl Electorate {
    /// How the mesh stands if `reachable` can be reached. Only members count.
    //= docs/spec/quorum.md#degraded
    pub fn standing(&self, reachable: &BTreeSet<NodeId>) -> Standing {
        let have = reachable.iter().filter(|node| self.has(node)).count();
        let (all, need) = (self.size(), self.quorum());
        if have == all {
            Standing::Whole
        } else if have >= need {
            Standing::Reduced { missing: all - have }
        } else {
            Standing::Degraded { have, need }
        }
    }
}
