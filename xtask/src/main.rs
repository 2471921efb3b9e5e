//! Chores of the repository: `cargo quickstart` builds what a first run needs and hands over to `fwc quickstart`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

/// The binaries that a running FCP consists of.
const PACKAGES: [&str; 6] = [
    "fwc",
    "fcp-host",
    "fcp-launcher",
    "fcp-connector-engine",
    "fcp-connector-sqlite",
    "fcp-connector-filesystem",
];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("quickstart") => quickstart(&arguments.collect::<Vec<_>>()),
        Some(other) => bail!("there is no chore `{other}`; there is `quickstart`"),
        None => bail!("which chore? There is `quickstart`"),
    }
}

/// Builds the binaries, then runs `fwc quickstart` with the remaining arguments.
fn quickstart(arguments: &[String]) -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").context("run this through cargo")?;
    let mut build = Command::new(&cargo);
    build.arg("build");
    for package in PACKAGES {
        build.args(["-p", package]);
    }
    if !build.status().context("cannot run cargo")?.success() {
        bail!("the build failed");
    }
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    let fwc = here.parent().unwrap_or(Path::new(".")).join("fwc");
    let status = Command::new(&fwc).arg("quickstart").args(arguments).status();
    let status = status.with_context(|| format!("cannot run {}", fwc.display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
