//! Control groups, version 1 or 2, where this process may make them.
//!
//! Each sandbox gets a group `fcp-<process number of outer>` below the daemon's own group, or beside it where the
//! daemon sits in a leaf of a delegated tree. Groups of launchers that were killed are removed by the next start.

use fcp_launcher::{Limits, Mechanism, SandboxSpec};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The groups of one sandbox; removed when dropped.
#[derive(Default)]
pub(crate) struct Groups {
    folders: Vec<PathBuf>,
    in_force: Vec<Mechanism>,
}

impl Groups {
    /// Makes as many groups as the machine permits.
    pub(crate) fn make(spec: &SandboxSpec) -> Self {
        let mut groups = Self::default();
        let (Ok(mounts), Ok(membership)) =
            (fs::read_to_string("/proc/self/mountinfo"), fs::read_to_string("/proc/self/cgroup"))
        else {
            return groups;
        };
        let wanted: Vec<Wish> = wishes(&spec.limits).filter(|wish| !spec.without.contains(&wish.mechanism)).collect();
        for wish in &wanted {
            let place = version_1(&mounts, &membership, wish.controller);
            groups.try_in(place.into_iter().collect(), std::slice::from_ref(wish), Version::One);
        }
        let rest: Vec<Wish> =
            wanted.into_iter().filter(|wish| !groups.in_force.contains(&wish.mechanism)).collect();
        if !rest.is_empty() {
            groups.try_in(version_2(&mounts, &membership), &rest, Version::Two);
        }
        groups
    }

    /// What they bound, once the sandbox is inside.
    pub(crate) fn in_force(&self) -> &[Mechanism] {
        &self.in_force
    }

    /// Puts a process inside.
    pub(crate) fn enter(&self, process: i32) -> io::Result<()> {
        self.folders.iter().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), process.to_string()))
    }

    /// Makes a group in the first place that permits one; a group that bounds nothing is not kept.
    fn try_in(&mut self, places: Vec<PathBuf>, wishes: &[Wish], version: Version) {
        for place in places {
            remove_abandoned(&place);
            let folder = place.join(format!("{PREFIX}{}", std::process::id()));
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            let met: Vec<_> = wishes.iter().filter(|wish| wish.grant(&place, &folder, version).is_ok()).collect();
            let may_enter = rustix::fs::access(folder.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok();
            if met.is_empty() || !may_enter {
                remove(&folder);
                continue;
            }
            self.in_force.extend(met.iter().map(|wish| wish.mechanism));
            self.folders.push(folder);
            return;
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.folders.iter().for_each(|folder| remove(folder));
    }
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

/// A bound a control group shall set.
struct Wish {
    mechanism: Mechanism,
    controller: &'static str,
    /// Files and values, of version 1 and of version 2.
    files: [Vec<(&'static str, String)>; 2],
}

impl Wish {
    fn grant(&self, parent: &Path, folder: &Path, version: Version) -> io::Result<()> {
        let files = match version {
            Version::One => &self.files[0],
            Version::Two => {
                let enable = fs::write(parent.join("cgroup.subtree_control"), format!("+{}", self.controller));
                let ready = fs::read_to_string(folder.join("cgroup.controllers"))?;
                if !ready.split_whitespace().any(|controller| controller == self.controller) {
                    return enable.and(Err(io::Error::from(io::ErrorKind::Unsupported)));
                }
                &self.files[1]
            }
        };
        files.iter().try_for_each(|(file, value)| fs::write(folder.join(file), value))
    }
}

fn wishes(limits: &Limits) -> impl Iterator<Item = Wish> {
    let bytes = (u64::from(limits.memory_mib) << 20).to_string();
    let memory = Wish {
        mechanism: Mechanism::CgroupMemory,
        controller: "memory",
        files: [vec![("memory.limit_in_bytes", bytes.clone())], vec![("memory.max", bytes)]],
    };
    // Inner is in the group too.
    let tasks = (limits.processes + 1).to_string();
    let processes = Wish {
        mechanism: Mechanism::CgroupProcesses,
        controller: "pids",
        files: [vec![("pids.max", tasks.clone())], vec![("pids.max", tasks)]],
    };
    let cpu = limits.cpu.percent.map(|percent| Wish {
        mechanism: Mechanism::CgroupCpu,
        controller: "cpu",
        files: [
            vec![
                ("cpu.cfs_period_us", CPU_PERIOD.to_string()),
                ("cpu.cfs_quota_us", (CPU_PERIOD / 100 * percent).to_string()),
            ],
            vec![("cpu.max", format!("{} {CPU_PERIOD}", CPU_PERIOD / 100 * percent))],
        ],
    });
    [memory, processes].into_iter().chain(cpu)
}

/// The daemon's group in the hierarchy of a version 1 controller.
fn version_1(mounts: &str, membership: &str, controller: &str) -> Option<PathBuf> {
    let own = membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let named = parts.next()?.split(',').any(|name| name == controller);
        if named { parts.next() } else { None }
    })?;
    let mount = mounts.lines().filter_map(Mount::parse).find(|mount| {
        mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
    })?;
    Some(mount.folder_of(own))
}

/// The daemon's group in the version 2 hierarchy, and the one above it.
fn version_2(mounts: &str, membership: &str) -> Vec<PathBuf> {
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"));
    let mount = mounts.lines().filter_map(Mount::parse).find(|mount| mount.kind == "cgroup2");
    let (Some(own), Some(mount)) = (own, mount) else { return Vec::new() };
    let folder = mount.folder_of(own);
    let above = folder.parent().filter(|above| above.starts_with(&mount.point)).map(Path::to_owned);
    [Some(folder), above].into_iter().flatten().collect()
}

/// A line of `/proc/self/mountinfo` (proc(5)).
struct Mount<'line> {
    root: &'line str,
    point: PathBuf,
    kind: &'line str,
    options: &'line str,
}

impl<'line> Mount<'line> {
    fn parse(line: &'line str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        Some(Self { root, point: PathBuf::from(point), kind, options })
    }

    fn folder_of(&self, group: &str) -> PathBuf {
        let below = group.strip_prefix(self.root.trim_end_matches('/')).unwrap_or(group);
        self.point.join(below.trim_start_matches('/'))
    }
}

/// Removes a group whose processes are about to be gone. One that stays is removed by the next start.
fn remove(folder: &Path) {
    for _ in 0..REMOVAL_TRIES {
        if fs::remove_dir(folder).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("fcp-launcher: the control group {} is not empty", folder.display());
}

/// Removes the groups of launchers that no longer live. Only an empty group can be removed at all.
fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|id| id.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            // A race with another launcher that does the same is lost without harm.
            drop(fs::remove_dir(entry.path()));
        }
    }
}

const PREFIX: &str = "fcp-";

/// The period over which a share is counted, in microseconds: the kernel's default.
const CPU_PERIOD: u32 = 100_000;

/// Chosen: half a second.
const REMOVAL_TRIES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn finds_the_own_group_of_each_version() {
        let membership = "9:memory:/box/a\n3:cpu,cpuacct:/\n0::/user.slice/fcp.service\n";
        assert_eq!(version_1(MOUNTS, membership, "memory").unwrap(), Path::new("/sys/fs/cgroup/memory/box/a"));
        assert_eq!(version_1(MOUNTS, membership, "cpu").unwrap(), Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(version_1(MOUNTS, membership, "pids"), None);
        assert_eq!(
            version_2(MOUNTS, membership),
            [
                Path::new("/sys/fs/cgroup/unified/user.slice/fcp.service"),
                Path::new("/sys/fs/cgroup/unified/user.slice")
            ]
        );
    }

    #[test]
    fn the_root_group_has_none_above() {
        assert_eq!(version_2(MOUNTS, "0::/\n"), [Path::new("/sys/fs/cgroup/unified/")]);
        assert!(version_2("garbage", "0::/").is_empty());
    }

    #[test]
    fn a_mount_of_a_part_hides_the_rest_of_the_name() {
        let mount = Mount::parse("1 2 0:3 /docker/x /cg rw - cgroup2 cgroup rw").unwrap();
        assert_eq!(mount.folder_of("/docker/x/y"), Path::new("/cg/y"));
    }
}
