//! What the steps share: who speaks, what runs, and what was told so far.

use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;

use fcp_api::shell::quoted;
use fcp_api::types::InvokeAnswer;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::{self, Cli, Global, Stop};
use crate::commands;
use crate::context::Context;
use crate::quickstart::place::Place;
use crate::quickstart::report::{Check, StepReport, Verdict, mismatch};
use crate::quickstart::service::Service;
use crate::quickstart::stop::Daemon;
use crate::render::{Outcome, Renderer};
use crate::{Failure, Result, internal, passphrase};

/// The agent of the demonstration.
pub(super) const AGENT: &str = "demo";

/// The zone of the agent, and of all connectors.
pub(super) const ZONE: &str = "z:work";

/// The credential of the service.
pub(super) const CREDENTIAL: &str = "octo-bot";

/// What the steps share.
pub(crate) struct Stage {
    /// Where things lie.
    pub(super) place: Place,
    /// Speaks as the operator.
    pub(crate) owner: Context,
    /// Speaks as the agent.
    pub(crate) agent: Context,
    /// The daemon.
    pub(crate) daemon: Option<Daemon>,
    /// The service.
    pub(crate) service: Option<Service>,
    /// What the service takes for a credential, until it is stored.
    pub(super) token: Option<Zeroizing<String>>,
    /// The grant that gives `sqlite.query`.
    pub(super) query_grant: Option<ObjectId>,
    /// The approved write: its words and its answer.
    pub(super) written: Option<(Vec<String>, InvokeAnswer)>,
    /// What was told so far.
    pub(crate) told: Told,
    /// Something for a person's eyes only, shown after the step.
    pub(super) aside: Option<Zeroizing<String>>,
}

impl Stage {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// What is wrong with the home's path.
    pub(crate) fn new(place: &Place, renderer: &Renderer) -> Result<Self> {
        let global = Global { passphrase_file: Some(place.passphrase()), ..Global::default() };
        let speaker = || Context::apart(place.home().clone(), &global, renderer.clone());
        Ok(Self {
            place: place.clone(),
            owner: speaker(),
            agent: speaker(),
            daemon: None,
            service: None,
            token: None,
            query_grant: None,
            written: None,
            told: Told::default(),
            aside: None,
        })
    }

    /// Runs a command as the operator.
    ///
    /// # Errors
    /// What the command fails with.
    pub(super) async fn operate<T: DeserializeOwned>(&mut self, words: &[&str]) -> Result<T> {
        let cli = self.told.command(words)?;
        run(cli, &mut self.owner).await
    }

    /// Runs a command as the agent, in its session.
    ///
    /// # Errors
    /// What the command fails with.
    pub(super) async fn act<T: DeserializeOwned>(&mut self, words: &[&str]) -> Result<T> {
        // Shown with the agent's name, since whoever types it has no session open.
        let words: Vec<&str> = ["--agent", AGENT].iter().chain(words).copied().collect();
        let cli = self.told.command(&words)?;
        run(cli, &mut self.agent).await
    }

    /// Runs a command as the agent that must be refused with `code`, and that must not reach the service.
    ///
    /// # Errors
    /// That it was not refused, or for another reason.
    pub(super) async fn act_refused(&mut self, words: &[&str], code: Code) -> Result<Failure> {
        let before = self.calls_served()?;
        let what = format!("`{}`", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        let failure = match self.act::<Value>(words).await {
            Ok(answer) => {
                let got = format!("the answer {answer}");
                self.check(&what, &code.name(), &got.as_str())?;
                return Err(internal("a call that must be refused was answered"));
            }
            Err(failure) => failure,
        };
        let compared = self.check(&what, &code.name(), &failure.code.name());
        // The refusal itself says more than the comparison does.
        compared.map_err(|mismatch| {
            let (why, rule) = (mismatch.why.unwrap_or_default(), failure.why.as_deref().unwrap_or_default());
            failure.clone().because(format!("{why}: {rule}"))
        })?;
        self.check("requests that reached the service", &before, &self.calls_served()?)?;
        Ok(failure)
    }

    /// Shows a command that is carried out in another way, because it reads a secret from standard input.
    ///
    /// # Errors
    /// [`Code::Internal`] if it is no command of ours.
    pub(super) fn show_command(&mut self, words: &[&str]) -> Result<()> {
        self.told.command(words).map(drop)
    }

    /// Compares what came out with what must come out.
    ///
    /// # Errors
    /// [`Code::Internal`] with both, if they differ.
    pub(super) fn check<T: Serialize>(&mut self, what: &str, expected: &T, got: &T) -> Result<()> {
        let value = |it: &T| serde_json::to_value(it).map_err(|error| internal(&error.to_string()));
        let check = Check { what: what.to_owned(), expected: value(expected)?, got: value(got)? };
        let differs = (check.expected != check.got).then(|| mismatch(&check));
        self.told.checks.push(check);
        differs.map_or(Ok(()), Err)
    }

    /// The service.
    ///
    /// # Errors
    /// [`Code::Internal`] if it was not started.
    pub(super) fn service(&self) -> Result<&Service> {
        self.service.as_ref().ok_or_else(|| internal("the service does not run"))
    }

    /// How many calls reached the service; a connector's own health check is none.
    ///
    /// # Errors
    /// [`Code::Internal`] if it was not started.
    pub(super) fn calls_served(&self) -> Result<usize> {
        Ok(self.service()?.seen().iter().filter(|seen| seen.path.starts_with("/repos/")).count())
    }

    /// Shows what is for a person's eyes only, if a person looks on.
    ///
    /// # Errors
    /// What the terminal refuses.
    pub(super) fn show_aside(&mut self) -> Result<()> {
        match self.aside.take() {
            Some(text) if self.owner.renderer.is_for_people() && passphrase::has_terminal() => {
                passphrase::show(&text, "run it without a terminal")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    ended: Vec<StepReport>,
    commands: Vec<String>,
    checks: Vec<Check>,
}

impl Told {
    /// The steps that ended.
    pub(crate) fn into_steps(self) -> Vec<StepReport> {
        self.ended
    }

    /// Closes the step under way, and returns its commands.
    pub(super) fn end_step(
        &mut self,
        step: &'static str,
        title: &'static str,
        result: Verdict,
        summary: String,
    ) -> &[String] {
        let (commands, checks) = (std::mem::take(&mut self.commands), std::mem::take(&mut self.checks));
        self.ended.push(StepReport { step, title, result, summary, commands, checks });
        self.ended.last().map(|step| step.commands.as_slice()).unwrap_or_default()
    }

    /// Reads a command as the command line does, and notes it as a person would type it.
    fn command(&mut self, words: &[&str]) -> Result<Cli> {
        let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let line = format!("fwc {line}");
        let read = cli::parse(std::iter::once("fwc").chain(words.iter().copied()).map(OsString::from));
        let cli = read.map_err(|stop| match stop {
            Stop::Refused(failure, _) => internal(&format!("`{line}` is not understood: {failure}")),
            Stop::Shown(_) => internal(&format!("`{line}` asks for help")),
        })?;
        self.commands.push(line);
        Ok(cli)
    }
}

/// A command under way; boxed, since the quickstart is a command itself.
type Running<'a> = Pin<Box<dyn Future<Output = Result<Outcome>> + 'a>>;

/// Runs a command, and reads the data of its answer.
async fn run<T: DeserializeOwned>(cli: Cli, context: &mut Context) -> Result<T> {
    let name = cli.name.clone();
    let running: Running<'_> = Box::pin(commands::run(cli.command, context));
    let outcome = running.await?;
    let data = outcome.data().ok_or_else(|| internal(&format!("`{name}` gave no answer")))?;
    serde_json::from_value(data)
        .map_err(|error| internal(&format!("the answer of `{name}` is not of its contract: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_noted_as_typed_and_nothing_else_is_noted() {
        let mut told = Told::default();
        told.command(&["--agent", AGENT, "invoke", "a.b", "--input", "{\"a\": 1}"]).unwrap();
        assert_eq!(told.command(&["invoke"]).unwrap_err().code, Code::Internal);
        assert_eq!(told.command(&["up", "--help"]).unwrap_err().code, Code::Internal);
        assert_eq!(told.commands, ["fwc --agent demo invoke a.b --input '{\"a\": 1}'"]);
    }

    #[test]
    fn what_differs_fails_and_is_in_the_report() {
        let place = Place::make(None, false).unwrap();
        let renderer = Renderer::new(&Global::default(), "", crate::render::Stream::Answer);
        let mut stage = Stage::new(&place, &renderer).unwrap();
        stage.check("effects", &1, &1).unwrap();
        let failure = stage.check("effects", &1, &2).unwrap_err();
        assert_eq!(failure.why.as_deref(), Some("effects: expected 1, got 2"));
        stage.told.end_step("s", "t", Verdict::Failed, String::new());
        assert_eq!(stage.told.into_steps()[0].checks.len(), 2);
        place.finish(None).unwrap();
    }
}
