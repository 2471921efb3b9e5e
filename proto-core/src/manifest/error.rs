//! Why bytes are no manifest, with the place.

use alloc::string::String;
use core::fmt;

/// Why bytes are no valid manifest or case file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The line, counted from 1; 0 when the document as a whole is meant.
    pub line: usize,
    /// The place, such as `operations."github.user.get".input.schema`; empty for the document as a whole.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// More bytes than a manifest may have.
    TooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// Not TOML, or a value of another type, or a field that is unknown or missing; says which.
    Syntax(String),
    /// A rule of the specification is broken; says which.
    Rule(String),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        match &self.problem {
            Problem::TooLarge => f.write_str("larger than a manifest may be"),
            Problem::NotUtf8 => f.write_str("not UTF-8"),
            Problem::Syntax(text) | Problem::Rule(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for ManifestError {}

/// Knows which line of a TOML document a path stands on.
pub(super) struct Places<'a>(&'a str);

impl<'a> Places<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The line (from 1) and the path at the byte `offset`: the table's header and the key before it.
    pub(super) fn at(&self, offset: usize) -> (usize, String) {
        let mut place = (1_usize, String::new());
        let mut start = 0;
        for (line, path) in self.lines() {
            if start > offset {
                break;
            }
            start += line.len();
            place = (place.0 + 1, path);
        }
        (place.0.saturating_sub(1).max(1), place.1)
    }

    /// The line on which `path`, or the longest beginning of it that is written out, stands; 0 if none is.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let (mut best, mut best_len) = (0, 0);
        for (number, (_, candidate)) in self.lines().enumerate() {
            let leads = path
                .strip_prefix(candidate.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if leads && candidate.len() > best_len {
                (best, best_len) = (number + 1, candidate.len());
            }
        }
        best
    }

    /// The line of the `index`-th table whose header is `header`; 0 if there is none.
    pub(super) fn nth_table(&self, header: &str, index: usize) -> usize {
        let is_header =
            |line: &str| line.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')) == Some(header);
        let found = self.0.split('\n').enumerate().filter(|(_, line)| is_header(line)).nth(index);
        found.map_or(0, |(line, _)| line + 1)
    }

    /// Every line with the path of the key that stands on it.
    fn lines(&self) -> impl Iterator<Item = (&'a str, String)> {
        let mut table = String::new();
        self.0.split_inclusive('\n').map(move |line| {
            let trimmed = line.trim();
            if let Some(header) = trimmed.strip_prefix('[') {
                let header = header.trim_start_matches('[');
                table = header.split(']').next().unwrap_or_default().trim().into();
                return (line, table.clone());
            }
            let key = trimmed.split_once('=').map(|(key, _)| key.trim()).filter(|key| is_key(key));
            let path = match key {
                Some(key) if table.is_empty() => key.into(),
                Some(key) => alloc::format!("{table}.{key}"),
                None => table.clone(),
            };
            (line, path)
        })
    }
}

fn is_key(text: &str) -> bool {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'"');
    !text.is_empty() && text.bytes().all(bare)
}
