//! The tests that the pages on security name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every function in the sources of the workspace that may be a test.
fn functions() -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                found.extend(tests(&fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    found
}

/// The functions of a source that stand below a test's attribute, or within `proptest!`.
fn tests(source: &str) -> impl Iterator<Item = String> {
    source.split("test]").skip(1).chain(source.split("test(").skip(1)).filter_map(|after| {
        let (_, function) = after.split_once("fn ")?;
        function.split_once('(').map(|(name, _)| name.to_owned())
    })
}

/// What a page names in backticks that can only be a test: words of a sentence, joined.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let sentence = |word: &&str| {
        word.matches('_').count() >= 2
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    page.split('`').skip(1).step_by(2).filter(sentence)
}

#[test]
fn every_test_that_the_pages_on_security_name_exists() {
    let (functions, mut count) = (functions(), 0);
    for entry in fs::read_dir(root().join("docs/security")).expect("the pages") {
        let path = entry.expect("readable").path();
        let page = fs::read_to_string(&path).expect("a page");
        for test in named(&page) {
            assert!(functions.contains(test), "{}: there is no test `{test}`", path.display());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} tests are named");
}

#[test]
fn every_attempt_of_an_adversary_names_a_test_that_exists() {
    let functions = functions();
    let page = fs::read_to_string(root().join("docs/dev/adversary.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attempt |"));
    let mut count = 0;
    for row in rows {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(named(cell).next().is_some(), "{row}");
        for test in named(cell) {
            assert!(functions.contains(test), "there is no test `{test}`: {row}");
        }
        count += 1;
    }
    assert!(count > 25, "only {count} attempts are listed");
}

/// The rows of the table of classes of the page on egress: class, classes of cases, tests, what was found.
fn attacks_on_egress(page: &str) -> Vec<Vec<&str>> {
    let section = page.lines().skip_while(|line| *line != "## Classes").skip(1);
    let table = section.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let rows = table.filter(|line| !line.starts_with("| class |"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_class_of_attack_on_egress_names_a_test_that_exists_and_what_was_found() {
    let functions = functions();
    let page = fs::read_to_string(root().join("docs/dev/egress.md")).expect("the page");
    let rows = attacks_on_egress(&page);
    for test in named(&page) {
        assert!(functions.contains(test), "there is no test `{test}`");
    }
    assert!(rows.len() > 25, "only {} classes are listed", rows.len());
    for row in rows {
        let [class, _, tests, found] = row.as_slice() else { panic!("{row:?}") };
        assert!(!found.is_empty() && named(tests).next().is_some(), "{class}");
    }
}

#[test]
fn the_classes_of_cases_are_those_that_the_page_on_egress_lists() {
    let mut classes = BTreeSet::new();
    for file in ["requests", "answers"] {
        let path = root().join(format!("host/tests/egress/cases/{file}.json"));
        let text = fs::read_to_string(path).expect("the cases");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        let names: BTreeSet<_> =
            cases.iter().map(|case| (case["class"].to_string(), case["name"].to_string())).collect();
        assert_eq!(names.len(), cases.len(), "{file}: two cases of one class share a name");
        classes.extend(cases.iter().map(|case| case["class"].as_str().expect("a class").to_owned()));
    }
    let page = fs::read_to_string(root().join("docs/dev/egress.md")).expect("the page");
    let quoted = |row: Vec<&str>| row[1].split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let listed: BTreeSet<_> = attacks_on_egress(&page).into_iter().flat_map(quoted).collect();
    assert_eq!(classes, listed);
}

#[test]
fn a_threat_without_a_test_says_what_is_not_prevented() {
    let page = fs::read_to_string(root().join("docs/security/threats.md")).expect("the page");
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat |")) {
        let test = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(named(test).next().is_some() || row.contains("**not prevented**"), "{row}");
    }
}

#[test]
fn a_name_that_is_no_test_is_found_out() {
    assert!(!functions().contains("a_test_that_nobody_wrote"));
    assert_eq!(named("`a_b` `a_b_c` text `NO_B_C`").collect::<Vec<_>>(), ["a_b_c"]);
}
