//! What may come into the tree: `deny.toml`, held against what cargo resolves. `cargo deny` (the recipe `just deny`) reads
//! the same file and looks at the texts of the licences as well; this needs no tool of its own and runs with the tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use spdx::{Expression, LicenseReq};

/// The sections of `deny.toml` that say what may come in.
#[derive(Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

fn rules() -> Rules {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml"));
    toml::from_str(&text.expect("deny.toml is there")).expect("deny.toml has the three sections")
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO")).args(arguments).args(["--locked", "--offline"]).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What cargo knows of every package that it might build here.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let bytes = cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform]);
    serde_json::from_slice(&bytes).expect("cargo prints JSON")
}

/// The names and versions of what it does build; only this answer leaves out what no feature asks for.
fn built() -> BTreeSet<String> {
    let tree = cargo(&["tree", "--workspace", "--edges", "all", "--prefix", "none", "--format", "{p}"]);
    let lines = String::from_utf8(tree).expect("names are UTF-8");
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    lines.lines().map(package).collect()
}

/// Everything that is built and that the rules do not permit.
fn faults(rules: &Rules, built: &BTreeSet<String>, metadata: &Value) -> Vec<String> {
    let members = metadata["workspace_members"].as_array().expect("members");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let text = |package: &Value, field: &str| package[field].as_str().expect("a text").to_owned();
    let used =
        packages.filter(|it| built.contains(&format!("{} v{}", text(it, "name"), text(it, "version"))));
    used.flat_map(|package| {
        let name = text(package, "name");
        let found = if members.contains(&package["id"]) {
            vec![wildcard(package)]
        } else {
            vec![banned(rules, &name), licence(rules, package), source(rules, package)]
        };
        found.into_iter().flatten().map(move |why| format!("{name}: {why}"))
    })
    .collect()
}

fn banned(rules: &Rules, name: &str) -> Option<String> {
    let ban = rules.bans.deny.iter().find(|ban| ban.name == name)?;
    Some(format!("banned, {}", ban.reason))
}

fn licence(rules: &Rules, package: &Value) -> Option<String> {
    let Some(text) = package["license"].as_str() else { return Some("names no licence".into()) };
    let Ok(expression) = Expression::parse_mode(text, spdx::ParseMode::LAX) else {
        return Some(format!("{text:?} is no expression of licences"));
    };
    let allowed = |wanted: &LicenseReq| rules.licenses.allow.iter().any(|it| *it == wanted.to_string());
    (!expression.evaluate(allowed)).then(|| format!("the licence {text:?} is not allowed"))
}

fn source(rules: &Rules, package: &Value) -> Option<String> {
    let from = package["source"].as_str().unwrap_or("outside the workspace");
    let allowed = rules.sources.allow_registry.iter().any(|it| from == format!("registry+{it}"));
    (!allowed).then(|| format!("comes from {from}"))
}

/// A dependency of ours on any version at all; one on a crate of the workspace needs none.
fn wildcard(package: &Value) -> Option<String> {
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let wild = dependencies.iter().find(|it| it["req"] == "*" && it["path"].is_null())?;
    Some(format!("any version of {} will do", wild["name"]))
}

#[test]
fn only_what_is_allowed_is_in_the_tree() {
    let (built, metadata) = (built(), metadata());
    assert!(built.len() > 100, "all of it");
    assert_eq!(faults(&rules(), &built, &metadata), Vec::<String>::new());
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let judged = |package: Value, members: &[&str]| {
        let built = [format!("{} v1.0.0", package["name"].as_str().expect("a name"))].into();
        faults(&rules(), &built, &json!({"packages": [package], "workspace_members": members}))
    };
    let found = |name: &str, licence: Value, source: &str| {
        let package =
            json!({"id": "1", "name": name, "version": "1.0.0", "license": licence, "source": source});
        judged(package, &[])
    };
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    assert_eq!(found("sound", json!("MIT OR GPL-3.0-only"), registry), Vec::<String>::new());
    assert_eq!(found("both", json!("MIT AND GPL-3.0-only"), registry).len(), 1);
    assert_eq!(found("none", Value::Null, registry), ["none: names no licence"]);
    assert_eq!(found("odd", json!("my own"), registry), [r#"odd: "my own" is no expression of licences"#]);
    assert_eq!(found("openssl", json!("MIT"), registry), ["openssl: banned, one TLS stack: rustls"]);
    assert_eq!(found("git", json!("MIT"), "git+https://example.com/it").len(), 1);
    let wild = json!([{"name": "it", "req": "*", "path": null}]);
    let ours = json!({"id": "1", "name": "ours", "version": "1.0.0", "dependencies": wild});
    assert_eq!(judged(ours, &["1"]), [r#"ours: any version of "it" will do"#]);
}
