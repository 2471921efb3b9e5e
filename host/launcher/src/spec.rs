//! The order's content: one program and the walls around it. Empty means none everywhere.

use crate::report::{Mechanism, Property};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// One program and the walls around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSpec {
    /// The name the program sees as its own (`argv[0]`).
    pub name: String,
    /// Further arguments. Everybody on the machine may read them, so never a secret.
    pub arguments: Vec<String>,
    /// The whole environment. Never a secret.
    pub environment: BTreeMap<String, String>,
    /// What the program may do beside computing.
    pub profile: Profile,
    /// Files and folders it may read, at the same place as outside. Absolute, without symbolic links.
    pub read_only: BTreeSet<PathBuf>,
    /// Files and folders it may read and change. Absolute, without symbolic links.
    pub writable: BTreeSet<PathBuf>,
    /// The devices it may open.
    pub devices: BTreeSet<Device>,
    /// How much it may use.
    pub limits: Limits,
    /// Properties the owner accepted to do without, by a recorded decision, where this machine cannot provide them.
    pub exceptions: BTreeSet<Property>,
    /// Mechanisms to treat as if the machine had none, so that `doctor` and the tests can see what would follow. It
    /// never weakens silently: what they would have provided must be met otherwise, or is refused.
    pub without: BTreeSet<Mechanism>,
}

/// What a program may do beside computing with what it was given. No profile permits to execute another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Threads, but no child processes.
    Strict,
    /// Threads and child processes of its own code.
    Moderate,
}

/// A device that holds no state of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// `/dev/null`
    Null,
    /// `/dev/zero`
    Zero,
    /// `/dev/urandom`
    Urandom,
}

impl Device {
    /// Where it lies.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Null => "/dev/null",
            Self::Zero => "/dev/zero",
            Self::Urandom => "/dev/urandom",
        }
    }
}

/// How much a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory of all its processes, in MiB. Where no control group is permitted it bounds the address space.
    pub memory_mib: u32,
    /// Threads and processes together.
    pub processes: u32,
    /// Open descriptors of one process.
    pub descriptors: u32,
    /// The size a file may grow to, in MiB.
    pub file_size_mib: u32,
    /// Processor time.
    pub cpu: CpuLimit,
}

/// Processor time; at least one of the two. A share needs a control group, a total does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuLimit {
    /// The share of one processor, in percent; 200 is two processors.
    pub percent: Option<u32>,
    /// The total a process may use in its life, in seconds; then it is killed.
    pub seconds: Option<u32>,
}

impl SandboxSpec {
    /// A program in the strict profile with no files, no environment, no devices and modest limits.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            profile: Profile::Strict,
            read_only: BTreeSet::new(),
            writable: BTreeSet::new(),
            devices: BTreeSet::new(),
            limits: Limits::default(),
            exceptions: BTreeSet::new(),
            without: BTreeSet::new(),
        }
    }

    /// Checks everything that can be checked without the machine.
    pub fn validate(&self) -> Result<(), SpecError> {
        let refuse = |field: &str, problem: &str| {
            Err(SpecError { field: field.to_owned(), problem: problem.to_owned() })
        };
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return refuse("name", "must have 1 to 64 bytes");
        }
        if self.arguments.len() > MAX_COUNT || self.environment.len() > MAX_COUNT {
            return refuse("arguments", "more than 64");
        }
        if self.strings().any(|text| text.contains('\0')) {
            return refuse("arguments", "holds a NUL byte");
        }
        if self.environment.keys().any(|name| !is_environment_name(name)) {
            return refuse("environment", "names are letters, digits and underscores");
        }
        if self.read_only.len() + self.writable.len() > MAX_COUNT {
            return refuse("writable", "more than 64 paths");
        }
        if let Some(problem) = self.read_only.iter().chain(&self.writable).find_map(|path| path_problem(path)) {
            return refuse("writable", &problem);
        }
        if self.read_only.intersection(&self.writable).next().is_some() {
            return refuse("read_only", "a path is also writable");
        }
        self.limits.validate()
    }

    /// Every string that goes to the program.
    fn strings(&self) -> impl Iterator<Item = &String> {
        self.arguments.iter().chain(self.environment.iter().flat_map(|(key, value)| [key, value])).chain([&self.name])
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            processes: 16,
            descriptors: 64,
            file_size_mib: 64,
            cpu: CpuLimit { percent: Some(50), seconds: Some(3600) },
        }
    }
}

impl Limits {
    fn validate(&self) -> Result<(), SpecError> {
        let rows = [
            ("limits.memory_mib", self.memory_mib, 16, 1 << 20),
            ("limits.processes", self.processes, 1, 4096),
            ("limits.descriptors", self.descriptors, 8, 1 << 19),
            ("limits.file_size_mib", self.file_size_mib, 1, 1 << 20),
            ("limits.cpu.percent", self.cpu.percent.unwrap_or(1), 1, 10_000),
            ("limits.cpu.seconds", self.cpu.seconds.unwrap_or(1), 1, 1 << 30),
        ];
        for (field, value, least, most) in rows {
            if value < least || value > most {
                let problem = format!("{value} is not in {least}..={most}");
                return Err(SpecError { field: field.to_owned(), problem });
            }
        }
        if self.cpu.percent.is_none() && self.cpu.seconds.is_none() {
            let problem = "needs a share, a total or both".to_owned();
            return Err(SpecError { field: "limits.cpu".to_owned(), problem });
        }
        Ok(())
    }
}

/// The order is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecError {
    /// Where.
    pub field: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for SpecError {}

fn is_environment_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What makes a path unfit to be granted, if anything.
fn path_problem(path: &Path) -> Option<String> {
    let shown = path.display();
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Some(format!("{shown} is not absolute"));
    }
    if !parts.all(|part| matches!(part, Component::Normal(_))) || has_redundant_parts(path) {
        return Some(format!("{shown} is not in its plain form"));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Some("holds a NUL byte".to_owned());
    }
    let closed = path == Path::new("/") || CLOSED.iter().any(|root| path.starts_with(root));
    closed.then(|| format!("{shown} is never granted"))
}

/// Whether a path spells `//`, `/./` or a slash at its end, which `components` hides.
fn has_redundant_parts(path: &Path) -> bool {
    path.components().collect::<PathBuf>().as_os_str() != path.as_os_str()
}

/// Trees of the kernel, which tell of others or change the machine.
const CLOSED: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The kernel shows 15 bytes of a name and connectors' names are short. Chosen.
const MAX_NAME: usize = 64;

/// Arguments, variables and paths each. Chosen.
const MAX_COUNT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(change: impl FnOnce(&mut SandboxSpec)) -> String {
        let mut spec = SandboxSpec::new("probe");
        change(&mut spec);
        spec.validate().unwrap_err().field
    }

    #[test]
    fn the_default_is_valid_and_grants_nothing() {
        let spec = SandboxSpec::new("probe");
        assert_eq!(spec.validate(), Ok(()));
        assert!(spec.read_only.is_empty() && spec.writable.is_empty() && spec.environment.is_empty());
    }

    #[test]
    fn unfit_paths_are_refused() {
        for path in ["/", "relative", "/a/../b", "/a//b", "/a/", "/a/./b", "/proc/self", "/sys", "/dev/vda", ""] {
            assert_eq!(problem_of(|spec| drop(spec.writable.insert(path.into()))), "writable", "{path}");
        }
    }

    #[test]
    fn a_path_is_read_only_or_writable() {
        let both = problem_of(|spec| {
            spec.writable.insert("/srv/x".into());
            spec.read_only.insert("/srv/x".into());
        });
        assert_eq!(both, "read_only");
    }

    #[test]
    fn limits_have_ranges() {
        assert_eq!(problem_of(|spec| spec.limits.memory_mib = 0), "limits.memory_mib");
        assert_eq!(problem_of(|spec| spec.limits.processes = 0), "limits.processes");
        assert_eq!(problem_of(|spec| spec.limits.descriptors = 7), "limits.descriptors");
        assert_eq!(problem_of(|spec| spec.limits.cpu = CpuLimit { percent: None, seconds: None }), "limits.cpu");
    }

    #[test]
    fn nul_bytes_and_odd_names_are_refused() {
        assert_eq!(problem_of(|spec| spec.arguments.push("a\0b".into())), "arguments");
        assert_eq!(problem_of(|spec| drop(spec.environment.insert("A=B".into(), String::new()))), "environment");
        assert_eq!(problem_of(|spec| spec.name.clear()), "name");
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut value = serde_json::to_value(SandboxSpec::new("probe")).unwrap();
        value["surprise"] = 1.into();
        assert!(serde_json::from_value::<SandboxSpec>(value).is_err());
    }
}
