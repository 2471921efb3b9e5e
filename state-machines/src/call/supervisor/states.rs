//! The states of a connector process, each with exactly its data.

use core::fmt;

use fcp_proto_core::time::Instant;

use super::messages::{Cause, Failure, Process};

/// The state of a connector process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process; one is made on demand.
    Stopped,
    /// A process is being made.
    Starting(Starting),
    /// The process takes calls.
    Ready(Ready),
    /// The process takes calls, and its health is in doubt.
    Degraded(Degraded),
    /// The process is being ended.
    Draining(Draining),
    /// No process; the next one is made after a delay.
    BackingOff(BackingOff),
    /// No process; the owner must act.
    CrashLooped(CrashLooped),
    /// No process; none may be made.
    Disabled,
}

/// A process is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starting {
    /// Which one.
    pub process: Process,
    /// How far it is.
    pub phase: StartPhase,
}

/// How far a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPhase {
    /// `Spawn` was said.
    Spawning,
    /// `SendInitialize` was said.
    Initializing,
}

/// The process takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which one.
    pub process: Process,
    /// Since when it takes calls.
    pub since: Instant,
    /// Whether a health check is under way.
    pub probe: Probe,
}

/// The process takes calls, and its health is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// Which one.
    pub process: Process,
    /// Since when it takes calls.
    pub since: Instant,
    /// Whether a health check is under way.
    pub probe: Probe,
    /// Failed health checks in a row.
    pub failures: u32,
}

/// Whether a health check is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// None is.
    Idle,
    /// One is.
    Asked,
}

/// The process is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draining {
    /// Which one.
    pub process: Process,
    /// Since when it took calls, if it did.
    pub served_since: Option<Instant>,
    /// How far it is.
    pub phase: DrainPhase,
    /// What follows.
    pub then: Then,
}

/// How far the end of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainPhase {
    /// Its calls may finish until then.
    Finishing {
        /// The end of the grace.
        until: Instant,
    },
    /// It was told to end.
    Terminating,
    /// It was killed.
    Killing,
}

/// What follows the end of a process, unless a block stands by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It stays stopped until a call demands it.
    Stop,
    /// It counts as failed.
    Fail(Failure),
}

/// No process; the next one is made after a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackingOff {
    /// Why, none after a clean end.
    pub failure: Option<Failure>,
    /// Until when.
    pub until: Instant,
}

/// No process; the owner must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashLooped {
    /// The last failure.
    pub failure: Failure,
    /// What calls are told.
    pub cause: Cause,
}

/// A state without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateName {
    /// See [`State::Stopped`].
    Stopped,
    /// See [`State::Starting`].
    Starting,
    /// See [`State::Ready`].
    Ready,
    /// See [`State::Degraded`].
    Degraded,
    /// See [`State::Draining`].
    Draining,
    /// See [`State::BackingOff`].
    BackingOff,
    /// See [`State::CrashLooped`].
    CrashLooped,
    /// See [`State::Disabled`].
    Disabled,
}

impl State {
    /// The state's name.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Stopped => StateName::Stopped,
            Self::Starting(_) => StateName::Starting,
            Self::Ready(_) => StateName::Ready,
            Self::Degraded(_) => StateName::Degraded,
            Self::Draining(_) => StateName::Draining,
            Self::BackingOff(_) => StateName::BackingOff,
            Self::CrashLooped(_) => StateName::CrashLooped,
            Self::Disabled => StateName::Disabled,
        }
    }

    /// The process that lives, or may.
    pub const fn process(&self) -> Option<Process> {
        match self {
            Self::Starting(Starting { process, .. })
            | Self::Ready(Ready { process, .. })
            | Self::Degraded(Degraded { process, .. })
            | Self::Draining(Draining { process, .. }) => Some(*process),
            Self::Stopped | Self::BackingOff(_) | Self::CrashLooped(_) | Self::Disabled => None,
        }
    }

    /// The process that calls may be handed to, and since when.
    pub(super) const fn serving(&self) -> Option<(Process, Instant)> {
        match self {
            Self::Ready(Ready { process, since, .. }) | Self::Degraded(Degraded { process, since, .. }) => {
                Some((*process, *since))
            }
            Self::Stopped
            | Self::Starting(_)
            | Self::Draining(_)
            | Self::BackingOff(_)
            | Self::CrashLooped(_)
            | Self::Disabled => None,
        }
    }
}

impl StateName {
    /// The name in snake case, as status and metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::BackingOff => "backing_off",
            Self::CrashLooped => "crash_looped",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
