//! The sandbox of a connector, from its manifest, its configuration and the owner's exceptions.
//! Source: docs/spec/connectors.md#walls.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fcp_proto_core::manifest::{Manifest, PathSource, Sandbox, SandboxProfile};
use serde_json::Value;

use super::evidence::Local;
use super::launch::Installation;
use super::off_limits::OffLimits;
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
    (spec.writable, spec.read_only) = granted(wanted, &installation.config);
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

/// Whether the process is given no file beside its own program.
pub(super) fn is_without_files(installation: &Installation) -> bool {
    let (writable, read_only) = granted(&installation.manifest.sandbox, &installation.config);
    writable.is_empty() && read_only.is_empty()
}

/// Whether everything that a configuration names may be given to the connector.
///
/// # Errors
/// The path, and why not.
//= docs/spec/connectors.md#walls
pub(crate) fn check_paths(manifest: &Manifest, config: &Value, off_limits: &OffLimits) -> Result<(), String> {
    let wanted = &manifest.sandbox;
    let mut spec = SandboxSpec::new(manifest.connector.id.as_str());
    spec.name.truncate(MAX_NAME);
    (spec.writable, spec.read_only) = granted(wanted, config);
    spec.validate().map_err(|error| error.problem)?;
    let each = [(&spec.writable, true), (&spec.read_only, false)];
    each.into_iter().try_for_each(|(paths, writable)| {
        paths.iter().try_for_each(|path| off_limits.check(path, writable)).map_err(|error| error.to_string())
    })
}

/// What may be written, and what may only be read.
fn granted(wanted: &Sandbox, config: &Value) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let (writable, mut read_only) = (paths(&wanted.writable, config), paths(&wanted.read_only, config));
    read_only.retain(|path| !writable.contains(path));
    (writable, read_only)
}

fn paths(sources: &[PathSource], config: &Value) -> BTreeSet<PathBuf> {
    sources.iter().flat_map(|source| source.resolve(config)).map(PathBuf::from).collect()
}

/// The longest name the launcher takes.
const MAX_NAME: usize = 64;

/// Processor time of one process. Chosen: a day; the share bounds it sooner where a control group is permitted.
const MAX_CPU_SECONDS: u32 = 86_400;
