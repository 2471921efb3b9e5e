//! Every published conformance case, encode and decode, against this codec.

use std::path::{Path, PathBuf};

use super::{Delimiter, Layout, Mode, decode, encode};
use crate::output::json;
use crate::output::value::{Object, Value};

/// What every file and case may hold; a name that is not here would be a demand that nobody tests.
const FILE_MEMBERS: [&str; 4] = ["version", "category", "description", "tests"];
const CASE_MEMBERS: [&str; 8] =
    ["name", "input", "expected", "specSection", "note", "options", "shouldError", "minSpecVersion"];
const OPTIONS: [&str; 3] = ["delimiter", "indentSize", "strict"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/toon")
}

fn files(of: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(of)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    match object.get(key) {
        Some(Value::String(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

fn only(object: &Object, known: &[&str]) {
    for (key, _) in object.iter() {
        assert!(known.contains(&key), "unknown member {key}");
    }
}

struct Case {
    object: Object,
    layout: Layout,
    mode: Mode,
}

impl Case {
    fn new(object: Object) -> Self {
        only(&object, &CASE_MEMBERS);
        let options = object.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
        only(&options, &OPTIONS);
        let delimiter = match options.get("delimiter") {
            None => Delimiter::Comma,
            Some(Value::String(text)) => {
                *Delimiter::ALL.iter().find(|d| d.char().to_string() == *text).unwrap()
            }
            other => panic!("{other:?}"),
        };
        let indent = match options.get("indentSize") {
            None => 2,
            Some(Value::Number(n)) => usize::try_from(n.as_u64().unwrap()).unwrap(),
            other => panic!("{other:?}"),
        };
        let mode = match options.get("strict") {
            None | Some(Value::Bool(true)) => Mode::Strict,
            Some(Value::Bool(false)) => Mode::Lenient,
            other => panic!("{other:?}"),
        };
        Self { object, layout: Layout { indent, delimiter }, mode }
    }

    fn expected(&self) -> Option<&Value> {
        let fails = self.object.get("shouldError") == Some(&Value::Bool(true));
        if fails { None } else { Some(self.object.get("expected").unwrap()) }
    }

    fn decodes(&self) -> Result<(), String> {
        let got = decode(text(&self.object, "input"), self.layout.indent, self.mode, 1 << 20);
        if got.as_ref().ok() == self.expected() { Ok(()) } else { Err(format!("{got:?}")) }
    }

    fn encodes(&self) -> Result<(), String> {
        let got = Value::String(encode(self.object.get("input").unwrap(), self.layout));
        if Some(&got) == self.expected() { Ok(()) } else { Err(format!("{got:?}")) }
    }
}

#[test]
fn every_published_case_passes() {
    let (mut passed, mut failed) = (0, Vec::new());
    for category in ["encode", "decode"] {
        for path in files(category) {
            let file = json::read(&std::fs::read(&path).unwrap(), 1 << 20).unwrap();
            let file = file.as_object().unwrap();
            only(file, &FILE_MEMBERS);
            assert_eq!(text(file, "category"), category);
            for case in file.get("tests").and_then(Value::as_array).unwrap() {
                let case = Case::new(case.as_object().unwrap().clone());
                let result = if category == "encode" { case.encodes() } else { case.decodes() };
                match result {
                    Ok(()) => passed += 1,
                    Err(got) => {
                        failed.push(format!("{path:?}: {}\n  got {got}\n", text(&case.object, "name")))
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), passed + failed.len(), failed.concat());
    assert_eq!(passed, 538, "the published number of cases");
}

#[test]
fn no_fixture_lies_unread() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(["README.md", "encode", "decode"].contains(&name.as_str()), "{name} is not read by any test");
    }
    assert_eq!((files("encode").len(), files("decode").len()), (9, 14));
    for path in files("encode").into_iter().chain(files("decode")) {
        assert_eq!(
            path.extension().and_then(|e| e.to_str()),
            Some("json"),
            "{path:?} is not read by any test"
        );
    }
}
