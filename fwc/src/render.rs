//! What commands return, and how it is shown: answers on standard output, failures on standard error.

use std::io::Write;

use fcp_api::types::{Meta, Reply, Source};
use fcp_proto_core::error::{Code, ExitCode};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Global;
use crate::{Failure, Result, internal};

/// An answer, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer's own fields: an object.
    pub body: Value,
    /// Where it comes from.
    pub meta: Meta,
}

impl Answer {
    /// What the daemon answered.
    ///
    /// # Errors
    /// [`Code::Internal`] if the answer has no JSON form, which is a defect.
    pub fn of<T: Serialize>(reply: Reply<T>) -> Result<Self> {
        Ok(Self { body: to_value(&reply.body)?, meta: reply.meta })
    }

    /// What this process found out itself.
    ///
    /// # Errors
    /// As [`Answer::of`].
    pub fn local<T: Serialize>(body: &T, source: Source) -> Result<Self> {
        Ok(Self { body: to_value(body)?, meta: Meta::new(source, crate::context::now()) })
    }

    fn whole(&self) -> Value {
        let mut whole = self.body.clone();
        if let (Some(object), Ok(meta)) = (whole.as_object_mut(), serde_json::to_value(&self.meta)) {
            object.insert("meta".into(), meta);
        }
        whole
    }
}

fn to_value<T: Serialize>(body: &T) -> Result<Value> {
    serde_json::to_value(body).map_err(|error| internal(&format!("an answer has no JSON form: {error}")))
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With an answer.
    Answer(Box<Answer>),
    /// With an answer that tells of a failure, such as a chain that does not verify.
    Failed(Box<Answer>, Code),
    /// With bytes that are shown as they are, such as a completion script.
    Text(String),
    /// With everything shown already.
    Shown,
    /// With the exit code of a command that it ran.
    Exit(u8),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// Shows answers and failures in the form that was asked for.
#[derive(Clone, Debug)]
pub struct Renderer {
    json: bool,
}

impl Renderer {
    /// The renderer of one command line.
    pub const fn new(global: &Global) -> Self {
        Self { json: global.json }
    }

    /// Shows one answer of a stream, on a line of its own.
    ///
    /// # Errors
    /// [`Code::Internal`] if standard output is closed.
    pub fn stream(&self, answer: &Answer) -> Result<()> {
        print(&format!("{}\n", answer.whole()))
    }

    /// Shows how a command ended, and returns its exit code.
    pub fn finish(&self, outcome: Result<Outcome>) -> u8 {
        let (shown, code) = match outcome {
            Ok(Outcome::Answer(answer)) => (print(&pretty(&answer.whole())), ExitCode::Ok as u8),
            Ok(Outcome::Failed(answer, code)) => (print(&pretty(&answer.whole())), code.exit_code() as u8),
            Ok(Outcome::Text(text)) => (print(&text), ExitCode::Ok as u8),
            Ok(Outcome::Shown) => (Ok(()), ExitCode::Ok as u8),
            Ok(Outcome::Exit(code)) => (Ok(()), code),
            Err(failure) => return self.fail(&failure),
        };
        match shown {
            Ok(()) => code,
            Err(failure) => self.fail(&failure),
        }
    }

    fn fail(&self, failure: &Failure) -> u8 {
        let text = if self.json {
            serde_json::to_value(failure).map_or_else(|_| failure.to_string(), |value| pretty(&value))
        } else {
            explain(failure)
        };
        // Where standard error is closed, the exit code is all that can be said.
        let _closed = std::io::stderr().write_all(text.as_bytes()).err();
        failure.code.exit_code() as u8
    }
}

/// What failed, why, what to do next; each on its line, control characters shown as escapes.
fn explain(failure: &Failure) -> String {
    let mut text = format!("error: {} [{} {}]\n", plain(&failure.message), failure.code, failure.code.name());
    if let Some(why) = &failure.why {
        text.push_str(&format!("  why: {}\n", plain(why)));
    }
    if let Some(denial) = failure.denial() {
        text.push_str(&format!("  check: {}\n", denial.check));
        let rule = denial.rule.map(|rule| format!("  rule: {}\n", plain(&rule)));
        let id = denial.decision_id.map(|id| format!("  decision: {id}\n"));
        let command = denial.command.map(|command| format!("  ask: {}\n", plain(&command)));
        text.extend([rule, id, command].into_iter().flatten());
    }
    if let Some(wait) = failure.retry_after_ms {
        text.push_str(&format!("  retry after: {wait} ms\n"));
    }
    text.push_str(&format!("  next: {}\n", plain(&failure.next)));
    text
}

fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        Failure::new(Code::Internal)
            .because(format!("standard output: {error}"))
            .next("give it somewhere to write")
    })
}
