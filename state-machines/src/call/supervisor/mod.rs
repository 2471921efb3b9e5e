//! The supervisor of one connector process: one machine for each (connector, zone).
//!
//! Spec: docs/spec/supervisor.md. It decides when the process is spawned, asked for its health, told to cancel,
//! terminated and killed, and how each call that was handed to it ends. It owns no process: its outputs are verbs for
//! the driver, its inputs what the driver saw.
//!
//! ```text
//!            Demand, Start             Initialized             health
//!  Stopped ───────────────► Starting ─────────────► Ready ◄────────────► Degraded
//!     ▲ ▲                      │ failed               │ stop, failed        │
//!     │ └──── BackingOff ◄─────┴──────── Draining ◄───┴─────────────────────┘
//!     │           │ too many failures       │
//!     │ Enable    ▼                         ▼ Disable, Revoke, Shutdown
//!     └────── CrashLooped                Disabled ──► Stopped (Enable, Restore)
//! ```
//!
//! Contract of the driver: after `Spawn` it reports `SpawnFailed`, or `Spawned` and later `Exited`, each once, naming
//! the process; `Terminate` and `Kill` are valid from `Spawn` on; on `Deliver` it writes the call, and says
//! `NotWritten` only if no byte of it can have reached the process; it calls [`Supervisor::handle_timeout`] when
//! [`Supervisor::poll_timeout`] is due.

mod calls;
mod messages;
mod process;
mod requests;
mod states;
#[cfg(test)]
mod tests;

pub use messages::{
    Block, CallEnd, Cause, ExitStatus, Failure, HealthReport, Input, Output, Process, SpawnError, Why,
};
pub use states::{
    BackingOff, CrashLooped, Degraded, DrainPhase, Draining, Probe, Ready, StartPhase, Starting, State,
    StateName, Then,
};

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::{CallId, OperationId};
use fcp_proto_core::manifest::Restart;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now};

use crate::timer::Timer;
use calls::Calls;

/// What a health check exercises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthProbe {
    /// The `health` method of the connector protocol.
    Method,
    /// The operation that the manifest declares as its health check, through its whole path.
    Operation(OperationId),
}

/// How one connector is supervised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// When it is restarted without a demand.
    pub restart: Restart,
    /// The delay after the first failure; it doubles with each further one.
    pub backoff_first: Duration,
    /// The longest delay, before jitter.
    pub backoff_max: Duration,
    /// Failures within [`crash_window`](Self::crash_window) that stop the restarts.
    pub crash_limit: usize,
    /// The time in which failures are counted; a run of this length forgets the earlier ones.
    pub crash_window: Duration,
    /// From `Spawn` to `Initialized`.
    pub startup_timeout: Duration,
    /// What a health check exercises.
    pub health_probe: HealthProbe,
    /// From one health answer to the next check.
    pub health_every: Duration,
    /// How long a health check may take.
    pub health_timeout: Duration,
    /// Failed health checks in a row that end the process.
    pub health_failures: u32,
    /// How long a process without calls is kept; for good if `None`.
    pub idle_stop: Option<Duration>,
    /// From a graceful stop to the kill.
    pub stop_grace: Duration,
    /// From a cancel notification to the end of the process.
    pub cancel_grace: Duration,
    /// From a termination that is not graceful to the kill.
    pub terminate_grace: Duration,
    /// Calls that may be with the process at once.
    pub max_sent: usize,
    /// Calls that may wait for it.
    pub max_waiting: usize,
}

impl Default for Config {
    /// The values of docs/spec/supervisor.md#defaults.
    fn default() -> Self {
        Self {
            restart: Restart::OnFailure,
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(60),
            crash_limit: 5,
            crash_window: Duration::from_secs(300),
            startup_timeout: Duration::from_secs(30),
            health_probe: HealthProbe::Method,
            health_every: Duration::from_secs(30),
            health_timeout: Duration::from_secs(10),
            health_failures: 3,
            idle_stop: None,
            stop_grace: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(1),
            terminate_grace: Duration::from_millis(500),
            max_sent: 64,
            max_waiting: 256,
        }
    }
}

/// What a supervisor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The start takes too long.
    Startup,
    /// The next health check.
    HealthDue,
    /// A health check takes too long.
    HealthTimeout,
    /// Nobody has called for a while.
    Idle,
    /// The delay after a failure.
    Backoff,
    /// Calls of a graceful stop take too long.
    Drain,
    /// A terminated process has not ended, or a killed one is still not reported gone.
    Kill,
    /// A call goes on although it was cancelled.
    Cancel(CallId),
}

/// The supervisor of one connector process.
#[derive(Debug)]
pub struct Supervisor {
    config: Config,
    entropy: Entropy,
    state: State,
    blocks: BTreeSet<Block>,
    calls: Calls,
    timer: Timer<Reason>,
    /// The newest process.
    newest: Process,
    /// When the failures of the crash window happened, oldest first.
    failures: VecDeque<Instant>,
    /// Failures since the last long run: the exponent of the back-off.
    streak: u32,
}

impl Supervisor {
    /// A supervisor without a process, enabled.
    pub fn new(config: Config, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            state: State::Stopped,
            blocks: BTreeSet::new(),
            calls: Calls::default(),
            timer: Timer::new(),
            newest: Process::default(),
            failures: VecDeque::new(),
            streak: 0,
        }
    }

    /// Takes one input and appends what follows from it to `sink`, in order.
    pub fn handle(&mut self, input: Input, now: Now, sink: &mut Vec<Output>) {
        match input {
            Input::Demand { call } => self.on_demand(call, now, sink),
            Input::Start => self.on_start(now, sink),
            Input::Spawned { process } => self.on_spawned(process, sink),
            Input::SpawnFailed { process, error } => self.on_spawn_failed(process, error, now, sink),
            Input::Initialized { process } => self.on_initialized(process, now, sink),
            Input::InitializeFailed { process } => self.on_initialize_failed(process, now, sink),
            Input::Health { process, report } => self.on_health(process, report, now, sink),
            Input::Exited { process, status } => self.on_exited(process, status, now, sink),
            Input::Answered { call } => self.on_answered(call, now, sink),
            Input::NotWritten { call } => self.on_not_written(call, now, sink),
            Input::TimedOut { call } => self.on_cancel(call, Cause::TimedOut, now, sink),
            Input::CancelRequested { call } => self.on_cancel(call, Cause::Cancelled, now, sink),
            Input::Disable => self.on_block(Block::Owner, now, sink),
            Input::Revoke => self.on_block(Block::Revoked, now, sink),
            Input::Shutdown => self.on_block(Block::Shutdown, now, sink),
            Input::Enable => self.on_unblock(Block::Owner, now, sink),
            Input::Restore => self.on_unblock(Block::Revoked, now, sink),
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Now, sink: &mut Vec<Output>) {
        while let Some(reason) = self.timer.expire(now.mono) {
            match reason {
                Reason::Startup => self.on_startup_timeout(now, sink),
                Reason::HealthDue => self.on_health_due(now, sink),
                Reason::HealthTimeout => self.on_unhealthy(now, sink),
                Reason::Idle => self.end_process(Manner::Graceful, Then::Stop, Why::Idle, now, sink),
                Reason::Backoff => self.on_backoff_over(now, sink),
                Reason::Drain => self.on_drain_timeout(now, sink),
                Reason::Kill => self.on_kill_due(now, sink),
                Reason::Cancel(call) => self.on_cancel_ignored(call, now, sink),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.timer.next()
    }

    /// The present state with its data.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What keeps the connector from running.
    pub const fn blocks(&self) -> &BTreeSet<Block> {
        &self.blocks
    }

    /// The number of calls that wait, and of those that are with the process.
    pub fn open_calls(&self) -> (usize, usize) {
        (self.calls.waiting(), self.calls.sent())
    }

    /// The deadline `after` from now, and never "now": no chain of deadlines runs without time passing.
    fn set(&mut self, reason: Reason, after: Duration, now: Now) {
        self.timer.set(reason, now.mono.saturating_add(after.max(SHORTEST_WAIT)));
    }
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Its calls may finish first.
    Graceful,
    /// It is told to end, and killed a moment later.
    Prompt,
    /// It is killed.
    AtOnce,
}

/// Shortest time to any deadline. Chosen: the resolution of common timers.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// From a kill that was not answered to the next. Chosen: long enough for a process that dumps its memory.
const KILL_AGAIN: Duration = Duration::from_secs(5);
