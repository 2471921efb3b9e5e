//! Bytes of a document to the lines that count: comments and blank lines fall away, indentation becomes depth (§5.1, §12).

use super::{Mode, ToonError, ToonRule};

/// One line with content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The whole line, for the columns of errors.
    source: &'a str,
    /// Its number, counted from 1.
    pub(super) number: usize,
    /// Levels of indentation.
    pub(super) depth: usize,
    /// The content, without indentation and trailing spaces.
    pub(super) text: &'a str,
}

impl Line<'_> {
    /// The error that `rule` is broken at `token`, which is a part of this line.
    pub(super) fn error(&self, token: &str, rule: ToonRule) -> ToonError {
        let offset = (token.as_ptr() as usize).saturating_sub(self.source.as_ptr() as usize);
        let before = self.source.get(..offset).unwrap_or_default();
        ToonError { rule, line: self.number, column: before.chars().count() + 1 }
    }
}

/// A document as lines.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    /// Lines with content, in order.
    pub(super) content: Vec<Line<'a>>,
    /// The numbers of the blank lines, ascending.
    blank: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Splits `document`.
    pub(super) fn split(document: &'a str, indent: usize, mode: Mode) -> Result<Self, ToonError> {
        let document = document.strip_prefix('\u{feff}').unwrap_or(document);
        let mut lines = Self { content: Vec::new(), blank: Vec::new() };
        for (at, source) in document.split('\n').enumerate() {
            let source = source.strip_suffix('\r').unwrap_or(source);
            let unspaced = source.trim_start_matches(' ');
            if unspaced.is_empty() {
                lines.blank.push(at + 1);
            } else if !unspaced.starts_with('#') {
                lines.content.push(Self::line(source, at + 1, indent, mode)?);
            }
        }
        Ok(lines)
    }

    fn line(source: &'a str, number: usize, indent: usize, mode: Mode) -> Result<Line<'a>, ToonError> {
        let content = source.trim_start_matches([' ', '\t']);
        let margin = &source[..source.len() - content.len()];
        let tabs = margin.bytes().filter(|b| *b == b'\t').count();
        let spaces = margin.len() - tabs;
        let line = Line {
            source,
            number,
            depth: tabs + spaces / indent.max(1),
            text: content.trim_end_matches(' '),
        };
        match mode {
            Mode::Strict if tabs > 0 => Err(line.error(source, ToonRule::TabIndent)),
            Mode::Strict if !spaces.is_multiple_of(indent.max(1)) => {
                Err(line.error(content, ToonRule::UnevenIndent))
            }
            Mode::Strict | Mode::Lenient => Ok(line),
        }
    }

    /// The first blank line between the lines of the numbers `first` and `last`.
    pub(super) fn blank_between(&self, first: usize, last: usize) -> Option<usize> {
        let after = self.blank.partition_point(|number| *number <= first);
        self.blank.get(after).copied().filter(|number| *number < last)
    }
}
