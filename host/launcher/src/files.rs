//! Landlock: a second wall around files, with every right the kernel's version knows, and around TCP, signals and
//! abstract sockets where it can.

use crate::failure::{At, Outcome};
use crate::system::landlock_version;
use crate::walls::Walls;
use fcp_launcher::{Device, Mechanism, SandboxSpec, Step};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::io;
use std::path::Path;

/// Restricts this process to its grants. A kernel without Landlock changes nothing, and the judgement tells.
pub(crate) fn restrict(spec: &SandboxSpec, walls: &mut Walls, loader: Option<&Path>) -> Outcome<()> {
    let abi = kernel_abi();
    let files = abi != ABI::Unsupported && !spec.without.contains(&Mechanism::LandlockFiles);
    if !files {
        return Ok(());
    }
    let mut rules = ruleset(abi).map_err(io::Error::other).at(Step::RestrictFiles)?;
    for (path, rights) in grants(spec, walls, loader) {
        rules = grant(rules, path, rights & AccessFs::from_all(abi), abi)
            .at_subject(Step::RestrictFiles, path.display())?;
    }
    let status = rules.restrict_self().map_err(io::Error::other).at(Step::RestrictFiles)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Ok(());
    }
    walls.landlock_abi = abi as u32;
    walls.raise(Mechanism::LandlockFiles);
    if abi >= ABI::V4 {
        walls.raise(Mechanism::LandlockTcp);
    }
    if abi >= ABI::V6 {
        walls.raise(Mechanism::LandlockScopes);
    }
    Ok(())
}

/// The newest version that both the kernel and this program know.
fn kernel_abi() -> ABI {
    const KNOWN: [ABI; 10] =
        [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6, ABI::V7, ABI::V8, ABI::V9, ABI::V10];
    let version = landlock_version().min(KNOWN.len());
    version.checked_sub(1).and_then(|index| KNOWN.get(index)).copied().unwrap_or(ABI::Unsupported)
}

/// Everything is handled, hence forbidden, that the kernel can handle; what it must handle is demanded.
fn ruleset(abi: ABI) -> Result<RulesetCreated, RulesetError> {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let mut rules = rules.handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        rules = rules.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    rules.create()
}

/// What is permitted, and where.
fn grants<'paths>(
    spec: &'paths SandboxSpec,
    walls: &'paths Walls,
    loader: Option<&'paths Path>,
) -> impl Iterator<Item = (&'paths Path, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let paths = spec.read_only.iter().map(move |path| (path.as_path(), read));
    let paths = paths.chain(spec.writable.iter().map(move |path| (path.as_path(), read | change())));
    let paths = paths.chain(walls.libraries.iter().map(|path| (path.as_path(), AccessFs::ReadFile.into())));
    let paths = paths.chain(loader.map(|path| (path, AccessFs::ReadFile | AccessFs::Execute)));
    paths.chain(spec.devices.iter().map(|device| (Path::new(device.path()), device_rights(*device))))
}

fn grant(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>, abi: ABI) -> io::Result<RulesetCreated> {
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(abi) };
    let place = PathFd::new(path).map_err(io::Error::other)?;
    rules.add_rule(PathBeneath::new(place, rights)).map_err(io::Error::other)
}

/// Ordinary files and folders; no links, sockets, pipes or devices, which would reach beyond the grant.
fn change() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

fn device_rights(device: Device) -> BitFlags<AccessFs> {
    match device {
        Device::Null => AccessFs::ReadFile | AccessFs::WriteFile,
        Device::Zero | Device::Urandom => AccessFs::ReadFile.into(),
    }
}
