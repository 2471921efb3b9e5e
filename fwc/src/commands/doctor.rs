//! `doctor`: looks for what is wrong, first without the daemon, then with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use fcp_api::examination::{Finding, Look};
use fcp_api::routes::GetStatus;
use fcp_api::types::{ConnectorHealth, Health, HealthStatus, Source, Warning, WarningKind};
use fcp_proto_core::error::Code;
use serde::Serialize;

use super::up::find_host;
use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result};

/// Looks for what is wrong.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc doctor\n  fwc doctor --offline")]
pub(crate) struct Doctor {}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
struct Report {
    problems: usize,
    warnings: usize,
    unknown: usize,
    checks: Vec<Look>,
}

/// `fwc doctor`: ends with a failure's exit code if anything is wrong.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(_args: Doctor, context: &mut Context) -> Result<Outcome> {
    let program = find_host();
    let mut checks = examine(program.as_deref().ok(), context.home.path());
    let mut source = Source::Offline;
    if context.is_offline() {
        checks.push(Look::new("daemon", Finding::Unknown, "not asked: --offline"));
    } else {
        source = Source::NodeLocal;
        look_at_daemon(context, &mut checks).await?;
    }
    checks.push(look_at_program(program));
    let count = |finding| checks.iter().filter(|look| look.finding == finding).count();
    let (problems, warnings, unknown) =
        (count(Finding::Problem), count(Finding::Warning), count(Finding::Unknown));
    let problem = first_problem(&checks);
    let columns = [
        ("check", "CHECK"),
        ("finding", "FINDING"),
        ("detail", "DETAIL…"),
        ("place", "PLACE↓"),
        ("why", "WHY↓"),
        ("remedy", "REMEDY↓"),
    ];
    let answer =
        Answer::local(&Report { problems, warnings, unknown, checks }, source)?.table("checks", &columns);
    Ok(answer.or_failed(problem))
}

fn look_at_program(program: Result<PathBuf>) -> Look {
    match program {
        Ok(program) => Look::new("program", Finding::Ok, program.display().to_string()),
        Err(failure) => {
            let detail = failure.why.as_deref().unwrap_or(&failure.message).to_owned();
            let why = "without it no daemon starts, and nobody looks into the home";
            Look::problem("program", failure.code, detail).why(why).remedy(failure.next)
        }
    }
}

/// The first problem: what is named first is put right first.
fn first_problem(checks: &[Look]) -> Option<Failure> {
    let first = checks.iter().find(|look| look.finding == Finding::Problem)?;
    let failure = Failure::new(first.code.unwrap_or(Code::ConnectorUnavailable));
    let failure = failure.because(format!("{}: {}", first.check, first.detail));
    Some(match &first.remedy {
        Some(remedy) => failure.next(remedy),
        None => failure,
    })
}

/// Has the daemon's program look at the home: it opens it as a daemon would, and changes nothing.
//= docs/spec/home.md#examination
fn examine(program: Option<&Path>, home: &Path) -> Vec<Look> {
    let found = match program {
        Some(program) => run_examination(program, home),
        None => Ok(Vec::new()),
    };
    match found {
        Ok(looks) if looks.is_empty() && !home.is_dir() => {
            let absent = Look::problem("home", Code::HomeMissing, "there is no such folder");
            vec![absent.at(home.display())]
        }
        Ok(looks) => looks,
        Err(why) => vec![Look::problem("home", Code::Internal, why).at(home.display())],
    }
}

fn run_examination(program: &Path, home: &Path) -> std::result::Result<Vec<Look>, String> {
    let mut command = Command::new(program);
    command.arg("examine").arg("--home").arg(home).stdin(Stdio::null());
    command.env_remove("FCP_PASSPHRASE_FILE").env_remove(crate::session_file::VARIABLE);
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{} ended ({}): {error}", program.display(), output.status))
}

async fn look_at_daemon(context: &mut Context, checks: &mut Vec<Look>) -> Result<()> {
    let status = match context.look::<GetStatus>().await {
        Ok(reply) => reply.body,
        Err(failure) => {
            let failure = context.about_the_home(failure).await;
            let why = failure.why.as_deref().unwrap_or(&failure.message).to_owned();
            checks.push(Look::problem("daemon", failure.code, why).remedy(failure.next));
            return Ok(());
        }
    };
    checks.push(look_at_health(&status.health));
    let same = status.health.version == env!("CARGO_PKG_VERSION");
    let versions = format!("fwc {}, daemon {}", env!("CARGO_PKG_VERSION"), status.health.version);
    let version = Look::new("version", if same { Finding::Ok } else { Finding::Problem }, versions);
    checks.push(if same { version } else { version.remedy("use `fwc` and the daemon of one release") });
    let problems = status.health.problems;
    // What keeps the daemon from its work stands among the warnings too, and each connector is looked at below.
    let apart = |it: &Warning| it.kind != WarningKind::Connector && !problems.contains(it);
    let warnings: Vec<_> = status.warnings.iter().filter(|it| apart(it)).cloned().collect();
    let problems = problems.into_iter().filter(|it| it.kind != WarningKind::Connector);
    let found = problems.map(|it| (Finding::Problem, it));
    for (finding, it) in found.chain(warnings.into_iter().map(|it| (Finding::Warning, it))) {
        let kind = serde_json::to_value(it.kind).map_err(|error| crate::internal(&error.to_string()))?;
        let look = Look::new(kind.as_str().unwrap_or_default(), finding, it.message);
        checks.push(Look { remedy: it.remedy, ..look });
    }
    for connector in status.connectors {
        for health in connector.health {
            checks.push(look_at_connector(connector.id.as_str(), &health));
        }
    }
    Ok(())
}

/// A daemon that answers, by the state that it says it is in.
//= docs/spec/home.md#examination
fn look_at_health(health: &Health) -> Look {
    let detail = |state: &str| format!("{state}; version {}, process {}", health.version, health.pid);
    let problem = |code, state: &str, why: &str, remedy: &str| {
        Look::problem("daemon", code, detail(state)).why(why).remedy(remedy)
    };
    match health.status {
        HealthStatus::Ready => Look::new("daemon", Finding::Ok, detail("ready")),
        HealthStatus::Starting => Look::new("daemon", Finding::Unknown, detail("starting")),
        HealthStatus::CeremonyRequired => problem(
            Code::CeremonyRequired,
            "ceremony_required",
            "the home has no owner yet, and nothing can be done in it",
            "`fwc up` makes the owner",
        ),
        HealthStatus::Degraded => problem(
            Code::ConnectorUnavailable,
            "degraded",
            "it answers, and something does not work",
            "put right what is named below; `fwc status` shows it too",
        ),
        HealthStatus::Sealed => problem(
            Code::StoreFailed,
            "sealed",
            "a durable write failed, and it refuses whatever must be durable until it restarts",
            "make room on the disk or mend it, then `fwc down` and `fwc up`",
        ),
        HealthStatus::Draining => problem(
            Code::Draining,
            "draining",
            "it was asked to stop and waits for the calls under way",
            "when it has stopped, `fwc up` starts it again",
        ),
    }
}

fn look_at_connector(id: &str, health: &ConnectorHealth) -> Look {
    use fcp_api::types::RunStatus;
    let (finding, what) = match health.status {
        RunStatus::Ready => (Finding::Ok, "ready"),
        RunStatus::Unknown => (Finding::Unknown, "runs; nothing exercised its path"),
        RunStatus::Idle => {
            (Finding::Unknown, "not started yet, so nothing exercised it; the next call starts it")
        }
        RunStatus::Starting => (Finding::Unknown, "starting"),
        RunStatus::Disabled => (Finding::Ok, "disabled"),
        RunStatus::Revoked => (Finding::Warning, "revoked"),
        RunStatus::Degraded => (Finding::Problem, "degraded"),
        RunStatus::BackingOff => (Finding::Problem, "died and waits for its next start"),
        RunStatus::CrashLoop => (Finding::Problem, "stopped until it is enabled or installed again"),
        RunStatus::Refused => (Finding::Problem, "not started as it is installed"),
    };
    let detail = health.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"));
    let look = Look::new(format!("connector {id} in {}", health.zone), finding, format!("{what}{detail}"));
    Look { remedy: health.remedy.clone(), code: health.code, ..look }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_answers_is_told_by_its_state_and_never_as_unreachable() {
        for (status, state, code) in [
            (HealthStatus::CeremonyRequired, "ceremony_required", Code::CeremonyRequired),
            (HealthStatus::Degraded, "degraded", Code::ConnectorUnavailable),
            (HealthStatus::Sealed, "sealed", Code::StoreFailed),
            (HealthStatus::Draining, "draining", Code::Draining),
        ] {
            let health =
                Health { status, version: "1".into(), api: Vec::new(), pid: 7, problems: Vec::new() };
            let look = look_at_health(&health);
            assert_eq!((look.finding, look.code), (Finding::Problem, Some(code)));
            assert!(look.detail.starts_with(state) && look.detail.contains("process 7"), "{look:?}");
            assert!(look.why.is_some() && look.remedy.unwrap().contains("fwc "));
        }
    }
}
