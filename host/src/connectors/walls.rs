//! The sandbox of a connector, from its manifest, its configuration and the owner's exceptions.
//! Source: docs/spec/connectors.md#walls.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fcp_proto_core::manifest::{PathSource, SandboxProfile};
use serde_json::Value;

use super::evidence::Local;
use super::launch::Installation;
use crate::sandbox::{CpuLimit, Limits, Profile, SandboxSpec};

/// The order for a connector's process. It has no environment and no arguments.
pub(super) fn spec(installation: &Installation, file_size_mib: u32) -> SandboxSpec {
    let manifest = &installation.manifest;
    let mut spec = SandboxSpec::new(manifest.connector.id.as_str());
    // The kernel wants a short name.
    spec.name.truncate(MAX_NAME);
    let wanted = &manifest.sandbox;
    spec.profile = match wanted.profile {
        SandboxProfile::Strict | SandboxProfile::StrictPlus => Profile::Strict,
        // Permissive lowers no wall by itself: only the owner's exceptions do.
        SandboxProfile::Moderate | SandboxProfile::Permissive => Profile::Moderate,
    };
    spec.writable = paths(&wanted.writable, &installation.config);
    spec.read_only = paths(&wanted.read_only, &installation.config);
    spec.read_only.retain(|path| !spec.writable.contains(path));
    spec.limits = Limits {
        memory_mib: wanted.memory_mb,
        processes: wanted.processes,
        descriptors: wanted.descriptors,
        file_size_mib,
        cpu: CpuLimit { percent: Some(wanted.cpu_percent), seconds: Some(MAX_CPU_SECONDS) },
    };
    spec.exceptions = match wanted.profile {
        SandboxProfile::StrictPlus => BTreeSet::new(),
        SandboxProfile::Strict | SandboxProfile::Moderate | SandboxProfile::Permissive => {
            installation.sandbox_exceptions.clone()
        }
    };
    spec
}

/// Whether the process can change anything without egress.
pub(super) fn local(installation: &Installation) -> Local {
    if paths(&installation.manifest.sandbox.writable, &installation.config).is_empty() {
        Local::Nothing
    } else {
        Local::Files
    }
}

fn paths(sources: &[PathSource], config: &Value) -> BTreeSet<PathBuf> {
    sources.iter().flat_map(|source| source.resolve(config)).map(PathBuf::from).collect()
}

/// The longest name the launcher takes.
const MAX_NAME: usize = 64;

/// Processor time of one process. Chosen: a day; the share bounds it sooner where a control group is permitted.
const MAX_CPU_SECONDS: u32 = 86_400;
