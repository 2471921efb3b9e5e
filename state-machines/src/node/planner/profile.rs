//! What is known of a node, and what rules it out.

use alloc::collections::{BTreeMap, BTreeSet};
use core::str::FromStr;
use core::time::Duration;

use fcp_proto_core::ids::{ConnectorId, NodeId, ObjectId, ZoneId};

use super::{Assumption, Demand, Refusal, Relay};

/// What is known of a node is old after this. Chosen: the lifetime of a summary of what a node has.
const FRESH: Duration = Duration::from_secs(300);

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The zones that it has joined.
    pub zones: BTreeSet<ZoneId>,
    /// Its connectors, and their versions; `None` for one that is not of three numbers.
    pub connectors: BTreeMap<ConnectorId, Option<Version>>,
    /// Free memory, in MiB.
    pub memory_mib: u32,
    /// Free processor cores.
    pub cores: u8,
    /// Memory of its graphics processor, in MiB, if it has one.
    pub gpu_mib: Option<u32>,
    /// Where its power comes from.
    pub power: Power,
    /// Whether its link is metered.
    pub is_metered: bool,
    /// How it is reached.
    pub path: Path,
    /// Whether it is meant to be there.
    pub availability: Availability,
    /// How it is.
    pub health: Health,
    /// Objects that it can have at once.
    pub objects: BTreeSet<ObjectId>,
    /// The secrets that it can put together, and how many nodes it must ask for that.
    pub secrets: BTreeMap<ObjectId, u8>,
    /// Leases that it holds.
    pub leases: u16,
    /// How old this is.
    pub age: Duration,
}

/// A version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

/// A text that is not a version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion;

/// Where power comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Mains.
    Mains,
    /// A battery.
    Battery {
        /// How full it is.
        percent: u8,
    },
}

/// How a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// It is this one.
    Local,
    /// In the same network.
    Lan,
    /// Directly, over the Internet.
    Internet,
    /// Through a relay.
    Relay,
    /// Not at all.
    None,
}

/// Whether a node is meant to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Always.
    Always,
    /// When it happens to be.
    BestEffort,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Well.
    Well,
    /// Not well, and running.
    Degraded,
    /// What is started there crashes again and again.
    CrashLoop,
}

impl Profile {
    /// Every reason why the node may not run it. What is not known of a node it does not have.
    //= docs/spec/planner.md#requirements
    pub(super) fn refusals(&self, demand: &Demand, node: &NodeId) -> BTreeSet<Refusal> {
        let version = self.connectors.get(&demand.connector);
        let is_old = |version: &Option<Version>| demand.min_version > *version;
        let checks = [
            (Refusal::Excluded, demand.excluded.contains(node)),
            (Refusal::Zone, !self.zones.contains(&demand.zone)),
            (Refusal::Connector, version.is_none()),
            (Refusal::Version, version.is_some_and(is_old)),
            (Refusal::Memory, self.memory_mib < demand.memory_mib),
            (Refusal::Cores, self.cores < demand.cores),
            // No graphics processor is less than one of any size.
            (Refusal::Gpu, self.gpu_mib < demand.gpu_mib),
            (Refusal::Mains, demand.needs_mains && self.power != Power::Mains),
            (Refusal::Objects, !demand.required.is_subset(&self.objects)),
            (Refusal::Secret, demand.secret.is_some_and(|secret| !self.secrets.contains_key(&secret))),
            (Refusal::Lease, demand.holder.as_ref().is_some_and(|holder| holder != node)),
            (Refusal::Unreachable, !self.is_reachable(demand.relay)),
            (Refusal::CrashLoop, self.health == Health::CrashLoop),
        ];
        checks.into_iter().filter(|(_, holds)| *holds).map(|(refusal, _)| refusal).collect()
    }

    /// What would have to be taken on trust.
    //= docs/spec/planner.md#answers
    pub(super) fn assumptions(&self) -> BTreeSet<Assumption> {
        let checks = [
            (Assumption::Health, self.health == Health::Degraded),
            (Assumption::Freshness, self.age > FRESH),
        ];
        checks.into_iter().filter(|(_, holds)| *holds).map(|(assumption, _)| assumption).collect()
    }

    fn is_reachable(&self, relay: Relay) -> bool {
        match self.path {
            Path::Local | Path::Lan | Path::Internet => true,
            Path::Relay => relay == Relay::Allowed,
            Path::None => false,
        }
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let mut parts = text.split('.');
        let mut next = || {
            let part = parts.next().ok_or(NoVersion)?;
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_number).ok_or(NoVersion)
        };
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        parts.next().map_or(Ok(version), |_| Err(NoVersion))
    }
}
