//! What commands return, and how it gets to the console.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode as ProcessExit;

use fcp_api::types::{Reply, Source};
use fcp_proto_core::error::{Code, ExitCode};
use serde::Serialize;

use crate::cli::Global;
use crate::output::value::Value;
use crate::output::{self, Column, Console, Format, TableSpec, TruthSource};
use crate::remedy::Known;
use crate::{Failure, Result};

/// An answer, and where it comes from; the command's name is added when it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer(output::Answer);

impl Answer {
    /// What the daemon answered.
    ///
    /// # Errors
    /// [`Code::Internal`] if the answer has no JSON form, which is a defect.
    pub(crate) fn of<T: Serialize>(reply: Reply<T>) -> Result<Self> {
        Self::local(&reply.body, reply.meta.source)
    }

    /// What this process found out itself.
    ///
    /// # Errors
    /// As [`Answer::of`].
    pub(crate) fn local<T: Serialize>(body: &T, source: Source) -> Result<Self> {
        let source = match source {
            Source::Mesh => TruthSource::Mesh,
            Source::Host => TruthSource::Host,
            Source::NodeLocal => TruthSource::NodeLocal,
            Source::Offline => TruthSource::Offline,
        };
        output::Answer::of("", source, body).map(Self).map_err(from_output)
    }

    /// This answer with the rows in the member `rows` shown in these columns: path and title. A title that ends in `…` is of
    /// cells that are wrapped instead of cut, one that ends in `↓` of cells that stand whole below their row.
    pub(crate) fn table(self, rows: &'static str, columns: &[(&'static str, &'static str)]) -> Self {
        Self(self.0.table(TableSpec::rows(rows, &columns_of(columns))))
    }

    /// This answer with the member `member` shown in these columns below all else.
    pub(crate) fn section(self, member: &'static str, columns: &[(&'static str, &'static str)]) -> Self {
        Self(self.0.section(TableSpec::rows(member, &columns_of(columns))))
    }

    /// This answer with `members` left to the formats that programs read: what says again what is shown, and evidence.
    pub(crate) fn hidden(self, members: &[&'static str]) -> Self {
        Self(self.0.hidden(members))
    }

    /// This answer with a command to go on with.
    pub(crate) fn next(self, command: impl Into<String>) -> Self {
        Self(self.0.next(command))
    }

    /// This answer with something the reader should know.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self(self.0.note(note))
    }
}

fn columns_of(columns: &[(&'static str, &'static str)]) -> Vec<Column> {
    let column = |(path, title): &(&'static str, &'static str)| match (
        title.strip_suffix('…'),
        title.strip_suffix('↓'),
    ) {
        (Some(title), _) => Column::new(path, title).whole(),
        (None, Some(title)) => Column::new(path, title).below(),
        (None, None) => Column::new(path, title),
    };
    columns.iter().map(column).collect()
}

/// Answers that are shown as they come, a line each: for people the chosen columns, for programs JSON.
#[derive(Debug)]
pub(crate) struct Lines {
    console: Console,
    spec: TableSpec,
    /// What was told last of where they come from.
    source: Option<TruthSource>,
}

impl Lines {
    /// Shows one answer; breaks if nobody reads any more.
    ///
    /// # Errors
    /// [`Code::Internal`] if standard output takes no more.
    pub(crate) fn put(&mut self, answer: &Answer) -> Result<ControlFlow<()>> {
        if self.source.replace(answer.0.source) != Some(answer.0.source) {
            self.console.tell(&format!("source: {}", answer.0.source.as_str()));
        }
        print(&self.console.line(&answer.0, &self.spec))
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// With an answer.
    Answer(Box<Answer>),
    /// With an answer that tells of a failure, such as a chain that does not verify.
    Failed(Box<Answer>, Box<Failure>),
    /// With a text that is shown as it is, such as a completion script.
    Text(String),
    /// With everything shown already.
    Shown,
    /// With the exit code of a command that it ran.
    Exit(u8),
}

impl Outcome {
    /// The data of the answer, for a command that ran another one; `None` if there is no answer.
    pub(crate) fn data(&self) -> Option<serde_json::Value> {
        match self {
            Self::Answer(answer) | Self::Failed(answer, _) => {
                serde_json::from_str(&output::json::to_line(&answer.0.data)).ok()
            }
            Self::Text(_) | Self::Shown | Self::Exit(_) => None,
        }
    }
}

impl Answer {
    /// This answer, which tells of `failure`, if there is one.
    pub(crate) fn or_failed(self, failure: Option<Failure>) -> Outcome {
        match failure {
            None => self.into(),
            Some(failure) => Outcome::Failed(Box::new(self), Box::new(failure)),
        }
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// Where a command's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// To the answer or the failure.
    Answer,
    /// To another document, such as a conversion's; failures are then told in words.
    Document,
}

/// Shows answers and failures in the form that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Renderer {
    console: Console,
    command: String,
    known: Known,
    stream: Stream,
}

impl Renderer {
    /// The renderer of one command line.
    pub(crate) fn new(global: &Global, command: &str, stream: Stream) -> Self {
        let console = Console::detect(global.format, global.json);
        Self { console, command: command.to_owned(), known: Known::default(), stream }
    }

    /// The same for a command line that names these things.
    pub(crate) fn knowing(self, known: Known) -> Self {
        Self { known, ..self }
    }

    /// Whether a person reads the answer, rather than a program.
    pub(crate) fn is_for_people(&self) -> bool {
        self.console.format() == Format::Table
    }

    /// Whether standard error may tell how far a command is: a program that asked for JSON is left alone.
    pub(crate) fn tells_progress(&self) -> bool {
        !matches!(self.console.format(), Format::Json | Format::Jsonl)
    }

    /// A stream of answers, a line each; people see these columns.
    ///
    /// # Errors
    /// [`Code::UsageError`] for a format that has no lines of its own.
    pub(crate) fn lines(&self, columns: &[(&'static str, &'static str)]) -> Result<Lines> {
        match self.console.format() {
            Format::Csv | Format::Tsv | Format::Markdown => {
                Err(crate::usage("this shows answers as they come, and the format needs all of them at once")
                    .next("leave out --format, or take `--format jsonl`"))
            }
            Format::Json | Format::Jsonl | Format::Toon | Format::Table => {
                let spec = TableSpec::rows("", &columns_of(columns));
                Ok(Lines { console: self.console, spec, source: None })
            }
        }
    }

    /// Shows how a command ended, and returns how the process ends.
    pub(crate) fn finish(&self, outcome: Result<Outcome>) -> ProcessExit {
        match outcome {
            Ok(Outcome::Answer(answer)) => self.console.answer(&self.named(*answer)),
            Ok(Outcome::Failed(answer, failure)) => {
                let failed = Some(Box::new(self.told(&failure)));
                let answer = output::Answer { failed, ..self.named(*answer) };
                self.console.answer(&answer)
            }
            Ok(Outcome::Text(text)) => match print(&text) {
                Ok(_) => ProcessExit::from(ExitCode::Ok as u8),
                Err(failure) => self.fail(&failure),
            },
            Ok(Outcome::Shown) => ProcessExit::from(ExitCode::Ok as u8),
            Ok(Outcome::Exit(code)) => ProcessExit::from(code),
            Err(failure) => self.fail(&failure),
        }
    }

    fn named(&self, answer: Answer) -> output::Answer {
        let next = answer.0.next.iter().map(|step| self.known.said_again(step)).collect();
        let tables = answer.0.table.iter().chain(&answer.0.sections);
        let with_remedies = tables.filter(|it| it.columns.iter().any(|column| column.path == "remedy"));
        let data = with_remedies.filter_map(|it| it.rows).fold(answer.0.data.clone(), |data, rows| {
            data.map_member(rows, &|rows| rows.map_member("remedy", &|step| self.said_again(&step)))
        });
        output::Answer { command: self.command.clone(), next, data, ..answer.0 }
    }

    fn said_again(&self, steps: &Value) -> Value {
        steps.map_text(&|step| self.known.said_again(step))
    }

    /// `failure` with a command to go on with, whatever else it says.
    //= docs/spec/output.md#envelope
    fn told(&self, failure: &Failure) -> output::Failure {
        let mut failure = failure.clone();
        let in_particular = self.known.in_particular(&failure, &self.command);
        failure.next = in_particular.unwrap_or_else(|| self.known.filled(&failure));
        let mut told = to_output(&failure);
        told.next = told.next.iter().map(|step| self.known.said_again(step)).collect();
        if failure.denial().is_some() {
            told.detail =
                told.detail.map(|denial| denial.map_member("command", &|step| self.said_again(&step)));
        }
        match told.next.iter().any(|step| step.contains("fwc ")) {
            true => told,
            false => {
                told.next(format!("`{} --help` shows examples", format!("fwc {}", self.command).trim_end()))
            }
        }
    }

    fn fail(&self, failure: &Failure) -> ProcessExit {
        let failure = self.told(failure);
        match self.stream {
            Stream::Answer => self.console.failure(&failure),
            Stream::Document => self.console.failure_in_words(&failure),
        }
    }
}

/// A failure in the daemon's words, for the console.
pub(crate) fn to_output(failure: &Failure) -> output::Failure {
    let why = failure.why.as_deref().unwrap_or_default();
    let mut shown = output::Failure::new(failure.code, failure.message.clone(), why);
    shown.retryable = failure.retryable;
    if let Some(denial) = failure.denial() {
        // A rule that is the reason already is not told twice.
        let rule = denial.rule.filter(|rule| *rule != shown.why);
        let rule = rule.map_or(String::new(), |rule| format!(": {rule}"));
        shown.why = join(&shown.why, &format!("the check `{}` refused{rule}", denial.check));
        // The command alone, where the step says no more, so that it can be copied.
        let step = Some(failure.next.clone()).filter(|step| denial.command != bare(step));
        shown.next.extend(
            denial.command.filter(|command| step.as_ref().is_none_or(|step| !step.contains(command))),
        );
        shown.next.extend(step);
        shown.next.extend(denial.decision_id.map(|id| format!("fwc explain {id}")));
    } else {
        shown.next.push(failure.next.clone());
    }
    if let Some(wait) = failure.retry_after_ms {
        shown.next.push(format!("wait {wait} ms, then retry"));
    }
    shown.detail = failure.detail.as_deref().cloned().map(Into::into);
    shown
}

/// The command that is all of a step.
fn bare(step: &str) -> Option<String> {
    let command = step.strip_prefix('`')?.strip_suffix('`')?;
    (!command.contains('`')).then(|| command.to_owned())
}

/// A failure of the console's, in the words of commands.
pub(crate) fn from_output(failure: output::Failure) -> Failure {
    let next = failure.steps().join("; ");
    let mut own = Failure::new(failure.code).because(failure.why).next(next);
    own.message = failure.what;
    own
}

fn join(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}; {second}") }
}

/// A reader that has gone away is no failure of ours, and wants no more.
fn print(text: &str) -> Result<ControlFlow<()>> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::new(Code::Internal)
            .because(format!("standard output: {error}"))
            .next("give it somewhere to write")),
    }
}
