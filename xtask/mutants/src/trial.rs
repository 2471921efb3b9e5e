//! Puts a change before the tests.

#![expect(clippy::disallowed_methods, reason = "tests that do not end are ended by the clock")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::places::Mutant;
use crate::tree::Tests;

/// Tests of the crate that may have something to say; those of what stands between devices take long and have not.
const OWN: [&str; 3] = ["call::", "node::", "trust::"];

/// What the tests said of a change.
pub(crate) enum Verdict {
    /// A test failed, or did not end.
    Noticed,
    /// All passed.
    Unnoticed,
}

/// What one program of tests asks for when nothing is changed, and how long it takes.
pub(crate) struct Reach {
    changes: BTreeSet<u32>,
    took: Duration,
}

/// What each program reaches: the crate's own tests, then those beside it.
pub(crate) fn reached(tests: &Tests) -> Result<Vec<Reach>> {
    programs(tests)
        .into_iter()
        .map(|(program, filter)| {
            let record = tests.at.join("reached.txt");
            fs::write(&record, "")?;
            let start = Instant::now();
            let mut command = command(program, &filter, tests);
            let status = command.env("FCP_MUTANTS_REACHED", &record).status().context("a test program")?;
            if !status.success() {
                bail!("{} fails without any change", program.display());
            }
            let changes = fs::read_to_string(&record)?.lines().filter_map(|it| it.parse().ok()).collect();
            Ok(Reach { changes, took: start.elapsed() })
        })
        .collect()
}

/// Whether a test notices `mutant`.
pub(crate) fn judge(tests: &Tests, reached: &[Reach], mutant: &Mutant) -> Result<Verdict> {
    let folder: Vec<&str> = mutant.file.split('/').take(2).collect();
    let near = [folder.join("::") + "::"];
    let mut trials = vec![(tests.own.as_path(), near.to_vec(), &reached[0])];
    trials.extend(
        programs(tests).into_iter().zip(reached).map(|((program, filter), reach)| (program, filter, reach)),
    );
    for (program, filter, reach) in trials {
        if reach.changes.contains(&mutant.id) && fails(program, &filter, tests, mutant.id, reach.took)? {
            return Ok(Verdict::Noticed);
        }
    }
    Ok(Verdict::Unnoticed)
}

fn programs(tests: &Tests) -> Vec<(&Path, Vec<String>)> {
    let mut programs = vec![(tests.own.as_path(), OWN.map(String::from).to_vec())];
    programs.extend(tests.beside.iter().map(|it| (it.as_path(), Vec::new())));
    programs
}

fn command(program: &Path, filter: &[String], tests: &Tests) -> Command {
    let mut command = Command::new(program);
    command
        .args(filter)
        .current_dir(&tests.at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.env("RUST_BACKTRACE", "0").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("PROPTEST_FAILURE_PERSISTENCE", "off").env("INSTA_UPDATE", "no");
    command
}

/// Whether the tests fail or do not end with the change.
fn fails(program: &Path, filter: &[String], tests: &Tests, id: u32, took: Duration) -> Result<bool> {
    let mut child = command(program, filter, tests).env("FCP_MUTANT", id.to_string()).spawn()?;
    let end = Instant::now() + Duration::from_secs(30) + took * 6;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(!status.success());
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Ok(true);
        }
        sleep(Duration::from_millis(10));
    }
}
