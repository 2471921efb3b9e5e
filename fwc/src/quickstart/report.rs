//! What the quickstart has to say at its end: one document, or a closing text for a person.

use fcp_api::shell::quoted;
use fcp_api::types::Source;
use fcp_proto_core::error::Code;
use serde::Serialize;
use serde_json::Value;

use super::place::Place;
use super::story::Told;
use crate::render::{Answer, Outcome, Renderer};
use crate::{Failure, Result};

/// Whether all of it went as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It did.
    Passed,
    /// Something did not.
    Failed,
}

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    pub(super) what: String,
    /// What must come out.
    pub(super) expected: Value,
    /// What came out.
    pub(super) got: Value,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct StepReport {
    /// Its name, for machines.
    pub(super) step: &'static str,
    /// What is done in it.
    pub(super) title: &'static str,
    /// Whether it went as it must.
    pub(super) result: Verdict,
    /// What came of it, in a line.
    pub(super) summary: String,
    /// The commands that a person would type for it.
    pub(super) commands: Vec<String>,
    /// What was compared.
    pub(super) checks: Vec<Check>,
}

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    result: Verdict,
    home: String,
    home_kept: bool,
    steps: Vec<StepReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    next: Vec<String>,
}

impl Report {
    /// The report on what was told and how it ended.
    pub(super) fn new(place: &Place, home_kept: bool, told: Told, ended: Result<()>) -> Self {
        let failure = ended.err();
        let result = if failure.is_none() { Verdict::Passed } else { Verdict::Failed };
        let next = match (&failure, home_kept) {
            (Some(failure), false) => vec![failure.next.clone()],
            (Some(failure), true) => {
                let home = place.home().path().display();
                vec![failure.next.clone(), format!("read the daemon's log in {home}/run/daemon.log")]
            }
            (None, true) => go_on(place),
            (None, false) => vec![
                "fwc quickstart --keep    # the same, and the home stays to look around in".into(),
                "fwc up                   # a home of your own, in ~/.fcp".into(),
            ],
        };
        let home = place.home().path().display().to_string();
        Self { result, home, home_kept, steps: told.into_steps(), failure, next }
    }

    /// How the command ends: a text for a person, the document for anyone else.
    ///
    /// # Errors
    /// [`Code::Internal`] if the document has no JSON form.
    pub(super) fn outcome(self, renderer: &Renderer) -> Result<Outcome> {
        if renderer.is_for_people() {
            return match &self.failure {
                None => Ok(Outcome::Text(self.closing())),
                Some(failure) => Err(failure.clone().next(self.next.join("; "))),
            };
        }
        Ok(Answer::local(&self, Source::NodeLocal)?.or_failed(self.failure))
    }

    fn closing(&self) -> String {
        let mut text = format!("\nAll {} steps went as they must.\n\n", self.steps.len());
        let home = &self.home;
        if self.home_kept {
            text.push_str(&format!(
                "The home is {home}:\n  journal/     every decision, receipt and audit event\n  \
                 quickstart/  what belongs to this demonstration: the operator's passphrase, the publisher's key,\n  \
                 \x20            the packages, and in data/ the database and a file\n\n"
            ));
        } else {
            text.push_str("The home was temporary and is gone again.\n\n");
        }
        text.push_str("What to type next:\n");
        for line in &self.next {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }
}

/// The failure that something came out otherwise than it must.
pub(super) fn mismatch(check: &Check) -> Failure {
    Failure::new(Code::Internal)
        .because(format!("{}: expected {}, got {}", check.what, check.expected, check.got))
        .next("this is a defect of FCP: run `fwc quickstart --keep --json` and report what it prints")
}

fn go_on(place: &Place) -> Vec<String> {
    vec![
        format!("export FCP_HOME={}", quoted(&place.home().path().display().to_string())),
        format!("export FCP_PASSPHRASE_FILE={}", quoted(&place.passphrase().display().to_string())),
        "fwc up                   # starts its daemon again".into(),
        "fwc status               # what the owner should know".into(),
        "fwc history              # the calls of this run, the refused ones too".into(),
        "fwc audit verify         # the chain holds".into(),
        "fwc --agent demo invoke github.issues.list --set owner=octo --set repo=payroll   # still refused"
            .into(),
        "fwc down".into(),
    ]
}
