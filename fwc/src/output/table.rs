//! Tables for people: columns fitted to the terminal, numbers to the right, long cells cut or wrapped.

use super::text::{truncate, width, wrap};

/// Cells between two columns.
const GAP: usize = 2;

/// No column becomes narrower than this, unless its content is. Chosen: an identifier stays recognisable.
const MIN_WIDTH: usize = 8;

/// Terminal styling, or none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether escapes for colour and weight may be written.
    pub(super) color: bool,
}

impl Style {
    /// `text` in bold.
    pub(super) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// `text` dimmed.
    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// `text` in red.
    pub(super) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// One column of a table whose cells are ready to show.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// What stands above it.
    pub(super) title: String,
    /// Whether it holds numbers and stands to the right.
    pub(super) right: bool,
    /// Whether long cells are wrapped instead of cut.
    pub(super) whole: bool,
    /// Whether no cell may be cut or wrapped, because it is there to be copied.
    pub(super) fixed: bool,
}

/// Whether the table of `rows` can be made at most `limit` cells wide. A table that cannot is better shown as records.
pub(super) fn fits(columns: &[Layout], rows: &[Vec<String>], limit: Option<usize>) -> bool {
    let widths = fit(columns, rows, limit);
    limit.is_none_or(|limit| widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1) <= limit)
}

/// The table of `rows`, at most `limit` cells wide if there is a limit. Every text is already safe to show.
pub(super) fn table(columns: &[Layout], rows: &[Vec<String>], limit: Option<usize>, style: Style) -> String {
    let widths = fit(columns, rows, limit);
    let titles: Vec<Vec<String>> =
        columns.iter().zip(&widths).map(|(c, w)| vec![truncate(&c.title, *w).into_owned()]).collect();
    let mut out = style.bold(&join(columns, &titles, &widths, 0)) + "\n";
    out.push_str(
        &style.dim(&"─".repeat(widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1))),
    );
    out.push('\n');
    for row in rows {
        let cells: Vec<Vec<String>> = columns
            .iter()
            .zip(row)
            .zip(&widths)
            .map(|((column, cell), width)| match column.whole {
                true => wrap(cell, *width),
                false => vec![truncate(cell, *width).into_owned()],
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            out.push_str(&join(columns, &cells, &widths, at));
            out.push('\n');
        }
    }
    out
}

/// Names and their values, one below the other, each value whole.
pub(super) fn pairs(pairs: &[(String, String)], limit: Option<usize>, style: Style) -> String {
    let natural = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let names = limit.map_or(natural, |limit| natural.min((limit / 2).max(MIN_WIDTH)));
    let values = limit.map(|limit| limit.saturating_sub(names + GAP).max(MIN_WIDTH));
    let mut out = String::new();
    for (name, value) in pairs {
        let name_lines = wrap(name, names);
        let value_lines = values.map_or_else(|| vec![value.clone()], |cells| wrap(value, cells));
        for at in 0..name_lines.len().max(value_lines.len()) {
            let name = name_lines.get(at).map_or("", String::as_str);
            let value = value_lines.get(at).map_or("", String::as_str);
            let padding = " ".repeat((names + GAP).saturating_sub(width(name)));
            out.push_str(format!("{}{padding}{value}", style.bold(name)).trim_end_matches(' '));
            out.push('\n');
        }
    }
    out
}

/// Line `at` of a row whose cells may have several.
fn join(columns: &[Layout], cells: &[Vec<String>], widths: &[usize], at: usize) -> String {
    let mut out = String::new();
    for ((column, lines), cells) in columns.iter().zip(cells).zip(widths) {
        let text = lines.get(at).map_or("", String::as_str);
        let padding = " ".repeat(cells.saturating_sub(width(text)));
        match column.right {
            true => out.extend([padding.as_str(), text]),
            false => out.extend([text, padding.as_str()]),
        }
        out.extend(std::iter::repeat_n(' ', GAP));
    }
    out.trim_end_matches(' ').to_owned()
}

/// The width of each column: what it needs, the widest ones cut until all fit into `limit`.
fn fit(columns: &[Layout], rows: &[Vec<String>], limit: Option<usize>) -> Vec<usize> {
    let needed = |at: usize, column: &Layout| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
        cells.chain([width(&column.title)]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = columns.iter().enumerate().map(|(at, column)| needed(at, column)).collect();
    let Some(limit) = limit else { return widths };
    let room = limit.saturating_sub(GAP * columns.len().saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    let shrinks = |at: usize| !columns[at].fixed;
    while excess > 0 {
        let free = || widths.iter().enumerate().filter(|(at, _)| shrinks(*at)).map(|(_, width)| *width);
        let widest = free().max().unwrap_or(0);
        if widest <= MIN_WIDTH {
            break;
        }
        let second = free().filter(|w| *w < widest).max().unwrap_or(0).max(MIN_WIDTH);
        let sharers = free().filter(|w| *w == widest).count();
        let step = (widest - second).min(excess.div_ceil(sharers));
        for (at, width) in widths.iter_mut().enumerate() {
            if shrinks(at) && *width == widest {
                *width -= step;
            }
        }
        excess = excess.saturating_sub(step * sharers);
    }
    widths
}
