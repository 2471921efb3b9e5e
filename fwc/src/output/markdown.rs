//! Tables in Markdown. Text is escaped so that a service can place neither links, HTML nor cells of its own.

use super::text::reveal;

/// A table with `header` above `rows`; `right` says which columns hold numbers.
pub(super) fn table(header: &[String], rows: &[Vec<String>], right: &[bool]) -> String {
    let mut out = line(header);
    let rule = |at: usize| if right.get(at) == Some(&true) { "---:" } else { "---" };
    out.push_str(&format!("| {} |\n", (0..header.len()).map(rule).collect::<Vec<_>>().join(" | ")));
    out.extend(rows.iter().map(|row| line(row)));
    out
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>().join(" | "))
}

/// `text` with everything that Markdown would act on in a line escaped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in reveal(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
