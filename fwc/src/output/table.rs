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

/// No place is wider where nothing limits a line, so that one long cell does not fill every other line with spaces. Chosen:
/// more than any name takes.
const ALIGNED: usize = 128;

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
    /// They are names, there to be typed: they are wrapped between two of them and never within one.
    Names,
    /// They stay as they are: what is left of a point in time says nothing.
    Fixed,
    /// They stay as they are, for they are there to be copied; below their row, if need be.
    Identifier,
    /// They stay as they are, below their row.
    Below,
}

impl Room {
    /// The least width of a column of `cells`, the widest of which takes `natural`.
    fn least<'a>(self, natural: usize, cells: impl Iterator<Item = &'a str>) -> usize {
        match self {
            Self::Cut | Self::Wrapped => natural.min(MIN_WIDTH),
            Self::Names => {
                let names = cells.flat_map(|cell| cell.split(' ')).map(width);
                names.chain([natural.min(MIN_WIDTH)]).max().unwrap_or(natural)
            }
            Self::Fixed | Self::Identifier | Self::Below => natural,
        }
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
    let places = places(&widths, limit);
    let kept: Vec<usize> = (0..columns.len()).filter(|at| !lifted.contains(at)).collect();
    let columns_kept: Vec<&Layout> = kept.iter().map(|at| &columns[*at]).collect();
    let titles: Vec<Vec<String>> =
        columns_kept.iter().zip(&widths).map(|(c, w)| vec![truncate(&c.title, *w).into_owned()]).collect();
    let mut out = style.bold(&join(&columns_kept, &titles, &places, 0)) + "\n";
    let line = places.iter().sum::<usize>() + GAP * places.len().saturating_sub(1);
    out.push_str(&(style.dim(&"─".repeat(line)) + "\n"));
    for row in rows {
        let cells: Vec<Vec<String>> =
            kept.iter().zip(&widths).map(|(at, width)| lines_of(&columns[*at], &row[*at], *width)).collect();
        for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            out.push_str(&(join(&columns_kept, &cells, &places, at) + "\n"));
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
        Room::Wrapped | Room::Names => wrap(cell, width),
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
    let names = natural.min(limit.map_or(ALIGNED, |limit| (limit / 2).max(MIN_WIDTH)));
    let values = limit.map(|limit| limit.saturating_sub(names + GAP).max(MIN_WIDTH));
    let mut out = String::new();
    for (name, value) in pairs {
        if is_identifier(value) && values.is_some_and(|cells| width(value) > cells) {
            out.push_str(&format!("{}\n  {value}\n", style.bold(name)));
            continue;
        }
        let name_lines = if limit.is_some() { wrap(name, names) } else { vec![name.clone()] };
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
fn join(columns: &[&Layout], cells: &[Vec<String>], places: &[usize], at: usize) -> String {
    let mut out = String::new();
    for ((column, lines), place) in columns.iter().zip(cells).zip(places) {
        let text = lines.get(at).map_or("", String::as_str);
        let padding = " ".repeat(place.saturating_sub(width(text)));
        match column.right {
            true => out.extend([padding.as_str(), text]),
            false => out.extend([text, padding.as_str()]),
        }
        out.extend(std::iter::repeat_n(' ', GAP));
    }
    out.trim_end_matches(' ').to_owned()
}

/// The place that each line leaves to its columns: their widths, and where none is too wide, not that of one long cell.
fn places(widths: &[usize], limit: Option<usize>) -> Vec<usize> {
    widths.iter().map(|width| if limit.is_some() { *width } else { (*width).min(ALIGNED) }).collect()
}

/// The width of each column but those `lifted`: what it needs, the widest ones narrowed until all fit into `limit` or none
/// gives way any more.
fn widths(columns: &[Layout], rows: &[Vec<String>], lifted: &[usize], limit: Option<usize>) -> Vec<usize> {
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at)).map(String::as_str);
    let needed = |at: usize| cells(at).chain([columns[at].title.as_str()]).map(width).max().unwrap_or(0);
    let kept: Vec<usize> = (0..columns.len()).filter(|at| !lifted.contains(at)).collect();
    let mut widths: Vec<usize> = kept.iter().map(|at| needed(*at)).collect();
    let Some(limit) = limit else { return widths };
    let room = limit.saturating_sub(GAP * kept.len().saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    let least: Vec<usize> =
        kept.iter().zip(&widths).map(|(at, width)| columns[*at].room.least(*width, cells(*at))).collect();
    while excess > 0 {
        let free = || widths.iter().zip(&least).filter(|(width, least)| width > least);
        let Some(widest) = free().map(|(width, _)| *width).max() else { break };
        let sharers = free().filter(|(width, _)| **width == widest).count();
        // As far as the next one is wide, or one of these can go.
        let ends = free().map(|(width, least)| if *width == widest { *least } else { *width });
        let step = (widest - ends.max().unwrap_or(0)).min(excess.div_ceil(sharers));
        for (width, least) in widths.iter_mut().zip(&least) {
            if *width > *least && *width == widest {
                *width -= step;
            }
        }
        excess = excess.saturating_sub(step * sharers);
    }
    widths
}
