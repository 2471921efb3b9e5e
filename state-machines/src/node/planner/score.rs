//! How good a place is, among those that are allowed.

use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;

use super::profile::{Availability, Path, Power, Profile};
use super::{Demand, Ranked};

/// What every score begins with, in tenths.
pub const BASE: i32 = 1_000;

/// A battery below this is low, in percent.
const LOW_BATTERY_PERCENT: u8 = 20;

/// Preferred objects and leases that are counted.
const MOST_COUNTED: i32 = 20;

/// Why a score is higher or lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Adjustment {
    /// How far away it is.
    Path,
    /// What it would have goes through a relay.
    Relay,
    /// It has something of what had better be there.
    Locality,
    /// And for each object that it has.
    Objects,
    /// Its battery is low.
    LowBattery,
    /// It has the graphics processor that is needed.
    Gpu,
    /// Its link is metered.
    Metered,
    /// It is there when it happens to be.
    BestEffort,
    /// The nodes that it must ask for the secret.
    Secret,
    /// The leases that it holds already.
    Leases,
}

impl Ranked {
    pub(super) fn new(demand: &Demand, node: &NodeId, profile: &Profile) -> Self {
        let adjustments = adjustments(demand, profile);
        let sum: i32 = adjustments.iter().map(|(_, by)| by).sum();
        Self { node: node.clone(), score: BASE + sum, adjustments, assumptions: profile.assumptions() }
    }
}

/// The reference's weights, and one for secrets, in tenths. What changes nothing is left out.
//= docs/spec/planner.md#scores
fn adjustments(demand: &Demand, profile: &Profile) -> Vec<(Adjustment, i32)> {
    let held = counted(demand.preferred.intersection(&profile.objects).count());
    let asks = demand.secret.and_then(|secret| profile.secrets.get(&secret)).copied().unwrap_or(0);
    let if_so = |holds: bool, by: i32| if holds { by } else { 0 };
    let all = [
        (Adjustment::Path, path(profile.path)),
        (Adjustment::Relay, if_so(profile.path == Path::Relay, -300)),
        (Adjustment::Locality, if_so(held > 0, 250)),
        (Adjustment::Objects, held * 75),
        (Adjustment::LowBattery, if_so(is_low(profile.power), -400)),
        (Adjustment::Gpu, if_so(demand.gpu_mib.is_some(), 200)),
        (Adjustment::Metered, if_so(profile.is_metered, -150)),
        (Adjustment::BestEffort, if_so(profile.availability == Availability::BestEffort, -100)),
        (Adjustment::Secret, i32::from(asks) * -50),
        (Adjustment::Leases, counted(profile.leases.into()) * -50),
    ];
    all.into_iter().filter(|(_, by)| *by != 0).collect()
}

const fn path(path: Path) -> i32 {
    match path {
        Path::Local => 0,
        Path::Lan => -100,
        Path::Internet => -200,
        Path::Relay | Path::None => -300,
    }
}

const fn is_low(power: Power) -> bool {
    match power {
        Power::Mains => false,
        Power::Battery { percent } => percent < LOW_BATTERY_PERCENT,
    }
}

fn counted(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(MOST_COUNTED).min(MOST_COUNTED)
}
