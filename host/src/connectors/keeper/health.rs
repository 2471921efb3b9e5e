//! Health: the operation that the manifest declares for it, exercised through its whole path, else the protocol's
//! method. Source: docs/spec/supervisor.md#health, docs/spec/connectors.md#health.

use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{CallId, OperationId};
use fcp_proto_core::time::Instant;
use fcp_state_machines::call::egress::{EgressHandle, OpenCall};
use fcp_state_machines::call::supervisor::{HealthProbe, HealthReport, Input, Process, State};
use tokio::sync::oneshot;

use super::calls::{Asked, Opened, close_later};
use super::{Keeper, Pending, Retirement};
use crate::connectors::launch::{Installation, Launch, Secrets};
use crate::connectors::protocol::{self, Failure, HealthStatus, Invoke};
use crate::connectors::revocation::{Footing, binaries};
use crate::connectors::rules;
use crate::connectors::status::{Exercised, HealthCheck};
use crate::egress::EgressClient;

/// A health check under way.
pub(super) struct Probe {
    process: Process,
    what: HealthProbe,
    asker: Asker,
    pub(super) deadline: Instant,
    egress: Option<(EgressHandle, EgressClient)>,
    request: Option<u64>,
}

/// Who asked for a check.
enum Asker {
    Supervisor,
    Caller(oneshot::Sender<HealthCheck>),
}

/// Someone who wants a check once the process is ready.
pub(super) struct Waiter {
    pub(super) installation: Arc<Installation>,
    secrets: Arc<dyn Secrets>,
    reply: oneshot::Sender<HealthCheck>,
    pub(super) deadline: Instant,
}

/// What a check of this installation exercises: its health operation, unless that wants a credential and none was given.
pub(super) fn probe(installation: &Installation) -> HealthProbe {
    let manifest = &installation.manifest;
    let Some(id) = &manifest.lifecycle.health else { return HealthProbe::Method };
    let wants = manifest.operation(id).is_none_or(|operation| operation.auth.is_some());
    if wants && installation.health_credential.is_none() {
        HealthProbe::Method
    } else {
        HealthProbe::Operation(id.clone())
    }
}

impl Keeper {
    pub(super) fn on_health_wanted(&mut self, launch: Launch, reply: oneshot::Sender<HealthCheck>) {
        let deadline = self.shared.now().mono.saturating_add(self.shared.limits.supervision.startup_timeout);
        let Launch { installation, secrets, .. } = launch;
        self.secrets = Some(Arc::clone(&secrets));
        if self.closing {
            return self.answer_check(
                reply,
                HealthReport::Failed,
                Exercised::Nothing,
                Some("the node stops"),
            );
        }
        if self.shared.is_revoked(&binaries(&installation)) {
            let detail = Some("the connector was revoked");
            return self.answer_check(reply, HealthReport::Failed, Exercised::Nothing, detail);
        }
        match &self.run {
            None => {
                self.begin(Arc::clone(&installation));
                self.feed(Input::Start);
            }
            Some(run) if *run.installation != *installation => self.retire(Retirement::Replaced),
            Some(_) => self.feed(Input::Start),
        }
        self.waiters.push(Waiter { installation, secrets, reply, deadline });
    }

    /// Serves those who wait for a check, now that the state may have changed.
    pub(super) fn serve_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let Some(run) = &self.run else { return };
        match run.supervisor.state() {
            State::Ready(_) | State::Degraded(_) if run.retirement.is_none() => {
                for waiter in std::mem::take(&mut self.waiters) {
                    self.secrets = Some(waiter.secrets);
                    let what = self.run.as_ref().map_or(HealthProbe::Method, |run| probe(&run.installation));
                    self.start_probe(&what, Asker::Caller(waiter.reply));
                }
            }
            State::BackingOff(_) | State::CrashLooped(_) | State::Stopped if run.retirement.is_none() => {
                let trouble = run.trouble.clone();
                for waiter in std::mem::take(&mut self.waiters) {
                    let detail = trouble.as_deref().or(Some("the process does not start"));
                    self.answer_check(waiter.reply, HealthReport::Failed, Exercised::Nothing, detail);
                }
            }
            State::Ready(_)
            | State::Degraded(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Stopped
            | State::Starting(_)
            | State::Draining(_)
            | State::Disabled => {}
        }
    }

    /// The supervisor wants a check.
    pub(super) fn send_probe(&mut self, what: &HealthProbe) {
        self.start_probe(what, Asker::Supervisor);
    }

    fn start_probe(&mut self, what: &HealthProbe, asker: Asker) {
        let Some(run) = &self.run else { return };
        let (process, installation) = (run.talk.process, Arc::clone(&run.installation));
        let id = CallId::from_bytes(self.shared.random());
        let deadline = self.shared.now().mono.saturating_add(self.shared.limits.supervision.health_timeout);
        let what = what.clone();
        let probe = Probe { process, what: what.clone(), asker, deadline, egress: None, request: None };
        self.probes.insert(id, probe);
        match what {
            HealthProbe::Method => {
                let line = self.request(Pending::Health(id), protocol::health);
                self.note_request(id);
                self.write(None, line);
            }
            HealthProbe::Operation(operation) => self.open_probe(id, &operation, &installation),
        }
    }

    /// Opens the way of a health operation, like a call's; the answer comes as [`Opened`].
    fn open_probe(&mut self, id: CallId, operation: &OperationId, installation: &Installation) {
        let networked = installation.manifest.operation(operation).is_some_and(|op| op.network.is_some());
        if !networked {
            return self.write_probe(id);
        }
        let Some(secrets) = self.secrets.clone() else {
            return self.end_probe(id, HealthReport::Degraded, Some("no call has opened the vault yet"));
        };
        let handle = EgressHandle::from_bytes(self.shared.random());
        let client = self.shared.egress();
        let seal = self.shared.newest_seal();
        let footing = Footing::of_health(installation, &self.identity.zone, seal);
        let entered = self.shared.enter(id, footing);
        if entered.and_then(|()| self.shared.give_handle(id, handle, &client)).is_err() {
            return self.end_probe(id, HealthReport::Failed, Some("the connector was revoked"));
        }
        let budget = self.shared.limits.supervision.health_timeout;
        match self.probe_request(id, handle, operation, installation, seal, budget) {
            Err(error) => self.end_probe(id, HealthReport::Degraded, Some(&error.message)),
            Ok(open) => {
                let credentials = installation.health_credential.iter().cloned();
                let used =
                    credentials.filter(|record| open.credentials.iter().any(|g| g.slot == record.slot));
                let asked = Asked { secrets, credentials: used.collect() };
                self.ask_egress(id, client, open, asked);
            }
        }
    }

    fn probe_request(
        &self,
        call: CallId,
        handle: EgressHandle,
        id: &OperationId,
        installation: &Installation,
        seal: u64,
        budget: Duration,
    ) -> Result<OpenCall, rules::RuleError> {
        let mut open = OpenCall {
            handle,
            call,
            connector: self.identity.connector.clone(),
            zone: self.identity.zone.clone(),
            operation: id.clone(),
            rules: Vec::new(),
            exceptions: installation.egress_exceptions.clone(),
            credentials: Vec::new(),
            deadline_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            seal,
        };
        let Some(operation) = installation.manifest.operation(id) else { return Ok(open) };
        open.rules = rules::egress_rules(installation, operation, self.shared.limits.max_request_bytes)?;
        if operation.auth.is_some()
            && let Some(record) = &installation.health_credential
        {
            open.credentials.push(rules::grant(installation, operation, record)?);
        }
        Ok(open)
    }

    pub(super) fn on_probe_opened(&mut self, opened: Opened) {
        let Opened { call, handle, client, result } = opened;
        match result {
            Err((_, message)) => self.end_probe(call, HealthReport::Degraded, Some(&message)),
            Ok(()) => {
                if let Some(probe) = self.probes.get_mut(&call) {
                    probe.egress = Some((handle, client));
                }
                self.write_probe(call);
            }
        }
    }

    fn write_probe(&mut self, id: CallId) {
        let Some(probe) = self.probes.get(&id) else { return };
        let HealthProbe::Operation(operation) = probe.what.clone() else { return };
        let handle = probe.egress.as_ref().map(|(handle, _)| handle.to_string());
        let remaining = probe.deadline.saturating_since(self.shared.now().mono).as_millis();
        let slot = self.run.as_ref().and_then(|run| {
            let operation = run.installation.manifest.operation(&operation)?;
            operation.auth.clone()
        });
        let line = self.request(Pending::Health(id), |request| {
            Invoke {
                call_id: id,
                operation: operation.as_str(),
                input: "{}",
                handle,
                deadline_ms: u64::try_from(remaining).unwrap_or(u64::MAX).max(1),
                idempotency_key: None,
                trace: None,
                credentials: slot.as_deref().into_iter().collect(),
            }
            .line(request)
        });
        self.note_request(id);
        self.write(None, line);
    }

    /// Remembers the number under which the newest request, a probe's, is open.
    fn note_request(&mut self, id: CallId) {
        let request = self.run.as_ref().map(|run| run.talk.next_id);
        if let Some(probe) = self.probes.get_mut(&id) {
            probe.request = request;
        }
    }

    pub(super) fn on_probed(
        &mut self,
        id: CallId,
        body: Result<Json, Failure>,
    ) -> Result<(), protocol::Violation> {
        let Some(probe) = self.probes.get(&id) else { return Ok(()) };
        let (report, detail) = match (&probe.what, body) {
            (HealthProbe::Method, Ok(result)) => {
                let healthy = protocol::healthy(result)?;
                let report = match healthy.status {
                    HealthStatus::Ready => HealthReport::Ready,
                    HealthStatus::Degraded => HealthReport::Degraded,
                    HealthStatus::Error => HealthReport::Failed,
                };
                (report, healthy.detail)
            }
            (HealthProbe::Operation(_), Ok(result)) => {
                protocol::invoked(result)?;
                (HealthReport::Ready, None)
            }
            // The process works, its path does not: another process would not do better.
            (_, Err(failure)) => {
                (HealthReport::Degraded, Some(format!("{}: {}", failure.code, failure.message)))
            }
        };
        self.end_probe(id, report, detail.as_deref());
        Ok(())
    }

    fn end_probe(&mut self, id: CallId, report: HealthReport, detail: Option<&str>) {
        let Some(probe) = self.probes.remove(&id) else { return };
        if let Some(run) = self.run.as_mut().filter(|run| run.talk.process == probe.process)
            && let Some(request) = probe.request
        {
            if run.talk.pending.remove(&request).is_some() {
                run.talk.late.insert(request);
            }
            run.talk.recent.push_back(id);
        }
        self.shared.leave(id);
        if let Some((handle, client)) = probe.egress {
            close_later(client, handle);
        }
        let exercised = match probe.what {
            HealthProbe::Method => Exercised::Method,
            HealthProbe::Operation(operation) => Exercised::Operation(operation),
        };
        match probe.asker {
            Asker::Caller(reply) => self.answer_check(reply, report, exercised, detail),
            Asker::Supervisor => {
                self.note_check(report, exercised, detail);
                self.feed(Input::Health { process: probe.process, report });
            }
        }
    }

    pub(super) fn end_overdue_probes(&mut self, now: Instant) {
        let late: Vec<CallId> =
            self.probes.iter().filter(|(_, probe)| probe.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.write(None, protocol::cancel(id));
            self.end_probe(id, HealthReport::Failed, Some("no answer in time"));
        }
        let (late, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiters).into_iter().partition(|waiter| waiter.deadline <= now);
        self.waiters = waiting;
        for waiter in late {
            let detail = Some("the process was not ready in time");
            self.answer_check(waiter.reply, HealthReport::Failed, Exercised::Nothing, detail);
        }
    }

    /// The process is gone, and with it the answers to its checks.
    pub(super) fn lose_probes(&mut self) {
        let lost: Vec<CallId> = self.probes.keys().copied().collect();
        for id in lost {
            self.end_probe(id, HealthReport::Failed, Some("the process ended"));
        }
    }

    fn note_check(
        &mut self,
        report: HealthReport,
        exercised: Exercised,
        detail: Option<&str>,
    ) -> HealthCheck {
        let check =
            HealthCheck { report, exercised, detail: detail.map(str::to_owned), checked_at: self.unix() };
        self.last_health = Some(check.clone());
        check
    }

    fn answer_check(
        &mut self,
        reply: oneshot::Sender<HealthCheck>,
        report: HealthReport,
        exercised: Exercised,
        detail: Option<&str>,
    ) {
        let check = self.note_check(report, exercised, detail);
        // Whoever asked may have given up waiting.
        reply.send(check).ok();
    }
}
