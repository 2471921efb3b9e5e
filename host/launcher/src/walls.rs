//! What has been put in force so far. Each fork carries a copy on; the last one is judged.

use fcp_launcher::{Assessment, Mechanism, PropertyReport, Refusal, SandboxSpec, assess};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What has been put in force so far.
#[derive(Default)]
pub(crate) struct Walls {
    in_force: BTreeSet<Mechanism>,
    /// The version of Landlock in force.
    pub(crate) landlock_abi: u32,
    /// The user outside.
    pub(crate) outer_uid: u32,
    /// The system's files the program sees.
    pub(crate) libraries: BTreeSet<PathBuf>,
}

impl Walls {
    /// Notes that a mechanism is in force.
    pub(crate) fn raise(&mut self, mechanism: Mechanism) {
        self.in_force.insert(mechanism);
    }

    /// Notes that mechanisms are not in force after all.
    pub(crate) fn lower_all(&mut self, mechanisms: &[Mechanism]) {
        self.in_force.retain(|mechanism| !mechanisms.contains(mechanism));
    }

    /// Whether a mechanism is in force.
    pub(crate) fn stands(&self, mechanism: Mechanism) -> bool {
        self.in_force.contains(&mechanism)
    }

    /// The report, if the program may start.
    pub(crate) fn judge(&self, spec: &SandboxSpec) -> Result<PropertyReport, Refusal> {
        match assess(spec, &self.in_force) {
            Assessment::Fit(properties) => Ok(PropertyReport {
                properties,
                landlock_abi: self.landlock_abi,
                outer_uid: self.outer_uid,
                libraries: self.libraries.clone(),
            }),
            Assessment::Unfit(missing) => Err(Refusal::Unattainable(missing)),
        }
    }
}
