//! Runs the cases of a package for `fwc package test`: `fcp-package-test FOLDER PROGRAM`, where the program is the engine or a
//! connector that was built. What came of it stands as JSON on standard output. Source: docs/spec/package.md#cases.

use std::path::Path;
use std::process::ExitCode;

use fcp_proto_core::manifest::{Case, Cases, Manifest};
use fcp_sdk::testing::{CaseFailure, run_program_cases};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, program] = arguments.as_slice() else {
        eprintln!("usage: fcp-package-test FOLDER PROGRAM");
        return ExitCode::FAILURE;
    };
    // What a connector that dies leads to stands in the report.
    std::panic::set_hook(Box::new(|_| ()));
    match run(Path::new(folder), program) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, program: &str) -> Result<Value, String> {
    let read = |name: &str| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    let manifest =
        Manifest::parse(&read("manifest.toml")?).map_err(|error| format!("manifest.toml: {error}"))?;
    let cases = Cases::parse(&read("cases.toml")?).map_err(|error| format!("cases.toml: {error}"))?;
    let failures = run_program_cases(program, &manifest, &cases);
    Ok(cases.cases.iter().map(|case| told(case, &failures)).collect())
}

fn told(case: &Case, failures: &[CaseFailure]) -> Value {
    let failure = failures.iter().find(|failure| failure.case == case.name);
    let differences = failure.map_or(&[][..], |failure| &failure.differences);
    json!({
        "case": case.name,
        "operation": case.operation,
        "result": if differences.is_empty() { "holds" } else { "differs" },
        "differences": differences,
    })
}
