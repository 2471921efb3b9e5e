//! The life of the process: start, health, end, failure, blocks.

use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::time::{Instant, Now};

use super::messages::{Block, Cause, ExitStatus, Failure, HealthReport, Output, Process, SpawnError, Why};
use super::states::{
    BackingOff, CrashLooped, Degraded, DrainPhase, Draining, Probe, Ready, StartPhase, Starting, State, Then,
};
use super::{KILL_AGAIN, Manner, Reason, Restart, Supervisor};

impl Supervisor {
    pub(super) fn on_start(&mut self, now: Now, sink: &mut Vec<Output>) {
        if self.state == State::Stopped {
            self.spawn(Why::Start, now, sink);
        }
    }

    /// Makes the next process. Only called without one, and without a block.
    //= docs/spec/supervisor.md#states
    pub(super) fn spawn(&mut self, why: Why, now: Now, sink: &mut Vec<Output>) {
        self.newest = Process(self.newest.0 + 1);
        let process = self.newest;
        self.transition_to(State::Starting(Starting { process, phase: StartPhase::Spawning }), why, sink);
        self.set(Reason::Startup, self.config.startup_timeout, now);
        sink.push(Output::Spawn { process });
    }

    pub(super) fn on_spawned(&mut self, process: Process, sink: &mut Vec<Output>) {
        if !self.is_current(process) {
            return;
        }
        match &mut self.state {
            State::Starting(Starting { phase: phase @ StartPhase::Spawning, .. }) => {
                *phase = StartPhase::Initializing;
                sink.push(Output::SendInitialize { process });
            }
            // It was made after it was given up.
            State::Draining(Draining { phase: DrainPhase::Killing, .. }) => {
                sink.push(Output::Kill { process })
            }
            State::Starting(_)
            | State::Draining(_)
            | State::Ready(_)
            | State::Degraded(_)
            | State::Stopped
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => {}
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        process: Process,
        error: SpawnError,
        now: Now,
        sink: &mut Vec<Output>,
    ) {
        if !self.is_current(process) {
            return;
        }
        match self.state {
            State::Starting(Starting { phase: StartPhase::Spawning, .. }) => {
                self.fail(Failure::Spawn(error), None, now, sink);
            }
            State::Draining(draining @ Draining { phase: DrainPhase::Killing, .. }) => {
                self.ended(draining, now, sink);
            }
            // It was made already: only its end is reported.
            State::Starting(_)
            | State::Draining(_)
            | State::Ready(_)
            | State::Degraded(_)
            | State::Stopped
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => {}
        }
    }

    pub(super) fn on_initialized(&mut self, process: Process, now: Now, sink: &mut Vec<Output>) {
        if self.is_current(process)
            && let State::Starting(Starting { phase: StartPhase::Initializing, .. }) = self.state
        {
            let ready = Ready { process, since: now.mono, probe: Probe::Idle };
            self.transition_to(State::Ready(ready), Why::Initialized, sink);
            self.set(Reason::HealthDue, self.config.health_every, now);
            self.deliver(now, sink);
        }
    }

    pub(super) fn on_initialize_failed(&mut self, process: Process, now: Now, sink: &mut Vec<Output>) {
        if self.is_current(process)
            && let State::Starting(Starting { phase: StartPhase::Initializing, .. }) = self.state
        {
            self.give_up(Failure::Initialize, now, sink);
        }
    }

    pub(super) fn on_startup_timeout(&mut self, now: Now, sink: &mut Vec<Output>) {
        if let State::Starting(_) = self.state {
            self.give_up(Failure::StartupTimeout, now, sink);
        }
    }

    /// Ends a process for a failure of its own.
    fn give_up(&mut self, failure: Failure, now: Now, sink: &mut Vec<Output>) {
        self.end_process(Manner::Prompt, Then::Fail(failure), Why::Failed(failure), now, sink);
    }

    pub(super) fn on_health_due(&mut self, now: Now, sink: &mut Vec<Output>) {
        let Some((process, _)) = self.state.serving() else { return };
        self.set_probe(Probe::Asked);
        self.set(Reason::HealthTimeout, self.config.health_timeout, now);
        sink.push(Output::SendHealth { process, probe: self.config.health_probe.clone() });
    }

    pub(super) fn on_health(
        &mut self,
        process: Process,
        report: HealthReport,
        now: Now,
        sink: &mut Vec<Output>,
    ) {
        if !self.is_current(process) || self.probe() != Some(Probe::Asked) {
            return;
        }
        match report {
            HealthReport::Ready => self.serve(0, HealthReport::Ready, now, sink),
            HealthReport::Degraded => self.serve(0, HealthReport::Degraded, now, sink),
            HealthReport::Failed => self.on_unhealthy(now, sink),
        }
    }

    /// A health check failed or was not answered in time.
    pub(super) fn on_unhealthy(&mut self, now: Now, sink: &mut Vec<Output>) {
        let failures = match self.state {
            State::Ready(_) => 1,
            State::Degraded(Degraded { failures, .. }) => failures + 1,
            State::Stopped
            | State::Starting(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => return,
        };
        if failures >= self.config.health_failures {
            self.give_up(Failure::Health, now, sink);
        } else {
            self.serve(failures, HealthReport::Failed, now, sink);
        }
    }

    /// Goes on with the process after a health check.
    fn serve(&mut self, failures: u32, report: HealthReport, now: Now, sink: &mut Vec<Output>) {
        let Some((process, since)) = self.state.serving() else { return };
        let probe = Probe::Idle;
        let (state, why) = match report {
            HealthReport::Ready => (State::Ready(Ready { process, since, probe }), Why::Recovered),
            HealthReport::Degraded | HealthReport::Failed => {
                (State::Degraded(Degraded { process, since, probe, failures }), Why::Unwell)
            }
        };
        if state.name() == self.state.name() {
            self.state = state;
        } else {
            let idle = self.timer.deadline(Reason::Idle);
            self.transition_to(state, why, sink);
            if let Some(at) = idle {
                self.timer.set(Reason::Idle, at);
            }
        }
        self.timer.cancel(Reason::HealthTimeout);
        self.set(Reason::HealthDue, self.config.health_every, now);
    }

    const fn probe(&self) -> Option<Probe> {
        match &self.state {
            State::Ready(Ready { probe, .. }) | State::Degraded(Degraded { probe, .. }) => Some(*probe),
            State::Stopped
            | State::Starting(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => None,
        }
    }

    const fn set_probe(&mut self, to: Probe) {
        match &mut self.state {
            State::Ready(Ready { probe, .. }) | State::Degraded(Degraded { probe, .. }) => *probe = to,
            State::Stopped
            | State::Starting(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::CrashLooped(_)
            | State::Disabled => {}
        }
    }

    /// Ends the process, if there is one. A process that is being ended is only ever ended more firmly.
    pub(super) fn end_process(
        &mut self,
        manner: Manner,
        then: Then,
        why: Why,
        now: Now,
        sink: &mut Vec<Output>,
    ) {
        let (process, served_since, then, manner) = match self.state {
            // A process that is not made yet cannot be asked to end.
            State::Starting(Starting { process, phase: StartPhase::Spawning }) => {
                (process, None, then, Manner::AtOnce)
            }
            State::Starting(Starting { process, phase: StartPhase::Initializing }) => {
                (process, None, then, manner.max(Manner::Prompt))
            }
            State::Ready(Ready { process, since, .. }) | State::Degraded(Degraded { process, since, .. }) => {
                (process, Some(since), then, manner)
            }
            State::Draining(Draining { process, served_since, phase, then }) => {
                let reached = match phase {
                    DrainPhase::Finishing { .. } => Manner::Graceful,
                    DrainPhase::Terminating => Manner::Prompt,
                    DrainPhase::Killing => Manner::AtOnce,
                };
                if manner <= reached {
                    return;
                }
                (process, served_since, then, manner)
            }
            State::Stopped | State::BackingOff(_) | State::CrashLooped(_) | State::Disabled => return,
        };
        let until = now.mono.saturating_add(self.config.stop_grace);
        let draining = Draining { process, served_since, phase: DrainPhase::Finishing { until }, then };
        self.transition_to(State::Draining(draining), why, sink);
        match manner {
            Manner::Graceful if self.calls.sent() > 0 => self.set(Reason::Drain, self.config.stop_grace, now),
            Manner::Graceful => self.terminate(self.config.stop_grace, now, sink),
            Manner::Prompt => self.terminate(self.config.terminate_grace, now, sink),
            Manner::AtOnce => self.kill(now, sink),
        }
    }

    /// Tells the draining process to end, and kills it after `grace`.
    pub(super) fn terminate(&mut self, grace: Duration, now: Now, sink: &mut Vec<Output>) {
        if let State::Draining(draining) = &mut self.state {
            draining.phase = DrainPhase::Terminating;
            sink.push(Output::Terminate { process: draining.process });
            self.timer.cancel(Reason::Drain);
            self.set(Reason::Kill, grace, now);
        }
    }

    /// Kills the draining process. Its calls end here: a killed process answers nothing.
    fn kill(&mut self, now: Now, sink: &mut Vec<Output>) {
        if let State::Draining(draining) = &mut self.state {
            draining.phase = DrainPhase::Killing;
            sink.push(Output::Kill { process: draining.process });
            self.timer.cancel(Reason::Drain);
            self.set(Reason::Kill, KILL_AGAIN, now);
            let revoked = self.blocks.contains(&Block::Revoked);
            self.lose_sent(if revoked { Cause::Revoked } else { Cause::ProcessEnded }, sink);
        }
    }

    pub(super) fn on_drain_timeout(&mut self, now: Now, sink: &mut Vec<Output>) {
        self.terminate(self.config.terminate_grace, now, sink);
    }

    pub(super) fn on_kill_due(&mut self, now: Now, sink: &mut Vec<Output>) {
        if let State::Draining(Draining { process, phase: DrainPhase::Killing, .. }) = self.state {
            sink.push(Output::KillUnanswered { process });
        }
        self.kill(now, sink);
    }

    pub(super) fn on_exited(
        &mut self,
        process: Process,
        status: ExitStatus,
        now: Now,
        sink: &mut Vec<Output>,
    ) {
        if !self.is_current(process) {
            return;
        }
        let idle = self.calls.sent() == 0;
        self.lose_sent(Cause::ProcessEnded, sink);
        match self.state {
            State::Starting(_) => self.fail(Failure::Exited(status), None, now, sink),
            State::Ready(Ready { since, .. }) | State::Degraded(Degraded { since, .. }) => {
                if idle && status == ExitStatus::Code(0) {
                    self.ended_cleanly(now, sink);
                } else {
                    self.fail(Failure::Exited(status), Some(since), now, sink);
                }
            }
            State::Draining(draining) => self.ended(draining, now, sink),
            State::Stopped | State::BackingOff(_) | State::CrashLooped(_) | State::Disabled => {}
        }
    }

    /// A process that was to end has ended.
    fn ended(&mut self, draining: Draining, now: Now, sink: &mut Vec<Output>) {
        match draining.then {
            Then::Fail(failure) => self.fail(failure, draining.served_since, now, sink),
            Then::Stop => self.rest(Why::Ended, now, sink),
        }
    }

    /// A process without calls ended on its own, with success.
    fn ended_cleanly(&mut self, now: Now, sink: &mut Vec<Output>) {
        match self.config.restart {
            Restart::Always => self.back_off(None, self.config.backoff_first, now, sink),
            Restart::OnFailure | Restart::OnCrash | Restart::Never => self.rest(Why::Ended, now, sink),
        }
    }

    /// Without a process and without a failure: disabled, stopped, or started for those who wait.
    fn rest(&mut self, why: Why, now: Now, sink: &mut Vec<Output>) {
        if let Some(block) = self.blocks.last().copied() {
            self.transition_to(State::Disabled, Why::Blocked(block), sink);
            return;
        }
        self.transition_to(State::Stopped, why, sink);
        if self.calls.waiting() > 0 {
            self.spawn(Why::Demand, now, sink);
        }
    }

    /// Without a process, for a failure: counts it and decides when the next one may be made.
    fn fail(&mut self, failure: Failure, served_since: Option<Instant>, now: Now, sink: &mut Vec<Output>) {
        if !self.blocks.is_empty() {
            self.rest(Why::Failed(failure), now, sink);
            return;
        }
        let window = self.config.crash_window;
        if served_since.is_some_and(|since| now.mono.saturating_since(since) >= window) {
            self.streak = 0;
        }
        self.streak = self.streak.saturating_add(1);
        self.failures.push_back(now.mono);
        self.failures.retain(|at| now.mono.saturating_since(*at) < window);
        let permanent = match failure {
            Failure::Spawn(SpawnError::Sandbox) => Some(Cause::SandboxUnattainable),
            Failure::Spawn(SpawnError::CodeMismatch) => Some(Cause::CodeMismatch),
            Failure::Spawn(SpawnError::Resources)
            | Failure::StartupTimeout
            | Failure::Initialize
            | Failure::Health
            | Failure::Exited(_) => None,
        };
        if let Some(cause) = permanent {
            self.stop_trying(failure, cause, Why::Failed(failure), sink);
        } else if self.failures.len() >= self.config.crash_limit {
            self.stop_trying(failure, Cause::CrashLooped, Why::TooManyFailures, sink);
        } else {
            let doublings = 1_u32.checked_shl(self.streak - 1).unwrap_or(u32::MAX);
            let delay = self.config.backoff_first.saturating_mul(doublings).min(self.config.backoff_max);
            self.back_off(Some(failure), delay, now, sink);
        }
    }

    fn stop_trying(&mut self, failure: Failure, cause: Cause, why: Why, sink: &mut Vec<Output>) {
        self.transition_to(State::CrashLooped(CrashLooped { failure, cause }), why, sink);
        self.turn_away(cause, sink);
    }

    /// Waits for `delay`, made longer or shorter by up to half.
    fn back_off(&mut self, failure: Option<Failure>, delay: Duration, now: Now, sink: &mut Vec<Output>) {
        let permille = u32::try_from(500 + self.entropy.below(1_001)).unwrap_or(1_000);
        let delay = delay.saturating_mul(permille) / 1_000;
        let until = now.mono.saturating_add(delay);
        let why = failure.map_or(Why::Ended, Why::Failed);
        self.transition_to(State::BackingOff(BackingOff { failure, until }), why, sink);
        self.set(Reason::Backoff, delay, now);
    }

    pub(super) fn on_backoff_over(&mut self, now: Now, sink: &mut Vec<Output>) {
        let State::BackingOff(BackingOff { failure, .. }) = self.state else { return };
        let restarts = match self.config.restart {
            Restart::Always | Restart::OnFailure => true,
            Restart::OnCrash => matches!(failure, Some(Failure::Exited(ExitStatus::Signal(_)))),
            Restart::Never => false,
        };
        if self.calls.waiting() > 0 {
            self.spawn(Why::Demand, now, sink);
        } else if restarts {
            self.spawn(Why::Restart, now, sink);
        } else {
            self.transition_to(State::Stopped, Why::BackoffOver, sink);
        }
    }

    pub(super) fn on_block(&mut self, block: Block, now: Now, sink: &mut Vec<Output>) {
        self.blocks.insert(block);
        self.turn_away(block.cause(), sink);
        let manner = match block {
            Block::Owner | Block::Shutdown => Manner::Graceful,
            Block::Revoked => Manner::AtOnce,
        };
        match self.state {
            State::Stopped | State::BackingOff(_) | State::CrashLooped(_) => {
                self.transition_to(State::Disabled, Why::Blocked(block), sink);
            }
            State::Starting(_) | State::Ready(_) | State::Degraded(_) | State::Draining(_) => {
                self.end_process(manner, Then::Stop, Why::Blocked(block), now, sink);
            }
            State::Disabled => {}
        }
    }

    pub(super) fn on_unblock(&mut self, block: Block, now: Now, sink: &mut Vec<Output>) {
        self.blocks.remove(&block);
        if !self.blocks.is_empty() {
            return;
        }
        match self.state {
            State::Disabled => self.begin_anew(block, now, sink),
            State::CrashLooped(_) if block == Block::Owner => self.begin_anew(block, now, sink),
            State::Stopped
            | State::Starting(_)
            | State::Ready(_)
            | State::Degraded(_)
            | State::Draining(_)
            | State::BackingOff(_)
            | State::CrashLooped(_) => {}
        }
    }

    /// The owner lets it run: what failed before is forgotten.
    fn begin_anew(&mut self, block: Block, now: Now, sink: &mut Vec<Output>) {
        self.failures.clear();
        self.streak = 0;
        self.transition_to(State::Stopped, Why::Unblocked(block), sink);
        if self.config.restart == Restart::Always {
            self.spawn(Why::Restart, now, sink);
        }
    }

    //= docs/spec/supervisor.md#states
    fn is_current(&self, process: Process) -> bool {
        self.state.process() == Some(process)
    }

    /// Changes the state. Deadlines of the old one are forgotten, those of cancelled calls stay.
    fn transition_to(&mut self, to: State, why: Why, sink: &mut Vec<Output>) {
        self.timer.retain(|reason| matches!(reason, Reason::Cancel(_)));
        let from = self.state.name();
        self.state = to;
        if from != to.name() {
            sink.push(Output::Changed { from, to: to.name(), why });
        }
    }
}
