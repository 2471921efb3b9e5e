//! Giving up every privilege, for good.

use crate::failure::{At, Outcome};
use crate::walls::Walls;
use fcp_launcher::{Mechanism, SandboxSpec, Step};
use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::io;

/// Whether this process may make every namespace, mount and identity without a user namespace.
pub(crate) fn is_privileged() -> bool {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::DAC_OVERRIDE;
    rustix::process::geteuid().is_root()
        && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Leaves every group but the own.
pub(crate) fn leave_groups() -> Outcome<()> {
    set_thread_groups(&[]).at_subject(Step::TakeIdentity, "groups")
}

/// Becomes a user for good.
pub(crate) fn become_user(uid: u32, gid: u32) -> Outcome<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid).at_subject(Step::TakeIdentity, "group")?;
    set_thread_res_uid(uid, uid, uid).at_subject(Step::TakeIdentity, "user")
}

/// Empties all capability sets and sees to it that no execution fills them.
pub(crate) fn drop_all(spec: &SandboxSpec, walls: &mut Walls) -> Outcome<()> {
    if !spec.without.contains(&Mechanism::NoNewPrivs) {
        set_no_new_privs(true).at(Step::DropPrivileges)?;
        walls.raise(Mechanism::NoNewPrivs);
    }
    if spec.without.contains(&Mechanism::NoCapabilities) {
        return Ok(());
    }
    clear_ambient_capability_set().at(Step::DropPrivileges)?;
    let held = capabilities(None).at(Step::DropPrivileges)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        lock().at_subject(Step::DropPrivileges, "bounding set")?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).at(Step::DropPrivileges)?;
    let left = capabilities(None).at(Step::DropPrivileges)?;
    if left == none {
        walls.raise(Mechanism::NoCapabilities);
    }
    Ok(())
}

/// Empties the bounding set and locks the bits that would let user 0 regain anything.
fn lock() -> io::Result<()> {
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // Beyond the last capability this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(bits)?;
    Ok(())
}
