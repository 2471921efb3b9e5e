//! How the daemon and everything behind it is.

use std::collections::BTreeSet;
use std::path::Path;

use fcp_api::routes::{GetHealth, GetStatus, Shutdown};
use fcp_api::types::{
    AuthorityView, ErrorBody, ExceptionRule, Health, HealthStatus, Source, Status, Stopping, Warning,
    WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId};
use fcp_proto_core::object::OwnerException;
use fcp_proto_core::time::Now;
use fcp_state_machines::node::{ClockState, Node};

use super::condition;
use super::connectors::{development_warning, summary};
use super::mount::{Ask, Serve};
use super::renewal::{self, attestation};
use super::standing;
use crate::daemon::{App, owner_zone};
use crate::home::{Config, Cramped, IDLE_TABLE_REMEDY, Room};

impl Serve for GetHealth {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<Health, ErrorBody> {
        // A node that takes no more says nothing; that it does not, the status says.
        let standing = standing::warnings(&ask.app).await.unwrap_or_default();
        Ok(health(&ask.app, &standing))
    }
}

/// Warnings of what keeps the daemon from its work.
const LASTING: [WarningKind; 5] = [
    WarningKind::Egress,
    WarningKind::Storage,
    WarningKind::Integrity,
    WarningKind::Connector,
    WarningKind::Revoked,
];

/// The daemon's health, as this process knows it.
fn health(app: &App, standing: &[Warning]) -> Health {
    let mut problems = warnings(app);
    problems.extend_from_slice(standing);
    let problems: Vec<_> = problems.into_iter().filter(|it| LASTING.contains(&it.kind)).collect();
    let status = if app.is_draining() {
        HealthStatus::Draining
    } else if app.storage.stats().sealed {
        HealthStatus::Sealed
    } else if app.serving.get().is_none() {
        HealthStatus::CeremonyRequired
    } else if problems.is_empty() {
        HealthStatus::Ready
    } else {
        HealthStatus::Degraded
    };
    Health {
        status,
        version: env!("CARGO_PKG_VERSION").into(),
        api: vec!["v1".into()],
        pid: std::process::id(),
        problems,
    }
}

/// What the owner should know.
fn warnings(app: &App) -> Vec<Warning> {
    let mut warnings = app.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    // A file system that cannot be asked says so at the next write.
    warnings.extend(Room::of(app.home.path()).ok().and_then(|room| cramped(room, app.home.path())));
    if let Some(serving) = app.serving.get() {
        warnings.extend(serving.runner.warnings());
        warnings.extend(serving.vault.withheld().into_iter().map(|key| Warning {
            kind: WarningKind::Storage,
            message: format!("a refreshed token of {key} is in memory only: the disk does not take it"),
            remedy: Some(
                "make room on the disk and leave the daemon running: it tries again, and calls with the credential wait for it"
                    .into(),
            ),
        }));
    }
    let refused = app.refused_settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    warnings.extend(refused);
    if app.storage.stats().sealed {
        warnings.push(Warning {
            kind: WarningKind::Storage,
            message: "a durable write failed; nothing more is written".into(),
            remedy: Some("look at the disk and start the daemon again".into()),
        });
    }
    warnings
}

/// What the owner should know of the room that the home has left: without it calls are refused.
//= docs/spec/home.md#examination
fn cramped(room: Room, home: &Path) -> Option<Warning> {
    let Cramped { detail, why, remedy, .. } = room.cramped(home)?;
    let message = format!("{}: {detail}; {why}", home.display());
    Some(Warning { kind: WarningKind::Storage, message, remedy: Some(remedy) })
}

/// Keys that others may get at, and agents that run as the owner.
fn key_warnings(app: &App) -> Result<Vec<Warning>, ErrorBody> {
    let serving = app.serving()?;
    let reports =
        serving.keys.report().map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
    let weak: Vec<_> =
        reports.iter().filter_map(|report| report.caveat.map(|caveat| (&report.file, caveat))).collect();
    let mut warnings = Vec::new();
    if let Some((_, caveat)) = weak.first() {
        warnings.push(Warning {
            kind: WarningKind::WeakKeySource,
            message: format!("{} of the node's keys: {caveat}", weak.len()),
            remedy: Some("hand the node secret to the daemon as a systemd credential".into()),
        });
    }
    warnings.push(Warning {
        kind: WarningKind::SharedUser,
        message: "agents reach the daemon as the user that owns it, and could read the home's files".into(),
        remedy: Some("run agents in a sandbox or container that does not see the home".into()),
    });
    Ok(warnings)
}

impl Serve for GetStatus {
    async fn serve(ask: Ask<Self>) -> Result<Status, ErrorBody> {
        let app = &ask.app;
        if let Some(serving) = app.serving.get() {
            let runner = std::sync::Arc::clone(&serving.runner);
            app.query(move |node, _| runner.look(node)).await?;
        }
        let standing = standing::warnings(app).await.unwrap_or_default();
        let mut status = Status {
            health: health(app, &standing),
            home: app.home.path().display().to_string(),
            started_at: app.started_at,
            ceremony: super::ceremony::view(app).await?.phase,
            authority: None,
            connectors: Vec::new(),
            pending_approvals: 0,
            running_calls: 0,
            unknown_outcomes: 0,
            audit_head: None,
            revocations: 0,
            warnings: warnings(app),
        };
        let Some(serving) = app.serving.get() else { return Ok(status) };
        status.warnings.extend(standing);
        status.warnings.extend(key_warnings(app)?);
        let config = app.config();
        let runner = std::sync::Arc::clone(&serving.runner);
        let status = app.query(move |node, now| {
            status.authority = authority(node, now);
            for installed in node.catalog().iter() {
                let connector = summary(node, installed, &*runner, now.unix);
                status.warnings.extend(condition::warnings(installed, &connector.health, &*runner));
                status.connectors.push(connector);
            }
            status.pending_approvals = pending(node, now);
            status.running_calls = node.calls_under_way().count() as u64;
            status.unknown_outcomes = node.unsettled().count() as u64;
            status.audit_head = node.chains().tip(&owner_zone()).map(|tip| tip.id);
            status.revocations = node.revocations().head_seq();
            if status.unknown_outcomes > 0 {
                status.warnings.push(Warning {
                    kind: WarningKind::UnknownOutcome,
                    message: format!(
                        "{} calls ended and nobody knows what they did",
                        status.unknown_outcomes
                    ),
                    remedy: Some("`fwc history --unknown` names them, `fwc settle` settles one".into()),
                });
            }
            status.warnings.extend(clock_warning(node.clock()));
            status.warnings.extend(renewal::warning(node, now));
            let lowered =
                |(_, it): &(&ObjectId, &OwnerException)| it.expires_at.is_none_or(|end| now.unix < end);
            for (id, exception) in node.catalog().all_exceptions().filter(lowered) {
                status.warnings.push(Warning {
                    kind: WarningKind::Exception,
                    message: lowered_wall(exception),
                    remedy: Some(format!("`fwc exception remove {id}` raises it again")),
                });
            }
            let in_development = node.catalog().iter().filter_map(|it| development_warning(&it.install));
            status.warnings.extend(in_development);
            status.warnings.extend(idle_tables(&config, node));
            status
        });
        status.await
    }
}

/// Whom the node answers to.
fn authority(node: &Node, now: Now) -> Option<AuthorityView> {
    let authority = node.authority();
    authority.owner().map(|owner| AuthorityView {
        node: node.node_id().clone(),
        owner_key: owner.public_key.key_id(),
        issuance_key: node.issuance_key(),
        attested_until: attestation(node).map(|attestation| attestation.expires_at),
        operators: operators(node, now),
        zones: authority.zones().map(|(zone, _)| zone.clone()).collect(),
    })
}

/// How many requests a person can decide.
//= docs/spec/calls.md#void-requests
fn pending(node: &Node, now: Now) -> u64 {
    let void = node.void_requests(now.unix);
    let of_calls = node.approvals().requests();
    let of_calls = of_calls
        .filter(|(id, it)| it.decision.is_none() && now.unix < it.request.expires_at && !void.contains(id));
    let of_grants = node.grant_requests().iter();
    let of_grants =
        of_grants.filter(|(id, _)| node.grant_requests().waiting(id, now.unix).is_ok() && !void.contains(id));
    (of_calls.count() + of_grants.count()) as u64
}

/// The names of the operators who can act, each once; of all that there were if none can.
fn operators(node: &Node, now: Now) -> Vec<PrincipalId> {
    let authority = node.authority();
    let live = authority.live_operators(None, node.revocations(), now.unix);
    let live: BTreeSet<_> = live.map(|(_, it)| it.operator.clone()).collect();
    let all = || authority.operators().values().map(|it| it.operator.clone()).collect();
    let names: BTreeSet<_> = if live.is_empty() { all() } else { live };
    names.into_iter().collect()
}

/// Settings for connectors that are not installed.
fn idle_tables(config: &Config, node: &Node) -> impl Iterator<Item = Warning> + use<> {
    let told = config.idle_tables(|connector| node.catalog().get(connector).is_some());
    told.into_iter().map(|message| Warning {
        kind: WarningKind::Settings,
        message,
        remedy: Some(IDLE_TABLE_REMEDY.into()),
    })
}

/// What is wrong with the clock.
fn clock_warning(state: ClockState) -> Option<Warning> {
    let (message, remedy) = match state {
        ClockState::Right => return None,
        ClockState::Behind { wall, used } => (
            format!("the clock says {wall}, and the home has seen {used} already; it goes by that"),
            "set the clock; what has expired stays expired".into(),
        ),
        ClockState::Suspect { wall, used } => (
            format!("the clock says {wall}, and it was {used} when it was last believed; nothing is decided"),
            format!(
                "set the clock; if it is right, `fwc down` and `{}=1 fwc up` confirm it",
                crate::daemon::ACCEPT_CLOCK_VARIABLE
            ),
        ),
    };
    Some(Warning { kind: WarningKind::Clock, message, remedy: Some(remedy) })
}

impl Serve for Shutdown {
    const SOURCE: Source = Source::NodeLocal;

    async fn serve(ask: Ask<Self>) -> Result<Stopping, ErrorBody> {
        let running_calls = ask.app.query(|node, _| node.calls_under_way().count() as u64).await?;
        let operator = ask.caller.as_operator()?;
        tracing::info!(operator = operator.operator.as_str(), "asked to stop");
        // Before anyone sees that it stops. Of several who ask at once, one is named.
        ask.app.stopped_by.get_or_init(|| operator.operator.clone());
        ask.app.draining.send_replace(true);
        Ok(Stopping { running_calls })
    }
}

/// The daemon met a state that it cannot be in.
pub(super) fn broken(why: &str) -> ErrorBody {
    ErrorBody::new(Code::Internal).because(why.to_owned())
}

/// What an exception permits, in words; as it was recorded, if this release does not know the rule.
fn lowered_wall(exception: &OwnerException) -> String {
    let rule = serde_json::from_str::<ExceptionRule>(&exception.rule);
    let rule = rule.map_or_else(|_| exception.rule.clone(), |rule| rule.to_string());
    format!("a wall of {} is lowered: {rule}", exception.connector)
}

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/home.md#examination
    #[test]
    fn a_disk_that_is_too_full_for_calls_is_a_problem_of_the_daemon() {
        let home = Path::new("/h");
        assert_eq!(cramped(Room::Enough(1 << 30), home), None);
        let warning = cramped(Room::TooLittle(0), home).unwrap();
        assert!(LASTING.contains(&warning.kind), "its health is not ready");
        assert!(warning.message.contains("0 KiB are left") && warning.remedy.is_some(), "{warning:?}");
    }
}
