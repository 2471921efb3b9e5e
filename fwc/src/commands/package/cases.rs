//! `package test`: the cases of a folder, run with the real engine or the connector's own program against a double.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fcp_api::types::Source;
use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::package::MAX_HEAD_BYTES;
use fcp_proto_core::manifest::{Cases, Manifest, Runtime};
use serde::{Deserialize, Serialize};

use super::Test;
use crate::commands::up::find_program;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, internal, usage};

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ran {
    /// Its name.
    case: String,
    /// The operation that it calls.
    operation: String,
    /// `holds` or `differs`.
    result: String,
    /// What was otherwise than it says.
    differences: Vec<String>,
}

/// What came of all of them.
#[derive(Clone, Debug, Serialize)]
struct Report {
    connector: String,
    held: usize,
    failed: usize,
    /// Operations that no case calls.
    untested: Vec<String>,
    cases: Vec<Ran>,
}

/// `fwc package test`: fails if a case does not hold.
///
/// # Errors
/// What cannot be read or run.
//= docs/spec/package.md#cases
pub(super) fn test(args: &Test) -> Result<Outcome> {
    let (manifest, cases) = read(&args.folder)?;
    let program = match (manifest.connector.runtime, &args.code) {
        (Runtime::Declarative, None) => find_program("fcp-connector-engine")?,
        (Runtime::Native, Some(code)) => code.clone(),
        (Runtime::Declarative, Some(_)) => {
            return Err(usage("--code was given, and the connector is declarative: the engine runs it")
                .next("leave out --code"));
        }
        (Runtime::Native, None) => {
            return Err(usage("the connector is native, and --code is missing")
                .next("name its program: `fwc package test FOLDER --code PATH`"));
        }
    };
    let ran = run(&args.folder, &program)?;
    let failed = ran.iter().filter(|it| !it.differences.is_empty()).count();
    let tested = |id: &str| cases.cases.iter().any(|case| case.operation.as_str() == id);
    let operations = manifest.operations.keys().map(ToString::to_string);
    let report = Report {
        connector: manifest.connector.id.to_string(),
        held: ran.len() - failed,
        failed,
        untested: operations.filter(|id| !tested(id)).collect(),
        cases: ran,
    };
    let failure = (failed > 0).then(|| failure(&report));
    let columns =
        [("case", "CASE"), ("operation", "OPERATION"), ("result", "RESULT"), ("differences", "DIFFERENCES↓")];
    Ok(Answer::local(&report, Source::Offline)?.table("cases", &columns).or_failed(failure))
}

/// The manifest and the cases, which there must be.
fn read(folder: &Path) -> Result<(Manifest, Cases)> {
    let bytes = |name: &str| crate::read_file(&folder.join(name), MAX_HEAD_BYTES);
    let invalid = |name: &str, error: &dyn std::fmt::Display| {
        let place = folder.join(name);
        let next = "correct the field named, then `fwc package test FOLDER` again";
        Failure::new(Code::ManifestInvalid).because(format!("{}: {error}", place.display())).next(next)
    };
    let manifest =
        Manifest::parse(&bytes("manifest.toml")?).map_err(|error| invalid("manifest.toml", &error))?;
    let cases = Cases::parse(&bytes("cases.toml")?).map_err(|error| invalid("cases.toml", &error))?;
    if cases.cases.is_empty() {
        return Err(invalid("cases.toml", &"it has no cases"));
    }
    match cases.cases.iter().find(|case| manifest.operation(&case.operation).is_none()) {
        Some(case) => {
            let why = format!("the case {:?}: there is no operation {}", case.name, case.operation);
            Err(invalid("cases.toml", &why))
        }
        None => Ok((manifest, cases)),
    }
}

/// Has the program beside this one run them.
fn run(folder: &Path, program: &Path) -> Result<Vec<Ran>> {
    let tester = find_program("fcp-package-test")?;
    let found = |path: &Path| {
        let full: std::io::Result<PathBuf> = std::fs::canonicalize(path);
        full.map_err(|error| crate::file_failure("find", path, &error))
    };
    let (folder, program) = (found(folder)?, found(program)?);
    let mut command = Command::new(&tester);
    command.arg(folder).arg(program).stdin(Stdio::null()).env_clear();
    let output = command.output().map_err(|error| crate::file_failure("run", &tester, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(internal(&format!("{} ended ({}): {said}", tester.display(), output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| internal(&format!("{} answered what is no report: {error}", tester.display())))
}

/// The first case that does not hold; it is the first to be put right.
fn failure(report: &Report) -> Failure {
    let first = report.cases.iter().find(|it| !it.differences.is_empty());
    let why = first.map_or(String::new(), |it| format!("{}: {}", it.case, it.differences.join("; ")));
    let mut failure = Failure::new(Code::ConnectorOutputInvalid)
        .because(why)
        .next("correct the manifest or the case, then `fwc package test FOLDER` again");
    let all = report.cases.len();
    failure.message = format!("{} of {all} cases of {} do not hold.", report.failed, report.connector);
    failure
}
