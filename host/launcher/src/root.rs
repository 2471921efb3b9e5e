//! The private root: an empty, read-only file system in memory that holds only what was granted, each grant a mount of
//! its own without set-user-id, devices or execution. There is no /proc, no /sys and no /dev.

use crate::failure::{At, Outcome};
use crate::system::set_mount_attributes;
use crate::walls::Walls;
use fcp_launcher::{SandboxSpec, Step};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};
use rustix::process::{chdir, fchdir, pivot_root, umask};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// One tree that will be visible inside.
struct Tree {
    place: PathBuf,
    mount: OwnedFd,
    is_folder: bool,
}

/// Enters the private root. The process must have a mount namespace of its own and power over it.
pub(crate) fn enter(spec: &SandboxSpec, walls: &Walls) -> Outcome<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at(Step::MountRoot)?;
    let trees = trees(spec, walls)?;
    let root = empty_root().at(Step::MountRoot)?;
    move_mount(&root, "", CWD, STAGE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .at_subject(Step::MountRoot, STAGE)?;
    fchdir(&root).at(Step::MountRoot)?;
    // Whoever started the daemon with a strict mask must not hide the new root from the program in it.
    let outside = umask(Mode::WGRP | Mode::WOTH);
    for tree in &trees {
        attach(tree).at_subject(Step::MountRoot, tree.place.display())?;
    }
    umask(outside);
    pivot_root(".", ".").at_subject(Step::MountRoot, "pivot")?;
    unmount(".", UnmountFlags::DETACH).at_subject(Step::MountRoot, "detach")?;
    chdir("/").at(Step::MountRoot)?;
    set_mount_attributes(root.as_fd(), libc::MOUNT_ATTR_RDONLY, false).at(Step::MountRoot)
}

/// Opens every grant, parents before what lies in them. It happens before anything of the old root is hidden.
fn trees(spec: &SandboxSpec, walls: &Walls) -> Outcome<Vec<Tree>> {
    let no_device = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let data = no_device | libc::MOUNT_ATTR_NOEXEC;
    let read_only = spec.read_only.iter().map(|path| (path.clone(), data | libc::MOUNT_ATTR_RDONLY));
    let writable = spec.writable.iter().map(|path| (path.clone(), data));
    let mut grants: Vec<(PathBuf, u64)> = read_only.chain(writable).collect();
    grants.sort();
    let mut trees = Vec::new();
    for (path, attributes) in grants {
        let source =
            openat2(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS)
                .at_subject(Step::OpenGrant, path.display())?;
        trees.push(tree(path, &source, attributes)?);
    }
    let libraries = walls.libraries.iter().map(|path| (path.clone(), no_device | libc::MOUNT_ATTR_RDONLY));
    let device = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY;
    let devices = spec.devices.iter().map(|granted| (PathBuf::from(granted.path()), device));
    for (path, attributes) in libraries.chain(devices) {
        let source = open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .at_subject(Step::OpenGrant, path.display())?;
        trees.push(tree(path, &source, attributes)?);
    }
    Ok(trees)
}

fn tree(place: PathBuf, source: &OwnedFd, attributes: u64) -> Outcome<Tree> {
    let subject = place.display().to_string();
    let status = fstat(source).at_subject(Step::OpenGrant, &subject)?;
    let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let mount = open_tree(source, "", flags).at_subject(Step::OpenGrant, &subject)?;
    set_mount_attributes(mount.as_fd(), attributes, true).at_subject(Step::OpenGrant, &subject)?;
    Ok(Tree { place, mount, is_folder })
}

fn empty_root() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "0755")?;
    fsconfig_set_string(&context, "size", ROOT_SIZE)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts a tree below the current folder, which is the new root.
fn attach(tree: &Tree) -> std::io::Result<()> {
    let inside = tree.place.strip_prefix("/").map_err(std::io::Error::other)?;
    make_mount_point(inside, tree.is_folder)?;
    move_mount(&tree.mount, "", CWD, inside, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Makes what a tree is mounted on, unless a tree mounted before has it.
fn make_mount_point(inside: &Path, is_folder: bool) -> std::io::Result<()> {
    if inside.symlink_metadata().is_ok() {
        return Ok(());
    }
    if is_folder {
        return fs::create_dir_all(inside);
    }
    if let Some(folder) = inside.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::create_new(inside).map(drop)
}

/// Where the new root is mounted for a moment. Nothing is hidden that is needed later: grants are opened before.
const STAGE: &str = "/tmp";

/// Room for the names of mount points. Chosen.
const ROOT_SIZE: &str = "1m";
