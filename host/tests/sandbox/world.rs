//! The programs under test, and a short way to run the probe inside the walls and outside of them.

use fcp_host::sandbox::{CodeImage, Ending, PropertyReport, Sandbox, SandboxError, SandboxSpec};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::copy::copy;

/// Where the built programs lie, for the run under another user.
const PROGRAMS: &str = "FCP_SANDBOX_TEST_PROGRAMS";

/// The probe's exit statuses.
pub(crate) const ACHIEVED: Ending = Ending::Exited(10);
pub(crate) const REFUSED: Ending = Ending::Exited(11);

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) probe: CodeImage,
    pub(crate) folder: TempDir,
}

/// What one run of the probe came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ending: Ending,
    pub(crate) output: String,
    pub(crate) report: PropertyReport,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that a test could not do its work; a failure where everything is demanded.
pub(crate) fn not_run(why: &str) {
    println!("NOT RUN: {why}");
    assert_ne!(std::env::var("FCP_TEST_REQUIRE").as_deref(), Ok("all"), "NOT RUN: {why}");
}

impl World {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::with_launcher(&programs().join("fcp-launcher")).unwrap();
        let code = std::fs::read(probe()).unwrap();
        let probe = CodeImage::seal(&code, *blake3::hash(&code).as_bytes()).unwrap();
        Self { sandbox, probe, folder: tempfile::tempdir().unwrap() }
    }

    /// A path in a folder of this test's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder of this test's own.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// Runs the probe inside to its end.
    pub(crate) async fn run(&self, spec: &SandboxSpec) -> Ran {
        self.try_run(spec).await.unwrap_or_else(|error| panic!("{:?}: {error}", spec.arguments))
    }

    pub(crate) async fn try_run(&self, spec: &SandboxSpec) -> Result<Ran, SandboxError> {
        let mut child = self.sandbox.start(spec, &self.probe, None).await?;
        drop(child.streams.stdin);
        let mut output = String::new();
        child.streams.stdout.read_to_string(&mut output).await.unwrap();
        child.streams.stderr.read_to_string(&mut output).await.unwrap();
        let ending = child.process.wait().await?;
        Ok(Ran { ending, output, report: child.report })
    }
}

/// An order for the probe.
pub(crate) fn spec(arguments: &[&str]) -> SandboxSpec {
    let mut spec = SandboxSpec::new("probe");
    spec.arguments = arguments.iter().map(|&text| text.to_owned()).collect();
    spec
}

/// Runs the probe without any walls.
pub(crate) fn run_outside(arguments: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(probe()).args(arguments).stdin(Stdio::null()).output().unwrap();
    (run.status.code(), String::from_utf8_lossy(&run.stdout).into_owned())
}

fn probe() -> PathBuf {
    programs().join("examples/sandbox-probe")
}

/// The folder of the built programs: one that was handed down, or our own.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let handed = || std::env::var_os(PROGRAMS).map(PathBuf::from);
    FOLDER.get_or_init(|| handed().unwrap_or_else(|| crate::programs::programs().to_owned()))
}

/// Runs every other test of this binary under user 65534.
pub(crate) fn repeat_as_ordinary_user() {
    if !is_root() {
        return not_run("only root can become another user; these tests ran as an ordinary user already");
    }
    let place = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    std::fs::create_dir(place.path().join("examples")).unwrap();
    let tests = place.path().join("tests");
    copy(programs().join("fcp-launcher"), place.path().join("fcp-launcher"));
    copy(probe(), place.path().join("examples/sandbox-probe"));
    copy(std::env::current_exe().unwrap(), &tests);
    let run = Command::new(&tests)
        .args(["--skip", "the_same_as_an_ordinary_user", "--test-threads", "2", "--nocapture"])
        .env(PROGRAMS, place.path())
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let (output, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{output}\n{errors}");
    assert!(run.status.success(), "as an ordinary user:\n{output}\n{errors}");
    assert!(output.contains("test result: ok"), "the tests ran");
}
