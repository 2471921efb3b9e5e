//! How a connector's process is, for its owner: what was found, and what to do if that is not good.

use std::path::Path;

use fcp_api::types::{CheckFinding, ConnectorHealth, HealthCheckView, RunStatus};
use fcp_proto_core::error::Code;
use fcp_state_machines::call::supervisor::StateName;
use fcp_state_machines::node::Installed;

use super::reinstalling;
use crate::connectors::{Exercised, HealthCheck, HealthReport, ProcessStatus, Trouble};

/// The health of a connector in one zone; `packages` is where its package is kept.
//= docs/spec/connectors.md#health
pub(super) fn of(status: &ProcessStatus, installed: &Installed, packages: &Path) -> ConnectorHealth {
    let run = run_status(status);
    let found = status.health.as_ref();
    let words = status.trouble.as_ref().map(Trouble::words);
    let code = status.stopped.or((run == RunStatus::BackingOff).then_some(Code::ConnectorUnavailable));
    ConnectorHealth {
        zone: status.zone.clone(),
        status: run,
        detail: words.or_else(|| found?.detail.as_deref()).map(str::to_owned),
        checked_at: found.map(|it| it.checked_at),
        last_check: found.map(check_view),
        restarts: status.restarts,
        code,
        remedy: code.map(|code| remedy(code, status, installed, packages)),
    }
}

fn run_status(status: &ProcessStatus) -> RunStatus {
    match (status.state, status.stopped) {
        (StateName::Stopped, _) => RunStatus::Idle,
        (StateName::Starting, _) => RunStatus::Starting,
        (StateName::Ready, _) => exercised(status),
        (StateName::Degraded | StateName::Draining, _) => RunStatus::Degraded,
        (StateName::BackingOff, _) => RunStatus::BackingOff,
        (StateName::CrashLooped, Some(Code::ConnectorCrashLoop) | None) => RunStatus::CrashLoop,
        (StateName::CrashLooped, Some(_)) => RunStatus::Refused,
        (StateName::Disabled, _) => RunStatus::Disabled,
    }
}

/// What the last check says of a process that runs. Only an operation that went its whole path makes it ready.
//= docs/spec/connectors.md#health
fn exercised(status: &ProcessStatus) -> RunStatus {
    let current = status.health.as_ref().filter(|_| status.health_is_current);
    match current.map(|check| (check.report, &check.exercised)) {
        Some((HealthReport::Ready, Exercised::Operation(_))) => RunStatus::Ready,
        Some((HealthReport::Degraded | HealthReport::Failed, _)) => RunStatus::Degraded,
        Some((HealthReport::Ready, Exercised::Word | Exercised::Nothing)) | None => RunStatus::Unknown,
    }
}

fn check_view(check: &HealthCheck) -> HealthCheckView {
    HealthCheckView {
        at: check.checked_at,
        operation: match &check.exercised {
            Exercised::Operation(operation) => Some(operation.clone()),
            Exercised::Word | Exercised::Nothing => None,
        },
        result: match check.report {
            HealthReport::Ready => CheckFinding::Ready,
            HealthReport::Degraded => CheckFinding::Degraded,
            HealthReport::Failed => CheckFinding::Failed,
        },
    }
}

/// What leads out of it. To try the same again helps only where the reason lies outside.
fn remedy(code: Code, status: &ProcessStatus, installed: &Installed, packages: &Path) -> String {
    let (install, connector) = (&installed.install, &status.connector);
    let again = format!("`fwc enable {connector}` tries it again as it is");
    let other = || reinstalling::reconfigure(packages, install, &installed.manifest);
    match (&status.trouble, status.stopped) {
        (Some(Trouble::Refused(_)), _) => match other() {
            Some(other) => format!("{other}; {again}"),
            None => format!("tell its author what it says; {again}"),
        },
        (_, Some(Code::SandboxUnattainable)) => {
            let lowered = format!("`fwc exception sandbox {connector} PROPERTY --reason TEXT`");
            format!("put right what the reason names, or have the owner do without: {lowered}; {again}")
        }
        (_, Some(Code::PackageUntrusted)) => {
            format!("`{}` installs it again", reinstalling::accept_engine(packages, install))
        }
        (_, Some(_)) => {
            format!("put right what the reason names; {again}; the daemon's log has what it wrote")
        }
        (_, None) => {
            format!(
                "it is started again by itself; {code} ends with that, and the daemon's log has what it wrote"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::encoding::cbor::ByteString;
    use fcp_proto_core::ids::{Digest, ObjectId};
    use fcp_proto_core::manifest::Manifest;
    use fcp_proto_core::object::ConnectorInstall;
    use fcp_proto_core::time::UnixTime;
    use fcp_state_machines::node::Catalog;

    fn status(check: Option<(HealthReport, Exercised)>, health_is_current: bool) -> ProcessStatus {
        ProcessStatus {
            connector: "pages".parse().unwrap(),
            zone: "z:work".parse().unwrap(),
            state: StateName::Ready,
            code_digest: None,
            waiting: 0,
            running: 0,
            restarts: 0,
            trouble: None,
            stopped: None,
            launcher: None,
            sandbox: None,
            health: check.map(|(report, exercised)| HealthCheck {
                report,
                exercised,
                detail: None,
                checked_at: UnixTime::from_secs(7),
            }),
            health_is_current,
        }
    }

    fn installed() -> Installed {
        let source = include_bytes!("../../tests/daemon/pages.toml");
        let manifest = Manifest::parse(source).unwrap();
        let install = ConnectorInstall {
            connector: manifest.connector.id.clone(),
            version: manifest.connector.version.clone(),
            manifest: ByteString(source.to_vec()),
            package_digest: Digest::default(),
            code_digest: Digest::default(),
            interface_hash: manifest.interface_hash(),
            zones: ["z:work".parse().unwrap()].into(),
            config: r#"{"base_url":"https://pages.example"}"#.into(),
            publishers: Default::default(),
            dev: true,
        };
        Catalog::read(ObjectId::default(), &install, UnixTime::from_secs(1)).unwrap()
    }

    fn shown(status: &ProcessStatus) -> ConnectorHealth {
        of(status, &installed(), Path::new("/home/it's/packages"))
    }

    //= docs/spec/connectors.md#health
    #[test]
    fn what_nobody_exercised_is_not_ready() {
        let operation = || Exercised::Operation("pages.get".parse().unwrap());
        for (check, current, expected) in [
            (None, false, RunStatus::Unknown),
            (Some((HealthReport::Ready, Exercised::Nothing)), true, RunStatus::Unknown),
            (Some((HealthReport::Ready, Exercised::Word)), true, RunStatus::Unknown),
            (Some((HealthReport::Ready, operation())), false, RunStatus::Unknown),
            (Some((HealthReport::Ready, operation())), true, RunStatus::Ready),
            (Some((HealthReport::Degraded, operation())), true, RunStatus::Degraded),
            (Some((HealthReport::Failed, Exercised::Word)), true, RunStatus::Degraded),
        ] {
            let status = status(check, current);
            assert_eq!(shown(&status).status, expected, "{status:?}");
        }
        let seen = shown(&status(Some((HealthReport::Ready, operation())), true)).last_check.unwrap();
        assert_eq!((seen.at, seen.result), (UnixTime::from_secs(7), CheckFinding::Ready));
        assert_eq!(seen.operation, Some("pages.get".parse().unwrap()));
    }

    //= docs/spec/connectors.md#a-connector-that-does-not-begin
    #[test]
    fn what_was_stopped_says_what_a_call_gets_and_what_leads_out_of_it() {
        let stopped = |stopped, trouble| ProcessStatus {
            state: StateName::CrashLooped,
            stopped: Some(stopped),
            trouble: Some(trouble),
            ..status(None, false)
        };
        let (refused, failed) =
            (|| Trouble::Refused("it says \"no\"".into()), || Trouble::Failed("it died".into()));
        let reconfigure = "`fwc install '/home/it'\\''s/packages/";
        for (status, run, parts) in [
            (
                stopped(Code::ConnectorCrashLoop, refused()),
                RunStatus::CrashLoop,
                [reconfigure, " --zone z:work --config JSON --dev`", "base_url (url", "`fwc enable pages`"],
            ),
            (
                stopped(Code::ConnectorCrashLoop, failed()),
                RunStatus::CrashLoop,
                ["`fwc enable pages`", "put right", "log", "again"],
            ),
            (
                stopped(Code::SandboxUnattainable, failed()),
                RunStatus::Refused,
                ["`fwc exception sandbox pages PROPERTY", "`fwc enable pages`", "or", "owner"],
            ),
            (
                stopped(Code::PackageUntrusted, failed()),
                RunStatus::Refused,
                [reconfigure, " --zone z:work", "https://pages.example", "--dev`"],
            ),
        ] {
            let health = shown(&status);
            assert_eq!((health.status, health.code), (run, status.stopped));
            assert_eq!(health.detail.as_deref(), Some(status.trouble.unwrap().words()));
            let remedy = health.remedy.unwrap();
            assert!(parts.iter().all(|part| remedy.contains(part)), "{remedy}");
        }
        let waiting = shown(&ProcessStatus {
            state: StateName::BackingOff,
            trouble: Some(refused()),
            ..status(None, false)
        });
        assert_eq!((waiting.status, waiting.code), (RunStatus::BackingOff, Some(Code::ConnectorUnavailable)));
        assert!(waiting.remedy.unwrap().contains("--config JSON"));
    }
}
