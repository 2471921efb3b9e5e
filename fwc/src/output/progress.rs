//! Steps of a long command on standard error: a spinner on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::text::reveal;

/// A spinner turns this often. Chosen: smooth, and nothing on a core.
const TICK: Duration = Duration::from_millis(100);

/// Shows steps, one after the other.
#[derive(Debug)]
pub(crate) struct Steps {
    terminal: bool,
}

impl Steps {
    /// Steps on this process's standard error.
    pub(crate) fn detect() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    /// Begins the step `label`. It ends by [`Step::done`] or [`Step::fail`]; dropped, it counts as given up.
    pub(crate) fn begin(&self, label: &str) -> Step<'static> {
        let label = reveal(label).into_owned();
        let sink =
            if self.terminal { Sink::Spinner(spinner(&label)) } else { Sink::Lines(Box::new(io::stderr())) };
        Step::start(label, sink)
    }
}

fn spinner(label: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    bar.set_message(label.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

/// Where a step is shown.
enum Sink<'a> {
    Spinner(ProgressBar),
    Lines(Box<dyn Write + 'a>),
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    GivenUp,
}

impl End {
    const fn mark(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed => "FAILED",
            Self::GivenUp => "not finished",
        }
    }
}

/// A step under way.
#[must_use = "a step that is dropped counts as given up"]
pub(crate) struct Step<'a> {
    label: String,
    sink: Option<Sink<'a>>,
}

impl<'a> Step<'a> {
    fn start(label: String, mut sink: Sink<'a>) -> Self {
        if let Sink::Lines(out) = &mut sink {
            put(out, &format!("{label} …"));
        }
        Self { label, sink: Some(sink) }
    }

    /// Ends the step well; `detail` says what came of it, and may be empty.
    pub(crate) fn done(mut self, detail: &str) {
        self.end(End::Done, detail);
    }

    /// Ends the step badly; `detail` says why.
    pub(crate) fn fail(mut self, detail: &str) {
        self.end(End::Failed, detail);
    }

    fn end(&mut self, end: End, detail: &str) {
        let Some(sink) = self.sink.take() else { return };
        let colon = if detail.is_empty() { "" } else { ": " };
        let line = format!("{} {}{colon}{}", self.label, end.mark(), reveal(detail));
        let mut out: Box<dyn Write + '_> = match sink {
            Sink::Spinner(bar) => {
                bar.finish_and_clear();
                Box::new(io::stderr())
            }
            Sink::Lines(out) => out,
        };
        put(&mut out, &line);
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.end(End::GivenUp, "");
    }
}

/// A line that cannot be shown changes nothing about the step, and there is no other stream to say so on.
fn put(out: &mut dyn Write, line: &str) {
    if writeln!(out, "{line}").is_ok() {
        out.flush().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(run: impl FnOnce(Step<'_>)) -> String {
        let mut out = Vec::new();
        run(Step::start("start the daemon".to_owned(), Sink::Lines(Box::new(&mut out))));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_step_says_how_it_ended() {
        assert_eq!(lines(|step| step.done("")), "start the daemon …\nstart the daemon ok\n");
        assert_eq!(
            lines(|step| step.fail("port\u{1b}[2J taken")),
            "start the daemon …\nstart the daemon FAILED: port\\u{1b}[2J taken\n"
        );
        assert_eq!(lines(|step| drop(step)), "start the daemon …\nstart the daemon not finished\n");
    }
}
