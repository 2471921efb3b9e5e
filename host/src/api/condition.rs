//! How an installed connector is: what the list, its page, the status and an examination say of it.

use fcp_api::types::{ConnectorHealth, RunStatus, Warning, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::node::{Installed, Node};

use crate::daemon::Runner;

/// Its health in each zone that it is bound to, and in no other. What nobody started is shown as just that.
//= docs/spec/connectors.md#health
pub(super) fn health(
    node: &Node,
    installed: &Installed,
    runner: &dyn Runner,
    now: UnixTime,
) -> Vec<ConnectorHealth> {
    let known = runner.health(installed);
    let barred = barred(node, installed, runner, now);
    let of_zone = |zone: &ZoneId| {
        let found = known.iter().find(|it| it.zone == *zone).cloned().unwrap_or_else(|| idle(zone));
        match &barred {
            Some(Barred { status, code, detail, remedy }) => ConnectorHealth {
                status: *status,
                detail: detail.clone(),
                code: Some(*code),
                remedy: Some(remedy.clone()),
                ..found
            },
            None => found,
        }
    };
    installed.install.zones.iter().map(of_zone).collect()
}

/// The first reason for which calls are not answered, where that is not what its owner said last.
pub(super) fn problem(health: &[ConnectorHealth]) -> Option<Code> {
    health.iter().filter(|it| it.status != RunStatus::Disabled).find_map(|it| it.code)
}

/// What the owner should know of it. That it is disabled the owner knows, and what cannot be run the runner tells.
pub(super) fn warnings(
    installed: &Installed,
    health: &[ConnectorHealth],
    runner: &dyn Runner,
) -> Vec<Warning> {
    let connector = &installed.install.connector;
    let told = runner.unrunnable(connector).is_some();
    let mut warnings: Vec<Warning> = Vec::new();
    for it in health.iter().filter(|it| !(told && it.status == RunStatus::Refused)) {
        let (Some(code), Some(what)) = (it.code, in_words(it.status)) else { continue };
        let place = if it.status == RunStatus::Revoked { String::new() } else { format!(" in {}", it.zone) };
        let detail = it.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let message = format!("{connector}{place} {what}{detail} ({code})");
        let warning = Warning { kind: WarningKind::Connector, message, remedy: it.remedy.clone() };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}

fn in_words(status: RunStatus) -> Option<&'static str> {
    match status {
        RunStatus::Revoked => Some("is revoked"),
        RunStatus::CrashLoop => Some("was stopped"),
        RunStatus::BackingOff => Some("died and waits for its next start"),
        RunStatus::Refused => Some("is not started"),
        RunStatus::Degraded
        | RunStatus::Disabled
        | RunStatus::Idle
        | RunStatus::Starting
        | RunStatus::Ready
        | RunStatus::Unknown => None,
    }
}

/// Why no call reaches it, in whatever state its processes are.
struct Barred {
    status: RunStatus,
    code: Code,
    detail: Option<String>,
    remedy: String,
}

/// What is revoked, disabled or cannot be run is not idle: no call starts it.
fn barred(node: &Node, installed: &Installed, runner: &dyn Runner, now: UnixTime) -> Option<Barred> {
    let connector = &installed.install.connector;
    if let Some(why) = node.binary_revoked(&installed.install, now) {
        let (status, code) = (RunStatus::Revoked, Code::ConnectorRevoked);
        return Some(Barred { status, code, detail: Some(why), remedy: code.next_step().into() });
    }
    if !installed.enabled {
        let (status, code) = (RunStatus::Disabled, Code::ConnectorDisabled);
        let remedy = format!("`fwc enable {connector}` lets calls reach it again");
        return Some(Barred { status, code, detail: None, remedy });
    }
    let (code, Warning { message, remedy, .. }) = runner.unrunnable(connector)?;
    let remedy = remedy.unwrap_or_else(|| code.next_step().into());
    Some(Barred { status: RunStatus::Refused, code, detail: Some(message), remedy })
}

/// A zone in which nobody called the connector since the daemon started.
fn idle(zone: &ZoneId) -> ConnectorHealth {
    ConnectorHealth {
        zone: zone.clone(),
        status: RunStatus::Idle,
        detail: None,
        checked_at: None,
        last_check: None,
        restarts: 0,
        code: None,
        remedy: None,
    }
}
