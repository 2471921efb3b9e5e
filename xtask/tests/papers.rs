//! What the papers say of the repository is so: commands, steps, tests and links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines within the fenced blocks of a page, without prompts.
fn commands(page: &str) -> BTreeSet<&str> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap_or(line).trim()).collect()
}

/// The steps of the gate, in order: name and command.
fn steps(gate: &str) -> Vec<(&str, &str)> {
    gate.lines().filter_map(|line| line.trim_start().strip_prefix("step ")?.split_once(' ')).collect()
}

/// A recipe's commands.
fn recipe<'a>(justfile: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!("{name}:");
    let lines = justfile.lines().skip_while(|line| *line != opening).skip(1);
    lines.take_while(|line| line.starts_with("    ")).map(str::trim).collect()
}

#[test]
fn the_test_command_of_the_readme_is_the_one_that_the_gate_calls() {
    let (readme, gate) = (read("README.md"), read(".ci/run"));
    let (_, command) = steps(&gate).into_iter().find(|(name, _)| *name == "test").expect("a step `test`");
    assert!(command.starts_with("cargo test"), "{command}");
    assert!(commands(&readme).contains(command), "the README does not say `{command}`");
}

#[test]
fn the_quickstart_command_of_the_readme_is_an_alias() {
    assert!(commands(&read("README.md")).contains("cargo quickstart"));
    let aliases = read(".cargo/config.toml");
    assert!(aliases.lines().any(|line| line.starts_with("quickstart = ")), "{aliases}");
}

#[test]
fn the_recipes_are_the_steps_of_the_gate() {
    let (justfile, gate) = (read("justfile"), read(".ci/run"));
    let ci = justfile.lines().find_map(|line| line.strip_prefix("ci: ")).expect("a recipe `ci`");
    let steps = steps(&gate);
    let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
    assert_eq!(ci.split(' ').collect::<Vec<_>>(), names);
    for (name, _) in steps {
        let commands = recipe(&justfile, name);
        assert!(!commands.is_empty(), "the recipe `{name}` does nothing");
        for command in commands {
            assert!(gate.contains(command), "the gate does not run `{command}`");
        }
    }
}

/// A row of the status table names the file of a test, and a test in it: `path/to/file.rs` `name_of_the_test`.
fn proofs(readme: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = readme.lines().skip_while(|line| *line != "## What works").skip(1);
    let rows = rows.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| what"));
    rows.map(|row| (row, row.rsplit('|').nth(1).unwrap_or("").split('`').skip(1).step_by(2).collect()))
        .collect()
}

#[test]
fn what_the_readme_lists_as_working_is_exercised_by_the_test_it_names() {
    let readme = read("README.md");
    let rows = proofs(&readme);
    assert!(rows.len() >= 10, "only {} rows", rows.len());
    for (row, names) in rows {
        let [file, tests @ ..] = names.as_slice() else { panic!("no test is named in {row}") };
        let source = read(file);
        assert!(!tests.is_empty(), "no test is named in {row}");
        for test in tests {
            // The tests of the declarative connectors are rows of a macro: `connectors!(github >= 12, …)`.
            let found = [format!("fn {test}("), format!("({test} >= "), format!(" {test} >= ")];
            assert!(found.iter().any(|text| source.contains(text)), "{file} has no `{test}`");
        }
    }
}

/// Every relative link of a page of ours, as page and target.
fn links() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("docs")];
    let mut pages: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                pages.push(path);
            }
        }
    }
    let of_page = |page: PathBuf| {
        let text = fs::read_to_string(&page).expect("a readable page");
        let target = |rest: &str| rest.split_once(')').map(|(target, _)| target.to_owned());
        let targets: Vec<_> = text.split("](").skip(1).filter_map(target).collect();
        targets.into_iter().map(move |target| (page.clone(), target)).collect::<Vec<_>>()
    };
    let relative = |(_, target): &(PathBuf, String)| !target.contains("://") && !target.starts_with('#');
    pages.into_iter().flat_map(of_page).filter(relative).collect()
}

#[test]
fn links_between_the_papers_lead_somewhere() {
    let broken: Vec<_> = links()
        .into_iter()
        .filter(|(page, target)| {
            let file = target.split('#').next().unwrap_or(target);
            !page.parent().expect("a folder").join(file).exists()
        })
        .map(|(page, target)| format!("{}: {target}", page.display()))
        .collect();
    assert_eq!(broken, Vec::<String>::new());
}

/// The names in the first column of the tables of a page.
fn first_column(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_dependency_has_its_reason_and_no_reason_is_left_over() {
    assert_eq!(first_column(&read("docs/design/dependencies.md")), dependencies(&read("Cargo.toml")));
}

/// The crates of `[workspace.dependencies]` that are not ours.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let named = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    named.filter(|(_, value)| !value.contains("path = ")).map(|(name, _)| name.to_owned()).collect()
}
