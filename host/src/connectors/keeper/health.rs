//! Health: the operation that the manifest declares for it, exercised through its whole path, else the protocol's
//! method. Source: docs/spec/supervisor.md#health, docs/spec/connectors.md#health.

use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, CredentialId, OperationId};
use fcp_proto_core::object::{AuditEventKind, CredentialRecord};
use fcp_proto_core::time::Instant;
use fcp_state_machines::call::egress::{EgressHandle, OpenCall};
use fcp_state_machines::call::supervisor::{HealthProbe, HealthReport, Input, Process, State};
use tokio::sync::oneshot;

use super::calls::{Asked, Opened, close_later};
use super::{Keeper, Pending, Retirement};
use crate::connectors::chronicle::Account;
use crate::connectors::evidence;
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
    /// Why what it finds is only the connector's word.
    unexercised: Option<&'static str>,
    /// The credential that it uses, and its version.
    given: Option<(CredentialId, u64)>,
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

/// What a check needs beside the installation.
#[derive(Clone)]
pub(super) struct Means {
    secrets: Arc<dyn Secrets>,
    credential: Option<CredentialRecord>,
}

impl Means {
    pub(super) fn of(launch: &Launch) -> Self {
        Self { secrets: Arc::clone(&launch.secrets), credential: launch.health_credential.clone() }
    }
}

/// A check that the connector calls good, once egress has closed its way.
pub(super) struct Closed {
    check: CallId,
    /// Why it exercised nothing all the same.
    unexercised: Option<&'static str>,
}

/// Someone who wants a check once the process is ready.
pub(super) struct Waiter {
    pub(super) installation: Arc<Installation>,
    means: Means,
    reply: oneshot::Sender<HealthCheck>,
    pub(super) deadline: Instant,
}

/// What a check of this installation is to exercise: its health operation, if it declares one.
pub(super) fn probe(installation: &Installation) -> HealthProbe {
    let declared = installation.manifest.lifecycle.health.clone();
    declared.map_or(HealthProbe::Method, HealthProbe::Operation)
}

/// Whether the means suffice for what is to be exercised: an operation with a credential slot needs a credential.
fn suffices(means: Option<&Means>, what: &HealthProbe, installation: &Installation) -> bool {
    let HealthProbe::Operation(id) = what else { return true };
    let wants = installation.manifest.operation(id).is_none_or(|operation| operation.auth.is_some());
    !wants || means.is_some_and(|means| means.credential.is_some())
}

/// Why the operation says nothing of the connector's path: it has no network, and others of the connector have.
//= docs/spec/connectors.md#health
fn asks_nobody(what: &HealthProbe, installation: &Installation) -> Option<&'static str> {
    let HealthProbe::Operation(id) = what else { return None };
    let manifest = &installation.manifest;
    let here = manifest.operation(id).is_some_and(|operation| operation.network.is_some());
    let anywhere = manifest.operations.values().any(|operation| operation.network.is_some());
    (anywhere && !here).then_some("not exercised: the health operation has no network")
}

impl Keeper {
    pub(super) fn on_health_wanted(&mut self, launch: Launch, reply: oneshot::Sender<HealthCheck>) {
        let deadline = self.shared.now().mono.saturating_add(self.shared.limits.supervision.startup_timeout);
        let (means, installation) = (Means::of(&launch), launch.installation);
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
        self.waiters.push(Waiter { installation, means, reply, deadline });
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
                    self.means = Some(waiter.means);
                    let what = self.run.as_ref().map_or(HealthProbe::Method, |run| probe(&run.installation));
                    self.start_probe(&what, Asker::Caller(waiter.reply));
                }
            }
            State::BackingOff(_) | State::CrashLooped(_) | State::Stopped if run.retirement.is_none() => {
                let trouble = run.words().map(str::to_owned);
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
        //= docs/spec/connectors.md#health
        let able = suffices(self.means.as_ref(), what, &installation);
        let (what, unexercised) = match (what, able) {
            (HealthProbe::Operation(_), true) => (what.clone(), asks_nobody(what, &installation)),
            (HealthProbe::Operation(_), false) => (HealthProbe::Method, Some("not exercised: no credential")),
            (HealthProbe::Method, _) => {
                (HealthProbe::Method, Some("not exercised: the manifest names no health operation"))
            }
        };
        let probe = Probe {
            process,
            what: what.clone(),
            unexercised,
            given: None,
            asker,
            deadline,
            egress: None,
            request: None,
        };
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
        let Some(means) = self.means.clone() else {
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
                let used =
                    |record: &CredentialRecord| open.credentials.iter().any(|it| it.slot == record.slot);
                let credentials: Vec<_> = means.credential.into_iter().filter(used).collect();
                let untold = self.untold(id, operation, credentials.first());
                self.ask_egress(id, client, open, Asked { secrets: means.secrets, credentials, untold });
            }
        }
    }

    /// What the audit must be told before a check uses the credential: once for each process and version.
    //= docs/spec/audit.md#connectors
    fn untold(
        &mut self,
        check: CallId,
        operation: &OperationId,
        record: Option<&CredentialRecord>,
    ) -> Option<Account> {
        let (record, run) = (record?, self.run.as_ref()?);
        let given = Some((record.credential.clone(), record.version));
        let told = run.talk.given == given;
        if let Some(probe) = self.probes.get_mut(&check) {
            probe.given = given;
        }
        (!told).then(|| Account {
            zone: self.identity.zone.clone(),
            kind: AuditEventKind::SecretAccess,
            connector: self.identity.connector.clone(),
            operation: Some(operation.clone()),
            call: None,
            code: None,
            detail: format!("{} for the checks of health while this process runs", record.credential),
        })
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
            && let Some(record) = self.means.as_ref().and_then(|means| means.credential.as_ref())
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
                    let given = probe.given.take();
                    if let Some(run) = self.run.as_mut().filter(|run| run.talk.process == probe.process) {
                        run.talk.given = given.or(run.talk.given.take());
                    }
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
                if let Some(detail) = healthy.detail {
                    let (connector, zone) = (&self.identity.connector, &self.identity.zone);
                    tracing::info!(%connector, %zone, detail, "what a connector says of itself");
                }
                (report, None)
            }
            (HealthProbe::Operation(operation), Ok(result)) => {
                let output = protocol::invoked(result)?.output;
                let checked = self.run.as_ref().map(|run| run.outputs.check(operation, &output));
                match checked {
                    None | Some(Ok(())) => (HealthReport::Ready, None),
                    Some(Err(why)) => {
                        (HealthReport::Degraded, Some(format!("{}: {why}", Code::ConnectorOutputInvalid)))
                    }
                }
            }
            // The process works, its path does not: another process would not do better.
            (_, Err(failure)) => (HealthReport::Degraded, Some(self.heard(&failure))),
        };
        match (report, self.probes.get_mut(&id).and_then(|probe| probe.egress.take())) {
            (HealthReport::Ready, Some((handle, client))) => self.ask_whom_it_reached(id, handle, client),
            (_, egress) => {
                if let Some((handle, client)) = egress {
                    close_later(client, handle);
                }
                self.end_probe(id, report, detail.as_deref());
            }
        }
        Ok(())
    }

    /// The connector calls it good. Whether it asked anybody, only egress can say.
    //= docs/spec/connectors.md#health
    fn ask_whom_it_reached(&self, check: CallId, handle: EgressHandle, client: EgressClient) {
        let answers = self.closed.0.clone();
        tokio::spawn(async move {
            let unexercised = match client.close_call(handle).await {
                Ok(report) if evidence::reached(&report) => None,
                Ok(report) if report.requests == 0 => Some("not exercised: no request was made"),
                Ok(_) => Some("not exercised: no request was answered well"),
                Err(_) => Some("not exercised: egress cannot say whether a request was made"),
            };
            // A keeper that is gone has nobody to tell.
            answers.send(Closed { check, unexercised }).ok();
        });
    }

    pub(super) fn on_probe_closed(&mut self, closed: Closed) {
        let Some(probe) = self.probes.get_mut(&closed.check) else { return };
        probe.unexercised = probe.unexercised.or(closed.unexercised);
        self.end_probe(closed.check, HealthReport::Ready, None);
    }

    fn end_probe(&mut self, id: CallId, report: HealthReport, detail: Option<&str>) {
        let Some(probe) = self.probes.remove(&id) else { return };
        if let Some(run) = self.run.as_mut().filter(|run| run.talk.process == probe.process)
            && let Some(request) = probe.request
        {
            if run.talk.pending.remove(&request).is_some() {
                run.talk.late.insert(request);
            }
            run.talk.remember(id);
        }
        self.shared.leave(id);
        if let Some((handle, client)) = probe.egress {
            close_later(client, handle);
        }
        let detail = detail.or(probe.unexercised);
        let exercised = match (probe.what, probe.unexercised) {
            (HealthProbe::Operation(operation), None) => Exercised::Operation(operation),
            (HealthProbe::Operation(_), Some(_)) | (HealthProbe::Method, _) => Exercised::Word,
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
        self.last_health = Some((self.starts, check.clone()));
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
