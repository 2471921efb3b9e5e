//! The page of requirements names every number of the areas that it promises to cover, each once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The areas that are covered whole, and how many numbers each has.
const WHOLE: [(char, usize); 5] = [('A', 28), ('B', 8), ('C', 18), ('F', 48), ('J', 64)];

/// The area and number of `A-01`.
fn number(text: &str) -> Option<(char, usize)> {
    let (area, digits) = text.split_once('-')?;
    Some((area.chars().next()?, digits.get(..2)?.parse().ok()?))
}

/// The numbers of a cell such as `A-01, A-03 to A-05`.
fn numbers(cell: &str) -> Vec<(char, usize)> {
    let mut found = Vec::new();
    for part in cell.split(", ") {
        let (first, last) = part.split_once(" to ").unwrap_or((part, part));
        let ((area, first), (same, last)) = (number(first).expect(part), number(last).expect(part));
        assert!(area == same && first <= last, "{part}");
        found.extend((first..=last).map(|number| (area, number)));
    }
    found
}

#[test]
fn every_number_of_the_covered_areas_is_there_once() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/requirements.md");
    let page = fs::read_to_string(page).expect("the page");
    let mut told: BTreeMap<(char, usize), usize> = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.split('|').nth(1).expect("a cell").trim();
        if number(cell).is_some() {
            numbers(cell).into_iter().for_each(|number| *told.entry(number).or_default() += 1);
        }
    }
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    for (area, most) in WHOLE {
        let missing: Vec<_> = (1..=most).filter(|number| !told.contains_key(&(area, *number))).collect();
        assert!(missing.is_empty(), "{area}: {missing:?}");
    }
}
