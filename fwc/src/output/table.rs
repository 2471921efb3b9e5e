//! Tables for people: columns fitted to the terminal, numbers to the right, long cells cut or wrapped.

use super::text::{truncate, width, wrap};

/// Cells between two columns.
const GAP: usize = 2;

/// The hexadecimal digits of the shortest identifiers.
const IDENTIFIER_DIGITS: usize = 16;

/// How a cell without a value is shown.
pub(super) const ABSENT: &str = "-";

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
    /// What becomes of its cells where there is too little room.
    pub(super) room: Room,
}

/// What becomes of long cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// They are cut.
    Cut,
    /// They are wrapped.
    Wrapped,
    /// They stay as they are: what is left of a point in time says nothing.
    Fixed,
    /// They stay as they are, for they are there to be copied; below their row, if need be.
    Identifier,
    /// They stay as they are, below their row.
    Below,
}

impl Room {
    const fn shrinks(self) -> bool {
        matches!(self, Self::Cut | Self::Wrapped)
    }
}

/// The columns that a table of `rows` at most `limit` cells wide shows below each row: none if all have room, those of
/// identifiers if the others need theirs. There is nothing for a table that is too wide in any case.
pub(super) fn lifted(columns: &[Layout], rows: &[Vec<String>], limit: Option<usize>) -> Option<Vec<usize>> {
    let of = |rooms: &[Room]| (0..columns.len()).filter(|at| rooms.contains(&columns[*at].room)).collect();
    let below: Vec<usize> = of(&[Room::Below]);
    let Some(limit) = limit else { return Some(below) };
    let identifiers = of(&[Room::Below, Room::Identifier]);
    let gain = |lifted: &Vec<usize>| lifted.len() < columns.len();
    let choices: Vec<Vec<usize>> = [below, identifiers].into_iter().filter(gain).collect();
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    let uncut = |lifted: &Vec<usize>| total(&widths(columns, rows, lifted, None)) <= limit;
    let fits = |lifted: &Vec<usize>| total(&widths(columns, rows, lifted, Some(limit))) <= limit;
    choices.iter().find(|it| uncut(it)).or_else(|| choices.iter().find(|it| fits(it))).cloned()
}

/// The table of `rows`, at most `limit` cells wide if there is a limit, with the columns `lifted` below each row. Every
/// text is already safe to show.
pub(super) fn table(
    columns: &[Layout],
    rows: &[Vec<String>],
    lifted: &[usize],
    limit: Option<usize>,
    style: Style,
) -> String {
    let widths = widths(columns, rows, lifted, limit);
    let kept: Vec<usize> = (0..columns.len()).filter(|at| !lifted.contains(at)).collect();
    let columns_kept: Vec<&Layout> = kept.iter().map(|at| &columns[*at]).collect();
    let titles: Vec<Vec<String>> =
        columns_kept.iter().zip(&widths).map(|(c, w)| vec![truncate(&c.title, *w).into_owned()]).collect();
    let mut out = style.bold(&join(&columns_kept, &titles, &widths, 0)) + "\n";
    let line = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    out.push_str(&(style.dim(&"─".repeat(line)) + "\n"));
    for row in rows {
        let cells: Vec<Vec<String>> =
            kept.iter().zip(&widths).map(|(at, width)| lines_of(&columns[*at], &row[*at], *width)).collect();
        for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            out.push_str(&(join(&columns_kept, &cells, &widths, at) + "\n"));
        }
        for at in lifted.iter().filter(|at| row[**at] != ABSENT) {
            out.push_str(&format!("  {} {}\n", style.dim(&columns[*at].title), row[*at]));
        }
    }
    out
}

/// A cell as lines of at most `width`.
fn lines_of(column: &Layout, cell: &str, width: usize) -> Vec<String> {
    match column.room {
        Room::Wrapped => wrap(cell, width),
        Room::Cut | Room::Fixed | Room::Identifier | Room::Below => vec![truncate(cell, width).into_owned()],
    }
}

/// Whether `cell` is an identifier, which is of use only as a whole.
pub(super) fn is_identifier(cell: &str) -> bool {
    cell.len() >= IDENTIFIER_DIGITS && cell.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Names and their values, one below the other, each value whole; an identifier without room stands below its name.
pub(super) fn pairs(pairs: &[(String, String)], limit: Option<usize>, style: Style) -> String {
    let natural = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let names = limit.map_or(natural, |limit| natural.min((limit / 2).max(MIN_WIDTH)));
    let values = limit.map(|limit| limit.saturating_sub(names + GAP).max(MIN_WIDTH));
    let mut out = String::new();
    for (name, value) in pairs {
        if is_identifier(value) && values.is_some_and(|cells| width(value) > cells) {
            out.push_str(&format!("{}\n  {value}\n", style.bold(name)));
            continue;
        }
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
fn join(columns: &[&Layout], cells: &[Vec<String>], widths: &[usize], at: usize) -> String {
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

/// The width of each column but those `lifted`: what it needs, the widest ones cut until all fit into `limit`.
fn widths(columns: &[Layout], rows: &[Vec<String>], lifted: &[usize], limit: Option<usize>) -> Vec<usize> {
    let needed = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
        cells.chain([width(&columns[at].title)]).max().unwrap_or(0)
    };
    let kept: Vec<usize> = (0..columns.len()).filter(|at| !lifted.contains(at)).collect();
    let mut widths: Vec<usize> = kept.iter().map(|at| needed(*at)).collect();
    let Some(limit) = limit else { return widths };
    let room = limit.saturating_sub(GAP * kept.len().saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    let shrinks = |at: usize| columns[kept[at]].room.shrinks();
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
