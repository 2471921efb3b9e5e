//! Every text that keeps one use of a hash, a key or a signature apart from the others stands in `docs/spec/domains.md`, and
//! every one that stands there is used.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where domains are used.
const SOURCES: [&str; 4] = ["proto-core/src", "state-machines/src", "runtime-tokio/src", "host/src"];

/// How such a text begins. What begins so and is no domain (a code of the registry) is told apart below.
const BEGINNINGS: [&str; 8] =
    ["FCP2-", "FCP-INTERFACE", "FCPS", "FCPC", "FCPH", "FCPPKG", "FCPJRNL", "fcp journal "];

/// How the texts of schemas and bindings end that are no kinds of objects.
const ENDINGS: [&str; 3] = ["-proof/1.0.0", ".package.v1", "-binding/1"];

/// Purposes of boxes under a symmetric key.
const PURPOSES: [&str; 3] = ["wrapped-key", "vault-credential", "secret-object"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn is_domain(text: &str) -> bool {
    let begins = BEGINNINGS.iter().any(|it| text.starts_with(it));
    begins || ENDINGS.iter().any(|it| text.ends_with(it)) || PURPOSES.contains(&text)
}

/// The domains in the code below `path`, which is not that of tests.
fn used(path: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            used(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                found.extend(line.split('"').skip(1).step_by(2).filter(|it| is_domain(it)).map(String::from));
            }
        }
    }
}

#[test]
//= docs/spec/domains.md#domains
fn every_domain_is_told_and_every_told_one_is_used() {
    let mut code = BTreeSet::new();
    for folder in SOURCES {
        used(&root().join(folder), &mut code);
    }
    assert!(code.len() > 40, "{code:?}");
    let page = fs::read_to_string(root().join("docs/spec/domains.md")).expect("the page");
    let quoted = page.split('`').skip(1).step_by(2).filter(|it| is_domain(it));
    assert_eq!(quoted.map(String::from).collect::<BTreeSet<_>>(), code);
}
