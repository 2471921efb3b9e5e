//! A copy of the workspace with the changes planted, and the test programs built from it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::places::Mutant;
use crate::schemata;

/// Says which change is chosen, and writes down which were asked for.
const SWITCH: &str = include_str!("switch.rs");

/// How often changes that do not compile are left out before the build is given up.
const MOST_BUILDS: usize = 20;

/// The copy.
pub(crate) struct Tree {
    root: PathBuf,
    originals: Vec<(String, String)>,
    left_out: RefCell<BTreeSet<u32>>,
}

/// The programs that hold the tests.
pub(crate) struct Tests {
    /// The crate's own.
    pub(crate) own: PathBuf,
    /// Those that stand beside it.
    pub(crate) beside: Vec<PathBuf>,
    /// Where they are run.
    pub(crate) at: PathBuf,
}

impl Tree {
    /// Copies what the repository holds.
    pub(crate) fn copy(from: &Path) -> Result<Self> {
        let root = from.join("target/mutants/tree");
        let listed =
            Command::new("git").args(["ls-files", "-z"]).current_dir(from).output().context("git")?;
        ensure!(listed.status.success(), "git cannot list the files");
        for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
            let (source, target) = (from.join(name), root.join(name));
            let folder = target.parent().context("a folder")?;
            fs::create_dir_all(folder)?;
            let bytes = fs::read(&source).with_context(|| source.display().to_string())?;
            // What has not changed keeps its time, and is not built again.
            if fs::read(&target).ok().as_deref() != Some(&bytes) {
                fs::write(&target, bytes)?;
            }
        }
        Ok(Self { root, originals: Vec::new(), left_out: RefCell::default() })
    }

    fn sources(&self) -> PathBuf {
        self.root.join("state-machines/src")
    }

    /// Plants every change in the files of `folders`.
    pub(crate) fn plant(&mut self, folders: &[&str]) -> Result<Vec<Mutant>> {
        for folder in folders {
            self.read(&self.sources().join(folder))?;
        }
        self.originals.sort();
        let lib = self.sources().join("lib.rs");
        let text = fs::read_to_string(&lib)?;
        fs::write(&lib, format!("{text}\nextern crate std;\n#[doc(hidden)]\npub mod mutant;\n"))?;
        fs::write(self.sources().join("mutant.rs"), SWITCH)?;
        self.write()
    }

    fn read(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_of_tests(&path) {
                continue;
            }
            if path.is_dir() {
                self.read(&path)?;
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(self.sources())?.to_string_lossy().into_owned();
                self.originals.push((name, fs::read_to_string(&path)?));
            }
        }
        Ok(())
    }

    fn write(&self) -> Result<Vec<Mutant>> {
        let left_out = self.left_out.borrow();
        let wanted = |id: u32| !left_out.contains(&id);
        let mut mutants = Vec::new();
        for (name, text) in &self.originals {
            let mut file = syn::parse_file(text).with_context(|| name.clone())?;
            schemata::plant(&mut file, name, &mut mutants, &wanted);
            fs::write(self.sources().join(name), prettyplease::unparse(&file))?;
        }
        Ok(mutants)
    }

    /// Whether a change was left out because it does not compile.
    pub(crate) fn left_out(&self, id: u32) -> bool {
        self.left_out.borrow().contains(&id)
    }

    /// How many were.
    pub(crate) fn left_out_count(&self) -> usize {
        self.left_out.borrow().len()
    }

    /// Builds the tests, without the changes that do not compile.
    pub(crate) fn build(&self) -> Result<Tests> {
        for _ in 0..MOST_BUILDS {
            let output = Command::new("cargo")
                .args([
                    "test",
                    "-p",
                    "fcp-state-machines",
                    "--lib",
                    "--test",
                    "gate_oracle",
                    "--test",
                    "node",
                ])
                .args(["--no-run", "--message-format=json"])
                .current_dir(&self.root)
                .env("CARGO_TARGET_DIR", self.root.join("../build"))
                .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
                .env("CARGO_PROFILE_DEV_DEBUG", "none")
                .env("RUSTFLAGS", "--cap-lints=allow")
                .stderr(Stdio::piped())
                .output()
                .context("cannot run cargo")?;
            let messages = String::from_utf8(output.stdout)?;
            let messages: Vec<Value> =
                messages.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            if output.status.success() {
                return self.programs(&messages);
            }
            let before = self.left_out_count();
            for error in messages.iter().filter(|it| it["message"]["level"] == "error") {
                self.leave_out(&error["message"])?;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(self.left_out_count() > before, "the changed copy does not compile: {said}");
            eprintln!("{} changes do not compile", self.left_out_count());
            self.write()?;
        }
        bail!("after {MOST_BUILDS} builds some changes still do not compile")
    }

    fn programs(&self, messages: &[Value]) -> Result<Tests> {
        let program = |name: &str| {
            let made = messages.iter().find(|it| {
                it["executable"].is_string() && it["profile"]["test"] == true && it["target"]["name"] == name
            });
            made.and_then(|it| it["executable"].as_str()).map(PathBuf::from).with_context(|| name.to_owned())
        };
        Ok(Tests {
            own: program("fcp_state_machines")?,
            beside: vec![program("gate_oracle")?, program("node")?],
            at: self.root.join("state-machines"),
        })
    }

    /// Leaves out the changes that stand nearest to where the compiler stopped.
    fn leave_out(&self, error: &Value) -> Result<()> {
        for span in error["spans"].as_array().into_iter().flatten().filter(|it| it["is_primary"] == true) {
            let (Some(file), Some(start), Some(end)) =
                (span["file_name"].as_str(), span["line_start"].as_u64(), span["line_end"].as_u64())
            else {
                continue;
            };
            let text = fs::read_to_string(self.root.join(file))?;
            let found = (0..6).map(|about| chosen_in(&text, start.saturating_sub(about), end + about));
            let Some(found) = found.into_iter().find(|it| !it.is_empty()) else {
                bail!("{}", error["rendered"].as_str().unwrap_or("an error of the compiler"));
            };
            self.left_out.borrow_mut().extend(found);
        }
        Ok(())
    }
}

/// Whether a file or a folder holds tests of what decides, and nothing that decides.
fn is_of_tests(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.ends_with("test") || stem.ends_with("tests")
}

/// The changes that the lines from `start` to `end` ask for.
fn chosen_in(text: &str, start: u64, end: u64) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (line, number) in text.lines().zip(1..) {
        if (start..=end).contains(&number) {
            let pieces = line.split("mutant::is(").skip(1);
            found.extend(pieces.filter_map(|it| it.split("u32").next()?.parse::<u32>().ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_of_tests;

    #[test]
    fn tests_are_told_from_what_decides() {
        for tests in ["gate/tests.rs", "lease/tests", "egress/url_tests.rs", "gate/flow_test.rs"] {
            assert!(is_of_tests(Path::new(tests)), "{tests}");
        }
        for deciding in ["gate/mod.rs", "lease", "gate/checks", "gate/testing.rs"] {
            assert!(!is_of_tests(Path::new(deciding)), "{deciding}");
        }
    }
}
