//! `doctor`: looks for what is wrong, first without the daemon, then with it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use fcp_api::routes::GetStatus;
use fcp_api::types::{HealthStatus, Nothing, Source};
use fcp_proto_core::error::Code;
use serde::Serialize;

use super::up::find_host;
use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Looks for what is wrong.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc doctor\n  fwc doctor --offline")]
pub(crate) struct Doctor {}

/// What a look at one thing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Finding {
    /// It is as it should be.
    Ok,
    /// It works, and is weaker than it could be.
    Warning,
    /// It is not.
    Problem,
    /// It could not be looked at.
    Unknown,
}

/// One look.
#[derive(Clone, Debug, Serialize)]
struct Look {
    check: String,
    finding: Finding,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Look {
    fn new(check: &str, finding: Finding, detail: impl Into<String>) -> Self {
        Self { check: check.into(), finding, detail: detail.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

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
    let mut checks = vec![look_at_program(), look_at_home(context.home.path())];
    let mut source = Source::Offline;
    if context.is_offline() {
        checks.push(Look::new("daemon", Finding::Unknown, "not asked: --offline"));
    } else {
        source = Source::NodeLocal;
        look_at_daemon(context, &mut checks).await?;
    }
    let count = |finding| checks.iter().filter(|look| look.finding == finding).count();
    let (problems, warnings, unknown) =
        (count(Finding::Problem), count(Finding::Warning), count(Finding::Unknown));
    let code = problem_code(&checks);
    let columns = [("check", "CHECK"), ("finding", "FINDING"), ("detail", "DETAIL…"), ("remedy", "REMEDY…")];
    let answer =
        Answer::local(&Report { problems, warnings, unknown, checks }, source)?.table("checks", &columns);
    Ok(code.map_or_else(|| answer.clone().into(), |code| Outcome::Failed(Box::new(answer.clone()), code)))
}

fn problem_code(checks: &[Look]) -> Option<Code> {
    let bad = |name: &str| checks.iter().any(|look| look.check == name && look.finding == Finding::Problem);
    if bad("home") {
        Some(Code::HomeMissing)
    } else if bad("daemon") {
        Some(Code::DaemonUnreachable)
    } else if checks.iter().any(|look| look.finding == Finding::Problem) {
        Some(Code::ConnectorUnavailable)
    } else {
        None
    }
}

fn look_at_program() -> Look {
    match find_host() {
        Ok(path) => Look::new("program", Finding::Ok, path.display().to_string()),
        Err(failure) => {
            Look::new("program", Finding::Problem, failure.why.as_deref().unwrap_or(&failure.message))
                .remedy(failure.next)
        }
    }
}

fn look_at_home(home: &Path) -> Look {
    let name = home.display();
    match std::fs::metadata(home) {
        Err(error) => {
            Look::new("home", Finding::Problem, format!("{name}: {error}")).remedy("make one with `fwc up`")
        }
        Ok(metadata) if !metadata.is_dir() => {
            Look::new("home", Finding::Problem, format!("{name} is not a folder"))
                .remedy("name another with --home")
        }
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            Look::new("home", Finding::Problem, format!("{name} is open to other users"))
                .remedy(format!("`chmod 700 {name}`"))
        }
        Ok(_) => Look::new("home", Finding::Ok, name.to_string()),
    }
}

async fn look_at_daemon(context: &mut Context, checks: &mut Vec<Look>) -> Result<()> {
    let status = match context.client()?.get::<GetStatus>(&[], &Nothing {}).await {
        Ok(reply) => reply.body,
        Err(failure) => {
            let why = failure.why.as_deref().unwrap_or(&failure.message).to_owned();
            checks.push(Look::new("daemon", Finding::Problem, why).remedy(failure.next));
            return Ok(());
        }
    };
    let finding = match status.health.status {
        HealthStatus::Ready => Finding::Ok,
        HealthStatus::Starting => Finding::Unknown,
        HealthStatus::CeremonyRequired
        | HealthStatus::Degraded
        | HealthStatus::Sealed
        | HealthStatus::Draining => Finding::Problem,
    };
    let detail = format!("version {}, process {}", status.health.version, status.health.pid);
    checks.push(Look::new("daemon", finding, detail));
    let same = status.health.version == env!("CARGO_PKG_VERSION");
    let versions = format!("fwc {}, daemon {}", env!("CARGO_PKG_VERSION"), status.health.version);
    let version = Look::new("version", if same { Finding::Ok } else { Finding::Problem }, versions);
    checks.push(if same { version } else { version.remedy("use `fwc` and the daemon of one release") });
    let problems = status.health.problems;
    // What keeps the daemon from its work stands among the warnings too.
    let warnings: Vec<_> = status.warnings.into_iter().filter(|it| !problems.contains(it)).collect();
    let found = problems.into_iter().map(|it| (Finding::Problem, it));
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

fn look_at_connector(id: &str, health: &fcp_api::types::ConnectorHealth) -> Look {
    use fcp_api::types::RunStatus;
    let (finding, what) = match health.status {
        RunStatus::Ready => (Finding::Ok, "ready"),
        RunStatus::Unknown => (Finding::Unknown, "runs; nothing exercised its path"),
        RunStatus::Idle => (Finding::Unknown, "not started yet, so nothing exercised it"),
        RunStatus::Starting => (Finding::Unknown, "starting"),
        RunStatus::Disabled => (Finding::Ok, "disabled"),
        RunStatus::Revoked => (Finding::Warning, "revoked; `fwc revocations` says why"),
        RunStatus::Degraded => (Finding::Problem, "degraded"),
        RunStatus::BackingOff => (Finding::Problem, "died and waits for its next start"),
        RunStatus::CrashLoop => (Finding::Problem, "died too often and was stopped"),
        RunStatus::Refused => (Finding::Problem, "its sandbox cannot be built"),
    };
    let detail = health.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"));
    let look = Look::new(&format!("connector {id} in {}", health.zone), finding, format!("{what}{detail}"));
    match health.status {
        RunStatus::CrashLoop => look.remedy(format!("`fwc enable {id}` starts it again")),
        RunStatus::Ready
        | RunStatus::Unknown
        | RunStatus::Idle
        | RunStatus::Starting
        | RunStatus::Disabled
        | RunStatus::Revoked
        | RunStatus::Degraded
        | RunStatus::BackingOff
        | RunStatus::Refused => look,
    }
}
