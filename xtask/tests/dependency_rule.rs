//! The arrows between the crates (`docs/architecture.md`): what is not listed here is forbidden.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate, and the crates of ours that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("fcp-proto-core", &[]),
    ("fcp-state-machines", &["fcp-proto-core"]),
    ("fcp-api", &["fcp-proto-core"]),
    ("fcp-sim", &["fcp-proto-core", "fcp-state-machines"]),
    ("fcp-runtime-tokio", &["fcp-proto-core", "fcp-state-machines"]),
    ("fcp-sdk", &["fcp-proto-core"]),
    ("fcp-connector-engine", &["fcp-proto-core", "fcp-sdk"]),
    ("fcp-connector-filesystem", &["fcp-proto-core", "fcp-sdk"]),
    ("fcp-connector-sqlite", &["fcp-proto-core", "fcp-sdk"]),
    (
        "fcp-host",
        &["fcp-api", "fcp-launcher", "fcp-proto-core", "fcp-runtime-tokio", "fcp-sdk", "fcp-state-machines"],
    ),
    ("fcp-launcher", &[]),
    ("fwc", &["fcp-api", "fcp-proto-core"]),
    ("fcp-fuzz", &["fcp-api", "fcp-proto-core", "fcp-state-machines"]),
    ("xtask", &[]),
    ("fcp-mutants", &[]),
];

/// Crates that may hold no runtime, socket, clock or source of randomness.
const PURE: &[&str] = &["fcp-proto-core", "fcp-state-machines"];

/// What would make a crate impure.
const IMPURE: &[&str] =
    &["tokio", "mio", "async-io", "hyper", "reqwest", "rustix", "libc", "getrandom", "rand", "socket2"];

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Every package of the workspace with its normal and build dependencies; tests may reach further.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let shipped = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
            (name(package), shipped.map(name).collect())
        })
        .collect()
}

/// The arrows that the rule does not permit.
fn forbidden(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut found = Vec::new();
    for (from, to) in arrows {
        let Some(permitted) = allowed.get(from.as_str()) else {
            found.push(format!("{from} has no row"));
            continue;
        };
        let ours = to.iter().filter(|name| arrows.contains_key(*name) && !permitted.contains(&name.as_str()));
        let impure =
            to.iter().filter(|name| PURE.contains(&from.as_str()) && IMPURE.contains(&name.as_str()));
        found.extend(ours.chain(impure).map(|name| format!("{from} -> {name}")));
    }
    found
}

#[test]
fn no_crate_depends_on_what_it_must_not() {
    assert_eq!(forbidden(&arrows()), Vec::<String>::new());
}

#[test]
fn a_forbidden_arrow_is_found() {
    let mut arrows = arrows();
    arrows.entry("fcp-proto-core".into()).or_default().insert("tokio".into());
    arrows.entry("fwc".into()).or_default().insert("fcp-host".into());
    assert_eq!(forbidden(&arrows), ["fcp-proto-core -> tokio", "fwc -> fcp-host"]);
}
