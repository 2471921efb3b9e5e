//! Code and the normative chapters of `docs/spec` point at each other, and neither may dangle.
//!
//! A citation is a comment `//= docs/spec/CHAPTER.md#section` at the code that enforces, or the test that proves, what the
//! section demands. A section that demands something (it says MUST) is cited from both: `docs/spec/uncited.txt` lists
//! those that no code cites (`chapter.md#section: code`) and those that no test cites (`chapter.md#section: test`). It
//! may only be what it is. Write it anew with `FCP_UPDATE=1 cargo test -p xtask --test spec_citations`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the chapters stand.
const SPEC: &str = "docs/spec";

/// The list of demands that no code or no test cites.
const UNCITED: &str = "docs/spec/uncited.txt";

/// The list of chapters.
const INDEX: &str = "README.md";

/// Folders of the repository without source of ours.
const SKIPPED: &[&str] = &["target", ".git"];

/// A heading and what stands under it, up to the next heading.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    anchor: String,
    demands: bool,
}

/// What cites: the code that enforces a demand, or the test that proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Code,
    Test,
}

impl Side {
    const ALL: [Side; 2] = [Side::Code, Side::Test];

    fn name(self) -> &'static str {
        match self {
            Side::Code => "code",
            Side::Test => "test",
        }
    }
}

/// A chapter's file name, the anchor of one of its sections, and what cites it.
type Place = (String, String, Side);

/// A citation and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Citation {
    chapter: String,
    anchor: Option<String>,
    side: Side,
    at: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file below `folder` whose name ends in `suffix`, in order.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("its kind");
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(suffix) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The anchor of a heading, as forges make it: lower case, blanks to hyphens, everything but words and hyphens gone.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The sections of a chapter. The sentence that explains the words of RFC 2119 demands nothing.
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let heading = line.strip_prefix('#').filter(|_| !fenced).map(|rest| rest.trim_start_matches('#'));
        if let Some(heading) = heading.filter(|rest| rest.starts_with(' ')) {
            sections.push(Section { anchor: anchor(heading), demands: false });
        } else if let Some(section) = sections.last_mut() {
            let words = line.split(|c: char| !c.is_ascii_alphabetic());
            section.demands |= !line.contains("RFC 2119") && words.into_iter().any(|word| word == "MUST");
        }
    }
    sections
}

/// Whether the whole file `name` is a test: it is one of `tests.rs`, or stands below a folder `tests`.
fn is_test_file(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    parts.next() == Some("tests.rs") || parts.any(|folder| folder == "tests")
}

/// Which side each line of a source file is on. In a file that is no test, the items behind `#[cfg(test)]` are. The
/// formatter sees to it that such an item ends on its first line, or with the next bracket that closes at its depth.
fn sides(text: &str, name: &str) -> Vec<Side> {
    if is_test_file(name) {
        return vec![Side::Test; text.lines().count()];
    }
    // How deep the item that is being read stands, and whether its first line was read.
    let mut behind: Option<(usize, bool)> = None;
    let side = |line: &str| {
        let (depth, line) = (line.len() - line.trim_start().len(), line.trim());
        if behind.is_none() && line == "#[cfg(test)]" {
            behind = Some((depth, false));
            return Side::Test;
        }
        let Some((item, begun)) = &mut behind else { return Side::Code };
        if depth == *item && !line.is_empty() && !line.starts_with("#[") && line != ")]" {
            let may_end = !*begun || line.starts_with(['}', ')', ']']);
            *begun = true;
            if may_end && line.ends_with(['}', ';', ',']) {
                behind = None;
            }
        }
        Side::Test
    };
    text.lines().map(side).collect()
}

/// The citations of one source file.
fn citations(text: &str, name: &str) -> Vec<Citation> {
    let cited = |((index, line), side): ((usize, &str), Side)| {
        let line = line.trim_start().trim_start_matches("//!").trim_start();
        let target = line.strip_prefix("//=")?.trim().strip_prefix(SPEC)?.strip_prefix('/')?;
        let (chapter, anchor) = match target.split_once('#') {
            Some((chapter, anchor)) => (chapter, Some(anchor.to_owned())),
            None => (target, None),
        };
        Some(Citation { chapter: chapter.to_owned(), anchor, side, at: format!("{name}:{}", index + 1) })
    };
    text.lines().enumerate().zip(sides(text, name)).filter_map(cited).collect()
}

fn chapters() -> BTreeMap<String, Vec<Section>> {
    let folder = root().join(SPEC);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&folder).expect("below it").to_string_lossy().into_owned();
        (name, sections(&fs::read_to_string(&path).expect("a readable chapter")))
    };
    let chapters = files(&folder, ".md").into_iter().map(read);
    // The index demands nothing; it says what a chapter is.
    chapters.filter(|(name, _)| name != INDEX).collect()
}

fn all_citations() -> Vec<Citation> {
    let root = root();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        citations(&fs::read_to_string(&path).expect("readable source"), &name)
    };
    files(&root, ".rs").into_iter().flat_map(read).collect()
}

/// The citations that lead nowhere.
fn dangling(chapters: &BTreeMap<String, Vec<Section>>, citations: &[Citation]) -> Vec<String> {
    let leads = |citation: &Citation| {
        let Some(sections) = chapters.get(&citation.chapter) else { return false };
        let Some(anchor) = &citation.anchor else { return true };
        sections.iter().any(|section| section.anchor == *anchor)
    };
    let shown = |citation: &Citation| {
        let anchor = citation.anchor.as_ref().map(|anchor| format!("#{anchor}")).unwrap_or_default();
        format!("{}: {SPEC}/{}{anchor}", citation.at, citation.chapter)
    };
    citations.iter().filter(|citation| !leads(citation)).map(shown).collect()
}

/// The sections that demand something and that code or tests do not cite. A citation of a whole chapter cites its
/// opening only.
fn uncited(chapters: &BTreeMap<String, Vec<Section>>, citations: &[Citation]) -> BTreeSet<Place> {
    let opening = |chapter: &String| {
        let first = chapters.get(chapter).and_then(|sections| sections.first());
        first.map_or_else(String::new, |section| section.anchor.clone())
    };
    let cited: BTreeSet<Place> = citations
        .iter()
        .map(|citation| {
            let anchor = citation.anchor.clone().unwrap_or_else(|| opening(&citation.chapter));
            (citation.chapter.clone(), anchor, citation.side)
        })
        .collect();
    let places = chapters.iter().flat_map(|(chapter, sections)| {
        let demanding = sections.iter().filter(|section| section.demands);
        demanding.flat_map(|section| Side::ALL.map(|side| (chapter.clone(), section.anchor.clone(), side)))
    });
    places.filter(|place| !cited.contains(place)).collect()
}

fn list(places: &BTreeSet<Place>) -> String {
    places.iter().map(|(chapter, anchor, side)| format!("{chapter}#{anchor}: {}\n", side.name())).collect()
}

#[test]
fn every_citation_leads_to_a_section() {
    assert_eq!(dangling(&chapters(), &all_citations()), Vec::<String>::new());
}

#[test]
fn the_list_of_uncited_demands_is_up_to_date() {
    let found = list(&uncited(&chapters(), &all_citations()));
    let path = root().join(UNCITED);
    if std::env::var_os("FCP_UPDATE").is_some() {
        fs::write(&path, &found).expect("a writable list");
    }
    let listed = fs::read_to_string(&path).expect("the list");
    assert_eq!(
        listed, found,
        "cite the section from what is named, or run FCP_UPDATE=1 cargo test -p xtask --test spec_citations"
    );
}

/// A chapter that no index names is a chapter that nobody finds.
#[test]
fn the_index_names_every_chapter() {
    let index = fs::read_to_string(root().join(SPEC).join(INDEX)).expect("the index");
    let missing: Vec<_> =
        chapters().into_keys().filter(|chapter| !index.contains(&format!("]({chapter})"))).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_dangling_citation_and_an_uncited_demand_are_found() {
    let text = "# One\nThe words MUST and so on are those of RFC 2119.\n## Two parts, `here`\nIt MUST hold.\n\
                ```\n## Not a heading\n```\n### Three\nMUSTER is no demand.\n";
    let chapters = BTreeMap::from([("one.md".to_owned(), sections(text))]);
    let anchors: Vec<_> = chapters["one.md"].iter().map(|it| (it.anchor.as_str(), it.demands)).collect();
    assert_eq!(anchors, [("one", false), ("two-parts-here", true), ("three", false)]);

    let source =
        "//! Says more.\n//! //= docs/spec/one.md\n    //= docs/spec/one.md#four\n//= docs/spec/two.md#one\n";
    let cited = citations(source, "a.rs");
    assert_eq!(
        dangling(&chapters, &cited),
        ["a.rs:3: docs/spec/one.md#four", "a.rs:4: docs/spec/two.md#one"]
    );
    assert_eq!(
        list(&uncited(&chapters, &cited)),
        "one.md#two-parts-here: code\none.md#two-parts-here: test\n"
    );
}

#[test]
fn a_demand_is_cited_from_code_and_from_a_test() {
    let chapters = BTreeMap::from([("one.md".to_owned(), sections("# One\nIt MUST hold.\n"))]);
    let line = "//= docs/spec/one.md#one\n";
    let missing = |cited: &[Citation]| list(&uncited(&chapters, cited));
    let code = citations(line, "a/src/b.rs");
    let test = citations(line, "a/src/b/tests.rs");
    assert_eq!(missing(&code), "one.md#one: test\n");
    assert_eq!(missing(&test), "one.md#one: code\n");
    assert_eq!(missing(&[code, test].concat()), "");
    // A chapter without an anchor is its opening, on the side of what cites it.
    assert_eq!(missing(&citations("//= docs/spec/one.md\n", "a.rs")), "one.md#one: test\n");
}

#[test]
fn a_file_of_tests_is_known_by_its_name_or_folder() {
    for name in ["a/tests/b.rs", "a/src/b/tests/c/d.rs", "tests/a.rs", "a/src/b/tests.rs", "tests.rs"] {
        assert!(is_test_file(name), "{name}");
    }
    for name in
        ["a/src/b.rs", "a/src/attests.rs", "a/src/contests/b.rs", "a/src/test.rs", "a/src/testing/b.rs"]
    {
        assert!(!is_test_file(name), "{name}");
    }
}

#[test]
fn what_stands_behind_cfg_test_is_a_test() {
    let source = "\
#[cfg(test)]
use one::Two;
@after-use
fn one() {}

#[cfg(test)]
mod tests;
@after-file
impl One {
    #[cfg(test)]
    fn two(&self) {
        if self.three() {
            @in-method
            four();
        }
    }

    @after-method
    fn five(&self) {}
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
)]
mod tests {
    const TABLE: &str = \"
[a]
b = { c = 1 }
\";

    @in-module
    #[test]
    fn six() {
    }

    @still-in-module
    #[test]
    fn seven() {
    }
}

@after-module
fn eight() {}
";
    // Written out, these would be citations of this file.
    let source = source.replace('@', "//= docs/spec/one.md#");
    let found = citations(&source, "a.rs").into_iter().map(|it| (it.anchor.unwrap_or_default(), it.side));
    let (tests, code): (Vec<_>, Vec<_>) = found.partition(|(_, side)| *side == Side::Test);
    let anchors = |found: Vec<(String, Side)>| found.into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(anchors(tests), ["in-method", "in-module", "still-in-module"]);
    assert_eq!(anchors(code), ["after-use", "after-file", "after-method", "after-module"]);
}
