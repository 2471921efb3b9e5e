//! The two output streams: what they are, and putting texts on them.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode as ProcessExit;

use fcp_proto_core::error::{Code, ExitCode};

use super::answer::{Answer, Failure, TableSpec};
use super::render::{self, Rendered};
use super::table::Style;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The envelope as one JSON object.
    Json,
    /// The rows, one JSON value a line.
    #[value(alias = "ndjson")]
    Jsonl,
    /// The rows as RFC 4180.
    Csv,
    /// The rows as tab-separated lines.
    Tsv,
    /// A Markdown table.
    #[value(alias = "md")]
    Markdown,
    /// A table for people.
    Table,
    /// The envelope as TOON, for agents.
    Toon,
}

impl Format {
    /// Whether notes, source and next commands travel with the data.
    pub(super) const fn has_envelope(self) -> bool {
        match self {
            Self::Json | Self::Toon => true,
            Self::Jsonl | Self::Csv | Self::Tsv | Self::Markdown | Self::Table => false,
        }
    }

    /// Whether the source stands in the data stream.
    pub(super) const fn shows_source(self) -> bool {
        match self {
            Self::Json | Self::Toon | Self::Markdown | Self::Table => true,
            Self::Jsonl | Self::Csv | Self::Tsv => false,
        }
    }
}

/// What the streams lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surface {
    /// Whether standard output is a terminal.
    pub(super) stdout_terminal: bool,
    /// Whether standard error is a terminal.
    pub(super) stderr_terminal: bool,
    /// The cells of a line, if standard output is a terminal that says.
    pub(super) width: Option<usize>,
    /// Whether a terminal may be coloured: `NO_COLOR` is unset or empty and `TERM` is not `dumb`.
    pub(super) color: bool,
}

impl Surface {
    fn detect() -> Self {
        let stdout_terminal = io::stdout().is_terminal();
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            stdout_terminal,
            stderr_terminal: io::stderr().is_terminal(),
            width: if stdout_terminal { Some(terminal_width()) } else { None },
            color: !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// The styling of standard output.
    pub(super) fn stdout_style(&self) -> Style {
        Style { color: self.color && self.stdout_terminal }
    }

    /// The styling of standard error.
    pub(super) fn stderr_style(&self) -> Style {
        Style { color: self.color && self.stderr_terminal }
    }
}

/// The width that `COLUMNS` or else the terminal says, or 80, the width of the classic one.
fn terminal_width() -> usize {
    let wished = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    if let Some(wished) = wished.filter(|cells| *cells > 0) {
        return wished;
    }
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        Ok(_) | Err(_) => 80,
    }
}

/// Where a command's one answer or failure goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    format: Format,
    surface: Surface,
}

impl Console {
    /// The console of this process. Without a choice, a terminal gets a table and a pipe gets TOON; `--json` counts more
    /// than a format.
    pub(crate) fn detect(format: Option<Format>, json: bool) -> Self {
        let surface = Surface::detect();
        let default = if surface.stdout_terminal { Format::Table } else { Format::Toon };
        let format = if json { Format::Json } else { format.unwrap_or(default) };
        Self { format, surface }
    }

    /// The format that was chosen.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// `answer` as one line of a stream, with its end.
    pub(crate) fn line(&self, answer: &Answer, columns: &TableSpec) -> String {
        render::line(answer, columns, self.format, &self.surface)
    }

    /// Tells the reader something besides the data. Nothing is lost if nobody can be told.
    pub(crate) fn tell(&self, text: &str) {
        let line = self.surface.stderr_style().dim(text) + "\n";
        drop(io::stderr().lock().write_all(line.as_bytes()));
    }

    /// Prints `answer` and says how the process ends.
    pub(crate) fn answer(&self, answer: &Answer) -> ProcessExit {
        self.finish(&render::answer(answer, self.format, &self.surface), answer.exit_code())
    }

    /// Prints `failure` and says how the process ends.
    pub(crate) fn failure(&self, failure: &Failure) -> ProcessExit {
        self.finish(&render::failure(failure, self.format, &self.surface), failure.exit_code())
    }

    /// Prints `failure` in words on standard error, for a command whose standard output is another document, and says
    /// how the process ends.
    pub(crate) fn failure_in_words(&self, failure: &Failure) -> ProcessExit {
        self.finish(&render::failure(failure, Format::Table, &self.surface), failure.exit_code())
    }

    /// Puts both texts out. A reader that has gone away is no failure of ours; an output that cannot be written is.
    fn finish(&self, rendered: &Rendered, code: ExitCode) -> ProcessExit {
        let mut out = io::stdout().lock();
        let written = out.write_all(rendered.stdout.as_bytes()).and_then(|()| out.flush());
        let (complaint, code) = match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let lost = render::failure(&unwritable(&error), Format::Table, &self.surface);
                (lost.stderr, worse(code))
            }
            Ok(()) | Err(_) => (String::new(), code),
        };
        let told = io::stderr().lock().write_all(format!("{complaint}{}", rendered.stderr).as_bytes());
        let code = match told {
            // There is no stream left on which this could be reported in words.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => worse(code),
            Ok(()) | Err(_) => code,
        };
        ProcessExit::from(code as u8)
    }
}

/// The failure of an answer that standard output does not take.
fn unwritable(error: &io::Error) -> Failure {
    Failure::new(Code::Internal, "The command ended, and its answer cannot be written.", error.to_string())
        .next("make room for standard output; `fwc history` and `fwc status` show what was done meanwhile")
}

/// The code of an answer that could not be given in full.
fn worse(code: ExitCode) -> ExitCode {
    if code == ExitCode::Ok { ExitCode::Internal } else { code }
}
