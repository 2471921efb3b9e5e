//! Mutation testing of the code that decides: `just mutants`. Method and results: `docs/dev/mutants.md`.
//!
//! All changes are compiled into one copy of the crate and chosen at run time by a variable of the environment, so that a
//! thousand of them cost one build. Each is put before the tests; one that no test notices is a finding.

mod known;
mod places;
mod schemata;
mod tree;
mod trial;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use known::Known;
use trial::Verdict;

/// The folders of `state-machines/src` whose changes must be noticed.
const FOLDERS: [&str; 8] = [
    "call/gate",
    "trust/revocation",
    "call/idempotency",
    "call/approvals",
    "trust/audit",
    "call/rates",
    "call/egress",
    "trust/lease",
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
    let named: Vec<String> = std::env::args().skip(1).collect();
    for folder in &named {
        ensure!(FOLDERS.contains(&folder.as_str()), "`{folder}` is none of {}", FOLDERS.join(", "));
    }
    let chosen = |folder: &&str| named.is_empty() || named.iter().any(|it| it == folder);
    let folders: Vec<&str> = FOLDERS.into_iter().filter(chosen).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("the workspace")?;
    let known = Known::read(&root)?;
    let mut tree = tree::Tree::copy(&root)?;
    let mutants = tree.plant(&folders)?;
    let tests = tree.build()?;
    let reached = trial::reached(&tests)?;
    println!("| folder | changes | noticed | equivalent | unnoticed |\n|---|---|---|---|---|");
    let mut unnoticed = Vec::new();
    for folder in folders {
        let mut counts = [0; 3];
        let within: Vec<_> =
            mutants.iter().filter(|it| it.file.starts_with(folder) && !tree.left_out(it.id)).collect();
        for (mutant, number) in within.iter().zip(1..) {
            if number % 20 == 0 {
                eprintln!("{folder}: {number} of {}", within.len());
            }
            let verdict = match trial::judge(&tests, &reached, mutant)? {
                Verdict::Unnoticed if known.is_equivalent(mutant) => 1,
                Verdict::Unnoticed => 2,
                Verdict::Noticed => 0,
            };
            counts[verdict] += 1;
            if verdict == 2 {
                eprintln!("unnoticed: {mutant}");
                unnoticed.push((*mutant).clone());
            }
        }
        println!(
            "| `{folder}` | {} | {} | {} | {} |",
            counts.iter().sum::<u32>(),
            counts[0],
            counts[1],
            counts[2]
        );
    }
    println!("\n{} changes do not compile and were left out.", tree.left_out_count());
    for mutant in &unnoticed {
        println!("* {mutant}");
    }
    Ok(if unnoticed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
