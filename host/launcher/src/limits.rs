//! The limits of one process.

use crate::failure::{At, Outcome};
use crate::walls::Walls;
use fcp_launcher::{Mechanism, Profile, SandboxSpec, Step};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets every limit for this process and what it starts.
pub(crate) fn set(spec: &SandboxSpec, walls: &mut Walls) -> Outcome<()> {
    let limits = &spec.limits;
    let counted = walls.stands(Mechanism::UserNamespace) && walls.outer_uid != 0;
    let rows = [
        (Resource::As, Some(address_space(spec, walls)), Some(Mechanism::RlimitAddressSpace)),
        (Resource::Fsize, Some(u64::from(limits.file_size_mib) << 20), Some(Mechanism::RlimitFileSize)),
        (Resource::Cpu, limits.cpu.seconds.map(u64::from), Some(Mechanism::RlimitCpu)),
        (Resource::Core, Some(0), Some(Mechanism::RlimitCore)),
        // The kernel counts tasks in the user namespace, where inner is one too; it does not count those of user 0.
        (Resource::Nproc, counted.then(|| u64::from(limits.processes) + 1), Some(Mechanism::RlimitProcesses)),
        (Resource::Memlock, Some(0), None),
        (Resource::Msgqueue, Some(0), None),
        (Resource::Rtprio, Some(0), None),
        (Resource::Nice, Some(0), None),
        (Resource::Sigpending, Some(SIGNALS), None),
        (Resource::Nofile, Some(u64::from(limits.descriptors)), Some(Mechanism::RlimitDescriptors)),
    ];
    for (resource, value, mechanism) in rows {
        let skipped = mechanism.is_some_and(|mechanism| spec.without.contains(&mechanism));
        let Some(value) = value.filter(|_| !skipped) else { continue };
        lower(resource, value)?;
        if let Some(mechanism) = mechanism {
            walls.raise(mechanism);
        }
    }
    Ok(())
}

/// Lowers a limit for good. A hard limit that is lower already stays.
fn lower(resource: Resource, value: u64) -> Outcome<()> {
    let value = getrlimit(resource).maximum.map_or(value, |hard| hard.min(value));
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, limit).at_subject(Step::SetLimit, format!("{resource:?} {value}"))
}

/// The address space of one process, in bytes. Where nothing counts the processes' memory together, each gets a part.
fn address_space(spec: &SandboxSpec, walls: &Walls) -> u64 {
    let whole = u64::from(spec.limits.memory_mib) << 20;
    match spec.profile {
        Profile::Strict => whole,
        Profile::Moderate if walls.stands(Mechanism::CgroupMemory) => whole,
        Profile::Moderate => whole / u64::from(spec.limits.processes),
    }
}

/// Signals that may wait. Chosen: a runtime needs a handful.
const SIGNALS: u64 = 64;
