//! The story, one file a step. A step runs the very commands it shows and checks what comes out of them.

mod agent;
mod approval;
mod argument;
mod audit;
mod ceremony;
mod connectors;
mod credential;
mod daemon;
mod evidence;
mod read;
mod retry;
mod revocation;
mod serve;
mod stage;
mod stranger;
mod zone;

use std::io::IsTerminal;

pub(super) use self::stage::{Stage, Told};
use super::report::Verdict;
use crate::output::progress::Steps;
use crate::output::text::reveal;
use crate::{Failure, Result};

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Daemon,
    Ceremony,
    Serve,
    Connectors,
    Credential,
    Agent,
    Read,
    Zone,
    Argument,
    Approval,
    Retry,
    Stranger,
    Revocation,
    Evidence,
    Audit,
}

impl Step {
    const ALL: [Self; 15] = [
        Self::Daemon,
        Self::Ceremony,
        Self::Serve,
        Self::Connectors,
        Self::Credential,
        Self::Agent,
        Self::Read,
        Self::Zone,
        Self::Argument,
        Self::Approval,
        Self::Retry,
        Self::Stranger,
        Self::Revocation,
        Self::Evidence,
        Self::Audit,
    ];

    /// Its name for machines, and what is done in it.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Daemon => ("daemon", "start the daemon in a new home"),
            Self::Ceremony => ("ceremony", "make the owner"),
            Self::Serve => ("service", "start a GitHub of our own on this machine"),
            Self::Connectors => ("connectors", "sign and install the bundled connectors"),
            Self::Credential => ("credential", "store the token of that GitHub"),
            Self::Agent => ("agent", "add an agent with narrow grants"),
            Self::Read => ("allowed_read", "the agent reads what it may"),
            Self::Zone => ("refused_by_zone", "the agent reaches into another zone: refused"),
            Self::Argument => ("refused_by_argument", "the agent asks for another repository: refused"),
            Self::Approval => ("approved_write", "the agent opens an issue once a person has approved it"),
            Self::Retry => ("idempotent_retry", "the agent tries the same again: one effect, same receipt"),
            Self::Stranger => {
                ("refused_by_taint", "the agent reads what a stranger wrote: it may not write then")
            }
            Self::Revocation => ("revocation", "a revocation bites on the very next call"),
            Self::Evidence => ("evidence", "look at what reached that GitHub, and what did not"),
            Self::Audit => ("audit", "verify the audit chain"),
        }
    }

    async fn run(self, stage: &mut Stage) -> Result<String> {
        match self {
            Self::Daemon => daemon::run(stage).await,
            Self::Ceremony => ceremony::run(stage).await,
            Self::Serve => serve::run(stage).await,
            Self::Connectors => connectors::run(stage).await,
            Self::Credential => credential::run(stage).await,
            Self::Agent => agent::run(stage).await,
            Self::Read => read::run(stage).await,
            Self::Zone => zone::run(stage).await,
            Self::Argument => argument::run(stage).await,
            Self::Approval => approval::run(stage).await,
            Self::Retry => retry::run(stage).await,
            Self::Stranger => stranger::run(stage).await,
            Self::Revocation => revocation::run(stage).await,
            Self::Evidence => evidence::run(stage).await,
            Self::Audit => audit::run(stage).await,
        }
    }
}

/// Runs all steps, up to the first that does not go as it must.
///
/// # Errors
/// Which step failed, what was expected and what came.
pub(super) async fn run(stage: &mut Stage, steps: &Steps) -> Result<()> {
    for (number, step) in (1..).zip(Step::ALL) {
        let (name, title) = step.names();
        let shown = steps.begin(&format!("{number:>2}. {title}"));
        let ended = step.run(stage).await;
        match ended {
            Ok(summary) => {
                shown.done(&summary);
                let commands = stage.told.end_step(name, title, Verdict::Passed, summary);
                show(commands);
                stage.show_aside()?;
            }
            Err(failure) => {
                shown.fail(&failure.to_string());
                show(stage.told.end_step(name, title, Verdict::Failed, failure.to_string()));
                return Err(at(name, failure));
            }
        }
    }
    Ok(())
}

/// The commands of a step below it, for a person; the report has all of them.
fn show(commands: &[String]) {
    if std::io::stderr().is_terminal() {
        for command in commands.iter().take(MOST_SHOWN) {
            eprintln!("      $ {}", reveal(command));
        }
        match commands.len().saturating_sub(MOST_SHOWN) {
            0 => {}
            more => eprintln!("      … and {more} more like these, all of them in the report of --json"),
        }
    }
}

/// Commands of a step that a person is shown. Chosen: a connector of each kind is built, signed and installed in them.
const MOST_SHOWN: usize = 8;

/// The failure, with the step in which it came.
fn at(step: &str, failure: Failure) -> Failure {
    let why = failure.why.as_deref().unwrap_or(&failure.message).to_owned();
    failure.because(format!("in the step `{step}`: {why}"))
}
