//! Text from services made safe to show, and fitted to columns.
//!
//! What a service sends may hold terminal escapes, direction overrides, or characters that cannot be seen. A terminal
//! would obey the first, a reader would be deceived by the rest, so each of them is shown as an escape instead.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// Variation selector 16, which asks for the coloured picture of the symbol before it.
const PICTURE_SELECTOR: char = '\u{fe0f}';

/// `text` on one line, with every character that a terminal acts on or a reader cannot see written as `\n`, `\t`,
/// `\r` or `\u{…}`.
//= docs/spec/output.md#text-from-services
pub(crate) fn reveal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // One selector behind a symbol is how ordinary emoji are written.
            PICTURE_SELECTOR if !before.is_ascii() && !is_hidden(before) => out.push(c),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        before = c;
    }
    Cow::Owned(out)
}

/// Whether `c` is a control character, changes the direction or the order of what is shown, or leaves no mark.
///
/// Source: Unicode's `Cc`, `Cf`, `Zl`, `Zp`, `Bidi_Control`, `Default_Ignorable_Code_Point` and `Variation_Selector`.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The number of terminal cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` if it fits into `cells`, otherwise its beginning and an ellipsis.
pub(crate) fn truncate(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let (head, _) = split_at_width(text, cells.saturating_sub(1));
    Cow::Owned(format!("{head}…"))
}

/// `text` as lines of at most `cells`, broken at spaces where there are some.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(2);
    let mut lines = Vec::new();
    let mut rest = text;
    // What is left is never measured: whoever writes a text of a megabyte must not decide how long its reader waits.
    loop {
        let (head, tail) = split_at_width(rest, cells);
        if tail.is_empty() {
            lines.push(head.to_owned());
            return lines;
        }
        let end = match head.rfind(' ').filter(|at| *at > 0) {
            Some(space) if !tail.starts_with(' ') => space,
            Some(_) | None => head.len(),
        };
        lines.push(rest[..end].to_owned());
        rest = rest[end..].strip_prefix(' ').unwrap_or(&rest[end..]);
    }
}

/// The longest beginning of `text` within `cells` (at least one character), and the rest.
fn split_at_width(text: &str, cells: usize) -> (&str, &str) {
    let mut end = 0;
    let mut used = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        // A selector widens what stands before it; its own width alone would say nothing.
        let step = if c == PICTURE_SELECTOR { 1 } else { width(&text[at..next]) };
        if used + step > cells && end > 0 {
            break;
        }
        used += step;
        end = next;
    }
    text.split_at(end)
}
