//! Properties, mechanisms and the judgement that connects them: a sandbox demands properties; each is met by any of
//! some sets of mechanisms; one that is not met refuses the start unless the owner accepted exactly that.

use crate::spec::SandboxSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Declares an enum that is written in snake case and can list its values.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])+ $value:ident $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])+ #[serde(rename = $text)] $value,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

vocabulary! {
    /// What a sandbox guarantees of the program inside.
    Property {
        /// It cannot reach a network or a socket of others, but for descriptor 3.
        NoNetwork "no_network",
        /// It sees no files but those granted, and the system libraries it is linked to.
        NoForeignFiles "no_foreign_files",
        /// It cannot execute another program.
        NoExec "no_exec",
        /// The code that runs is the code that was checked.
        CodeSealed "code_sealed",
        /// Its memory is bounded.
        MemoryBounded "memory_bounded",
        /// The number of its threads and processes is bounded.
        ProcessesBounded "processes_bounded",
        /// Its processor time is bounded.
        CpuBounded "cpu_bounded",
        /// The number of its descriptors is bounded.
        DescriptorsBounded "descriptors_bounded",
        /// The size of the files it writes is bounded.
        FileSizeBounded "file_size_bounded",
        /// It cannot see, signal or trace processes outside.
        NoSightOfOthers "no_sight_of_others",
        /// It has no privileges and can gain none.
        NoNewPrivileges "no_new_privileges",
        /// Only listed system calls reach the kernel.
        SyscallsBounded "syscalls_bounded",
        /// It inherits no descriptors but those named.
        NoInheritedDescriptors "no_inherited_descriptors",
        /// Its environment is what the order says.
        EnvironmentBounded "environment_bounded",
        /// It has no terminal.
        TerminalDetached "terminal_detached",
        /// It writes no core dump.
        NoCoreDump "no_core_dump",
        /// It and all it started end when the daemon does.
        EndsWithDaemon "ends_with_daemon",
    }
}

vocabulary! {
    /// A means of the system that was put in force.
    Mechanism {
        /// A user namespace that maps one user.
        UserNamespace "user_namespace",
        /// A network namespace without an interface that is up.
        NetworkNamespace "network_namespace",
        /// A process namespace whose first process is the launcher's.
        PidNamespace "pid_namespace",
        /// A namespace of System V and POSIX objects.
        IpcNamespace "ipc_namespace",
        /// A namespace of host names.
        UtsNamespace "uts_namespace",
        /// A mount namespace whose root holds only what was granted.
        PrivateRoot "private_root",
        /// Landlock over files.
        LandlockFiles "landlock_files",
        /// Landlock over TCP.
        LandlockTcp "landlock_tcp",
        /// Landlock over signals and abstract sockets.
        LandlockScopes "landlock_scopes",
        /// A list of the permitted system calls.
        SyscallFilter "syscall_filter",
        /// A filter that lets one execution through, decided by the launcher.
        SingleExecution "single_execution",
        /// Memory that was not executable cannot become so.
        NoExecutableGain "no_executable_gain",
        /// The kernel's seals on the code.
        Seals "seals",
        /// `no_new_privs`.
        NoNewPrivs "no_new_privs",
        /// All capability sets are empty.
        NoCapabilities "no_capabilities",
        /// The limit on address space.
        RlimitAddressSpace "rlimit_address_space",
        /// The limit on tasks, counted in the user namespace.
        RlimitProcesses "rlimit_processes",
        /// The limit on descriptors.
        RlimitDescriptors "rlimit_descriptors",
        /// The limit on file size.
        RlimitFileSize "rlimit_file_size",
        /// The limit on processor time.
        RlimitCpu "rlimit_cpu",
        /// The limit on core dumps.
        RlimitCore "rlimit_core",
        /// A control group bounds memory.
        CgroupMemory "cgroup_memory",
        /// A control group bounds tasks.
        CgroupProcesses "cgroup_processes",
        /// A control group bounds the share of the processor.
        CgroupCpu "cgroup_cpu",
        /// Every other descriptor was closed.
        DescriptorsClosed "descriptors_closed",
        /// The environment was made from the order alone.
        EnvironmentReplaced "environment_replaced",
        /// A session without a terminal.
        OwnSession "own_session",
        /// The socket to the daemon.
        Lifeline "lifeline",
    }
}

/// How one property stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// It is guaranteed, by these.
    Met(BTreeSet<Mechanism>),
    /// It is not guaranteed; the owner accepted that. These help.
    Weakened(BTreeSet<Mechanism>),
    /// It is not guaranteed, and this would change it.
    Unattainable(String),
}

/// How every property stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyReport {
    /// One entry a property, all of them.
    pub properties: BTreeMap<Property, Standing>,
    /// The version of Landlock in force, 0 if none.
    pub landlock_abi: u32,
    /// The user outside as whom the program runs.
    pub outer_uid: u32,
    /// The system's files the program sees beside its grants: its loader and the libraries it is linked to.
    pub libraries: BTreeSet<std::path::PathBuf>,
}

/// Whether the program may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// Every property is met or accepted as it is.
    Fit(BTreeMap<Property, Standing>),
    /// These are neither.
    Unfit(Vec<(Property, String)>),
}

/// Judges the mechanisms in force against every property.
pub fn assess(spec: &SandboxSpec, in_force: &BTreeSet<Mechanism>) -> Assessment {
    let standings: BTreeMap<_, _> =
        Property::ALL.iter().map(|property| (*property, standing(*property, spec, in_force))).collect();
    let missing: Vec<_> = standings
        .iter()
        .filter_map(|(property, standing)| match standing {
            Standing::Met(_) | Standing::Weakened(_) => None,
            Standing::Unattainable(remedy) => Some((*property, remedy.clone())),
        })
        .collect();
    if missing.is_empty() { Assessment::Fit(standings) } else { Assessment::Unfit(missing) }
}

fn standing(property: Property, spec: &SandboxSpec, in_force: &BTreeSet<Mechanism>) -> Standing {
    let (ways, helping, remedy) = demands(property, spec);
    let helps = |all: &mut dyn Iterator<Item = Mechanism>| all.filter(|m| in_force.contains(m)).collect();
    let by: BTreeSet<Mechanism> =
        helps(&mut ways.iter().flat_map(|way| way.iter().copied()).chain(helping.iter().copied()));
    if ways.iter().any(|way| way.iter().all(|mechanism| in_force.contains(mechanism))) {
        Standing::Met(by)
    } else if spec.exceptions.contains(&property) {
        Standing::Weakened(by)
    } else {
        Standing::Unattainable(remedy.to_owned())
    }
}

/// The ways to meet a property (each a set that suffices), what else strengthens it, and the remedy.
type Demand = (&'static [&'static [Mechanism]], &'static [Mechanism], &'static str);

fn demands(property: Property, spec: &SandboxSpec) -> Demand {
    use Mechanism as M;
    match property {
        Property::NoNetwork => (&[&[M::SyscallFilter], &[M::NetworkNamespace]], &[M::LandlockTcp], SECCOMP),
        Property::NoForeignFiles => (&[&[M::PrivateRoot]], &[M::LandlockFiles], NAMESPACES),
        Property::NoExec => {
            (&[&[M::SyscallFilter, M::SingleExecution]], &[M::LandlockFiles, M::NoExecutableGain], SECCOMP)
        }
        Property::CodeSealed => (&[&[M::Seals]], &[], "hand over the code as a sealed memfd"),
        Property::MemoryBounded => (&[&[M::RlimitAddressSpace], &[M::CgroupMemory]], &[], CGROUPS),
        Property::ProcessesBounded => (&[&[M::RlimitProcesses], &[M::CgroupProcesses]], &[M::SyscallFilter], CGROUPS),
        Property::CpuBounded => cpu_demand(spec),
        Property::DescriptorsBounded => (&[&[M::RlimitDescriptors]], &[], "raise the daemon's hard RLIMIT_NOFILE"),
        Property::FileSizeBounded => (&[&[M::RlimitFileSize]], &[], "raise the daemon's hard RLIMIT_FSIZE"),
        Property::NoSightOfOthers => (
            &[&[M::PidNamespace, M::IpcNamespace, M::PrivateRoot, M::SyscallFilter]],
            &[M::UserNamespace, M::UtsNamespace, M::LandlockScopes],
            NAMESPACES,
        ),
        Property::NoNewPrivileges => (&[&[M::NoNewPrivs, M::NoCapabilities]], &[M::UserNamespace], SECCOMP),
        Property::SyscallsBounded => (&[&[M::SyscallFilter]], &[], SECCOMP),
        Property::NoInheritedDescriptors => (&[&[M::DescriptorsClosed]], &[], "use Linux 5.12 or later"),
        Property::EnvironmentBounded => (&[&[M::EnvironmentReplaced]], &[], "use Linux 5.12 or later"),
        Property::TerminalDetached => (&[&[M::OwnSession]], &[M::SyscallFilter], "use Linux 5.12 or later"),
        Property::NoCoreDump => (&[&[M::RlimitCore]], &[], "use Linux 5.12 or later"),
        Property::EndsWithDaemon => {
            (&[&[M::Lifeline, M::PidNamespace], &[M::Lifeline, M::SyscallFilter]], &[], NAMESPACES)
        }
    }
}

/// A share or a total, whichever the order names: either bounds it.
fn cpu_demand(spec: &SandboxSpec) -> Demand {
    use Mechanism as M;
    match (spec.limits.cpu.percent, spec.limits.cpu.seconds) {
        (Some(_), Some(_)) => (&[&[M::CgroupCpu], &[M::RlimitCpu]], &[], CGROUPS),
        (Some(_), None) => (&[&[M::CgroupCpu]], &[], CPU_SHARE),
        (None, Some(_)) | (None, None) => (&[&[M::RlimitCpu]], &[], CGROUPS),
    }
}

const NAMESPACES: &str = "permit user namespaces: sysctl kernel.unprivileged_userns_clone=1, \
    user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0 or a profile for fcp-launcher";
const CGROUPS: &str = "delegate a control group to the daemon (systemd: Delegate=yes), or run it as another user than root";
const CPU_SHARE: &str = "delegate a control group with the cpu controller (systemd: Delegate=yes), or give a total in seconds";
const SECCOMP: &str = "use a kernel with CONFIG_SECCOMP_FILTER, Linux 5.12 or later";

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> BTreeSet<Mechanism> {
        Mechanism::ALL.iter().copied().collect()
    }

    fn missing(spec: &SandboxSpec, in_force: &BTreeSet<Mechanism>) -> Vec<Property> {
        match assess(spec, in_force) {
            Assessment::Fit(_) => Vec::new(),
            Assessment::Unfit(missing) => missing.into_iter().map(|(property, _)| property).collect(),
        }
    }

    #[test]
    fn everything_meets_everything_and_nothing_meets_nothing() {
        let spec = SandboxSpec::new("probe");
        assert_eq!(missing(&spec, &everything()), []);
        assert_eq!(missing(&spec, &BTreeSet::new()), Property::ALL);
    }

    #[test]
    fn an_exception_covers_exactly_its_property() {
        let mut spec = SandboxSpec::new("probe");
        let mut in_force = everything();
        in_force.remove(&Mechanism::PrivateRoot);
        assert_eq!(missing(&spec, &in_force), [Property::NoForeignFiles, Property::NoSightOfOthers]);
        spec.exceptions.insert(Property::NoForeignFiles);
        assert_eq!(missing(&spec, &in_force), [Property::NoSightOfOthers]);
        spec.exceptions.insert(Property::NoSightOfOthers);
        let Assessment::Fit(standings) = assess(&spec, &in_force) else { panic!("both are accepted") };
        assert!(matches!(standings[&Property::NoForeignFiles], Standing::Weakened(_)));
        assert!(matches!(standings[&Property::NoNetwork], Standing::Met(_)));
    }

    #[test]
    fn a_share_of_the_processor_is_not_met_by_a_total() {
        let mut spec = SandboxSpec::new("probe");
        let mut in_force = everything();
        in_force.remove(&Mechanism::CgroupCpu);
        assert_eq!(missing(&spec, &in_force), []);
        spec.limits.cpu.seconds = None;
        assert_eq!(missing(&spec, &in_force), [Property::CpuBounded]);
    }

    #[test]
    fn names_are_what_is_written() {
        for property in Property::ALL {
            assert_eq!(serde_json::to_value(property).unwrap(), property.name());
        }
        for mechanism in Mechanism::ALL {
            assert_eq!(serde_json::to_value(mechanism).unwrap(), mechanism.name());
        }
    }
}
