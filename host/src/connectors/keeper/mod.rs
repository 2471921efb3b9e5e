//! The keeper of one connector in one zone: a task that drives the supervisor's machine and does what it says.
//! Source: docs/spec/supervisor.md, docs/spec/connectors.md#keeper.
//!
//! A [`Run`] is one installation under one supervisor. When what is installed changes, or is revoked, the run is
//! retired: its process ends, gracefully or at once, and only when it is gone the next run begins. So there are never
//! two processes, and a call is only ever handed to the installation that it was decided for.

mod calls;
mod finish;
mod health;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, CredentialId};
use fcp_proto_core::object::RevocationObject;
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_state_machines::call::supervisor::{self, CallEnd, Input, Output, Process, State, Supervisor};
use fcp_state_machines::node::Outcome;
use tokio::sync::{mpsc, oneshot};

use super::launch::{Installation, Launch};
use super::outputs::OutputSchemas;
use super::process::{Link, Start, Told};
use super::protocol::{self, Violation};
use super::revocation::{binaries, names_binary};
use super::shared::Shared;
use super::status::{HealthCheck, ProcessStatus, Trouble};
use crate::egress::Identity;
use crate::sandbox::PropertyReport;
pub(super) use calls::NewCall;
use calls::{Entry, Opened};
use health::{Closed, Means, Probe, Waiter};

/// What a keeper is asked.
pub(super) enum Command {
    /// To make a call.
    Call(Box<NewCall>),
    /// To end a call, for this reason.
    End(CallId, Code),
    /// To kill the process if the revocation names its code. Answered when it is gone, or may stay.
    Revoke(RevocationObject, oneshot::Sender<()>),
    /// To let the process finish, and go on with another.
    Replace,
    /// To end these calls and the process. Answered when it is gone.
    Disable(Vec<CallId>, oneshot::Sender<()>),
    /// To exercise the connector.
    Health(Launch, oneshot::Sender<HealthCheck>),
    /// To say how it is.
    Status(oneshot::Sender<ProcessStatus>),
    /// To let the process finish, and to end. Answered when it is gone.
    Shutdown(oneshot::Sender<()>),
}

/// Why a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retirement {
    /// Something else is installed, or it was disabled; what is called after that is another process.
    Replaced,
    /// Its code was revoked.
    Revoked,
    /// The node stops.
    ShutDown,
}

/// One installation under one supervisor.
struct Run {
    supervisor: Supervisor,
    installation: Arc<Installation>,
    /// What its operations declare of their outputs.
    outputs: Arc<OutputSchemas>,
    events: (mpsc::Sender<Told>, mpsc::Receiver<Told>),
    link: Option<Link>,
    /// What stands between the process and us.
    talk: Talk,
    retirement: Option<Retirement>,
    /// Why the last process failed.
    trouble: Option<Trouble>,
}

impl Run {
    /// What calls are told, if no process is made until the owner acts.
    fn stopped(&self) -> Option<Code> {
        match self.supervisor.state() {
            State::CrashLooped(stopped) => CallEnd::NotDelivered(stopped.cause).code(),
            State::Stopped
            | State::Starting(_)
            | State::Ready(_)
            | State::Degraded(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::Disabled => None,
        }
    }

    /// Why the last process failed, in words.
    fn words(&self) -> Option<&str> {
        self.trouble.as_ref().map(Trouble::words)
    }
}

/// What is open with one process.
#[derive(Default)]
struct Talk {
    process: Process,
    next_id: u64,
    /// Requests without their answer.
    pending: BTreeMap<u64, Pending>,
    /// Requests whose answer nobody waits for any more.
    late: BTreeSet<u64>,
    /// Calls that ended a moment ago, of which progress may still come.
    recent: VecDeque<CallId>,
    /// Progress of those.
    stale: usize,
    violation: Option<Violation>,
    /// The credential that the audit knows to be given for checks of this process, and its version.
    given: Option<(CredentialId, u64)>,
    report: Option<Box<PropertyReport>>,
    launcher: Option<u32>,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Initialize,
    Health(CallId),
    Call(CallId),
    Shutdown,
}

/// The keeper.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    identity: Identity,
    commands: mpsc::UnboundedReceiver<Command>,
    opened: (mpsc::UnboundedSender<Opened>, mpsc::UnboundedReceiver<Opened>),
    closed: (mpsc::UnboundedSender<Closed>, mpsc::UnboundedReceiver<Closed>),
    run: Option<Run>,
    outputs: VecDeque<Output>,
    calls: BTreeMap<CallId, Entry>,
    /// Calls for the next run.
    held: VecDeque<Entry>,
    probes: BTreeMap<CallId, Probe>,
    /// What the last caller brought, for the supervisor's own checks.
    means: Option<Means>,
    waiters: Vec<Waiter>,
    /// Those who wait until there is no process.
    gone: Vec<oneshot::Sender<()>>,
    /// Set when the node stops.
    closing: bool,
    starts: u64,
    /// The last check, and how many starts preceded it.
    last_health: Option<(u64, HealthCheck)>,
}

impl Keeper {
    /// Keeps a connector in a zone, on a task of its own.
    pub(super) fn spawn(shared: Arc<Shared>, identity: Identity) -> mpsc::UnboundedSender<Command> {
        let (sender, commands) = mpsc::unbounded_channel();
        let keeper = Self {
            shared,
            identity,
            commands,
            opened: mpsc::unbounded_channel(),
            closed: mpsc::unbounded_channel(),
            run: None,
            outputs: VecDeque::new(),
            calls: BTreeMap::new(),
            held: VecDeque::new(),
            probes: BTreeMap::new(),
            means: None,
            waiters: Vec::new(),
            gone: Vec::new(),
            closing: false,
            starts: 0,
            last_health: None,
        };
        tokio::spawn(keeper.keep());
        sender
    }

    async fn keep(mut self) {
        while !(self.closing && self.run.is_none()) {
            let wait = self.next_deadline().map(|at| at.saturating_since(self.shared.now().mono));
            let events = self.run.as_mut().map(|run| &mut run.events.1);
            // Deadlines and commands first: a process that floods its output keeps nobody waiting.
            tokio::select! {
                biased;
                () = sleep(wait) => self.on_deadline(),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    // Nobody can ask any more: dropping the link ends the process.
                    None => return,
                },
                Some(opened) = self.opened.1.recv() => self.on_opened(opened),
                Some(closed) = self.closed.1.recv() => self.on_probe_closed(closed),
                Some((process, event)) = next(events) => self.on_event(process, event),
            }
            self.settle();
        }
        for gone in self.gone {
            // Whoever asked may have given up waiting.
            gone.send(()).ok();
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Call(call) => self.on_call(*call),
            Command::End(call, code) => self.end(call, code),
            Command::Revoke(revocation, reply) => self.on_revoked(&revocation, reply),
            Command::Replace => self.retire(Retirement::Replaced),
            Command::Disable(calls, reply) => self.on_disabled(calls, reply),
            Command::Health(launch, reply) => self.on_health_wanted(launch, reply),
            // Whoever asked may have given up waiting.
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Shutdown(reply) => {
                self.closing = true;
                self.turn_held_away(Code::Draining, "the node stops");
                self.retire(Retirement::ShutDown);
                self.gone.push(reply);
            }
        }
    }

    fn on_revoked(&mut self, revocation: &RevocationObject, reply: oneshot::Sender<()>) {
        let ours = |run: &Run| names_binary(&binaries(&run.installation), revocation);
        if self.run.as_ref().is_some_and(ours) {
            self.retire(Retirement::Revoked);
            self.gone.push(reply);
        } else {
            // Whoever asked may have given up waiting.
            reply.send(()).ok();
        }
    }

    /// The calls are cancelled, and ended if the connector does not listen; then the process ends.
    //= docs/spec/connectors.md#disabling
    fn on_disabled(&mut self, calls: Vec<CallId>, reply: oneshot::Sender<()>) {
        for call in calls {
            self.end(call, Code::ConnectorDisabled);
        }
        if self.run.is_some() {
            self.retire(Retirement::Replaced);
            self.gone.push(reply);
        } else {
            // Whoever asked may have given up waiting.
            reply.send(()).ok();
        }
    }

    /// Ends the present run. A revocation overrides what is gentler.
    fn retire(&mut self, why: Retirement) {
        let Some(run) = &mut self.run else { return };
        let input = match (run.retirement, why) {
            (Some(Retirement::Revoked), _) | (Some(_), Retirement::Replaced | Retirement::ShutDown) => return,
            (_, Retirement::Revoked) => Input::Revoke,
            (None, Retirement::Replaced | Retirement::ShutDown) => Input::Shutdown,
        };
        run.retirement = Some(why);
        self.feed(input);
    }

    /// Tells the supervisor, and keeps what it answers for [`Self::settle`].
    fn feed(&mut self, input: Input) {
        let now = self.shared.now();
        if let Some(run) = &mut self.run {
            let mut sink = Vec::new();
            run.supervisor.handle(input, now, &mut sink);
            self.outputs.extend(sink);
        }
    }

    /// Does what the supervisor says, until it says nothing more; then sees to who waits for a state.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.outputs.pop_front() {
                self.perform(output);
            }
            self.serve_waiters();
            if self.outputs.is_empty() && !self.turn_over() {
                return;
            }
        }
    }

    /// Replaces a retired run that has no process any more. True if there is more to do.
    fn turn_over(&mut self) -> bool {
        let over = self
            .run
            .as_ref()
            .is_none_or(|run| run.retirement.is_some() && matches!(run.supervisor.state(), State::Disabled));
        if !over {
            return false;
        }
        self.run = None;
        for gone in self.gone.drain(..) {
            // Whoever asked may have given up waiting.
            gone.send(()).ok();
        }
        if let Some(next) = self.held.pop_front() {
            self.admit(next);
            return true;
        }
        if self.closing {
            return false;
        }
        let Some(installation) = self.waiters.first().map(|waiter| Arc::clone(&waiter.installation)) else {
            return false;
        };
        self.begin(installation);
        self.feed(Input::Start);
        true
    }

    /// Begins a run; there is none.
    fn begin(&mut self, installation: Arc<Installation>) {
        let config = self.supervision(&installation);
        self.run = Some(Run {
            supervisor: Supervisor::new(config, self.shared.entropy()),
            outputs: Arc::new(OutputSchemas::of(&installation.manifest)),
            installation,
            events: mpsc::channel(MAX_EVENTS),
            link: None,
            talk: Talk::default(),
            retirement: None,
            trouble: None,
        });
    }

    /// The owner's word on the process comes before the manifest's, and that before the default.
    //= docs/spec/supervisor.md#choices
    fn supervision(&self, installation: &Installation) -> supervisor::Config {
        let limits = &self.shared.limits;
        let lifecycle = &installation.manifest.lifecycle;
        let every = match lifecycle.health_interval_s {
            0 => NEVER,
            seconds => Duration::from_secs(seconds.into()),
        };
        let config = supervisor::Config {
            restart: lifecycle.restart.unwrap_or(limits.supervision.restart),
            health_probe: health::probe(installation),
            health_every: every,
            ..limits.supervision.clone()
        };
        let owner = limits.supervised.iter().find(|it| it.connector == self.identity.connector);
        owner.map_or(config.clone(), |owner| owner.over(config))
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Spawn { process } => self.spawn_process(process),
            Output::SendInitialize { .. } => self.send_initialize(),
            Output::SendHealth { probe, .. } => self.send_probe(&probe),
            Output::Deliver { call, .. } => self.deliver(call),
            Output::SendCancel { call, .. } => self.send_cancel(call),
            Output::Terminate { .. } => self.terminate(),
            Output::Kill { .. } => self.kill(),
            Output::CallEnded { call, end } => self.call_ended(call, end),
            Output::LateAnswer { call } => tracing::debug!(%call, "a connector answered too late"),
            Output::KillUnanswered { process } => {
                tracing::error!(connector = %self.identity.connector, ?process, "a killed connector is not gone");
            }
            Output::Changed { from, to, why } => {
                let (connector, zone) = (&self.identity.connector, &self.identity.zone);
                tracing::info!(%connector, %zone, ?from, ?to, ?why, "connector");
            }
        }
    }

    fn spawn_process(&mut self, process: Process) {
        let Some(run) = &mut self.run else { return };
        let networked = run.installation.manifest.operations.values().any(|op| op.network.is_some());
        self.starts += 1;
        run.talk = Talk { process, ..Talk::default() };
        let start = Start {
            shared: Arc::clone(&self.shared),
            identity: self.identity.clone(),
            installation: Arc::clone(&run.installation),
            egress: networked.then(|| self.shared.egress()),
            process,
            events: run.events.0.clone(),
        };
        run.link = Some(start.spawn());
    }

    fn terminate(&mut self) {
        let line = self.request(Pending::Shutdown, protocol::shutdown);
        self.write(None, line);
        if let Some(link) = self.run.as_mut().and_then(|run| run.link.as_mut()) {
            link.close_input();
        }
    }

    fn kill(&self) {
        if let Some(link) = self.run.as_ref().and_then(|run| run.link.as_ref()) {
            link.kill();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let supervisor = self.run.as_ref().and_then(|run| run.supervisor.poll_timeout()).map(|(at, _)| at);
        let calls = self.calls.values().chain(&self.held).filter_map(Entry::due);
        let probes = self.probes.values().map(|probe| probe.deadline);
        let waiters = self.waiters.iter().map(|waiter| waiter.deadline);
        calls.chain(probes).chain(waiters).chain(supervisor).min()
    }

    fn on_deadline(&mut self) {
        let now = self.shared.now();
        self.end_overdue(now.mono);
        self.end_overdue_probes(now.mono);
        if let Some(run) = &mut self.run {
            let mut sink = Vec::new();
            run.supervisor.handle_timeout(now, &mut sink);
            self.outputs.extend(sink);
        }
    }

    fn status(&self) -> ProcessStatus {
        let run = self.run.as_ref();
        let (waiting, running) = run.map_or((0, 0), |run| run.supervisor.open_calls());
        ProcessStatus {
            connector: self.identity.connector.clone(),
            zone: self.identity.zone.clone(),
            state: run.map_or(supervisor::StateName::Stopped, |run| run.supervisor.state().name()),
            code_digest: run.map(|run| run.installation.code_digest),
            waiting: waiting + self.held.len(),
            running,
            restarts: self.starts.saturating_sub(1),
            trouble: run.and_then(|run| run.trouble.clone()),
            stopped: run.and_then(Run::stopped),
            launcher: run.and_then(|run| run.talk.launcher),
            sandbox: run.and_then(|run| run.talk.report.clone()),
            health_is_current: run.is_some_and(|run| run.link.is_some())
                && self.last_health.as_ref().is_some_and(|(starts, _)| *starts == self.starts),
            health: self.last_health.as_ref().map(|(_, check)| check.clone()),
        }
    }

    fn unix(&self) -> UnixTime {
        self.shared.now().unix
    }
}

/// Sleeps so long, or for ever.
async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// The next event of the run, if there is a run.
async fn next(events: Option<&mut mpsc::Receiver<Told>>) -> Option<Told> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// Answers a call that was never handed over.
fn not_delivered(reply: oneshot::Sender<Outcome>, code: Code, message: impl Into<String>) {
    // Whoever asked may have given up waiting.
    reply.send(Outcome::NotDelivered { code, message: message.into() }).ok();
}

/// Messages of a process that wait to be handled. Chosen: small, for each may be as long as a line.
const MAX_EVENTS: usize = 4;

/// Between health checks that only happen on demand: longer than any machine runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);
